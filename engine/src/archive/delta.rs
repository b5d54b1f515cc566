//! One local Delta table: created with its schema, appended to in commits that carry the cursor,
//! replaced whole, and followed version by version.
//!
//! Rules of this file (measured, docs/adr/002): data files and log entries go through
//! [`FsyncStore`]; min/max statistics are written for the columns named in [`Layout::statistics`]
//! only, because Delta's log keeps them in plain text; the snapshot is read afresh every
//! [`COMMITS_PER_SNAPSHOT`] commits, because an incrementally updated one grows without bound.

use std::collections::HashMap;
use std::path::{Path as FsPath, PathBuf};
use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use deltalake::kernel::engine::arrow_conversion::TryIntoKernel;
use deltalake::kernel::transaction::{CommitBuilder, CommitProperties};
use deltalake::kernel::{Action, Add, Remove, StructType, Transaction};
use deltalake::logstore::LogStoreRef;
use deltalake::protocol::{DeltaOperation, SaveMode};
use deltalake::table::state::DeltaTableState;
use deltalake::{DeltaTable, DeltaTableBuilder, DeltaTableError};
use futures::{StreamExt, TryStreamExt};
use object_store::ObjectStoreExt;
use parquet::arrow::arrow_reader::{ArrowPredicateFn, ArrowReaderOptions, RowFilter};
use parquet::arrow::async_reader::ParquetRecordBatchStreamBuilder;

use super::data_file::{FileKind, encode, split_by_day, statistics, writer_properties};
use super::file_reader::FileReader;
use super::fsync_store::FsyncStore;
use super::seal;

/// After this many commits the snapshot is read afresh (latency on one handle grows linearly).
const COMMITS_PER_SNAPSHOT: u32 = 20;
/// Data files written at the same time; enough to let their syncs share a journal commit.
const CONCURRENT_WRITES: usize = 16;
/// Rows of a batch that is read from a file.
const READ_BATCH_ROWS: usize = 8192;

/// What a table is made of.
#[derive(Debug, Clone)]
pub struct Layout {
    /// All columns, the partition column included.
    pub schema: SchemaRef,
    /// The `Date32` column that splits the table into folders, if any.
    pub partition: Option<&'static str>,
    /// Columns whose min/max may stand in the plain-text log and in Parquet footers.
    pub statistics: &'static [&'static str],
    /// Columns whose values hardly repeat.
    pub unique: &'static [&'static str],
    /// One line about the table, kept in its metadata.
    pub comment: &'static str,
}

/// Why a table could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// Delta refused, or its log is damaged.
    #[error("table `{table}`: {source}")]
    Delta {
        /// The table's folder.
        table: String,
        /// Delta's own words.
        source: Box<DeltaTableError>,
    },
    /// A data file could not be read or written.
    #[error("table `{table}`, file `{file}`: {source}")]
    File {
        /// The table's folder.
        table: String,
        /// The file inside it.
        file: String,
        /// The reader's own words.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The table on disk has other columns than this build expects.
    #[error("table `{table}` has no column `{column}`; it was written by another build")]
    Column {
        /// The table's folder.
        table: String,
        /// The missing column.
        column: String,
    },
    /// The log entries that a follower asked for are no longer there.
    #[error("table `{table}`: log entry {version} is gone")]
    LogGone {
        /// The table's folder.
        table: String,
        /// The version asked for.
        version: u64,
    },
}

/// What a commit carries besides rows; it stands or falls with them.
#[derive(Debug, Default)]
pub struct CommitNote {
    /// Numbers kept by name, such as a source's cursor.
    pub transactions: Vec<(String, i64)>,
    /// Facts about the commit itself, in its log entry.
    pub info: Vec<(String, serde_json::Value)>,
}

/// Whether followers have seen the rows of a file before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    New,
    Moved,
}

/// What the log says of one data file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveFile {
    /// Its path inside the table's folder.
    pub path: String,
    /// Its length in bytes.
    pub size: i64,
    /// Its rows, if the log tells.
    pub n_rows: Option<usize>,
    /// Statistics as JSON, if the log has them.
    pub stats: Option<String>,
}

impl LiveFile {
    /// The day in the path of a table that is split by day.
    pub fn day(&self) -> Option<chrono::NaiveDate> {
        let (_, rest) = self.path.split_once("day=")?;
        rest.split('/').next()?.parse().ok()
    }

    /// Whether its rows were sorted by a compaction.
    pub fn is_sorted(&self) -> bool {
        let name = self.path.rsplit('/').next().unwrap_or(&self.path);
        name.starts_with(FileKind::Sorted.as_str())
    }
}

/// Data files that are written and synced, but in no version yet.
#[derive(Debug, Default)]
pub struct Staged {
    actions: Vec<Action>,
}

impl Staged {
    /// The paths of the files.
    pub fn paths(&self) -> Vec<&str> {
        self.actions
            .iter()
            .filter_map(|action| match action {
                Action::Add(add) => Some(add.path.as_str()),
                _ => None,
            })
            .collect()
    }

    /// Puts the files of another into this one.
    pub fn extend(&mut self, other: Self) {
        self.actions.extend(other.actions);
    }
}

/// An open Delta table.
#[derive(Debug, Clone)]
pub struct Table {
    folder: PathBuf,
    layout: Layout,
    log: LogStoreRef,
    state: DeltaTableState,
    n_commits: u32,
}

impl Table {
    /// Opens the table in `folder`, creating it with `layout` where there is none.
    pub async fn open_or_create(folder: &FsPath, layout: Layout) -> Result<Self, TableError> {
        match Self::open(folder, layout.clone()).await? {
            Some(table) => Ok(table),
            None => Self::create(folder, layout).await,
        }
    }

    /// The newest version of the table in `folder`, told by the names of its log: costs far less
    /// than opening it. `None` where there is no table yet.
    pub fn newest_version(folder: &FsPath) -> Option<u64> {
        let log = folder.join("_delta_log");
        let is_there = |version: u64| log.join(format!("{version:020}.json")).exists();
        // A log that is kept tidy has few entries behind its last checkpoint.
        if let Some(checkpointed) = last_checkpoint(&log)
            && (is_there(checkpointed) || is_there(checkpointed + 1))
        {
            let mut version = checkpointed;
            while is_there(version + 1) {
                version += 1;
            }
            return Some(version);
        }
        let names = std::fs::read_dir(&log).ok()?.filter_map(Result::ok);
        names
            .filter_map(|entry| {
                let name = entry.file_name();
                let (version, rest) = name.to_str()?.split_once('.')?;
                let is_entry = rest == "json" || rest.ends_with("parquet");
                version.parse().ok().filter(|_| is_entry)
            })
            .max()
    }

    /// Opens the table in `folder` to read its files, whatever its columns are.
    pub async fn open_any(folder: &FsPath) -> Result<Option<Self>, TableError> {
        let layout = Layout {
            schema: Arc::new(arrow::datatypes::Schema::empty()),
            partition: None,
            statistics: &[],
            unique: &[],
            comment: "",
        };
        Self::open(folder, layout).await
    }

    /// Opens the table in `folder`; `None` where there is none yet.
    pub async fn open(folder: &FsPath, layout: Layout) -> Result<Option<Self>, TableError> {
        if !folder.join("_delta_log").is_dir() {
            return Ok(None);
        }
        let fail = delta_error(folder);
        let mut table = build(folder)?;
        match table.load().await {
            Ok(()) => {}
            // A create that was killed before its first log entry left an empty log folder.
            Err(DeltaTableError::NotATable(_)) if log_is_empty(folder) => return Ok(None),
            Err(e) => return Err(fail(e)),
        }
        let state = table.snapshot().map_err(&fail)?.clone();
        let this = Self {
            folder: folder.to_path_buf(),
            layout,
            log: table.log_store(),
            state,
            n_commits: 0,
        };
        this.check_columns()?;
        Ok(Some(this))
    }

    async fn create(folder: &FsPath, layout: Layout) -> Result<Self, TableError> {
        let fail = delta_error(folder);
        std::fs::create_dir_all(folder).map_err(|e| fail(DeltaTableError::from(e)))?;
        let schema: StructType = layout
            .schema
            .as_ref()
            .try_into_kernel()
            .map_err(|e| fail(DeltaTableError::from(e)))?;
        let table = build(folder)?
            .create()
            .with_save_mode(SaveMode::Ignore)
            .with_columns(schema.fields().cloned())
            .with_partition_columns(layout.partition)
            .with_comment(layout.comment)
            .with_raise_if_key_not_exists(false)
            .with_configuration_property(
                deltalake::TableProperty::DataSkippingStatsColumns,
                Some(layout.statistics.join(",")),
            )
            .with_configuration_property(
                deltalake::TableProperty::EnableExpiredLogCleanup,
                Some("false"),
            )
            .await
            .map_err(&fail)?;
        let state = table.snapshot().map_err(&fail)?.clone();
        Ok(Self {
            folder: folder.to_path_buf(),
            layout,
            log: table.log_store(),
            state,
            n_commits: 0,
        })
    }

    fn check_columns(&self) -> Result<(), TableError> {
        let found = self.state.schema();
        for field in self.layout.schema.fields() {
            if found.field(field.name()).is_none() {
                return Err(TableError::Column {
                    table: self.folder.display().to_string(),
                    column: field.name().clone(),
                });
            }
        }
        Ok(())
    }

    /// The id that the first log entry of the table in `folder` gives it; `None` where that entry is
    /// gone or there is no table, and opening the table tells.
    pub fn id_in_log(folder: &FsPath) -> Option<String> {
        #[derive(serde::Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Line {
            meta_data: Id,
        }
        #[derive(serde::Deserialize)]
        struct Id {
            id: String,
        }
        let first = std::fs::read(folder.join(format!("_delta_log/{:020}.json", 0))).ok()?;
        let line = first
            .split(|b| *b == b'\n')
            .find(|line| line.starts_with(b"{\"metaData\""))?;
        let line: Line = serde_json::from_slice(line).ok()?;
        Some(line.meta_data.id)
    }

    /// The version that this handle sees.
    pub fn version(&self) -> u64 {
        self.state.version()
    }

    /// The id that the table got when it was made: another table in its place has another.
    pub fn id(&self) -> &str {
        self.state.metadata().id()
    }

    /// The folder of the table.
    pub fn folder(&self) -> &FsPath {
        &self.folder
    }

    /// Whether the log has an entry of `version`; looks at one name.
    pub fn has_version(&self, version: u64) -> bool {
        let entry = format!("{version:020}.json");
        self.folder.join("_delta_log").join(entry).exists()
    }

    /// Whether a data file is on disk, live or not.
    pub fn has_file(&self, path: &str) -> bool {
        self.folder.join(path).exists()
    }

    /// The same table as it was at `version`.
    pub async fn at(&self, version: u64) -> Result<Self, TableError> {
        let mut this = self.clone();
        this.state = DeltaTableState::try_new(self.log.as_ref(), Some(version))
            .await
            .map_err(delta_error(&self.folder))?;
        Ok(this)
    }

    /// All live data files with what the log says of them.
    pub fn live_files(&self) -> Vec<LiveFile> {
        self.state
            .log_data()
            .iter()
            .map(|file| LiveFile {
                path: file.path().into_owned(),
                size: file.size(),
                n_rows: file.num_records(),
                stats: file.stats(),
            })
            .collect()
    }

    /// Number of live data files.
    pub fn n_files(&self) -> usize {
        self.state.log_data().num_files()
    }

    /// The columns, the partition column included.
    pub fn schema(&self) -> &SchemaRef {
        &self.layout.schema
    }

    /// Looks at the newest version.
    pub async fn refresh(&mut self) -> Result<(), TableError> {
        let fail = delta_error(&self.folder);
        self.state = DeltaTableState::try_new(self.log.as_ref(), None)
            .await
            .map_err(fail)?;
        self.n_commits = 0;
        Ok(())
    }

    /// The number that the last commit of `application` carried.
    pub async fn transaction(&self, application: &str) -> Result<Option<i64>, TableError> {
        self.state
            .transaction_version(self.log.as_ref(), application)
            .await
            .map_err(delta_error(&self.folder))
    }

    /// A DataFusion provider of this version.
    pub async fn provider(
        &self,
    ) -> Result<Arc<dyn datafusion::catalog::TableProvider>, TableError> {
        deltalake::delta_datafusion::DeltaScanNext::builder()
            .with_log_store(Arc::clone(&self.log))
            .with_eager_snapshot(self.state.snapshot().clone())
            .build()
            .await
            .map(|scan| Arc::new(scan) as _)
            .map_err(|e| delta_error(&self.folder)(DeltaTableError::from(e)))
    }

    /// Lets a DataFusion session read this table's files.
    pub fn register(&self, session: &dyn datafusion::catalog::Session) {
        let url = self.log.root_url().clone();
        session
            .runtime_env()
            .register_object_store(&url, self.log.root_object_store(None));
    }

    /// Appends `batches` (split by the partition column) with what `note` carries, in one commit.
    /// Returns the new version.
    ///
    /// # Errors
    /// Nothing was appended; files without a log entry may be left, which nobody reads.
    pub async fn append(
        &mut self,
        batches: &[RecordBatch],
        note: CommitNote,
    ) -> Result<u64, TableError> {
        let actions = self.write_files(batches, Change::New).await?;
        self.commit(actions, note, self.writes(SaveMode::Append))
            .await
    }

    /// Takes the files `removed` out of the table and puts `moved` (rows of theirs that stay) and
    /// `new` (rows that followers have not seen) in, in one commit. With nothing new it is a
    /// compaction: no row changes, and followers learn of nothing.
    ///
    /// # Errors
    /// Nothing changed. Fails when another commit has removed one of the files meanwhile.
    pub async fn rewrite(
        &mut self,
        removed: &[String],
        moved: &[RecordBatch],
        new: &[RecordBatch],
        note: CommitNote,
    ) -> Result<u64, TableError> {
        let gone: std::collections::HashSet<&str> = removed.iter().map(String::as_str).collect();
        let mut actions = self.removals(new.is_empty(), |path| gone.contains(path));
        actions.extend(self.write_files(moved, Change::Moved).await?);
        actions.extend(self.write_files(new, Change::New).await?);
        let operation = if new.is_empty() {
            DeltaOperation::Optimize {
                predicate: None,
                target_size: 0,
            }
        } else {
            self.writes(SaveMode::Append)
        };
        self.commit(actions, note, operation).await
    }

    /// Writes rows of one day, without the day column and sorted, as a file that
    /// [`Self::compact`] may bring into the table.
    pub async fn stage_sorted(
        &self,
        day: Option<chrono::NaiveDate>,
        rows: RecordBatch,
    ) -> Result<Staged, TableError> {
        let file = self.write_file(day, vec![rows], Change::Moved, FileKind::Sorted);
        Ok(Staged {
            actions: vec![file.await?],
        })
    }

    /// Writes new rows of one day, without the day column, as a file that [`Self::append_staged`]
    /// may bring into the table.
    pub async fn stage(
        &self,
        day: Option<chrono::NaiveDate>,
        rows: RecordBatch,
    ) -> Result<Staged, TableError> {
        let file = self.write_file(day, vec![rows], Change::New, FileKind::Part);
        Ok(Staged {
            actions: vec![file.await?],
        })
    }

    /// Appends `staged` files in one commit. Returns the new version.
    ///
    /// # Errors
    /// Nothing was appended.
    pub async fn append_staged(&mut self, staged: Staged) -> Result<u64, TableError> {
        let operation = self.writes(SaveMode::Append);
        self.commit(staged.actions, CommitNote::default(), operation)
            .await
    }

    /// Puts `staged` files into the place of those `removed`, whose rows they hold; in one commit,
    /// of which followers learn nothing.
    ///
    /// # Errors
    /// Nothing changed.
    pub async fn compact(&mut self, removed: &[String], staged: Staged) -> Result<u64, TableError> {
        let gone: std::collections::HashSet<&str> = removed.iter().map(String::as_str).collect();
        let mut actions = self.removals(true, |path| gone.contains(path));
        actions.extend(staged.actions);
        let operation = DeltaOperation::Optimize {
            predicate: None,
            target_size: 0,
        };
        self.commit(actions, CommitNote::default(), operation).await
    }

    /// Writes a checkpoint of this version, so that opening reads no log entry before it.
    pub async fn checkpoint(&self) -> Result<(), TableError> {
        let fail = delta_error(&self.folder);
        let mut table = build(&self.folder)?;
        table.load_version(self.version()).await.map_err(&fail)?;
        deltalake::checkpoints::create_checkpoint(&table, None)
            .await
            .map_err(fail)
    }

    /// Replaces all rows by `batch` in one commit.
    pub async fn replace(&mut self, batch: &RecordBatch) -> Result<u64, TableError> {
        let mut actions = self.removals(false, |_| true);
        actions.extend(
            self.write_files(std::slice::from_ref(batch), Change::New)
                .await?,
        );
        self.commit(
            actions,
            CommitNote::default(),
            self.writes(SaveMode::Overwrite),
        )
        .await
    }

    fn writes(&self, mode: SaveMode) -> DeltaOperation {
        DeltaOperation::Write {
            mode,
            partition_by: self.layout.partition.map(|p| vec![p.to_string()]),
            predicate: None,
        }
    }

    fn removals(&self, only_moves: bool, is_gone: impl Fn(&str) -> bool) -> Vec<Action> {
        let now = chrono::Utc::now().timestamp_millis();
        let data = self.state.log_data();
        let files = data.iter().filter(|file| is_gone(&file.path()));
        files
            .map(|file| {
                Action::Remove(Remove {
                    path: file.path().into_owned(),
                    data_change: !only_moves,
                    deletion_timestamp: Some(now),
                    size: Some(file.size()),
                    ..Remove::default()
                })
            })
            .collect()
    }

    async fn commit(
        &mut self,
        actions: Vec<Action>,
        note: CommitNote,
        operation: DeltaOperation,
    ) -> Result<u64, TableError> {
        let transactions = note
            .transactions
            .into_iter()
            .map(|(application, number)| Transaction::new(application, number))
            .collect();
        let properties = CommitProperties::default()
            .with_cleanup_expired_logs(Some(false))
            .with_application_transactions(transactions)
            .with_metadata(note.info);
        let done = CommitBuilder::from(properties)
            .with_actions(actions)
            .build(Some(&self.state), Arc::clone(&self.log), operation)
            .await
            .map_err(delta_error(&self.folder))?;
        let version = done.version();
        self.n_commits += 1;
        if self.n_commits >= COMMITS_PER_SNAPSHOT {
            self.refresh().await?;
        } else {
            self.state = done.snapshot();
        }
        Ok(version)
    }

    async fn write_files(
        &self,
        batches: &[RecordBatch],
        change: Change,
    ) -> Result<Vec<Action>, TableError> {
        // All rows of a day are one file, whatever batches they come in.
        let mut parts: std::collections::BTreeMap<_, Vec<RecordBatch>> = Default::default();
        for batch in batches.iter().filter(|b| b.num_rows() > 0) {
            match self.layout.partition {
                Some(column) => {
                    for (day, rows) in split_by_day(batch, column) {
                        parts.entry(day).or_default().push(rows);
                    }
                }
                None => parts.entry(None).or_default().push(batch.clone()),
            }
        }
        futures::stream::iter(
            parts
                .into_iter()
                .map(|(day, rows)| self.write_file(day, rows, change, FileKind::Part)),
        )
        .buffered(CONCURRENT_WRITES)
        .try_collect()
        .await
    }

    async fn write_file(
        &self,
        day: Option<chrono::NaiveDate>,
        rows: Vec<RecordBatch>,
        change: Change,
        kind: FileKind,
    ) -> Result<Action, TableError> {
        let fail_at =
            |path: &str, source: Box<dyn std::error::Error + Send + Sync>| TableError::File {
                table: self.folder.display().to_string(),
                file: path.to_string(),
                source,
            };
        let stats = statistics(&rows, self.layout.statistics);
        let properties = writer_properties(&self.layout, kind);
        let (name, bytes) = tokio::task::spawn_blocking(move || {
            let bytes = encode(&rows, properties)?;
            Ok::<_, parquet::errors::ParquetError>((
                seal::data_file_name(kind.as_str(), &bytes),
                bytes,
            ))
        })
        .await
        .map_err(|e| fail_at("a new file", e.into()))?
        .map_err(|e| fail_at("a new file", e.into()))?;
        let path = match (self.layout.partition, day) {
            (Some(column), Some(day)) => format!("{column}={day}/{name}"),
            _ => name,
        };
        let size = bytes.len() as i64;
        self.log
            .object_store(None)
            .put(&object_store::path::Path::from(path.as_str()), bytes.into())
            .await
            .map_err(|e| fail_at(&path, e.into()))?;
        let partition_values: HashMap<String, Option<String>> = self
            .layout
            .partition
            .map(|column| (column.to_string(), day.map(|d| d.to_string())))
            .into_iter()
            .collect();
        Ok(Action::Add(Add {
            path,
            partition_values,
            size,
            modification_time: chrono::Utc::now().timestamp_millis(),
            data_change: change == Change::New,
            stats: Some(stats),
            ..Add::default()
        }))
    }

    /// The data files that each commit after `after` up to this version added with new rows
    /// (rewrites such as compaction add none), by version.
    ///
    /// # Errors
    /// [`TableError::LogGone`] when the log no longer reaches back to `after`.
    pub async fn files_added_after(
        &self,
        after: u64,
    ) -> Result<Vec<(u64, Vec<String>)>, TableError> {
        let mut versions = Vec::new();
        for version in after + 1..=self.version() {
            let entry = self
                .log
                .read_commit_entry(version)
                .await
                .map_err(delta_error(&self.folder))?
                .ok_or_else(|| TableError::LogGone {
                    table: self.folder.display().to_string(),
                    version,
                })?;
            let mut files = Vec::new();
            for line in entry.split(|b| *b == b'\n').filter(|l| !l.is_empty()) {
                let action: LogLine = serde_json::from_slice(line)
                    .map_err(|e| delta_error(&self.folder)(DeltaTableError::generic(e)))?;
                if let Some(add) = action.add.filter(|add| add.data_change) {
                    files.push(add.path);
                }
            }
            versions.push((version, files));
        }
        Ok(versions)
    }

    /// The field `key` that commit `version` carries in its info, as [`CommitNote::info`] gave it;
    /// `None` where it has none or its log entry is gone.
    pub async fn commit_info(
        &self,
        version: u64,
        key: &str,
    ) -> Result<Option<serde_json::Value>, TableError> {
        let fail = delta_error(&self.folder);
        let entry = self.log.read_commit_entry(version).await.map_err(&fail)?;
        for line in entry.iter().flat_map(|entry| entry.split(|b| *b == b'\n')) {
            // The other lines are actions: rows of files, of no interest here.
            if !line.starts_with(b"{\"commitInfo\"") {
                continue;
            }
            let mut line: serde_json::Value =
                serde_json::from_slice(line).map_err(|e| fail(DeltaTableError::generic(e)))?;
            return Ok(line["commitInfo"].get_mut(key).map(serde_json::Value::take));
        }
        Ok(None)
    }

    /// The lines of one log entry; `None` when it is not there, or no longer.
    pub async fn log_entry(&self, version: u64) -> Result<Option<bytes::Bytes>, TableError> {
        self.log
            .read_commit_entry(version)
            .await
            .map_err(delta_error(&self.folder))
    }

    /// Paths of all live data files.
    pub fn files(&self) -> Vec<String> {
        self.state
            .log_data()
            .iter()
            .map(|file| file.path().into_owned())
            .collect()
    }

    /// The rows of one data file, some columns only (those of the partition are not in the file).
    pub async fn read_file(
        &self,
        path: &str,
        columns: &[&str],
    ) -> Result<Vec<RecordBatch>, TableError> {
        self.read_file_where(path, columns, None).await
    }

    /// The rows of one data file that a condition asks for; of the others only the condition's
    /// columns are decoded.
    pub async fn read_file_where(
        &self,
        path: &str,
        columns: &[&str],
        condition: Option<Condition>,
    ) -> Result<Vec<RecordBatch>, TableError> {
        let fail = |source: Box<dyn std::error::Error + Send + Sync>| TableError::File {
            table: self.folder.display().to_string(),
            file: path.to_string(),
            source,
        };
        let reader = FileReader {
            store: self.log.object_store(None),
            path: object_store::path::Path::from_url_path(path).map_err(|e| fail(e.into()))?,
        };
        // The Arrow schema that a file's footer carries beside Parquet's own is left unread: arrow-ipc
        // panics on a damaged one, and Parquet's says all that our columns need.
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let builder = ParquetRecordBatchStreamBuilder::new_with_options(reader, options)
            .await
            .map_err(|e| fail(e.into()))?;
        let mask = parquet::arrow::ProjectionMask::columns(
            builder.parquet_schema(),
            columns.iter().copied(),
        );
        let mut builder = builder
            .with_projection(mask)
            .with_batch_size(READ_BATCH_ROWS);
        if let Some(Condition { columns, is_met }) = condition {
            let columns = columns.iter().copied();
            let mask = parquet::arrow::ProjectionMask::columns(builder.parquet_schema(), columns);
            let of_batch = move |batch: RecordBatch| (*is_met)(&batch);
            let filter = RowFilter::new(vec![Box::new(ArrowPredicateFn::new(mask, of_batch))]);
            builder = builder.with_row_filter(filter);
        }
        builder
            .build()
            .map_err(|e| fail(e.into()))?
            .try_collect()
            .await
            .map_err(|e| fail(e.into()))
    }
}

/// What rows of a file must meet, told by few of its columns.
#[derive(Clone)]
pub struct Condition {
    /// The columns.
    pub columns: &'static [&'static str],
    /// For each row, of which only these columns are given, whether it is wanted.
    pub is_met: Arc<IsMet>,
}

/// Tells of each row whether it is wanted.
pub type IsMet = dyn Fn(&RecordBatch) -> Result<BooleanArray, ArrowError> + Send + Sync;

#[derive(serde::Deserialize)]
struct LogLine {
    add: Option<LogAdd>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogAdd {
    path: String,
    data_change: bool,
}

fn build(folder: &FsPath) -> Result<DeltaTable, TableError> {
    let fail = delta_error(folder);
    let url = url::Url::from_directory_path(folder).map_err(|()| {
        fail(DeltaTableError::generic(
            "the path of a table must be absolute",
        ))
    })?;
    DeltaTableBuilder::from_url(url.clone())
        .map_err(&fail)?
        .with_storage_backend(Arc::new(FsyncStore::new()), url)
        .build()
        .map_err(&fail)
}

/// The version that the log names as its last checkpoint.
fn last_checkpoint(log: &FsPath) -> Option<u64> {
    #[derive(serde::Deserialize)]
    struct Hint {
        version: u64,
    }
    let bytes = std::fs::read(log.join("_last_checkpoint")).ok()?;
    let hint: Hint = serde_json::from_slice(&bytes).ok()?;
    Some(hint.version)
}

fn log_is_empty(folder: &FsPath) -> bool {
    std::fs::read_dir(folder.join("_delta_log")).is_ok_and(|entries| {
        entries
            .filter_map(Result::ok)
            .all(|e| e.file_name().to_string_lossy().contains('#'))
    })
}

fn delta_error(folder: &FsPath) -> impl Fn(DeltaTableError) -> TableError + use<> {
    let table = folder
        .file_name()
        .map(|n| n.to_string_lossy().into_owned())
        .unwrap_or_default();
    move |source| TableError::Delta {
        table: table.clone(),
        source: Box::new(source),
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{AsArray, Int64Array};
    use arrow::datatypes::{DataType, Field, Int64Type, Schema};

    use super::*;

    fn layout() -> Layout {
        let column = |name| Field::new(name, DataType::Int64, false);
        Layout {
            schema: Arc::new(Schema::new(vec![column("n"), column("square")])),
            partition: None,
            statistics: &[],
            unique: &[],
            comment: "",
        }
    }

    fn squares(of: std::ops::Range<i64>) -> RecordBatch {
        let squares = Int64Array::from_iter_values(of.clone().map(|n| n * n));
        let columns = [Int64Array::from_iter_values(of), squares].map(|c| Arc::new(c) as _);
        RecordBatch::try_new(layout().schema, columns.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn names_tell_the_version_before_and_behind_a_checkpoint() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        assert_eq!(Table::newest_version(folder), None);
        assert_eq!(Table::id_in_log(folder), None);
        let mut table = Table::open_or_create(folder, layout()).await.unwrap();
        for _ in 0..3 {
            let note = CommitNote::default();
            table.append(&[squares(0..1)], note).await.unwrap();
            assert_eq!(Table::newest_version(folder), Some(table.version()));
        }
        assert_eq!(Table::id_in_log(folder).as_deref(), Some(table.id()));
        table.checkpoint().await.unwrap();
        // Entries before a checkpoint may be gone, in the end its own too.
        for version in 0..=table.version() {
            let entry = format!("_delta_log/{version:020}.json");
            std::fs::remove_file(folder.join(entry)).unwrap();
            assert_eq!(Table::newest_version(folder), Some(table.version()));
        }
        assert_eq!(Table::id_in_log(folder), None);
        let next = format!("_delta_log/{:020}.json", table.version() + 1);
        std::fs::write(folder.join(next), "{}").unwrap();
        assert_eq!(Table::newest_version(folder), Some(table.version() + 1));
    }

    #[tokio::test]
    async fn a_condition_picks_rows_by_a_column_that_is_not_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let layout = layout();
        let mut table = Table::open_or_create(folder.path(), layout).await.unwrap();
        let note = CommitNote::default();
        table.append(&[squares(0..10)], note).await.unwrap();
        let even = Condition {
            columns: &["n"],
            is_met: Arc::new(|batch| {
                let n = batch.column(0).as_primitive::<Int64Type>().values();
                Ok(n.iter().map(|n| Some(n % 2 == 0)).collect())
            }),
        };
        let file = &table.files()[0];
        let read = table.read_file_where(file, &["square"], Some(even));
        let read = read.await.unwrap();
        let found = read
            .iter()
            .flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values());
        assert_eq!(found.copied().collect::<Vec<_>>(), [0, 4, 16, 36, 64]);
    }
}
