//! A role (角色): functions together with whose data they are for; and what a caller is granted.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{DataScope, Function};

/// Functions and the data that they are for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Role {
    /// What may be done.
    pub functions: BTreeSet<Function>,
    /// With whose data.
    pub scope: DataScope,
}

/// All that a caller is granted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Grant {
    /// His roles.
    pub roles: Vec<Role>,
    /// For which employee he acts.
    pub employee: Option<String>,
}

/// Somebody would hand on more than he has.
#[derive(Debug, thiserror::Error)]
#[error("you cannot grant `{}` for `{scope}`: you do not have it yourself", .function.as_str())]
pub struct Exceeds {
    /// Which function.
    pub function: Function,
    /// For whose data.
    pub scope: DataScope,
}

impl Grant {
    /// Everything.
    pub fn everything() -> Self {
        Self {
            roles: vec![Role {
                functions: BTreeSet::from(Function::ALL),
                scope: DataScope::All,
            }],
            employee: None,
        }
    }

    /// Checks that another grant opens nothing that this one does not, function by function.
    /// Scopes are compared as they are written, not by whom they hold today: a department may be
    /// handed on by who has that department, an employee by who has that employee by name. Else
    /// the copy would keep somebody who has left the original.
    ///
    /// # Errors
    /// The first function that would be more.
    pub fn check_covers(&self, other: &Self) -> Result<(), Exceeds> {
        for role in &other.roles {
            for function in &role.functions {
                let is_covered = self.roles.iter().any(|mine| {
                    let (me, they) = (self.employee.as_deref(), other.employee.as_deref());
                    mine.functions.contains(function) && mine.scope.covers(&role.scope, me, they)
                });
                if !is_covered {
                    return Err(Exceeds {
                        function: *function,
                        scope: role.scope.clone(),
                    });
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(employee: Option<&str>, roles: &[(&[Function], &str)]) -> Grant {
        Grant {
            employee: employee.map(String::from),
            roles: roles
                .iter()
                .map(|(functions, scope)| Role {
                    functions: functions.iter().copied().collect(),
                    scope: scope.parse().unwrap(),
                })
                .collect(),
        }
    }

    #[test]
    fn nobody_hands_on_a_function_for_data_that_he_has_for_another_function() {
        let mine = grant(
            None,
            &[
                (&[Function::MessagesRead], "employee:li,wang"),
                (&[Function::FiguresRead, Function::Sql], "all"),
            ],
        );
        for (function, scope, is_allowed) in [
            (Function::MessagesRead, "employee:li", true),
            (Function::MessagesRead, "employee:li,zhang", false),
            (Function::MessagesRead, "all", false),
            (Function::FiguresRead, "department:10", true),
            (Function::MessagesSearch, "employee:li", false),
        ] {
            let wanted = grant(None, &[(&[function], scope)]);
            let found = mine.check_covers(&wanted).is_ok();
            assert_eq!(found, is_allowed, "{} {scope}", function.as_str());
        }
    }

    #[test]
    fn who_acts_for_an_employee_hands_on_that_employee_only() {
        let f: &[Function] = &[Function::MessagesRead];
        let mine = grant(Some("li"), &[(f, "departments_below")]);
        assert!(
            mine.check_covers(&grant(Some("li"), &[(f, "self")]))
                .is_ok()
        );
        assert!(
            mine.check_covers(&grant(None, &[(f, "employee:li")]))
                .is_ok()
        );
        assert!(
            mine.check_covers(&grant(Some("wang"), &[(f, "self")]))
                .is_err()
        );
        assert!(
            mine.check_covers(&grant(Some("wang"), &[(f, "departments_below")]))
                .is_err()
        );
        assert!(
            mine.check_covers(&grant(None, &[(f, "department:10")]))
                .is_err()
        );
        let own = grant(Some("li"), &[(f, "self")]);
        assert!(
            own.check_covers(&grant(Some("li"), &[(f, "departments_below")]))
                .is_err()
        );
        assert!(own.check_covers(&grant(None, &[(f, "self")])).is_err());
    }
}
