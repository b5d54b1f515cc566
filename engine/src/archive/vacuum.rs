//! Vacuum (清理): deletes what no version that anybody still reads needs.
//!
//! That is: data files that are out of the table for longer than the retention, leftovers of
//! writes that were killed, and log entries behind a checkpoint where nothing else needs them. A
//! reader keeps the files of the version that it opened, so the retention must outlast the longest
//! question; less than [`KEEP_MIN`] is refused. Nothing that is live is ever deleted.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::compact::lock_rewrite;
use super::delta::{Table, TableError};
use super::home::{Home, HomeError};
use super::seal::CHECKPOINT_SEALS;
use super::verify::log::{Entry, entries};

/// The shortest retention: no question and no index lags behind for as long.
pub const KEEP_MIN: Duration = Duration::from_secs(86_400);
/// The longest, ten years: more is a slip of the hand.
pub const KEEP_MAX: Duration = Duration::from_secs(3_660 * 86_400);
/// The usual one, which is Delta's own.
pub const KEEP_USUAL: Duration = Duration::from_secs(7 * 86_400);
/// Below so many deletable log entries a new checkpoint is not worth its bytes.
const ENTRIES_WORTH_A_CHECKPOINT: usize = 50;

/// What was deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Vacuumed {
    /// Data files and leftovers.
    pub n_files: u64,
    /// Their bytes.
    pub n_bytes: u64,
    /// Log entries and checkpoints behind another checkpoint.
    pub n_log_files: u64,
}

/// Why a vacuum stopped. Trying again goes on.
#[derive(Debug, thiserror::Error)]
pub enum VacuumError {
    /// A retention that would hurt readers, or none.
    #[error("a retention of {} h is outside of 1 to 3660 days", .0.as_secs() / 3600)]
    Keep(Duration),
    /// The data directory cannot be used.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// A table could not be read.
    #[error(transparent)]
    Table(#[from] TableError),
    /// A file could not be listed or deleted.
    #[error("cannot clean up `{}`: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The operating system's answer.
        source: std::io::Error,
    },
}

/// Deletes what has been out of every table for `keep` at `now_ms`. `entries_from` tells for a
/// table from which version on its log entries are needed by others; `None` keeps all.
///
/// # Errors
/// [`VacuumError::Keep`] before anything is touched.
pub async fn vacuum(
    home: &Home,
    keep: Duration,
    now_ms: i64,
    entries_from: impl Fn(&str) -> Option<u64>,
) -> Result<Vacuumed, VacuumError> {
    if !(KEEP_MIN..=KEEP_MAX).contains(&keep) {
        return Err(VacuumError::Keep(keep));
    }
    let _lock = lock_rewrite(home, "a vacuum").await?;
    let mut done = Vacuumed::default();
    let dead_before = now_ms - keep.as_millis() as i64;
    for name in home.tables().map_err(|source| VacuumError::Io {
        path: home.root().to_path_buf(),
        source,
    })? {
        let Some(table) = Table::open_any(&home.table(&name)).await? else {
            continue;
        };
        let sweep = Sweep {
            folder: home.table(&name),
            dead_before,
            done: &mut done,
        };
        sweep.table(&table, entries_from(&name)).await?;
    }
    Ok(done)
}

/// Deletes of one table what has been out of it since before `dead_before_ms`, and its log entries
/// before `entries_from` that are as old. For tables that are derived: nobody else needs them.
///
/// # Errors
/// What cannot be read or deleted; what was deleted stays so.
pub async fn sweep_table(
    table: &Table,
    dead_before_ms: i64,
    entries_from: u64,
) -> Result<Vacuumed, VacuumError> {
    let mut done = Vacuumed::default();
    let sweep = Sweep {
        folder: table.folder().to_path_buf(),
        dead_before: dead_before_ms,
        done: &mut done,
    };
    sweep.table(table, Some(entries_from)).await?;
    Ok(done)
}

struct Sweep<'a> {
    folder: PathBuf,
    /// What was needed last before this instant is deleted.
    dead_before: i64,
    done: &'a mut Vacuumed,
}

impl Sweep<'_> {
    async fn table(mut self, table: &Table, entries_from: Option<u64>) -> Result<(), VacuumError> {
        let log = self.folder.join("_delta_log");
        let live: HashSet<PathBuf> = table
            .files()
            .iter()
            .map(|file| self.folder.join(file))
            .collect();
        let removed = self.removal_times(&log)?;
        let mut found = Vec::new();
        list(&self.folder, &mut found).map_err(io(&self.folder))?;
        for file in found {
            let is_log = file.parent() == Some(&log);
            let is_dead = if is_leftover(&file) {
                true
            } else if is_log || live.contains(&file) {
                false
            } else {
                file.extension().is_some_and(|ending| ending == "parquet")
            };
            if !is_dead {
                continue;
            }
            let last_needed = match removed.get(&file) {
                Some(at) => *at,
                None => match modified_ms(&file).map_err(io(&file))? {
                    Some(at) => at,
                    // A pull beside us has given what it wrote its own name meanwhile.
                    None => continue,
                },
            };
            if last_needed < self.dead_before {
                self.delete(&file)?;
            }
        }
        if let Some(from) = entries_from {
            self.log(table, &log, from).await?;
        }
        self.seals(&log)
    }

    /// When files were taken out of the table, as far as the log still tells.
    fn removal_times(&self, log: &Path) -> Result<HashMap<PathBuf, i64>, VacuumError> {
        let mut times = HashMap::new();
        for entry in entries(log).map_err(io(log))? {
            let bytes = std::fs::read(&entry.file).map_err(io(&entry.file))?;
            let Ok(actions) = Entry::parse(&bytes) else {
                // What cannot be read says nothing; its files are judged by their age.
                continue;
            };
            for remove in actions.removed {
                let at = remove.deletion_timestamp.unwrap_or(i64::MAX);
                times.insert(self.folder.join(remove.path), at);
            }
        }
        Ok(times)
    }

    /// Deletes log entries before `from` that are old and behind a checkpoint, making one first.
    async fn log(&mut self, table: &Table, log: &Path, from: u64) -> Result<(), VacuumError> {
        let is_old = |file: &Path| {
            let modified = modified_ms(file).ok().flatten();
            modified.is_some_and(|at| at < self.dead_before)
        };
        let newest = table.version();
        let n_deletable = entries(log)
            .map_err(io(log))?
            .iter()
            .filter(|entry| entry.version < from.min(newest) && is_old(&entry.file))
            .count();
        if n_deletable < ENTRIES_WORTH_A_CHECKPOINT {
            return Ok(());
        }
        table.checkpoint().await?;
        let checkpoint = format!("{newest:020}.checkpoint.parquet");
        if !log.join(&checkpoint).is_file() {
            return Ok(());
        }
        let mut deletable: Vec<PathBuf> = entries(log)
            .map_err(io(log))?
            .into_iter()
            .filter(|entry| entry.version < from.min(newest) && is_old(&entry.file))
            .map(|entry| entry.file)
            .collect();
        let mut found = Vec::new();
        list(log, &mut found).map_err(io(log))?;
        deletable.extend(found.into_iter().filter(|file| {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            name.contains(".checkpoint.") && *name < *checkpoint && is_old(file)
        }));
        for file in deletable {
            std::fs::remove_file(&file).map_err(io(&file))?;
            self.done.n_log_files += 1;
        }
        Ok(())
    }

    /// Deletes the seals of checkpoints that are gone.
    fn seals(&mut self, log: &Path) -> Result<(), VacuumError> {
        let folder = self.folder.join(CHECKPOINT_SEALS);
        if !folder.is_dir() {
            return Ok(());
        }
        let mut found = Vec::new();
        list(&folder, &mut found).map_err(io(&folder))?;
        for seal in found {
            let name = seal.file_name().unwrap_or_default().to_string_lossy();
            let Some((checkpoint, _)) = name.rsplit_once('.') else {
                continue;
            };
            let modified = modified_ms(&seal).map_err(io(&seal))?;
            let is_old = modified.is_some_and(|at| at < self.dead_before);
            if is_old && !log.join(checkpoint).exists() {
                std::fs::remove_file(&seal).map_err(io(&seal))?;
            }
        }
        Ok(())
    }

    fn delete(&mut self, file: &Path) -> Result<(), VacuumError> {
        let n_bytes = std::fs::metadata(file).map_or(0, |m| m.len());
        std::fs::remove_file(file).map_err(io(file))?;
        self.done.n_files += 1;
        self.done.n_bytes += n_bytes;
        Ok(())
    }
}

/// Whether a name is one that a write was given before its own (`name#digits`).
fn is_leftover(file: &Path) -> bool {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    name.rsplit_once('#')
        .is_some_and(|(_, digits)| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
}

/// All files below a folder.
pub(super) fn list(folder: &Path, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            list(&entry.path(), found)?;
        } else {
            found.push(entry.path());
        }
    }
    Ok(())
}

/// When a file was written last, UTC milliseconds; none if it is no longer there.
fn modified_ms(file: &Path) -> std::io::Result<Option<i64>> {
    let at = match std::fs::metadata(file) {
        Ok(found) => found.modified()?,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e),
    };
    let since = at.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Ok(Some(since.as_millis() as i64))
}

fn io(path: &Path) -> impl Fn(std::io::Error) -> VacuumError + use<> {
    let path = path.to_path_buf();
    move |source| VacuumError::Io {
        path: path.clone(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::modified_ms;

    #[test]
    fn a_file_that_is_gone_has_no_age_and_is_no_error() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("part#1");
        assert_eq!(modified_ms(&file).unwrap(), None);
        std::fs::write(&file, "x").unwrap();
        assert!(modified_ms(&file).unwrap().is_some());
    }
}
