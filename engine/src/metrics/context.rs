//! What the traversals share: settings, slices, and the directory's groups and relations with ids
//! as numbers.

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use huicun_semantics::interval::Interval;
use huicun_semantics::role::Role;

use super::question::{Question, Slices};
use super::report::Inputs;
use super::settings::Settings;
use super::source::SourceError;
use crate::directory::Directory;
use crate::directory::relations::Relation;
use crate::directory::work::{Record, Target};
use crate::jobs::period::Names;

/// A relation with numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Follow {
    /// The employee.
    pub employee: u32,
    /// The customer.
    pub customer: u32,
    /// When he was added, UTC milliseconds.
    pub added_ms: i64,
    /// When he was lost, UTC milliseconds; not yet if missing.
    pub lost_ms: Option<i64>,
}

/// What a traversal reads besides the facts.
pub struct Context<'a> {
    /// The directory.
    pub directory: &'a Directory,
    /// The rules.
    pub settings: &'a Settings,
    /// The slices of the period.
    pub slices: &'a Slices,
    /// Now, UTC milliseconds.
    pub now_ms: i64,
    /// Relations of employees by (customer, time of adding, employee), once somebody asks.
    by_customer: OnceCell<Vec<Follow>>,
    /// Employees in rooms by the directory.
    pub members: HashMap<u32, Vec<(u32, Interval)>>,
    /// Rooms that have, or ever had, a customer; by their id.
    pub external_rooms: Vec<u32>,
}

impl<'a> Context<'a> {
    /// Gives the directory's ids numbers; `names` are those over the directory, so that its numbers
    /// are theirs.
    ///
    /// # Errors
    /// A source that cannot say which rooms are external.
    pub fn new(
        inputs: &Inputs<'a>,
        question: &Question,
        slices: &'a Slices,
        names: &mut Names,
    ) -> Result<Self, SourceError> {
        let directory = inputs.directory;
        debug_assert!(Arc::ptr_eq(names.directory(), &directory.ids));
        let mut external: HashSet<u32> = inputs.source.external_rooms(names)?.into_iter().collect();
        external.extend(
            directory
                .rooms_with_customers
                .iter()
                .map(|id| names.intern(id)),
        );
        let mut external_rooms: Vec<u32> = external.into_iter().collect();
        external_rooms.sort_by(|a, b| names.name(*a).cmp(names.name(*b)));
        Ok(Self {
            directory,
            settings: inputs.settings,
            slices,
            now_ms: question.now_ms,
            members: members(directory),
            by_customer: OnceCell::new(),
            external_rooms,
        })
    }

    /// The relations added in some time, by (time of adding, employee, customer).
    pub fn added_in(&self, within: &Range<i64>) -> impl Iterator<Item = Follow> {
        let added = (self.directory.relations).added_in(within.start, within.end);
        added.filter_map(|relation| self.follow(relation))
    }

    /// The relations of each customer, by (time of adding, employee).
    pub fn follows_of_customers(&self) -> impl Iterator<Item = (u32, &[Follow])> {
        let relations = self.directory.relations.by_customer_flat();
        self.by_customer
            .get_or_init(|| {
                relations
                    .filter_map(|relation| self.follow(relation))
                    .collect()
            })
            .chunk_by(|a, b| a.customer == b.customer)
            .map(|follows| (follows[0].customer, follows))
    }

    /// A relation of an employee.
    fn follow(&self, relation: &Relation) -> Option<Follow> {
        let is_employees = self.directory.role_of(relation.user) == Role::Employee;
        is_employees.then_some(Follow {
            employee: relation.user,
            customer: relation.customer,
            added_ms: relation.added_ms,
            lost_ms: relation.lost_ms,
        })
    }

    /// The employees of a room at an instant by the directory.
    pub fn members_at(&self, room: u32, at_ms: i64) -> impl Iterator<Item = u32> + '_ {
        self.members
            .get(&room)
            .into_iter()
            .flatten()
            .filter(move |(_, interval)| interval.contains(at_ms))
            .map(|(member, _)| *member)
    }
}

fn members(directory: &Directory) -> HashMap<u32, Vec<(u32, Interval)>> {
    let mut members: HashMap<u32, Vec<(u32, Interval)>> = HashMap::new();
    for membership in directory.groups.memberships() {
        if membership.role == Role::Employee {
            let stay = (membership.member, membership.interval());
            members.entry(membership.chat).or_default().push(stay);
        }
    }
    members
}

/// A record of an employee's work.
pub struct Work<'a> {
    /// Its id.
    pub id: &'a str,
    /// Who wrote it.
    pub userid: &'a str,
    /// About whom.
    pub target: &'a str,
    /// When, UTC milliseconds.
    pub at_ms: i64,
}

impl Context<'_> {
    /// The responsible employee of a group, its owner where none is set; nobody of a group that
    /// does not exist then, or that the directory does not know.
    pub fn responsible_at(&self, names: &mut Names, room: u32, at_ms: i64) -> Option<u32> {
        if !self.exists_at(names, room, at_ms) {
            return None;
        }
        let userid = self.directory.responsible_at(names.name(room), at_ms)?;
        Some(names.intern(userid))
    }

    /// Whether a group exists at an instant; one that the directory does not know always does.
    pub fn exists_at(&self, names: &Names, room: u32, at_ms: i64) -> bool {
        let known = self.directory.ids.get(names.name(room));
        known
            .and_then(|chat| self.directory.groups.get(chat))
            .is_none_or(|group| group.exists_at(at_ms))
    }

    /// All business records, by time.
    pub fn business_records(&self) -> impl Iterator<Item = Work<'_>> {
        let records = &self.directory.work.business_records;
        records.iter().map(|record| self.work_of(record))
    }

    /// Follow-up records about customers, by time.
    pub fn customer_followups(&self) -> impl Iterator<Item = Work<'_>> {
        let records = self.directory.work.followups.iter();
        records
            .filter(|record| matches!(record.target, Target::Customer(_)))
            .map(|record| self.work_of(record))
    }

    fn work_of<'a>(&'a self, record: &'a Record) -> Work<'a> {
        let ids = &self.directory.ids;
        let (Target::Customer(target) | Target::Group(target)) = record.target;
        Work {
            id: &record.id,
            userid: ids.name(record.user),
            target: ids.name(target),
            at_ms: record.at_ms,
        }
    }
}
