//! Whether each entry is as it was written and follows on the one before.

use std::path::Path;

use super::entry::Recorded;
use super::read::{COLUMNS, open, read};
use super::store::AuditError;

/// Faults that are told one by one.
const FAULTS_MAX: usize = 100;

/// What is wrong with the chain of entries, by entry; nothing when it is whole, or when nothing was
/// recorded yet.
pub fn check(path: &Path) -> Vec<String> {
    match faults(path) {
        Ok(faults) => faults,
        Err(error) => vec![error.to_string()],
    }
}

fn faults(path: &Path) -> Result<Vec<String>, AuditError> {
    let mut faults = Vec::new();
    let Some(connection) = open(path)? else {
        return Ok(faults);
    };
    let mut statement =
        connection.prepare(&format!("SELECT {COLUMNS} FROM entries ORDER BY id"))?;
    let mut rows = statement.query(())?;
    let (mut last_id, mut last_hash) = (0, [0; 32]);
    while let Some(row) = rows.next()? {
        if faults.len() == FAULTS_MAX {
            faults.push("there is more".into());
            break;
        }
        let entry = match read(row) {
            Ok(entry) => entry,
            Err(error) => {
                faults.push(format!("an entry after {last_id} cannot be read: {error}"));
                continue;
            }
        };
        faults.extend(fault(&entry, last_id, &last_hash));
        (last_id, last_hash) = (entry.id, entry.hash);
    }
    Ok(faults)
}

fn fault(entry: &Recorded, last_id: i64, last_hash: &[u8; 32]) -> Option<String> {
    let Recorded { id, .. } = entry;
    let first_missing = last_id + 1;
    if *id != first_missing {
        return Some(match *id - 1 {
            last if last == first_missing => format!("entry {last} is not there"),
            last => format!("entry {first_missing} to {last} are not there"),
        });
    }
    if entry.previous != *last_hash {
        return Some(format!("entry {id} does not follow on entry {last_id}"));
    }
    (entry.hashed() != entry.hash).then(|| format!("entry {id} is not as it was written"))
}
