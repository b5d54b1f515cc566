//! The directory: the tables the model needs, and the facts read from them (semantics 9).

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use chrono::DateTime;
use serde_json::Value;

use super::conversation::Role;
use super::json::{string_at, strings_at, whole_number};

#[derive(Debug, Default)]
struct Employee {
    name: String,
    departments: Vec<String>,
    has_left: bool,
    left_at: Option<i64>,
}

/// Rows by their keys, the last one fed in for each key.
#[derive(Debug, Default)]
pub(super) struct Directory {
    employees: BTreeMap<String, Employee>,
    customers: HashSet<String>,
    /// Department to its parent.
    parents: HashMap<String, String>,
    /// (userid, department, from) to the end.
    department_members: BTreeMap<(String, String, i64), Option<i64>>,
    /// (external_userid, add_time, userid) to the time it was lost.
    relations: BTreeMap<(String, i64, String), Option<i64>>,
    /// (chat_id, member_id, join_time) to the time of leaving.
    group_members: BTreeMap<(String, String, i64), Option<i64>>,
}

/// A time given as RFC 3339, Unix seconds or Unix milliseconds (10^12 and above).
fn instant_at(row: &Value, key: &str) -> Option<i64> {
    let value = row.get(key)?;
    if let Some(number) = whole_number(value) {
        let is_seconds = number.abs() < 1_000_000_000_000;
        return Some(if is_seconds { number * 1000 } else { number });
    }
    DateTime::parse_from_rfc3339(value.as_str()?)
        .ok()
        .map(|instant| instant.timestamp_millis())
}

impl Directory {
    /// Tables that the model does not use are ignored; so are rows without their key.
    pub(super) fn add_row(&mut self, table: &str, row: &Value) {
        let text = |key: &str| string_at(row, key).to_owned();
        match table {
            "departments" => {
                self.parents.insert(text("id"), text("parent_id"));
            }
            "employees" => {
                let employee = Employee {
                    name: text("name"),
                    departments: strings_at(row, "departments"),
                    has_left: string_at(row, "status") == "left",
                    left_at: instant_at(row, "left_at"),
                };
                self.employees.insert(text("userid"), employee);
            }
            "customers" => {
                self.customers.insert(text("external_userid"));
            }
            "department_members" => {
                if let Some(from) = instant_at(row, "from_time") {
                    let key = (text("userid"), text("department_id"), from);
                    self.department_members
                        .insert(key, instant_at(row, "to_time"));
                }
            }
            "relations" => {
                if let Some(added) = instant_at(row, "add_time") {
                    let key = (text("external_userid"), added, text("userid"));
                    self.relations.insert(key, instant_at(row, "lost_time"));
                }
            }
            "group_members" => {
                if let Some(joined) = instant_at(row, "join_time") {
                    let key = (text("chat_id"), text("member_id"), joined);
                    self.group_members
                        .insert(key, instant_at(row, "leave_time"));
                }
            }
            _ => {}
        }
    }

    /// The role of an id, by what the directory knows now.
    pub(super) fn role_of(&self, id: &str) -> Role {
        if self.employees.contains_key(id) {
            Role::Employee
        } else if self.customers.contains(id) || id.starts_with("wm") || id.starts_with("wo") {
            Role::Customer
        } else if id.starts_with("wb") {
            Role::Robot
        } else {
            Role::Employee
        }
    }

    pub(super) fn employee_ids(&self) -> impl Iterator<Item = &str> {
        self.employees.keys().map(String::as_str)
    }

    /// None for an employee id that the directory does not know.
    pub(super) fn name_of(&self, userid: &str) -> Option<&str> {
        self.employees.get(userid).map(|employee| &*employee.name)
    }

    /// Every room that ever had a customer as a member.
    ///
    /// Choice: what a member is follows the role of his id, not the column `member_type`.
    pub(super) fn rooms_with_customer_members(&self) -> BTreeSet<&str> {
        let mut rooms = BTreeSet::new();
        for (room, member, _) in self.group_members.keys() {
            if self.role_of(member) == Role::Customer {
                rooms.insert(&**room);
            }
        }
        rooms
    }

    /// Whether an id was a member of a room at an instant.
    pub(super) fn is_member_at(&self, room: &str, id: &str, at: i64) -> bool {
        self.group_members
            .range((room.to_owned(), id.to_owned(), i64::MIN)..)
            .take_while(|((a_room, member, _), _)| a_room == room && member == id)
            .any(|((_, _, joined), left)| *joined <= at && left.is_none_or(|left| at < left))
    }

    /// The employees who are in a department, or in one below it, at an instant.
    pub(super) fn employees_below(&self, department: &str, at: i64) -> BTreeSet<&str> {
        let mut found = BTreeSet::new();
        for (userid, employee) in &self.employees {
            let departments = self.departments_of(userid, employee, at);
            if departments.iter().any(|id| self.is_below(id, department)) {
                found.insert(&**userid);
            }
        }
        found
    }

    fn departments_of(&self, userid: &str, employee: &Employee, at: i64) -> Vec<String> {
        // Choice: who left at an unknown time is in no department at any time.
        if employee.has_left && employee.left_at.is_none_or(|left| left <= at) {
            return Vec::new();
        }
        let mut has_history = false;
        let mut departments = Vec::new();
        for ((id, department, from), to) in &self.department_members {
            if id == userid {
                has_history = true;
                if *from <= at && to.is_none_or(|to| at < to) {
                    departments.push(department.clone());
                }
            }
        }
        if has_history {
            departments
        } else {
            employee.departments.clone()
        }
    }

    fn is_below(&self, department: &str, above: &str) -> bool {
        let mut at = department;
        // A chain longer than the number of departments goes in a circle.
        for _ in 0..=self.parents.len() {
            if at == above {
                return true;
            }
            match self.parents.get(at) {
                Some(parent) => at = parent,
                None => return false,
            }
        }
        false
    }

    /// For every customer with an active relation, the first adder at that instant.
    pub(super) fn first_adders_at(&self, at: i64) -> BTreeMap<&str, &str> {
        let mut adders = BTreeMap::new();
        // The key is (customer, add_time, userid), so a customer's first active row is the one.
        for ((customer, added, userid), lost) in &self.relations {
            let is_active = *added <= at && lost.is_none_or(|lost| at < lost);
            if is_active {
                adders.entry(&**customer).or_insert(&**userid);
            }
        }
        adders
    }

    /// Every relation as (userid, external_userid, add_time).
    pub(super) fn additions(&self) -> impl Iterator<Item = (&str, &str, i64)> {
        self.relations
            .keys()
            .map(|(customer, added, userid)| (&**userid, &**customer, *added))
    }
}
