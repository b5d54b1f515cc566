//! Data files of one table: each is there, has the bytes that its name tells, and decodes whole.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Mutex;

use arrow::array::RecordBatch;
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use rayon::prelude::*;
use serde::Deserialize;

use super::account::{self, Intervals};
use super::log::{self, Log};
use super::rows::Rows;
use super::{Ask, Finding, Kind, Report, Sealing};
use crate::archive::delta::{LiveFile, Table};
use crate::archive::home::Home;
use crate::archive::messages;
use crate::archive::seal::{self, Seal};

/// Rows of a batch: enough to go fast, few enough to stay small.
const BATCH_ROWS: usize = 8192;

/// Verifies the table `name`: its log, its files and, of `messages`, its rows.
pub(super) async fn verify_table(
    home: &Home,
    name: &str,
    sealed: Sealing,
    ask: Ask,
    visit: &(dyn Fn(&RecordBatch) + Sync),
) -> Report {
    let is_messages = name == messages::TABLE;
    if ask.days.is_some() && !is_messages {
        return Report::default();
    }
    verify_folder(home, home.table(name), is_messages, sealed, ask, visit).await
}

/// Verifies the table in a folder.
pub(super) async fn verify_folder(
    home: &Home,
    folder: std::path::PathBuf,
    is_messages: bool,
    sealed: Sealing,
    ask: Ask,
    visit: &(dyn Fn(&RecordBatch) + Sync),
) -> Report {
    let mut report = Report::default();
    let table = match Table::open_any(&folder).await {
        Ok(Some(table)) => table,
        Ok(None) => return report,
        Err(error) => {
            let detail = format!("the table cannot be opened: {error}");
            report.find(Finding::new(Kind::LogUnreadable, detail).in_file(home.root(), &folder));
            log::check(home.root(), &folder, u64::MAX, sealed, &mut report);
            return report;
        }
    };
    let visited: HashSet<String> = match ask.visited_version {
        Some(version) if version < table.version() => match table.at(version).await {
            Ok(then) => then.files().into_iter().collect(),
            Err(error) => {
                report.find(Finding::new(Kind::LogUnreadable, error.to_string()));
                HashSet::new()
            }
        },
        _ => table.files().into_iter().collect(),
    };
    let mut cursors = HashMap::new();
    let newest = table.version();
    tokio::task::block_in_place(|| {
        let log = log::check(home.root(), &folder, newest, sealed, &mut report);
        compare_with_log(home.root(), &folder, &table, &log, &mut report);
        let place = Place {
            home: home.root(),
            folder: &folder,
            sealed,
        };
        if is_messages {
            verify_messages(&place, &table, &log, ask, &visited, visit, &mut report);
            cursors.extend(log.transactions);
        } else {
            let files = table.live_files();
            let found = files.par_iter().map(|file| {
                let mut found = Report::default();
                place.check(file, &mut found, &mut |_| {});
                found
            });
            let found = found.reduce(Report::default, merged);
            report.merge(found);
        }
    });
    for (application, stored) in cursors {
        let seen = table.transaction(&application).await.ok().flatten();
        if seen != Some(stored) {
            let detail = format!(
                "the cursor reads {}, the log says {stored}",
                seen.map_or("nothing".into(), |n| n.to_string())
            );
            report.find(Finding::new(Kind::CursorWrong, detail).of(&application));
        }
    }
    report
}

fn merged(mut one: Report, other: Report) -> Report {
    one.merge(other);
    one
}

/// A table that is opened from a checkpoint must be the one that its entries add up to.
fn compare_with_log(home: &Path, folder: &Path, table: &Table, log: &Log, report: &mut Report) {
    if !log.is_whole {
        return;
    }
    let live: BTreeSet<String> = table.files().into_iter().collect();
    let told: BTreeSet<String> = log.live.keys().cloned().collect();
    for path in live.symmetric_difference(&told) {
        let detail = match live.contains(path) {
            true => "the table has this file, but no log entry put it in",
            false => "a log entry put this file in, but the table has it not",
        };
        let finding = Finding::new(Kind::LogDiffers, detail);
        report.find(finding.in_file(home, &folder.join(path)));
    }
}

#[allow(
    clippy::too_many_arguments,
    reason = "the one place where all of it meets"
)]
fn verify_messages(
    place: &Place<'_>,
    table: &Table,
    log: &Log,
    ask: Ask,
    visited: &HashSet<String>,
    visit: &(dyn Fn(&RecordBatch) + Sync),
    report: &mut Report,
) {
    let intervals = Intervals::of(&log.deliveries);
    let mut files = table.live_files();
    if let Some((from, to)) = ask.days {
        files.retain(|file| file.day().is_some_and(|day| (from..=to).contains(&day)));
    }
    let live: HashSet<String> = table.files().into_iter().collect();
    // What a commit after the visited version replaced is still on disk, and is shown too.
    let replaced: Vec<LiveFile> = visited
        .difference(&live)
        .filter(|_| ask.days.is_none())
        .map(|path| LiveFile {
            path: path.clone(),
            size: -1,
            n_rows: None,
            stats: None,
        })
        .collect();
    replaced.par_iter().for_each(|file| {
        let mut ignored = Report::default();
        place.check(file, &mut ignored, &mut |batch| visit(batch));
    });
    let total = Mutex::new(Rows::new(&intervals));
    let found = files.par_iter().map(|file| {
        let mut found = Report::default();
        let mut rows = Rows::new(&intervals);
        let is_visited = visited.contains(&file.path);
        place.check(file, &mut found, &mut |batch| {
            rows.add(batch, file.day(), &intervals);
            if is_visited {
                visit(batch);
            }
        });
        rows.report(place.home, &place.folder.join(&file.path), &mut found);
        found.n_rows = rows.n_rows;
        if ask.days.is_none() {
            total
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
                .merge(rows);
        }
        found
    });
    let found = found.reduce(Report::default, merged);
    report.merge(found);
    if ask.days.is_some() {
        return;
    }
    let mut total = total
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let doubles = total.doubles();
    if !doubles.is_empty() {
        name_doubles(place, &files, &doubles, report);
    }
    account::check(log, &intervals, &total, report);
}

/// Reads the files again for the msgids whose fingerprints were there twice.
fn name_doubles(
    place: &Place<'_>,
    files: &[LiveFile],
    doubles: &HashSet<u64>,
    report: &mut Report,
) {
    let mut known = HashMap::new();
    for file in files {
        let mut ignored = Report::default();
        let mut found = Vec::new();
        place.check(file, &mut ignored, &mut |batch| {
            super::rows::suspects(batch, doubles, &mut found);
        });
        for (source, msgid, seq) in found {
            let key = (source.clone(), msgid);
            if let Some(first) = known.insert(key, seq) {
                let detail = format!("its msgid is also at seq {first}");
                let finding = Finding::new(Kind::RowTwice, detail)
                    .in_file(place.home, &place.folder.join(&file.path))
                    .of(&source)
                    .seqs(seq, seq);
                report.find(finding);
            }
        }
    }
}

/// Where files are.
pub(super) struct Place<'a> {
    pub home: &'a Path,
    pub folder: &'a Path,
    pub sealed: Sealing,
}

impl Place<'_> {
    /// Checks one file whole and shows its rows.
    pub fn check(&self, file: &LiveFile, report: &mut Report, each: &mut dyn FnMut(&RecordBatch)) {
        let at = self.folder.join(&file.path);
        match check_file(&at, file, self.sealed, report, each) {
            Ok(()) => {}
            Err((kind, detail)) => {
                let finding = Finding::new(kind, detail).in_file(self.home, &at);
                report.find(match seqs_told(file) {
                    Some((from, to)) => finding.seqs(from, to),
                    None => finding,
                });
            }
        }
    }
}

/// The seqs that the log says a file has.
fn seqs_told(file: &LiveFile) -> Option<(i64, i64)> {
    #[derive(Deserialize)]
    struct Seq {
        seq: Option<i64>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Stats {
        min_values: Option<Seq>,
        max_values: Option<Seq>,
    }
    let stats: Stats = serde_json::from_str(file.stats.as_deref()?).ok()?;
    Some((stats.min_values?.seq?, stats.max_values?.seq?))
}

/// Checks one data file: there, sealed, decodable, as many rows as the log says.
///
/// # Errors
/// The kind and the detail of what is wrong with the file as a whole.
pub fn check_file(
    at: &Path,
    file: &LiveFile,
    sealed: Sealing,
    report: &mut Report,
    each: &mut dyn FnMut(&RecordBatch),
) -> Result<(), (Kind, String)> {
    let bytes = match std::fs::read(at) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            return Err((Kind::FileMissing, "the table names it".into()));
        }
        Err(error) => return Err((Kind::FileUnreadable, error.to_string())),
    };
    report.read(bytes.len());
    match (seal::check_name(&file.path, &bytes), sealed) {
        (Seal::Whole, _) => {}
        (Seal::Missing, Sealing::Partial) => report.n_unsealed += 1,
        (Seal::Broken, _) => {
            let told = match file.size {
                size if size >= 0 && size != bytes.len() as i64 => {
                    format!("it has {} bytes, the log says {size}", bytes.len())
                }
                _ => "its bytes are not those that its name tells".into(),
            };
            return Err((Kind::FileChanged, told));
        }
        (Seal::Missing, Sealing::Required) => {
            return Err((Kind::FileChanged, "its name tells no hash".into()));
        }
    }
    let mut n_rows = 0;
    // An unsealed file may be damaged in a way that no decoder expects.
    let decoded = catch_unwind(AssertUnwindSafe(|| {
        decode(bytes.into(), &mut |batch| {
            n_rows += batch.num_rows();
            each(batch);
        })
    }));
    match decoded {
        Ok(Ok(())) => {}
        Ok(Err(error)) => return Err((Kind::FileUnreadable, error.to_string())),
        Err(_) => return Err((Kind::FileUnreadable, "the decoder gave up".into())),
    }
    match file.n_rows {
        Some(told) if told != n_rows => Err((
            if told > n_rows {
                Kind::RowMissing
            } else {
                Kind::RowUnaccounted
            },
            format!("it has {n_rows} rows, the log says {told}"),
        )),
        _ => Ok(()),
    }
}

/// Decodes a whole Parquet file, some rows at a time.
pub fn decode(
    bytes: Bytes,
    each: &mut dyn FnMut(&RecordBatch),
) -> Result<(), arrow::error::ArrowError> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes)?
        .with_batch_size(BATCH_ROWS)
        .build()?;
    for batch in reader {
        each(&batch?);
    }
    Ok(())
}
