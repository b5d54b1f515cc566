//! The leaf hash (叶哈希) of a record: what it is over, and whether rows read back still have it.
//!
//! SHA-256 over two version bytes and the length-prefixed source, seq, msgid, key version, status
//! and untouched content (the sealed envelope where the record could not be read, else the
//! payload). It is computed before a row is written and recomputed from what is read.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int32Type, Int64Type};
use aws_lc_rs::digest::{Context, SHA256};

/// The columns that a leaf is computed from, and itself.
pub const COLUMNS: [&str; 8] = [
    "source",
    "seq",
    "msgid",
    "publickey_ver",
    "status",
    "payload",
    "envelope",
    "leaf_hash",
];

/// The leaf hash of one record.
pub fn leaf_hash(
    source: &str,
    seq: i64,
    msgid: &str,
    publickey_ver: Option<i32>,
    status: &str,
    content: &[u8],
) -> [u8; 32] {
    let mut hash = Context::new(&SHA256);
    hash.update(&[0x00, 0x01]);
    let seq = seq.to_be_bytes();
    let version = publickey_ver.unwrap_or(-1).to_be_bytes();
    for part in [
        source.as_bytes(),
        &seq,
        msgid.as_bytes(),
        &version,
        status.as_bytes(),
        content,
    ] {
        hash.update(&(part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let mut out = [0; 32];
    out.copy_from_slice(hash.finish().as_ref());
    out
}

/// Calls `each` with every row's number, its recomputed leaf, and whether the stored one is equal.
/// `None` when the batch lacks a column.
pub fn recompute(batch: &RecordBatch, mut each: impl FnMut(usize, &[u8; 32], bool)) -> Option<()> {
    let strings = |name: &str| batch.column_by_name(name)?.as_string_opt::<i32>();
    let (source, msgid) = (strings("source")?, strings("msgid")?);
    let (status, payload) = (strings("status")?, strings("payload")?);
    let seq = batch
        .column_by_name("seq")?
        .as_primitive_opt::<Int64Type>()?;
    let version = batch
        .column_by_name("publickey_ver")?
        .as_primitive_opt::<Int32Type>()?;
    let envelope = batch.column_by_name("envelope")?.as_binary_opt::<i32>()?;
    let stored = batch.column_by_name("leaf_hash")?.as_binary_opt::<i32>()?;
    for row in 0..batch.num_rows() {
        let content = if envelope.is_valid(row) {
            envelope.value(row)
        } else {
            payload.value(row).as_bytes()
        };
        let leaf = leaf_hash(
            source.value(row),
            seq.value(row),
            msgid.value(row),
            version.is_valid(row).then(|| version.value(row)),
            status.value(row),
            content,
        );
        each(row, &leaf, stored.value(row) == leaf);
    }
    Some(())
}
