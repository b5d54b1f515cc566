//! An authenticated caller: who he is, and for each function whose data he may use.

use std::collections::{BTreeSet, HashSet};

use serde::Serialize;

use super::{DataScope, Function, Grant, Scope};

/// By what a caller was known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Identity {
    /// `token`, `one_time`, `jwt` or `local`.
    pub kind: &'static str,
    /// The token's id, or the subject of the JWT; never a secret.
    pub id: String,
    /// The token's name, or the employee of the JWT.
    pub name: String,
}

impl Identity {
    /// The name under which what he did is noted; what he is where he has none.
    pub fn called(&self) -> &str {
        match self.name.as_str() {
            "" => self.kind,
            name => name,
        }
    }
}

/// What an organisation must tell about itself to make scopes.
pub trait Org {
    /// Whether an id is an employee's.
    fn is_employee(&self, id: &str) -> bool;
    /// Whether somebody may act for this employee: the directory has him, and he has not left.
    fn may_act(&self, id: &str) -> bool;
    /// The employees who are now in a department or below it.
    fn employees_below(&self, department: &str) -> Vec<String>;
    /// The departments that an employee is in now.
    fn departments_of(&self, employee: &str) -> Vec<String>;
}

/// The caller may not do this.
#[derive(Debug, thiserror::Error)]
#[error("this needs the function `{}` ({}), which no role of the caller holds", .0.as_str(), .0.zh())]
pub struct Forbidden(pub Function);

/// An authenticated caller.
#[derive(Debug, Clone)]
pub struct Caller {
    /// By what he is known.
    pub identity: Identity,
    grant: Grant,
    /// The scope of each role, in its order.
    scopes: Vec<Scope>,
}

impl Caller {
    /// A caller; his roles hold whom the organisation places there now. A named id that is no
    /// employee opens nothing, and neither does a role that needs an acting employee without one.
    pub fn new(identity: Identity, grant: Grant, org: &impl Org) -> Self {
        let acting = grant.employee.as_deref().filter(|id| org.may_act(id));
        let below = |ids: &[String]| -> HashSet<String> {
            ids.iter().flat_map(|id| org.employees_below(id)).collect()
        };
        let scope_of = |scope: &DataScope| match scope {
            DataScope::All => Scope::all(),
            DataScope::Own => Scope::of_employees(acting.map(String::from).into_iter().collect()),
            DataScope::DepartmentsBelow => {
                let mut seen =
                    acting.map_or_else(HashSet::new, |id| below(&org.departments_of(id)));
                seen.extend(acting.map(String::from));
                Scope::of_employees(seen)
            }
            DataScope::Employees(ids) => {
                let known = ids.iter().filter(|id| org.is_employee(id));
                Scope::of_employees(known.cloned().collect())
            }
            DataScope::Departments(ids) => Scope::of_employees(below(ids)),
        };
        let scopes = grant.roles.iter().map(|role| scope_of(&role.scope));
        Self {
            scopes: scopes.collect(),
            identity,
            grant,
        }
    }

    /// Whose data he may use for a function: of all roles that hold it, and of no other.
    ///
    /// # Errors
    /// No role holds it.
    pub fn scope(&self, function: Function) -> Result<Scope, Forbidden> {
        let holding = self.grant.roles.iter().zip(&self.scopes);
        holding
            .filter(|(role, _)| role.functions.contains(&function))
            .map(|(_, scope)| scope)
            .fold(None, |sum: Option<Scope>, scope| {
                Some(sum.map_or_else(|| scope.clone(), |sum| sum.or(scope)))
            })
            .ok_or(Forbidden(function))
    }

    /// Under whom what he keeps is kept: the employee for whom he acts, so that a new token finds
    /// what the old one left; else the token or the subject itself.
    pub fn owner(&self) -> String {
        match &self.grant.employee {
            Some(employee) => format!("employee:{employee}"),
            None => format!("{}:{}", self.identity.kind, self.identity.id),
        }
    }

    /// What he is granted.
    pub fn grant(&self) -> &Grant {
        &self.grant
    }

    /// Every function that a role of his holds.
    pub fn functions(&self) -> BTreeSet<Function> {
        let roles = self.grant.roles.iter();
        roles
            .flat_map(|role| role.functions.iter().copied())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Role;

    /// Department 10 holds a and b and lies in 1, which holds c too; d is nowhere, and e has left.
    struct Company;

    impl Org for Company {
        fn is_employee(&self, id: &str) -> bool {
            ["a", "b", "c", "d", "e"].contains(&id)
        }

        fn may_act(&self, id: &str) -> bool {
            id != "e" && self.is_employee(id)
        }

        fn employees_below(&self, department: &str) -> Vec<String> {
            let found: &[&str] = match department {
                "1" => &["a", "b", "c"],
                "10" => &["a", "b"],
                _ => &[],
            };
            found.iter().map(ToString::to_string).collect()
        }

        fn departments_of(&self, employee: &str) -> Vec<String> {
            match employee {
                "a" | "b" => vec!["10".into()],
                "c" => vec!["1".into()],
                _ => vec![],
            }
        }
    }

    fn caller(employee: Option<&str>, roles: &[(&[Function], &str)]) -> Caller {
        let identity = Identity {
            kind: "token",
            id: "1".into(),
            name: "n".into(),
        };
        let roles = roles.iter().map(|(functions, scope)| Role {
            functions: functions.iter().copied().collect(),
            scope: scope.parse().unwrap(),
        });
        let grant = Grant {
            roles: roles.collect(),
            employee: employee.map(String::from),
        };
        Caller::new(identity, grant, &Company)
    }

    fn seen(caller: &Caller, function: Function) -> String {
        match caller.scope(function) {
            Err(_) => "forbidden".into(),
            Ok(scope) if scope.is_all() => "all".into(),
            Ok(scope) => ["a", "b", "c", "d", "e", "x"]
                .into_iter()
                .filter(|id| scope.sees_employee(id))
                .collect(),
        }
    }

    const READ: Function = Function::MessagesRead;
    const COUNT: Function = Function::FiguresRead;

    #[test]
    fn functions_and_scopes_are_not_united_apart() {
        let caller = caller(None, &[(&[READ], "employee:a"), (&[COUNT], "all")]);
        assert_eq!(seen(&caller, READ), "a");
        assert_eq!(seen(&caller, COUNT), "all");
        assert_eq!(seen(&caller, Function::Sql), "forbidden");
    }

    #[test]
    fn roles_with_one_function_add_up() {
        let two: &[(&[Function], &str)] =
            &[(&[READ], "employee:c"), (&[READ, COUNT], "department:10")];
        let caller = caller(None, two);
        assert_eq!(seen(&caller, READ), "abc");
        assert_eq!(seen(&caller, COUNT), "ab");
    }

    #[test]
    fn each_data_scope_holds_whom_the_manual_says() {
        for (employee, scope, expected) in [
            (Some("a"), "self", "a"),
            (Some("a"), "departments_below", "ab"),
            (Some("c"), "departments_below", "abc"),
            (Some("d"), "departments_below", "d"),
            (Some("x"), "departments_below", ""),
            (Some("x"), "self", ""),
            (Some("e"), "self", ""),
            (None, "employee:e", "e"),
            (None, "self", ""),
            (None, "departments_below", ""),
            (None, "department:10", "ab"),
            (None, "department:99", ""),
            (None, "employee:a,x", "a"),
            (None, "all", "all"),
        ] {
            let caller = caller(employee, &[(&[READ], scope)]);
            assert_eq!(seen(&caller, READ), expected, "{employee:?} {scope}");
        }
    }
}
