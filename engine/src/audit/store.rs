//! The file of the audit log, and how entries are put to its end.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

use super::entry::{Entry, Recorded};
use crate::state::seal;

/// Why nothing could be recorded or read.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// SQLite refused.
    #[error("audit log: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The file was written by a later build.
    #[error("the audit log has version {0}; this build knows 1")]
    Newer(i64),
    /// The file is not the one that was opened.
    #[error("the audit log was moved or replaced while it was open")]
    Moved,
    /// More is waiting than can be written.
    #[error("the audit log cannot keep up")]
    Overloaded,
    /// The thread that writes has ended.
    #[error("the audit log is closed")]
    Closed,
}

const VERSION: i64 = 1;
const SCHEMA: &str = "CREATE TABLE entries (
    id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    phase TEXT NOT NULL,
    caller_kind TEXT NOT NULL,
    caller_id TEXT NOT NULL,
    caller_name TEXT NOT NULL,
    employee TEXT,
    peer TEXT,
    request_id TEXT,
    function TEXT NOT NULL,
    method TEXT NOT NULL,
    route TEXT NOT NULL,
    path TEXT,
    query TEXT,
    body TEXT,
    status INTEGER,
    code TEXT,
    n_rows INTEGER,
    previous BLOB NOT NULL,
    hash BLOB NOT NULL
) STRICT;";

/// Device and inode of a file.
type FileId = Option<(u64, u64)>;

/// The open file.
pub(super) struct Store {
    path: PathBuf,
    connection: Connection,
    file: FileId,
    wal: FileId,
}

impl Store {
    /// Opens the file, making it if it is not there.
    pub fn open(path: &Path) -> Result<Self, AuditError> {
        let mut connection = crate::archive::sqlite::open(path)?;
        make_tables(&mut connection)?;
        seal::install_once(&mut connection)?;
        Ok(Self {
            file: id_of(path),
            wal: id_of(&wal(path)),
            connection,
            path: path.to_path_buf(),
        })
    }

    /// Puts entries to the end of the chain, all or none; they are on disk when it returns.
    pub fn append<'a>(
        &mut self,
        entries: impl Iterator<Item = &'a Entry>,
    ) -> Result<(), AuditError> {
        self.check_place()?;
        let tx = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Another process may have written since.
        let last: Option<(i64, [u8; 32])> = tx
            .query_row(
                "SELECT id, hash FROM entries ORDER BY id DESC LIMIT 1",
                (),
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .optional()?;
        let (mut id, mut previous) = last.unwrap_or((0, [0; 32]));
        {
            let mut insert = tx.prepare_cached(
                "INSERT INTO entries VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12,
                                             ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20)",
            )?;
            for entry in entries {
                id += 1;
                let made = Recorded::new(entry, id, previous);
                previous = made.hash;
                insert.execute(rusqlite::params![
                    made.id,
                    made.at_ms,
                    made.phase,
                    made.caller_kind,
                    made.caller_id,
                    made.caller_name,
                    made.employee,
                    made.peer,
                    made.request_id,
                    made.function,
                    made.method,
                    made.route,
                    made.path,
                    made.query,
                    made.body,
                    made.status,
                    made.code,
                    made.n_rows,
                    made.previous,
                    made.hash,
                ])?;
            }
        }
        tx.commit()?;
        self.check_place()
    }

    /// Moves what waits in the WAL into the file, where the chain and the seal cover it: SQLite
    /// passes over a damaged end of a WAL without a word.
    pub fn settle(&self) {
        // Another process may have written too.
        if std::fs::metadata(wal(&self.path)).is_ok_and(|wal| wal.len() == 0) {
            return;
        }
        let settled = self
            .connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |_| Ok(()));
        if let Err(error) = settled {
            tracing::debug!(%error, "the audit log's WAL waits longer");
        }
    }

    /// A file that was moved away takes what is written with it, and SQLite says nothing.
    fn check_place(&self) -> Result<(), AuditError> {
        let is_wal_there = self.wal.is_none() || id_of(&wal(&self.path)) == self.wal;
        match self.file.is_some() && id_of(&self.path) == self.file && is_wal_there {
            true => Ok(()),
            false => Err(AuditError::Moved),
        }
    }
}

fn wal(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    PathBuf::from(name)
}

fn id_of(path: &Path) -> FileId {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

fn make_tables(connection: &mut Connection) -> Result<(), AuditError> {
    let version = |connection: &Connection| {
        connection.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0))
    };
    match version(connection)? {
        VERSION => return Ok(()),
        0 => {}
        found => return Err(AuditError::Newer(found)),
    }
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have made it while this one waited.
    if version(&tx)? == 0 {
        tx.execute_batch(SCHEMA)?;
        tx.pragma_update(None, "user_version", VERSION)?;
    }
    Ok(tx.commit()?)
}
