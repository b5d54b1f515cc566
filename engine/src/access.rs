//! Who may see whose data: the one choke point of permission (manual 2.2).
//!
//! A [`Scope`] can be made only for an authenticated caller or for the local operator, and every
//! question takes one. A message is visible when one of the employees who take part in it is in
//! scope; a metric of an employee only when that employee is. What the directory cannot resolve
//! is closed to everybody but `all`.

use std::collections::HashSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Whose data a role opens, as stored with a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DataScope {
    /// Everything, also what the directory cannot resolve.
    All,
    /// The named employees.
    Employees(Vec<String>),
    /// The named departments with everything below.
    Departments(Vec<String>),
}

impl std::str::FromStr for DataScope {
    type Err = String;

    /// `all`, `employee:ID[,ID]`, `department:ID[,ID]`.
    fn from_str(text: &str) -> Result<Self, String> {
        let list = |ids: &str| -> Vec<String> {
            ids.split(',')
                .filter(|id| !id.is_empty())
                .map(String::from)
                .collect()
        };
        match text.split_once(':') {
            None if text == "all" => Ok(Self::All),
            Some(("employee", ids)) if !list(ids).is_empty() => Ok(Self::Employees(list(ids))),
            Some(("department", ids)) if !list(ids).is_empty() => Ok(Self::Departments(list(ids))),
            _ => Err(format!(
                "unknown scope `{text}`: expected `all`, `employee:ID,...` or `department:ID,...`"
            )),
        }
    }
}

/// The employees a caller may see. Passed first to every question.
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

    /// The scope of an authenticated caller; `is_employee` tells whether the directory has an id
    /// as an employee, `employees_below` lists the employees of a department and of all below it.
    /// A named id that is no employee of the directory opens nothing.
    pub fn of_caller(
        granted: &DataScope,
        is_employee: impl Fn(&str) -> bool,
        employees_below: impl Fn(&str) -> Vec<String>,
    ) -> Self {
        let visible = match granted {
            DataScope::All => Visible::All,
            DataScope::Employees(ids) => Visible::Employees(Arc::new(
                ids.iter().filter(|id| is_employee(id)).cloned().collect(),
            )),
            DataScope::Departments(ids) => Visible::Employees(Arc::new(
                ids.iter().flat_map(|id| employees_below(id)).collect(),
            )),
        };
        Self { visible }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_department_scope_opens_those_below_and_nothing_unknown() {
        let granted: DataScope = "department:10".parse().unwrap();
        let below = |id: &str| match id {
            "10" => vec!["a".into(), "b".into()],
            _ => vec![],
        };
        let scope = Scope::of_caller(&granted, |_| true, below);
        assert!(scope.sees_employee("a") && !scope.sees_employee("c") && !scope.is_all());
    }

    #[test]
    fn a_named_id_that_is_no_employee_opens_nothing() {
        let granted: DataScope = "employee:a,wm1".parse().unwrap();
        let scope = Scope::of_caller(&granted, |id| id == "a", |_| vec![]);
        assert!(scope.sees_employee("a") && !scope.sees_employee("wm1"));
    }

    #[test]
    fn a_mistyped_scope_is_an_error() {
        for text in ["", "al", "department:", "self"] {
            assert!(text.parse::<DataScope>().is_err(), "{text}");
        }
    }
}
