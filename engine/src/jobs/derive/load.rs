//! Reads derived tables into what reports count ([`PeriodFacts`]), stretch by stretch.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use arrow::array::{BooleanArray, ListArray, RecordBatch, StringArray};
use chrono::NaiveDate;
use huicun_semantics::conversation::Kind;
use huicun_semantics::dialogue::Side;
use huicun_semantics::time::{Period, Zone};
use rayon::iter::{IntoParallelRefMutIterator as _, ParallelIterator as _};
use tokio::sync::OnceCell;

use super::DeriveError;
use super::columns::{
    instant, instants_of, integer, integers_of, list, maybe_ms, maybe_text, text, texts_of,
};
use super::schema::{self, Derived};
use super::store::{self, Manifest};
use crate::archive::{Condition, Home, Table, TableError};
use crate::jobs::period::{
    ActivityFact, CallFact, DialogueFact, Names, Pairs, PeriodFacts, ReplyFact, SpokenFact,
    TimeoutFact, TimerFact, UNTOLD, Wanted,
};

/// What reports read of a table. What else is there is for lists and SQL, and costs the most.
const OF_DIALOGUES: [&str; 13] = [
    "conversation",
    "kind",
    "employee",
    "started_at",
    "ended_at",
    "opened_by",
    "employees",
    "employee_messages",
    "customer_messages",
    "reply_ms",
    "reply_working_ms",
    "message_at",
    "message_by",
];
/// What `explain` shows besides.
const SHOWN_OF_DIALOGUES: [&str; 4] = ["customer", "turn_at", "reply_at", "reply_by"];
const OF_ACTIVITY: [&str; 8] = [
    "conversation",
    "kind",
    "speaker",
    "side",
    "messages",
    "messages_own",
    "first_at",
    "last_at",
];
/// When each message was sent, which is asked of few.
const TIMES_OF_ACTIVITY: [&str; 2] = ["message_at", "own_at"];
/// What tells whether a dialogue is effective, and when.
const OF_NEXT_DAY: [&str; 5] = [
    "conversation",
    "kind",
    "started_at",
    "employee_messages",
    "customer_messages",
];
const OF_WAITS: [&str; 4] = ["conversation", "kind", "employee", "started_at"];
const SHOWN_OF_WAITS: [&str; 2] = ["customer", "message_id"];
const OF_TIMEOUTS: [&str; 6] = [
    "conversation",
    "kind",
    "customer",
    "employees",
    "last_message_at",
    "fired_at",
];
const OF_CALLS: [&str; 8] = [
    "conversation",
    "kind",
    "employee",
    "message_id",
    "at",
    "started_by",
    "named",
    "call_ms",
];
const SHOWN_OF_TIMEOUTS: [&str; 1] = ["message_id"];

/// The derived tables of one manifest, open for reading.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// What they were made from.
    pub manifest: Manifest,
    zone: Zone,
    tables: HashMap<&'static str, Table>,
    /// Ids of groups with customers, once somebody asked.
    external_rooms: Arc<OnceCell<Vec<String>>>,
}

impl Snapshot {
    /// Opens the tables of a manifest.
    pub async fn open(home: &Home, manifest: Manifest, zone: Zone) -> Result<Self, DeriveError> {
        // Each by a task of its own: most of it is decoding of logs.
        let opened: Vec<_> = schema::TABLES
            .iter()
            .map(|spec| {
                let (home, manifest) = (home.clone(), manifest.clone());
                tokio::spawn(async move { store::open(&home, &manifest, spec).await })
            })
            .collect();
        let mut tables = HashMap::new();
        for (spec, opened) in schema::TABLES.iter().zip(opened) {
            if let Some(table) = opened.await.map_err(DeriveError::other)?? {
                tables.insert(spec.name, table);
            }
        }
        Ok(Self {
            manifest,
            zone,
            tables,
            external_rooms: Arc::default(),
        })
    }

    /// A table, for SQL; none before the first derivation.
    pub fn table(&self, name: &str) -> Option<&Table> {
        self.tables.get(name)
    }

    /// The days on which a table has rows.
    pub fn days_of(&self, name: &str) -> impl Iterator<Item = NaiveDate> + use<> {
        let files = self.tables.get(name).map(Table::live_files);
        files.into_iter().flatten().filter_map(|file| file.day())
    }

    /// The facts of some days as they are at `now_ms`: what will time out after that has not yet.
    /// Behaviours are not here: they are read apart.
    pub async fn facts(
        &self,
        days: Period,
        now_ms: i64,
        wanted: Wanted,
        names: &mut Names,
        moves: &Moves<'_>,
    ) -> Result<PeriodFacts, DeriveError> {
        let is_in = |day: NaiveDate| days.contains(day);
        if wanted == Wanted::Said {
            return self.said(is_in, names).await;
        }
        let is_next = |day: NaiveDate| days.to.succ_opt() == Some(day);
        let plus = |columns: &[&'static str], shown: &[&'static str]| {
            let shown = (wanted == Wanted::Shown).then_some(shown);
            [columns, shown.unwrap_or_default()].concat()
        };
        let of_dialogues = plus(&OF_DIALOGUES, &SHOWN_OF_DIALOGUES);
        let of_timeouts = plus(&OF_TIMEOUTS, &SHOWN_OF_TIMEOUTS);
        let zone = self.zone;
        let (mut dialogues, next, activity, calls, timeouts) = futures::try_join!(
            self.parts(
                (schema::DIALOGUES, &of_dialogues, None),
                is_in,
                names,
                move |batch, names, day: &mut DayOfDialogues| {
                    dialogue_facts(&batch, wanted, names, &mut day.facts);
                    day.batches.push(batch);
                }
            ),
            self.some_rows(schema::DIALOGUES, &OF_NEXT_DAY, None, is_next),
            self.parts(
                (schema::ACTIVITY, &OF_ACTIVITY, None),
                is_in,
                names,
                move |batch, names, facts| activity_facts(&batch, zone, wanted, names, facts)
            ),
            self.parts(
                (schema::CALLS, &OF_CALLS, None),
                is_in,
                names,
                |batch, names, facts| call_facts(&batch, names, facts)
            ),
            self.parts(
                (schema::TIMEOUTS, &of_timeouts, None),
                is_in,
                names,
                move |batch, names, facts| timeout_facts(&batch, wanted, names, facts)
            ),
        )?;
        only_effective(&mut dialogues, &next);
        let mut facts = PeriodFacts::default();
        for (_, day, theirs) in dialogues {
            append(day.facts, &theirs, names, &mut facts);
        }
        for (_, part, theirs) in activity {
            append(part, &theirs, names, &mut facts);
        }
        self.split_where_moved(names, moves, &mut facts).await?;
        for (_, part, theirs) in calls.into_iter().chain(timeouts) {
            append(part, &theirs, names, &mut facts);
        }
        facts.timeouts.retain(|timeout| timeout.fired_ms <= now_ms);
        Ok(facts)
    }

    /// What customers said in external groups on some days.
    async fn said(
        &self,
        is_in: impl Fn(NaiveDate) -> bool,
        names: &mut Names,
    ) -> Result<PeriodFacts, DeriveError> {
        let is_said = |batch: &RecordBatch| {
            let (kind, side) = (text(batch, "kind"), text(batch, "side"));
            let external = StringArray::new_scalar(Kind::GroupExternal.as_str());
            let customer = StringArray::new_scalar("customer");
            arrow::compute::and(
                &arrow::compute::kernels::cmp::eq(kind, &external)?,
                &arrow::compute::kernels::cmp::eq(side, &customer)?,
            )
        };
        let condition = Condition {
            columns: &["kind", "side"],
            is_met: Arc::new(is_said),
        };
        let (zone, wanted) = (self.zone, Wanted::Said);
        let parts = self.parts(
            (schema::ACTIVITY, &OF_ACTIVITY, Some(condition)),
            is_in,
            names,
            move |batch, names, facts| activity_facts(&batch, zone, wanted, names, facts),
        );
        let mut facts = PeriodFacts::default();
        for (_, part, theirs) in parts.await? {
            append(part, &theirs, names, &mut facts);
        }
        Ok(facts)
    }

    /// The timers that run at any of some instants, UTC milliseconds in rising order; where they
    /// are to be shown by time, then conversation. Read once, however many instants there are; only
    /// those that run at one of them are kept.
    pub async fn timers(
        &self,
        at_ms: &[i64],
        wanted: Wanted,
        names: &mut Names,
    ) -> Result<Vec<TimerFact>, DeriveError> {
        let Some(first_ms) = at_ms.first() else {
            return Ok(Vec::new());
        };
        let day = self.zone.day_of(*first_ms);
        let mut columns = OF_WAITS.to_vec();
        if wanted == Wanted::Shown {
            columns.extend(SHOWN_OF_WAITS);
        }
        let mut with_end = columns.clone();
        with_end.push("ended_at");
        let instants: Arc<[i64]> = at_ms.into();
        let take = move |batch: RecordBatch, names: &mut Names, timers: &mut Vec<TimerFact>| {
            timer_facts(&batch, &instants, wanted, names, timers);
        };
        let runs_at = |columns| Some(runs_at(at_ms, columns));
        // Rows are told by their instants, before anything else of them is decoded.
        let ended = runs_at(&["started_at", "ended_at"]);
        let running = runs_at(&["started_at"]);
        let (ended, running) = futures::try_join!(
            self.parts(
                (schema::TIMERS, &with_end, ended),
                |on| on >= day,
                names,
                take.clone()
            ),
            self.parts((schema::WAITING, &columns, running), |_| true, names, take),
        )?;
        let mut timers = Vec::new();
        for (_, part, theirs) in ended.into_iter().chain(running) {
            let adopted = names.adopt(&theirs);
            timers.extend(part.into_iter().map(|timer: TimerFact| TimerFact {
                conversation: adopted.number(timer.conversation),
                employee: timer.employee.map(|id| adopted.number(id)),
                customer: adopted.number(timer.customer),
                message_id: adopted.number(timer.message_id),
                ..timer
            }));
        }
        if wanted == Wanted::Shown {
            timers.sort_unstable_by(|a: &TimerFact, b: &TimerFact| {
                let name = |id: u32| names.name(id);
                (a.since_ms, name(a.conversation), name(a.message_id)).cmp(&(
                    b.since_ms,
                    name(b.conversation),
                    name(b.message_id),
                ))
            });
        }
        Ok(timers)
    }

    /// The ids of groups with customers. Read once.
    pub async fn external_rooms(&self) -> Result<&[String], DeriveError> {
        let known = self
            .external_rooms
            .get_or_try_init(|| self.read_external_rooms());
        Ok(known.await?.as_slice())
    }

    async fn read_external_rooms(&self) -> Result<Vec<String>, DeriveError> {
        let external = Condition {
            columns: &["kind"],
            is_met: Arc::new(|batch| {
                let external = StringArray::new_scalar(Kind::GroupExternal.as_str());
                arrow::compute::kernels::cmp::eq(text(batch, "kind"), &external)
            }),
        };
        let wanted = self.some_rows(
            schema::CONVERSATIONS,
            &["conversation"],
            Some(external),
            |_| true,
        );
        let mut rooms = Vec::new();
        for batch in wanted.await? {
            let conversation = text(&batch, "conversation");
            rooms.extend(conversation.iter().flatten().map(String::from));
        }
        Ok(rooms)
    }

    /// Who ever spoke or received in each group, by group id.
    pub async fn room_people(&self) -> Result<HashMap<String, Vec<String>>, DeriveError> {
        let mut rooms = HashMap::new();
        for batch in self.rows(schema::CONVERSATIONS, |_| true).await? {
            let conversation = text(&batch, "conversation");
            let (speakers, receivers) = (list(&batch, "speakers"), list(&batch, "receivers"));
            for row in 0..batch.num_rows() {
                let people: Vec<String> = texts_of(speakers, row)
                    .chain(texts_of(receivers, row))
                    .map(String::from)
                    .collect();
                if !people.is_empty() {
                    rooms.insert(conversation.value(row).to_string(), people);
                }
            }
        }
        Ok(rooms)
    }

    /// The rows of a table on wanted days, in order of days.
    pub async fn rows(
        &self,
        name: &'static str,
        is_wanted: impl Fn(NaiveDate) -> bool,
    ) -> Result<Vec<RecordBatch>, DeriveError> {
        let spec: &Derived = schema::table(name);
        let columns: Vec<&'static str> = spec
            .columns()
            .map(|(column, _)| column)
            .filter(|column| spec.day_of.is_none() || *column != "day")
            .collect();
        self.some_rows(name, &columns, None, is_wanted).await
    }

    /// Some columns of those rows of a table that meet a condition, on wanted days, in order of
    /// days.
    async fn some_rows(
        &self,
        name: &'static str,
        columns: &[&'static str],
        condition: Option<Condition>,
        is_wanted: impl Fn(NaiveDate) -> bool,
    ) -> Result<Vec<RecordBatch>, DeriveError> {
        let keep = |batch: RecordBatch, _: &mut Names, kept: &mut Vec<RecordBatch>| {
            kept.push(batch);
        };
        let nobody = Names::default();
        let parts = self.parts((name, columns, condition), is_wanted, &nobody, keep);
        let kept = parts.await?.into_iter().flat_map(|(_, kept, _)| kept);
        Ok(kept.collect())
    }

    /// What `take` makes of each file of a table on wanted days, in order of days: of some columns
    /// of those rows that meet a condition. Files are read and taken side by side, each by a task of
    /// its own, because most of it is decoding and looking up ids; so each has names of its own over
    /// the directory of `names`.
    async fn parts<T: Default + Send + 'static>(
        &self,
        (name, columns, condition): (&'static str, &[&'static str], Option<Condition>),
        is_wanted: impl Fn(NaiveDate) -> bool,
        names: &Names,
        take: impl Fn(RecordBatch, &mut Names, &mut T) + Clone + Send + 'static,
    ) -> Result<Vec<Part<T>>, DeriveError> {
        use futures::{StreamExt, TryStreamExt};
        let Some(table) = self.tables.get(name) else {
            return Ok(Vec::new());
        };
        let mut files: Vec<(Option<NaiveDate>, String)> = table
            .live_files()
            .into_iter()
            .map(|file| (file.day(), file.path))
            .filter(|(day, _)| day.is_none_or(&is_wanted))
            .collect();
        files.sort();
        let table = Arc::new(table.clone());
        let directory = names.directory();
        futures::stream::iter(files)
            .map(|(day, path)| {
                let (table, columns) = (Arc::clone(&table), columns.to_vec());
                let (condition, take) = (condition.clone(), take.clone());
                let mut names = Names::over(directory);
                async move {
                    let read = tokio::spawn(async move {
                        let batches = table.read_file_where(&path, &columns, condition).await?;
                        let mut taken = T::default();
                        for batch in batches {
                            take(batch, &mut names, &mut taken);
                        }
                        Ok::<_, TableError>((day, taken, names))
                    });
                    Ok::<_, DeriveError>(read.await.map_err(DeriveError::other)??)
                }
            })
            .buffered(4)
            .try_collect()
            .await
    }
}

/// What was made of a file, with its day and names of its own.
type Part<T> = (Option<NaiveDate>, T, Names);

/// The dialogues of a file, with its rows.
#[derive(Default)]
struct DayOfDialogues {
    facts: PeriodFacts,
    batches: Vec<RecordBatch>,
}

/// Takes in the facts of a file.
fn append(part: PeriodFacts, theirs: &Names, names: &mut Names, facts: &mut PeriodFacts) {
    let adopted = names.adopt(theirs);
    facts.append(part, |id| adopted.number(id));
}

/// How many effective single dialogues each pair has in some rows.
fn count_effective<'a>(batch: &'a RecordBatch, n_of: &mut hashbrown::HashMap<&'a str, u32>) {
    let (conversation, kind) = (text(batch, "conversation"), text(batch, "kind"));
    let n_employee = integer(batch, "employee_messages");
    let n_customer = integer(batch, "customer_messages");
    for row in 0..batch.num_rows() {
        let is_effective = n_employee.value(row) > 0 && n_customer.value(row) > 0;
        if is_effective && kind_of(kind.value(row)) == Kind::SingleExternal {
            *n_of.entry(conversation.value(row)).or_default() += 1;
        }
    }
}

/// Marks the effective single dialogues that are the only one of their pair on their day, and on
/// their day and the next; `next` are the dialogues of the day after all of these. Pairs are
/// compared as texts: there are few on a day, and to give all of a month numbers costs more.
fn only_effective(dialogues: &mut [Part<DayOfDialogues>], next: &[RecordBatch]) {
    let mut parts: Vec<(Option<NaiveDate>, &mut PeriodFacts, &[RecordBatch])> = dialogues
        .iter_mut()
        .map(|(day, part, _)| (*day, &mut part.facts, part.batches.as_slice()))
        .collect();
    let mut by_day: HashMap<Option<NaiveDate>, hashbrown::HashMap<&str, u32>> = HashMap::new();
    for (day, _, batches) in &parts {
        let n_of = by_day.entry(*day).or_default();
        batches
            .iter()
            .for_each(|batch| count_effective(batch, n_of));
    }
    let last = parts.last().and_then(|(day, ..)| *day);
    if let Some(after) = last.and_then(|day| day.succ_opt()) {
        let n_of = by_day.entry(Some(after)).or_default();
        next.iter().for_each(|batch| count_effective(batch, n_of));
    }
    parts.par_iter_mut().for_each(|(day, facts, batches)| {
        let today = by_day.get(day);
        let tomorrow = day.and_then(|day| by_day.get(&day.succ_opt()));
        let on = |of: Option<&hashbrown::HashMap<&str, u32>>, pair: &str| {
            of.and_then(|n_of| n_of.get(pair).copied()).unwrap_or(0)
        };
        let pairs = batches
            .iter()
            .flat_map(|batch| text(batch, "conversation").iter().flatten());
        for (dialogue, pair) in facts.dialogues.iter_mut().zip(pairs) {
            if dialogue.kind == Kind::SingleExternal && dialogue.is_effective() {
                let n_today = on(today, pair);
                dialogue.only_effective_24h = n_today == 1;
                dialogue.only_effective_48h = n_today + on(tomorrow, pair) == 1;
            }
        }
    });
}

/// The columns of dialogues that only `explain` shows.
struct ShownOfDialogues<'a> {
    customer: &'a StringArray,
    turn: &'a ListArray,
    reply_at: &'a ListArray,
    reply_by: &'a ListArray,
}

impl<'a> ShownOfDialogues<'a> {
    fn of(batch: &'a RecordBatch) -> Self {
        Self {
            customer: text(batch, "customer"),
            turn: list(batch, "turn_at"),
            reply_at: list(batch, "reply_at"),
            reply_by: list(batch, "reply_by"),
        }
    }
}

fn dialogue_facts(batch: &RecordBatch, wanted: Wanted, names: &mut Names, facts: &mut PeriodFacts) {
    let (conversation, kind) = (text(batch, "conversation"), text(batch, "kind"));
    let employee = text(batch, "employee");
    let (started, ended) = (instant(batch, "started_at"), instant(batch, "ended_at"));
    let opened_by = text(batch, "opened_by");
    let (n_employee, n_customer) = (
        integer(batch, "employee_messages"),
        integer(batch, "customer_messages"),
    );
    let (reply_ms, working) = (list(batch, "reply_ms"), list(batch, "reply_working_ms"));
    let (message_at, message_by) = (list(batch, "message_at"), list(batch, "message_by"));
    let employees = list(batch, "employees");
    let shown = (wanted == Wanted::Shown).then(|| ShownOfDialogues::of(batch));
    for row in 0..batch.num_rows() {
        let replies_from = facts.replies.len();
        let intervals = integers_of(reply_ms, row);
        let works = integers_of(working, row);
        let reply = |at: usize| ReplyFact {
            turn_ms: 0,
            at_ms: 0,
            by: UNTOLD,
            interval_ms: intervals[at],
            working_ms: works.get(at).copied(),
        };
        match &shown {
            None => facts.replies.extend((0..intervals.len()).map(reply)),
            Some(shown) => {
                let turns = instants_of(shown.turn, row);
                let ats = instants_of(shown.reply_at, row);
                for (at, by) in texts_of(shown.reply_by, row).enumerate() {
                    facts.replies.push(ReplyFact {
                        turn_ms: turns[at] / 1000,
                        at_ms: ats[at] / 1000,
                        by: names.intern(by),
                        ..reply(at)
                    });
                }
            }
        }
        let spoken_from = facts.spoken.len();
        let said = instants_of(message_at, row);
        if !said.is_empty() {
            let own: Vec<&str> = texts_of(employees, row).collect();
            for (us, speaker) in said.iter().zip(texts_of(message_by, row)) {
                let is_employee = own.contains(&speaker);
                facts.spoken.push(SpokenFact {
                    at_ms: us / 1000,
                    speaker: names.intern(speaker),
                    side: if is_employee {
                        Side::Employee
                    } else {
                        Side::Customer
                    },
                });
            }
        }
        let kind = kind_of(kind.value(row));
        facts.dialogues.push(DialogueFact {
            conversation: conversation_of(kind, conversation.value(row), wanted, names),
            kind,
            employee: maybe(employee, row, names),
            customer: (shown.as_ref()).and_then(|shown| maybe(shown.customer, row, names)),
            started_ms: started.value(row) / 1000,
            ended_ms: ended.value(row) / 1000,
            opened_by: side_of(opened_by.value(row)),
            n_employee: n_employee.value(row) as u32,
            n_customer: n_customer.value(row) as u32,
            only_effective_24h: false,
            only_effective_48h: false,
            replies: replies_from..facts.replies.len(),
            spoken: spoken_from..facts.spoken.len(),
        });
    }
}

/// The number of a conversation: a group's is part of amounts, a single chat's is only shown.
fn conversation_of(kind: Kind, id: &str, wanted: Wanted, names: &mut Names) -> u32 {
    match kind {
        Kind::SingleExternal | Kind::SingleInternal => wanted.shown(|| names.intern(id)),
        _ => names.intern(id),
    }
}

/// At which instants after the first and up to the second somebody changed his place in the
/// organisation: what he sent on a day is split there (semantics 9).
pub type Moves<'a> = dyn Fn(&str, i64, i64) -> Vec<i64> + Sync + 'a;

/// Rows of activity as they are where nobody moved.
fn activity_facts(
    batch: &RecordBatch,
    zone: Zone,
    wanted: Wanted,
    names: &mut Names,
    facts: &mut PeriodFacts,
) {
    let (conversation, kind) = (text(batch, "conversation"), text(batch, "kind"));
    let (speaker, side) = (text(batch, "speaker"), text(batch, "side"));
    let (n, n_own) = (integer(batch, "messages"), integer(batch, "messages_own"));
    let (first, last) = (instant(batch, "first_at"), instant(batch, "last_at"));
    let are_pairs_told = wanted != Wanted::Summed(Pairs::Untold);
    // The two of a pair stand one after the other.
    let mut known: (&str, Option<(u32, u32)>) = ("", None);
    facts.activity.reserve(batch.num_rows());
    for row in 0..batch.num_rows() {
        let (id, first_ms) = (conversation.value(row), first.value(row) / 1000);
        let (kind, side) = (kind_of(kind.value(row)), side_of(side.value(row)));
        let is_single = kind == Kind::SingleExternal;
        if is_single && are_pairs_told && known.0 != id {
            known = (id, pair_of(id, speaker.value(row), names));
        }
        let conversation = conversation_of(kind, id, wanted, names);
        facts.activity.push(ActivityFact {
            day: zone.day_of(first_ms),
            conversation,
            kind,
            speaker: match (is_single, side) {
                (true, Side::Customer) => wanted.shown(|| names.intern(speaker.value(row))),
                _ => names.intern(speaker.value(row)),
            },
            side,
            pair: known.1.filter(|_| is_single && are_pairs_told),
            n: n.value(row) as u32,
            n_own: n_own.value(row) as u32,
            first_ms,
            last_ms: last.value(row) / 1000,
        });
    }
}

/// The two of a single chat in which `one` speaks, the smaller number first, where the directory has
/// both.
fn pair_of(conversation: &str, one: &str, names: &Names) -> Option<(u32, u32)> {
    let after = || conversation.strip_prefix(one)?.strip_prefix('|');
    let before = || conversation.strip_suffix(one)?.strip_suffix('|');
    let directory = names.directory();
    let (one, other) = (
        directory.get(one)?,
        directory.get(after().or_else(before)?)?,
    );
    Some((one.min(other), one.max(other)))
}

/// The moves of each speaker, asked once.
struct MovesOf<'a> {
    moves: &'a Moves<'a>,
    known: hashbrown::HashMap<u32, Vec<i64>>,
}

impl MovesOf<'_> {
    /// The instants at which what was sent in `first_ms..=last_ms` is to be split.
    fn cuts(&mut self, whole: &ActivityFact, names: &Names) -> Vec<i64> {
        if whole.side != Side::Employee || whole.first_ms >= whole.last_ms {
            return Vec::new();
        }
        let all = self
            .known
            .entry(whole.speaker)
            .or_insert_with(|| (self.moves)(names.name(whole.speaker), i64::MIN, i64::MAX));
        let within = |ms: &&i64| whole.first_ms < **ms && **ms <= whole.last_ms;
        all.iter().filter(within).copied().collect()
    }
}

impl Snapshot {
    /// Splits what somebody sent on a day on which he moved.
    async fn split_where_moved(
        &self,
        names: &Names,
        moves: &Moves<'_>,
        facts: &mut PeriodFacts,
    ) -> Result<(), DeriveError> {
        let known = hashbrown::HashMap::new();
        let mut moves = MovesOf { moves, known };
        let mut split_days = BTreeSet::new();
        for whole in &facts.activity {
            if !moves.cuts(whole, names).is_empty() {
                split_days.insert(whole.day);
            }
        }
        if split_days.is_empty() {
            return Ok(());
        }
        // The times of each message are read for those days only.
        let is_split = |day| split_days.contains(&day);
        let with_times = self
            .some_rows(schema::ACTIVITY, &TIMES_OF_ACTIVITY, None, is_split)
            .await?;
        let mut rows = with_times
            .iter()
            .flat_map(|batch| (0..batch.num_rows()).map(move |row| (batch, row)));
        for whole in std::mem::take(&mut facts.activity) {
            let row = match split_days.contains(&whole.day) {
                true => rows.next(),
                false => None,
            };
            let cuts = moves.cuts(&whole, names);
            let (Some((batch, row)), false) = (row, cuts.is_empty()) else {
                facts.activity.push(whole);
                continue;
            };
            let (message_at, own_at) = (list(batch, "message_at"), list(batch, "own_at"));
            let ms = |us: &[i64]| -> Vec<i64> { us.iter().map(|us| us / 1000).collect() };
            let all = ms(instants_of(message_at, row));
            let own = match whole.n == whole.n_own {
                true => all.clone(),
                false => ms(instants_of(own_at, row)),
            };
            split(&whole, &all, &own, &cuts, facts);
        }
        Ok(())
    }
}

/// The condition that a timer runs at one of some instants, which rise; `columns` are its beginning
/// and, where it has one, its end.
fn runs_at(at_ms: &[i64], columns: &'static [&'static str]) -> Condition {
    let at_us: Vec<i64> = at_ms.iter().map(|ms| ms.saturating_mul(1000)).collect();
    let is_met = move |batch: &RecordBatch| {
        let of = |name: &&str| instant(batch, name).values();
        let (started, ended) = (of(&columns[0]), columns.get(1).map(of));
        let runs = |(row, since): (usize, &i64)| {
            // The first instant from its beginning on: it runs there, or at none.
            let next = at_us.get(at_us.partition_point(|at| at < since));
            next.is_some_and(|at| ended.is_none_or(|ended| ended[row] > *at))
        };
        let wanted = started.iter().enumerate().map(runs);
        Ok(BooleanArray::from(wanted.collect::<Vec<bool>>()))
    };
    Condition {
        columns,
        is_met: Arc::new(is_met),
    }
}

/// One fact for each stretch between cuts in which something was sent.
fn split(whole: &ActivityFact, all: &[i64], own: &[i64], cuts: &[i64], facts: &mut PeriodFacts) {
    let mut from = i64::MIN;
    for to in cuts.iter().copied().chain([i64::MAX]) {
        let within = |ms: &&i64| from <= **ms && **ms < to;
        let sent: Vec<i64> = all.iter().filter(within).copied().collect();
        if let (Some(first), Some(last)) = (sent.first(), sent.last()) {
            facts.activity.push(ActivityFact {
                n: sent.len() as u32,
                n_own: own.iter().filter(within).count() as u32,
                first_ms: *first,
                last_ms: *last,
                ..*whole
            });
        }
        from = to;
    }
}

fn call_facts(batch: &RecordBatch, names: &mut Names, facts: &mut PeriodFacts) {
    let (conversation, kind) = (text(batch, "conversation"), text(batch, "kind"));
    let (employee, message) = (text(batch, "employee"), text(batch, "message_id"));
    let (by, at) = (text(batch, "started_by"), instant(batch, "at"));
    let (named, lasted) = (list(batch, "named"), integer(batch, "call_ms"));
    for row in 0..batch.num_rows() {
        let from = facts.people.len();
        facts
            .people
            .extend(texts_of(named, row).map(|id| names.intern(id)));
        facts.calls.push(CallFact {
            conversation: names.intern(conversation.value(row)),
            kind: kind_of(kind.value(row)),
            employee: maybe(employee, row, names),
            message_id: names.intern(message.value(row)),
            at_ms: at.value(row) / 1000,
            by: names.intern(by.value(row)),
            named: from..facts.people.len(),
            lasted_ms: lasted.value(row),
        });
    }
}

fn timeout_facts(batch: &RecordBatch, wanted: Wanted, names: &mut Names, facts: &mut PeriodFacts) {
    let (conversation, kind) = (text(batch, "conversation"), text(batch, "kind"));
    let customer = text(batch, "customer");
    let message = (wanted == Wanted::Shown).then(|| text(batch, "message_id"));
    let (shown, fired) = (
        instant(batch, "last_message_at"),
        instant(batch, "fired_at"),
    );
    let employees = list(batch, "employees");
    for row in 0..batch.num_rows() {
        let from = facts.people.len();
        facts
            .people
            .extend(texts_of(employees, row).map(|id| names.intern(id)));
        let kind = kind_of(kind.value(row));
        facts.timeouts.push(TimeoutFact {
            conversation: conversation_of(kind, conversation.value(row), wanted, names),
            kind,
            customer: names.intern(customer.value(row)),
            employees: from..facts.people.len(),
            message_id: message.map_or(UNTOLD, |message| names.intern(message.value(row))),
            message_ms: shown.value(row) / 1000,
            fired_ms: fired.value(row) / 1000,
        });
    }
}

fn timer_facts(
    batch: &RecordBatch,
    at_ms: &[i64],
    wanted: Wanted,
    names: &mut Names,
    timers: &mut Vec<TimerFact>,
) {
    let (conversation, kind) = (text(batch, "conversation"), text(batch, "kind"));
    let (employee, started) = (text(batch, "employee"), instant(batch, "started_at"));
    let is_shown = wanted == Wanted::Shown;
    let shown = is_shown.then(|| (text(batch, "customer"), text(batch, "message_id")));
    let ended = batch
        .column_by_name("ended_at")
        .map(|_| instant(batch, "ended_at"));
    for row in 0..batch.num_rows() {
        let since_ms = started.value(row) / 1000;
        let ended_ms = ended.and_then(|ended| maybe_ms(ended, row));
        // The first instant from its beginning on: it runs there, or at none.
        let next = at_ms.get(at_ms.partition_point(|at_ms| *at_ms < since_ms));
        if next.is_none_or(|at_ms| ended_ms.is_some_and(|ended_ms| ended_ms <= *at_ms)) {
            continue;
        }
        let kind = kind_of(kind.value(row));
        timers.push(TimerFact {
            conversation: conversation_of(kind, conversation.value(row), wanted, names),
            kind,
            employee: maybe(employee, row, names),
            customer: shown.map_or(UNTOLD, |(who, _)| names.intern(who.value(row))),
            message_id: shown.map_or(UNTOLD, |(_, id)| names.intern(id.value(row))),
            since_ms,
            ended_ms,
        });
    }
}

fn kind_of(name: &str) -> Kind {
    name.parse().unwrap_or(Kind::Other)
}

fn side_of(name: &str) -> Side {
    if name == "employee" {
        Side::Employee
    } else {
        Side::Customer
    }
}

fn maybe(column: &StringArray, row: usize, names: &mut Names) -> Option<u32> {
    maybe_text(column, row).map(|id| names.intern(id))
}
