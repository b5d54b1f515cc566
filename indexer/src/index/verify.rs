//! Is the index whole, and does it hold each message of the table once and as it is?
//!
//! Memory stays flat: table and index are compared by sums of hashes over stretches of
//! [`STRETCH`] seqs; only stretches that differ are read again, to name the seqs.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use arrow::array::{AsArray, RecordBatch, StringArray};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use aws_lc_rs::digest::{SHA256, digest};
use huicun_engine::archive::seal::{Seal, open_text};
use huicun_engine::archive::verify::{Finding, Kind, Report};
use huicun_engine::archive::{Table, TableError};
use rayon::prelude::*;
use serde::Deserialize;
use tantivy::schema::TantivyDocument;
use tantivy::schema::document::Value;
use tantivy::{Index, Searcher, SegmentReader};

use super::IndexError;
use super::follow::{self, Watermark};
use super::schema::{FIELDS, StoredRef};

/// Seqs of one source whose messages are summed together.
const STRETCH: i64 = 1024;
/// Stretches that are read again to name seqs; past it whole stretches are named.
const STRETCHES_NAMED_MAX: usize = 256;
/// Characters of an error of Tantivy's that are told: some of them quote whole files.
const DETAIL_CHARS_MAX: usize = 200;

/// The columns of `messages` that the index copies.
const COLUMNS: [&str; 10] = [
    "source", "seq", "msgid", "msgtype", "msgtime", "from_id", "to_ids", "room_id", "text",
    "status",
];

/// How many messages, and the sum of their hashes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sum {
    n: u64,
    hashes: u128,
}

/// Sums by source and stretch.
type Sums = HashMap<String, HashMap<i64, Sum>>;

/// What a set of messages sums up to; filled from several threads.
#[derive(Debug, Default)]
pub struct Contents {
    sums: Mutex<Sums>,
}

/// Where a stored document belongs.
#[derive(Deserialize)]
struct Place<'a> {
    #[serde(borrow)]
    source: std::borrow::Cow<'a, str>,
    seq: i64,
    at: i64,
}

fn hash(json: &[u8]) -> u128 {
    let mut first = [0; 16];
    first.copy_from_slice(&digest(&SHA256, json).as_ref()[..16]);
    u128::from_be_bytes(first)
}

/// Calls `each` with source, seq and hash of every readable message of a batch.
fn hashes(batch: &RecordBatch, mut each: impl FnMut(&str, i64, u128)) -> Option<()> {
    let strings =
        |name: &str| -> Option<&StringArray> { batch.column_by_name(name)?.as_string_opt::<i32>() };
    let (source, msgid, msgtype) = (strings("source")?, strings("msgid")?, strings("msgtype")?);
    let (from, room, text) = (strings("from_id")?, strings("room_id")?, strings("text")?);
    let status = strings("status")?;
    let seq = batch
        .column_by_name("seq")?
        .as_primitive_opt::<Int64Type>()?;
    let at = batch
        .column_by_name("msgtime")?
        .as_primitive_opt::<TimestampMicrosecondType>()?;
    let to = batch.column_by_name("to_ids")?.as_list_opt::<i32>()?;
    let receivers = to.values().as_string_opt::<i32>()?;
    let mut json = Vec::new();
    let mut to_ids = Vec::new();
    for row in 0..batch.num_rows() {
        if status.value(row) != "ok" {
            continue;
        }
        to_ids.clear();
        let range = to.value_offsets()[row]..to.value_offsets()[row + 1];
        to_ids.extend(range.map(|i| receivers.value(i as usize)));
        let stored = StoredRef {
            source: source.value(row),
            seq: seq.value(row),
            msgid: msgid.value(row),
            at: at.value(row) / 1000,
            from: from.value(row),
            to: &to_ids,
            room: room.value(row),
            msgtype: msgtype.value(row),
            text: text.value(row),
        };
        json.clear();
        serde_json::to_writer(&mut json, &stored).expect("a stored message is plain data");
        each(stored.source, stored.seq, hash(&json));
    }
    Some(())
}

fn note(sums: &mut Sums, source: &str, seq: i64, hash: u128) {
    if !sums.contains_key(source) {
        sums.insert(source.to_string(), HashMap::new());
    }
    if let Some(of_source) = sums.get_mut(source) {
        let sum = of_source.entry(seq.div_euclid(STRETCH)).or_default();
        sum.n += 1;
        sum.hashes = sum.hashes.wrapping_add(hash);
    }
}

impl Contents {
    /// Takes in a batch of the table's rows.
    pub fn add(&self, batch: &RecordBatch) {
        let mut sums = Sums::new();
        // A batch without the columns was reported by the check of its rows.
        let _ = hashes(batch, |source, seq, hash| {
            note(&mut sums, source, seq, hash)
        });
        self.merge(sums);
    }

    fn merge(&self, sums: Sums) {
        let mut all = self.sums.lock().unwrap_or_else(PoisonError::into_inner);
        for (source, stretches) in sums {
            let of_source = all.entry(source).or_default();
            for (stretch, sum) in stretches {
                let total = of_source.entry(stretch).or_default();
                total.n += sum.n;
                total.hashes = total.hashes.wrapping_add(sum.hashes);
            }
        }
    }

    /// The stretches in which two sets differ.
    fn differing(&self, other: &Self) -> HashSet<(String, i64)> {
        let one = self.sums.lock().unwrap_or_else(PoisonError::into_inner);
        let two = other.sums.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found = HashSet::new();
        for (a, b) in [(&one, &two), (&two, &one)] {
            for (source, stretches) in a.iter() {
                for (stretch, sum) in stretches {
                    let others = b.get(source).and_then(|of| of.get(stretch));
                    if others != Some(sum) {
                        found.insert((source.clone(), *stretch));
                    }
                }
            }
        }
        found
    }
}

/// An index that can be opened: one commit of it.
pub struct IndexView {
    searcher: Searcher,
    /// What the commit covers.
    pub watermark: Watermark,
}

/// Opens the index in `folder` after a check of its files; what is wrong goes into `report`.
/// `None` where there is none, or none that can be compared.
pub fn open(home: &Path, folder: &Path, report: &mut Report) -> Option<IndexView> {
    if !folder.join("meta.json").is_file() {
        if folder.is_dir() && has_segments(folder) {
            let finding = Finding::new(Kind::IndexDamaged, "`meta.json` is not there");
            report.find(finding.in_file(home, folder));
        }
        return None;
    }
    let damaged = |file: &Path, error: &dyn std::fmt::Display| {
        let detail: String = error.to_string().chars().take(DETAIL_CHARS_MAX).collect();
        Finding::new(Kind::IndexDamaged, detail).in_file(home, file)
    };
    let index = match follow::open(folder) {
        Ok(Some(index)) => index,
        // Of another format, or nothing committed yet: the next that asks builds it.
        Ok(None) => {
            check_small_files(home, folder, report);
            return None;
        }
        Err(error) => {
            report.find(damaged(folder, &error));
            return None;
        }
    };
    let n_before = report.findings.len();
    check_small_files(home, folder, report);
    check_segments(home, folder, &index, report);
    if report.findings.len() > n_before {
        return None;
    }
    match view(&index) {
        Ok(view) => Some(view),
        Err(error) => {
            report.find(damaged(folder, &error));
            None
        }
    }
}

fn has_segments(folder: &Path) -> bool {
    let entries = std::fs::read_dir(folder);
    entries.is_ok_and(|mut entries| {
        entries.any(|e| e.is_ok_and(|e| e.path().extension().is_some_and(|e| e == "store")))
    })
}

/// The newest commit; watermark and searcher are read until both are of one.
fn view(index: &Index) -> Result<IndexView, IndexError> {
    loop {
        let before = follow::watermark(index)?;
        let searcher = index.reader()?.searcher();
        let after = follow::watermark(index)?;
        if let (Some(watermark), true) = (after.clone(), before == after) {
            return Ok(IndexView {
                searcher,
                watermark,
            });
        }
    }
}

/// `meta.json` and the list of files have seals of ours.
fn check_small_files(home: &Path, folder: &Path, report: &mut Report) {
    for name in ["meta.json", ".managed.json"] {
        let file = folder.join(name);
        let Ok(bytes) = std::fs::read(&file) else {
            continue;
        };
        report.n_files += 1;
        report.n_bytes += bytes.len() as u64;
        let detail = match open_text(name, &bytes).1 {
            Seal::Whole => continue,
            Seal::Broken => "its bytes are not those that were written",
            Seal::Missing => "its seal is gone",
        };
        report.find(Finding::new(Kind::IndexDamaged, detail).in_file(home, &file));
    }
}

/// Tantivy's checksums over the bodies of segment files, and the footers that hold them.
fn check_segments(home: &Path, folder: &Path, index: &Index, report: &mut Report) {
    let live: HashSet<String> = match index.load_metas() {
        Ok(metas) => metas
            .segments
            .iter()
            .map(|segment| segment.id().uuid_string())
            .collect(),
        Err(_) => return,
    };
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for file in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let segment = name.split('.').next().unwrap_or_default();
        if !live.contains(segment) {
            continue;
        }
        match check_segment_file(&file) {
            Ok(n_bytes) => {
                report.n_files += 1;
                report.n_bytes += n_bytes;
            }
            // A merge has replaced the segment meanwhile.
            Err(Fault::Gone) => {}
            Err(Fault::Bad(detail)) => {
                report.find(Finding::new(Kind::IndexDamaged, detail).in_file(home, &file));
            }
        }
    }
}

enum Fault {
    Gone,
    Bad(String),
}

/// The last bytes of every segment file: a JSON of version and checksum, its length, a number.
fn check_segment_file(file: &Path) -> Result<u64, Fault> {
    const MAGIC: u32 = 1337;
    let bad = |what: &str| Fault::Bad(what.to_string());
    let bytes = match std::fs::read(file) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Err(Fault::Gone),
        Err(error) => return Err(Fault::Bad(error.to_string())),
    };
    let (rest, magic) = split_u32(&bytes).ok_or_else(|| bad("it is too short"))?;
    let (rest, length) = split_u32(rest).ok_or_else(|| bad("it is too short"))?;
    if magic != MAGIC {
        return Err(bad("its end is not that of an index file"));
    }
    let at = rest
        .len()
        .checked_sub(length as usize)
        .ok_or_else(|| bad("its end is not that of an index file"))?;
    let (body, footer) = rest.split_at(at);
    let mut crc = crc32fast::Hasher::new();
    crc.update(body);
    let version = serde_json::to_string(tantivy::version()).unwrap_or_default();
    let expected = format!("{{\"version\":{version},\"crc\":{}}}", crc.finalize());
    if footer != expected.as_bytes() {
        return Err(bad("its bytes are not those of its checksum"));
    }
    Ok(bytes.len() as u64)
}

fn split_u32(bytes: &[u8]) -> Option<(&[u8], u32)> {
    let (rest, last) = bytes.split_last_chunk::<4>()?;
    Some((rest, u32::from_le_bytes(*last)))
}

/// Compares the index's commit with `contents`, the rows of `table` at that version.
pub async fn compare(
    home: &Path,
    folder: &Path,
    view: &IndexView,
    table: &Table,
    contents: &Contents,
    report: &mut Report,
) -> Result<(), TableError> {
    let damaged = |detail: String| Finding::new(Kind::IndexDamaged, detail).in_file(home, folder);
    let indexed = Contents::default();
    let outcome = tokio::task::block_in_place(|| {
        let segments = view.searcher.segment_readers();
        segments.par_iter().try_for_each(|segment| {
            let mut sums = Sums::new();
            documents(segment, &mut |source, seq, hash| {
                note(&mut sums, source, seq, hash)
            })?;
            indexed.merge(sums);
            Ok::<_, String>(())
        })
    });
    if let Err(detail) = outcome {
        report.find(damaged(detail));
        return Ok(());
    }
    let differing = contents.differing(&indexed);
    if differing.is_empty() {
        return Ok(());
    }
    let named: HashSet<(String, i64)> = differing
        .iter()
        .take(STRETCHES_NAMED_MAX)
        .cloned()
        .collect();
    for (source, stretch) in differing.difference(&named) {
        let from = stretch * STRETCH;
        let finding = Finding::new(Kind::IndexDiffers, "table and index differ in this stretch");
        report.find(finding.of(source).seqs(from, from + STRETCH - 1));
    }
    let of_table = messages_of_table(table, &named).await?;
    let mut of_index = Messages::new();
    for segment in view.searcher.segment_readers() {
        let read = documents(segment, &mut |source, seq, hash| {
            let stretch = (source.to_string(), seq.div_euclid(STRETCH));
            if named.contains(&stretch) {
                let at = (stretch.0, seq);
                of_index.entry(at).or_default().push(hash);
            }
        });
        if let Err(detail) = read {
            report.find(damaged(detail));
        }
    }
    name_differences(of_table, of_index, report);
    Ok(())
}

/// Calls `each` with source, seq and hash of every document of a segment.
fn documents(segment: &SegmentReader, each: &mut dyn FnMut(&str, i64, u128)) -> Result<(), String> {
    let told = |e: &dyn std::fmt::Display| -> String {
        e.to_string().chars().take(DETAIL_CHARS_MAX).collect()
    };
    let store = segment.get_store_reader(1).map_err(|e| told(&e))?;
    let fast = segment.fast_fields();
    let (seqs, ats) = (
        fast.i64("seq").map_err(|e| told(&e))?,
        fast.i64("at").map_err(|e| told(&e))?,
    );
    let all = store.iter::<TantivyDocument>(segment.alive_bitset());
    for (id, document) in segment.doc_ids_alive().zip(all) {
        let document = document.map_err(|e| told(&e))?;
        let json = document
            .get_first(FIELDS.stored)
            .and_then(|value| value.as_bytes())
            .ok_or("a document has no content")?;
        let place: Place<'_> =
            serde_json::from_slice(json).map_err(|_| "a document cannot be read")?;
        if seqs.first(id) != Some(place.seq) || ats.first(id) != Some(place.at) {
            return Err(format!(
                "the columns of the document of seq {} are not those of its content",
                place.seq
            ));
        }
        each(&place.source, place.seq, hash(json));
    }
    Ok(())
}

/// Hashes by source and seq.
type Messages = BTreeMap<(String, i64), Vec<u128>>;

async fn messages_of_table(
    table: &Table,
    named: &HashSet<(String, i64)>,
) -> Result<Messages, TableError> {
    let mut found = Messages::new();
    for file in table.files() {
        for batch in table.read_file(&file, &COLUMNS).await? {
            let _ = hashes(&batch, |source, seq, hash| {
                let stretch = (source.to_string(), seq.div_euclid(STRETCH));
                if named.contains(&stretch) {
                    found.entry((stretch.0, seq)).or_default().push(hash);
                }
            });
        }
    }
    Ok(found)
}

fn name_differences(mut of_table: Messages, mut of_index: Messages, report: &mut Report) {
    let places: Vec<(String, i64)> = of_table
        .keys()
        .chain(of_index.keys())
        .cloned()
        .collect::<std::collections::BTreeSet<_>>()
        .into_iter()
        .collect();
    let mut open: Option<(Kind, String, i64, i64)> = None;
    for place in places {
        let mut rows = of_table.remove(&place).unwrap_or_default();
        let mut docs = of_index.remove(&place).unwrap_or_default();
        rows.sort_unstable();
        docs.sort_unstable();
        let kind = match rows.len().cmp(&docs.len()) {
            _ if rows == docs => None,
            std::cmp::Ordering::Greater => Some(Kind::IndexMissing),
            std::cmp::Ordering::Less => Some(Kind::IndexExtra),
            std::cmp::Ordering::Equal => Some(Kind::IndexDiffers),
        };
        let (source, seq) = place;
        // Neighbours with one fault are one finding.
        match (&mut open, kind) {
            (Some((known, of, _, to)), Some(kind)) if *known == kind && *of == source => *to = seq,
            (_, kind) => {
                tell(open.take(), report);
                open = kind.map(|kind| (kind, source, seq, seq));
            }
        }
    }
    tell(open, report);
}

fn tell(open: Option<(Kind, String, i64, i64)>, report: &mut Report) {
    let Some((kind, source, from, to)) = open else {
        return;
    };
    let detail = match kind {
        Kind::IndexMissing => "the table has these messages, the index has not",
        Kind::IndexExtra => "the index has these messages, the table has not or once less",
        _ => "the index shows these messages otherwise than the table has them",
    };
    report.find(Finding::new(kind, detail).of(&source).seqs(from, to));
}
