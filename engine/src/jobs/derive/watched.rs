//! Behaviours (敏感行为, semantics 8) as a derived table.
//!
//! What the rules saw in a message is kept as a row of `sightings`: it follows from the message, the
//! version of the rules that was in force when it was archived, and the rescans asked for since. So
//! only new messages are scanned, and the days of a new rescan. `behaviours` are judged from the
//! sightings by the directory of now, together with the losses of relations: of the days of new
//! sightings, or of all days when directory, losses or what was seen changed.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::datatypes::{Date32Type, TimestampMicrosecondType};
use chrono::NaiveDate;
use futures::TryStreamExt;
use rayon::prelude::*;

use super::columns::instant;
use super::conversation::day_number;
use super::read::Stretch;
use super::sighting::{self, Sighting};
use super::store::{self, MadeFrom, Manifest, WatchedBy};
use super::work::{Outputs, Work};
use super::{DeriveError, schema};
use crate::archive::Table;
use crate::directory::Directory;
use crate::jobs::behaviours::{BehaviourRow, Behaviours, COLUMNS, Messages, losses_of};
use crate::state::behaviours::{LostRelation, Rescan};
use crate::state::rule_versions::RuleVersion;
use crate::state::{State, StateError};

/// Tables of the directory by which sightings are judged.
const JUDGED_BY: [&str; 8] = [
    "employees",
    "customers",
    "departments",
    "department_members",
    "groups",
    "group_roles",
    "group_members",
    "relations",
];
/// Rows of a batch that one thread scans at a time.
const SCAN_ROWS: usize = 512;
/// Sightings that are judged at a time, about: some hundred bytes each.
const JUDGED_ROWS: usize = 100_000;

/// What the state knows about what is watched.
pub struct Inputs {
    versions: Vec<RuleVersion>,
    rescans: Vec<Rescan>,
    losses: Vec<LostRelation>,
}

impl Inputs {
    /// Reads them.
    pub fn read(state: &State) -> Result<Self, StateError> {
        Ok(Self {
            versions: state.rule_versions()?,
            rescans: state.rescans()?,
            losses: state.losses()?,
        })
    }
}

/// Notes the losses that nobody noted yet: they enter now.
pub fn note_losses(state: &State, directory: &Directory) -> Result<(), StateError> {
    let now_ms = chrono::Utc::now().timestamp_millis();
    state.note_losses(&losses_of(directory), now_ms)
}

impl WatchedBy {
    /// What the state's versions, rescans and losses are known by.
    pub fn of(state: &State) -> Result<Self, StateError> {
        let (versions, rescans) = (state.rule_marks()?, state.rescans()?);
        let (n_losses, last_loss_ms) = state.loss_mark()?;
        Ok(Self {
            n_versions: versions.len(),
            versions: hash_of(&versions),
            n_rescans: rescans.len(),
            rescans: hash_of(&rescans),
            n_losses,
            last_loss_ms,
        })
    }

    /// Whether these versions and rescans are the first of `inputs`.
    fn is_prefix_of(&self, inputs: &Inputs) -> bool {
        let marks: Option<Vec<(i64, i64)>> = inputs.versions.get(..self.n_versions).map(|first| {
            let mark = |v: &RuleVersion| (v.version, v.applied_ms);
            first.iter().map(mark).collect()
        });
        let rescans = inputs.rescans.get(..self.n_rescans);
        marks.is_some_and(|marks| hash_of(&marks) == self.versions)
            && rescans.is_some_and(|rescans| hash_of(rescans) == self.rescans)
    }
}

fn hash_of<T: std::fmt::Debug>(list: &[T]) -> String {
    crate::archive::seal::sha256(format!("{list:?}").as_bytes())
}

/// What was seen in new messages.
#[derive(Default)]
pub struct News {
    sightings: Vec<Sighting>,
    /// Messages that were scanned.
    pub n_scanned: u64,
    /// The last instant at which one was archived, UTC milliseconds.
    until_ms: Option<i64>,
}

impl News {
    /// Scans the readable messages of a batch, which may have a column `status`.
    pub fn add(
        &mut self,
        batch: &RecordBatch,
        behaviours: &Behaviours<'_>,
    ) -> Result<(), DeriveError> {
        let messages = Messages::of(batch)?;
        let status = batch.column_by_name("status");
        let status = status
            .map(|status| arrow::compute::cast(status, &arrow::datatypes::DataType::Utf8))
            .transpose()?;
        let status = status.as_ref().map(|status| status.as_string::<i32>());
        let is_ok = |row: &usize| status.is_none_or(|status| status.value(*row) == "ok");
        let rows: Vec<usize> = (0..batch.num_rows()).filter(is_ok).collect();
        let until_ms = rows.iter().map(|row| messages.pulled_ms(*row)).max();
        self.until_ms = self.until_ms.max(until_ms);
        if behaviours.is_idle() {
            return Ok(());
        }
        self.n_scanned += rows.len() as u64;
        let found: Vec<Vec<Sighting>> = rows
            .par_chunks(SCAN_ROWS)
            .map(|rows| {
                let (mut found, mut seen, mut to) = (Vec::new(), Vec::new(), Vec::new());
                for row in rows {
                    to.clear();
                    messages.receivers(*row, &mut to);
                    let message = messages.get(*row, &to);
                    behaviours.scan(&message, &mut seen);
                    found.extend(seen.drain(..).map(|seen| Sighting::new(&message, seen)));
                }
                found
            })
            .collect();
        self.sightings.extend(found.into_iter().flatten());
        Ok(())
    }
}

/// What bringing behaviours forward did.
pub struct WatchedDone {
    /// The last instant at which a message of the table was archived.
    pub until_ms: i64,
    /// Messages that were scanned.
    pub n_scanned: u64,
}

impl Work<'_> {
    /// The rules of all versions, ready.
    pub fn behaviours(&self) -> Behaviours<'_> {
        let inputs = &self.watched;
        Behaviours::new(
            self.directory,
            &inputs.versions,
            &inputs.rescans,
            self.compiled.zone,
        )
    }

    /// Derives all sightings and behaviours, whatever is there.
    pub async fn watch_all(&self, outputs: &mut Outputs) -> Result<WatchedDone, DeriveError> {
        let behaviours = self.behaviours();
        let n_scanned = self.scan(outputs, &behaviours, &[(None, None)]).await?;
        self.judge(outputs, &behaviours, None).await?;
        Ok(WatchedDone {
            until_ms: self.archived_until_ms().await?,
            n_scanned,
        })
    }

    /// Goes from what is known to `made_from` with the sightings of new messages.
    pub async fn watch_step(
        &self,
        outputs: &mut Outputs,
        behaviours: &Behaviours<'_>,
        known: &Manifest,
        made_from: &MadeFrom,
        mut news: News,
    ) -> Result<WatchedDone, DeriveError> {
        let (before, inputs) = (&known.made_from.watched, &self.watched);
        // A version that claims to have been in force when something entered that older rules have
        // looked at already: somebody set the clock back, or took the state from a backup.
        let is_new_before = |entered_ms: i64| {
            let mut new = inputs.versions[before.n_versions..].iter();
            new.any(|version| version.applied_ms <= entered_ms)
        };
        if !before.is_prefix_of(inputs) || is_new_before(known.archived_until_ms) {
            return self.watch_all(outputs).await;
        }
        let ranges: Vec<Stretch> = inputs.rescans[before.n_rescans..]
            .iter()
            .map(|rescan| self.stretch_of(rescan))
            .collect();
        let mut days: BTreeSet<i32> = BTreeSet::new();
        let mut n_scanned = news.n_scanned;
        if !ranges.is_empty() {
            n_scanned += self.scan(outputs, behaviours, &ranges).await?;
            news.sightings
                .retain(|one| !ranges.iter().any(|range| is_within(*range, one.at_ms)));
        }
        if !news.sightings.is_empty() {
            let zone = self.compiled.zone;
            days.extend(news.sightings.iter().map(|s| day_number(zone, s.at_ms)));
            let rows = sighting::sightings(&news.sightings, zone)?;
            let spec = schema::table(schema::SIGHTINGS);
            let none = |batch: &RecordBatch| Ok(BooleanArray::from(vec![false; batch.num_rows()]));
            let table = outputs.table(schema::SIGHTINGS);
            store::replace(table, spec, rows, &|_| false, &none).await?;
        }
        let is_directory_changed = JUDGED_BY
            .iter()
            .any(|table| known.made_from.directory.get(*table) != made_from.directory.get(*table));
        let losses = |w: &WatchedBy| (w.n_losses, w.last_loss_ms);
        let is_all = is_directory_changed
            || !ranges.is_empty()
            || is_new_before(before.last_loss_ms)
            || losses(before) != losses(&made_from.watched);
        if is_all {
            self.judge(outputs, behaviours, None).await?;
        } else if !days.is_empty() {
            self.judge(outputs, behaviours, Some(&days)).await?;
        }
        let until_ms = news.until_ms.unwrap_or(i64::MIN);
        Ok(WatchedDone {
            until_ms: known.archived_until_ms.max(until_ms),
            n_scanned,
        })
    }

    fn stretch_of(&self, rescan: &Rescan) -> Stretch {
        let zone = self.compiled.zone;
        let after = rescan.to.succ_opt();
        (
            Some(zone.day_start_ms(rescan.from)),
            after.map(|day| zone.day_start_ms(day)),
        )
    }

    /// Scans the messages of some ranges of time anew and puts what is seen in the place of what
    /// was. Returns how many messages were read.
    async fn scan(
        &self,
        outputs: &mut Outputs,
        behaviours: &Behaviours<'_>,
        ranges: &[Stretch],
    ) -> Result<u64, DeriveError> {
        let spec = schema::table(schema::SIGHTINGS);
        let zone = self.compiled.zone;
        let mut n_scanned = 0;
        for (stretch, _) in self.stretches() {
            self.watch.check()?;
            let within: Vec<Stretch> = ranges
                .iter()
                .filter_map(|range| intersection(*range, stretch))
                .collect();
            if within.is_empty() {
                continue;
            }
            let mut news = News::default();
            if !behaviours.is_idle() {
                let frame = self.reader().frame(&within).await?;
                let mut stream = frame.select_columns(&COLUMNS)?.execute_stream().await?;
                while let Some(batch) = stream.try_next().await? {
                    self.watch.check()?;
                    news.add(&batch, behaviours)?;
                }
            }
            n_scanned += news.n_scanned;
            let rows = sighting::sightings(&news.sightings, zone)?;
            let days = |day: NaiveDate| {
                let (from, after) = (zone.day_start_ms(day), day.succ_opt());
                let day = (Some(from), after.map(|day| zone.day_start_ms(day)));
                within.iter().any(|w| intersection(*w, day).is_some())
            };
            let is_gone = |batch: &RecordBatch| {
                let at = instant(batch, "at");
                let at = at.iter().map(|us| us.unwrap_or_default() / 1000);
                Ok(at
                    .map(|ms| Some(within.iter().any(|w| is_within(*w, ms))))
                    .collect())
            };
            let table = outputs.table(schema::SIGHTINGS);
            store::replace(table, spec, rows, &days, &is_gone).await?;
        }
        Ok(n_scanned)
    }

    /// Judges the sightings of some days, or of all, and writes what changed.
    async fn judge(
        &self,
        outputs: &mut Outputs,
        behaviours: &Behaviours<'_>,
        days: Option<&BTreeSet<i32>>,
    ) -> Result<(), DeriveError> {
        let zone = self.compiled.zone;
        let mut lost: BTreeMap<i32, Vec<BehaviourRow>> = BTreeMap::new();
        let mut all = Vec::new();
        behaviours.of_relations(&self.watched.losses, &mut all);
        for row in all {
            lost.entry(day_number(zone, row.at_ms))
                .or_default()
                .push(row);
        }
        let seen = files_by_day(outputs.table(schema::SIGHTINGS));
        let before = files_by_day(outputs.table(schema::BEHAVIOURS));
        let every: BTreeSet<i32> = seen
            .keys()
            .chain(before.keys())
            .chain(lost.keys())
            .copied()
            .filter(|day| days.is_none_or(|days| days.contains(day)))
            .collect();
        let mut rows: Vec<BehaviourRow> = Vec::new();
        let mut done: BTreeSet<i32> = BTreeSet::new();
        for day in every {
            self.watch.check()?;
            done.insert(day);
            rows.extend(lost.remove(&day).unwrap_or_default());
            for path in seen.get(&day).into_iter().flatten() {
                self.judge_file(
                    outputs.table(schema::SIGHTINGS),
                    path,
                    behaviours,
                    &mut rows,
                )
                .await?;
            }
            if rows.len() >= JUDGED_ROWS {
                self.put_behaviours(outputs, &mut rows, &mut done).await?;
            }
        }
        self.put_behaviours(outputs, &mut rows, &mut done).await
    }

    async fn judge_file(
        &self,
        table: &Table,
        path: &str,
        behaviours: &Behaviours<'_>,
        rows: &mut Vec<BehaviourRow>,
    ) -> Result<(), DeriveError> {
        let names = columns_of(schema::SIGHTINGS);
        let mut sightings = Vec::new();
        for batch in table.read_file(path, &names).await? {
            sighting::sightings_of(&batch, &mut sightings);
        }
        // In the table's order: those of one message lie side by side.
        for of_message in sightings.chunk_by(|a, b| (a.at_ms, &a.msgid) == (b.at_ms, &b.msgid)) {
            let to: Vec<&str> = of_message[0].to.iter().map(String::as_str).collect();
            let seen: Vec<_> = of_message.iter().map(|one| one.seen.clone()).collect();
            behaviours.judge(&of_message[0].message(&to), &seen, rows);
        }
        Ok(())
    }

    /// Puts `rows` in the place of all behaviours of `days`, and empties both.
    async fn put_behaviours(
        &self,
        outputs: &mut Outputs,
        rows: &mut Vec<BehaviourRow>,
        days: &mut BTreeSet<i32>,
    ) -> Result<(), DeriveError> {
        rows.sort_by(|a, b| (a.at_ms, &a.id).cmp(&(b.at_ms, &b.id)));
        rows.dedup_by(|a, b| a.id == b.id);
        let batch = sighting::behaviours(rows, self.compiled.zone)?;
        let is_of_days = |day: NaiveDate| days.contains(&Date32Type::from_naive_date(day));
        let all = |batch: &RecordBatch| Ok(BooleanArray::from(vec![true; batch.num_rows()]));
        let spec = schema::table(schema::BEHAVIOURS);
        let table = outputs.table(schema::BEHAVIOURS);
        store::replace(table, spec, batch, &is_of_days, &all).await?;
        rows.clear();
        days.clear();
        Ok(())
    }

    /// The last instant at which a message was archived, UTC milliseconds.
    async fn archived_until_ms(&self) -> Result<i64, DeriveError> {
        let frame = self.reader().frame(&[(None, None)]).await?;
        let mut stream = frame
            .select_columns(&["pulled_at"])?
            .execute_stream()
            .await?;
        let mut until_ms = i64::MIN;
        while let Some(batch) = stream.try_next().await? {
            let pulled = batch.column(0).as_primitive::<TimestampMicrosecondType>();
            if let Some(us) = arrow::compute::max(pulled) {
                until_ms = until_ms.max(us / 1000);
            }
        }
        Ok(until_ms)
    }
}

/// The columns of a derived table that are in its files.
pub fn columns_of(name: &str) -> Vec<&'static str> {
    let spec = schema::table(name);
    spec.columns()
        .map(|(column, _)| column)
        .filter(|column| spec.day_of.is_none() || *column != "day")
        .collect()
}

fn files_by_day(table: &Table) -> BTreeMap<i32, Vec<String>> {
    let mut files: BTreeMap<i32, Vec<String>> = BTreeMap::new();
    for file in table.live_files() {
        if let Some(day) = file.day() {
            files
                .entry(Date32Type::from_naive_date(day))
                .or_default()
                .push(file.path);
        }
    }
    files
}

fn is_within((from, to): Stretch, at_ms: i64) -> bool {
    from.is_none_or(|from| from <= at_ms) && to.is_none_or(|to| at_ms < to)
}

fn intersection(a: Stretch, b: Stretch) -> Option<Stretch> {
    let from = a.0.max(b.0);
    let to = match (a.1, b.1) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    };
    let is_empty = from.zip(to).is_some_and(|(from, to)| from >= to);
    (!is_empty).then_some((from, to))
}
