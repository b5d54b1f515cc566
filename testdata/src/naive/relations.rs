//! Relations as intervals, and first adders (semantics 9).

use std::collections::BTreeMap;

use super::conversation::Role;
use super::directory::{Directory, RelationEnd};

/// One row of `relations`, of an employee.
#[derive(Clone, Copy, Debug)]
pub(super) struct Relation<'a> {
    pub(super) userid: &'a str,
    pub(super) customer: &'a str,
    pub(super) added: i64,
    pub(super) lost: Option<i64>,
    pub(super) rest: &'a RelationEnd,
}

impl Relation<'_> {
    pub(super) fn is_active(&self, at: i64) -> bool {
        self.added <= at && self.lost.is_none_or(|lost| at < lost)
    }
}

impl Directory {
    /// All relations, by customer, then time of adding, then userid.
    pub(super) fn all_relations(&self) -> Vec<Relation<'_>> {
        let mut all = Vec::new();
        for ((customer, added, userid), rest) in &self.relations {
            if self.role_of(userid) == Role::Employee {
                all.push(Relation {
                    userid,
                    customer,
                    added: *added,
                    lost: rest.lost,
                    rest,
                });
            }
        }
        all
    }

    /// For every customer with an active relation, the first adder's relation at that instant.
    pub(super) fn first_adders_at(&self, at: i64) -> BTreeMap<&str, Relation<'_>> {
        let mut adders = BTreeMap::new();
        for relation in self.all_relations() {
            // They are in order, so a customer's first active one is the one.
            if relation.is_active(at) {
                adders.entry(relation.customer).or_insert(relation);
            }
        }
        adders
    }

    /// The first adder of one customer.
    pub(super) fn first_adder_at(&self, customer: &str, at: i64) -> Option<&str> {
        self.relations
            .range((customer.to_owned(), i64::MIN, String::new())..)
            .take_while(|((a_customer, ..), _)| a_customer == customer)
            .find(|((_, added, userid), relation)| {
                let is_active = *added <= at && relation.lost.is_none_or(|lost| at < lost);
                is_active && self.role_of(userid) == Role::Employee
            })
            .map(|((_, _, userid), _)| &**userid)
    }
}
