//! One step forward: which conversations new messages and a changed directory touch, and deriving
//! those anew from their restart. What is not touched is not read.

use std::collections::{BTreeSet, HashMap};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use huicun_semantics::conversation::{kind_of_pair, kind_of_room};
use huicun_semantics::role::Role;

use super::conversation::{Rows, TimerRow, day_number};
use super::message::MessageIds;
use super::output::{self, Context};
use super::read::{COLUMNS, Stretch, Touched};
use super::schema;
use super::store::{self, MadeFrom, Manifest};
use super::timeouts::Governors;
use super::work::{Gone, Outputs, Work, note_restarts, note_spans, sort};
use super::world::{Restart, World};
use super::{Derivation, DeriveError, Progress};
use crate::archive::TableError;

/// Tables of the directory that say who somebody is, or that a room is external.
const WHO: [&str; 3] = ["employees", "customers", "group_members"];
/// Tables of the directory that timeouts look at besides.
const TIMEOUT: [&str; 6] = [
    "employees",
    "departments",
    "department_members",
    "groups",
    "group_roles",
    "group_members",
];

/// Goes from the tables in force to those of `made_from`. `None` when that cannot be done step by
/// step, and everything has to be derived anew.
pub async fn step(
    work: &Work<'_>,
    known: Manifest,
    made_from: MadeFrom,
) -> Result<Option<(Manifest, Derivation)>, DeriveError> {
    let Some(messages) = &work.tables.messages else {
        return Ok(None);
    };
    let news = match messages
        .files_added_after(known.made_from.messages_version)
        .await
    {
        Ok(news) => news,
        Err(TableError::LogGone { .. }) => return Ok(None),
        Err(e) => return Err(e.into()),
    };
    let mut outputs = Outputs::open(work.home, known.generation).await?;
    // A step that was killed left versions that were never in force.
    if outputs.versions() != known.tables {
        return Ok(None);
    }
    let Some((mut world, mut touched)) = load(work, &mut outputs).await? else {
        return Ok(None);
    };
    let changed = |tables: &[&str]| {
        tables
            .iter()
            .any(|table| known.made_from.directory.get(*table) != made_from.directory.get(*table))
    };
    if !changed(&WHO) {
        touched.clear();
    }
    let columns: Vec<&str> = COLUMNS.iter().copied().chain(["status"]).collect();
    for (_, files) in news {
        for file in files {
            for batch in messages.read_file(&file, &columns).await? {
                work.reader().touched(&batch, &mut world, &mut touched)?;
            }
        }
    }
    let n_messages = work
        .derive_touched(&mut outputs, &mut world, &touched)
        .await?;
    if known.made_from.timeout_rules != made_from.timeout_rules || changed(&TIMEOUT) {
        work.all_timeouts(&mut outputs, &mut world).await?;
    }
    work.watch.check()?;
    let mut manifest = Manifest::new(known.generation, made_from);
    manifest.tables = outputs.versions();
    manifest.write(work.home).await?;
    outputs.sweep().await;
    let done = Derivation {
        is_rebuild: false,
        n_conversations: touched.len() as u64,
        n_messages,
    };
    Ok(Some((manifest, done)))
}

/// What the table of conversations knows, and those whose people or kind are not what they were.
async fn load(
    work: &Work<'_>,
    outputs: &mut Outputs,
) -> Result<Option<(World, HashMap<u32, Touched>)>, DeriveError> {
    let table = outputs.table(schema::CONVERSATIONS);
    let names: Vec<&str> = schema::table(schema::CONVERSATIONS)
        .columns()
        .map(|(name, _)| name)
        .collect();
    let (mut world, mut touched) = (World::default(), HashMap::new());
    for file in table.files() {
        for batch in table.read_file(&file, &names).await? {
            for row in 0..batch.num_rows() {
                let Some(place) = load_row(work, &batch, row, &mut world, &mut touched) else {
                    return Ok(None);
                };
                let (first, last) = (
                    instant(&batch, "first_at", row),
                    instant(&batch, "last_at", row),
                );
                let known = &mut world.places[place as usize];
                known.span = first.zip(last);
                known.restart = Restart {
                    at_ms: instant(&batch, "restart_at", row),
                    days: integers(&batch, "restart_days", row),
                };
            }
        }
    }
    touch_companions(&world, &mut touched);
    Ok(Some((world, touched)))
}

/// A message to several pairs counts with the first of them of a kind, so whoever changed his role
/// may have changed that for all pairs of those whom he met.
fn touch_companions(world: &World, touched: &mut HashMap<u32, Touched>) {
    let people: BTreeSet<u32> = touched
        .keys()
        .filter_map(|place| world.places[*place as usize].pair)
        .flat_map(|(a, b)| [a, b])
        .collect();
    if people.is_empty() {
        return;
    }
    for (number, place) in world.places.iter().enumerate() {
        if let Some((a, b)) = place.pair
            && (people.contains(&a) || people.contains(&b))
        {
            touched.insert(number as u32, Touched::default());
        }
    }
}

fn load_row(
    work: &Work<'_>,
    batch: &RecordBatch,
    row: usize,
    world: &mut World,
    touched: &mut HashMap<u32, Touched>,
) -> Option<u32> {
    let id = text(batch, "conversation", row)?;
    let kind = text(batch, "kind", row)?;
    let roles = texts(batch, "people_roles", row);
    let is_room = matches!(kind, "group_external" | "group_internal");
    let (place, is_same) = if is_room {
        let room = world.person(id, work.directory);
        let place = world.room(room, work.directory);
        let mut people: Vec<u32> = Vec::new();
        let since = instants(batch, "spoke_from", row);
        for (speaker, since) in texts(batch, "speakers", row).iter().zip(since) {
            let speaker = world.person(speaker, work.directory);
            people.push(speaker);
            let seen = world.places[place as usize].seen.get_or_insert_default();
            seen.speakers.insert(speaker, since);
        }
        for receiver in texts(batch, "receivers", row) {
            let receiver = world.person(&receiver, work.directory);
            people.push(receiver);
            let seen = world.places[place as usize].seen.get_or_insert_default();
            seen.receivers.insert(receiver);
        }
        let has_customer = work.directory.rooms_with_customers.contains(id)
            || people.iter().any(|p| world.role(*p) == Role::Customer);
        world.places[place as usize].kind = kind_of_room(has_customer);
        let as_before = people.iter().map(|p| world.role(*p).as_str());
        (place, as_before.eq(roles.iter().map(String::as_str)))
    } else {
        let place = split(id, batch, row, world, work)?;
        let (a, b) = world.places[place as usize].pair?;
        let now = kind_of_pair(world.role(a), world.role(b));
        world.places[place as usize].kind = now;
        let employee = world.employee(place).map(|id| world.people.name(id));
        (place, employee == text(batch, "employee", row))
    };
    if !is_same || world.places[place as usize].kind.as_str() != kind {
        touched.insert(place, Touched::default());
    }
    Some(place)
}

/// The pair of an id. Ids may hold the bar, so the place to split is told by who was seen: the
/// employee or customer of the row, else the first bar.
fn split(
    id: &str,
    batch: &RecordBatch,
    row: usize,
    world: &mut World,
    work: &Work<'_>,
) -> Option<u32> {
    let known = text(batch, "employee", row).or_else(|| text(batch, "customer", row));
    let bars: Vec<usize> = id.match_indices('|').map(|(at, _)| at).collect();
    let at = bars
        .iter()
        .copied()
        .find(|at| known.is_some_and(|known| &id[..*at] == known || &id[at + 1..] == known))
        .or_else(|| bars.first().copied())?;
    let a = world.person(&id[..at], work.directory);
    let b = world.person(&id[at + 1..], work.directory);
    Some(world.pair(a, b))
}

impl Work<'_> {
    /// Derives conversations from their beginning.
    pub async fn again(
        &self,
        outputs: &mut Outputs,
        world: &mut World,
        places: &[u32],
    ) -> Result<(), DeriveError> {
        let touched = places.iter().map(|p| (*p, Touched::default())).collect();
        self.derive_touched(outputs, world, &touched).await?;
        Ok(())
    }

    /// Derives the touched conversations from their restart on and writes what changed. Returns
    /// how many messages were read.
    async fn derive_touched(
        &self,
        outputs: &mut Outputs,
        world: &mut World,
        touched: &HashMap<u32, Touched>,
    ) -> Result<u64, DeriveError> {
        if touched.is_empty() {
            return Ok(0);
        }
        let mut days: BTreeSet<i32> = BTreeSet::new();
        let mut whole_from: Option<i32> = None;
        // From where on each is derived, and the start of that day.
        let mut from: HashMap<u32, (i64, i64)> = HashMap::with_capacity(touched.len());
        for (place, change) in touched {
            let known = &world.places[*place as usize];
            let restart = known.restart.at_ms.zip(change.from_ms);
            let restart = restart.filter(|(restart, first)| first > restart);
            days.extend(&change.days);
            match restart {
                Some((at_ms, _)) => {
                    let day = day_number(self.compiled.zone, at_ms);
                    days.extend(&known.restart.days);
                    from.insert(*place, (at_ms, self.day_start_ms(day)));
                }
                None => {
                    if let Some((first_ms, _)) = known.span {
                        let first = day_number(self.compiled.zone, first_ms);
                        whole_from = Some(whole_from.map_or(first, |known| known.min(first)));
                    }
                    from.insert(*place, (i64::MIN, i64::MIN));
                }
            }
        }
        let stretches = self.stretches_of(&days, whole_from);
        let mut ids = MessageIds::default();
        let wanted = |place: u32| from.contains_key(&place);
        let mut read = self
            .reader()
            .read(&stretches, world, &mut ids, wanted)
            .await?;
        self.watch.check()?;
        (self.watch.progress)(Progress {
            n_done: read.n_rows,
            n_all: read.n_rows,
            is_rebuild: false,
        });
        let is_of_restart = |place: u32, at_ms: i64| from[&place].1 <= at_ms;
        read.entries.retain(|e| is_of_restart(e.place, e.at_ms));
        read.calls.retain(|c| is_of_restart(c.place, c.at_ms));
        sort(&mut read.entries, &ids);
        let starts = restarts(&read.entries, &from);
        let given = |place: u32| (0, starts.get(&place).copied().unwrap_or(0));
        let derived = self.derive(&read.entries, world, true, &given);
        note_spans(&read.entries, world);
        note_restarts(&derived, world);
        let from: HashMap<String, (i64, i64)> = from
            .into_iter()
            .map(|(place, from)| (world.id(place), from))
            .collect();
        let first_day = days.first().copied().into_iter().chain(whole_from).min();
        let gone = Gone {
            days: &|day| days.contains(&day) || whole_from.is_some_and(|from| day >= from),
            timeout_days: &|day| first_day.is_some_and(|first| day >= first),
            from: &from,
        };
        self.write(outputs, &derived, &read.calls, world, &ids, Some(&gone))
            .await?;
        self.finish(outputs, world).await?;
        Ok(read.n_rows)
    }

    /// The stretches of time of some days, and of all from `whole_from` on.
    fn stretches_of(&self, days: &BTreeSet<i32>, whole_from: Option<i32>) -> Vec<Stretch> {
        let mut stretches: Vec<(i32, i32)> = Vec::new();
        for day in days
            .iter()
            .filter(|day| whole_from.is_none_or(|from| **day < from))
        {
            match stretches.last_mut() {
                Some((_, end)) if *end == *day => *end = day + 1,
                _ => stretches.push((*day, day + 1)),
            }
        }
        // Long conditions cost more than they save.
        const STRETCHES_MAX: usize = 64;
        while stretches.len() > STRETCHES_MAX {
            let closest = (1..stretches.len())
                .min_by_key(|at| stretches[*at].0 - stretches[at - 1].1)
                .unwrap_or(1);
            let (_, end) = stretches.remove(closest);
            stretches[closest - 1].1 = end;
        }
        let mut found: Vec<Stretch> = stretches
            .into_iter()
            .map(|(from, to)| (Some(self.day_start_ms(from)), Some(self.day_start_ms(to))))
            .collect();
        found.extend(whole_from.map(|from| (Some(self.day_start_ms(from)), None)));
        found
    }

    /// Derives all timeouts anew from the timers, which do not change.
    async fn all_timeouts(
        &self,
        outputs: &mut Outputs,
        world: &mut World,
    ) -> Result<(), DeriveError> {
        let governors = Governors::new(self.rules, self.compiled.zone, self.directory);
        let (mut found, mut ids) = (Vec::new(), MessageIds::default());
        for name in [schema::TIMERS, schema::WAITING] {
            let table = outputs.table(name);
            let names: Vec<&str> = schema::table(name)
                .columns()
                .map(|(name, _)| name)
                .filter(|name| *name != "day")
                .collect();
            for file in table.files() {
                self.watch.check()?;
                let mut rows = Rows::default();
                for batch in table.read_file(&file, &names).await? {
                    timer_rows(&batch, world, self, &mut ids, &mut rows);
                }
                governors.timeouts(&rows, world, &mut found);
            }
        }
        let places: Vec<String> = (0..world.places.len() as u32)
            .map(|place| world.id(place))
            .collect();
        let at = Context {
            world,
            ids: &ids,
            zone: self.compiled.zone,
            places: &places,
        };
        let rows = output::timeouts(&found, &at)?;
        let all = |batch: &RecordBatch| {
            Ok(arrow::array::BooleanArray::from(vec![
                true;
                batch.num_rows()
            ]))
        };
        let spec = schema::table(schema::TIMEOUTS);
        store::replace(outputs.table(schema::TIMEOUTS), spec, rows, &|_| true, &all).await
    }
}

/// The first entry of each conversation that is at or after its restart.
fn restarts(
    entries: &[super::message::Entry],
    from: &HashMap<u32, (i64, i64)>,
) -> HashMap<u32, usize> {
    let mut starts = HashMap::new();
    let mut begin = 0;
    for (at, entry) in entries.iter().enumerate() {
        if at > 0 && entries[at - 1].place != entry.place {
            begin = at;
        }
        if entry.at_ms >= from[&entry.place].0 {
            starts.entry(entry.place).or_insert(at - begin);
        }
    }
    starts
}

fn timer_rows(
    batch: &RecordBatch,
    world: &mut World,
    work: &Work<'_>,
    ids: &mut MessageIds,
    rows: &mut Rows,
) {
    for row in 0..batch.num_rows() {
        let read = (
            text(batch, "conversation", row).and_then(|id| world.find(id)),
            text(batch, "customer", row),
            text(batch, "message_id", row),
            instant(batch, "started_at", row),
        );
        let (Some(place), Some(customer), Some(message), Some(started_ms)) = read else {
            continue;
        };
        let later_from = rows.later.len();
        let later = instants(batch, "later_at", row);
        for (ms, id) in later.into_iter().zip(texts(batch, "messages", row)) {
            rows.later.push((ms.unwrap_or_default(), ids.push(&id)));
        }
        rows.timers.push(TimerRow {
            place,
            customer: world.person(customer, work.directory),
            message: ids.push(message),
            started_ms,
            ended_ms: instant(batch, "ended_at", row),
            answered_ms: instant(batch, "answered_at", row),
            later: later_from..rows.later.len(),
        });
    }
}

fn text<'a>(batch: &'a RecordBatch, name: &str, row: usize) -> Option<&'a str> {
    let column = batch.column_by_name(name)?.as_string::<i32>();
    column.is_valid(row).then(|| column.value(row))
}

fn instant(batch: &RecordBatch, name: &str, row: usize) -> Option<i64> {
    let column = batch.column_by_name(name)?;
    let column = column.as_primitive::<TimestampMicrosecondType>();
    column.is_valid(row).then(|| column.value(row) / 1000)
}

fn texts(batch: &RecordBatch, name: &str, row: usize) -> Vec<String> {
    let Some(column) = batch.column_by_name(name) else {
        return Vec::new();
    };
    let items = column.as_list::<i32>().value(row);
    items
        .as_string::<i32>()
        .iter()
        .flatten()
        .map(String::from)
        .collect()
}

fn instants(batch: &RecordBatch, name: &str, row: usize) -> Vec<Option<i64>> {
    let Some(column) = batch.column_by_name(name) else {
        return Vec::new();
    };
    let items = column.as_list::<i32>().value(row);
    let items = items.as_primitive::<TimestampMicrosecondType>();
    items.iter().map(|us| us.map(|us| us / 1000)).collect()
}

fn integers(batch: &RecordBatch, name: &str, row: usize) -> Vec<i32> {
    let Some(column) = batch.column_by_name(name) else {
        return Vec::new();
    };
    let items = column.as_list::<i32>().value(row);
    let items = items.as_primitive::<Int64Type>();
    items.iter().flatten().map(|day| day as i32).collect()
}
