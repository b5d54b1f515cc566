//! What the archive says, ready to be counted: without a period and without a unit.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;

use super::behaviour::Behaviour;
use super::company::Company;
use super::conversation::{Conversation, Kind, Role};
use super::dialogue::Dialogue;
use super::period::{Period, day_of};
use super::revisit::Due;
use super::rules::ReplyClock;
use super::timeout::{Timeout, Timer};

/// How long a reply took.
#[derive(Clone, Copy, Debug)]
pub(super) struct Interval {
    /// By the clock of the rules.
    pub(super) clock_ms: i64,
    /// By the calendar of `reply.calendar`, where one is named.
    pub(super) working_ms: Option<i64>,
}

/// A dialogue, its day, and, of a single chat, its employee and how long its replies took.
pub(super) struct Held<'a> {
    pub(super) dialogue: Dialogue<'a>,
    pub(super) day: NaiveDate,
    pub(super) employee: String,
    pub(super) intervals: Vec<Interval>,
}

/// A counted message by an employee to customers.
pub(super) struct Sent<'a> {
    pub(super) userid: &'a str,
    pub(super) at: i64,
    pub(super) day: NaiveDate,
    /// The room, or None in single chats.
    pub(super) room: Option<&'a str>,
}

/// A call in external chats.
pub(super) struct Call {
    pub(super) at: i64,
    pub(super) day: NaiveDate,
    pub(super) ms: i64,
    pub(super) is_group: bool,
    /// Single: the employees of its chats. Group: who started it or is named in it.
    pub(super) employees: BTreeSet<String>,
}

pub(super) struct Facts<'a> {
    pub(super) singles: Vec<Held<'a>>,
    pub(super) groups: Vec<Held<'a>>,
    pub(super) sent: Vec<Sent<'a>>,
    pub(super) calls: Vec<Call>,
    pub(super) timers: Vec<Timer<'a>>,
    pub(super) timeouts: Vec<Timeout<'a>>,
    pub(super) due: Vec<Due>,
    pub(super) behaviours: Vec<Behaviour>,
    /// How many effective dialogues of a pair started on a day.
    pub(super) effective: BTreeMap<(Conversation, NaiveDate), usize>,
}

impl Company {
    pub(super) fn facts(&self) -> Facts<'_> {
        let zone = self.rules.zone;
        let mut facts = Facts {
            singles: Vec::new(),
            groups: Vec::new(),
            sent: Vec::new(),
            calls: Vec::new(),
            timers: self.all_timers(),
            timeouts: self.all_timeouts(),
            due: self.all_due(),
            behaviours: self.all_behaviours(),
            effective: BTreeMap::new(),
        };
        for dialogue in self.all_dialogues() {
            let day = day_of(dialogue.started_at(), zone);
            let employee = self.employee_of_pair(&dialogue.conversation);
            let employee = employee.unwrap_or_default().to_owned();
            let intervals = dialogue
                .replies(self.rules.reply_from)
                .into_iter()
                .map(|reply| self.interval(reply))
                .collect();
            let is_group = dialogue.kind == Kind::GroupExternal;
            if !is_group && dialogue.is_effective() {
                let key = (dialogue.conversation.clone(), day);
                *facts.effective.entry(key).or_default() += 1;
            }
            let held = Held {
                dialogue,
                day,
                employee,
                intervals,
            };
            if is_group {
                facts.groups.push(held);
            } else {
                facts.singles.push(held);
            }
        }
        self.collect_messages(&mut facts);
        facts
    }

    fn collect_messages<'a>(&'a self, facts: &mut Facts<'a>) {
        let external = self.external_rooms();
        for message in self.messages.iter().filter(|m| self.is_counted(m)) {
            let is_group = external.contains(&*message.room);
            let mut employees = BTreeSet::new();
            for conversation in message.conversations() {
                let employee = match &conversation {
                    Conversation::Room(_) => None,
                    pair => self.employee_of_pair(pair),
                };
                employees.extend(employee.map(str::to_owned));
            }
            let day = day_of(message.at, self.rules.zone);
            let is_single = !employees.is_empty();
            if !is_group && !is_single {
                continue;
            }
            if self.role_of(&message.from) == Role::Employee {
                facts.sent.push(Sent {
                    userid: &message.from,
                    at: message.at,
                    day,
                    room: is_group.then_some(&*message.room),
                });
            }
            if let Some(ms) = message.call_ms {
                if is_group {
                    employees.insert(message.from.clone());
                    employees.extend(message.call_names.iter().cloned());
                }
                facts.calls.push(Call {
                    at: message.at,
                    day,
                    ms,
                    is_group,
                    employees,
                });
            }
        }
    }

    /// How long it is from the one instant to the other, by the rules' clock and by their calendar.
    pub(super) fn interval(&self, (from, to): (i64, i64)) -> Interval {
        let name = self.rules.reply_calendar.as_ref();
        let working_ms = name.map(|name| {
            let calendar = self.rules.calendar(name);
            calendar.working_ms(from, to, self.rules.zone)
        });
        let clock_ms = match self.rules.reply_clock {
            ReplyClock::Wall => to - from,
            ReplyClock::Working => working_ms.unwrap_or(to - from),
        };
        Interval {
            clock_ms,
            working_ms,
        }
    }

    pub(super) fn is_in(&self, period: Period, ms: i64) -> bool {
        period.has(ms, self.rules.zone)
    }
}
