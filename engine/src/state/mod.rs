//! What people change by hand, and when WeCom last answered, in SQLite: API tokens, the versions of
//! the rules, saved searches, the record of pulls, export jobs.
//!
//! WAL with `synchronous=FULL` (with NORMAL a power cut lost acknowledged transactions, measured).
//! One connection a process; every change is one transaction.

pub mod behaviours;
pub mod exports;
pub mod lost_media;
pub mod pulls;
pub mod rule_versions;
pub mod saved_searches;
pub mod seal;
pub mod tokens;

use std::path::Path;
use std::sync::Mutex;

use rusqlite::Connection;

/// Why the state could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// SQLite refused.
    #[error("state database: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The file was written by a later build.
    #[error("the state database has version {found}; this build knows {known}")]
    Newer {
        /// The version found.
        found: i64,
        /// The version that this build writes.
        known: i64,
    },
    /// A thread panicked while it held the connection.
    #[error("the state database is unusable after an earlier failure; restart huicun")]
    Poisoned,
    /// A rules file is wrong; nothing was changed.
    #[error("rules: {0}")]
    BadRules(String),
    /// The rules are not of the version any more that was to be changed.
    #[error("the rules are at version {version} by now")]
    RulesChanged {
        /// The version in force.
        version: i64,
    },
    /// A stored value cannot be understood.
    #[error("state database: bad {what} in token `{id}`")]
    BadValue {
        /// Which value.
        what: &'static str,
        /// In which row.
        id: String,
    },
}

/// One statement batch a version, in order; never changed once released.
const MIGRATIONS: &[&str] = &[
    "CREATE TABLE tokens (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    secret_sha256 BLOB NOT NULL UNIQUE,
    scope TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER
) STRICT;
CREATE TABLE rules (
    version INTEGER PRIMARY KEY,
    applied_at INTEGER NOT NULL,
    toml TEXT NOT NULL
) STRICT;",
    "CREATE TABLE pulls (
    source TEXT PRIMARY KEY,
    answered_at INTEGER,
    failed_at INTEGER,
    code TEXT,
    text TEXT,
    advice_zh TEXT,
    advice_en TEXT
) STRICT;
CREATE TABLE outages (
    source TEXT NOT NULL,
    from_at INTEGER NOT NULL,
    to_at INTEGER NOT NULL,
    PRIMARY KEY (source, from_at)
) STRICT;",
    "ALTER TABLE rules ADD COLUMN applied_by TEXT;
CREATE TABLE behaviour_rescans (
    id INTEGER PRIMARY KEY,
    asked_at INTEGER NOT NULL,
    asked_by TEXT,
    from_day TEXT NOT NULL,
    to_day TEXT NOT NULL,
    rules_version INTEGER NOT NULL
) STRICT;
CREATE TABLE relation_losses (
    userid TEXT NOT NULL,
    external_userid TEXT NOT NULL,
    add_time INTEGER NOT NULL,
    entered_at INTEGER NOT NULL,
    PRIMARY KEY (userid, external_userid, add_time)
) STRICT;
CREATE TABLE behaviour_reviews (
    id INTEGER PRIMARY KEY,
    behaviour_id TEXT NOT NULL,
    triggered_by TEXT NOT NULL,
    happened_at INTEGER NOT NULL,
    review TEXT NOT NULL,
    reviewer TEXT NOT NULL,
    reviewed_at INTEGER NOT NULL,
    remark TEXT
) STRICT;
CREATE INDEX behaviour_reviews_of ON behaviour_reviews (behaviour_id, id);",
    "ALTER TABLE tokens ADD COLUMN roles TEXT;
ALTER TABLE tokens ADD COLUMN employee TEXT;",
    "CREATE TABLE saved_searches (
    id TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    name TEXT NOT NULL,
    query TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX saved_searches_of ON saved_searches (owner);",
    "CREATE TABLE exports (
    id TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    caller_kind TEXT NOT NULL,
    caller_id TEXT NOT NULL,
    caller_name TEXT NOT NULL,
    employee TEXT,
    roles TEXT,
    what TEXT NOT NULL,
    format TEXT NOT NULL,
    request TEXT NOT NULL,
    messages_version INTEGER NOT NULL,
    state TEXT NOT NULL,
    n_done INTEGER NOT NULL,
    n_total INTEGER,
    reason TEXT,
    detail TEXT,
    created_at INTEGER NOT NULL,
    started_at INTEGER,
    finished_at INTEGER,
    expires_at INTEGER,
    n_attempts INTEGER NOT NULL,
    file_name TEXT NOT NULL,
    bytes INTEGER,
    sha256 TEXT,
    n_rows INTEGER,
    as_of TEXT,
    employees TEXT
) STRICT;
CREATE INDEX exports_of ON exports (owner, id);
CREATE INDEX exports_open ON exports (state, id);",
];

/// The open state.
#[derive(Debug)]
pub struct State {
    connection: Mutex<Connection>,
}

impl State {
    /// Opens the file, bringing it to this build's version.
    pub fn open(path: &Path) -> Result<Self, StateError> {
        let mut connection = crate::archive::sqlite::open(path)?;
        migrate(&mut connection)?;
        seal::install(&mut connection)?;
        Ok(Self {
            connection: Mutex::new(connection),
        })
    }

    fn with<T>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StateError>,
    ) -> Result<T, StateError> {
        let connection = self.connection.lock().map_err(|_| StateError::Poisoned)?;
        work(&connection)
    }
}

fn migrate(connection: &mut Connection) -> Result<(), StateError> {
    let tx = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let found: i64 = tx.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let known = MIGRATIONS.len() as i64;
    if found > known {
        return Err(StateError::Newer { found, known });
    }
    for statement in MIGRATIONS.iter().skip(found as usize) {
        tx.execute_batch(statement)?;
    }
    if found != known {
        tx.pragma_update(None, "user_version", known)?;
    }
    Ok(tx.commit()?)
}
