//! The employees whose data a question may use. A message is visible when one of the employees who
//! take part in it is in scope; a metric of an employee only when that employee is. What the
//! directory cannot resolve is closed to everybody but `all`.

use std::collections::HashSet;
use std::sync::Arc;

/// The employees a caller may see for one function. Passed first to every question.
#[derive(Debug, Clone)]
pub struct Scope {
    visible: Visible,
}

#[derive(Debug, Clone)]
enum Visible {
    All,
    Employees(Arc<HashSet<String>>),
}

impl Scope {
    /// The operator at the machine's own command line, who can read the files anyway.
    pub fn local_operator() -> Self {
        Self {
            visible: Visible::All,
        }
    }

    /// Everything; for callers of this module only.
    pub(super) fn all() -> Self {
        Self::local_operator()
    }

    /// These employees.
    pub(crate) fn of_employees(employees: HashSet<String>) -> Self {
        Self {
            visible: Visible::Employees(Arc::new(employees)),
        }
    }

    /// What either sees.
    pub(super) fn or(self, other: &Self) -> Self {
        match (&self.visible, &other.visible) {
            (Visible::All, _) => self,
            (_, Visible::All) => other.clone(),
            (Visible::Employees(a), Visible::Employees(b)) => {
                Self::of_employees(a.union(b).cloned().collect())
            }
        }
    }

    /// What both see: a caller who needs two functions for one thing.
    #[must_use]
    pub fn and(self, other: &Self) -> Self {
        match (&self.visible, &other.visible) {
            (_, Visible::All) => self,
            (Visible::All, _) => other.clone(),
            (Visible::Employees(a), Visible::Employees(b)) => {
                Self::of_employees(a.intersection(b).cloned().collect())
            }
        }
    }

    /// Whether everything is visible.
    pub fn is_all(&self) -> bool {
        matches!(self.visible, Visible::All)
    }

    /// Whether this employee's figures and chats are visible.
    pub fn sees_employee(&self, userid: &str) -> bool {
        match &self.visible {
            Visible::All => true,
            Visible::Employees(ids) => ids.contains(userid),
        }
    }

    /// The visible employees; `None` for all.
    pub fn employees(&self) -> Option<&HashSet<String>> {
        match &self.visible {
            Visible::All => None,
            Visible::Employees(ids) => Some(ids),
        }
    }
}
