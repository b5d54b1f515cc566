//! Reads derived tables into what reports count ([`PeriodFacts`]), stretch by stretch.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch, StringArray, TimestampMicrosecondArray};
use chrono::NaiveDate;
use huicun_semantics::conversation::Kind;
use huicun_semantics::dialogue::Side;
use huicun_semantics::time::{Period, Zone};

use super::DeriveError;
use super::columns::{
    instant, instants_of, integer, integers_of, list, maybe_ms, maybe_text, text, texts_of,
};
use super::schema::{self, Derived};
use super::store::{self, Manifest};
use crate::archive::{Condition, Home, Table};
use crate::jobs::period::{
    ActivityFact, CallFact, DialogueFact, Names, PeriodFacts, ReplyFact, SpokenFact, TimeoutFact,
    TimerFact,
};

/// What reports read of a table. What else is there is for lists and SQL, and costs the most.
const OF_DIALOGUES: [&str; 17] = [
    "conversation",
    "kind",
    "employee",
    "customer",
    "started_at",
    "ended_at",
    "opened_by",
    "employees",
    "employee_messages",
    "customer_messages",
    "turn_at",
    "reply_at",
    "reply_by",
    "reply_ms",
    "reply_working_ms",
    "message_at",
    "message_by",
];
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
const OF_WAITS: [&str; 6] = [
    "conversation",
    "kind",
    "employee",
    "customer",
    "message_id",
    "started_at",
];

/// The derived tables of one manifest, open for reading.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// What they were made from.
    pub manifest: Manifest,
    zone: Zone,
    tables: HashMap<&'static str, Table>,
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
        names: &mut Names,
        moves: &Moves<'_>,
    ) -> Result<PeriodFacts, DeriveError> {
        let mut facts = PeriodFacts::default();
        let is_in = |day: NaiveDate| days.contains(day);
        let is_next = |day: NaiveDate| days.to.succ_opt() == Some(day);
        let (dialogues, next, activity, calls, timeouts) = futures::try_join!(
            self.some_rows(schema::DIALOGUES, &OF_DIALOGUES, None, is_in),
            self.some_rows(schema::DIALOGUES, &OF_NEXT_DAY, None, is_next),
            self.some_rows(schema::ACTIVITY, &OF_ACTIVITY, None, is_in),
            self.rows(schema::CALLS, is_in),
            self.rows(schema::TIMEOUTS, is_in),
        )?;
        for batch in &dialogues {
            dialogue_facts(batch, names, &mut facts);
        }
        self.only_effective(&next, names, &mut facts);
        self.activity_facts(&activity, names, moves, &mut facts)
            .await?;
        for batch in &calls {
            call_facts(batch, names, &mut facts);
        }
        for batch in &timeouts {
            timeout_facts(batch, names, &mut facts);
        }
        facts.timeouts.retain(|timeout| timeout.fired_ms <= now_ms);
        Ok(facts)
    }

    /// The timers that run at any of some instants, UTC milliseconds in rising order; by time, then
    /// conversation. Read once, however many instants there are; only those that run at one of
    /// them are kept.
    pub async fn timers(
        &self,
        at_ms: &[i64],
        names: &mut Names,
    ) -> Result<Vec<TimerFact>, DeriveError> {
        let Some(first_ms) = at_ms.first() else {
            return Ok(Vec::new());
        };
        let day = self.zone.day_of(*first_ms);
        let mut with_end = OF_WAITS.to_vec();
        with_end.push("ended_at");
        // Rows are told by their instants, before anything else of them is decoded.
        let (ended, running) = futures::try_join!(
            self.some_rows(
                schema::TIMERS,
                &with_end,
                Some(runs_at(at_ms, &["started_at", "ended_at"])),
                |on| on >= day
            ),
            self.some_rows(
                schema::WAITING,
                &OF_WAITS,
                Some(runs_at(at_ms, &["started_at"])),
                |_| true
            ),
        )?;
        let mut timers = Vec::new();
        for batch in ended.iter().chain(&running) {
            timer_facts(batch, at_ms, names, &mut timers);
        }
        timers.sort_unstable_by(|a: &TimerFact, b: &TimerFact| {
            let name = |id: u32| names.name(id);
            (a.since_ms, name(a.conversation), name(a.message_id)).cmp(&(
                b.since_ms,
                name(b.conversation),
                name(b.message_id),
            ))
        });
        Ok(timers)
    }

    /// The ids of groups with customers.
    pub async fn external_rooms(&self) -> Result<Vec<String>, DeriveError> {
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
        // Files are read side by side, each by a task of its own: most of it is decoding.
        let batches: Vec<Vec<RecordBatch>> = futures::stream::iter(files)
            .map(|(_, path)| {
                let (table, columns) = (Arc::clone(&table), columns.to_vec());
                let condition = condition.clone();
                async move {
                    let read = tokio::spawn(async move {
                        table.read_file_where(&path, &columns, condition).await
                    });
                    Ok::<_, DeriveError>(read.await.map_err(DeriveError::other)??)
                }
            })
            .buffered(4)
            .try_collect()
            .await?;
        Ok(batches.into_iter().flatten().collect())
    }

    /// Marks the effective single dialogues that are the only one of their pair on their day, and
    /// on their day and the next; `next` are the dialogues of the day after.
    fn only_effective(&self, next: &[RecordBatch], names: &Names, facts: &mut PeriodFacts) {
        let mut n_on: HashMap<(u32, NaiveDate), u32> = HashMap::new();
        let counts = |d: &&DialogueFact| d.kind == Kind::SingleExternal && d.is_effective();
        for dialogue in facts.dialogues.iter().filter(counts) {
            let day = self.zone.day_of(dialogue.started_ms);
            *n_on.entry((dialogue.conversation, day)).or_default() += 1;
        }
        for batch in next {
            let (conversation, kind) = (text(batch, "conversation"), text(batch, "kind"));
            let started = instant(batch, "started_at");
            let (n_employee, n_customer) = (
                integer(batch, "employee_messages"),
                integer(batch, "customer_messages"),
            );
            for row in 0..batch.num_rows() {
                let is_effective = n_employee.value(row) > 0 && n_customer.value(row) > 0;
                if kind_of(kind.value(row)) != Kind::SingleExternal || !is_effective {
                    continue;
                }
                // A pair that has no dialogue in these days is asked about by none.
                if let Some(conversation) = names.get(conversation.value(row)) {
                    let day = self.zone.day_of(started.value(row) / 1000);
                    *n_on.entry((conversation, day)).or_default() += 1;
                }
            }
        }
        for dialogue in &mut facts.dialogues {
            if !counts(&&*dialogue) {
                continue;
            }
            let day = self.zone.day_of(dialogue.started_ms);
            let on = |day: Option<NaiveDate>| {
                day.and_then(|day| n_on.get(&(dialogue.conversation, day)).copied())
                    .unwrap_or(0)
            };
            let today = on(Some(day));
            dialogue.only_effective_24h = today == 1;
            dialogue.only_effective_48h = today + on(day.succ_opt()) == 1;
        }
    }
}

fn dialogue_facts(batch: &RecordBatch, names: &mut Names, facts: &mut PeriodFacts) {
    let (conversation, kind) = (text(batch, "conversation"), text(batch, "kind"));
    let (employee, customer) = (text(batch, "employee"), text(batch, "customer"));
    let (started, ended) = (instant(batch, "started_at"), instant(batch, "ended_at"));
    let opened_by = text(batch, "opened_by");
    let (n_employee, n_customer) = (
        integer(batch, "employee_messages"),
        integer(batch, "customer_messages"),
    );
    let turn = list(batch, "turn_at");
    let (reply_at, reply_by) = (list(batch, "reply_at"), list(batch, "reply_by"));
    let (reply_ms, working) = (list(batch, "reply_ms"), list(batch, "reply_working_ms"));
    let (message_at, message_by) = (list(batch, "message_at"), list(batch, "message_by"));
    let employees = list(batch, "employees");
    for row in 0..batch.num_rows() {
        let replies_from = facts.replies.len();
        let (turns, ats) = (instants_of(turn, row), instants_of(reply_at, row));
        let bys: Vec<&str> = texts_of(reply_by, row).collect();
        let intervals = integers_of(reply_ms, row);
        let works = integers_of(working, row);
        for at in 0..ats.len() {
            facts.replies.push(ReplyFact {
                turn_ms: turns[at] / 1000,
                at_ms: ats[at] / 1000,
                by: names.intern(bys[at]),
                interval_ms: intervals[at],
                working_ms: works.get(at).copied(),
            });
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
        facts.dialogues.push(DialogueFact {
            conversation: names.intern(conversation.value(row)),
            kind: kind_of(kind.value(row)),
            employee: maybe(employee, row, names),
            customer: maybe(customer, row, names),
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

/// At which instants after the first and up to the second somebody changed his place in the
/// organisation: what he sent on a day is split there (semantics 9).
pub type Moves<'a> = dyn Fn(&str, i64, i64) -> Vec<i64> + Sync + 'a;

/// One row of activity as it is where nobody moved.
fn whole_activity(
    columns: &Activity<'_>,
    row: usize,
    zone: Zone,
    names: &mut Names,
) -> ActivityFact {
    let first_ms = columns.first.value(row) / 1000;
    ActivityFact {
        day: zone.day_of(first_ms),
        conversation: names.intern(columns.conversation.value(row)),
        kind: kind_of(columns.kind.value(row)),
        speaker: names.intern(columns.speaker.value(row)),
        side: side_of(columns.side.value(row)),
        n: columns.n.value(row) as u32,
        n_own: columns.n_own.value(row) as u32,
        first_ms,
        last_ms: columns.last.value(row) / 1000,
    }
}

/// The columns of activity that every report reads.
struct Activity<'a> {
    conversation: &'a StringArray,
    kind: &'a StringArray,
    speaker: &'a StringArray,
    side: &'a StringArray,
    n: &'a arrow::array::Int64Array,
    n_own: &'a arrow::array::Int64Array,
    first: &'a TimestampMicrosecondArray,
    last: &'a TimestampMicrosecondArray,
}

impl<'a> Activity<'a> {
    fn of(batch: &'a RecordBatch) -> Self {
        Self {
            conversation: text(batch, "conversation"),
            kind: text(batch, "kind"),
            speaker: text(batch, "speaker"),
            side: text(batch, "side"),
            n: integer(batch, "messages"),
            n_own: integer(batch, "messages_own"),
            first: instant(batch, "first_at"),
            last: instant(batch, "last_at"),
        }
    }
}

/// The moves of each speaker, asked once.
struct MovesOf<'a> {
    moves: &'a Moves<'a>,
    known: HashMap<u32, Vec<i64>>,
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
    /// Activity of some days, in order; what somebody sent on a day on which he moved is split
    /// there.
    async fn activity_facts(
        &self,
        batches: &[RecordBatch],
        names: &mut Names,
        moves: &Moves<'_>,
        facts: &mut PeriodFacts,
    ) -> Result<(), DeriveError> {
        let known = HashMap::new();
        let mut moves = MovesOf { moves, known };
        let mut split_days = BTreeSet::new();
        let from = facts.activity.len();
        for batch in batches {
            let columns = Activity::of(batch);
            for row in 0..batch.num_rows() {
                let whole = whole_activity(&columns, row, self.zone, names);
                if !moves.cuts(&whole, names).is_empty() {
                    split_days.insert(whole.day);
                }
                facts.activity.push(whole);
            }
        }
        if split_days.is_empty() {
            return Ok(());
        }
        // The times of each message are read for those days only.
        let whole = facts.activity.split_off(from);
        let mut columns = OF_ACTIVITY.to_vec();
        columns.extend(TIMES_OF_ACTIVITY);
        let with_times = self
            .some_rows(schema::ACTIVITY, &columns, None, |day| {
                split_days.contains(&day)
            })
            .await?;
        let mut rest = whole.into_iter().peekable();
        let mut batches = with_times.iter();
        while let Some(next) = rest.peek() {
            if !split_days.contains(&next.day) {
                facts.activity.extend(rest.next());
                continue;
            }
            let Some(batch) = batches.next() else { break };
            self.split_batch(batch, &mut moves, names, facts);
            for _ in 0..batch.num_rows() {
                rest.next();
            }
        }
        Ok(())
    }

    fn split_batch(
        &self,
        batch: &RecordBatch,
        moves: &mut MovesOf<'_>,
        names: &mut Names,
        facts: &mut PeriodFacts,
    ) {
        let columns = Activity::of(batch);
        let (message_at, own_at) = (list(batch, "message_at"), list(batch, "own_at"));
        for row in 0..batch.num_rows() {
            let whole = whole_activity(&columns, row, self.zone, names);
            let cuts = moves.cuts(&whole, names);
            if cuts.is_empty() {
                facts.activity.push(whole);
                continue;
            }
            let ms = |us: &[i64]| -> Vec<i64> { us.iter().map(|us| us / 1000).collect() };
            let all = ms(instants_of(message_at, row));
            let own = match whole.n == whole.n_own {
                true => all.clone(),
                false => ms(instants_of(own_at, row)),
            };
            split(&whole, &all, &own, &cuts, facts);
        }
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

fn timeout_facts(batch: &RecordBatch, names: &mut Names, facts: &mut PeriodFacts) {
    let (conversation, kind) = (text(batch, "conversation"), text(batch, "kind"));
    let (customer, message) = (text(batch, "customer"), text(batch, "message_id"));
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
        facts.timeouts.push(TimeoutFact {
            conversation: names.intern(conversation.value(row)),
            kind: kind_of(kind.value(row)),
            customer: names.intern(customer.value(row)),
            employees: from..facts.people.len(),
            message_id: names.intern(message.value(row)),
            message_ms: shown.value(row) / 1000,
            fired_ms: fired.value(row) / 1000,
        });
    }
}

fn timer_facts(batch: &RecordBatch, at_ms: &[i64], names: &mut Names, timers: &mut Vec<TimerFact>) {
    let (conversation, kind) = (text(batch, "conversation"), text(batch, "kind"));
    let (employee, customer) = (text(batch, "employee"), text(batch, "customer"));
    let (message, started) = (text(batch, "message_id"), instant(batch, "started_at"));
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
        timers.push(TimerFact {
            conversation: names.intern(conversation.value(row)),
            kind: kind_of(kind.value(row)),
            employee: maybe(employee, row, names),
            customer: names.intern(customer.value(row)),
            message_id: names.intern(message.value(row)),
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
