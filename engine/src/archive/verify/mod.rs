//! Verifying (校验): is everything on disk as it was written, and does it agree?
//!
//! Every byte that means something is under a hash: data files by their names, log entries by a
//! field, checkpoints by an empty file beside them, rows by their leaf. What is found is named by
//! file, source, range of seq and a stable word ([`Kind`]; docs/reference/verify.md). Nothing is
//! changed. It may run beside pulls and compactions: it looks at one version of each table.
//!
//! Memory: one data file a core, and 8 bytes a message to find a msgid that is there twice.

pub mod account;
pub mod files;
pub mod log;
pub mod media;
pub mod rows;
mod unit;

use std::path::Path;

use arrow::array::RecordBatch;
use chrono::NaiveDate;
use serde::Serialize;

use super::home::Home;
pub use unit::{Unit, check_unit, units};

/// Findings that are kept; past it they are only counted.
const FINDINGS_MAX: usize = 10_000;

/// What is wrong, as a stable word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The marker `huicun.json` is not as it was written.
    MarkerChanged,
    /// A data file that the table names is not there.
    FileMissing,
    /// A data file's bytes are not those that its name tells.
    FileChanged,
    /// A data file cannot be decoded.
    FileUnreadable,
    /// A log entry, or `_last_checkpoint`, is not as it was written.
    LogChanged,
    /// A log entry between others is not there.
    LogMissing,
    /// A table cannot be opened.
    LogUnreadable,
    /// The log entries do not add up to the table that is opened from them.
    LogDiffers,
    /// A checkpoint is not as it was written.
    CheckpointChanged,
    /// Rows differ from their leaf hash.
    RowChanged,
    /// Columns of a row contradict each other.
    RowInconsistent,
    /// A msgid of a source is there more than once.
    RowTwice,
    /// Rows that were committed are not there.
    RowMissing,
    /// There are more rows than were committed.
    RowUnaccounted,
    /// A commit's account does not add up, or does not follow on the one before.
    AccountWrong,
    /// The cursor is not where the last commit of its source put it.
    CursorWrong,
    /// The search index is damaged or cannot be opened.
    IndexDamaged,
    /// Messages are not in the search index.
    IndexMissing,
    /// The search index has messages that the table has not, or has them twice.
    IndexExtra,
    /// The search index shows messages otherwise than the table has them.
    IndexDiffers,
    /// The search index covers a version that the table has not reached.
    IndexAhead,
    /// A database of the state is damaged, or its rows are not those that were written.
    StateDamaged,
    /// An entry of the audit log is not as it was written, or is not there.
    AuditBroken,
    /// A stored media file's bytes are not those that its name tells.
    MediaChanged,
    /// A small file of our own is not as it was written.
    FileOfOursChanged,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 25] = [
        Self::MarkerChanged,
        Self::FileMissing,
        Self::FileChanged,
        Self::FileUnreadable,
        Self::LogChanged,
        Self::LogMissing,
        Self::LogUnreadable,
        Self::LogDiffers,
        Self::CheckpointChanged,
        Self::RowChanged,
        Self::RowInconsistent,
        Self::RowTwice,
        Self::RowMissing,
        Self::RowUnaccounted,
        Self::AccountWrong,
        Self::CursorWrong,
        Self::IndexDamaged,
        Self::IndexMissing,
        Self::IndexExtra,
        Self::IndexDiffers,
        Self::IndexAhead,
        Self::StateDamaged,
        Self::AuditBroken,
        Self::MediaChanged,
        Self::FileOfOursChanged,
    ];

    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MarkerChanged => "marker_changed",
            Self::FileMissing => "file_missing",
            Self::FileChanged => "file_changed",
            Self::FileUnreadable => "file_unreadable",
            Self::LogChanged => "log_changed",
            Self::LogMissing => "log_missing",
            Self::LogUnreadable => "log_unreadable",
            Self::LogDiffers => "log_differs",
            Self::CheckpointChanged => "checkpoint_changed",
            Self::RowChanged => "row_changed",
            Self::RowInconsistent => "row_inconsistent",
            Self::RowTwice => "row_twice",
            Self::RowMissing => "row_missing",
            Self::RowUnaccounted => "row_unaccounted",
            Self::AccountWrong => "account_wrong",
            Self::CursorWrong => "cursor_wrong",
            Self::IndexDamaged => "index_damaged",
            Self::IndexMissing => "index_missing",
            Self::IndexExtra => "index_extra",
            Self::IndexDiffers => "index_differs",
            Self::IndexAhead => "index_ahead",
            Self::StateDamaged => "state_damaged",
            Self::AuditBroken => "audit_broken",
            Self::MediaChanged => "media_changed",
            Self::FileOfOursChanged => "file_of_ours_changed",
        }
    }
}

/// One thing that is wrong. It holds no text of any message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What.
    pub kind: Kind,
    /// In which file, inside the data directory.
    pub file: Option<String>,
    /// Of which source.
    pub source: Option<String>,
    /// The first seq.
    pub seq_from: Option<i64>,
    /// The last seq, included.
    pub seq_to: Option<i64>,
    /// What was expected and found.
    pub detail: String,
}

impl Finding {
    /// A finding without a place.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            file: None,
            source: None,
            seq_from: None,
            seq_to: None,
            detail: detail.into(),
        }
    }

    /// In a file.
    pub fn in_file(mut self, home: &Path, file: &Path) -> Self {
        let inside = file.strip_prefix(home).unwrap_or(file);
        self.file = Some(inside.display().to_string());
        self
    }

    /// Of a source.
    pub fn of(mut self, source: &str) -> Self {
        self.source = Some(source.to_string());
        self
    }

    /// From one seq to another, both included.
    pub fn seqs(mut self, from: i64, to: i64) -> Self {
        (self.seq_from, self.seq_to) = (Some(from), Some(to));
        self
    }
}

/// What was looked at and what was found.
#[derive(Debug, Default)]
pub struct Report {
    /// What is wrong, by kind and place.
    pub findings: Vec<Finding>,
    /// Findings beyond those kept.
    pub n_more: u64,
    /// Files looked at.
    pub n_files: u64,
    /// Their bytes.
    pub n_bytes: u64,
    /// Rows of `messages`.
    pub n_rows: u64,
    /// Files without a seal, which an earlier version wrote.
    pub n_unsealed: u64,
}

impl Report {
    /// Notes a finding.
    pub fn find(&mut self, finding: Finding) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(finding);
        } else {
            self.n_more += 1;
        }
    }

    /// Takes in what another found.
    pub fn merge(&mut self, other: Self) {
        other.findings.into_iter().for_each(|f| self.find(f));
        self.n_more += other.n_more;
        self.n_files += other.n_files;
        self.n_bytes += other.n_bytes;
        self.n_rows += other.n_rows;
        self.n_unsealed += other.n_unsealed;
    }

    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }

    fn read(&mut self, n_bytes: usize) {
        self.n_files += 1;
        self.n_bytes += n_bytes as u64;
    }
}

/// What to look at.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ask {
    /// Only data files of `messages` of these days, both included; comparisons over the whole
    /// table are then left out.
    pub days: Option<(NaiveDate, NaiveDate)>,
    /// The version of `messages` whose rows are shown to the visitor; the newest without one.
    pub visited_version: Option<u64>,
}

/// Verifies marker, tables and media. `visit` is shown every batch of `messages` at
/// [`Ask::visited_version`], from several threads. Must run on a runtime with several threads.
pub async fn verify(home: &Home, ask: Ask, visit: &(dyn Fn(&RecordBatch) + Sync)) -> Report {
    let mut report = Report::default();
    let sealed = home.check_marker(&mut report);
    for name in home.tables().unwrap_or_default() {
        let found = files::verify_table(home, &name, sealed, ask, visit).await;
        report.merge(found);
    }
    if ask.days.is_none() {
        // A generation that is swept while we look has lost nothing that anybody reads.
        for folder in home.derived_tables().unwrap_or_default() {
            let found = files::verify_folder(home, folder.clone(), false, sealed, ask, visit).await;
            if folder.is_dir() {
                report.merge(found);
            }
        }
        report.merge(media::verify(home));
    }
    report
}

/// Whether everything in the data directory must have a seal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sealing {
    /// It was made by a version that seals.
    Required,
    /// An earlier version made it: what has no seal is trusted as far as it can be read.
    Partial,
}

#[cfg(test)]
mod tests;
