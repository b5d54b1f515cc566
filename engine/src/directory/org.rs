//! What the directory tells about who is where now, for the scopes of callers.

use std::collections::BTreeSet;

use super::Directory;
use crate::access::Org;

/// The directory at an instant.
#[derive(Debug, Clone, Copy)]
pub struct OrgAt<'a> {
    /// The directory.
    pub directory: &'a Directory,
    /// UTC milliseconds.
    pub at_ms: i64,
}

impl Org for OrgAt<'_> {
    fn is_employee(&self, id: &str) -> bool {
        self.directory.employees.contains_key(id)
    }

    fn may_act(&self, id: &str) -> bool {
        let employee = self.directory.employees.get(id);
        employee.is_some_and(|employee| !employee.has_left_at(self.at_ms))
    }

    fn employees_below(&self, department: &str) -> Vec<String> {
        let below: BTreeSet<String> = self.directory.departments_below(department);
        let employees = self.directory.employees.keys();
        employees
            .filter(|userid| self.directory.was_in(userid, &below, self.at_ms))
            .cloned()
            .collect()
    }

    fn departments_of(&self, employee: &str) -> Vec<String> {
        let stays = self.directory.stays_in_departments(employee).into_iter();
        stays
            .filter(|(_, interval)| interval.contains(self.at_ms))
            .map(|(department, _)| department)
            .collect()
    }
}
