//! API tokens: shown once, stored as SHA-256, with a data scope and an optional expiry.
//!
//! A token is 256 random bits, so a plain hash suffices: there is nothing to guess.

use aws_lc_rs::digest::{SHA256, digest};
use rusqlite::OptionalExtension;

use super::{State, StateError};
use crate::access::DataScope;

const PREFIX: &str = "hct_";

/// A stored token, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Token {
    /// Stable id, safe to show.
    pub id: String,
    /// The name that the operator gave.
    pub name: String,
    /// Whose data it opens.
    pub scope: DataScope,
    /// UTC milliseconds.
    pub created_at_ms: i64,
    /// UTC milliseconds; never if missing.
    pub expires_at_ms: Option<i64>,
    /// UTC milliseconds.
    pub revoked_at_ms: Option<i64>,
}

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
        name: &str,
        scope: &DataScope,
        now_ms: i64,
        expires_at_ms: Option<i64>,
    ) -> Result<(Token, String), StateError> {
        let secret = new_secret();
        let token = Token {
            id: uuid::Uuid::now_v7().simple().to_string(),
            name: name.to_string(),
            scope: scope.clone(),
            created_at_ms: now_ms,
            expires_at_ms,
            revoked_at_ms: None,
        };
        let scope = serde_json::to_string(scope).expect("a scope is plain data");
        self.with(|db| {
            db.execute(
                "INSERT INTO tokens (id, name, secret_sha256, scope, created_at, expires_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                (&token.id, name, hash(&secret), scope, now_ms, expires_at_ms),
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
                    "SELECT id, name, scope, created_at, expires_at, revoked_at FROM tokens
                     WHERE secret_sha256 = ?1 AND revoked_at IS NULL
                       AND (expires_at IS NULL OR expires_at > ?2)",
                    (hash(secret), now_ms),
                    read,
                )
                .optional()?;
            found.transpose()
        })
    }

    /// All tokens, oldest first.
    pub fn tokens(&self) -> Result<Vec<Token>, StateError> {
        self.with(|db| {
            let mut statement = db.prepare(
                "SELECT id, name, scope, created_at, expires_at, revoked_at
                 FROM tokens ORDER BY created_at, id",
            )?;
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
    let scope: String = row.get(2)?;
    let Ok(scope) = serde_json::from_str(&scope) else {
        return Ok(Err(StateError::BadValue { what: "scope", id }));
    };
    Ok(Ok(Token {
        id,
        name: row.get(1)?,
        scope,
        created_at_ms: row.get(3)?,
        expires_at_ms: row.get(4)?,
        revoked_at_ms: row.get(5)?,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> (tempfile::TempDir, State) {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(&dir.path().join("state.db")).unwrap();
        (dir, state)
    }

    #[test]
    fn a_token_opens_until_it_expires_or_is_revoked() {
        let (_dir, state) = state();
        let (_, secret) = state
            .create_token("bi", &DataScope::All, 0, Some(100))
            .unwrap();
        assert_eq!(state.token_of(&secret, 99).unwrap().unwrap().name, "bi");
        assert_eq!(state.token_of(&secret, 100).unwrap(), None);
        let (token, secret) = state.create_token("x", &DataScope::All, 0, None).unwrap();
        assert!(state.revoke_token(&token.id, 5).unwrap());
        assert_eq!(state.token_of(&secret, 6).unwrap(), None);
        assert!(!state.revoke_token(&token.id, 7).unwrap());
    }

    #[test]
    fn the_secret_is_not_in_the_database() {
        let (dir, state) = state();
        let (_, secret) = state.create_token("bi", &DataScope::All, 0, None).unwrap();
        drop(state);
        for entry in std::fs::read_dir(dir.path()).unwrap() {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            assert!(!bytes.windows(secret.len()).any(|w| w == secret.as_bytes()));
        }
    }
}
