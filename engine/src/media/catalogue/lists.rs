//! What is asked of `media.db` without changing it: counts, lists, the files of a message.

use rusqlite::{OptionalExtension, Row};

use super::{Catalogue, CatalogueError, words};
use crate::media::row::{Count, Filter, Kept, Listed, Status};

impl Catalogue {
    /// How many media are in which state, by source.
    pub fn counts(&self) -> Result<Vec<Count>, CatalogueError> {
        self.with(|connection| {
            let mut statement = connection.prepare(
                "SELECT source, status, reason, count(*), total(expected_size),
                        total(CASE status WHEN 'stored' THEN size ELSE n_bytes END), min(first_at)
                 FROM media GROUP BY source, status, reason ORDER BY source, status, reason",
            )?;
            let counts = statement.query_map((), |row| {
                Ok(Count {
                    source: row.get(0)?,
                    status: status_of(row, 1)?,
                    reason: row.get(2)?,
                    n_media: row.get::<_, i64>(3)? as u64,
                    n_bytes_expected: row.get::<_, f64>(4)? as u64,
                    n_bytes: row.get::<_, f64>(5)? as u64,
                    oldest_at_ms: row.get(6)?,
                })
            })?;
            counts.collect()
        })
    }

    /// Bytes that came to be stored since a moment.
    pub fn bytes_stored_since(&self, since_ms: i64) -> Result<u64, CatalogueError> {
        self.with(|connection| {
            let total = connection.query_row(
                "SELECT total(size) FROM media WHERE status = 'stored' AND changed_at >= ?1",
                [since_ms],
                |row| row.get::<_, f64>(0),
            )?;
            Ok(total as u64)
        })
    }

    /// Bytes that the store takes: each content once, and what is under way.
    pub fn bytes_kept(&self) -> Result<u64, CatalogueError> {
        self.with(|connection| {
            let total = connection.query_row(
                "SELECT (SELECT total(size) FROM (SELECT DISTINCT sha256, size FROM media
                             WHERE status = 'stored'))
                      + (SELECT total(n_bytes) FROM media WHERE status = 'fetching')",
                (),
                |row| row.get::<_, f64>(0),
            )?;
            Ok(total as u64)
        })
    }

    /// The media of a filter, one row for each message that shows one, by the order in which they
    /// were noted.
    pub fn list(&self, filter: &Filter) -> Result<Vec<Listed>, CatalogueError> {
        self.with(|connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {LISTED_COLUMNS} FROM place p JOIN media m ON m.id = p.media_id
                 WHERE (?1 IS NULL OR p.source = ?1) AND (?2 IS NULL OR p.seq = ?2)
                   AND (?3 IS NULL OR p.msgid = ?3) AND (?4 = '' OR instr(?4, m.status) > 0)
                   AND p.id > ?5
                 ORDER BY p.id LIMIT ?6"
            ))?;
            let limit = match filter.limit {
                0 => -1,
                limit => limit as i64,
            };
            let parameters = (
                &filter.source,
                filter.seq,
                &filter.msgid,
                words(&filter.status),
                filter.after,
                limit,
            );
            let rows = statement.query_map(parameters, listed_of)?;
            rows.collect()
        })
    }

    /// The media of one message, in every source that has such an id.
    pub fn of_message(&self, msgid: &str) -> Result<Vec<Listed>, CatalogueError> {
        self.with(|connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {LISTED_COLUMNS} FROM place p JOIN media m ON m.id = p.media_id
                 WHERE p.msgid = ?1 ORDER BY p.source, p.item"
            ))?;
            let rows = statement.query_map([msgid], listed_of)?;
            rows.collect()
        })
    }

    /// Stored media after a number, for a check in slices.
    pub fn stored_after(&self, id: i64, limit: usize) -> Result<Vec<Kept>, CatalogueError> {
        self.with(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT id, sha256, size FROM media WHERE id > ?1 AND status = 'stored'
                 ORDER BY id LIMIT ?2",
            )?;
            let rows = statement.query_map((id, limit as i64), |row| {
                let size: Option<i64> = row.get(2)?;
                Ok(Kept {
                    id: row.get(0)?,
                    sha256: hash_of(row, 1)?,
                    size: size.unwrap_or(0) as u64,
                })
            })?;
            rows.collect()
        })
    }

    /// Source, seq and msgid of the first message that shows a medium.
    pub fn first_message_of(
        &self,
        id: i64,
    ) -> Result<Option<(String, i64, String)>, CatalogueError> {
        self.with(|connection| {
            connection
                .prepare_cached(
                    "SELECT source, seq, msgid FROM place WHERE media_id = ?1 ORDER BY id LIMIT 1",
                )?
                .query_row([id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
                .optional()
        })
    }
}

const LISTED_COLUMNS: &str = "p.source, p.seq, p.msgid, p.item, p.at, p.kind, p.name, p.seconds,
    coalesce(m.size, m.expected_size), m.status, m.reason, m.n_bytes, m.n_attempts,
    m.next_attempt_at, m.last_error, m.sha256, m.flags, m.changed_at, p.id";

fn listed_of(row: &Row<'_>) -> rusqlite::Result<Listed> {
    Ok(Listed {
        source: row.get(0)?,
        seq: row.get(1)?,
        msgid: row.get(2)?,
        item: row.get(3)?,
        at_ms: row.get(4)?,
        kind: row.get(5)?,
        name: row.get(6)?,
        seconds: row.get(7)?,
        size: row.get(8)?,
        status: status_of(row, 9)?,
        reason: row.get(10)?,
        n_bytes: row.get::<_, i64>(11)? as u64,
        n_attempts: row.get(12)?,
        next_attempt_at_ms: row.get(13)?,
        last_error: row.get(14)?,
        sha256: hash_of(row, 15)?,
        flags: row.get(16)?,
        changed_at_ms: row.get(17)?,
        rowid: row.get(18)?,
    })
}

fn status_of(row: &Row<'_>, at: usize) -> rusqlite::Result<Status> {
    let text: String = row.get(at)?;
    text.parse().map_err(|why: String| {
        rusqlite::Error::FromSqlConversionFailure(at, rusqlite::types::Type::Text, why.into())
    })
}

fn hash_of(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<[u8; 32]>> {
    let bytes: Option<Vec<u8>> = row.get(at)?;
    Ok(bytes.and_then(|bytes| bytes.try_into().ok()))
}
