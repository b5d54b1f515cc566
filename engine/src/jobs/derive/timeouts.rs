//! Timeouts from timers: which reply rule governs, when its levels are reached, whom it names
//! (semantics 5, manual 7.2). Timers of now still run; what they will reach if nobody answers is
//! given too, so that nothing here depends on the clock.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use huicun_semantics::conversation::Kind;
use huicun_semantics::role::Role;
use huicun_semantics::time::Zone;
use huicun_semantics::timeout::{Levels, reached};

use super::conversation::{Rows, TimerRow};
use super::world::World;
use crate::directory::Directory;
use crate::rules::Rules;
use crate::rules::timeout::TimeoutRule;

/// A timeout.
#[derive(Debug, Clone)]
pub struct TimeoutRow {
    /// The conversation.
    pub place: u32,
    /// Whose message was not answered.
    pub customer: u32,
    /// The employees that it names, by id.
    pub employees: Vec<String>,
    /// Groups: the responsible employee when level 1 fired.
    pub responsible: Option<String>,
    /// The rule's name.
    pub rule: Arc<str>,
    /// When the timer started, UTC milliseconds.
    pub started_ms: i64,
    /// The msgid row of the message that started it.
    pub timer_message: u32,
    /// The msgid row of the message that it shows.
    pub message: u32,
    /// When that was sent, UTC milliseconds.
    pub message_ms: i64,
    /// When level 1 was reached, UTC milliseconds.
    pub fired_ms: i64,
    /// When each level was reached, UTC milliseconds.
    pub level_ms: Vec<i64>,
    /// The next employee message, UTC milliseconds.
    pub answered_ms: Option<i64>,
    /// Working time until then in milliseconds, where the rule has a calendar.
    pub waited_working_ms: Option<i64>,
}

/// The reply rules, ready to be asked.
pub struct Governors<'a> {
    directory: &'a Directory,
    zone: Zone,
    rules: Vec<Governor>,
    /// No rule fires before that many milliseconds.
    shortest_ms: i64,
}

struct Governor {
    rule: TimeoutRule,
    name: Arc<str>,
    covers_all: bool,
    employees: HashSet<String>,
    departments: BTreeSet<String>,
}

impl<'a> Governors<'a> {
    /// Prepares the enabled rules, in order.
    pub fn new(rules: &Rules, zone: Zone, directory: &'a Directory) -> Self {
        let rules: Vec<Governor> = rules
            .timeout_rules()
            .into_iter()
            .map(|rule| Governor {
                name: rule.name.as_str().into(),
                covers_all: rule.covered.is_all(),
                employees: rule.covered.employees.iter().cloned().collect(),
                departments: rule
                    .covered
                    .departments
                    .iter()
                    .flat_map(|id| directory.departments_below(id))
                    .collect(),
                rule,
            })
            .collect();
        let minutes = rules.iter().filter_map(|g| g.rule.after_minutes.first());
        Self {
            directory,
            zone,
            shortest_ms: minutes.min().map_or(i64::MAX, |m| i64::from(*m) * 60_000),
            rules,
        }
    }

    /// The timeouts of all timers of `rows`.
    pub fn timeouts(&self, rows: &Rows, world: &World, out: &mut Vec<TimeoutRow>) {
        let mut levels = Vec::new();
        for timer in &rows.timers {
            let lasted = timer.ended_ms.map(|end| end - timer.started_ms);
            if lasted.is_some_and(|ms| ms < self.shortest_ms) {
                continue;
            }
            if let Some(governor) = self.governs(timer, world) {
                let ladder = Levels {
                    after_minutes: &governor.rule.after_minutes,
                    calendar: governor.rule.calendar.as_ref(),
                };
                levels.clear();
                reached(
                    &ladder,
                    self.zone,
                    timer.started_ms,
                    timer.ended_ms,
                    &mut levels,
                );
                if !levels.is_empty() {
                    out.push(self.row(timer, governor, &levels, rows, world));
                }
            }
        }
    }

    fn governs(&self, timer: &TimerRow, world: &World) -> Option<&Governor> {
        let kind = world.places[timer.place as usize].kind;
        let employee = match kind {
            Kind::SingleExternal => world.employee(timer.place).map(|id| world.people.name(id)),
            Kind::GroupExternal => {
                let place = &world.places[timer.place as usize];
                let chat = world.people.name(place.room);
                self.directory.responsible_at(chat, timer.started_ms)
            }
            _ => return None,
        };
        self.rules.iter().find(|governor| {
            let covers = |id: &str| {
                governor.employees.contains(id)
                    || (!governor.departments.is_empty()
                        && self
                            .directory
                            .was_in(id, &governor.departments, timer.started_ms))
            };
            governor.rule.is_for(kind) && (governor.covers_all || employee.is_some_and(covers))
        })
    }

    fn row(
        &self,
        timer: &TimerRow,
        governor: &Governor,
        levels: &[i64],
        rows: &Rows,
        world: &World,
    ) -> TimeoutRow {
        let place = &world.places[timer.place as usize];
        let fired_ms = levels[0];
        let chat = world.people.name(place.room);
        let is_group = place.kind.is_group();
        let later = &rows.later[timer.later.clone()];
        let shown = later.iter().rev().find(|(at_ms, _)| *at_ms <= fired_ms);
        let (message_ms, message) = shown.copied().unwrap_or((timer.started_ms, timer.message));
        let calendar = governor.rule.calendar.as_ref();
        TimeoutRow {
            place: timer.place,
            customer: timer.customer,
            employees: match world.employee(timer.place) {
                Some(one) => vec![world.people.name(one).to_string()],
                None => self.named(timer.place, chat, fired_ms, world),
            },
            responsible: is_group
                .then(|| self.directory.responsible_at(chat, fired_ms))
                .flatten()
                .map(String::from),
            rule: Arc::clone(&governor.name),
            started_ms: timer.started_ms,
            timer_message: timer.message,
            message,
            message_ms,
            fired_ms,
            level_ms: levels.to_vec(),
            answered_ms: timer.answered_ms,
            waited_working_ms: calendar
                .zip(timer.answered_ms)
                .map(|(calendar, at_ms)| calendar.working_ms(self.zone, timer.started_ms, at_ms)),
        }
    }

    /// Whom a group's timeout names: its employee members then; where nobody knows the members,
    /// the employees who had spoken.
    fn named(&self, place: u32, chat: &str, at_ms: i64, world: &World) -> Vec<String> {
        if let Some(members) = self.directory.members_of_at(chat, at_ms) {
            return members.into_iter().map(String::from).collect();
        }
        let Some(seen) = &world.places[place as usize].seen else {
            return Vec::new();
        };
        let mut spoke: Vec<String> = seen
            .speakers
            .iter()
            .filter(|(id, since)| {
                world.role(**id) == Role::Employee && since.is_some_and(|ms| ms <= at_ms)
            })
            .map(|(id, _)| world.people.name(*id).to_string())
            .collect();
        spoke.sort_unstable();
        spoke
    }
}
