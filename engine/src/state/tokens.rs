//! API tokens: shown once, stored as SHA-256, with roles and an optional expiry.
//!
//! A token is 256 random bits, so a plain hash suffices: there is nothing to guess.

use aws_lc_rs::digest::{SHA256, digest};
use rusqlite::OptionalExtension;

use super::{State, StateError};
use crate::access::{DataScope, Function, Grant, Role};

const PREFIX: &str = "hct_";

/// A stored token, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Token {
    /// Stable id, safe to show.
    pub id: String,
    /// The name that the operator gave.
    pub name: String,
    /// What it opens, and for whose data.
    pub roles: Vec<Role>,
    /// The employee whom its holder acts for.
    pub employee: Option<String>,
    /// UTC milliseconds.
    pub created_at_ms: i64,
    /// UTC milliseconds; never if missing.
    pub expires_at_ms: Option<i64>,
    /// UTC milliseconds.
    pub revoked_at_ms: Option<i64>,
}

impl Token {
    /// What its holder may do.
    pub fn grant(&self) -> Grant {
        Grant {
            roles: self.roles.clone(),
            employee: self.employee.clone(),
        }
    }
}

/// What a token is made with.
#[derive(Debug, Clone, Copy)]
pub struct NewToken<'a> {
    /// What it is for.
    pub name: &'a str,
    /// What its holder may do.
    pub grant: &'a Grant,
    /// UTC milliseconds; never if missing.
    pub expires_at_ms: Option<i64>,
}

/// The columns that [`read`] takes.
const COLUMNS: &str = "id, name, scope, created_at, expires_at, revoked_at, roles, employee";

/// A fresh secret, not stored anywhere.
pub fn new_secret() -> String {
    let mut bytes = [0u8; 32];
    aws_lc_rs::rand::fill(&mut bytes).expect("the operating system gives random bytes");
    let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
    format!("{PREFIX}{hex}")
}

/// SHA-256 of a secret.
pub fn hash(secret: &str) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, secret.as_bytes()).as_ref());
    out
}

impl State {
    /// Makes a token and returns its secret, which cannot be read again.
    pub fn create_token(
        &self,
        new: NewToken<'_>,
        now_ms: i64,
    ) -> Result<(Token, String), StateError> {
        let secret = new_secret();
        let token = Token {
            id: uuid::Uuid::now_v7().simple().to_string(),
            name: new.name.to_string(),
            roles: new.grant.roles.clone(),
            employee: new.grant.employee.clone(),
            created_at_ms: now_ms,
            expires_at_ms: new.expires_at_ms,
            revoked_at_ms: None,
        };
        let roles = serde_json::to_string(&token.roles).expect("roles are plain data");
        self.with(|db| {
            // `scope` is what tokens had before there were roles.
            db.execute(
                "INSERT INTO tokens
                     (id, name, secret_sha256, scope, created_at, expires_at, roles, employee)
                 VALUES (?1, ?2, ?3, '', ?4, ?5, ?6, ?7)",
                (
                    &token.id,
                    &token.name,
                    hash(&secret),
                    now_ms,
                    token.expires_at_ms,
                    roles,
                    &token.employee,
                ),
            )?;
            Ok(())
        })?;
        Ok((token, secret))
    }

    /// The token of a secret, if it is known, not expired and not revoked.
    pub fn token_of(&self, secret: &str, now_ms: i64) -> Result<Option<Token>, StateError> {
        self.with(|db| {
            let found = db
                .query_row(
                    &format!(
                        "SELECT {COLUMNS} FROM tokens
                         WHERE secret_sha256 = ?1 AND revoked_at IS NULL
                           AND (expires_at IS NULL OR expires_at > ?2)"
                    ),
                    (hash(secret), now_ms),
                    read,
                )
                .optional()?;
            found.transpose()
        })
    }

    /// Whether the token of an id opens anything now.
    pub fn is_token_live(&self, id: &str, now_ms: i64) -> Result<bool, StateError> {
        self.with(|db| {
            Ok(db.query_row(
                "SELECT EXISTS (SELECT 1 FROM tokens
                 WHERE id = ?1 AND revoked_at IS NULL
                   AND (expires_at IS NULL OR expires_at > ?2))",
                (id, now_ms),
                |row| row.get(0),
            )?)
        })
    }

    /// The token of an id, if it is known, not expired and not revoked.
    pub fn live_token(&self, id: &str, now_ms: i64) -> Result<Option<Token>, StateError> {
        self.with(|db| {
            let sql = format!(
                "SELECT {COLUMNS} FROM tokens WHERE id = ?1 AND revoked_at IS NULL
                   AND (expires_at IS NULL OR expires_at > ?2)"
            );
            let found = db.query_row(&sql, (id, now_ms), read).optional()?;
            found.transpose()
        })
    }

    /// All tokens, oldest first.
    pub fn tokens(&self) -> Result<Vec<Token>, StateError> {
        self.with(|db| {
            let sql = format!("SELECT {COLUMNS} FROM tokens ORDER BY created_at, id");
            let mut statement = db.prepare(&sql)?;
            let rows = statement.query_map((), read)?;
            rows.map(|row| row.map_err(StateError::from)?).collect()
        })
    }

    /// Revokes a token by id; false when there is no such live token.
    pub fn revoke_token(&self, id: &str, now_ms: i64) -> Result<bool, StateError> {
        self.with(|db| {
            let n = db.execute(
                "UPDATE tokens SET revoked_at = ?2 WHERE id = ?1 AND revoked_at IS NULL",
                (id, now_ms),
            )?;
            Ok(n > 0)
        })
    }
}

fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Result<Token, StateError>> {
    let id: String = row.get(0)?;
    let roles = match row.get::<_, Option<String>>(6)? {
        Some(roles) => serde_json::from_str(&roles).ok(),
        None => old_roles(&row.get::<_, String>(2)?),
    };
    let Some(roles) = roles else {
        return Ok(Err(StateError::BadValue { what: "roles", id }));
    };
    Ok(Ok(Token {
        id,
        name: row.get(1)?,
        roles,
        employee: row.get(7)?,
        created_at_ms: row.get(3)?,
        expires_at_ms: row.get(4)?,
        revoked_at_ms: row.get(5)?,
    }))
}

/// What a token of before there were roles opens: what there was then, for its scope.
fn old_roles(scope: &str) -> Option<Vec<Role>> {
    let scope: DataScope = serde_json::from_str(scope).ok()?;
    Some(vec![Role {
        functions: Function::of_old_tokens(),
        scope,
    }])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> (tempfile::TempDir, State) {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(&dir.path().join("state.db")).unwrap();
        (dir, state)
    }

    fn new(name: &str, expires_at_ms: Option<i64>) -> (Grant, String, Option<i64>) {
        (Grant::everything(), name.to_string(), expires_at_ms)
    }

    fn create(
        state: &State,
        (grant, name, expires_at_ms): (Grant, String, Option<i64>),
    ) -> (Token, String) {
        let new = NewToken {
            name: &name,
            grant: &grant,
            expires_at_ms,
        };
        state.create_token(new, 0).unwrap()
    }

    #[test]
    fn a_token_opens_until_it_expires_or_is_revoked() {
        let (_dir, state) = state();
        let (_, secret) = create(&state, new("bi", Some(100)));
        assert_eq!(state.token_of(&secret, 99).unwrap().unwrap().name, "bi");
        assert_eq!(state.token_of(&secret, 100).unwrap(), None);
        let (token, secret) = create(&state, new("x", None));
        assert!(state.revoke_token(&token.id, 5).unwrap());
        assert_eq!(state.token_of(&secret, 6).unwrap(), None);
        assert!(!state.revoke_token(&token.id, 7).unwrap());
        assert!(!state.is_token_live(&token.id, 8).unwrap());
        let (token, _) = create(&state, new("y", Some(100)));
        let lives = |at| state.is_token_live(&token.id, at).unwrap();
        assert_eq!([lives(99), lives(100)], [true, false]);
    }

    #[test]
    fn a_token_keeps_its_roles_and_its_employee() {
        let (_dir, state) = state();
        let grant = Grant {
            roles: vec![
                Role {
                    functions: [Function::MessagesRead].into(),
                    scope: DataScope::Own,
                },
                Role {
                    functions: [Function::FiguresRead].into(),
                    scope: DataScope::All,
                },
            ],
            employee: Some("li".into()),
        };
        let (_, secret) = create(&state, (grant.clone(), "scrm".into(), None));
        let found = state.token_of(&secret, 1).unwrap().unwrap();
        assert_eq!(found.grant(), grant);
        assert_eq!(state.tokens().unwrap()[0].grant(), grant);
    }

    #[test]
    fn a_token_of_before_there_were_roles_opens_what_it_opened() {
        let (_dir, state) = state();
        state
            .with(|db| {
                db.execute(
                    "INSERT INTO tokens (id, name, secret_sha256, scope, created_at)
                     VALUES ('1', 'old', ?1, '{\"departments\":[\"10\"]}', 0)",
                    [hash("hct_old")],
                )?;
                Ok(())
            })
            .unwrap();
        let found = state.token_of("hct_old", 1).unwrap().unwrap();
        let [role] = found.roles.as_slice() else {
            panic!("{found:?}");
        };
        assert_eq!(role.scope, DataScope::Departments(vec!["10".into()]));
        assert!(role.functions.contains(&Function::Sql));
        assert!(!role.functions.contains(&Function::AuditRead));
        assert!(!role.functions.contains(&Function::TokensManage));
    }

    #[test]
    fn the_secret_is_not_in_the_database() {
        let (dir, state) = state();
        let (_, secret) = create(&state, new("bi", None));
        drop(state);
        for entry in std::fs::read_dir(dir.path()).unwrap() {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            assert!(!bytes.windows(secret.len()).any(|w| w == secret.as_bytes()));
        }
    }
}
