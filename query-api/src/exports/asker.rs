//! Whose data an export may hold: asked anew for every batch, from what says who asked and from
//! the directory of now. A job keeps no scope as a right.

use std::sync::Arc;

use huicun_engine::access::{Caller, Function, Grant, Identity, Role, Scope};
use huicun_engine::directory::org::OrgAt;
use huicun_engine::state::State;
use huicun_engine::state::exports::Owner;

use super::error::ExportError;
use crate::queries::Archive;
use crate::queries::archive::now_ms;

/// Who asks for an export.
#[derive(Clone)]
pub enum Asker {
    /// The operator at the command line.
    Operator,
    /// The owner of a job.
    Owner {
        /// Who he is.
        owner: Owner,
        /// Where tokens are looked up.
        state: Arc<State>,
        /// Who else may enter.
        doors: Doors,
    },
}

/// What a server opens to others than tokens.
#[derive(Debug, Clone, Default)]
pub struct Doors {
    /// Whether it has a token of this run, whose holder is the operator.
    pub has_one_time: bool,
    /// The roles that JWTs may have, by the configuration of now; none where there are no JWTs.
    pub jwt_roles: Option<Vec<Role>>,
}

/// An owner as jobs keep him.
pub fn owner_of(known: &Caller) -> Owner {
    let identity = &known.identity;
    let is_jwt = identity.kind == "jwt";
    Owner {
        kind: identity.kind.into(),
        id: identity.id.clone(),
        name: identity.name.clone(),
        employee: known.grant().employee.clone(),
        roles: is_jwt
            .then(|| serde_json::to_string(&known.grant().roles).expect("roles are plain data")),
    }
}

/// How the audit log names an owner.
pub fn identity_of(owner: &Owner) -> Identity {
    let kind = match owner.kind.as_str() {
        "jwt" => "jwt",
        "one_time" => "one_time",
        _ => "token",
    };
    Identity {
        kind,
        id: owner.id.clone(),
        name: owner.name.clone(),
    }
}

impl Asker {
    /// Whether he may still ask at all: cheap enough to be looked up several times a second.
    ///
    /// # Errors
    /// [`ExportError::CallerGone`].
    pub fn check(&self) -> Result<(), ExportError> {
        match self {
            Self::Operator => Ok(()),
            Self::Owner {
                owner,
                state,
                doors,
            } => grant_of(owner, state, doors).map(drop),
        }
    }

    /// Whose data he may see now with both functions.
    ///
    /// # Errors
    /// [`ExportError::CallerGone`] and [`ExportError::Forbidden`] where he may not any more.
    pub async fn scope(&self, archive: &Archive, function: Function) -> Result<Scope, ExportError> {
        let Self::Owner {
            owner,
            state,
            doors,
        } = self
        else {
            return Ok(Scope::local_operator());
        };
        let grant = grant_of(owner, state, doors)?;
        let directory = archive.directory().await?;
        let org = OrgAt {
            directory: &directory,
            at_ms: now_ms(),
        };
        let caller = Caller::new(identity_of(owner), grant, &org);
        both(&caller, function)
    }
}

/// What a caller may see with a function and with exports.
///
/// # Errors
/// [`ExportError::Forbidden`]: he lacks one of them.
pub fn both(caller: &Caller, function: Function) -> Result<Scope, ExportError> {
    let scope = |function| caller.scope(function).map_err(|_| ExportError::Forbidden);
    Ok(scope(Function::Exports)?.and(&scope(function)?))
}

fn grant_of(owner: &Owner, state: &State, doors: &Doors) -> Result<Grant, ExportError> {
    match owner.kind.as_str() {
        "token" => {
            let token = state.live_token(&owner.id, now_ms())?;
            token.map(|token| token.grant())
        }
        "one_time" => doors.has_one_time.then(Grant::everything),
        "jwt" => of_jwt(owner, doors),
        _ => None,
    }
    .ok_or(ExportError::CallerGone)
}

/// A JWT has long expired when its job runs, so what it opened is kept. Of that a role counts only
/// while the configuration has it as it was.
fn of_jwt(owner: &Owner, doors: &Doors) -> Option<Grant> {
    let known = doors.jwt_roles.as_ref()?;
    let mut roles: Vec<Role> = serde_json::from_str(owner.roles.as_deref()?).ok()?;
    roles.retain(|role| known.contains(role));
    (!roles.is_empty()).then(|| Grant {
        roles,
        employee: owner.employee.clone(),
    })
}

/// The employees of a scope as a finished job notes them.
pub(super) fn noted(scope: &Scope) -> String {
    let sorted = scope.employees().map(|ids| {
        let mut ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        ids.sort_unstable();
        ids
    });
    serde_json::to_string(&sorted).expect("texts are plain data")
}

/// Whether a scope sees all whose data may be in a file.
pub fn still_sees(scope: &Scope, noted: &str) -> bool {
    match serde_json::from_str::<Option<Vec<String>>>(noted) {
        Ok(Some(ids)) => ids.iter().all(|id| scope.sees_employee(id)),
        // Everybody's, or nobody knows.
        Ok(None) | Err(_) => scope.is_all(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(functions: &[Function], scope: &str) -> Role {
        Role {
            functions: functions.iter().copied().collect(),
            scope: scope.parse().unwrap(),
        }
    }

    #[test]
    fn a_role_of_a_jwt_counts_while_the_configuration_has_it() {
        let kept = role(&[Function::Exports], "self");
        let owner = Owner {
            kind: "jwt".into(),
            id: "s".into(),
            name: "li".into(),
            employee: Some("li".into()),
            roles: serde_json::to_string(&[&kept]).ok(),
        };
        let doors = |roles| Doors {
            has_one_time: false,
            jwt_roles: roles,
        };
        let granted = of_jwt(&owner, &doors(Some(vec![kept.clone()]))).unwrap();
        assert_eq!(granted.employee.as_deref(), Some("li"));
        let wider = role(&[Function::Exports], "all");
        assert!(of_jwt(&owner, &doors(Some(vec![wider]))).is_none());
        assert!(of_jwt(&owner, &doors(None)).is_none());
    }

    #[test]
    fn a_file_of_everybodys_data_is_for_who_sees_everybody() {
        assert!(still_sees(&Scope::local_operator(), "null"));
        assert!(still_sees(&Scope::local_operator(), r#"["li"]"#));
        struct Nobody;
        impl huicun_engine::access::Org for Nobody {
            fn is_employee(&self, id: &str) -> bool {
                id == "li"
            }
            fn may_act(&self, _: &str) -> bool {
                false
            }
            fn employees_below(&self, _: &str) -> Vec<String> {
                Vec::new()
            }
            fn departments_of(&self, _: &str) -> Vec<String> {
                Vec::new()
            }
        }
        let grant = Grant {
            roles: vec![
                role(&[Function::Exports], "all"),
                role(&[Function::MessagesSearch], "employee:li,gone"),
            ],
            employee: None,
        };
        let identity = Identity {
            kind: "token",
            id: "1".into(),
            name: String::new(),
        };
        let caller = Caller::new(identity, grant, &Nobody);
        let scope = both(&caller, Function::MessagesSearch).unwrap();
        assert_eq!(noted(&scope), r#"["li"]"#);
        assert!(still_sees(&scope, r#"["li"]"#));
        assert!(!still_sees(&scope, r#"["li","wang"]"#));
        assert!(!still_sees(&scope, "null"));
        assert!(both(&caller, Function::MediaRead).is_err());
    }
}
