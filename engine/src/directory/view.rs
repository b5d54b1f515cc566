//! The whole directory in memory, read from its tables at one version and then shared: who an id
//! is, and what held when (semantics 2 and 9).
//!
//! Ids are numbers of [`Ids`]; the methods here that take and give texts are for questions about
//! single ids. Its parts are in files of their own: people, organisation, relations, groups, work.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use arrow::array::RecordBatch;
use huicun_semantics::interval::Interval;
use huicun_semantics::role::{Role, role_of};

use super::columns::{IdColumn, Rows, collect_ids, numbered};
use super::groups::Groups;
use super::ids::{Ids, Seen};
use super::organisation::Organisation;
use super::people::{Customers, Employee, read_employees};
use super::relations::Relations;
use super::schema::{TABLES, TableSpec, table};
use super::store;
use super::work::{self, Work};
use crate::archive::{Home, TableError};

/// The whole directory at one version.
#[derive(Debug, Clone, Default)]
pub struct Directory {
    /// The numbers of all ids that the tables name.
    pub ids: Arc<Ids>,
    /// By userid.
    pub employees: HashMap<String, Employee>,
    /// Name and parent by department id.
    pub departments: HashMap<String, (String, Option<String>)>,
    /// Customers.
    pub customers: Customers,
    /// Departments, stores, and who was in them when.
    pub organisation: Organisation,
    /// Who follows which customer.
    pub relations: Relations,
    /// Groups and their members.
    pub groups: Groups,
    /// Records, tasks, requests, material and orders.
    pub work: Work,
    /// Chats that have, or had, a customer as a member by the tables.
    pub rooms_with_customers: HashSet<String>,
    /// Table versions that this was read from.
    pub versions: Vec<(&'static str, u64)>,
    /// Of each number, as [`Directory::role`].
    roles: Vec<Role>,
}

/// The columns that hold ids, by table.
pub(super) const ID_COLUMNS: &[(&str, &[&str])] = &[
    ("departments", &["id", "parent_id", "leaders"]),
    ("employees", &["userid", "departments"]),
    ("department_members", &["userid", "department_id"]),
    (
        "stores",
        &["store_id", "department_id", "members", "groups"],
    ),
    ("customers", &["external_userid"]),
    ("relations", &["userid", "external_userid"]),
    ("groups", &["chat_id", "owner", "store_id"]),
    ("group_roles", &["chat_id", "userid"]),
    ("group_members", &["chat_id", "member_id", "invitor"]),
    ("followups", &["userid", "target_id"]),
    ("business_records", &["userid", "target_id"]),
    ("tasks", &["userid"]),
    ("friend_requests", &["userid"]),
    ("material_events", &["external_userid"]),
    ("orders", &["external_userid"]),
];

/// The tables that tell of most ids.
const NAMING: &[&str] = &["customers", "employees", "departments", "groups"];

fn spec(name: &str) -> &'static TableSpec {
    table(name).expect("the directory names only its own tables")
}

/// A task that panicked panics on; none here is ever cancelled but with its runtime.
fn resumed<T>(error: tokio::task::JoinError) -> Result<T, TableError> {
    if error.is_panic() {
        std::panic::resume_unwind(error.into_panic());
    }
    Err(TableError::File {
        table: "directory".into(),
        file: "all files".into(),
        source: error.into(),
    })
}

impl Directory {
    /// Reads the directory's tables.
    pub async fn load(home: &Home) -> Result<Self, TableError> {
        let mut versions = store::versions(home);
        // Each table by a task of its own: most of it is decoding.
        let reads: Vec<_> = ID_COLUMNS
            .iter()
            .map(|(name, _)| {
                let home = home.clone();
                let read = async move { store::version_of_rows(&home, spec(name)).await };
                (*name, tokio::spawn(read))
            })
            .collect();
        let mut tables = HashMap::new();
        for (name, read) in reads {
            let read = read.await.unwrap_or_else(resumed);
            let Some((version, rows)) = read? else {
                versions.retain(|(known, _)| *known != name);
                continue;
            };
            // As it was when it was read, whatever came since.
            match versions.iter_mut().find(|(known, _)| *known == name) {
                Some((_, known)) => *known = version,
                None => versions.push((name, version)),
            }
            tables.insert(name, rows);
        }
        Ok(Self {
            versions,
            ..Self::from_tables(tables)
        })
    }

    /// The view of rows that were read or fed; a table that is not given is empty.
    pub fn from_tables(mut tables: HashMap<&'static str, RecordBatch>) -> Self {
        for spec in TABLES {
            let empty = || RecordBatch::new_empty(spec.schema());
            tables.entry(spec.name).or_insert_with(empty);
        }
        let n_rows = |name: &&str| tables[*name].num_rows();
        let mut seen = Seen::with_capacity(NAMING.iter().map(n_rows).sum());
        // Those who are told of first, customers above all: others mostly name them.
        let mut order: Vec<_> = ID_COLUMNS.iter().collect();
        order.sort_by_key(|(name, _)| !NAMING.contains(name));
        let mut columns: HashMap<&str, Vec<IdColumn>> = HashMap::new();
        for (name, ids) in order {
            let places = ids.iter().map(|column| {
                let places = collect_ids(&tables[name], column, &mut seen);
                (*column, places)
            });
            columns.insert(name, places.collect());
        }
        let (ids, number_of) = Ids::new(seen);
        let ids = Arc::new(ids);
        for (_, numbers) in columns.values_mut().flatten() {
            *numbers = numbered(std::mem::take(numbers), &number_of);
        }
        let rows = |name: &str| {
            let ids = columns.get(name).map_or(&[][..], Vec::as_slice);
            Rows::new(&tables[name], ids)
        };
        let employees = read_employees(&rows("employees"), &ids);
        let customers = Customers::read(&rows("customers"));
        let roles = roles(&ids, &employees, &customers);
        let read_groups = || {
            Groups::read(
                &rows("groups"),
                &rows("group_roles"),
                &rows("group_members"),
                |member| roles[member as usize],
            )
        };
        let read_work = || Work {
            followups: work::read_records(&rows("followups")),
            business_records: work::read_records(&rows("business_records")),
            tasks: work::read_tasks(&rows("tasks")),
            friend_requests: work::read_friend_requests(&rows("friend_requests")),
            material_events: work::read_material_events(&rows("material_events")),
            orders: work::read_orders(&rows("orders")),
        };
        let (relations, (groups, work)) = rayon::join(
            || Relations::read(&rows("relations")),
            || rayon::join(read_groups, read_work),
        );
        let steady = |employee: &Employee| {
            let departments = employee.departments.iter();
            departments.filter_map(|id| ids.get(id)).collect::<Vec<_>>()
        };
        let organisation = Organisation::read(
            &rows("departments"),
            &rows("department_members"),
            &rows("stores"),
            employees.values().map(|e| (e, steady(e))),
        );
        let departments = organisation.departments().iter().map(|department| {
            let parent = department.parent.map(|id| ids.name(id).to_string());
            let id = ids.name(department.number).to_string();
            (id, (department.name.to_string(), parent))
        });
        Self {
            departments: departments.collect(),
            relations,
            rooms_with_customers: groups
                .iter()
                .filter(|group| group.has_customer)
                .map(|group| ids.name(group.chat).to_string())
                .collect(),
            work,
            versions: Vec::new(),
            employees,
            customers,
            organisation,
            groups,
            roles,
            ids,
        }
    }

    /// The role of an id (semantics 2).
    pub fn role(&self, id: &str) -> Role {
        match self.ids.get(id) {
            Some(number) => self.role_of(number),
            None => role_of(id, false, false),
        }
    }

    /// The role of a number.
    pub fn role_of(&self, number: u32) -> Role {
        self.roles[number as usize]
    }

    /// The display name of an employee or customer.
    pub fn name(&self, id: &str) -> Option<&str> {
        let employee = self
            .employees
            .get(id)
            .map(|employee| employee.name.as_str());
        employee.or_else(|| {
            let customer = self.customers.get(self.ids.get(id)?)?;
            Some(&customer.name)
        })
    }

    /// The department and all below it; a cycle in the tree ends the walk.
    pub fn departments_below(&self, id: &str) -> BTreeSet<String> {
        let below = self.ids.get(id).map(|id| self.organisation.below(id));
        let mut names: BTreeSet<String> = below
            .into_iter()
            .flatten()
            .map(|number| self.ids.name(number).to_string())
            .collect();
        names.insert(id.to_string());
        names
    }

    fn numbers(&self, ids: &BTreeSet<String>) -> BTreeSet<u32> {
        ids.iter().filter_map(|id| self.ids.get(id)).collect()
    }

    /// The departments an id was ever in, with their times as far as he had not left; nothing for
    /// an id that is no employee of the directory.
    fn history<'a>(&'a self, userid: &str) -> impl Iterator<Item = (u32, Interval)> + use<'a> {
        let employee = self.employees.get(userid);
        employee
            .into_iter()
            .flat_map(|employee| self.organisation.history(employee.number))
    }

    /// Whether the employee was in one of `departments` at that moment (semantics 9).
    pub fn was_in(&self, userid: &str, departments: &BTreeSet<String>, at_ms: i64) -> bool {
        self.history(userid).any(|(department, interval)| {
            interval.contains(at_ms) && departments.contains(self.ids.name(department))
        })
    }

    /// The departments of an employee of the directory and when he was in each: not those above,
    /// and none from when he left.
    pub fn stays_in_departments(&self, userid: &str) -> Vec<(String, Interval)> {
        self.history(userid)
            .map(|(department, interval)| (self.ids.name(department).to_string(), interval))
            .collect()
    }

    /// Whether the employee was in one of `departments` at some instant of `start_ms..end_ms`.
    pub fn was_in_during(
        &self,
        userid: &str,
        departments: &BTreeSet<String>,
        (start_ms, end_ms): (i64, i64),
    ) -> bool {
        self.history(userid).any(|(department, interval)| {
            interval.touches(start_ms, end_ms) && departments.contains(self.ids.name(department))
        })
    }

    /// Employees who are now, or ever were, in one of `departments`.
    pub fn employees_ever_in(&self, departments: &BTreeSet<String>) -> BTreeSet<String> {
        let departments = self.numbers(departments);
        let inside = self.employees.iter().filter(|(_, employee)| {
            let mut history = self.organisation.history(employee.number);
            history.any(|(department, _)| departments.contains(&department))
        });
        inside.map(|(userid, _)| userid.clone()).collect()
    }

    /// When an employee was in one of `departments`, as far as he had not left.
    pub fn times_in(&self, userid: &str, departments: &BTreeSet<String>) -> Vec<Interval> {
        let departments = self.numbers(departments);
        self.history(userid)
            .filter(|(department, _)| departments.contains(department))
            .map(|(_, interval)| interval)
            .collect()
    }

    /// The departments an employee was in at an instant, with all above them.
    pub fn departments_at(&self, userid: &str, at_ms: i64) -> Vec<&str> {
        let Some(employee) = self.employees.get(userid) else {
            return Vec::new();
        };
        let departments = self
            .organisation
            .departments_above_at(employee.number, at_ms);
        departments
            .into_iter()
            .map(|id| self.ids.name(id))
            .collect()
    }

    /// The rooms that someone was ever a member of, by the tables, with the times.
    pub fn memberships_of(&self, member: &str) -> impl Iterator<Item = (&str, Interval)> {
        let stays = self.ids.get(member).map(|id| self.groups.of_member(id));
        stays
            .into_iter()
            .flatten()
            .map(|stay| (self.ids.name(stay.chat), stay.interval()))
    }

    /// The owner (群主) of a group at an instant.
    pub fn owner_at(&self, chat: &str, at_ms: i64) -> Option<&str> {
        let group = self.groups.get(self.ids.get(chat)?)?;
        Some(self.ids.name(group.owner_at(at_ms)?))
    }

    /// The responsible employee (群负责人) of a group at an instant: the owner where none is set.
    pub fn responsible_at(&self, chat: &str, at_ms: i64) -> Option<&str> {
        let group = self.groups.get(self.ids.get(chat)?)?;
        Some(self.ids.name(group.responsible_at(at_ms)?))
    }

    /// The employees who were members of a group at an instant; `None` where the tables have no
    /// members of it at all, so that nothing is known.
    pub fn members_of_at(&self, chat: &str, at_ms: i64) -> Option<Vec<&str>> {
        let chat = self.ids.get(chat)?;
        if self.groups.of_chat(chat).is_empty() {
            return None;
        }
        let members = self.groups.members_at(chat, at_ms);
        let employees = members.filter(|member| member.role == Role::Employee);
        Some(
            employees
                .map(|member| self.ids.name(member.member))
                .collect(),
        )
    }
}

fn roles(ids: &Ids, employees: &HashMap<String, Employee>, customers: &Customers) -> Vec<Role> {
    let numbers = 0..ids.len() as u32;
    let mut is_employee = vec![false; ids.len()];
    for employee in employees.values() {
        is_employee[employee.number as usize] = true;
    }
    let mut is_customer = vec![false; ids.len()];
    for customer in customers.iter() {
        is_customer[customer.number as usize] = true;
    }
    numbers
        .map(|number| {
            let place = number as usize;
            role_of(ids.name(number), is_employee[place], is_customer[place])
        })
        .collect()
}

#[cfg(test)]
mod tests;
