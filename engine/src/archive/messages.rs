//! The `messages` table: the one ground truth.
//!
//! A batch and the cursor that it moves are one Delta commit, so a crash leaves both or neither.
//! The cursor is stored (an application transaction per source), never computed from the rows,
//! and a batch that does not start at it is refused: two pullers cannot interleave.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use huicun_semantics::time::Zone;
use rayon::prelude::*;

use super::delivery::{self, Delivery, ImportMark, ranges};
use super::delta::{CommitNote, Table, TableError};
use super::home::Home;
use super::message::{self, MessageRow, Status};
use super::seen::{Seen, Sighting};

mod resolve;

pub use resolve::{Reopened, Resolved};

/// The folder of the table inside the data directory.
pub const TABLE: &str = "messages";

/// Rows that are made into columns together: enough for vectors, few enough to share the work.
const ROWS_PER_BATCH: usize = 8192;
/// Commits that are looked through for an import that was not finished; a look takes 50 µs.
const IMPORT_COMMITS_BACK: usize = 2000;

/// A move of a source's cursor: all seqs in `(from, to]` are in the batch, or do not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CursorMove {
    /// The last seq that was safely in before.
    pub from: i64,
    /// The last seq that is safely in with this batch.
    pub to: i64,
}

/// What a commit did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Appended {
    /// The table's version with the batch in it.
    pub version: u64,
    /// Readable messages that are new.
    pub n_archived: u64,
    /// Records kept unread.
    pub n_quarantined: u64,
    /// Records that were already there.
    pub n_duplicates: u64,
}

/// Why a batch was not appended.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// Somebody else moved the cursor.
    #[error(
        "the batch starts after seq {from}, but the cursor of `{source_name}` stands at {cursor}"
    )]
    CursorMoved {
        /// Whose cursor.
        source_name: String,
        /// Where the batch starts.
        from: i64,
        /// Where the cursor is.
        cursor: i64,
    },
    /// The table could not be written.
    #[error(transparent)]
    Table(#[from] TableError),
}

/// The table, opened for reading.
pub async fn open(home: &Home) -> Result<Option<Table>, TableError> {
    Table::open(&home.table(TABLE), message::layout()).await
}

/// The newest version, without opening the table; `None` before the first message.
pub fn newest_version(home: &Home) -> Option<u64> {
    Table::newest_version(&home.table(TABLE))
}

/// The id and the newest version, where the names and the first entry of the log tell them; what
/// has no first entry is opened. `None` before the first message.
pub async fn identity(home: &Home) -> Result<Option<(String, u64)>, TableError> {
    let folder = home.table(TABLE);
    let told = Table::id_in_log(&folder).zip(Table::newest_version(&folder));
    if told.is_some() {
        return Ok(told);
    }
    let opened = open(home).await?;
    Ok(opened.map(|table| (table.id().to_string(), table.version())))
}

/// Whether the table's log has this version, without opening the table.
pub fn has_version(home: &Home, version: u64) -> bool {
    let log = home.table(TABLE).join("_delta_log");
    log.join(format!("{version:020}.json")).is_file()
}

/// The names of all sources that have rows.
pub async fn sources(table: &Table) -> Result<std::collections::BTreeSet<String>, TableError> {
    let mut found = std::collections::BTreeSet::new();
    for file in table.files() {
        for batch in table.read_file(&file, &["source"]).await? {
            let names = batch.column(0).as_string::<i32>();
            for name in names.iter().flatten() {
                if !found.contains(name) {
                    found.insert(name.to_string());
                }
            }
        }
    }
    Ok(found)
}

/// The table, opened by the one process that brings messages in.
pub struct MessageWriter {
    table: Table,
    seen: Seen,
    seq_max: std::collections::HashMap<String, i64>,
    zone: Zone,
    /// Whether the last commit left the mark of an import that goes on.
    has_import_mark: bool,
    _lock: super::home::Lock,
}

impl MessageWriter {
    /// Opens the table, creating it if need be, and reads which messages it holds.
    pub async fn open(
        home: &Home,
        lock: super::home::Lock,
        zone: Zone,
    ) -> Result<Self, TableError> {
        let table = Table::open_or_create(&home.table(TABLE), message::layout()).await?;
        let mut this = Self {
            table,
            seen: Seen::default(),
            seq_max: Default::default(),
            zone,
            has_import_mark: false,
            _lock: lock,
        };
        for file in this.table.files() {
            let columns = ["source", "seq", "msgid", "status", "content_hash"];
            for batch in this.table.read_file(&file, &columns).await? {
                this.note_archived(&batch);
            }
        }
        Ok(this)
    }

    fn note_archived(&mut self, batch: &RecordBatch) {
        let strings = |name: &str| batch.column_by_name(name).map(|c| c.as_string::<i32>());
        let numbers = |name: &str| {
            batch
                .column_by_name(name)
                .map(|c| c.as_primitive::<Int64Type>())
        };
        let (Some(source), Some(msgid), Some(status), Some(seq), Some(content)) = (
            strings("source"),
            strings("msgid"),
            strings("status"),
            numbers("seq"),
            numbers("content_hash"),
        ) else {
            return;
        };
        for row in 0..batch.num_rows() {
            let (source, seq) = (source.value(row), seq.value(row));
            if status.value(row) == Status::Ok.as_str() {
                self.seen
                    .note_message(source, msgid.value(row), content.value(row));
            } else {
                self.seen.note_quarantined(source, content.value(row));
            }
            self.raise_seq(source, seq);
        }
    }

    fn raise_seq(&mut self, source: &str, seq: i64) {
        match self.seq_max.get_mut(source) {
            Some(max) => *max = (*max).max(seq),
            None => {
                self.seq_max.insert(source.to_string(), seq);
            }
        }
    }

    /// The last seq of `source` that is safely in; 0 before the first pull.
    pub async fn cursor(&self, source: &str) -> Result<i64, TableError> {
        Ok(self.table.transaction(source).await?.unwrap_or(0))
    }

    /// The highest seq archived for `source`; 0 when there is none.
    pub fn highest_seq(&self, source: &str) -> i64 {
        self.seq_max.get(source).copied().unwrap_or(0)
    }

    /// The table as of the last commit.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// Appends the rows that are not there yet and moves the cursor, in one commit.
    ///
    /// # Errors
    /// Nothing changed on disk. After an error this writer must be dropped and opened afresh,
    /// since it may remember rows that were not written.
    pub async fn append(
        &mut self,
        source: &Arc<str>,
        rows: Vec<MessageRow>,
        cursor: Option<CursorMove>,
    ) -> Result<Appended, AppendError> {
        if let Some(step) = cursor {
            let stored = self.cursor(source).await?;
            if stored != step.from {
                return Err(AppendError::CursorMoved {
                    source_name: source.to_string(),
                    from: step.from,
                    cursor: stored,
                });
            }
        }
        let step = cursor.filter(|step| step.to != step.from);
        self.commit(source, rows, step, None).await
    }

    /// Appends the rows of an import of files that are not there yet; the commit carries how far
    /// the import has come. Rows that are all there already make no commit, unless the mark ends
    /// an import that has left one.
    ///
    /// # Errors
    /// As [`Self::append`].
    pub async fn append_import(
        &mut self,
        source: &Arc<str>,
        rows: Vec<MessageRow>,
        mark: ImportMark,
    ) -> Result<Appended, AppendError> {
        self.commit(source, rows, None, Some(mark)).await
    }

    /// How far the import of this id had come, if it was not finished. Looks back over the last
    /// [`IMPORT_COMMITS_BACK`] commits: past them an import begins anew, which only takes longer.
    pub async fn unfinished_import(&mut self, id: &str) -> Result<Option<ImportMark>, TableError> {
        let newest = self.table.version();
        for version in (1..=newest).rev().take(IMPORT_COMMITS_BACK) {
            let info = self.table.commit_info(version, delivery::INFO_KEY).await?;
            let delivery: Option<Delivery> = info.and_then(|v| serde_json::from_value(v).ok());
            let mark = delivery.and_then(|delivery| delivery.import);
            if let Some(mark) = mark.filter(|mark| mark.id == id) {
                self.has_import_mark = !mark.is_finished;
                return Ok(Some(mark).filter(|mark| !mark.is_finished));
            }
        }
        Ok(None)
    }

    async fn commit(
        &mut self,
        source: &Arc<str>,
        rows: Vec<MessageRow>,
        step: Option<CursorMove>,
        import: Option<ImportMark>,
    ) -> Result<Appended, AppendError> {
        let mut done = Appended::default();
        let n_delivered = rows.len() as u64;
        let mut kept = Vec::with_capacity(rows.len());
        let mut duplicates = Vec::new();
        let mut taken = match step {
            Some(step) => self.seqs_taken(source, &rows, step).await?,
            None => HashSet::new(),
        };
        for mut row in rows {
            let seq = row.seq;
            if step.is_some() && has_own_seq(&row) && !taken.insert(seq) {
                self.contest_seq(&mut row);
            }
            if let Some(row) = self.admit(row, &mut done) {
                self.raise_seq(source, row.seq);
                kept.push(row);
            } else {
                duplicates.push(seq);
            }
        }
        let ends_import = self.has_import_mark && import.as_ref().is_some_and(|m| m.is_finished);
        if kept.is_empty() && step.is_none() && !ends_import {
            done.version = self.table.version();
            return Ok(done);
        }
        self.has_import_mark = import.as_ref().is_some_and(|mark| !mark.is_finished);
        let zone = self.zone;
        let batches = tokio::task::spawn_blocking(move || to_batches(kept, &zone))
            .await
            .map_err(|e| TableError::File {
                table: TABLE.into(),
                file: "a new batch".into(),
                source: e.into(),
            })?;
        let delivery = Delivery {
            source: source.to_string(),
            after: step.map(|step| step.from),
            to: step.map(|step| step.to),
            delivered: n_delivered,
            archived: done.n_archived,
            quarantined: done.n_quarantined,
            deduplicated: done.n_duplicates,
            deduplicated_seqs: ranges(&mut duplicates),
            import,
            ..Delivery::default()
        };
        let note = CommitNote {
            transactions: step
                .map(|step| (source.to_string(), step.to))
                .into_iter()
                .collect(),
            info: vec![delivery.info()],
        };
        done.version = self.table.append(&batches, note).await?;
        Ok(done)
    }

    /// Which seqs of rows behind the cursor belong to another record of the archive: WeCom may give
    /// a record again, one that was parked before it could be read, and a late one where there was
    /// a gap.
    async fn seqs_taken(
        &self,
        source: &str,
        rows: &[MessageRow],
        step: CursorMove,
    ) -> Result<HashSet<i64>, TableError> {
        let late = rows
            .iter()
            .filter(|row| row.seq <= step.from && has_own_seq(row));
        let late: HashMap<i64, &str> = late.map(|row| (row.seq, row.msgid.as_str())).collect();
        let mut taken = HashSet::new();
        if late.is_empty() {
            return Ok(taken);
        }
        // It hardly ever happens, so a walk through narrow columns is good enough.
        for file in self.table.files() {
            let columns = ["source", "seq", "msgid", "status"];
            for batch in self.table.read_file(&file, &columns).await? {
                let text = |name: &str| batch.column_by_name(name).map(|c| c.as_string::<i32>());
                let (Some(sources), Some(msgids), Some(status), Some(seqs)) = (
                    text("source"),
                    text("msgid"),
                    text("status"),
                    batch.column_by_name("seq"),
                ) else {
                    continue;
                };
                let seqs = seqs.as_primitive::<Int64Type>();
                for at in 0..batch.num_rows() {
                    let Some(msgid) = late.get(&seqs.value(at)) else {
                        continue;
                    };
                    let found = msgids.value(at);
                    let is_other = status.value(at) == Status::Ok.as_str()
                        || (!found.is_empty() && found != *msgid);
                    if sources.value(at) == source && is_other {
                        taken.insert(seqs.value(at));
                    }
                }
            }
        }
        Ok(taken)
    }

    /// A second record under one seq is kept unread, unless it is known under its own msgid.
    fn contest_seq(&self, row: &mut MessageRow) {
        let is_known = row.status == Status::Ok
            && self
                .seen
                .sight_message(&row.source, &row.msgid, row.content_hash)
                != Sighting::New;
        if is_known {
            return;
        }
        tracing::error!(
            seq = row.seq,
            "WeCom gave another record under a seq that is archived"
        );
        match row.status {
            Status::Ok => park_as_conflict(row),
            Status::Quarantined => row.reason = Some(CONFLICT.into()),
        }
    }

    fn admit(&mut self, mut row: MessageRow, done: &mut Appended) -> Option<MessageRow> {
        if row.status == Status::Ok {
            match self
                .seen
                .note_message(&row.source, &row.msgid, row.content_hash)
            {
                Sighting::New => {
                    done.n_archived += 1;
                    return Some(row);
                }
                Sighting::Duplicate => {
                    done.n_duplicates += 1;
                    return None;
                }
                Sighting::Conflict => park_as_conflict(&mut row),
            }
        }
        match self.seen.note_quarantined(&row.source, row.content_hash) {
            Sighting::New => {
                done.n_quarantined += 1;
                Some(row)
            }
            _ => {
                done.n_duplicates += 1;
                None
            }
        }
    }
}

/// Rows as batches of one day each, hashing and copying on all cores. Rows are moved to their day
/// before they become columns: cutting columns afterwards would copy all of them once more.
fn to_batches(rows: Vec<MessageRow>, zone: &Zone) -> Vec<RecordBatch> {
    let mut days: std::collections::BTreeMap<_, Vec<MessageRow>> = Default::default();
    for row in rows {
        days.entry(zone.day_of(row.msgtime_ms))
            .or_default()
            .push(row);
    }
    let parts: Vec<&[MessageRow]> = days
        .values()
        .flat_map(|rows| rows.chunks(ROWS_PER_BATCH))
        .collect();
    parts
        .into_par_iter()
        .map(|rows| message::to_batch(rows, zone))
        .collect()
}

/// Another content is archived under its msgid, or another record under its seq.
const CONFLICT: &str = "conflict";

/// Keeps a readable row as what it came from, since its place is taken.
fn park_as_conflict(row: &mut MessageRow) {
    row.status = Status::Quarantined;
    row.reason = Some(CONFLICT.into());
    row.envelope = Some(std::mem::take(&mut row.payload).into_bytes());
    row.text = String::new();
}

/// Reasons of records that were given the seq of a neighbour, since theirs is not known.
const WITHOUT_OWN_SEQ: [&str; 3] = ["damaged_record", "seq_out_of_range", "undeliverable"];

fn has_own_seq(row: &MessageRow) -> bool {
    let reason = row.reason.as_deref().unwrap_or_default();
    !WITHOUT_OWN_SEQ.contains(&reason)
}

#[cfg(test)]
mod tests;
