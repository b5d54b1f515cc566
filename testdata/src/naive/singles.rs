//! The metrics of single chats of an employee or a department (semantics 10.1 and 10.9).

use std::collections::BTreeSet;

use chrono::Days;
use serde_json::{Map, Value, json};

use super::company::Company;
use super::conversation::{Kind, Role};
use super::facts::{Facts, Held, Interval};
use super::number::{mean_seconds, ratio, seconds};
use super::organisation::Unit;
use super::period::Period;
use super::replies::Replies;

impl Company {
    pub(super) fn single_metrics(
        &self,
        facts: &Facts<'_>,
        unit: Unit<'_>,
        period: Period,
        row: &mut Map<String, Value>,
    ) {
        let end = self.end_of(period);
        let is_of = |userid: &str, at: i64| self.directory.is_of(unit, userid, at);
        let is_in = |at: i64| self.is_in(period, at);

        let started: Vec<&Held<'_>> = facts
            .singles
            .iter()
            .filter(|held| period.contains(held.day))
            .filter(|held| is_of(&held.employee, held.dialogue.started_at()))
            .collect();
        self.dialogue_metrics(facts, &started, row);

        let firsts = self.directory.first_adders_at(end);
        let customers_total = firsts.values().filter(|first| is_of(first.userid, end));
        row.insert("customers_total".into(), json!(customers_total.count()));
        let customers_new: BTreeSet<&str> = self
            .directory
            .all_relations()
            .iter()
            .filter(|relation| is_of(relation.userid, relation.added) && is_in(relation.added))
            .map(|relation| relation.customer)
            .collect();
        row.insert("customers_new".into(), json!(customers_new.len()));

        let sent = facts.sent.iter().filter(|sent| sent.room.is_none());
        let sent = sent.filter(|sent| period.contains(sent.day) && is_of(sent.userid, sent.at));
        row.insert("messages_sent".into(), json!(sent.count()));

        // A call to several customers is one call.
        let calls = facts.calls.iter().filter(|call| !call.is_group);
        let calls = calls.filter(|call| {
            period.contains(call.day) && call.employees.iter().any(|id| is_of(id, call.at))
        });
        let call_ms: i64 = calls.map(|call| call.ms).sum();
        row.insert("call_time_total_seconds".into(), json!(seconds(call_ms)));

        let timeouts: Vec<_> = facts
            .timeouts
            .iter()
            .filter(|timeout| timeout.kind == Kind::SingleExternal && period.contains(timeout.day))
            .filter(|t| t.employees.iter().any(|id| is_of(id, t.fired_at)))
            .collect();
        let customers: BTreeSet<&str> = timeouts.iter().map(|t| t.customer).collect();
        row.insert("timeouts".into(), json!(timeouts.len()));
        row.insert("timeout_customers".into(), json!(customers.len()));

        let waits = facts.timers.iter().filter(|timer| {
            let employee = || self.employee_of_pair(&timer.conversation);
            timer.runs_at(end) && employee().is_some_and(|userid| is_of(userid, end))
        });
        row.insert("open_waits".into(), json!(waits.count()));
        self.revisit_metrics(&facts.due, unit, period, row);
    }

    fn dialogue_metrics(
        &self,
        facts: &Facts<'_>,
        started: &[&Held<'_>],
        row: &mut Map<String, Value>,
    ) {
        let is_opened_by = |side: Role| move |held: &&Held<'_>| held.dialogue.opened_by() == side;
        let has_employee = |held: &&Held<'_>| held.dialogue.n_messages(Role::Employee) > 0;

        // Taking part is: opened by the employee, or the employee sent a message. The first implies
        // the second.
        let dialogues: Vec<&Held<'_>> = started.iter().copied().filter(has_employee).collect();
        let of = |list: &[&Held<'_>], side: Role| {
            list.iter().copied().filter(is_opened_by(side)).count()
        };
        let n = dialogues.len();
        let n_opened = of(&dialogues, Role::Employee);
        let n_replied = of(&dialogues, Role::Customer);
        let n_asked = of(started, Role::Customer);
        let effective: Vec<&Held<'_>> = dialogues
            .iter()
            .copied()
            .filter(|held| held.dialogue.is_effective())
            .collect();

        let all: Vec<&[Interval]> = dialogues.iter().map(|held| &*held.intervals).collect();
        let replied = dialogues
            .iter()
            .copied()
            .filter(is_opened_by(Role::Customer));
        let replied: Vec<&[Interval]> = replied.map(|held| &*held.intervals).collect();
        let reply_ms: i64 = all
            .iter()
            .flat_map(|list| list.iter())
            .map(|i| i.clock_ms)
            .sum();
        let dialogue_ms: i64 = dialogues
            .iter()
            .map(|held| held.dialogue.ended_at() - held.dialogue.started_at())
            .sum();
        let n_messages = dialogues
            .iter()
            .map(|held| held.dialogue.messages.len())
            .sum();
        let resolved_once = |days_after: u64| {
            let is_resolved = |held: &&&Held<'_>| is_the_only_one(facts, held, days_after);
            ratio(effective.iter().filter(is_resolved).count(), n)
        };
        let first_reply_within = |limit_ms: i64| {
            let is_within = |held: &&&Held<'_>| {
                held.intervals
                    .first()
                    .is_some_and(|i| i.clock_ms <= limit_ms)
            };
            ratio(effective.iter().filter(is_within).count(), effective.len())
        };
        let columns = [
            ("dialogues", json!(n)),
            ("dialogues_opened", json!(n_opened)),
            ("dialogues_replied", json!(n_replied)),
            ("reply_time_total_seconds", json!(seconds(reply_ms))),
            ("dialogue_time_total_seconds", json!(seconds(dialogue_ms))),
            ("opened_share", ratio(n_opened, n)),
            ("reply_rate", ratio(n_replied, n_asked)),
            ("dialogue_time_avg_seconds", mean_seconds(dialogue_ms, n)),
            ("messages_avg", ratio(n_messages, n)),
            ("resolved_once_24h", resolved_once(0)),
            ("resolved_once_48h", resolved_once(1)),
            ("first_reply_1m", first_reply_within(60_000)),
            ("first_reply_3m", first_reply_within(180_000)),
            ("unanswered", json!(n_asked - n_replied)),
        ];
        for (key, value) in columns {
            row.insert(key.to_owned(), value);
        }
        let replies = Replies {
            all,
            replied,
            has_calendar: self.rules.reply_calendar.is_some(),
        };
        replies.write("", row);
    }
}

/// Whether no other effective dialogue of the pair started on this one's day or the days after it.
fn is_the_only_one(facts: &Facts<'_>, held: &Held<'_>, days_after: u64) -> bool {
    let mut n_effective = 0;
    for n in 0..=days_after {
        let key = (held.dialogue.conversation.clone(), held.day + Days::new(n));
        n_effective += facts.effective.get(&key).copied().unwrap_or(0);
    }
    n_effective == 1
}
