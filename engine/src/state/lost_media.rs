//! How far media are fetched, and which are gone for good, from the media database (`media.db`),
//! where there is one.
//!
//! Read only: the database is the media fetcher's.

use rusqlite::{Connection, OpenFlags};

use super::StateError;
use crate::archive::Home;

/// Media files that cannot be fetched any more, of one source and for one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostMedia {
    /// The source.
    pub source: String,
    /// One stable word.
    pub reason: String,
    /// Files.
    pub n: u64,
    /// When the earliest and the latest of them were first sent, UTC milliseconds.
    pub times_ms: Option<(i64, i64)>,
}

/// All that are lost, by source and reason.
pub fn lost_media(home: &Home) -> Result<Vec<LostMedia>, StateError> {
    let Some(db) = open(home)? else {
        return Ok(Vec::new());
    };
    let mut statement = db.prepare(
        "SELECT source, ifnull(reason, ''), count(*), min(first_at), max(first_at)
         FROM media WHERE status = 'lost' GROUP BY source, reason ORDER BY source, reason",
    )?;
    let rows = statement.query_map((), |row| {
        let (first, last): (Option<i64>, Option<i64>) = (row.get(3)?, row.get(4)?);
        Ok(LostMedia {
            source: row.get(0)?,
            reason: row.get(1)?,
            n: row.get::<_, i64>(2)?.max(0) as u64,
            times_ms: first.zip(last),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The number of media files by source and status, such as `pending`, `stored`, `lost`.
pub fn media_counts(home: &Home) -> Result<Vec<(String, String, u64)>, StateError> {
    let Some(db) = open(home)? else {
        return Ok(Vec::new());
    };
    let mut statement = db.prepare(
        "SELECT source, status, count(*) FROM media GROUP BY source, status
         ORDER BY source, status",
    )?;
    let rows = statement.query_map((), |row| {
        let n: i64 = row.get(2)?;
        Ok((row.get(0)?, row.get(1)?, n.max(0) as u64))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn open(home: &Home) -> Result<Option<Connection>, StateError> {
    let path = home.root().join("media.db");
    if !path.is_file() {
        return Ok(None);
    }
    let db = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    db.busy_timeout(crate::archive::sqlite::PATIENCE)?;
    Ok(Some(db))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_files_are_counted_by_reason_and_without_a_database_there_are_none() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open_or_create(&dir.path().join("data")).unwrap();
        assert_eq!(lost_media(&home).unwrap(), []);
        let db = Connection::open(home.root().join("media.db")).unwrap();
        db.execute_batch(
            "CREATE TABLE media (source TEXT, status TEXT, reason TEXT, first_at INTEGER);
             INSERT INTO media VALUES ('corp', 'lost', 'sdk_10010', 5), ('corp', 'stored', NULL, 6),
                                      ('corp', 'lost', 'sdk_10010', 9);",
        )
        .unwrap();
        let found = lost_media(&home).unwrap();
        assert_eq!((found.len(), found[0].n), (1, 2));
        assert_eq!(found[0].times_ms, Some((5, 9)));
        let counts = media_counts(&home).unwrap();
        let status = |at: usize| (counts[at].1.as_str(), counts[at].2);
        assert_eq!((status(0), status(1)), (("lost", 2), ("stored", 1)));
    }
}
