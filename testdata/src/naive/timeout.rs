//! Timers for customers whom nobody has answered, and the timeouts they make (semantics 5).

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use serde_json::{Value, json};

use super::closing::{is_closing_phrase, normalise};
use super::company::Company;
use super::conversation::{Conversation, Kind, Role};
use super::message::Message;
use super::number::seconds;
use super::organisation::Unit;
use super::period::{Period, day_of, rfc3339};
use super::rules::{TimeoutFrom, TimeoutRule};

/// Room, then employee, to the instant of his first counted message there.
type FirstSpoken = BTreeMap<String, BTreeMap<String, i64>>;

/// One timer of one customer in one external conversation.
#[derive(Debug)]
pub(super) struct Timer<'a> {
    pub(super) conversation: Conversation,
    pub(super) kind: Kind,
    pub(super) customer: &'a str,
    /// The customer's messages that it stands for; the first one started it.
    asked: Vec<&'a Message>,
    pub(super) ended: Option<i64>,
    /// The next message of any employee.
    answered: Option<i64>,
}

/// A timer that ran too long.
#[derive(Debug)]
pub(super) struct Timeout<'a> {
    pub(super) conversation: Conversation,
    pub(super) kind: Kind,
    pub(super) customer: &'a str,
    shown: &'a Message,
    pub(super) fired_at: i64,
    pub(super) day: NaiveDate,
    level: usize,
    pub(super) employees: BTreeSet<String>,
    answered: Option<i64>,
    waited_ms: Option<i64>,
    /// None without a calendar; null while it is open.
    waited_working_ms: Option<Option<i64>>,
}

impl Timer<'_> {
    pub(super) fn started(&self) -> i64 {
        self.asked[0].at
    }

    pub(super) fn runs_at(&self, at: i64) -> bool {
        self.started() <= at && self.ended.is_none_or(|ended| at < ended)
    }
}

impl Company {
    /// All timers, by conversation, then by start.
    pub(super) fn all_timers(&self) -> Vec<Timer<'_>> {
        let mut timers = Vec::new();
        for (conversation, kind, messages) in self.external_conversations() {
            // What runs, by customer; and what has no answer yet, running or not.
            let mut running: BTreeMap<&str, usize> = BTreeMap::new();
            let mut unanswered: Vec<usize> = Vec::new();
            for (role, message) in messages {
                // Choice: an employee's message ends them, whatever its type or text.
                if role == Role::Employee {
                    for index in std::mem::take(&mut running).into_values() {
                        let timer: &mut Timer<'_> = &mut timers[index];
                        timer.ended = Some(message.at);
                    }
                    for index in std::mem::take(&mut unanswered) {
                        timers[index].answered = Some(message.at);
                    }
                    continue;
                }
                if self.needs_no_answer(message) {
                    continue;
                }
                if let Some(index) = running.get(&*message.from).copied() {
                    if self.rules.timeout_from == TimeoutFrom::First {
                        timers[index].asked.push(message);
                        continue;
                    }
                    timers[index].ended = Some(message.at);
                }
                running.insert(&message.from, timers.len());
                unanswered.push(timers.len());
                timers.push(Timer {
                    conversation: conversation.clone(),
                    kind,
                    customer: &message.from,
                    asked: vec![message],
                    ended: None,
                    answered: None,
                });
            }
        }
        timers
    }

    fn needs_no_answer(&self, message: &Message) -> bool {
        let is_type = |one: &String| *one == message.msgtype;
        let is_phrase = |phrase: &String| {
            let phrase = normalise(phrase);
            message.msgtype == "text" && !phrase.is_empty() && normalise(&message.text) == phrase
        };
        is_closing_phrase(message, &self.rules)
            || self.rules.no_answer_types.iter().any(is_type)
            || self.rules.no_answer_phrases.iter().any(is_phrase)
    }

    /// All timeouts that have fired by now.
    pub(super) fn all_timeouts(&self) -> Vec<Timeout<'_>> {
        let spoken = self.first_spoken();
        self.all_timers()
            .into_iter()
            .filter_map(|timer| self.timeout_of(timer, &spoken))
            .collect()
    }

    fn timeout_of<'a>(&'a self, timer: Timer<'a>, spoken: &FirstSpoken) -> Option<Timeout<'a>> {
        let rule = self.rule_of(&timer)?;
        let zone = self.rules.zone;
        let calendar = rule.calendar.as_ref().map(|name| self.rules.calendar(name));
        let deadline = |minutes: u32| {
            let ms = i64::from(minutes) * 60_000;
            match calendar {
                Some(calendar) => calendar.after_working(timer.started(), ms, zone),
                None => Some(timer.started() + ms),
            }
        };
        // An answer at exactly the deadline comes too late.
        let has_fired = |deadline: i64| {
            timer.ended.is_none_or(|ended| ended >= deadline)
                && self.rules.now_ms.is_none_or(|now| deadline <= now)
        };
        let fired: Vec<i64> = rule
            .levels
            .iter()
            .filter_map(|minutes| deadline(*minutes))
            .take_while(|deadline| has_fired(*deadline))
            .collect();
        let fired_at = *fired.first()?;
        let shown = timer.asked.iter().rfind(|message| message.at <= fired_at)?;
        Some(Timeout {
            customer: timer.customer,
            shown,
            fired_at,
            day: day_of(fired_at, zone),
            level: fired.len(),
            employees: self.employees_in(&timer.conversation, fired_at, spoken),
            answered: timer.answered,
            waited_ms: timer.answered.map(|answered| answered - timer.started()),
            waited_working_ms: calendar.map(|calendar| {
                let answered = timer.answered?;
                Some(calendar.working_ms(timer.started(), answered, zone))
            }),
            kind: timer.kind,
            conversation: timer.conversation,
        })
    }

    /// The first enabled rule that covers the employee of the pair, or the responsible of the room.
    fn rule_of(&self, timer: &Timer<'_>) -> Option<&TimeoutRule> {
        let at = timer.started();
        let employee = match &timer.conversation {
            Conversation::Room(room) => self.directory.responsible_at(room, at),
            pair => self.employee_of_pair(pair),
        };
        self.rules.timeout_rules.iter().find(|rule| {
            let is_kind = match timer.kind {
                Kind::SingleExternal => rule.single,
                _ => rule.group,
            };
            let covers_all = rule.employees.is_empty() && rule.departments.is_empty();
            let covers = |employee: &str| {
                rule.employees.iter().any(|id| id == employee)
                    || rule.departments.iter().any(|department| {
                        self.directory
                            .is_of(Unit::Department(department), employee, at)
                    })
            };
            rule.enabled && is_kind && (covers_all || employee.is_some_and(covers))
        })
    }

    /// The employee of the pair; the employees who are members of the room at an instant, or, where the
    /// directory says nothing of its members, those who had spoken there by then.
    fn employees_in(
        &self,
        conversation: &Conversation,
        at: i64,
        spoken: &FirstSpoken,
    ) -> BTreeSet<String> {
        let Conversation::Room(room) = conversation else {
            let employee = self.employee_of_pair(conversation);
            return employee.into_iter().map(str::to_owned).collect();
        };
        if self.directory.has_membership(room) {
            let members = self.directory.members_of_role_at(room, Role::Employee, at);
            return members.into_iter().map(str::to_owned).collect();
        }
        let voices = spoken.get(room).into_iter().flatten();
        voices
            .filter(|(_, first)| **first <= at)
            .map(|(userid, _)| userid.clone())
            .collect()
    }

    /// When each employee first sent a counted message in each room.
    fn first_spoken(&self) -> FirstSpoken {
        let mut spoken = FirstSpoken::new();
        for message in self.messages.iter().filter(|m| !m.room.is_empty()) {
            if self.is_counted(message) && self.role_of(&message.from) == Role::Employee {
                let room = spoken.entry(message.room.clone()).or_default();
                let first = room.entry(message.from.clone()).or_insert(message.at);
                *first = message.at.min(*first);
            }
        }
        spoken
    }

    /// The rows of `huicun timeouts`: those fired in the period, by time, then conversation, then customer.
    ///
    /// # Panics
    /// If a day is not written YYYY-MM-DD.
    pub fn timeouts(&self, from: &str, to: &str) -> Vec<Value> {
        let period = Period::parse(from, to);
        let mut timeouts = self.all_timeouts();
        timeouts.retain(|timeout| period.contains(timeout.day));
        timeouts.sort_by_key(|timeout| {
            let order = (timeout.fired_at, timeout.conversation.id());
            (order, timeout.customer.to_owned(), timeout.shown.at)
        });
        timeouts
            .iter()
            .map(|timeout| self.timeout_row(timeout))
            .collect()
    }

    fn timeout_row(&self, timeout: &Timeout<'_>) -> Value {
        let zone = self.rules.zone;
        let mut row = json!({
            "conversation": timeout.conversation.id(),
            "kind": timeout.kind.name(),
            "customer": timeout.customer,
            "employees": timeout.employees,
            "message_id": timeout.shown.msgid,
            "last_message_at": rfc3339(timeout.shown.at, zone),
            "fired_at": rfc3339(timeout.fired_at, zone),
            "level": timeout.level,
            "answered_at": timeout.answered.map(|at| rfc3339(at, zone)),
            "waited_seconds": timeout.waited_ms.map(seconds),
        });
        if let Some(waited_ms) = timeout.waited_working_ms {
            row["waited_working_seconds"] = json!(waited_ms.map(seconds));
        }
        row
    }
}
