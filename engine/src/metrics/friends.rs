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

    /// Whether any of some measures is needed.
    pub fn wants_any(&self, measures: &[Measure]) -> bool {
        measures.iter().any(|measure| self.sink.wants(*measure))
    }

    /// The same for something that happened: it may bring in a row, whatever is counted.
    pub fn looks_for(&self, measures: &[Measure]) -> bool {
        self.units.may_grow() || self.wants_any(measures)
    }

    /// What happened in the period: relations that began and ended, first joinings of groups.
    pub fn put_happened(&mut self) {
        self.put_added();
        self.put_lost();
        self.put_first_joinings();
    }

    fn put_added(&mut self) {
        use Measure::{CustomersNew, FriendsNew, FriendsNewFirst, Sources};
        if !self.looks_for(&[CustomersNew, FriendsNew, FriendsNewFirst, Sources]) {
            return;
        }
        let relations = &self.directory().relations;
        let (start_ms, end_ms) = self.context.slices.within_ms();
        for relation in relations.added_in(start_ms, end_ms) {
            let Some(slice) = self.context.slices.of_ms(relation.added_ms) else {
                continue;
            };
            let units = self.units_at(relation.user, relation.added_ms);
            if units.is_empty() {
                continue;
            }
            let fact = self.relation(relation);
            self.count(&units, slice, FriendsNew, &fact);
            self.key(&units, slice, CustomersNew, relation.customer, &fact);
            if self.sink.wants(FriendsNewFirst) {
                let first = relations.first_adder(relation.customer, relation.added_ms);
                if first == Some(relation.user) {
                    self.count(&units, slice, FriendsNewFirst, &fact);
                }
            }
            if self.sink.wants(Sources) {
                let way = match relation.add_way {
                    Some(way) => way.to_string(),
                    None => "unknown".into(),
                };
                self.word(&units, slice, Sources, &way, &fact);
            }
        }
    }

    /// Customers added in as many days before each slice (semantics 1), and those of today.
    pub fn put_added_before(&mut self) {
        let zone = self.context.settings.zone;
        let today = zone.day_of(self.context.now_ms);
        let tomorrow = today.succ_opt().unwrap_or(today);
        let of_today = (zone.day_start_ms(today), zone.day_start_ms(tomorrow));
        for (slice, within) in slices(self.context) {
            let start_ms = within.days.previous().start_ms(zone);
            let before = (start_ms, within.start_ms);
            self.put_customers_added(slice, before, Measure::CustomersNewBefore);
            self.put_customers_added(slice, of_today, Measure::CustomersNewToday);
        }
    }

    fn put_customers_added(
        &mut self,
        slice: u32,
        (start_ms, end_ms): (i64, i64),
        measure: Measure,
    ) {
        if !self.sink.wants(measure) {
            return;
        }
        for relation in self.directory().relations.added_in(start_ms, end_ms) {
            let units = self.units_at_end(relation.user, relation.added_ms);
            if units.is_empty() {
                continue;
            }
            let fact = self.relation(relation);
            self.key(&units, slice, measure, relation.customer, &fact);
        }
    }

    fn put_lost(&mut self) {
        use Measure::{DeletedByCustomer, DeletedByEmployee, FriendsLost, FriendsLostFirst};
        if !self.looks_for(&[
            DeletedByCustomer,
            DeletedByEmployee,
            FriendsLost,
            FriendsLostFirst,
        ]) {
            return;
        }
        let relations = &self.directory().relations;
        let (start_ms, end_ms) = self.context.slices.within_ms();
        for relation in relations.lost_in(start_ms, end_ms) {
            let Some(lost_ms) = relation.lost_ms else {
                continue;
            };
            let Some(slice) = self.context.slices.of_ms(lost_ms) else {
                continue;
            };
            let units = self.units_at(relation.user, lost_ms);
            if units.is_empty() {
                continue;
            }
            let fact = self.relation(relation);
            self.key(&units, slice, FriendsLost, relation.customer, &fact);
            if self.sink.wants(FriendsLostFirst) {
                let before_ms = lost_ms.saturating_sub(1);
                let first = relations.first_adder(relation.customer, before_ms);
                if relation.is_active(before_ms) && first == Some(relation.user) {
                    self.count(&units, slice, FriendsLostFirst, &fact);
                }
            }
            let measure = match relation.lost_by {
                Some(LostBy::Customer) => DeletedByCustomer,
                Some(LostBy::Employee) => DeletedByEmployee,
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
        self.put_friends();
        self.put_lost_for_good();
        self.put_owned();
    }

    /// Active relations, customer by customer, each relation in the slices at whose end it holds.
    fn put_friends(&mut self) {
        use Measure::{FirstCustomers, Friends, FriendsDistinct, Tags};
        if !self.wants_any(&[FirstCustomers, Friends, FriendsDistinct, Tags]) {
            return;
        }
        let relations = &self.directory().relations;
        let as_of_ms = self.as_of_ms();
        let (wants_first, wants_tags) = (self.sink.wants(FirstCustomers), self.sink.wants(Tags));
        let mut units = Vec::new();
        let mut tagged: HashSet<(u32, u32, &str)> = HashSet::new();
        for (customer, his) in relations.by_customer() {
            tagged.clear();
            for relation in &his {
                let holds = held(&as_of_ms, relation);
                if holds.is_empty() {
                    continue;
                }
                let employee = self.bridge.name(self.names, relation.user);
                let fact = self.relation(relation);
                for at in holds {
                    let (slice, end_ms) = (at as u32, as_of_ms[at]);
                    self.units.at_end(self.names, employee, end_ms, &mut units);
                    if units.is_empty() {
                        continue;
                    }
                    self.count(&units, slice, Friends, &fact);
                    self.key(&units, slice, FriendsDistinct, customer, &fact);
                    // By add time, then employee: the first that holds is the first adder's.
                    let first = || his.iter().find(|r| r.is_active(end_ms)).map(|r| r.user);
                    if wants_first && first() == Some(relation.user) {
                        self.key(&units, slice, FirstCustomers, customer, &fact);
                    }
                    if !wants_tags {
                        continue;
                    }
                    for tag in relations.tags(relation) {
                        for unit in &units {
                            // A customer with a tag of two employees is one of their department.
                            if tagged.insert((slice, *unit, tag)) {
                                self.word(&[*unit], slice, Tags, tag, &fact);
                            }
                        }
                    }
                }
            }
        }
    }

    /// As of when each slice is seen at its end, rising.
    fn as_of_ms(&self) -> Vec<i64> {
        let slices = self.context.slices.all.iter();
        slices.map(|slice| slice.as_of_ms).collect()
    }

    /// The units that have a customer as a friend at an instant; `out` is cleared first.
    fn units_of_friend(&mut self, customer: u32, at_ms: i64, out: &mut Vec<u32>) {
        out.clear();
        for relation in self.directory().relations.of_customer(customer) {
            if relation.is_active(at_ms) {
                let employee = self.bridge.name(self.names, relation.user);
                self.units.add_at_end(self.names, employee, at_ms, out);
            }
        }
    }

    /// Customers that a unit lost at any time before a slice's end and has not again.
    fn put_lost_for_good(&mut self) {
        if !self.sink.wants(Measure::CustomersLostTotal) {
            return;
        }
        let as_of_ms = self.as_of_ms();
        let end_ms = as_of_ms.last().map_or(i64::MIN, |ms| ms.saturating_add(1));
        let mut has = Vec::new();
        for relation in self.directory().relations.lost_in(i64::MIN, end_ms) {
            let Some(lost_ms) = relation.lost_ms else {
                continue;
            };
            let lost_by = self.units_at_end(relation.user, lost_ms);
            if lost_by.is_empty() {
                continue;
            }
            let fact = self.relation(relation);
            let first = as_of_ms.partition_point(|at_ms| *at_ms < lost_ms);
            for (at, end_ms) in as_of_ms.iter().enumerate().skip(first) {
                self.units_of_friend(relation.customer, *end_ms, &mut has);
                let without = lost_by.iter().copied().filter(|unit| !has.contains(unit));
                let without: Vec<u32> = without.collect();
                let measure = Measure::CustomersLostTotal;
                self.key(&without, at as u32, measure, relation.customer, &fact);
            }
        }
    }

    /// Owned groups and the customers in them.
    fn put_owned(&mut self) {
        use Measure::{
            FriendsInGroups, FriendsInGroupsDistinct, FriendsInGroupsFirst, GroupNames,
            GroupPeople, GroupsOwner, PotentialCustomers,
        };
        let of_customers = self.wants_any(&[
            FriendsInGroups,
            FriendsInGroupsDistinct,
            FriendsInGroupsFirst,
            GroupPeople,
            PotentialCustomers,
        ]);
        if !of_customers && !self.wants_any(&[GroupNames, GroupsOwner]) {
            return;
        }
        let directory = self.directory();
        let first = match self.sink.wants(FriendsInGroupsFirst) {
            true => first_joinings(self.context, self.names, i64::MAX),
            false => HashMap::new(),
        };
        let groups = external_groups(self.context, self.names);
        for (slice, as_of_ms) in (0..).zip(self.as_of_ms()) {
            for group in groups.iter().filter(|group| group.exists_at(as_of_ms)) {
                let Some(owner) = group.owner_at(as_of_ms) else {
                    continue;
                };
                let units = self.units_at_end(owner, as_of_ms);
                if units.is_empty() {
                    continue;
                }
                let owned = self.membership(group.chat, &[owner], as_of_ms);
                self.key(&units, slice, GroupsOwner, group.chat, &owned);
                if self.sink.wants(GroupNames) {
                    let id = directory.ids.name(group.chat);
                    let name = group.name.as_deref().unwrap_or(id);
                    // The id stands first so that names come in its order; it is not shown.
                    let word = format!("{id}\0{name}");
                    self.word(&units, slice, GroupNames, &word, &owned);
                }
                if of_customers {
                    self.put_customers_in((group, owner), (slice, as_of_ms), &units, &first);
                }
            }
        }
    }

    /// The customers in a group, for the units of its owner.
    fn put_customers_in(
        &mut self,
        (group, owner): (&Group, u32),
        (slice, as_of_ms): (u32, i64),
        units: &[u32],
        first: &HashMap<u32, (i64, u32)>,
    ) {
        use Measure::{
            FriendsInGroups, FriendsInGroupsDistinct, FriendsInGroupsFirst, GroupPeople,
            PotentialCustomers,
        };
        let directory = self.directory();
        let relations = &directory.relations;
        let mut has = Vec::new();
        for member in directory.groups.members_at(group.chat, as_of_ms) {
            if member.role != Role::Customer {
                continue;
            }
            let customer = member.member;
            let fact = self.membership(group.chat, &[customer, owner], member.joined_ms);
            self.key(units, slice, GroupPeople, customer, &fact);
            if self.sink.wants(FriendsInGroups) && relations.are_friends(owner, customer, as_of_ms)
            {
                self.count(units, slice, FriendsInGroups, &fact);
            }
            if self.sink.wants(FriendsInGroupsDistinct) {
                self.units_of_friend(customer, as_of_ms, &mut has);
                let theirs = units.iter().copied().filter(|unit| has.contains(unit));
                let theirs: Vec<u32> = theirs.collect();
                self.key(&theirs, slice, FriendsInGroupsDistinct, customer, &fact);
            }
            // Whose first joining came later has none yet.
            let joined_first = first.get(&customer).filter(|(ms, _)| *ms <= as_of_ms);
            let is_owners = |chat: u32| {
                directory.groups.get(chat).is_some_and(|group| {
                    group.exists_at(as_of_ms) && group.owner_at(as_of_ms) == Some(owner)
                })
            };
            if joined_first.is_some_and(|(_, chat)| is_owners(*chat))
                && relations.first_adder(customer, as_of_ms) == Some(owner)
            {
                self.key(units, slice, FriendsInGroupsFirst, customer, &fact);
            }
            if self.sink.wants(PotentialCustomers) {
                let has_any = relations.of_customer(customer).any(|relation| {
                    relation.is_active(as_of_ms)
                        && directory.role_of(relation.user) == Role::Employee
                });
                if !has_any {
                    self.key(units, slice, PotentialCustomers, customer, &fact);
                }
            }
        }
    }

    /// The employees that averages divide by, and the stores they belong to.
    pub fn put_people(&mut self) {
        if !self.wants_any(&[Measure::UnitEmployees, Measure::Stores]) {
            return;
        }
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

/// The slices at whose end a relation holds; their ends rise.
fn held(as_of_ms: &[i64], relation: &Relation) -> std::ops::Range<usize> {
    let from = as_of_ms.partition_point(|at_ms| *at_ms < relation.added_ms);
    let to = relation.lost_ms.map_or(as_of_ms.len(), |lost_ms| {
        as_of_ms.partition_point(|at_ms| *at_ms < lost_ms)
    });
    from..to
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
