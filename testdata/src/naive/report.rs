//! The rows of `huicun report employees`, as far as they tell of single chats (semantics 10.1).

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Days, NaiveDate};
use serde_json::{Map, Value, json};

use super::company::Company;
use super::conversation::{Conversation, Kind, Role};
use super::dialogue::Dialogue;
use super::period::{Period, day_of};

/// A single external dialogue with what the report asks of it.
struct Single<'a> {
    dialogue: Dialogue<'a>,
    day: NaiveDate,
    /// Milliseconds from turn to reply, for every turn that has one.
    intervals: Vec<i64>,
}

/// Everything the archive says of one employee's single external chats, without a period.
#[derive(Default)]
struct Facts<'a> {
    dialogues: Vec<Single<'a>>,
    days_of_messages_sent: Vec<NaiveDate>,
    /// The day and the milliseconds of every call.
    calls: Vec<(NaiveDate, i64)>,
    /// The day of every relation added, and its customer.
    additions: Vec<(NaiveDate, String)>,
}

impl Company {
    /// The rows of `huicun report employees`, by userid, then period.
    ///
    /// An employee of the directory is always listed; another employee id, with a null name, where
    /// its row over the whole period says anything. With `by`, whoever is listed has every slice.
    ///
    /// # Panics
    /// If a day is not written YYYY-MM-DD, or `by` is none of `day`, `week` and `month`.
    pub fn report_employees(&self, from: &str, to: &str, by: Option<&str>) -> Vec<Value> {
        let whole = Period::parse(from, to);
        let mut facts = self.facts_by_employee();
        for userid in self.directory.employee_ids() {
            facts.entry(userid.to_owned()).or_default();
        }
        let totals = self.customers_totals(whole);
        facts.retain(|userid, facts| {
            let total = totals.get(userid).copied().unwrap_or(0);
            self.directory.name_of(userid).is_some() || says_anything(&metrics(facts, whole, total))
        });
        let Some(by) = by else {
            return facts
                .iter()
                .map(|(userid, facts)| self.row(userid, None, facts, whole, &totals))
                .collect();
        };
        let mut rows = Vec::new();
        for slice in whole.slices(by) {
            let totals = self.customers_totals(slice.period);
            for (userid, facts) in &facts {
                let label = Some(&*slice.label);
                let row = self.row(userid, label, facts, slice.period, &totals);
                rows.push((userid, slice.period.from, row));
            }
        }
        rows.sort_by_key(|(userid, from, _)| ((*userid).clone(), *from));
        rows.into_iter().map(|(_, _, row)| row).collect()
    }

    fn row(
        &self,
        userid: &str,
        label: Option<&str>,
        facts: &Facts<'_>,
        period: Period,
        totals: &BTreeMap<String, usize>,
    ) -> Value {
        let total = totals.get(userid).copied().unwrap_or(0);
        let mut row = metrics(facts, period, total);
        row.insert("userid".to_owned(), json!(userid));
        row.insert("name".to_owned(), json!(self.directory.name_of(userid)));
        if let Some(label) = label {
            row.insert("period".to_owned(), json!(label));
        }
        Value::Object(row)
    }

    fn facts_by_employee(&self) -> BTreeMap<String, Facts<'_>> {
        let zone = self.rules.zone;
        let mut by_employee: BTreeMap<String, Facts<'_>> = BTreeMap::new();
        for dialogue in self.all_dialogues() {
            if let Some(userid) = self.employee_of(&dialogue.conversation) {
                let single = Single {
                    day: day_of(dialogue.started_at(), zone),
                    intervals: dialogue.reply_intervals(self.rules.reply_from),
                    dialogue,
                };
                by_employee
                    .entry(userid)
                    .or_default()
                    .dialogues
                    .push(single);
            }
        }
        for message in self
            .messages
            .iter()
            .filter(|message| self.is_counted(message))
        {
            let day = day_of(message.at, zone);
            // A message to several pairs is one message, and one call, for each employee of them.
            let employees: BTreeSet<String> = message
                .conversations()
                .iter()
                .filter_map(|conversation| self.employee_of(conversation))
                .collect();
            for userid in employees {
                let facts = by_employee.entry(userid.clone()).or_default();
                if message.from == userid {
                    facts.days_of_messages_sent.push(day);
                }
                if let Some(ms) = message.call_ms {
                    facts.calls.push((day, ms));
                }
            }
        }
        for (userid, customer, added) in self.directory.additions() {
            if self.role_of(userid) == Role::Employee {
                let addition = (day_of(added, zone), customer.to_owned());
                by_employee
                    .entry(userid.to_owned())
                    .or_default()
                    .additions
                    .push(addition);
            }
        }
        // Who is only the first adder of somebody has an addition, so nobody is missing here.
        by_employee
    }

    /// The employee of a single external chat; None for every other conversation.
    fn employee_of(&self, conversation: &Conversation) -> Option<String> {
        let Conversation::Pair(a, b) = conversation else {
            return None;
        };
        match Kind::of_pair(self.role_of(a), self.role_of(b)) {
            Kind::SingleExternal if self.role_of(a) == Role::Employee => Some(a.clone()),
            Kind::SingleExternal => Some(b.clone()),
            _ => None,
        }
    }

    /// How many customers each employee is the first adder of, as of the end of the period.
    fn customers_totals(&self, period: Period) -> BTreeMap<String, usize> {
        let end = period.last_ms(self.rules.zone);
        let end = self.rules.now_ms.map_or(end, |now| end.min(now));
        let mut totals = BTreeMap::new();
        for userid in self.directory.first_adders_at(end).values() {
            *totals.entry((*userid).to_owned()).or_default() += 1;
        }
        totals
    }
}

/// Whether any count or duration is above zero.
fn says_anything(row: &Map<String, Value>) -> bool {
    row.values()
        .any(|value| value.as_f64().is_some_and(|number| number > 0.0))
}

fn metrics(facts: &Facts<'_>, period: Period, customers_total: usize) -> Map<String, Value> {
    let started: Vec<&Single<'_>> = facts
        .dialogues
        .iter()
        .filter(|single| period.contains(single.day))
        .collect();
    let is_opened_by = |side: Role| move |single: &&Single<'_>| single.dialogue.opened_by() == side;
    let has_employee = |single: &&Single<'_>| single.dialogue.n_messages(Role::Employee) > 0;

    // Taking part is: opened by the employee, or the employee sent a message. The first implies
    // the second.
    let dialogues: Vec<&Single<'_>> = started.iter().copied().filter(has_employee).collect();
    let opened: Vec<_> = dialogues
        .iter()
        .copied()
        .filter(is_opened_by(Role::Employee))
        .collect();
    let replied: Vec<_> = dialogues
        .iter()
        .copied()
        .filter(is_opened_by(Role::Customer))
        .collect();
    let asked: Vec<_> = started
        .iter()
        .copied()
        .filter(is_opened_by(Role::Customer))
        .collect();
    let effective: Vec<_> = dialogues
        .iter()
        .copied()
        .filter(|single| single.dialogue.is_effective())
        .collect();

    let n = dialogues.len();
    let reply_ms: i64 = dialogues.iter().flat_map(|single| &single.intervals).sum();
    let dialogue_ms: i64 = dialogues
        .iter()
        .map(|single| single.dialogue.ended_at() - single.dialogue.started_at())
        .sum();
    let first_reply_ms: i64 = replied
        .iter()
        .filter_map(|single| single.intervals.first())
        .sum();
    let n_messages: usize = dialogues
        .iter()
        .map(|single| single.dialogue.messages.len())
        .sum();
    let call_ms: i64 = facts
        .calls
        .iter()
        .filter(|(day, _)| period.contains(*day))
        .map(|(_, ms)| ms)
        .sum();
    let messages_sent = facts
        .days_of_messages_sent
        .iter()
        .filter(|day| period.contains(**day))
        .count();
    let customers_new: BTreeSet<&str> = facts
        .additions
        .iter()
        .filter(|(day, _)| period.contains(*day))
        .map(|(_, customer)| &**customer)
        .collect();
    let resolved_once = |days_after: u64| {
        let is_resolved = |single: &&&Single<'_>| is_the_only_one(facts, single, days_after);
        ratio(effective.iter().filter(is_resolved).count(), n)
    };
    let first_reply_within = |limit_ms: i64| {
        let is_within =
            |single: &&&Single<'_>| single.intervals.first().is_some_and(|ms| *ms <= limit_ms);
        ratio(effective.iter().filter(is_within).count(), effective.len())
    };

    let row = [
        ("customers_total", json!(customers_total)),
        ("customers_new", json!(customers_new.len())),
        ("dialogues", json!(n)),
        ("dialogues_opened", json!(opened.len())),
        ("dialogues_replied", json!(replied.len())),
        ("messages_sent", json!(messages_sent)),
        ("reply_time_total_seconds", json!(seconds(reply_ms))),
        ("dialogue_time_total_seconds", json!(seconds(dialogue_ms))),
        ("call_time_total_seconds", json!(seconds(call_ms))),
        ("opened_share", ratio(opened.len(), n)),
        ("reply_rate", ratio(replied.len(), asked.len())),
        (
            "first_reply_avg_seconds",
            mean_seconds(first_reply_ms, replied.len()),
        ),
        ("reply_avg_seconds", reply_avg(&dialogues)),
        ("dialogue_time_avg_seconds", mean_seconds(dialogue_ms, n)),
        ("messages_avg", ratio(n_messages, n)),
        ("resolved_once_24h", resolved_once(0)),
        ("resolved_once_48h", resolved_once(1)),
        ("first_reply_1m", first_reply_within(60_000)),
        ("first_reply_3m", first_reply_within(180_000)),
        ("unanswered", json!(asked.len() - replied.len())),
    ];
    row.into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}

/// Whether no other effective dialogue of the pair started on this one's day or the days after it.
fn is_the_only_one(facts: &Facts<'_>, single: &Single<'_>, days_after: u64) -> bool {
    let days = Period {
        from: single.day,
        to: single.day + Days::new(days_after),
    };
    let n_effective = facts
        .dialogues
        .iter()
        .filter(|other| other.dialogue.conversation == single.dialogue.conversation)
        .filter(|other| other.dialogue.is_effective() && days.contains(other.day))
        .count();
    n_effective == 1
}

/// Per dialogue with a reply the mean of its reply intervals; the mean of those that are not zero.
fn reply_avg(dialogues: &[&Single<'_>]) -> Value {
    let mut means_ms = Vec::new();
    for single in dialogues {
        let total_ms: i64 = single.intervals.iter().sum();
        if total_ms > 0 {
            means_ms.push(total_ms as f64 / single.intervals.len() as f64);
        }
    }
    if means_ms.is_empty() {
        return Value::Null;
    }
    json!(means_ms.iter().sum::<f64>() / means_ms.len() as f64 / 1000.0)
}

fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

fn mean_seconds(total_ms: i64, n: usize) -> Value {
    if n == 0 {
        return Value::Null;
    }
    json!(total_ms as f64 / n as f64 / 1000.0)
}

fn ratio(part: usize, whole: usize) -> Value {
    if whole == 0 {
        return Value::Null;
    }
    json!(part as f64 / whole as f64)
}
