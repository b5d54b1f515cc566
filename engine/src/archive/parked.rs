//! The quarantine: rows of `messages` whose record could not be read, as they are listed and as
//! they are opened again. Reading only; [`super::MessageWriter::resolve`] changes them.
//!
//! Files without parked rows cost one narrow column. Nothing here knows how a record is opened.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int32Type, Int64Type, TimestampMicrosecondType};

use super::delta::{Table, TableError};
use super::message::Status;

/// What is known of a parked record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parked {
    /// The corp, or the name given to an import.
    pub source: String,
    /// Its number.
    pub seq: i64,
    /// WeCom's id, as far as the envelope tells it.
    pub msgid: String,
    /// Which public key sealed it.
    pub publickey_ver: Option<i32>,
    /// Why it could not be read, one stable word.
    pub reason: String,
    /// When it came, UTC milliseconds.
    pub pulled_at_ms: i64,
    /// Bytes of what came.
    pub n_bytes: u64,
}

/// A parked record with what came.
pub struct Envelope {
    /// Its place among the rows of its file, from 0.
    pub place: usize,
    /// What is known of it.
    pub parked: Parked,
    /// What came.
    pub bytes: Vec<u8>,
}

/// Numbers of parked records that share source, reason and key version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kind {
    /// The corp, or the name given to an import.
    pub source: String,
    /// Why they could not be read.
    pub reason: String,
    /// Which public key sealed them.
    pub publickey_ver: Option<i32>,
}

/// How many there are of a kind, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// Records.
    pub n_records: u64,
    /// The lowest seq.
    pub first_seq: i64,
    /// The highest seq.
    pub last_seq: i64,
    /// Bytes of what came.
    pub n_bytes: u64,
    /// When the first of them came, UTC milliseconds.
    pub first_pulled_at_ms: i64,
}

/// A file that holds parked records of the kind asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParkedFile {
    /// Its path in the table.
    pub path: String,
    /// How many it holds.
    pub n_records: u64,
    /// The lowest seq of them.
    pub first_seq: i64,
    /// Whose they are.
    pub sources: BTreeSet<String>,
}

const FACTS: [&str; 7] = [
    "source",
    "seq",
    "msgid",
    "publickey_ver",
    "pulled_at",
    "status",
    "reason",
];

/// The parked records that are `wanted`, by source and seq; at most `limit`, the lowest first.
pub async fn list(
    table: &Table,
    limit: usize,
    wanted: impl Fn(&Parked) -> bool,
) -> Result<Vec<Parked>, TableError> {
    let mut found: Vec<Parked> = Vec::new();
    let by_place = |a: &Parked, b: &Parked| (&a.source, a.seq).cmp(&(&b.source, b.seq));
    for path in table.files() {
        let envelopes = envelopes(table, &path, &wanted).await?;
        found.extend(envelopes.into_iter().map(|e| e.parked));
        if found.len() / 2 > limit {
            found.sort_by(by_place);
            found.truncate(limit);
        }
    }
    found.sort_by(by_place);
    found.truncate(limit);
    Ok(found)
}

/// How many parked records there are of each kind.
pub async fn count(table: &Table) -> Result<BTreeMap<Kind, Count>, TableError> {
    let mut kinds: BTreeMap<Kind, Count> = BTreeMap::new();
    for path in table.files() {
        for Envelope { parked, .. } in envelopes(table, &path, |_| true).await? {
            let kind = Kind {
                source: parked.source,
                reason: parked.reason,
                publickey_ver: parked.publickey_ver,
            };
            let count = kinds.entry(kind).or_insert(Count {
                n_records: 0,
                first_seq: i64::MAX,
                last_seq: i64::MIN,
                n_bytes: 0,
                first_pulled_at_ms: i64::MAX,
            });
            count.n_records += 1;
            count.first_seq = count.first_seq.min(parked.seq);
            count.last_seq = count.last_seq.max(parked.seq);
            count.n_bytes += parked.n_bytes;
            count.first_pulled_at_ms = count.first_pulled_at_ms.min(parked.pulled_at_ms);
        }
    }
    Ok(kinds)
}

/// The files that hold parked records which are `wanted`, the lowest seq first.
pub async fn files(
    table: &Table,
    wanted: impl Fn(&Parked) -> bool,
) -> Result<Vec<ParkedFile>, TableError> {
    let mut found = Vec::new();
    for path in table.files() {
        if !has_parked(table, &path).await? {
            continue;
        }
        let mut file = ParkedFile {
            path: path.clone(),
            n_records: 0,
            first_seq: i64::MAX,
            sources: BTreeSet::new(),
        };
        for batch in table.read_file(&path, &FACTS).await? {
            for row in 0..batch.num_rows() {
                if let Some(parked) = parked_at(&batch, row, 0).filter(&wanted) {
                    file.n_records += 1;
                    file.first_seq = file.first_seq.min(parked.seq);
                    if !file.sources.contains(&parked.source) {
                        file.sources.insert(parked.source);
                    }
                }
            }
        }
        if file.n_records > 0 {
            found.push(file);
        }
    }
    found.sort_by_key(|file| file.first_seq);
    Ok(found)
}

/// The parked records of one file that are `wanted`, with what came.
pub async fn envelopes(
    table: &Table,
    path: &str,
    wanted: impl Fn(&Parked) -> bool,
) -> Result<Vec<Envelope>, TableError> {
    let mut found = Vec::new();
    if !has_parked(table, path).await? {
        return Ok(found);
    }
    let mut columns = FACTS.to_vec();
    columns.push("envelope");
    let mut first = 0;
    for batch in table.read_file(path, &columns).await? {
        let bytes = batch
            .column_by_name("envelope")
            .map(|column| column.as_binary::<i32>());
        for row in 0..batch.num_rows() {
            let bytes = bytes.filter(|b| b.is_valid(row)).map(|b| b.value(row));
            let bytes = bytes.unwrap_or_default();
            if let Some(parked) = parked_at(&batch, row, bytes.len()).filter(&wanted) {
                found.push(Envelope {
                    place: first + row,
                    parked,
                    bytes: bytes.to_vec(),
                });
            }
        }
        first += batch.num_rows();
    }
    Ok(found)
}

async fn has_parked(table: &Table, path: &str) -> Result<bool, TableError> {
    let batches = table.read_file(path, &["status"]).await?;
    Ok(batches.iter().any(|batch| {
        let mut words = batch.column(0).as_string::<i32>().iter().flatten();
        words.any(|word| word == Status::Quarantined.as_str())
    }))
}

/// The row, if it is parked.
fn parked_at(batch: &RecordBatch, row: usize, n_bytes: usize) -> Option<Parked> {
    let text = |name: &str| {
        let column = batch.column_by_name(name)?.as_string::<i32>();
        column.is_valid(row).then(|| column.value(row))
    };
    if text("status")? != Status::Quarantined.as_str() {
        return None;
    }
    let version = batch
        .column_by_name("publickey_ver")?
        .as_primitive::<Int32Type>();
    let pulled_at = batch
        .column_by_name("pulled_at")?
        .as_primitive::<TimestampMicrosecondType>();
    Some(Parked {
        source: text("source")?.to_string(),
        seq: batch
            .column_by_name("seq")?
            .as_primitive::<Int64Type>()
            .value(row),
        msgid: text("msgid")?.to_string(),
        publickey_ver: version.is_valid(row).then(|| version.value(row)),
        reason: text("reason").unwrap_or_default().to_string(),
        pulled_at_ms: pulled_at.value(row) / 1000,
        n_bytes: n_bytes as u64,
    })
}
