//! The organisation as it was: departments with all below, stores, the company (semantics 9 and 10).

use std::collections::BTreeSet;

use super::conversation::Role;
use super::directory::{Directory, Employee};

/// What a row of a report is of.
#[derive(Clone, Copy, Debug)]
pub(super) enum Unit<'a> {
    Employee(&'a str),
    Department(&'a str),
    Store(&'a str),
    Company,
}

impl Directory {
    /// Whether an id was of the unit at an instant. Only employees are of any.
    pub(super) fn is_of(&self, unit: Unit<'_>, id: &str, at: i64) -> bool {
        if self.role_of(id) != Role::Employee {
            return false;
        }
        match unit {
            Unit::Employee(userid) => id == userid,
            Unit::Company => true,
            Unit::Department(department) => self.is_in_department(id, department, at),
            Unit::Store(store) => self.is_in_store(id, store, at),
        }
    }

    fn is_in_department(&self, userid: &str, department: &str, at: i64) -> bool {
        let Some(employee) = self.employees.get(userid) else {
            return false;
        };
        self.departments_of(userid, employee, at)
            .iter()
            .any(|id| self.is_below(id, department))
    }

    /// Choice: who is listed needs no row among the employees; but who left is of no store.
    fn is_in_store(&self, userid: &str, store: &str, at: i64) -> bool {
        let Some(store) = self.stores.get(store) else {
            return false;
        };
        let is_listed = store.members.iter().any(|member| member == userid);
        let has_left = self.employees.get(userid).is_some_and(|e| has_left(e, at));
        let is_of_department = |department: &String| self.is_in_department(userid, department, at);
        (is_listed && !has_left) || store.department.as_ref().is_some_and(is_of_department)
    }

    /// The employees who are in a department, or in one below it, at an instant.
    pub(super) fn employees_below(&self, department: &str, at: i64) -> BTreeSet<&str> {
        let mut found = BTreeSet::new();
        for userid in self.employees.keys() {
            if self.is_in_department(userid, department, at) {
                found.insert(&**userid);
            }
        }
        found
    }

    fn departments_of(&self, userid: &str, employee: &Employee, at: i64) -> Vec<String> {
        if has_left(employee, at) {
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
        for _ in 0..=self.departments.len() {
            if at == above {
                return true;
            }
            match self.departments.get(at) {
                Some(row) => at = &row.parent,
                None => return false,
            }
        }
        false
    }
}

/// Choice: who left at an unknown time is in no department at any time.
fn has_left(employee: &Employee, at: i64) -> bool {
    employee.has_left && employee.left_at.is_none_or(|left| left <= at)
}
