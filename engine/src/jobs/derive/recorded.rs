//! Behaviours read back from their table: those of some days, and some by their ids.

use std::collections::{BTreeSet, HashMap};

use chrono::NaiveDate;
use futures::{StreamExt, TryStreamExt};

use super::DeriveError;
use super::columns::text;
use super::load::Snapshot;
use super::schema::BEHAVIOURS;
use super::sighting::BehaviourColumns;
use super::watched::columns_of;
use crate::archive::Table;
use crate::jobs::behaviours::BehaviourRow;

/// Files whose ids are read side by side.
const FILES_AT_ONCE: usize = 4;

impl Snapshot {
    /// The behaviours of some days, by time, then id.
    pub async fn behaviours(
        &self,
        is_wanted: impl Fn(NaiveDate) -> bool,
    ) -> Result<Vec<BehaviourRow>, DeriveError> {
        let mut found = Vec::new();
        for batch in self.rows(BEHAVIOURS, is_wanted).await? {
            let rows = BehaviourColumns::of(&batch);
            found.extend((0..batch.num_rows()).filter_map(|row| rows.row(row)));
        }
        Ok(found)
    }

    /// The behaviours with these ids, looked for on `days` first: those of an id seldom move.
    pub async fn behaviours_of(
        &self,
        ids: &BTreeSet<&str>,
        days: &BTreeSet<NaiveDate>,
    ) -> Result<HashMap<String, BehaviourRow>, DeriveError> {
        let mut found = HashMap::new();
        let Some(table) = self.table(BEHAVIOURS) else {
            return Ok(found);
        };
        let mut files: Vec<(bool, NaiveDate, String)> = table
            .live_files()
            .into_iter()
            .filter_map(|file| {
                let day = file.day()?;
                Some((!days.contains(&day), day, file.path))
            })
            .collect();
        files.sort();
        for files in files.chunk_by(|a, b| a.0 == b.0) {
            if found.len() == ids.len() {
                break;
            }
            let paths: Vec<String> = files.iter().map(|(_, _, path)| path.clone()).collect();
            let wanted: Vec<Vec<BehaviourRow>> = futures::stream::iter(paths)
                .map(|path| async move { in_file(table, &path, ids).await })
                .buffered(FILES_AT_ONCE)
                .try_collect()
                .await?;
            for row in wanted.into_iter().flatten() {
                found.entry(row.id.clone()).or_insert(row);
            }
        }
        Ok(found)
    }
}

/// Those of a file; its other columns are read only where it has any.
async fn in_file(
    table: &Table,
    path: &str,
    ids: &BTreeSet<&str>,
) -> Result<Vec<BehaviourRow>, DeriveError> {
    let has_any = table
        .read_file(path, &["behaviour_id"])
        .await?
        .iter()
        .any(|batch| {
            let id = text(batch, "behaviour_id");
            (0..batch.num_rows()).any(|row| ids.contains(id.value(row)))
        });
    let mut found = Vec::new();
    if !has_any {
        return Ok(found);
    }
    for batch in table.read_file(path, &columns_of(BEHAVIOURS)).await? {
        let (id, rows) = (text(&batch, "behaviour_id"), BehaviourColumns::of(&batch));
        let wanted = (0..batch.num_rows()).filter(|row| ids.contains(id.value(*row)));
        found.extend(wanted.filter_map(|row| rows.row(row)));
    }
    Ok(found)
}
