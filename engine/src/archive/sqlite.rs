//! Opening a SQLite file of the data directory: WAL, every commit on disk, and patience with other
//! processes.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, Result};

/// How long a statement waits for another process before it fails.
pub const PATIENCE: Duration = Duration::from_secs(10);
const RETRY_WAIT: Duration = Duration::from_millis(5);

/// Opens the file, making it where there is none.
pub fn open(path: &Path) -> Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(PATIENCE)?;
    let began = Instant::now();
    // The change of a new file to WAL raises a read lock to a write lock. SQLite waits for nobody
    // there (two that did would wait for each other): the second of two openers is told "locked"
    // at once, whatever its timeout.
    while let Err(error) = connection.pragma_update(None, "journal_mode", "WAL") {
        if error.sqlite_error_code() != Some(ErrorCode::DatabaseBusy) || began.elapsed() > PATIENCE
        {
            return Err(error);
        }
        std::thread::sleep(RETRY_WAIT);
    }
    connection.pragma_update(None, "synchronous", "FULL")?;
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_file_opens_for_all_who_come_at_once() {
        for _ in 0..20 {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("new.db");
            let barrier = std::sync::Barrier::new(4);
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        barrier.wait();
                        let connection = open(&path).unwrap();
                        connection
                            .execute_batch("CREATE TABLE IF NOT EXISTS t (n INTEGER)")
                            .unwrap();
                    });
                }
            });
        }
    }
}
