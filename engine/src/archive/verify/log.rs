//! A table's log: every entry as it was written, none missing between others, and what the entries
//! add up to.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{Finding, Kind, Report, Sealing};
use crate::archive::delivery::{Delivery, INFO_KEY};
use crate::archive::seal::{self, Seal};

/// An entry of a log on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryFile {
    /// Its version.
    pub version: u64,
    /// Where it is.
    pub file: PathBuf,
}

/// The entries in a `_delta_log`, in order.
pub fn entries(log: &Path) -> std::io::Result<Vec<EntryFile>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(log)? {
        let file = entry?.path();
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let version = name
            .strip_suffix(".json")
            .filter(|digits| digits.len() == 20)
            .and_then(|digits| digits.parse().ok());
        if let Some(version) = version {
            found.push(EntryFile { version, file });
        }
    }
    found.sort_by_key(|entry| entry.version);
    Ok(found)
}

/// What one entry did.
#[derive(Debug, Default)]
pub struct Entry {
    /// Files that it put into the table.
    pub added: Vec<Added>,
    /// Files that it took out.
    pub removed: Vec<Removed>,
    /// Numbers kept by name, such as cursors.
    pub transactions: Vec<(String, i64)>,
    /// The account of what came in.
    pub delivery: Option<Delivery>,
    /// Parked records that were there already when they could be read: their rows are gone.
    pub n_resolved_duplicates: u64,
}

/// What a commit that opened parked records again adds to its account.
#[derive(Deserialize)]
struct Resolution {
    #[serde(default)]
    resolved_duplicates: u64,
}

/// A file put into a table.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Added {
    /// Its path.
    pub path: String,
    /// Statistics as JSON.
    pub stats: Option<String>,
}

impl Added {
    /// Its rows, if told.
    pub fn n_rows(&self) -> Option<i64> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Stats {
            num_records: i64,
        }
        let stats: Stats = serde_json::from_str(self.stats.as_deref()?).ok()?;
        Some(stats.num_records)
    }
}

/// A file taken out of a table.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Removed {
    /// Its path.
    pub path: String,
    /// When, UTC milliseconds.
    pub deletion_timestamp: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    add: Option<Added>,
    remove: Option<Removed>,
    txn: Option<Transaction>,
    commit_info: Option<HashMap<String, serde_json::Value>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Transaction {
    app_id: String,
    version: i64,
}

impl Entry {
    /// Reads an entry.
    pub fn parse(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        let mut entry = Self::default();
        for line in bytes.split(|b| *b == b'\n').filter(|l| !l.is_empty()) {
            let line: Line = serde_json::from_slice(line)?;
            entry.added.extend(line.add);
            entry.removed.extend(line.remove);
            if let Some(txn) = line.txn {
                entry.transactions.push((txn.app_id, txn.version));
            }
            if let Some(delivery) = line.commit_info.and_then(|mut info| info.remove(INFO_KEY)) {
                let resolution: Resolution = serde_json::from_value(delivery.clone())?;
                entry.n_resolved_duplicates += resolution.resolved_duplicates;
                entry.delivery = Some(serde_json::from_value(delivery)?);
            }
        }
        Ok(entry)
    }
}

/// What the entries of a log add up to.
#[derive(Debug, Default)]
pub struct Log {
    /// Live files with their rows; whole only with [`Log::is_whole`].
    pub live: HashMap<String, Option<i64>>,
    /// The last number by name.
    pub transactions: BTreeMap<String, i64>,
    /// The accounts, in order, with the version of their commit.
    pub deliveries: Vec<(u64, Delivery)>,
    /// Rows that commits without an account put in, less those they took out, and less those that
    /// left the quarantine as duplicates.
    pub n_rows_beside_accounts: i64,
    /// Whether every entry from the first to the last was there and readable.
    pub is_whole: bool,
}

/// Checks the log in `folder` up to `newest`.
pub fn check(home: &Path, folder: &Path, newest: u64, sealed: Sealing, report: &mut Report) -> Log {
    let log = folder.join("_delta_log");
    let mut sum = Log::default();
    let found = match entries(&log) {
        Ok(found) => found,
        Err(error) => {
            let detail = format!("the log cannot be listed: {error}");
            report.find(Finding::new(Kind::LogUnreadable, detail).in_file(home, &log));
            return sum;
        }
    };
    sum.is_whole = found.first().is_some_and(|entry| entry.version == 0);
    for pair in found.windows(2) {
        if pair[0].version + 1 != pair[1].version {
            sum.is_whole = false;
            let detail = format!(
                "log entries {} to {} are not there",
                pair[0].version + 1,
                pair[1].version - 1
            );
            report.find(Finding::new(Kind::LogMissing, detail).in_file(home, &log));
        }
    }
    for entry in found.iter().filter(|entry| entry.version <= newest) {
        match read_entry(home, entry, sealed, report) {
            Some(actions) => sum.add(entry.version, actions),
            None => sum.is_whole = false,
        }
    }
    check_others(home, &log, sealed, report);
    sum
}

fn read_entry(
    home: &Path,
    entry: &EntryFile,
    sealed: Sealing,
    report: &mut Report,
) -> Option<Entry> {
    let bytes = match std::fs::read(&entry.file) {
        Ok(bytes) => bytes,
        // A vacuum has deleted it since it was listed.
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return None,
        Err(error) => {
            let finding = Finding::new(Kind::LogUnreadable, error.to_string());
            report.find(finding.in_file(home, &entry.file));
            return None;
        }
    };
    report.read(bytes.len());
    let is_whole = check_seal(home, &entry.file, &bytes, sealed, report);
    match Entry::parse(&bytes) {
        Ok(actions) => is_whole.then_some(actions),
        Err(_) if !is_whole => None,
        Err(error) => {
            let detail = format!("the log entry cannot be read: {error}");
            report.find(Finding::new(Kind::LogUnreadable, detail).in_file(home, &entry.file));
            None
        }
    }
}

/// Whether JSON in a log is as it was written.
fn check_seal(
    home: &Path,
    file: &Path,
    bytes: &[u8],
    sealed: Sealing,
    report: &mut Report,
) -> bool {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let detail = match (seal::check_json(&name, bytes), sealed) {
        (Seal::Whole, _) => return true,
        (Seal::Missing, Sealing::Partial) => {
            report.n_unsealed += 1;
            return true;
        }
        (Seal::Broken, _) => "its bytes are not those that were written",
        (Seal::Missing, Sealing::Required) => "its seal is gone",
    };
    report.find(Finding::new(Kind::LogChanged, detail).in_file(home, file));
    false
}

/// Checkpoints and the hint at the last one.
fn check_others(home: &Path, log: &Path, sealed: Sealing, report: &mut Report) {
    let Ok(files) = std::fs::read_dir(log) else {
        return;
    };
    for file in files.filter_map(|entry| Some(entry.ok()?.path())) {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let is_checkpoint = name.contains(".checkpoint.") && !name.contains('#');
        if !is_checkpoint && name != "_last_checkpoint" {
            continue;
        }
        let Ok(bytes) = std::fs::read(&file) else {
            continue;
        };
        report.read(bytes.len());
        if !is_checkpoint {
            check_seal(home, &file, &bytes, sealed, report);
            continue;
        }
        let detail = match (seal::check_checkpoint(&file, &bytes), sealed) {
            (Seal::Whole, _) => continue,
            (Seal::Missing, Sealing::Partial) => {
                report.n_unsealed += 1;
                continue;
            }
            (Seal::Broken, _) => "its bytes are not those that were written",
            (Seal::Missing, Sealing::Required) => "its seal is gone",
        };
        report.find(Finding::new(Kind::CheckpointChanged, detail).in_file(home, &file));
    }
}

impl Log {
    fn add(&mut self, version: u64, entry: Entry) {
        let mut n_rows = 0;
        for file in entry.removed {
            let rows = self.live.remove(&file.path).flatten();
            n_rows -= rows.unwrap_or(0);
        }
        for file in entry.added {
            let rows = file.n_rows();
            n_rows += rows.unwrap_or(0);
            self.live.insert(file.path, rows);
        }
        self.transactions.extend(entry.transactions);
        match entry.delivery {
            Some(delivery) => self.deliveries.push((version, delivery)),
            None => self.n_rows_beside_accounts += n_rows,
        }
        self.n_rows_beside_accounts -= entry.n_resolved_duplicates as i64;
    }
}
