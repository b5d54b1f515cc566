//! Parked rows that were opened again, brought in where they stand: the rows leave their files
//! and come in anew, as they would have been if they had been read at first.
//!
//! One commit, which moves no cursor: the other rows of those files move unchanged, so that
//! followers see the new rows only. What came is kept until that commit is there.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Date32Array, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::error::ArrowError;

use super::{AppendError, MessageWriter, TABLE, park_as_conflict};
use crate::archive::delivery::{Delivery, ranges};
use crate::archive::delta::{CommitNote, TableError};
use crate::archive::message::{self, MessageRow, SCHEMA, Status};
use crate::archive::seen::Sighting;

/// Parked rows of one file, each with its place in it and what it has become. A row that is still
/// parked replaces the old one too, so only rows whose reason has changed belong here.
pub struct Reopened {
    /// The file's path in the table.
    pub file: String,
    /// Place among the file's rows, from 0, and the new row; same source. A row that stood for
    /// several records is followed by one for each.
    pub rows: Vec<(usize, MessageRow)>,
}

/// What a commit of reopened rows did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Resolved {
    /// The table's version with it.
    pub version: u64,
    /// Messages that left the quarantine for the archive.
    pub n_archived: u64,
    /// Records that were there already, and left the quarantine.
    pub n_duplicates: u64,
    /// Records that stay, with another reason.
    pub n_kept: u64,
}

impl MessageWriter {
    /// Brings reopened rows of one source in, in one commit. The caller holds the lock of rewrites.
    ///
    /// # Errors
    /// Nothing changed on disk. As after [`Self::append`], this writer must then be opened afresh.
    pub async fn resolve(
        &mut self,
        source: &Arc<str>,
        reopened: Vec<Reopened>,
    ) -> Result<Resolved, AppendError> {
        self.table.refresh().await?;
        let mut n_places = 0;
        let live: HashSet<String> = self.table.files().into_iter().collect();
        let (mut removed, mut moved, mut changed) = (Vec::new(), Vec::new(), Vec::new());
        for Reopened { file, rows } in reopened {
            // A file that was rewritten meanwhile is met again at the next attempt.
            if rows.is_empty() || !live.contains(&file) {
                continue;
            }
            let places: HashSet<usize> = rows.iter().map(|(place, _)| *place).collect();
            n_places += places.len() as u64;
            moved.extend(self.without(&file, &places).await?);
            changed.extend(rows.into_iter().map(|(_, row)| row));
            removed.push(file);
        }
        let mut done = Resolved {
            version: self.table.version(),
            ..Resolved::default()
        };
        if removed.is_empty() {
            return Ok(done);
        }
        // Records that only now turned out to be there are delivered with this commit.
        let n_more = (changed.len() as u64).saturating_sub(n_places);
        // The first by seq is the message, as it would have been.
        changed.sort_by_key(|row| row.seq);
        let mut duplicates = Vec::new();
        let mut kept = Vec::with_capacity(changed.len());
        for row in changed {
            debug_assert_eq!(row.source, *source);
            let seq = row.seq;
            match self.readmit(row, &mut done) {
                Some(row) => kept.push(row),
                None => duplicates.push(seq),
            }
        }
        let archived = n_more.min(done.n_archived);
        let deduplicated = (n_more - archived).min(done.n_duplicates);
        let delivery = Delivery {
            source: source.to_string(),
            delivered: n_more,
            archived,
            deduplicated,
            quarantined: n_more - archived - deduplicated,
            resolved: done.n_archived - archived,
            resolved_duplicates: done.n_duplicates - deduplicated,
            deduplicated_seqs: ranges(&mut duplicates),
            ..Delivery::default()
        };
        let zone = self.zone;
        let new = tokio::task::spawn_blocking(move || message::to_batch(&kept, &zone))
            .await
            .map_err(|e| file_error("a new batch", e))?;
        let new: Vec<RecordBatch> = Some(new).filter(|b| b.num_rows() > 0).into_iter().collect();
        let note = CommitNote {
            info: vec![delivery.info()],
            ..CommitNote::default()
        };
        done.version = self.table.rewrite(&removed, &moved, &new, note).await?;
        Ok(done)
    }

    fn readmit(&mut self, mut row: MessageRow, done: &mut Resolved) -> Option<MessageRow> {
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
        // It is this row's own content that may be known: it is never dropped for that.
        self.seen.note_quarantined(&row.source, row.content_hash);
        done.n_kept += 1;
        Some(row)
    }

    /// The rows of a file that are at none of these places, the day among them.
    async fn without(
        &self,
        file: &str,
        places: &HashSet<usize>,
    ) -> Result<Vec<RecordBatch>, TableError> {
        let fields = SCHEMA.fields().iter().skip(1);
        let columns: Vec<&str> = fields.map(|field| field.name().as_str()).collect();
        let day = day_of(file).ok_or_else(|| file_error(file, "its path names no day"))?;
        let mut kept = Vec::new();
        let mut first = 0;
        for batch in self.table.read_file(file, &columns).await? {
            let n = batch.num_rows();
            let stays =
                BooleanArray::from_iter((first..first + n).map(|p| Some(!places.contains(&p))));
            first += n;
            let rows = filter_record_batch(&batch, &stays)
                .and_then(|rows| with_day(&rows, day))
                .map_err(|e| file_error(file, e))?;
            if rows.num_rows() > 0 {
                kept.push(rows);
            }
        }
        Ok(kept)
    }
}

fn file_error(
    file: &str,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> TableError {
    TableError::File {
        table: TABLE.into(),
        file: file.into(),
        source: source.into(),
    }
}

/// The day in `day=2024-10-01/part-...parquet`, in days since 1970.
fn day_of(file: &str) -> Option<i32> {
    let (folder, _) = file.split_once('/')?;
    let day: chrono::NaiveDate = folder.strip_prefix("day=")?.parse().ok()?;
    i32::try_from((day - chrono::NaiveDate::default()).num_days()).ok()
}

/// Rows as they stand in a file, with the day that its folder tells.
fn with_day(rows: &RecordBatch, day: i32) -> Result<RecordBatch, ArrowError> {
    let days: ArrayRef = Arc::new(Date32Array::from_value(day, rows.num_rows()));
    let columns = SCHEMA.fields().iter().skip(1).map(|field| {
        let column = rows.column_by_name(field.name()).cloned();
        column.ok_or_else(|| ArrowError::SchemaError(format!("no column `{}`", field.name())))
    });
    let columns: Result<Vec<ArrayRef>, ArrowError> =
        std::iter::once(Ok(days)).chain(columns).collect();
    RecordBatch::try_new(SCHEMA.clone(), columns?)
}
