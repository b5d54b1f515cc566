//! Reads derived tables into what reports count ([`PeriodFacts`]), stretch by stretch.

use std::collections::HashMap;

use arrow::array::{RecordBatch, StringArray};
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
use crate::archive::{Home, Table};
use crate::jobs::period::{
    ActivityFact, CallFact, DialogueFact, Names, PeriodFacts, ReplyFact, SpokenFact, TimeoutFact,
    TimerFact,
};

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
        let opened = schema::TABLES
            .iter()
            .map(|spec| async { (spec.name, store::open(home, &manifest, spec).await) });
        let mut tables = HashMap::new();
        for (name, table) in futures::future::join_all(opened).await {
            if let Some(table) = table? {
                tables.insert(name, table);
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
        let (dialogues, next, activity, calls, timeouts) = futures::try_join!(
            self.rows(schema::DIALOGUES, is_in),
            self.rows(schema::DIALOGUES, |day| days.to.succ_opt() == Some(day)),
            self.rows(schema::ACTIVITY, is_in),
            self.rows(schema::CALLS, is_in),
            self.rows(schema::TIMEOUTS, is_in),
        )?;
        for batch in &dialogues {
            dialogue_facts(batch, names, &mut facts);
        }
        self.only_effective(&next, names, &mut facts);
        for batch in &activity {
            activity_facts(batch, self.zone, names, moves, &mut facts);
        }
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
        let ended = self.rows(schema::TIMERS, |on| on >= day).await?;
        let running = self.rows(schema::WAITING, |_| true).await?;
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
        let mut rooms = Vec::new();
        for batch in self.rows(schema::CONVERSATIONS, |_| true).await? {
            let (conversation, kind) = (text(&batch, "conversation"), text(&batch, "kind"));
            let external = (0..batch.num_rows())
                .filter(|row| kind.value(*row) == Kind::GroupExternal.as_str());
            rooms.extend(external.map(|row| conversation.value(row).to_string()));
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
        use futures::{StreamExt, TryStreamExt};
        let Some(table) = self.tables.get(name) else {
            return Ok(Vec::new());
        };
        let spec: &Derived = schema::table(name);
        let columns: Vec<&str> = spec
            .columns()
            .map(|(column, _)| column)
            .filter(|column| spec.day_of.is_none() || *column != "day")
            .collect();
        let mut files: Vec<(Option<NaiveDate>, String)> = table
            .live_files()
            .into_iter()
            .map(|file| (file.day(), file.path))
            .filter(|(day, _)| day.is_none_or(&is_wanted))
            .collect();
        files.sort();
        let columns = &columns;
        // Files are read side by side, each by a task of its own: most of it is decoding.
        let batches: Vec<Vec<RecordBatch>> = futures::stream::iter(files)
            .map(|(_, path)| {
                let (table, columns): (Table, Vec<String>) = (
                    table.clone(),
                    columns.iter().map(|c| (*c).to_string()).collect(),
                );
                async move {
                    let read = tokio::spawn(async move {
                        let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
                        table.read_file(&path, &columns).await
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
    fn only_effective(&self, next: &[RecordBatch], names: &mut Names, facts: &mut PeriodFacts) {
        let mut after = PeriodFacts::default();
        for batch in next {
            dialogue_facts(batch, names, &mut after);
        }
        let mut n_on: HashMap<(u32, NaiveDate), u32> = HashMap::new();
        let counts = |d: &&DialogueFact| d.kind == Kind::SingleExternal && d.is_effective();
        for dialogue in facts
            .dialogues
            .iter()
            .chain(&after.dialogues)
            .filter(counts)
        {
            let day = self.zone.day_of(dialogue.started_ms);
            *n_on.entry((dialogue.conversation, day)).or_default() += 1;
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

fn activity_facts(
    batch: &RecordBatch,
    zone: Zone,
    names: &mut Names,
    moves: &Moves<'_>,
    facts: &mut PeriodFacts,
) {
    let (conversation, kind) = (text(batch, "conversation"), text(batch, "kind"));
    let (speaker, side) = (text(batch, "speaker"), text(batch, "side"));
    let (n, n_own) = (integer(batch, "messages"), integer(batch, "messages_own"));
    let (first, last) = (instant(batch, "first_at"), instant(batch, "last_at"));
    let (message_at, own_at) = (list(batch, "message_at"), list(batch, "own_at"));
    for row in 0..batch.num_rows() {
        let (first_ms, last_ms) = (first.value(row) / 1000, last.value(row) / 1000);
        let cuts = if first_ms < last_ms && side.value(row) == Side::Employee.as_str() {
            moves(speaker.value(row), first_ms, last_ms)
        } else {
            Vec::new()
        };
        if !cuts.is_empty() {
            let whole = ActivityFact {
                day: zone.day_of(first_ms),
                conversation: names.intern(conversation.value(row)),
                kind: kind_of(kind.value(row)),
                speaker: names.intern(speaker.value(row)),
                side: Side::Employee,
                n: n.value(row) as u32,
                n_own: n_own.value(row) as u32,
                first_ms,
                last_ms,
            };
            let ms = |us: &[i64]| -> Vec<i64> { us.iter().map(|us| us / 1000).collect() };
            let all = ms(instants_of(message_at, row));
            let own = match n.value(row) == n_own.value(row) {
                true => all.clone(),
                false => ms(instants_of(own_at, row)),
            };
            split(&whole, &all, &own, &cuts, facts);
            continue;
        }
        facts.activity.push(ActivityFact {
            day: zone.day_of(first.value(row) / 1000),
            conversation: names.intern(conversation.value(row)),
            kind: kind_of(kind.value(row)),
            speaker: names.intern(speaker.value(row)),
            side: side_of(side.value(row)),
            n: n.value(row) as u32,
            n_own: n_own.value(row) as u32,
            first_ms: first.value(row) / 1000,
            last_ms: last.value(row) / 1000,
        });
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
