//! The derived tables on disk: one *generation* (世代) is a folder of Delta tables that were derived
//! together, and `derived/current.json` names the generation in force, the version of each of its
//! tables, and what they were made from. That file is replaced in one step, so that all tables
//! change together; a generation that was never named is nothing.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{AsArray as _, BooleanArray, RecordBatch, UInt32Array};
use arrow::datatypes::Date32Type;
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::ObjectStoreExt;
use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};
use serde::{Deserialize, Serialize};

use super::DeriveError;
use super::schema::Derived;
use super::spill::Aside;
use crate::archive::delta::Staged;
use crate::archive::fsync_store::FsyncStore;
use crate::archive::{CommitNote, Home, Table, seal};

const FILE: &str = "current.json";
/// Raised when rows would be derived otherwise, or tables look otherwise: older ones are left.
const FORMAT: u32 = 4;
/// Days of a table that a rebuild sorts and writes at the same time.
const DAYS_AT_ONCE: usize = 8;

/// What tables were made from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MadeFrom {
    /// The id of the `messages` table; another one in its place has another.
    pub messages_id: String,
    /// Its version.
    pub messages_version: u64,
    /// Hash of the rules by which conversations are cut.
    pub conversation_rules: String,
    /// Hash of the rules by which timers become timeouts.
    pub timeout_rules: String,
    /// Versions of the directory's tables.
    pub directory: BTreeMap<String, u64>,
    /// What behaviours follow.
    pub watched: WatchedBy,
}

/// What of the state decides about behaviours: versions of the rules, rescans, and losses of
/// relations. All of them only ever grow.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchedBy {
    /// How many versions of the rules there are.
    pub n_versions: usize,
    /// Hash of their numbers and instants.
    pub versions: String,
    /// How many rescans were asked for.
    pub n_rescans: usize,
    /// Hash of them.
    pub rescans: String,
    /// How many losses of relations are known.
    pub n_losses: i64,
    /// When the last of them entered, UTC milliseconds.
    pub last_loss_ms: i64,
}

/// The derived tables in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    format: u32,
    /// The folder's number.
    pub generation: u64,
    /// Of what.
    pub made_from: MadeFrom,
    /// Version of each table.
    pub tables: BTreeMap<String, u64>,
    /// The last instant at which a message of `messages` was archived, UTC milliseconds: rules
    /// applied later do not reach what is there.
    pub archived_until_ms: i64,
}

impl Manifest {
    /// A manifest of this format.
    pub fn new(generation: u64, made_from: MadeFrom) -> Self {
        Self {
            format: FORMAT,
            generation,
            made_from,
            tables: BTreeMap::new(),
            archived_until_ms: i64::MIN,
        }
    }

    /// The manifest in force; none before the first, or where it is damaged or of another format:
    /// then everything is derived anew.
    pub fn read(home: &Home) -> Option<Self> {
        let bytes = std::fs::read(folder(home).join(FILE)).ok()?;
        let (body, whole) = seal::open_text(FILE, &bytes);
        if whole != seal::Seal::Whole {
            tracing::warn!("`derived/{FILE}` is damaged; the derived tables are made anew");
            return None;
        }
        let manifest: Self = serde_json::from_slice(body).ok()?;
        (manifest.format == FORMAT).then_some(manifest)
    }

    /// Puts this manifest in force, durably and in one step.
    pub async fn write(&self, home: &Home) -> Result<(), DeriveError> {
        let body = serde_json::to_vec(self).map_err(DeriveError::other)?;
        let place = folder(home).join(FILE);
        let place =
            object_store::path::Path::from_absolute_path(&place).map_err(DeriveError::other)?;
        FsyncStore::new()
            .put(&place, seal::seal_text(FILE, &body).into())
            .await
            .map(drop)
            .map_err(DeriveError::other)
    }
}

/// The folder of all generations.
pub fn folder(home: &Home) -> PathBuf {
    home.root().join("derived")
}

pub(super) fn generation_folder(home: &Home, generation: u64) -> PathBuf {
    folder(home).join(format!("{generation:06}"))
}

/// A number that no generation has.
pub fn unused_generation(home: &Home) -> u64 {
    let taken = generations(home).into_iter().max().unwrap_or(0);
    taken + 1
}

fn generations(home: &Home) -> Vec<u64> {
    let entries = std::fs::read_dir(folder(home)).into_iter().flatten();
    entries
        .filter_map(Result::ok)
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}

/// Deletes the generations but the one in force and the one before it, which a question that began
/// earlier may still read.
pub fn sweep(home: &Home, in_force: u64, before: Option<u64>) {
    for generation in generations(home) {
        if generation != in_force
            && Some(generation) != before
            && let Err(e) = std::fs::remove_dir_all(generation_folder(home, generation))
        {
            tracing::warn!("an old generation of derived tables was not deleted: {e}");
        }
    }
}

/// Opens a derived table for writing.
pub async fn open_or_create(
    home: &Home,
    generation: u64,
    spec: &Derived,
) -> Result<Table, DeriveError> {
    let folder = generation_folder(home, generation).join(spec.name);
    Ok(Table::open_or_create(&folder, spec.layout()).await?)
}

/// Opens a derived table as the manifest says; none if the manifest does not have it.
pub async fn open(
    home: &Home,
    manifest: &Manifest,
    spec: &Derived,
) -> Result<Option<Table>, DeriveError> {
    let Some(version) = manifest.tables.get(spec.name) else {
        return Ok(None);
    };
    let folder = generation_folder(home, manifest.generation).join(spec.name);
    let Some(table) = Table::open(&folder, spec.layout()).await? else {
        return Ok(None);
    };
    if table.version() == *version {
        return Ok(Some(table));
    }
    Ok(Some(table.at(*version).await?))
}

/// Puts `new` rows into a table, and takes out of the days of `new` and of `days` those rows of
/// which `is_gone` says so. Rows of a day are in the table's order. Nothing is written where
/// nothing changes.
pub async fn replace(
    table: &mut Table,
    spec: &Derived,
    new: RecordBatch,
    days: &dyn Fn(chrono::NaiveDate) -> bool,
    is_gone: &dyn Fn(&RecordBatch) -> Result<BooleanArray, arrow::error::ArrowError>,
) -> Result<(), DeriveError> {
    let new_by_day = by_day(spec, &new)?;
    let names: Vec<&str> = spec
        .columns()
        .map(|(name, _)| name)
        .filter(|name| spec.day_of.is_none() || *name != "day")
        .collect();
    let mut removed = Vec::new();
    let mut rows = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    let mut files: BTreeMap<Option<chrono::NaiveDate>, Vec<String>> = BTreeMap::new();
    for file in table.live_files() {
        files.entry(file.day()).or_default().push(file.path);
    }
    for (day, paths) in files {
        let is_wanted = day.is_none_or(days) || new_by_day.contains_key(&day);
        if !is_wanted {
            continue;
        }
        let mut before = Vec::new();
        for path in &paths {
            before.extend(table.read_file(path, &names).await?);
        }
        let mut kept = Vec::with_capacity(before.len() + 1);
        let mut n_gone = 0;
        for batch in &before {
            let gone = is_gone(batch)?;
            n_gone += gone.true_count();
            let stays = arrow::compute::not(&gone)?;
            kept.push(arrow::compute::filter_record_batch(batch, &stays)?);
        }
        let news = new_by_day.get(&day);
        if n_gone == 0 && news.is_none() {
            continue;
        }
        kept.extend(news.cloned());
        let after = sorted(spec, &kept)?;
        let unchanged = paths.len() == 1 && {
            let before = arrow::compute::concat_batches(&after.schema(), &before)?;
            before == after
        };
        seen.insert(day);
        if unchanged {
            continue;
        }
        removed.extend(paths);
        rows.push(with_day(spec, day, after)?);
    }
    let unseen: Vec<_> = new_by_day
        .into_iter()
        .filter(|(day, _)| !seen.contains(day))
        .collect();
    let in_order = unseen
        .into_par_iter()
        .map(|(day, news)| with_day(spec, day, sorted(spec, &[news])?))
        .collect::<Result<Vec<_>, DeriveError>>()?;
    rows.extend(in_order);
    rows.retain(|batch| batch.num_rows() > 0);
    if removed.is_empty() && rows.is_empty() {
        return Ok(());
    }
    table
        .rewrite(&removed, &[], &rows, CommitNote::default())
        .await?;
    Ok(())
}

/// Puts the rows of a rebuild into a table, which has none yet: each day's rows, from wherever they
/// were set aside, as one file, all in one commit.
pub async fn fill(
    table: &mut Table,
    aside: Aside,
    check: impl Fn() -> Result<(), DeriveError>,
) -> Result<(), DeriveError> {
    let spec = aside.spec();
    let (aside, mut staged) = (Arc::new(aside), Staged::default());
    for stretch in 0..aside.len() {
        check()?;
        let aside = Arc::clone(&aside);
        let reading = tokio::task::spawn_blocking(move || {
            let rows = aside.read(stretch)?;
            Ok::<_, DeriveError>(arrow::compute::concat_batches(&spec.schema(), &rows)?)
        });
        let rows = Arc::new(reading.await.map_err(DeriveError::other)??);
        let days = rows_of_days(&rows);
        let files = futures::stream::iter(days).map(|(day, chosen)| {
            let (rows, table) = (Arc::clone(&rows), &*table);
            async move {
                let sorting = tokio::task::spawn_blocking(move || in_order(spec, &rows, &chosen));
                let rows = sorting.await.map_err(DeriveError::other)??;
                Ok::<_, DeriveError>(table.stage(day, rows).await?)
            }
        });
        let mut files = files.buffered(DAYS_AT_ONCE);
        while let Some(file) = files.try_next().await? {
            staged.extend(file);
        }
    }
    table.append_staged(staged).await?;
    Ok(())
}

/// The numbers of the rows of each day; of all rows where they have no day.
fn rows_of_days(rows: &RecordBatch) -> BTreeMap<Option<chrono::NaiveDate>, UInt32Array> {
    let mut of_day: BTreeMap<Option<i32>, Vec<u32>> = BTreeMap::new();
    match rows.column_by_name("day") {
        Some(days) => {
            for (row, day) in (0..).zip(days.as_primitive::<Date32Type>().values()) {
                of_day.entry(Some(*day)).or_default().push(row);
            }
        }
        None => {
            of_day.insert(None, (0..rows.num_rows() as u32).collect());
        }
    }
    let date = |day: Option<i32>| day.and_then(Date32Type::to_naive_date_opt);
    let of_day = of_day.into_iter();
    of_day.map(|(day, rows)| (date(day), rows.into())).collect()
}

/// Some rows in the table's order, without their day. Only what orders them is copied twice.
fn in_order(
    spec: &Derived,
    rows: &RecordBatch,
    chosen: &UInt32Array,
) -> Result<RecordBatch, arrow::error::ArrowError> {
    let ordering = spec
        .order
        .iter()
        .filter_map(|name| rows.column_by_name(name));
    let columns = ordering
        .map(|values| {
            Ok(arrow::compute::SortColumn {
                values: arrow::compute::take(values, chosen, None)?,
                options: None,
            })
        })
        .collect::<Result<Vec<_>, arrow::error::ArrowError>>()?;
    let order = arrow::compute::lexsort_to_indices(&columns, None)?;
    let order = arrow::compute::take(chosen, &order, None)?;
    let mut rows = rows.clone();
    if let Ok(day) = rows.schema().index_of("day") {
        rows.remove_column(day);
    }
    arrow::compute::take_record_batch(&rows, &order)
}

/// The rows of each day, without the day column.
fn by_day(
    spec: &Derived,
    rows: &RecordBatch,
) -> Result<BTreeMap<Option<chrono::NaiveDate>, RecordBatch>, DeriveError> {
    if rows.num_rows() == 0 {
        return Ok(BTreeMap::new());
    }
    if spec.day_of.is_none() {
        return Ok(BTreeMap::from([(None, rows.clone())]));
    }
    Ok(crate::archive::split_by_day(rows, "day")
        .into_iter()
        .collect())
}

fn with_day(
    spec: &Derived,
    day: Option<chrono::NaiveDate>,
    rows: RecordBatch,
) -> Result<RecordBatch, DeriveError> {
    let Some(day) = day.filter(|_| spec.day_of.is_some()) else {
        return Ok(rows);
    };
    let days =
        arrow::array::Date32Array::from_value(Date32Type::from_naive_date(day), rows.num_rows());
    let mut columns: Vec<arrow::array::ArrayRef> = vec![std::sync::Arc::new(days)];
    columns.extend(rows.columns().iter().cloned());
    Ok(RecordBatch::try_new(spec.schema(), columns)?)
}

/// All rows in the table's order.
fn sorted(spec: &Derived, rows: &[RecordBatch]) -> Result<RecordBatch, DeriveError> {
    let fields = spec.schema();
    let fields: Vec<_> = fields
        .fields()
        .iter()
        .filter(|f| spec.day_of.is_none() || f.name() != "day")
        .cloned()
        .collect();
    let schema = std::sync::Arc::new(arrow::datatypes::Schema::new(fields));
    let rows: Vec<RecordBatch> = rows
        .iter()
        .map(|batch| RecordBatch::try_new(schema.clone(), batch.columns().to_vec()))
        .collect::<Result<_, _>>()?;
    let all = arrow::compute::concat_batches(&schema, &rows)?;
    let columns: Vec<arrow::compute::SortColumn> = spec
        .order
        .iter()
        .filter_map(|name| all.column_by_name(name))
        .map(|values| arrow::compute::SortColumn {
            values: std::sync::Arc::clone(values),
            options: None,
        })
        .collect();
    let order = arrow::compute::lexsort_to_indices(&columns, None)?;
    Ok(arrow::compute::take_record_batch(&all, &order)?)
}
