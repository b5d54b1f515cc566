//! What relations, groups and their customers amount to, for guides, stores and customers
//! (semantics 10.3, 10.4, 10.5).
//!
//! Group measures look at external rooms only, and only while they exist. Every fact counts for
//! the units of its employee when it happened; what is true at a slice's end for his units then.

use std::collections::{HashMap, HashSet};

use huicun_semantics::role::Role;

use super::cell::Amount;
use super::context::Context;
use super::measure::Measure;
use super::question::Slice;
use super::sink::{Behind, Fact, FactKind, Sink, Spot};
use super::unit::Units;
use crate::directory::Directory;
use crate::directory::groups::Group;
use crate::directory::relations::{LostBy, Relation};
use crate::jobs::period::Names;

/// The directory's numbers as numbers of the report's names.
pub struct Bridge<'a> {
    directory: &'a Directory,
    names: Vec<Option<u32>>,
}

impl<'a> Bridge<'a> {
    /// A bridge that has not been crossed yet.
    pub fn new(directory: &'a Directory) -> Self {
        Self {
            directory,
            names: vec![None; directory.ids.len()],
        }
    }

    /// The report's number of a directory's one.
    pub fn name(&mut self, names: &mut Names, id: u32) -> u32 {
        let directory = self.directory;
        *self.names[id as usize].get_or_insert_with(|| names.intern(directory.ids.name(id)))
    }
}

/// A traversal's tools, handed down together.
pub struct Walk<'w, 'a, 'u, S: Sink> {
    /// Settings, slices, directory.
    pub context: &'w Context<'a>,
    /// The report's names.
    pub names: &'w mut Names,
    /// Its units.
    pub units: &'w mut Units<'u>,
    /// Where amounts go.
    pub sink: &'w mut S,
    /// From the directory's numbers to the names.
    pub bridge: Bridge<'a>,
    at: Vec<u32>,
}

impl<'w, 'a, 'u, S: Sink> Walk<'w, 'a, 'u, S> {
    /// The tools of a traversal.
    pub fn new(
        context: &'w Context<'a>,
        names: &'w mut Names,
        units: &'w mut Units<'u>,
        sink: &'w mut S,
    ) -> Self {
        Self {
            bridge: Bridge::new(context.directory),
            context,
            names,
            units,
            sink,
            at: Vec::new(),
        }
    }

    fn directory(&self) -> &'a Directory {
        self.context.directory
    }

    /// The units of an employee (the directory's number) for something that happened.
    pub fn units_at(&mut self, user: u32, at_ms: i64) -> Vec<u32> {
        let employee = self.bridge.name(self.names, user);
        self.units.at(self.names, employee, at_ms, &mut self.at);
        self.at.clone()
    }

    /// The units of an employee for something that is true at a slice's end.
    pub fn units_at_end(&mut self, user: u32, at_ms: i64) -> Vec<u32> {
        let employee = self.bridge.name(self.names, user);
        self.units.at_end(self.names, employee, at_ms, &mut self.at);
        self.at.clone()
    }

    /// A relation as `explain` shows it.
    pub fn relation(&mut self, relation: &Relation) -> Fact {
        let people = [relation.user, relation.customer].map(|id| self.bridge.name(self.names, id));
        let mut fact = Fact::at(FactKind::Relation, relation.added_ms).with(people);
        fact.until_ms = relation.lost_ms;
        fact
    }

    /// A person in a group as `explain` shows it.
    pub fn membership(&mut self, chat: u32, people: &[u32], at_ms: i64) -> Fact {
        let room = self.bridge.name(self.names, chat);
        let people: Vec<u32> = people
            .iter()
            .map(|id| self.bridge.name(self.names, *id))
            .collect();
        Fact::at(FactKind::Membership, at_ms)
            .with(people)
            .within(room, None, Behind::Nothing)
    }

    /// Counts a thing for units.
    pub fn count(&mut self, units: &[u32], slice: u32, measure: Measure, fact: &Fact) {
        for unit in units {
            let spot = Spot { unit: *unit, slice };
            self.sink.count(spot, measure, || fact.clone());
        }
    }

    /// Counts a key once for units.
    pub fn key(&mut self, units: &[u32], slice: u32, measure: Measure, key: u32, fact: &Fact) {
        for unit in units {
            let spot = Spot { unit: *unit, slice };
            self.sink.key(spot, measure, key, || fact.clone());
        }
    }

    /// Counts a word for units.
    pub fn word(&mut self, units: &[u32], slice: u32, measure: Measure, word: &str, fact: &Fact) {
        for unit in units {
            let spot = Spot { unit: *unit, slice };
            let amount = Amount::Word(word, 1);
            self.sink.put(spot, measure, amount, || fact.clone());
        }
    }

    /// The external groups that exist at an instant.
    pub fn external_groups(&self, at_ms: i64) -> Vec<&'a Group> {
        external_groups(self.context, self.names)
            .into_iter()
            .filter(|group| group.exists_at(at_ms))
            .collect()
    }

    /// What happened in the slices: relations that began and ended, first joinings of groups.
    pub fn put_happened(&mut self) {
        for (slice, within) in slices(self.context) {
            self.put_added(slice, &within);
            self.put_lost(slice, &within);
        }
        self.put_first_joinings();
    }

    fn put_added(&mut self, slice: u32, within: &Slice) {
        let relations = &self.directory().relations;
        for relation in relations.added_in(within.start_ms, within.end_ms) {
            let units = self.units_at(relation.user, relation.added_ms);
            if units.is_empty() {
                continue;
            }
            let fact = self.relation(relation);
            self.count(&units, slice, Measure::FriendsNew, &fact);
            self.key(
                &units,
                slice,
                Measure::CustomersNew,
                relation.customer,
                &fact,
            );
            let first = relations.first_adder(relation.customer, relation.added_ms);
            if first == Some(relation.user) {
                self.count(&units, slice, Measure::FriendsNewFirst, &fact);
            }
            let way = match relation.add_way {
                Some(way) => way.to_string(),
                None => "unknown".into(),
            };
            self.word(&units, slice, Measure::Sources, &way, &fact);
        }
        // The same number of days directly before (semantics 1).
        let start_ms = within.days.previous().start_ms(self.context.settings.zone);
        for relation in relations.added_in(start_ms, within.start_ms) {
            let units = self.units_at_end(relation.user, relation.added_ms);
            let fact = self.relation(relation);
            let measure = Measure::CustomersNewBefore;
            self.key(&units, slice, measure, relation.customer, &fact);
        }
        let zone = self.context.settings.zone;
        let today = zone.day_of(self.context.now_ms);
        let tomorrow = today.succ_opt().unwrap_or(today);
        let (start_ms, end_ms) = (zone.day_start_ms(today), zone.day_start_ms(tomorrow));
        for relation in relations.added_in(start_ms, end_ms) {
            let units = self.units_at_end(relation.user, relation.added_ms);
            let fact = self.relation(relation);
            let measure = Measure::CustomersNewToday;
            self.key(&units, slice, measure, relation.customer, &fact);
        }
    }

    fn put_lost(&mut self, slice: u32, within: &Slice) {
        let relations = &self.directory().relations;
        for relation in relations.lost_in(within.start_ms, within.end_ms) {
            let Some(lost_ms) = relation.lost_ms else {
                continue;
            };
            let units = self.units_at(relation.user, lost_ms);
            if units.is_empty() {
                continue;
            }
            let fact = self.relation(relation);
            self.key(
                &units,
                slice,
                Measure::FriendsLost,
                relation.customer,
                &fact,
            );
            let before_ms = lost_ms.saturating_sub(1);
            let first = relations.first_adder(relation.customer, before_ms);
            if relation.is_active(before_ms) && first == Some(relation.user) {
                self.count(&units, slice, Measure::FriendsLostFirst, &fact);
            }
            let measure = match relation.lost_by {
                Some(LostBy::Customer) => Measure::DeletedByCustomer,
                Some(LostBy::Employee) => Measure::DeletedByEmployee,
                Some(LostBy::EmployeeLeft) | None => continue,
            };
            self.count(&units, slice, measure, &fact);
        }
    }

    /// Customers whose first joining ever of an external group lies in the period, for the one who
    /// owned the group then.
    fn put_first_joinings(&mut self) {
        if !self.sink.wants(Measure::GroupPeopleNew) && !self.units.may_grow() {
            return;
        }
        for (customer, (joined_ms, chat)) in first_joinings(self.context, self.names, i64::MAX) {
            let Some(slice) = self.context.slices.of_ms(joined_ms) else {
                continue;
            };
            let group = self.directory().groups.get(chat);
            let Some(group) = group.filter(|group| group.exists_at(joined_ms)) else {
                continue;
            };
            if let Some(owner) = group.owner_at(joined_ms) {
                let units = self.units_at(owner, joined_ms);
                let fact = self.membership(chat, &[customer, owner], joined_ms);
                self.key(&units, slice, Measure::GroupPeopleNew, customer, &fact);
            }
        }
    }

    /// What is true at the end of each slice.
    pub fn put_ends(&mut self) {
        for (slice, within) in slices(self.context) {
            let friends = self.put_friends(slice, within.as_of_ms);
            self.put_lost_for_good(slice, within.as_of_ms, &friends);
            self.put_owned(slice, within.as_of_ms, &friends);
        }
    }

    /// Active relations; of each unit its customers.
    fn put_friends(&mut self, slice: u32, as_of_ms: i64) -> HashMap<u32, HashSet<u32>> {
        let directory = self.directory();
        let relations = &directory.relations;
        let mut friends: HashMap<u32, HashSet<u32>> = HashMap::new();
        let mut tagged: HashSet<(u32, u32, &str)> = HashSet::new();
        let wants_tags = self.sink.wants(Measure::Tags);
        for relation in relations.iter().filter(|r| r.is_active(as_of_ms)) {
            let units = self.units_at_end(relation.user, as_of_ms);
            if units.is_empty() {
                continue;
            }
            let fact = self.relation(relation);
            let customer = relation.customer;
            for unit in &units {
                friends.entry(*unit).or_default().insert(customer);
            }
            self.count(&units, slice, Measure::Friends, &fact);
            self.key(&units, slice, Measure::FriendsDistinct, customer, &fact);
            if relations.first_adder(customer, as_of_ms) == Some(relation.user) {
                self.key(&units, slice, Measure::FirstCustomers, customer, &fact);
            }
            if wants_tags {
                for tag in relations.tags(relation) {
                    for unit in &units {
                        // A customer with a tag of two employees is one of their department.
                        if tagged.insert((*unit, customer, tag)) {
                            self.word(&[*unit], slice, Measure::Tags, tag, &fact);
                        }
                    }
                }
            }
        }
        friends
    }

    /// Customers that a unit lost at any time before and has not again.
    fn put_lost_for_good(
        &mut self,
        slice: u32,
        as_of_ms: i64,
        friends: &HashMap<u32, HashSet<u32>>,
    ) {
        if !self.sink.wants(Measure::CustomersLostTotal) {
            return;
        }
        let relations = &self.directory().relations;
        for relation in relations.lost_in(i64::MIN, as_of_ms.saturating_add(1)) {
            let Some(lost_ms) = relation.lost_ms else {
                continue;
            };
            let mut units = self.units_at_end(relation.user, lost_ms);
            let has = |unit: &u32| {
                friends
                    .get(unit)
                    .is_some_and(|f| f.contains(&relation.customer))
            };
            units.retain(|unit| !has(unit));
            let fact = self.relation(relation);
            let measure = Measure::CustomersLostTotal;
            self.key(&units, slice, measure, relation.customer, &fact);
        }
    }

    /// Owned groups and the customers in them.
    fn put_owned(&mut self, slice: u32, as_of_ms: i64, friends: &HashMap<u32, HashSet<u32>>) {
        let directory = self.directory();
        let relations = &directory.relations;
        let first = match self.sink.wants(Measure::FriendsInGroupsFirst) {
            true => first_joinings(self.context, self.names, as_of_ms),
            false => HashMap::new(),
        };
        for group in self.external_groups(as_of_ms) {
            let Some(owner) = group.owner_at(as_of_ms) else {
                continue;
            };
            let units = self.units_at_end(owner, as_of_ms);
            if units.is_empty() {
                continue;
            }
            let owned = self.membership(group.chat, &[owner], as_of_ms);
            self.key(&units, slice, Measure::GroupsOwner, group.chat, &owned);
            let id = directory.ids.name(group.chat);
            let name = group.name.as_deref().unwrap_or(id);
            // The id stands first so that names come in its order; it is not shown.
            let word = format!("{id}\0{name}");
            self.word(&units, slice, Measure::GroupNames, &word, &owned);
            for member in directory.groups.members_at(group.chat, as_of_ms) {
                if member.role != Role::Customer {
                    continue;
                }
                let customer = member.member;
                let fact = self.membership(group.chat, &[customer, owner], member.joined_ms);
                self.key(&units, slice, Measure::GroupPeople, customer, &fact);
                if relations.are_friends(owner, customer, as_of_ms) {
                    self.count(&units, slice, Measure::FriendsInGroups, &fact);
                }
                let has = |unit: &u32| friends.get(unit).is_some_and(|f| f.contains(&customer));
                let theirs: Vec<u32> = units.iter().copied().filter(has).collect();
                let measure = Measure::FriendsInGroupsDistinct;
                self.key(&theirs, slice, measure, customer, &fact);
                if relations.first_adder(customer, as_of_ms) == Some(owner)
                    && first.get(&customer).is_some_and(|(_, chat)| {
                        let first = directory.groups.get(*chat);
                        first.is_some_and(|group| {
                            group.exists_at(as_of_ms) && group.owner_at(as_of_ms) == Some(owner)
                        })
                    })
                {
                    let measure = Measure::FriendsInGroupsFirst;
                    self.key(&units, slice, measure, customer, &fact);
                }
                let has_any = relations.of_customer(customer).any(|relation| {
                    relation.is_active(as_of_ms)
                        && directory.role_of(relation.user) == Role::Employee
                });
                if !has_any {
                    let measure = Measure::PotentialCustomers;
                    self.key(&units, slice, measure, customer, &fact);
                }
            }
        }
    }

    /// The employees that averages divide by, and the stores they belong to.
    pub fn put_people(&mut self) {
        let directory = self.directory();
        let listed = directory.organisation.stores().iter();
        let mut people: Vec<u32> = listed.flat_map(|store| store.members.clone()).collect();
        people.retain(|id| directory.role_of(*id) == Role::Employee);
        people.extend(directory.employees.values().map(|employee| employee.number));
        people.sort_unstable();
        people.dedup();
        for (slice, within) in slices(self.context) {
            for person in &people {
                let units = self.units_at_end(*person, within.as_of_ms);
                if units.is_empty() {
                    continue;
                }
                let number = self.bridge.name(self.names, *person);
                let fact = Fact::at(FactKind::Employee, within.as_of_ms).with([number]);
                self.key(&units, slice, Measure::UnitEmployees, *person, &fact);
                if !self.sink.wants(Measure::Stores) {
                    continue;
                }
                for store in directory.organisation.stores_at(*person, within.as_of_ms) {
                    let id = directory.ids.name(store);
                    let name = directory.organisation.store(store).map_or(id, |s| &s.name);
                    let word = format!("{id}\0{name}");
                    self.word(&units, slice, Measure::Stores, &word, &fact);
                }
            }
        }
    }
}

/// The slices with their numbers.
pub fn slices(context: &Context<'_>) -> Vec<(u32, Slice)> {
    context
        .slices
        .numbered()
        .map(|(number, slice)| (number, slice.clone()))
        .collect()
}

/// The external groups that the directory's tables name, by their ids.
pub fn external_groups<'a>(context: &Context<'a>, names: &Names) -> Vec<&'a Group> {
    let directory = context.directory;
    let numbers = context.external_rooms.iter();
    numbers
        .filter_map(|room| directory.groups.get(directory.ids.get(names.name(*room))?))
        .collect()
}

/// Each customer's first joining of an external group up to an instant: when, and which (ties by
/// the chat's id).
pub fn first_joinings(
    context: &Context<'_>,
    names: &Names,
    as_of_ms: i64,
) -> HashMap<u32, (i64, u32)> {
    let groups = &context.directory.groups;
    let mut first: HashMap<u32, (i64, u32)> = HashMap::new();
    for group in external_groups(context, names) {
        for stay in groups.of_chat(group.chat) {
            if stay.role != Role::Customer || stay.joined_ms > as_of_ms {
                continue;
            }
            let joined = (stay.joined_ms, stay.chat);
            let known = first.entry(stay.member).or_insert(joined);
            *known = joined.min(*known);
        }
    }
    first
}

#[cfg(test)]
mod tests;
