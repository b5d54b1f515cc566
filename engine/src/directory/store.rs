//! The directory on disk: one Delta table per directory table, upserted by key.
//!
//! All files of an import are read and checked before the first table is touched. A table is
//! replaced in one commit, sorted by key, so that readers see the old or the new one.

use std::collections::HashMap;
use std::path::PathBuf;

use arrow::array::{RecordBatch, UInt32Array};
use arrow::row::{RowConverter, SortField};

use super::feed::{self, FeedError};
use super::schema::{TABLES, TableSpec};
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
        source: arrow::error::ArrowError,
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

/// Rows that were read and checked, with the table that they are for.
pub type Feed = (&'static TableSpec, RecordBatch);

/// Reads all `paths` and changes nothing: a mistake in the last file is found before the first
/// table, or even a data directory, is touched.
pub fn read_all(paths: &[PathBuf]) -> Result<Vec<Feed>, FeedError> {
    files_of(paths)?
        .iter()
        .map(|file| feed::read_file(file))
        .collect()
}

/// Upserts rows table by table.
pub async fn import(home: &Home, feeds: Vec<Feed>) -> Result<Vec<Upserted>, DirectoryError> {
    let mut done = Vec::with_capacity(feeds.len());
    for (spec, batch) in feeds {
        done.push(upsert(home, spec, batch).await?);
    }
    Ok(done)
}

/// Upserts rows into one table; the last of several rows with one key holds.
pub async fn upsert(
    home: &Home,
    spec: &'static TableSpec,
    rows: RecordBatch,
) -> Result<Upserted, DirectoryError> {
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
    let mut table = Table::open_or_create(&home.table(spec.name), spec.layout()).await?;
    let before = all_rows(&table, spec).await?;
    let n_before = before.num_rows();
    let merged = merge(spec, &before, &rows).map_err(|source| DirectoryError::Merge {
        table: spec.name,
        source,
    })?;
    let inserted = merged.num_rows() - n_before;
    let distinct = merge(spec, &RecordBatch::new_empty(spec.schema()), &rows)
        .map_err(|source| DirectoryError::Merge {
            table: spec.name,
            source,
        })?
        .num_rows();
    if merged != before {
        table.replace(&merged).await?;
    }
    Ok(Upserted {
        table: spec.name,
        inserted,
        updated: distinct - inserted,
        total: merged.num_rows(),
    })
}

fn merge(
    spec: &TableSpec,
    before: &RecordBatch,
    rows: &RecordBatch,
) -> Result<RecordBatch, arrow::error::ArrowError> {
    let all = arrow::compute::concat_batches(&spec.schema(), [before, rows])?;
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
    let rows = UInt32Array::from_iter_values(kept.into_iter().map(|(_, row)| row));
    arrow::compute::take_record_batch(&all, &rows)
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

/// The version of each directory table that has been fed: what an answer was computed from.
pub async fn versions(home: &Home) -> Result<Vec<(&'static str, u64)>, TableError> {
    let mut found = Vec::new();
    for spec in TABLES {
        if let Some(table) = Table::open(&home.table(spec.name), spec.layout()).await? {
            found.push((spec.name, table.version()));
        }
    }
    Ok(found)
}
