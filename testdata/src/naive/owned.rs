//! Who is in the groups that a unit owns, for guides, stores and customers (semantics 10.3 to 10.5).

use std::collections::BTreeSet;

use super::company::Company;
use super::conversation::Role;
use super::organisation::Unit;
use super::period::Period;

impl Company {
    /// The external rooms that exist at an instant and whose owner is of the unit then.
    pub(super) fn rooms_owned_at(&self, unit: Unit<'_>, at: i64) -> BTreeSet<&str> {
        let mut rooms = self.external_rooms_at(at);
        rooms.retain(|room| self.is_owned_at(room, unit, at));
        rooms
    }

    fn is_owned_at(&self, room: &str, unit: Unit<'_>, at: i64) -> bool {
        let owner = self.directory.owner_at(room, at);
        self.directory.room_exists_at(room, at)
            && owner.is_some_and(|userid| self.directory.is_of(unit, userid, at))
    }

    pub(super) fn customers_in(&self, room: &str, at: i64) -> BTreeSet<&str> {
        self.directory.members_of_role_at(room, Role::Customer, at)
    }

    /// Distinct customers in the rooms that the unit owns at an instant.
    pub(super) fn customers_in_owned_at(&self, unit: Unit<'_>, at: i64) -> BTreeSet<&str> {
        let rooms = self.rooms_owned_at(unit, at);
        let customers = rooms.iter().flat_map(|room| self.customers_in(room, at));
        customers.collect()
    }

    /// Distinct active customers of the unit at an instant.
    pub(super) fn friends_at(&self, unit: Unit<'_>, at: i64) -> BTreeSet<&str> {
        self.directory
            .all_relations()
            .iter()
            .filter(|relation| relation.is_active(at))
            .filter(|relation| self.directory.is_of(unit, relation.userid, at))
            .map(|relation| relation.customer)
            .collect()
    }

    /// Customers whose first ever joining of an external group was in the period, in a group of the unit's.
    pub(super) fn group_people_new(&self, unit: Unit<'_>, period: Period) -> usize {
        self.directory
            .first_joinings(&self.external_rooms())
            .values()
            .filter(|(at, _)| self.is_in(period, *at))
            .filter(|(at, room)| self.is_owned_at(room, unit, *at))
            .count()
    }
}
