//! Compaction (合并小文件): the small files of a closed day become files sorted for reading, by
//! conversation, msgtime and seq.
//!
//! It changes no row and no cursor, and runs beside pulls and questions: what it replaces stays on
//! disk until [`super::vacuum`]. Before a commit the new files are read back, every leaf hash is
//! recomputed from the bytes on disk, and the multiset of leaves must be that of the files that
//! they replace. A damaged file is left where it is, for `huicun verify` to name.

use std::collections::BTreeMap;
use std::time::Duration;

use arrow::array::{Array, RecordBatch};
use arrow::compute::{SortColumn, concat_batches, lexsort_to_indices, take_record_batch};
use chrono::NaiveDate;

use super::delta::{LiveFile, Staged, Table, TableError};
use super::home::{Home, HomeError};
use super::seal::{self, Seal, Sum};
use super::verify::files::decode;
use super::{leaf, messages};

/// Decoded bytes that are sorted together: the bound of memory is some three times that, and a
/// file of this content is some 20 to 30 MiB on disk.
const GROUP_BYTES_MAX: usize = 128 << 20;
/// Sorted files below this are merged with what came later; larger ones are left alone, so that a
/// late message does not rewrite a whole day.
const SORTED_BYTES_SMALL: i64 = 8 << 20;
/// Groups of one commit: a backlog of years makes tens of commits and not thousands.
const GROUPS_PER_COMMIT: usize = 32;
/// How long to wait for another that rewrites files.
const PATIENCE: Duration = Duration::from_secs(30);
/// What files are sorted by; the source decides between equal ones.
const ORDER: [&str; 4] = ["conversation_id", "msgtime", "seq", "source"];

/// What a compaction did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Compacted {
    /// Days whose files were rewritten.
    pub n_days: u64,
    /// Files that were replaced.
    pub n_files_before: u64,
    /// Files that replaced them.
    pub n_files_after: u64,
    /// Rows in them.
    pub n_rows: u64,
    /// Files that were left as they are because they are damaged.
    pub damaged: Vec<String>,
}

/// Why a compaction stopped; what was committed before stays.
#[derive(Debug, thiserror::Error)]
pub enum CompactError {
    /// The data directory cannot be used, or another rewrites.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// A table could not be read or written.
    #[error(transparent)]
    Table(#[from] TableError),
    /// Rows could not be sorted.
    #[error("cannot sort rows of day {day}: {source}")]
    Sort {
        /// The day.
        day: NaiveDate,
        /// Arrow's own words.
        source: arrow::error::ArrowError,
    },
    /// What was written is not what was read; nothing was committed.
    #[error(
        "the rewritten rows of day {day} differ from those that they replace; nothing was changed"
    )]
    Differs {
        /// The day.
        day: NaiveDate,
    },
}

/// Takes the lock of those who rewrite files, waiting where that holds up nobody else.
pub(super) async fn lock_rewrite(
    home: &Home,
    who: &'static str,
) -> Result<super::home::Lock, HomeError> {
    let waiting = home.clone();
    tokio::task::spawn_blocking(move || waiting.lock_rewrite(who, PATIENCE))
        .await
        .map_err(|e| HomeError::Io {
            what: "lock",
            path: home.root().to_path_buf(),
            source: std::io::Error::other(e),
        })?
}

/// Compacts the days before `open_from` (all days without one).
///
/// # Errors
/// What was committed before the error stays; trying again goes on from there.
pub async fn compact(home: &Home, open_from: Option<NaiveDate>) -> Result<Compacted, CompactError> {
    let _lock = lock_rewrite(home, "a compaction").await?;
    let mut done = Compacted::default();
    let Some(mut table) = messages::open(home).await? else {
        return Ok(done);
    };
    let mut pending = Pending::default();
    for (day, files) in wanting(&table, open_from) {
        done.n_days += 1;
        let mut group = Group::default();
        for file in files {
            let Some(rows) = read_whole(&table, &file).await? else {
                done.damaged.push(file.path);
                continue;
            };
            if group.n_bytes > 0 && group.n_bytes + rows.n_bytes > GROUP_BYTES_MAX {
                pending
                    .stage(&table, day, std::mem::take(&mut group))
                    .await?;
            }
            group.add(file, rows);
        }
        pending.stage(&table, day, group).await?;
        if pending.n_groups >= GROUPS_PER_COMMIT {
            pending.commit(&mut table, &mut done).await?;
        }
    }
    pending.commit(&mut table, &mut done).await?;
    Ok(done)
}

/// The files to rewrite, by day.
fn wanting(table: &Table, open_from: Option<NaiveDate>) -> BTreeMap<NaiveDate, Vec<LiveFile>> {
    let mut days: BTreeMap<NaiveDate, Vec<LiveFile>> = BTreeMap::new();
    for file in table.live_files() {
        match file.day() {
            Some(day) if open_from.is_none_or(|open| day < open) => {
                days.entry(day).or_default().push(file);
            }
            _ => {}
        }
    }
    days.retain(|_, files| files.iter().any(|file| !file.is_sorted()));
    for files in days.values_mut() {
        files.retain(|file| !file.is_sorted() || file.size < SORTED_BYTES_SMALL);
        files.sort_by(|a, b| a.path.cmp(&b.path));
    }
    days
}

/// Rows of one file, with what they weigh.
struct Rows {
    batches: Vec<RecordBatch>,
    n_bytes: usize,
    leaves: Sum,
}

/// All rows of a file; `None` when they are damaged.
async fn read_whole(table: &Table, file: &LiveFile) -> Result<Option<Rows>, CompactError> {
    let batches = match read_sealed(table, &file.path).await {
        Ok(batches) => batches,
        Err(error) => {
            tracing::error!(
                file = file.path,
                error,
                "a file is damaged and is not compacted; run `huicun verify`"
            );
            return Ok(None);
        }
    };
    let n_rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    let leaves = leaves_of(&batches).filter(|_| file.n_rows.is_none_or(|n| n == n_rows));
    let Some(leaves) = leaves else {
        tracing::error!(
            file = file.path,
            "rows differ from their hashes; the file is not compacted; run `huicun verify`"
        );
        return Ok(None);
    };
    Ok(Some(Rows {
        n_bytes: batches.iter().map(RecordBatch::get_array_memory_size).sum(),
        batches,
        leaves,
    }))
}

/// All rows of a file whose bytes are those that its name tells: a leaf hash is over some columns
/// only, and a flipped bit in another must not be sealed anew.
async fn read_sealed(table: &Table, path: &str) -> Result<Vec<RecordBatch>, String> {
    let (file, path) = (table.folder().join(path), path.to_string());
    tokio::task::spawn_blocking(move || {
        let bytes = std::fs::read(file).map_err(|e| e.to_string())?;
        if seal::check_name(&path, &bytes) == Seal::Broken {
            return Err("its bytes are not those that its name tells".into());
        }
        let mut batches = Vec::new();
        decode(bytes.into(), &mut |batch| batches.push(batch.clone()))
            .map_err(|e| e.to_string())?;
        Ok(batches)
    })
    .await
    .map_err(|e| e.to_string())?
}

/// The multiset of recomputed leaves; `None` when one of them is not the stored one.
fn leaves_of(batches: &[RecordBatch]) -> Option<Sum> {
    let (mut sum, mut is_whole) = (Sum::default(), true);
    for batch in batches {
        leaf::recompute(batch, |_, leaf, is_equal| {
            sum.add(leaf);
            is_whole &= is_equal;
        })?;
    }
    is_whole.then_some(sum)
}

/// Files whose rows are sorted together.
#[derive(Default)]
struct Group {
    files: Vec<String>,
    batches: Vec<RecordBatch>,
    n_bytes: usize,
    leaves: Sum,
}

impl Group {
    fn add(&mut self, file: LiveFile, rows: Rows) {
        self.files.push(file.path);
        self.batches.extend(rows.batches);
        self.n_bytes += rows.n_bytes;
        self.leaves.merge(&rows.leaves);
    }
}

/// What the next commit takes out and puts in.
#[derive(Default)]
struct Pending {
    removed: Vec<String>,
    staged: Staged,
    n_rows: u64,
    n_groups: usize,
}

impl Pending {
    /// Writes the sorted rows of a group and reads them back.
    async fn stage(
        &mut self,
        table: &Table,
        day: NaiveDate,
        group: Group,
    ) -> Result<(), CompactError> {
        let Some(first) = group.batches.first() else {
            return Ok(());
        };
        let schema = first.schema();
        let batches = group.batches;
        let sorted = tokio::task::spawn_blocking(move || {
            let whole = concat_batches(&schema, &batches)?;
            drop(batches);
            sort(&whole)
        })
        .await
        .map_err(|_| CompactError::Differs { day })?
        .map_err(|source| CompactError::Sort { day, source })?;
        let staged = table.stage_sorted(Some(day), sorted.clone()).await?;
        let mut written = Vec::new();
        for path in staged.paths() {
            let read = read_sealed(table, path).await;
            written.extend(read.map_err(|_| CompactError::Differs { day })?);
        }
        let is_same = leaves_of(&written) == Some(group.leaves) && holds(&written, &sorted);
        if !is_same {
            return Err(CompactError::Differs { day });
        }
        self.n_rows += sorted.num_rows() as u64;
        self.removed.extend(group.files);
        self.staged.extend(staged);
        self.n_groups += 1;
        Ok(())
    }

    async fn commit(
        &mut self,
        table: &mut Table,
        done: &mut Compacted,
    ) -> Result<(), CompactError> {
        let this = std::mem::take(self);
        if this.n_groups == 0 {
            return Ok(());
        }
        let n_after = this.staged.paths().len() as u64;
        table.compact(&this.removed, this.staged).await?;
        done.n_files_before += this.removed.len() as u64;
        done.n_files_after += n_after;
        done.n_rows += this.n_rows;
        Ok(())
    }
}

fn sort(rows: &RecordBatch) -> Result<RecordBatch, arrow::error::ArrowError> {
    let columns: Vec<SortColumn> = ORDER
        .iter()
        .filter_map(|name| rows.column_by_name(name))
        .map(|column| SortColumn {
            values: column.clone(),
            options: None,
        })
        .collect();
    let order = lexsort_to_indices(&columns, None)?;
    take_record_batch(rows, &order)
}

/// Whether batches are, one after another, the rows of `whole` in every column.
fn holds(batches: &[RecordBatch], whole: &RecordBatch) -> bool {
    let mut at = 0;
    for batch in batches {
        if at + batch.num_rows() > whole.num_rows() {
            return false;
        }
        let expected = whole.slice(at, batch.num_rows());
        let is_equal = expected
            .columns()
            .iter()
            .zip(batch.columns())
            .all(|(a, b)| a.to_data() == b.to_data());
        if !is_equal || expected.num_columns() != batch.num_columns() {
            return false;
        }
        at += batch.num_rows();
    }
    at == whole.num_rows()
}
