//! `media.db`: which media there are, which messages show them, and how far each is fetched.
//!
//! One row per source and file id in `media`, one row per message and item in `place`: a file that
//! was forwarded is fetched once. What is noted from the table and the table's version move in one
//! transaction, so a crash notes a version again and never leaves one out. WAL with
//! `synchronous=FULL`, for the reason that `state` has. Every row carries a seal (`seal`).
//!
//! All of it is derived: from the `messages` table, and from the store's list of what is in it.

mod lists;

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use aws_lc_rs::digest::{SHA256, digest};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior};

use super::row::{Again, Filter, Job, Named, Status, Stored};
use super::seal::seal;
use super::store::Receipt;
use crate::archive::Home;

/// Why the media database could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    /// SQLite refused, or the file is damaged.
    #[error("media database `{}`: {source}", path.display())]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// SQLite's own words.
        source: rusqlite::Error,
    },
    /// The file was written by a later build.
    #[error("the media database has version {found}; this build knows {known}")]
    Newer {
        /// The version found.
        found: i64,
        /// The version that this build writes.
        known: i64,
    },
    /// A thread panicked while it held the connection.
    #[error("the media database is unusable after an earlier failure; restart huicun")]
    Poisoned,
}

impl CatalogueError {
    /// The next step for the operator, if there is one.
    pub fn hint(&self) -> Option<&'static str> {
        use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
        let Self::Sqlite { source, .. } = self else {
            return None;
        };
        let is_damaged = matches!(
            source.sqlite_error_code(),
            Some(DatabaseCorrupt | NotADatabase)
        );
        is_damaged.then_some(
            "stop what uses it, delete media.db, media.db-wal and media.db-shm, and run `huicun \
             media fetch`: it is filled again from the messages and from the list in the store",
        )
    }
}

/// One statement batch a version, in order; never changed once released.
const MIGRATIONS: &[&str] = &["CREATE TABLE media (
    id INTEGER PRIMARY KEY,
    source TEXT NOT NULL,
    file_key BLOB NOT NULL,
    file_id TEXT NOT NULL,
    first_at INTEGER NOT NULL,
    md5 TEXT,
    expected_size INTEGER,
    status TEXT NOT NULL,
    reason TEXT,
    next_index TEXT NOT NULL,
    n_bytes INTEGER NOT NULL,
    n_attempts INTEGER NOT NULL,
    n_crashes INTEGER NOT NULL,
    n_mismatches INTEGER NOT NULL,
    next_attempt_at INTEGER NOT NULL,
    last_error TEXT,
    sha256 BLOB,
    size INTEGER,
    flags TEXT NOT NULL,
    changed_at INTEGER NOT NULL,
    seal BLOB,
    UNIQUE (source, file_key)
) STRICT;
CREATE INDEX media_by_status ON media (source, status, next_attempt_at);
CREATE TABLE place (
    id INTEGER PRIMARY KEY,
    msgid TEXT NOT NULL,
    source TEXT NOT NULL,
    item INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    name TEXT,
    seconds INTEGER,
    media_id INTEGER NOT NULL,
    seal BLOB,
    UNIQUE (msgid, source, item)
) STRICT;
CREATE INDEX place_by_media ON place (media_id);
CREATE TABLE mark (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    value TEXT NOT NULL,
    seal BLOB
) STRICT;"];

/// The tables whose rows are sealed.
pub(super) const TABLES: [&str; 3] = ["media", "place", "mark"];

/// The open database.
pub struct Catalogue {
    connection: Mutex<Connection>,
    path: PathBuf,
}

impl Catalogue {
    /// Opens the database of a data directory, making it where there is none.
    pub fn open(home: &Home) -> Result<Self, CatalogueError> {
        Self::open_at(&home.media_state())
    }

    /// Opens the database; `None` where there is none yet.
    pub fn open_existing(home: &Home) -> Result<Option<Self>, CatalogueError> {
        let path = home.media_state();
        match path.is_file() {
            true => Self::open_at(&path).map(Some),
            false => Ok(None),
        }
    }

    fn open_at(path: &Path) -> Result<Self, CatalogueError> {
        let mut connection = crate::archive::sqlite::open(path).map_err(sqlite(path))?;
        migrate(&mut connection, path)?;
        Ok(Self {
            connection: Mutex::new(connection),
            path: path.to_path_buf(),
        })
    }

    pub(super) fn with<T>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T>,
    ) -> Result<T, CatalogueError> {
        let mut connection = self
            .connection
            .lock()
            .map_err(|_| CatalogueError::Poisoned)?;
        work(&mut connection).map_err(sqlite(&self.path))
    }

    fn change<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, CatalogueError> {
        self.with(|connection| {
            let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let done = work(&tx)?;
            tx.commit()?;
            Ok(done)
        })
    }

    /// The version of `messages` up to which media are noted; 0 at the start.
    pub fn covered(&self) -> Result<u64, CatalogueError> {
        let value = self.mark("version")?;
        Ok(value.and_then(|text| text.parse().ok()).unwrap_or(0))
    }

    /// Notes media and, in the same transaction, the version that they complete (none while more
    /// of it is to come). What is known already stays as it is. A medium that `received` finds in
    /// the store is stored at once. Returns how many media are new.
    pub fn note(
        &self,
        named: &[Named],
        version: Option<u64>,
        now_ms: i64,
        mut received: impl FnMut(&str, &[u8; 32]) -> Option<Receipt>,
    ) -> Result<u64, CatalogueError> {
        self.change(|tx| {
            let mut n_new = 0;
            for named in named {
                n_new += u64::from(note_one(tx, named, now_ms, &mut received)?);
            }
            if let Some(version) = version {
                set_mark(tx, "version", &version.to_string())?;
            }
            Ok(n_new)
        })
    }

    /// Media of a source whose turn has come, at most `limit`: those whose five days end soonest
    /// first, those whose five days are over last.
    pub fn due(
        &self,
        source: &str,
        now_ms: i64,
        fresh_since_ms: i64,
        limit: usize,
    ) -> Result<Vec<Job>, CatalogueError> {
        self.with(|connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {JOB_COLUMNS} FROM media
                 WHERE source = ?1 AND status IN ('pending', 'fetching') AND next_attempt_at <= ?2
                 ORDER BY first_at < ?3, first_at, id LIMIT ?4"
            ))?;
            let jobs =
                statement.query_map((source, now_ms, fresh_since_ms, limit as i64), job_of)?;
            jobs.collect()
        })
    }

    /// One medium that is still to be fetched; `None` when it is stored or lost by now.
    pub fn job(&self, id: i64) -> Result<Option<Job>, CatalogueError> {
        self.with(|connection| {
            connection
                .prepare_cached(&format!(
                    "SELECT {JOB_COLUMNS} FROM media
                     WHERE id = ?1 AND status IN ('pending', 'fetching')"
                ))?
                .query_row([id], job_of)
                .optional()
        })
    }

    /// When the next attempt at any medium of a source is due; `None` when nothing is to be
    /// fetched.
    pub fn next_attempt_at(&self, source: &str) -> Result<Option<i64>, CatalogueError> {
        self.with(|connection| {
            connection
                .prepare_cached(
                    "SELECT min(next_attempt_at) FROM media
                     WHERE source = ?1 AND status IN ('pending', 'fetching')",
                )?
                .query_row([source], |row| row.get(0))
        })
    }

    /// A chunk is on disk: what came so far, and what to ask for next.
    pub fn progress(
        &self,
        id: i64,
        next_index: &str,
        n_bytes: u64,
        now_ms: i64,
    ) -> Result<(), CatalogueError> {
        self.change(|tx| {
            tx.prepare_cached(
                "UPDATE media SET status = 'fetching', next_index = ?2, n_bytes = ?3,
                     n_attempts = 0, changed_at = ?4 WHERE id = ?1",
            )?
            .execute((id, next_index, n_bytes as i64, now_ms))?;
            seal(tx, "media", id)
        })
    }

    /// A failure that is tried again.
    pub fn again(&self, id: i64, again: &Again, now_ms: i64) -> Result<(), CatalogueError> {
        self.change(|tx| {
            tx.prepare_cached(
                "UPDATE media SET next_attempt_at = ?2, last_error = ?3, n_attempts = ?4,
                     n_crashes = ?5, n_mismatches = ?6, changed_at = ?7 WHERE id = ?1",
            )?
            .execute((
                id,
                again.at_ms,
                &again.error,
                again.n_attempts,
                again.n_crashes,
                again.n_mismatches,
                now_ms,
            ))?;
            if again.from_start {
                tx.execute(
                    "UPDATE media SET status = 'pending', next_index = '', n_bytes = 0
                     WHERE id = ?1",
                    [id],
                )?;
            }
            seal(tx, "media", id)
        })
    }

    /// A medium is in the store.
    pub fn stored(&self, id: i64, stored: &Stored, now_ms: i64) -> Result<(), CatalogueError> {
        self.change(|tx| set_stored(tx, id, stored, now_ms))
    }

    /// A medium is given up.
    pub fn lost(
        &self,
        id: i64,
        reason: &str,
        error: &str,
        now_ms: i64,
    ) -> Result<(), CatalogueError> {
        self.change(|tx| {
            tx.prepare_cached(
                "UPDATE media SET status = 'lost', reason = ?2, last_error = ?3, next_index = '',
                     n_bytes = 0, changed_at = ?4 WHERE id = ?1",
            )?
            .execute((id, reason, error, now_ms))?;
            seal(tx, "media", id)
        })
    }

    /// Lets the media of a filter be tried again at once, from the start; stored ones only when
    /// the filter names that state. Returns how many.
    pub fn retry(&self, filter: &Filter, now_ms: i64) -> Result<u64, CatalogueError> {
        self.change(|tx| {
            let mut statement = tx.prepare(
                "SELECT DISTINCT m.id FROM media m JOIN place p ON p.media_id = m.id
                 WHERE (?1 IS NULL OR p.source = ?1) AND (?2 IS NULL OR p.seq = ?2)
                   AND (?3 IS NULL OR p.msgid = ?3) AND instr(?4, m.status) > 0",
            )?;
            let status = match filter.status.as_slice() {
                [] => "lost,pending,fetching".to_string(),
                some => words(some),
            };
            let ids = statement
                .query_map((&filter.source, filter.seq, &filter.msgid, status), |row| {
                    row.get::<_, i64>(0)
                })?
                .collect::<rusqlite::Result<Vec<i64>>>()?;
            for id in &ids {
                // What is under way keeps what it has; it is only no longer waited for.
                tx.execute(
                    "UPDATE media SET reason = NULL, n_attempts = 0, n_crashes = 0,
                         n_mismatches = 0, next_attempt_at = 0, changed_at = ?2,
                         last_error = CASE status WHEN 'lost' THEN NULL ELSE last_error END,
                         n_bytes = CASE status WHEN 'fetching' THEN n_bytes ELSE 0 END,
                         next_index = CASE status WHEN 'fetching' THEN next_index ELSE '' END,
                         sha256 = NULL, size = NULL, flags = '',
                         status = CASE status WHEN 'fetching' THEN 'fetching' ELSE 'pending' END
                     WHERE id = ?1",
                    (id, now_ms),
                )?;
                seal(tx, "media", *id)?;
            }
            Ok(ids.len() as u64)
        })
    }

    /// A remark kept beside the rows, such as why fetching pauses.
    pub fn mark(&self, name: &str) -> Result<Option<String>, CatalogueError> {
        self.with(|connection| {
            connection
                .prepare_cached("SELECT value FROM mark WHERE name = ?1")?
                .query_row([name], |row| row.get(0))
                .optional()
        })
    }

    /// Keeps a remark.
    pub fn set_mark(&self, name: &str, value: &str) -> Result<(), CatalogueError> {
        self.change(|tx| set_mark(tx, name, value))
    }
}

/// The key of a medium: SHA-256 of its file id.
pub fn file_key(file_id: &str) -> [u8; 32] {
    let mut key = [0; 32];
    key.copy_from_slice(digest(&SHA256, file_id.as_bytes()).as_ref());
    key
}

fn sqlite(path: &Path) -> impl Fn(rusqlite::Error) -> CatalogueError + use<> {
    let path = path.to_path_buf();
    move |source| CatalogueError::Sqlite {
        path: path.clone(),
        source,
    }
}

fn migrate(connection: &mut Connection, path: &Path) -> Result<(), CatalogueError> {
    let known = MIGRATIONS.len() as i64;
    let found: i64 = connection
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(sqlite(path))?;
    if found > known {
        return Err(CatalogueError::Newer { found, known });
    }
    if found == known {
        return Ok(());
    }
    let migrated = (|| -> rusqlite::Result<()> {
        let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Another process may have been quicker.
        let found: i64 = tx.pragma_query_value(None, "user_version", |row| row.get(0))?;
        for statement in MIGRATIONS.iter().skip(found as usize) {
            tx.execute_batch(statement)?;
        }
        tx.pragma_update(None, "user_version", known)?;
        tx.commit()
    })();
    migrated.map_err(sqlite(path))
}

fn note_one(
    tx: &Transaction<'_>,
    named: &Named,
    now_ms: i64,
    received: &mut impl FnMut(&str, &[u8; 32]) -> Option<Receipt>,
) -> rusqlite::Result<bool> {
    let key = file_key(&named.file_id);
    let known: Option<i64> = tx
        .prepare_cached("SELECT id FROM media WHERE source = ?1 AND file_key = ?2")?
        .query_row((&named.source, &key[..]), |row| row.get(0))
        .optional()?;
    let id = match known {
        Some(id) => id,
        None => {
            tx.prepare_cached(
                "INSERT INTO media (source, file_key, file_id, first_at, md5, expected_size,
                     status, next_index, n_bytes, n_attempts, n_crashes, n_mismatches,
                     next_attempt_at, flags, changed_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'pending', '', 0, 0, 0, 0, 0, '', ?7)",
            )?
            .execute((
                &named.source,
                &key[..],
                &named.file_id,
                named.since_ms,
                &named.md5,
                named.size,
                now_ms,
            ))?;
            let id = tx.last_insert_rowid();
            match received(&named.source, &key) {
                Some(receipt) => set_stored(tx, id, &receipt.stored(), receipt.at_ms)?,
                None => seal(tx, "media", id)?,
            }
            id
        }
    };
    let is_new_place = tx
        .prepare_cached(
            "INSERT OR IGNORE INTO place (msgid, source, item, seq, at, kind, name, seconds,
                 media_id) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute((
            &named.msgid,
            &named.source,
            named.item,
            named.seq,
            named.at_ms,
            &named.kind,
            &named.name,
            named.seconds,
            id,
        ))?;
    if is_new_place > 0 {
        seal(tx, "place", tx.last_insert_rowid())?;
    }
    Ok(known.is_none())
}

fn set_stored(tx: &Transaction<'_>, id: i64, stored: &Stored, now_ms: i64) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "UPDATE media SET status = 'stored', reason = NULL, last_error = NULL, next_index = '',
             n_bytes = 0, sha256 = ?2, size = ?3, flags = ?4, changed_at = ?5 WHERE id = ?1",
    )?
    .execute((
        id,
        &stored.sha256[..],
        stored.size as i64,
        &stored.flags,
        now_ms,
    ))?;
    seal(tx, "media", id)
}

fn set_mark(tx: &Transaction<'_>, name: &str, value: &str) -> rusqlite::Result<()> {
    let id: i64 = tx
        .prepare_cached(
            "INSERT INTO mark (name, value) VALUES (?1, ?2)
             ON CONFLICT (name) DO UPDATE SET value = excluded.value RETURNING id",
        )?
        .query_row((name, value), |row| row.get(0))?;
    seal(tx, "mark", id)
}

/// States as one text in which `instr` finds them: no word is part of another.
fn words(states: &[Status]) -> String {
    let words: Vec<&str> = states.iter().map(|status| status.as_str()).collect();
    words.join(",")
}

const JOB_COLUMNS: &str = "id, source, file_id, first_at, md5, expected_size, next_index, n_bytes,
    n_attempts, n_crashes, n_mismatches, last_error";

fn job_of(row: &Row<'_>) -> rusqlite::Result<Job> {
    Ok(Job {
        id: row.get(0)?,
        source: row.get(1)?,
        file_id: row.get(2)?,
        first_at_ms: row.get(3)?,
        md5: row.get(4)?,
        size: row.get(5)?,
        next_index: row.get(6)?,
        n_bytes: row.get::<_, i64>(7)? as u64,
        n_attempts: row.get(8)?,
        n_crashes: row.get(9)?,
        n_mismatches: row.get(10)?,
        last_error: row.get(11)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(seq: i64, file_id: &str) -> Named {
        Named {
            source: "corp".into(),
            seq,
            msgid: format!("m{seq}"),
            item: 0,
            at_ms: 1_000 + seq,
            since_ms: 1_000 + seq,
            kind: "image".into(),
            name: None,
            seconds: None,
            file_id: file_id.into(),
            md5: None,
            size: Some(7),
        }
    }

    fn catalogue() -> (tempfile::TempDir, Catalogue) {
        let dir = tempfile::tempdir().unwrap();
        let catalogue = Catalogue::open_at(&dir.path().join("media.db")).unwrap();
        (dir, catalogue)
    }

    fn note(catalogue: &Catalogue, named: &[Named], version: u64) -> u64 {
        catalogue
            .note(named, Some(version), 5, |_, _| None)
            .unwrap()
    }

    #[test]
    fn a_file_that_two_messages_show_is_fetched_once() {
        let (_dir, catalogue) = catalogue();
        assert_eq!(note(&catalogue, &[named(1, "A"), named(2, "A")], 3), 1);
        assert_eq!(note(&catalogue, &[named(1, "A"), named(2, "A")], 3), 0);
        assert_eq!(catalogue.covered().unwrap(), 3);
        assert_eq!(catalogue.due("corp", 9, 0, 10).unwrap().len(), 1);
        assert_eq!(catalogue.list(&Filter::default()).unwrap().len(), 2);
    }

    #[test]
    fn those_whose_days_end_soonest_come_first_and_those_past_them_last() {
        let (_dir, catalogue) = catalogue();
        note(
            &catalogue,
            &[named(3, "C"), named(1, "A"), named(2, "B")],
            1,
        );
        let order = |fresh_since: i64| -> Vec<String> {
            let due = catalogue.due("corp", 9, fresh_since, 10).unwrap();
            due.into_iter().map(|job| job.file_id).collect()
        };
        assert_eq!(order(0), ["A", "B", "C"]);
        assert_eq!(order(1_002), ["B", "C", "A"]);
    }

    #[test]
    fn a_waiting_medium_comes_when_its_time_has_come_or_somebody_asks() {
        let (_dir, catalogue) = catalogue();
        note(&catalogue, &[named(1, "A")], 1);
        let again = Again {
            at_ms: 100,
            error: "sdk_10001".into(),
            from_start: false,
            n_attempts: 1,
            n_crashes: 0,
            n_mismatches: 0,
        };
        catalogue.progress(1, "Range:bytes=5-6", 5, 9).unwrap();
        catalogue.again(1, &again, 9).unwrap();
        assert!(catalogue.due("corp", 99, 0, 10).unwrap().is_empty());
        assert_eq!(catalogue.next_attempt_at("corp").unwrap(), Some(100));
        assert_eq!(catalogue.retry(&Filter::default(), 10).unwrap(), 1);
        let job = catalogue.due("corp", 99, 0, 10).unwrap().remove(0);
        assert_eq!(
            (job.n_bytes, job.next_index.as_str()),
            (5, "Range:bytes=5-6")
        );
    }

    #[test]
    fn a_lost_medium_is_not_tried_again_until_somebody_asks() {
        let (_dir, catalogue) = catalogue();
        note(&catalogue, &[named(1, "A")], 1);
        catalogue.lost(1, "sdk_10010", "sdk_10010", 9).unwrap();
        assert!(catalogue.due("corp", 99, 0, 10).unwrap().is_empty());
        let listed = catalogue.list(&Filter::default()).unwrap().remove(0);
        assert_eq!(listed.reason.as_deref(), Some("sdk_10010"));
        let other = Filter {
            msgid: Some("m2".into()),
            ..Filter::default()
        };
        assert_eq!(catalogue.retry(&other, 10).unwrap(), 0);
        let this = Filter {
            seq: Some(1),
            ..Filter::default()
        };
        assert_eq!(catalogue.retry(&this, 10).unwrap(), 1);
        assert_eq!(catalogue.due("corp", 99, 0, 10).unwrap().len(), 1);
    }
}
