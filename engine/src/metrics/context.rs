//! What the traversals share: settings, slices, and the directory's groups and relations with ids
//! as numbers.

use std::collections::{HashMap, HashSet};

use huicun_semantics::interval::Interval;
use huicun_semantics::role::Role;

use super::question::{Question, Slices};
use super::report::Inputs;
use super::settings::Settings;
use super::source::SourceError;
use crate::directory::Directory;
use crate::directory::groups::Group;
use crate::directory::work::Target;
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
    /// Relations of employees, by (time of adding, employee, customer).
    pub follows: Vec<Follow>,
    /// The same of each customer, in that order; by the customer's number, ascending.
    pub follows_of: Vec<(u32, Vec<Follow>)>,
    /// Employees in rooms by the directory.
    pub members: HashMap<u32, Vec<(u32, Interval)>>,
    /// Rooms that have, or ever had, a customer; by their id.
    pub external_rooms: Vec<u32>,
    /// Userids bytewise, as the tie rule of the first adder wants them.
    ranks: HashMap<u32, u32>,
}

impl<'a> Context<'a> {
    /// Gives the directory's ids numbers.
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
        for holder in directory.groups.iter().flat_map(Group::holders) {
            names.intern(directory.ids.name(holder));
        }
        let follows = follows(directory, names);
        let mut follows_of: HashMap<u32, Vec<Follow>> = HashMap::new();
        for follow in &follows {
            follows_of.entry(follow.customer).or_default().push(*follow);
        }
        let mut follows_of: Vec<_> = follows_of.into_iter().collect();
        follows_of.sort_unstable_by_key(|(customer, _)| *customer);
        let mut external: HashSet<u32> = inputs.source.external_rooms(names)?.into_iter().collect();
        external.extend(
            directory
                .rooms_with_customers
                .iter()
                .map(|id| names.intern(id)),
        );
        let mut external_rooms: Vec<u32> = external.into_iter().collect();
        external_rooms.sort_by(|a, b| names.name(*a).cmp(names.name(*b)));
        let mut employees: Vec<u32> = follows.iter().map(|f| f.employee).collect();
        employees.sort_unstable();
        employees.dedup();
        employees.sort_by(|a, b| names.name(*a).cmp(names.name(*b)));
        Ok(Self {
            directory,
            settings: inputs.settings,
            slices,
            now_ms: question.now_ms,
            members: members(directory, names),
            follows,
            follows_of,
            external_rooms,
            ranks: employees.into_iter().zip(0..).collect(),
        })
    }

    /// How a userid compares bytewise with others that have relations.
    pub fn rank(&self, employee: u32) -> u32 {
        self.ranks.get(&employee).copied().unwrap_or(u32::MAX)
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

fn follows(directory: &Directory, names: &mut Names) -> Vec<Follow> {
    let mut follows = Vec::new();
    // By (time of adding, employee, customer), as the directory's index has them.
    for relation in directory.relations.added_in(i64::MIN, i64::MAX) {
        if directory.role_of(relation.user) == Role::Employee {
            follows.push(Follow {
                employee: names.intern(directory.ids.name(relation.user)),
                customer: names.intern(directory.ids.name(relation.customer)),
                added_ms: relation.added_ms,
                lost_ms: relation.lost_ms,
            });
        }
    }
    follows
}

fn members(directory: &Directory, names: &mut Names) -> HashMap<u32, Vec<(u32, Interval)>> {
    let mut members: HashMap<u32, Vec<(u32, Interval)>> = HashMap::new();
    for stay in directory.groups.memberships() {
        if stay.role == Role::Employee {
            let room = names.intern(directory.ids.name(stay.chat));
            let member = names.intern(directory.ids.name(stay.member));
            members
                .entry(room)
                .or_default()
                .push((member, stay.interval()));
        }
    }
    members
}

/// A business record.
pub struct BusinessRecord<'a> {
    /// Its id.
    pub id: &'a str,
    /// Who wrote it.
    pub userid: &'a str,
    /// When, UTC milliseconds.
    pub at_ms: i64,
}

/// A follow-up record about a customer.
pub struct Followup<'a> {
    /// Who wrote it.
    pub userid: &'a str,
    /// About whom.
    pub target: &'a str,
    /// When, UTC milliseconds.
    pub at_ms: i64,
}

impl Context<'_> {
    fn group(&self, names: &Names, room: u32) -> Option<&Group> {
        let chat = self.directory.ids.get(names.name(room))?;
        self.directory.groups.get(chat)
    }

    /// The responsible employee of a group, its owner where none is set.
    pub fn responsible_at(&self, names: &Names, room: u32, at_ms: i64) -> Option<u32> {
        let responsible = self.group(names, room)?.responsible_at(at_ms)?;
        names.get(self.directory.ids.name(responsible))
    }

    /// Whether a group exists at an instant; one that `groups` does not know always does.
    pub fn exists_at(&self, names: &Names, room: u32, at_ms: i64) -> bool {
        self.group(names, room)
            .is_none_or(|group| group.exists_at(at_ms))
    }

    /// All business records.
    pub fn business_records(&self) -> impl Iterator<Item = BusinessRecord<'_>> {
        let ids = &self.directory.ids;
        let records = self.directory.work.business_records.iter();
        records.map(|record| BusinessRecord {
            id: &record.id,
            userid: ids.name(record.user),
            at_ms: record.at_ms,
        })
    }

    /// Follow-up records about customers.
    pub fn customer_followups(&self) -> impl Iterator<Item = Followup<'_>> {
        let ids = &self.directory.ids;
        let records = self.directory.work.followups.iter();
        records.filter_map(|record| match record.target {
            Target::Customer(customer) => Some(Followup {
                userid: ids.name(record.user),
                target: ids.name(customer),
                at_ms: record.at_ms,
            }),
            Target::Group(_) => None,
        })
    }
}
