//! Derives everything from nothing, one stretch of messages after another, and writes what a
//! stretch of entries gives.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch};
use datafusion::prelude::SessionContext;
use futures::{StreamExt as _, TryStreamExt as _};
use huicun_semantics::time::Zone;
use rayon::prelude::*;

use super::conversation::{Buffers, Given, Rows, day_number, derive};
use super::message::{Call, Entry, MessageIds};
use super::output::{self, Context};
use super::read::{Reader, Stretch};
use super::rule::Compiled;
use super::schema;
use super::spill::{Aside, Spill};
use super::store::{self, MadeFrom, Manifest};
use super::timeouts::Governors;
use super::watched::Inputs;
use super::world::World;
use super::{Derivation, DeriveError, Progress, Watch};
use crate::archive::vacuum::sweep_table;
use crate::archive::{Home, Table};
use crate::directory::Directory;
use crate::rules::Rules;
use crate::tables::Tables;

/// Every so many versions of a table its old files are deleted.
const SWEEP_EVERY: u64 = 16;
/// A file may be deleted so many milliseconds after it went out of its table: questions that began
/// before have ended by then.
const SWEEP_AFTER_MS: i64 = 600_000;

/// Tables that a rebuild writes at the same time.
const FILLED_AT_ONCE: usize = 2;

/// What a derivation works with.
pub struct Work<'a> {
    /// The data directory.
    pub home: &'a Home,
    /// The rules.
    pub rules: &'a Rules,
    /// The rules, prepared.
    pub compiled: Compiled,
    /// The directory.
    pub directory: &'a Directory,
    /// The tables at one version.
    pub tables: &'a Tables,
    /// A session over them.
    pub ctx: SessionContext,
    /// Who watches.
    pub watch: &'a Watch<'a>,
    /// What behaviours follow, from the state.
    pub watched: Inputs,
}

/// The derived tables of one generation, open for writing.
pub struct Outputs {
    tables: HashMap<&'static str, Table>,
}

/// What is taken out of the tables before new rows come in.
pub struct Gone<'a> {
    /// Which days may hold such rows, days since 1970.
    pub days: &'a dyn Fn(i32) -> bool,
    /// The same for timeouts, whose days are those on which they fire.
    pub timeout_days: &'a dyn Fn(i32) -> bool,
    /// For conversations by id: rows that began at or after that instant, and the start of the day
    /// of it, UTC milliseconds.
    pub from: &'a HashMap<String, (i64, i64)>,
}

/// Makes the rows of one table.
type MakeRows<'a> = dyn Fn() -> Result<RecordBatch, arrow::error::ArrowError> + Sync + 'a;

/// The new rows of each table.
pub type NewRows = HashMap<&'static str, RecordBatch>;

/// Conversations with those of their entries that were not given out.
type Left = Vec<(u32, Range<usize>)>;

/// What a stretch of entries gave.
pub struct Derived {
    parts: Vec<Rows>,
    /// Of each conversation the entries that were not given out.
    left: Left,
}

impl Outputs {
    /// Opens or makes the tables of a generation.
    pub async fn open(home: &Home, generation: u64) -> Result<Self, DeriveError> {
        let mut tables = HashMap::new();
        for spec in schema::TABLES.iter() {
            let table = store::open_or_create(home, generation, spec).await?;
            tables.insert(spec.name, table);
        }
        Ok(Self { tables })
    }

    /// A table by its name.
    pub fn table(&mut self, name: &'static str) -> &mut Table {
        self.tables
            .get_mut(name)
            .expect("all tables of the schema were opened")
    }

    /// Deletes what questions that began a while ago no longer read. Now and then is enough.
    pub async fn sweep(&self) {
        let dead_before_ms = chrono::Utc::now().timestamp_millis() - SWEEP_AFTER_MS;
        for table in self.tables.values() {
            if table.version() % SWEEP_EVERY == 0
                && let Err(error) = sweep_table(table, dead_before_ms, table.version()).await
            {
                tracing::warn!(%error, "old files of derived tables were not deleted");
            }
        }
    }

    /// The version of each table.
    pub fn versions(&self) -> std::collections::BTreeMap<String, u64> {
        self.tables
            .iter()
            .map(|(name, table)| ((*name).to_string(), table.version()))
            .collect()
    }

    /// Puts rows into their tables in the place of others, side by side.
    pub async fn put(&mut self, mut rows: NewRows, gone: &Gone<'_>) -> Result<(), DeriveError> {
        let tables = self.tables.iter_mut();
        let puts = tables.filter_map(|(name, table)| {
            let rows = rows.remove(name)?;
            Some(put(table, name, rows, gone))
        });
        futures::future::try_join_all(puts).await.map(drop)
    }
}

async fn put(
    table: &mut Table,
    name: &'static str,
    rows: RecordBatch,
    gone: &Gone<'_>,
) -> Result<(), DeriveError> {
    let spec = schema::table(name);
    let days = |day: chrono::NaiveDate| {
        let number = arrow::datatypes::Date32Type::from_naive_date(day);
        if name == schema::TIMEOUTS {
            (gone.timeout_days)(number)
        } else {
            (gone.days)(number)
        }
    };
    store::replace(table, spec, rows, &days, &|batch| {
        is_gone(name, batch, gone)
    })
    .await
}

fn is_gone(
    name: &str,
    batch: &RecordBatch,
    gone: &Gone<'_>,
) -> Result<BooleanArray, arrow::error::ArrowError> {
    use arrow::array::AsArray;
    use arrow::datatypes::TimestampMicrosecondType;
    let (column, by_day) = match name {
        schema::ACTIVITY => ("first_at", true),
        schema::CALLS => ("at", true),
        schema::TIMEOUTS => ("timer_at", false),
        _ => ("started_at", false),
    };
    let missing = || arrow::error::ArrowError::SchemaError(format!("no `{column}` in `{name}`"));
    let conversation = batch.column_by_name("conversation").ok_or_else(missing)?;
    let conversation = conversation.as_string::<i32>();
    let began = batch.column_by_name(column).ok_or_else(missing)?;
    let began = began.as_primitive::<TimestampMicrosecondType>();
    Ok((0..batch.num_rows())
        .map(|row| {
            let from = gone.from.get(conversation.value(row));
            Some(from.is_some_and(|(exact, day)| {
                began.value(row) / 1000 >= if by_day { *day } else { *exact }
            }))
        })
        .collect())
}

impl Work<'_> {
    /// The reader of messages.
    pub fn reader(&self) -> Reader<'_> {
        Reader {
            ctx: &self.ctx,
            directory: self.directory,
            rules: &self.compiled,
        }
    }

    /// The first instant of a day since 1970, UTC milliseconds.
    pub fn day_start_ms(&self, day: i32) -> i64 {
        let day = arrow::datatypes::Date32Type::to_naive_date_opt(day);
        self.compiled.zone.day_start_ms(day.unwrap_or_default())
    }

    /// Derives everything into a new generation and puts it in force.
    pub async fn rebuild(
        &self,
        made_from: MadeFrom,
    ) -> Result<(Manifest, Derivation), DeriveError> {
        let generation = store::unused_generation(self.home);
        let mut outputs = Outputs::open(self.home, generation).await?;
        let mut world = World::default();
        let stretches = self.stretches();
        let firsts = stretches.iter().filter_map(|((from_ms, _), _)| *from_ms);
        let bounds = firsts.map(|from_ms| day_number(self.compiled.zone, from_ms));
        let folder = store::generation_folder(self.home, generation);
        let spill = Spill::within(&folder, bounds.collect())?;
        // While rows of a stretch are set aside, the next is read.
        let mut spilling: Spilling = tokio::task::spawn_blocking(move || Ok(spill));
        let mut n_done = 0;
        let mut turned: Vec<u32> = Vec::new();
        let n_all = stretches.iter().map(|(_, n)| n).sum();
        let mut ahead = None;
        for (nth, (stretch, n_rows)) in stretches.iter().enumerate() {
            self.watch.check()?;
            (self.watch.progress)(Progress {
                n_done,
                n_all,
                is_rebuild: true,
            });
            let mut ids = MessageIds::default();
            let reader = self.reader();
            let decoding = match ahead.take() {
                Some(decoding) => decoding,
                None => reader.begin(&[*stretch]).await?,
            };
            let read = reader
                .read(decoding, &mut world, &mut ids, |_| true, usize::MAX)
                .await?;
            let mut read = read.unwrap_or_default();
            // What follows does not keep all cores busy.
            if let Some((next, _)) = stretches.get(nth + 1) {
                ahead = Some(reader.begin(&[*next]).await?);
            }
            n_done += n_rows;
            // Taken for internal by an earlier stretch, if that had any message of it.
            let redo = read
                .turned
                .into_iter()
                .filter(|place| nth > 0 && world.places[*place as usize].span.is_some());
            turned.extend(redo);
            let (entries, fresh) = with_carried(read.entries, &mut world, &mut ids);
            let given = |place: u32| (fresh.get(&place).copied().unwrap_or(0), 0);
            let derived = self.derive(&entries, &world, false, &given);
            note_spans(&entries, &mut world);
            for (place, left) in &derived.left {
                world.places[*place as usize].carried = entries[left.clone()]
                    .iter()
                    .map(|e| (*e, ids.get(e.message).to_string()))
                    .collect();
            }
            let naming = read.naming.take();
            reader
                .name(naming, &mut read.calls, &mut world, &ids)
                .await?;
            let rows = self.rows(&derived, &read.calls, &world, &ids)?;
            note_restarts(derived, &mut world);
            spilling = aside(spilling, rows).await?;
        }
        (self.watch.progress)(Progress {
            n_done: n_all,
            n_all,
            is_rebuild: true,
        });
        // What still waited for later messages: there are none. As much of it as a stretch may hold.
        let mut next = 0;
        while next < world.places.len() {
            self.watch.check()?;
            let mut ids = MessageIds::default();
            let mut entries = Vec::new();
            while next < world.places.len() && entries.len() as u64 * 4 < self.watch.stretch_rows {
                for (mut entry, id) in std::mem::take(&mut world.places[next].carried) {
                    entry.message = ids.push(&id);
                    entries.push(entry);
                }
                next += 1;
            }
            sort(&mut entries, &ids);
            let derived = self.derive(&entries, &world, true, &|_| (usize::MAX, 0));
            let rows = self.rows(&derived, &[], &world, &ids)?;
            note_restarts(derived, &mut world);
            spilling = aside(spilling, rows).await?;
        }
        let spill = spilling.await.map_err(DeriveError::other)??;
        let world = Arc::new(world);
        let conversations = tokio::task::spawn_blocking({
            let (world, zone) = (Arc::clone(&world), self.compiled.zone);
            move || conversations(&world, zone)
        });
        self.fill(&mut outputs, spill).await?;
        let conversations = conversations.await.map_err(DeriveError::other)??;
        put_conversations(&mut outputs, conversations).await?;
        let mut world = Arc::into_inner(world).expect("the other thread has ended");
        let mut manifest = Manifest::new(generation, made_from);
        if !turned.is_empty() {
            self.again(&mut outputs, &mut world, &turned).await?;
        }
        let watched = self.watch_all(&mut outputs).await?;
        manifest.tables = outputs.versions();
        manifest.archived_until_ms = watched.until_ms;
        self.watch.check()?;
        let before = Manifest::read(self.home).map(|known| known.generation);
        manifest.write(self.home).await?;
        store::sweep(self.home, generation, before);
        let done = Derivation {
            is_rebuild: true,
            n_conversations: world.places.len() as u64,
            n_messages: n_done,
            n_scanned: watched.n_scanned,
        };
        Ok((manifest, done))
    }

    /// Stretches of time with about as many messages as asked for each, and how many each has.
    pub fn stretches(&self) -> Vec<(Stretch, u64)> {
        let mut of_day: std::collections::BTreeMap<chrono::NaiveDate, u64> = Default::default();
        let files = self.tables.messages.iter().flat_map(Table::live_files);
        for file in files {
            if let Some(day) = file.day() {
                *of_day.entry(day).or_default() += file.n_rows.unwrap_or(0) as u64;
            }
        }
        let mut stretches: Vec<(Stretch, u64)> = Vec::new();
        let (mut from, mut n) = (None, 0);
        for (day, n_rows) in of_day {
            if n > 0 && n + n_rows > self.watch.stretch_rows {
                let at_ms = self.compiled.zone.day_start_ms(day);
                stretches.push(((from, Some(at_ms)), n));
                (from, n) = (Some(at_ms), 0);
            }
            n += n_rows;
        }
        stretches.push(((from, None), n));
        stretches
    }

    /// Derives all conversations of `entries`, which are in order. `given` tells of a conversation
    /// from which of its entries on days are counted, and from which on dialogues are derived.
    pub fn derive(
        &self,
        entries: &[Entry],
        world: &World,
        is_last: bool,
        given: &(dyn Fn(u32) -> (usize, usize) + Sync),
    ) -> Derived {
        let spans = spans(entries);
        let n_spans = spans.len().div_ceil(64).max(1);
        let parts: Vec<(Rows, Left)> = spans
            .par_chunks(n_spans)
            .map(|spans| {
                let (mut rows, mut buffers) = (Rows::default(), Buffers::default());
                let mut left = Vec::new();
                for span in spans {
                    let place = entries[span.start].place;
                    let (fresh, restart) = given(place);
                    let given = Given {
                        entries: &entries[span.clone()],
                        kind: world.places[place as usize].kind,
                        fresh,
                        restart,
                        is_last,
                    };
                    let from = derive(&given, &self.compiled, &mut buffers, &mut rows);
                    if !is_last && from < span.len() {
                        left.push((place, span.start + from..span.end));
                    }
                }
                (rows, left)
            })
            .collect();
        let mut derived = Derived {
            parts: Vec::with_capacity(parts.len()),
            left: Vec::new(),
        };
        for (rows, left) in parts {
            derived.parts.push(rows);
            derived.left.extend(left);
        }
        derived
    }

    /// Writes what was set aside, some tables at a time: while one waits for the disk, another is
    /// sorted.
    async fn fill(&self, outputs: &mut Outputs, spill: Spill) -> Result<(), DeriveError> {
        let mut asides: HashMap<&'static str, Aside> = spill.into_tables().collect();
        let tables = outputs.tables.iter_mut();
        let fills = tables.filter_map(|(name, table)| {
            let aside = asides.remove(name)?;
            Some(store::fill(table, aside, || self.watch.check()))
        });
        futures::stream::iter(fills)
            .buffer_unordered(FILLED_AT_ONCE)
            .try_collect()
            .await
    }

    /// What was derived as rows of the tables.
    pub fn rows(
        &self,
        derived: &Derived,
        calls: &[Call],
        world: &World,
        ids: &MessageIds,
    ) -> Result<NewRows, DeriveError> {
        let mut places = vec![String::new(); world.places.len()];
        for part in &derived.parts {
            for (place, _) in &part.restarts {
                places[*place as usize] = world.id(*place);
            }
        }
        let at = Context {
            world,
            ids,
            zone: self.compiled.zone,
            places: &places,
        };
        let governors = Governors::new(self.rules, self.compiled.zone, self.directory);
        let timeouts: Vec<_> = derived
            .parts
            .par_iter()
            .flat_map_iter(|rows| {
                let mut found = Vec::new();
                governors.timeouts(rows, world, &mut found);
                found
            })
            .collect();
        let parts = &derived.parts;
        let make: [(&'static str, &MakeRows<'_>); 6] = [
            (schema::DIALOGUES, &|| output::dialogues(parts, &at)),
            (schema::ACTIVITY, &|| output::activity(parts, &at)),
            (schema::CALLS, &|| output::calls(calls, &at)),
            (schema::TIMERS, &|| output::timers(parts, true, &at)),
            (schema::WAITING, &|| output::timers(parts, false, &at)),
            (schema::TIMEOUTS, &|| output::timeouts(&timeouts, &at)),
        ];
        // Each is built by one thread, so they are built side by side.
        Ok(make
            .into_par_iter()
            .map(|(name, make)| Ok((name, make()?)))
            .collect::<Result<_, arrow::error::ArrowError>>()?)
    }

    /// Writes what is known of all conversations.
    pub async fn finish(&self, outputs: &mut Outputs, world: &World) -> Result<(), DeriveError> {
        put_conversations(outputs, conversations(world, self.compiled.zone)?).await
    }
}

/// What is known of all conversations.
fn conversations(world: &World, zone: Zone) -> Result<RecordBatch, arrow::error::ArrowError> {
    let places: Vec<String> = (0..world.places.len() as u32)
        .map(|place| world.id(place))
        .collect();
    output::conversations(&Context {
        world,
        ids: &MessageIds::default(),
        zone,
        places: &places,
    })
}

async fn put_conversations(outputs: &mut Outputs, rows: RecordBatch) -> Result<(), DeriveError> {
    let spec = schema::table(schema::CONVERSATIONS);
    let all = |batch: &RecordBatch| Ok(BooleanArray::from(vec![true; batch.num_rows()]));
    let table = outputs.table(schema::CONVERSATIONS);
    store::replace(table, spec, rows, &|_| true, &all).await
}

/// Rows on their way to be set aside.
type Spilling = tokio::task::JoinHandle<Result<Spill, DeriveError>>;

/// Sets more rows aside, once those before are.
async fn aside(before: Spilling, rows: NewRows) -> Result<Spilling, DeriveError> {
    let mut spill = before.await.map_err(DeriveError::other)??;
    Ok(tokio::task::spawn_blocking(move || {
        spill.put(rows)?;
        Ok(spill)
    }))
}

/// New entries with those that were carried for their conversations, in order; and of each such
/// conversation how many were carried.
fn with_carried(
    mut entries: Vec<Entry>,
    world: &mut World,
    ids: &mut MessageIds,
) -> (Vec<Entry>, HashMap<u32, usize>) {
    let mut is_active = vec![false; world.places.len()];
    for entry in &entries {
        is_active[entry.place as usize] = true;
    }
    let mut carried = HashMap::new();
    for (number, place) in world.places.iter_mut().enumerate() {
        if place.carried.is_empty() || !is_active[number] {
            continue;
        }
        carried.insert(number as u32, place.carried.len());
        for (mut entry, id) in std::mem::take(&mut place.carried) {
            entry.message = ids.push(&id);
            entries.push(entry);
        }
    }
    sort(&mut entries, ids);
    (entries, carried)
}

/// Puts entries in the order of the law: conversation, msgtime, seq, msgid.
pub fn sort(entries: &mut [Entry], ids: &MessageIds) {
    entries.par_sort_unstable_by(|a, b| {
        let key = |e: &Entry| (e.place, e.at_ms, e.seq);
        key(a)
            .cmp(&key(b))
            .then_with(|| ids.get(a.message).cmp(ids.get(b.message)))
    });
}

fn spans(entries: &[Entry]) -> Vec<Range<usize>> {
    let mut spans = Vec::new();
    let mut start = 0;
    for end in 1..=entries.len() {
        if end == entries.len() || entries[end].place != entries[start].place {
            spans.push(start..end);
            start = end;
        }
    }
    spans
}

/// Notes the first and last counted message of each conversation, of entries in order.
pub fn note_spans(entries: &[Entry], world: &mut World) {
    for range in spans(entries) {
        let (from_ms, until_ms) = (entries[range.start].at_ms, entries[range.end - 1].at_ms);
        let span = &mut world.places[entries[range.start].place as usize].span;
        let (first, last) = span.unwrap_or((from_ms, until_ms));
        *span = Some((first.min(from_ms), last.max(until_ms)));
    }
}

/// Notes from where on each conversation would be derived again.
pub fn note_restarts(derived: Derived, world: &mut World) {
    for (place, restart) in derived.parts.into_iter().flat_map(|part| part.restarts) {
        world.places[place as usize].restart = restart;
    }
}
