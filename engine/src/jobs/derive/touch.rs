//! One step forward: which conversations new messages and a changed directory touch, and deriving
//! those anew from their restart. What is not touched is not read.

use std::collections::{BTreeSet, HashMap};

use arrow::array::{AsArray, ListArray, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::TimestampMicrosecondType;
use huicun_semantics::conversation::{kind_of_pair, kind_of_room};
use huicun_semantics::role::Role;

use super::columns::{
    instant, instants_of, integers_of, list, maybe_ms, maybe_text, text, texts_of,
};
use super::conversation::{Rows, TimerRow, day_number};
use super::message::MessageIds;
use super::output::{self, Context};
use super::read::{COLUMNS, Stretch, Touched};
use super::schema;
use super::store::{self, MadeFrom, Manifest};
use super::timeouts::Governors;
use super::watched::News;
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
    let more = ["pulled_at", "status"];
    let columns: Vec<&str> = COLUMNS.iter().copied().chain(more).collect();
    let (behaviours, mut watched) = (work.behaviours(), News::default());
    let mut n_new = 0;
    for file in news.iter().flat_map(|(_, files)| files) {
        // Compacted and vacuumed since: its rows are elsewhere.
        if !messages.has_file(file) {
            return Ok(None);
        }
        for batch in messages.read_file(file, &columns).await? {
            n_new += batch.num_rows() as u64;
            work.reader().touched(&batch, &mut world, &mut touched)?;
            watched.add(&batch, &behaviours)?;
        }
        // More than fits at a time is taken stretch by stretch, from the beginning.
        if n_new > work.watch.stretch_rows {
            return Ok(None);
        }
    }
    let bound = usize::try_from(work.watch.stretch_rows).unwrap_or(usize::MAX);
    let n_messages = match work
        .derive_touched(&mut outputs, &mut world, &touched, bound)
        .await?
    {
        Some(n_messages) => n_messages,
        None => return Ok(None),
    };
    if known.made_from.timeout_rules != made_from.timeout_rules || changed(&TIMEOUT) {
        work.all_timeouts(&mut outputs, &mut world).await?;
    }
    let watched = work
        .watch_step(&mut outputs, &behaviours, &known, &made_from, watched)
        .await?;
    work.watch.check()?;
    let mut manifest = Manifest::new(known.generation, made_from);
    manifest.tables = outputs.versions();
    manifest.archived_until_ms = watched.until_ms;
    manifest.write(work.home).await?;
    outputs.sweep().await;
    let done = Derivation {
        is_rebuild: false,
        n_conversations: touched.len() as u64,
        n_messages,
        n_scanned: watched.n_scanned,
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
            let rows = Known::of(&batch);
            for row in 0..batch.num_rows() {
                let Some(place) = rows.load(work, row, &mut world, &mut touched) else {
                    return Ok(None);
                };
                let (first, last) = (maybe_ms(rows.first, row), maybe_ms(rows.last, row));
                let known = &mut world.places[place as usize];
                known.span = first.zip(last);
                known.restart = Restart {
                    at_ms: maybe_ms(rows.restart, row),
                    days: integers_of(rows.days, row)
                        .iter()
                        .map(|day| *day as i32)
                        .collect(),
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

/// The columns of the table of conversations.
struct Known<'a> {
    conversation: &'a StringArray,
    kind: &'a StringArray,
    employee: &'a StringArray,
    customer: &'a StringArray,
    first: &'a TimestampMicrosecondArray,
    last: &'a TimestampMicrosecondArray,
    speakers: &'a ListArray,
    spoke_from: &'a ListArray,
    receivers: &'a ListArray,
    roles: &'a ListArray,
    restart: &'a TimestampMicrosecondArray,
    days: &'a ListArray,
}

impl<'a> Known<'a> {
    fn of(batch: &'a RecordBatch) -> Self {
        Self {
            conversation: text(batch, "conversation"),
            kind: text(batch, "kind"),
            employee: text(batch, "employee"),
            customer: text(batch, "customer"),
            first: instant(batch, "first_at"),
            last: instant(batch, "last_at"),
            speakers: list(batch, "speakers"),
            spoke_from: list(batch, "spoke_from"),
            receivers: list(batch, "receivers"),
            roles: list(batch, "people_roles"),
            restart: instant(batch, "restart_at"),
            days: list(batch, "restart_days"),
        }
    }

    /// Takes a row into the world and notes whether its people or kind are not what they were.
    /// `None` where its id tells no pair.
    fn load(
        &self,
        work: &Work<'_>,
        row: usize,
        world: &mut World,
        touched: &mut HashMap<u32, Touched>,
    ) -> Option<u32> {
        let (id, kind) = (self.conversation.value(row), self.kind.value(row));
        let is_room = matches!(kind, "group_external" | "group_internal");
        let (place, is_same) = if is_room {
            self.room(id, row, work, world)
        } else {
            let place = self.pair(id, row, work, world)?;
            let (a, b) = world.places[place as usize].pair?;
            let now = kind_of_pair(world.role(a), world.role(b));
            world.places[place as usize].kind = now;
            let employee = world.employee(place).map(|id| world.people.name(id));
            (place, employee == maybe_text(self.employee, row))
        };
        if !is_same || world.places[place as usize].kind.as_str() != kind {
            touched.insert(place, Touched::default());
        }
        Some(place)
    }

    /// A room, and whether everybody's role is what it was.
    fn room(&self, id: &str, row: usize, work: &Work<'_>, world: &mut World) -> (u32, bool) {
        let room = world.person(id, work.directory);
        let place = world.room(room, work.directory);
        let mut people: Vec<u32> = Vec::new();
        // Who spoke before any of his records counted has no instant.
        let since = self.spoke_from.value(row);
        let since = since.as_primitive::<TimestampMicrosecondType>();
        for (nth, speaker) in texts_of(self.speakers, row).enumerate() {
            let speaker = world.person(speaker, work.directory);
            people.push(speaker);
            let seen = world.places[place as usize].seen.get_or_insert_default();
            seen.speakers.insert(speaker, maybe_ms(since, nth));
        }
        for receiver in texts_of(self.receivers, row) {
            let receiver = world.person(receiver, work.directory);
            people.push(receiver);
            let seen = world.places[place as usize].seen.get_or_insert_default();
            seen.receivers.insert(receiver);
        }
        let has_customer = work.directory.rooms_with_customers.contains(id)
            || people.iter().any(|p| world.role(*p) == Role::Customer);
        world.places[place as usize].kind = kind_of_room(has_customer);
        let now = people.iter().map(|p| world.role(*p).as_str());
        (place, now.eq(texts_of(self.roles, row)))
    }

    /// The pair of an id. Ids may hold the bar, so the place to split is told by who was seen: the
    /// employee or customer of the row, else the first bar.
    fn pair(&self, id: &str, row: usize, work: &Work<'_>, world: &mut World) -> Option<u32> {
        let known = maybe_text(self.employee, row).or_else(|| maybe_text(self.customer, row));
        let mut bars = id.match_indices('|').map(|(at, _)| at);
        let at = bars
            .clone()
            .find(|at| known.is_some_and(|known| &id[..*at] == known || &id[at + 1..] == known))
            .or_else(|| bars.next())?;
        let a = world.person(&id[..at], work.directory);
        let b = world.person(&id[at + 1..], work.directory);
        Some(world.pair(a, b))
    }
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
        self.derive_touched(outputs, world, &touched, usize::MAX)
            .await?;
        Ok(())
    }

    /// Derives the touched conversations from their restart on and writes what changed. Returns
    /// how many messages were read; `None` where they are more than `entries_max`, and nothing was
    /// written.
    async fn derive_touched(
        &self,
        outputs: &mut Outputs,
        world: &mut World,
        touched: &HashMap<u32, Touched>,
        entries_max: usize,
    ) -> Result<Option<u64>, DeriveError> {
        if touched.is_empty() {
            return Ok(Some(0));
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
        let reader = self.reader();
        let decoding = reader.begin(&stretches).await?;
        let read = reader.read(decoding, world, &mut ids, wanted, entries_max);
        let read = read.await?;
        let Some(mut read) = read else {
            return Ok(None);
        };
        self.watch.check()?;
        (self.watch.progress)(Progress {
            n_done: read.n_rows,
            n_all: read.n_rows,
            is_rebuild: false,
        });
        let naming = read.naming.take();
        reader.name(naming, &mut read.calls, world, &ids).await?;
        let is_of_restart = |place: u32, at_ms: i64| from[&place].1 <= at_ms;
        read.entries.retain(|e| is_of_restart(e.place, e.at_ms));
        read.calls.retain(|c| is_of_restart(c.place, c.at_ms));
        sort(&mut read.entries, &ids);
        let starts = restarts(&read.entries, &from);
        let given = |place: u32| (0, starts.get(&place).copied().unwrap_or(0));
        let derived = self.derive(&read.entries, world, true, &given);
        note_spans(&read.entries, world);
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
        let rows = self.rows(&derived, &read.calls, world, &ids)?;
        note_restarts(derived, world);
        outputs.put(rows, &gone).await?;
        self.finish(outputs, world).await?;
        Ok(Some(read.n_rows))
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
    let (conversation, customer) = (text(batch, "conversation"), text(batch, "customer"));
    let (message, started) = (text(batch, "message_id"), instant(batch, "started_at"));
    let (later_at, later) = (list(batch, "later_at"), list(batch, "messages"));
    // Who still waits has neither.
    let ended = batch.column_by_name("ended_at");
    let ended = ended.map(|_| (instant(batch, "ended_at"), instant(batch, "answered_at")));
    for row in 0..batch.num_rows() {
        let Some(place) = world.find(conversation.value(row)) else {
            continue;
        };
        let later_from = rows.later.len();
        for (us, id) in instants_of(later_at, row).iter().zip(texts_of(later, row)) {
            rows.later.push((us / 1000, ids.push(id)));
        }
        rows.timers.push(TimerRow {
            place,
            customer: world.person(customer.value(row), work.directory),
            message: ids.push(message.value(row)),
            started_ms: started.value(row) / 1000,
            ended_ms: ended.and_then(|(ended, _)| maybe_ms(ended, row)),
            answered_ms: ended.and_then(|(_, answered)| maybe_ms(answered, row)),
            later: later_from..rows.later.len(),
        });
    }
}
