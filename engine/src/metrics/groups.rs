//! The report of groups (semantics 10.6) and the activity of the groups that a guide owns: external
//! groups, their members as of a slice's end, what customers said in it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use huicun_semantics::conversation::Kind;
use huicun_semantics::dialogue::Side;
use huicun_semantics::role::Role;

use super::activity::{Activity, Deeds, Window, activity};
use super::cell::Amount;
use super::context::Context;
use super::friends::Walk;
use super::measure::Measure;
use super::question::{Question, Slice};
use super::sink::{Behind, Fact, FactKind, Sink, Spot};
use crate::access::Scope;
use crate::directory::Directory;
use crate::jobs::period::{Names, PeriodFacts};

/// Customers' counted messages by (room, slice) and customer; numbers of the report's names.
#[derive(Debug, Default)]
pub struct Said {
    counts: HashMap<(u32, u32), BTreeMap<u32, u64>>,
}

impl Said {
    /// Takes in what was said in a stretch.
    pub fn add(&mut self, context: &Context<'_>, facts: &PeriodFacts) {
        let zone = context.settings.zone;
        for said in &facts.activity {
            if said.kind != Kind::GroupExternal || said.side != Side::Customer {
                continue;
            }
            if let Some(slice) = context.slices.of_ms(zone.day_start_ms(said.day)) {
                let counts = self.counts.entry((said.conversation, slice)).or_default();
                *counts.entry(said.speaker).or_default() += u64::from(said.n);
            }
        }
    }

    fn of(&self, room: u32, slice: u32) -> impl Iterator<Item = (u32, u64)> + '_ {
        let counts = self.counts.get(&(room, slice)).into_iter().flatten();
        counts.map(|(speaker, n)| (*speaker, *n))
    }
}

/// The groups that have a row, with their names: external ones that exist at the period's end and
/// that the question asks for. A narrow scope sees those that one of its employees owns, is
/// responsible for, or is a member of then.
pub fn listed(
    scope: &Scope,
    question: &Question,
    context: &Context<'_>,
    names: &Names,
) -> Vec<(String, Option<String>)> {
    let directory = context.directory;
    let end_ms = context.slices.all.last().map_or(0, |slice| slice.as_of_ms);
    let below: BTreeSet<String> = question
        .departments
        .iter()
        .flat_map(|id| directory.departments_below(id))
        .collect();
    let mut found = Vec::new();
    for room in &context.external_rooms {
        let id = names.name(*room);
        let people = people_of(directory, id, end_ms);
        let responsible = directory.responsible_at(id, end_ms);
        let asked = |ids: &[String], is_it: &dyn Fn(&str) -> bool| {
            ids.is_empty() || ids.iter().any(|asked| is_it(asked))
        };
        let is_listed = context.exists_at(names, *room, end_ms)
            && (scope.is_all() || people.iter().any(|id| scope.sees_employee(id)))
            && asked(&question.groups, &|asked| asked == id)
            && asked(&question.employees, &|asked| people.contains(asked))
            && (below.is_empty()
                || responsible.is_some_and(|id| directory.was_in(id, &below, end_ms)));
        if is_listed {
            let group = directory
                .ids
                .get(id)
                .and_then(|chat| directory.groups.get(chat));
            let name = group.and_then(|group| group.name.as_deref());
            found.push((id.to_owned(), name.map(String::from)));
        }
    }
    found
}

/// The owner, the responsible and the employees who are members of a group at an instant.
pub fn people_of<'a>(directory: &'a Directory, chat: &str, at_ms: i64) -> BTreeSet<&'a str> {
    let members = directory.members_of_at(chat, at_ms).into_iter().flatten();
    let mut people: BTreeSet<&str> = members.collect();
    people.extend(directory.owner_at(chat, at_ms));
    people.extend(directory.responsible_at(chat, at_ms));
    people.retain(|id| directory.role(id) == Role::Employee);
    people
}

impl<S: Sink> Walk<'_, '_, '_, S> {
    fn activity_of(
        &self,
        room: u32,
        (slice, within): (u32, &Slice),
        deeds: &Deeds,
        said: &Said,
    ) -> Activity {
        let directory = self.context.directory;
        let window = Window {
            n_days: within.days.n_days().unsigned_abs(),
            as_of_ms: within.as_of_ms,
        };
        // A room that no table names has no number: it has no members either.
        let chat = directory.ids.get(self.names.name(room)).unwrap_or(u32::MAX);
        let by_customer: HashMap<&str, u64> = said
            .of(room, slice)
            .map(|(speaker, n)| (self.names.name(speaker), n))
            .collect();
        let n_all = by_customer.values().sum();
        let rules = &self.context.settings.group_activity;
        activity(directory, chat, window, rules, deeds, n_all, |customer| {
            let id = directory.ids.name(customer);
            by_customer.get(id).copied().unwrap_or(0)
        })
    }

    /// The activity ratio of each owned group that has members, for its owner at a slice's end.
    pub fn put_owned_activity(&mut self, said: &Said) {
        if !self.sink.wants(Measure::GroupActivity) {
            return;
        }
        for (slice, within) in super::friends::slices(self.context) {
            let deeds = deeds(self.context, &within);
            for group in self.external_groups(within.as_of_ms) {
                let Some(owner) = group.owner_at(within.as_of_ms) else {
                    continue;
                };
                let units = self.units_at_end(owner, within.as_of_ms);
                if units.is_empty() {
                    continue;
                }
                let room = self.bridge.name(self.names, group.chat);
                let found = self.activity_of(room, (slice, &within), &deeds, said);
                let Some(ratio) = found.activity_ratio else {
                    continue;
                };
                let fact = self.membership(group.chat, &[owner], within.as_of_ms);
                for unit in units {
                    let spot = Spot { unit, slice };
                    let amount = Amount::Fraction(ratio);
                    let measure = Measure::GroupActivity;
                    self.sink.put(spot, measure, amount, || fact.clone());
                }
            }
        }
    }

    /// The measures of the report of groups.
    pub fn put_groups(&mut self, said: &Said) {
        for (slice, within) in super::friends::slices(self.context) {
            let deeds = deeds(self.context, &within);
            for room in self.context.external_rooms.clone() {
                let id = self.names.name(room).to_owned();
                let Some(unit) = self.units.number_of(&id) else {
                    continue;
                };
                let found = self.activity_of(room, (slice, &within), &deeds, said);
                self.put_group((unit, slice), room, &within, &found, said);
            }
        }
    }

    fn put_group(
        &mut self,
        (unit, slice): (u32, u32),
        room: u32,
        within: &Slice,
        found: &Activity,
        said: &Said,
    ) {
        let spots = [super::unit::TOTAL, unit].map(|unit| Spot { unit, slice });
        let n_days = within.days.n_days();
        for member in &found.members {
            let person = self.bridge.name(self.names, *member);
            let fact = || {
                Fact::at(FactKind::Membership, within.as_of_ms)
                    .with([person])
                    .within(room, None, Behind::Nothing)
            };
            for spot in spots {
                self.sink.key(spot, Measure::GroupMembers, *member, fact);
                let days = Amount::Whole(n_days);
                self.sink.put(spot, Measure::MemberDays, days, fact);
                if found.active_customers.contains(member) {
                    self.sink.key(spot, Measure::ActiveCustomers, *member, fact);
                }
            }
        }
        for (speaker, n) in said.of(room, slice) {
            let amount = Amount::Whole(i64::try_from(n).unwrap_or(i64::MAX));
            for spot in spots {
                let fact = || {
                    Fact::at(FactKind::Messages, within.start_ms)
                        .with([speaker])
                        .within(room, Some(within.end_ms - 1), Behind::OfSpeaker)
                };
                self.sink.put(spot, Measure::CustomerMessages, amount, fact);
            }
        }
        let is_active = Amount::Fraction(if found.is_active { 1.0 } else { 0.0 });
        let spot = Spot { unit, slice };
        self.sink.put(spot, Measure::GroupIsActive, is_active, || {
            Fact::at(FactKind::Group, within.as_of_ms).within(room, None, Behind::Nothing)
        });
    }
}

fn deeds(context: &Context<'_>, within: &Slice) -> Deeds {
    Deeds::within(context.directory, (within.start_ms, within.end_ms))
}
