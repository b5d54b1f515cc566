//! The directory on disk: one Delta table per directory table, upserted by key.
//!
//! All files of an import are read, merged and checked before the first table is touched. A table
//! is replaced in one commit, sorted by key, so that readers see the old or the new one.

use std::collections::HashMap;
use std::path::PathBuf;

use arrow::array::{RecordBatch, UInt32Array};
use arrow::error::ArrowError;
use arrow::row::{RowConverter, SortField};

use super::checks::{self, Merged, REFERENCES, Reference};
use super::feed::{self, Feed, FeedError};
use super::schema::{TABLES, TableSpec, table};
use crate::archive::{Home, Table, TableError};

/// Why directory rows were not taken.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// A row or file is wrong; nothing was changed.
    #[error(transparent)]
    Feed(#[from] FeedError),
    /// A table could not be read or written.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The data directory cannot be used.
    #[error(transparent)]
    Home(#[from] crate::archive::HomeError),
    /// Rows could not be merged.
    #[error("cannot merge rows of `{table}`: {source}")]
    Merge {
        /// The table.
        table: &'static str,
        /// Arrow's own words.
        source: ArrowError,
    },
}

/// What an upsert did to one table.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Upserted {
    /// The table.
    pub table: &'static str,
    /// Rows that are new.
    pub inserted: usize,
    /// Rows whose key was there.
    pub updated: usize,
    /// Rows now.
    pub total: usize,
}

/// The files that an import names: folders are opened one level deep.
pub fn files_of(paths: &[PathBuf]) -> Result<Vec<PathBuf>, FeedError> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let read = |source: std::io::Error| FeedError::Read {
                file: path.display().to_string(),
                source: source.into(),
            };
            let mut inside: Vec<PathBuf> = std::fs::read_dir(path)
                .map_err(read)?
                .filter_map(Result::ok)
                .map(|e| e.path())
                .filter(|p| {
                    let ending = p.extension().unwrap_or_default().to_string_lossy();
                    matches!(ending.as_ref(), "ndjson" | "jsonl" | "csv" | "parquet")
                })
                .collect();
            inside.sort();
            files.extend(inside);
        } else {
            files.push(path.clone());
        }
    }
    Ok(files)
}

/// Reads all `paths` and changes nothing: a mistake in the last file is found before the first
/// table, or even a data directory, is touched.
pub fn read_all(paths: &[PathBuf]) -> Result<Vec<Feed>, FeedError> {
    files_of(paths)?
        .iter()
        .map(|file| feed::read_file(file))
        .collect()
}

/// What an import did.
#[derive(Debug, Clone, Default)]
pub struct Imported {
    /// Table by table, in the order of the feeds.
    pub tables: Vec<Upserted>,
    /// What is odd but was taken: ids that no table knows.
    pub warnings: Vec<String>,
}

/// Upserts rows; the last of several rows with one key holds. All tables are merged and checked
/// before the first is written.
///
/// # Errors
/// A contradiction in the tables as they would be ([`FeedError::Contradiction`]): nothing was
/// changed. What the disk says.
pub async fn import(home: &Home, feeds: Vec<Feed>) -> Result<Imported, DirectoryError> {
    let patience = std::time::Duration::from_secs(30);
    // It may wait, so it waits where that holds up nobody else.
    let waiting = home.clone();
    let lock = move || waiting.lock_directory("a directory import", patience);
    let _lock =
        tokio::task::spawn_blocking(lock)
            .await
            .map_err(|e| crate::archive::HomeError::Io {
                what: "lock",
                path: home.root().to_path_buf(),
                source: std::io::Error::other(e),
            })??;
    let mut order: Vec<&'static TableSpec> = Vec::new();
    for feed in &feeds {
        if order.iter().all(|spec| spec.name != feed.spec.name) {
            order.push(feed.spec);
        }
    }
    let mut changes = Vec::with_capacity(order.len());
    for spec in order {
        let fed: Vec<&Feed> = feeds.iter().filter(|f| f.spec.name == spec.name).collect();
        let before = rows_of(home, spec).await?;
        let change = Change::of(spec, before, &fed).map_err(|source| DirectoryError::Merge {
            table: spec.name,
            source,
        })?;
        checks::check(&change.merged)?;
        changes.push(change);
    }
    let warnings = warnings(home, &feeds, &changes).await?;
    let mut tables = Vec::with_capacity(changes.len());
    for change in changes {
        tables.push(change.write(home).await?);
    }
    Ok(Imported { tables, warnings })
}

/// Upserts the rows of one feed.
///
/// # Errors
/// As [`import`].
pub async fn upsert(home: &Home, feed: Feed) -> Result<Imported, DirectoryError> {
    import(home, vec![feed]).await
}

/// What an import would do to one table.
struct Change<'a> {
    spec: &'static TableSpec,
    before: RecordBatch,
    merged: Merged<'a>,
    n_fed: usize,
}

impl<'a> Change<'a> {
    fn of(
        spec: &'static TableSpec,
        before: RecordBatch,
        fed: &[&'a Feed],
    ) -> Result<Self, ArrowError> {
        let mut batches = vec![&before];
        batches.extend(fed.iter().map(|feed| &feed.rows));
        let all = arrow::compute::concat_batches(&spec.schema(), batches)?;
        let kept = last_of_each_key(spec, &all)?;
        let mut origins: Vec<Option<(&Feed, usize)>> = vec![None; before.num_rows()];
        for feed in fed {
            origins.extend((0..feed.rows.num_rows()).map(|row| Some((*feed, row))));
        }
        let origin: Vec<_> = kept.iter().map(|row| origins[*row as usize]).collect();
        let rows = arrow::compute::take_record_batch(&all, &UInt32Array::from(kept))?;
        Ok(Self {
            spec,
            n_fed: origin.iter().flatten().count(),
            merged: Merged {
                table: spec.name,
                rows,
                origin,
            },
            before,
        })
    }

    async fn write(self, home: &Home) -> Result<Upserted, TableError> {
        let (spec, rows) = (self.spec, self.merged.rows);
        let mut table = Table::open_or_create(&home.table(spec.name), spec.layout()).await?;
        if rows != self.before {
            table.replace(&rows).await?;
        }
        let inserted = rows.num_rows() - self.before.num_rows();
        Ok(Upserted {
            table: spec.name,
            inserted,
            updated: self.n_fed - inserted,
            total: rows.num_rows(),
        })
    }
}

/// The row that holds for each key, in the order of the keys.
fn last_of_each_key(spec: &TableSpec, all: &RecordBatch) -> Result<Vec<u32>, ArrowError> {
    let keys = spec.key();
    let fields = keys
        .iter()
        .map(|i| SortField::new(all.column(*i).data_type().clone()))
        .collect();
    let columns: Vec<_> = keys.iter().map(|i| all.column(*i).clone()).collect();
    let encoded = RowConverter::new(fields)?.convert_columns(&columns)?;
    let mut last: HashMap<&[u8], u32> = HashMap::with_capacity(all.num_rows());
    for row in 0..all.num_rows() {
        last.insert(encoded.row(row).data(), row as u32);
    }
    let mut kept: Vec<(&[u8], u32)> = last.into_iter().collect();
    kept.sort_unstable();
    Ok(kept.into_iter().map(|(_, row)| row).collect())
}

/// Ids in the feeds that no table knows, neither those stored nor those that come with them.
async fn warnings(
    home: &Home,
    feeds: &[Feed],
    changes: &[Change<'_>],
) -> Result<Vec<String>, TableError> {
    let mut known: HashMap<&str, RecordBatch> = changes
        .iter()
        .map(|change| (change.spec.name, change.merged.rows.clone()))
        .collect();
    let mut warnings = Vec::new();
    for feed in feeds {
        let of_table = |r: &&Reference| r.table == feed.spec.name;
        for reference in REFERENCES.iter().filter(of_table) {
            if !known.contains_key(reference.known_by) {
                let spec = table(reference.known_by).expect("references name tables");
                known.insert(spec.name, rows_of(home, spec).await?);
            }
            let found = checks::unknown_ids(reference, feed, &known[reference.known_by]);
            warnings.extend(found);
        }
    }
    Ok(warnings)
}

/// All rows of a directory table; empty where it has never been fed.
pub async fn rows_of(home: &Home, spec: &'static TableSpec) -> Result<RecordBatch, TableError> {
    match Table::open(&home.table(spec.name), spec.layout()).await? {
        Some(table) => all_rows(&table, spec).await,
        None => Ok(RecordBatch::new_empty(spec.schema())),
    }
}

async fn all_rows(table: &Table, spec: &TableSpec) -> Result<RecordBatch, TableError> {
    let columns: Vec<&str> = spec.columns.iter().map(|c| c.name).collect();
    let mut batches = Vec::new();
    for file in table.files() {
        batches.extend(table.read_file(&file, &columns).await?);
    }
    arrow::compute::concat_batches(&spec.schema(), &batches).map_err(|e| TableError::File {
        table: spec.name.into(),
        file: "all files".into(),
        source: e.into(),
    })
}

/// All rows of a directory table with the version that they are of; none where it has never been
/// fed.
pub(super) async fn version_of_rows(
    home: &Home,
    spec: &'static TableSpec,
) -> Result<Option<(u64, RecordBatch)>, TableError> {
    match Table::open(&home.table(spec.name), spec.layout()).await? {
        Some(table) => Ok(Some((table.version(), all_rows(&table, spec).await?))),
        None => Ok(None),
    }
}

/// The version of each directory table that has been fed: what an answer was computed from. Looks
/// at names only.
pub fn versions(home: &Home) -> Vec<(&'static str, u64)> {
    let version = |spec: &TableSpec| Table::newest_version(&home.table(spec.name));
    TABLES
        .iter()
        .filter_map(|spec| Some((spec.name, version(spec)?)))
        .collect()
}
