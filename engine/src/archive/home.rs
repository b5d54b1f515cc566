//! The data directory: one folder that holds everything, its format marker and its locks.
//!
//! A folder that is not ours is refused before anything is written into it. One process at a
//! time may bring messages in (the writer lock); readers need no lock. Locks are advisory file
//! locks, which the kernel releases when their holder dies, so none can be left behind.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::seal::{self, Seal};
use super::verify::{Finding, Kind, Report, Sealing};

/// The layout that this build reads and writes.
pub const FORMAT: u32 = 1;
const MARKER: &str = "huicun.json";
/// How the marker is called before it is whole; something follows.
const STAGED: &str = "huicun.json.new";

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// The folder holds things that are not ours.
    #[error(
        "`{}` is not a huicun data directory: it has files but no `{MARKER}`",
        .0.display()
    )]
    Foreign(PathBuf),
    /// The folder was written by a later build.
    #[error("`{}` has data format {found}; this build reads up to {FORMAT}", path.display())]
    Newer {
        /// The data directory.
        path: PathBuf,
        /// The format found there.
        found: u32,
    },
    /// The marker cannot be read.
    #[error("`{}` is damaged: {detail}", path.display())]
    BadMarker {
        /// The marker file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// There is nothing to read yet.
    #[error("there is no archive in `{}` yet", .0.display())]
    Empty(PathBuf),
    /// Table locations are URLs, in which a percent sign begins an escape.
    #[error("`{}` cannot be a data directory: its path contains `%`", .0.display())]
    BadPath(PathBuf),
    /// Another process is writing.
    #[error("`{}` is in use: {holder} is writing to it", path.display())]
    Locked {
        /// The data directory.
        path: PathBuf,
        /// What the holder wrote about itself.
        holder: String,
    },
    /// The file system refused.
    #[error("cannot {what} `{}`: {source}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which path.
        path: PathBuf,
        /// The operating system's answer.
        source: std::io::Error,
    },
}

impl HomeError {
    /// The next step for the operator, if there is one.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Foreign(_) => "name an empty or new folder with --data (or HUICUN_DATA)",
            Self::Newer { .. } => "run the huicun version that wrote it, or a later one",
            Self::BadPath(_) => "choose a path without `%`",
            Self::BadMarker { .. } => "restore the file from a backup of the data directory",
            Self::Empty(_) => {
                "bring messages in first: `huicun pull` or `huicun import messages FILE`"
            }
            Self::Locked { .. } => {
                "wait until it is done or stop it; only one process at a time may bring messages in"
            }
            Self::Io { .. } => return None,
        })
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Marker {
    product: String,
    format: u32,
    created_by: String,
}

/// Whether a marker is, byte for byte, one that versions before the seals wrote.
fn is_unsealed_marker(bytes: &[u8]) -> bool {
    serde_json::from_slice::<Marker>(bytes).is_ok_and(|marker| {
        marker.format == 1
            && marker.created_by == "0.1.0"
            && serde_json::to_vec_pretty(&marker).is_ok_and(|text| text == bytes)
    })
}

/// An open data directory.
#[derive(Debug, Clone)]
pub struct Home {
    root: PathBuf,
}

impl Home {
    /// Opens `root`, making a new data directory of it if it is missing or empty.
    ///
    /// # Errors
    /// [`HomeError::Foreign`], [`HomeError::Newer`], [`HomeError::BadMarker`]: nothing was changed.
    pub fn open_or_create(root: &Path) -> Result<Self, HomeError> {
        match Self::open(root) {
            Err(HomeError::Empty(_)) => {}
            other => return other,
        }
        let io = |what| {
            let path = root.to_path_buf();
            move |source| HomeError::Io { what, path, source }
        };
        // A company's chats: for this account alone, unless the operator made the folder himself.
        if let Some(parent) = root.parent() {
            std::fs::create_dir_all(parent).map_err(io("create"))?;
        }
        let mut private = std::fs::DirBuilder::new();
        private.recursive(true).mode(0o700);
        private.create(root).map_err(io("create"))?;
        let root = root.canonicalize().map_err(io("resolve"))?;
        let marker = Marker {
            product: "huicun".into(),
            format: FORMAT,
            created_by: env!("CARGO_PKG_VERSION").into(),
        };
        let text = serde_json::to_vec(&marker).expect("a marker of plain fields serialises");
        let text = seal::seal_json(MARKER, &text);
        // A name of its own: two processes that begin at once do not meet in one half-written file.
        let staged = root.join(format!("{STAGED}-{}", uuid::Uuid::new_v4().simple()));
        let mut file = File::create_new(&staged).map_err(io("write"))?;
        file.write_all(&text).map_err(io("write"))?;
        file.sync_all().map_err(io("sync"))?;
        std::fs::rename(&staged, root.join(MARKER)).map_err(io("write"))?;
        super::fsync_store::sync_directory(&root).map_err(io("sync"))?;
        Ok(Self { root })
    }

    /// Opens an existing data directory.
    ///
    /// # Errors
    /// As [`Home::open_or_create`], and [`HomeError::Empty`] where there is none yet.
    pub fn open(root: &Path) -> Result<Self, HomeError> {
        let whole = std::path::absolute(root).unwrap_or_else(|_| root.to_path_buf());
        if whole.to_string_lossy().contains('%') {
            return Err(HomeError::BadPath(whole));
        }
        let marker_path = root.join(MARKER);
        let bytes = match std::fs::read(&marker_path) {
            Ok(bytes) => bytes,
            Err(e) if matches!(e.kind(), std::io::ErrorKind::NotFound) => {
                return Err(match std::fs::read_dir(root) {
                    // A marker that was never given its name is all that a kill can leave.
                    Ok(entries) => {
                        let is_foreign = entries
                            .filter_map(Result::ok)
                            // A fresh mount brings `lost+found`.
                            .any(|e| {
                                !e.file_name().to_string_lossy().starts_with(STAGED)
                                    && e.file_name() != "lost+found"
                            });
                        // Another process that made it a moment ago may have put files there.
                        if is_foreign && marker_path.is_file() {
                            return Self::open(root);
                        }
                        if is_foreign {
                            HomeError::Foreign(root.to_path_buf())
                        } else {
                            HomeError::Empty(root.to_path_buf())
                        }
                    }
                    Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                        HomeError::Empty(root.to_path_buf())
                    }
                    Err(source) => HomeError::Io {
                        what: "open",
                        path: root.to_path_buf(),
                        source,
                    },
                });
            }
            Err(source) => {
                return Err(HomeError::Io {
                    what: "read",
                    path: marker_path,
                    source,
                });
            }
        };
        let marker: Marker = serde_json::from_slice(&bytes).map_err(|e| HomeError::BadMarker {
            path: marker_path.clone(),
            detail: e.to_string(),
        })?;
        if marker.product != "huicun" {
            return Err(HomeError::Foreign(root.to_path_buf()));
        }
        if marker.format > FORMAT {
            return Err(HomeError::Newer {
                path: root.to_path_buf(),
                found: marker.format,
            });
        }
        let root = root.canonicalize().map_err(|source| HomeError::Io {
            what: "resolve",
            path: root.to_path_buf(),
            source,
        })?;
        Ok(Self { root })
    }

    /// The folder itself, absolute.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Checks the marker's seal, and tells whether everything here must have one.
    pub(super) fn check_marker(&self, report: &mut Report) -> Sealing {
        let file = self.root.join(MARKER);
        let bytes = std::fs::read(&file).unwrap_or_default();
        report.n_files += 1;
        report.n_bytes += bytes.len() as u64;
        let detail = match seal::check_json(MARKER, &bytes) {
            Seal::Whole => return Sealing::Required,
            Seal::Missing if is_unsealed_marker(&bytes) => return Sealing::Partial,
            Seal::Missing => "its seal is gone",
            Seal::Broken => "its bytes are not those that were written",
        };
        report.find(Finding::new(Kind::MarkerChanged, detail).in_file(&self.root, &file));
        Sealing::Required
    }

    /// The names of all Delta tables.
    pub fn tables(&self) -> std::io::Result<Vec<String>> {
        let mut names = Vec::new();
        let entries = match std::fs::read_dir(self.root.join("tables")) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(names),
            other => other?,
        };
        for entry in entries {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                names.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    /// The folders of all derived tables, of every generation that is still there.
    pub fn derived_tables(&self) -> std::io::Result<Vec<PathBuf>> {
        let mut folders = Vec::new();
        let open = |folder: &Path| match std::fs::read_dir(folder) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            other => other.map(Some),
        };
        for generation in open(&self.root.join("derived"))?.into_iter().flatten() {
            let generation = generation?;
            if !generation.file_type()?.is_dir() {
                continue;
            }
            for table in open(&generation.path())?.into_iter().flatten() {
                folders.push(table?.path());
            }
        }
        folders.sort();
        Ok(folders)
    }

    /// The folder of one Delta table.
    pub fn table(&self, name: &str) -> PathBuf {
        self.root.join("tables").join(name)
    }

    /// The folder of the search index.
    pub fn index(&self) -> PathBuf {
        self.root.join("index")
    }

    /// The file of the SQLite state.
    pub fn state(&self) -> PathBuf {
        self.root.join("state.db")
    }

    /// The audit log.
    pub fn audit(&self) -> PathBuf {
        self.root.join("audit.db")
    }

    /// The file of the media database.
    pub fn media_state(&self) -> PathBuf {
        self.root.join("media.db")
    }

    /// The folder of media files, unless the configuration names another.
    pub fn media(&self) -> PathBuf {
        self.root.join("media")
    }

    /// The folder of finished exports.
    pub fn exports(&self) -> PathBuf {
        self.root.join("exports")
    }

    /// Takes the lock of the one process that makes exports.
    ///
    /// # Errors
    /// [`HomeError::Locked`] at once when another process holds it.
    pub fn lock_exports(&self, who: &str) -> Result<Lock, HomeError> {
        self.lock("exports.lock", who)
    }

    /// Takes the lock of the one process that fetches media.
    ///
    /// # Errors
    /// [`HomeError::Locked`] at once when another process holds it.
    pub fn lock_media(&self, who: &str) -> Result<Lock, HomeError> {
        self.lock("media.lock", who)
    }

    /// Takes the lock of everything that brings messages in; `who` tells others about the holder.
    ///
    /// # Errors
    /// [`HomeError::Locked`] at once when another process holds it.
    pub fn lock_writer(&self, who: &str) -> Result<Lock, HomeError> {
        self.lock("writer.lock", who)
    }

    /// Takes the lock of directory changes, waiting for another holder at most `patience`.
    pub fn lock_directory(
        &self,
        who: &str,
        patience: std::time::Duration,
    ) -> Result<Lock, HomeError> {
        self.lock_patiently("directory.lock", who, patience)
    }

    /// Takes the lock of everything that rewrites files of `messages` (compaction, retrying the
    /// quarantine), so that no two remove one file; appends need it not. Waits at most `patience`.
    pub fn lock_rewrite(
        &self,
        who: &str,
        patience: std::time::Duration,
    ) -> Result<Lock, HomeError> {
        self.lock_patiently("rewrite.lock", who, patience)
    }

    /// Takes the lock of those who fold the ledger's account. Waits at most `patience`.
    pub fn lock_ledger(&self, who: &str, patience: std::time::Duration) -> Result<Lock, HomeError> {
        self.lock_patiently("ledger.lock", who, patience)
    }

    /// Takes the lock of those who bring derived tables forward. Waits at most `patience`.
    pub fn lock_derive(&self, who: &str, patience: std::time::Duration) -> Result<Lock, HomeError> {
        self.lock_patiently("derive.lock", who, patience)
    }

    fn lock_patiently(
        &self,
        name: &str,
        who: &str,
        patience: std::time::Duration,
    ) -> Result<Lock, HomeError> {
        let started = std::time::Instant::now();
        loop {
            match self.lock(name, who) {
                Err(HomeError::Locked { .. }) if started.elapsed() < patience => {
                    std::thread::sleep(std::time::Duration::from_millis(20));
                }
                other => return other,
            }
        }
    }

    fn lock(&self, name: &str, who: &str) -> Result<Lock, HomeError> {
        let path = self.root.join(name);
        let io = |what| {
            let path = path.clone();
            move |source| HomeError::Io { what, path, source }
        };
        let mut file = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(io("open"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => {
                let holder = std::fs::read_to_string(&path).unwrap_or_default();
                let holder = holder.trim();
                return Err(HomeError::Locked {
                    path: self.root.clone(),
                    holder: if holder.is_empty() {
                        "another process".into()
                    } else {
                        holder.into()
                    },
                });
            }
            Err(std::fs::TryLockError::Error(source)) => return Err(io("lock")(source)),
        }
        file.set_len(0).map_err(io("write"))?;
        writeln!(file, "{who} (process {})", std::process::id()).map_err(io("write"))?;
        Ok(Lock { _file: file })
    }
}

/// A held lock; dropping it releases it.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_folder_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("photo.jpg"), b"x").unwrap();
        let opened = Home::open_or_create(dir.path());
        assert!(matches!(opened, Err(HomeError::Foreign(_))));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn many_that_begin_at_once_all_get_the_same_directory() {
        for _ in 0..20 {
            let dir = tempfile::tempdir().unwrap();
            let root = dir.path().join("data");
            let opened: Vec<_> = std::thread::scope(|scope| {
                let begin = || {
                    let home = Home::open_or_create(&root);
                    // What the first does next is no reason for the others to take it for foreign.
                    let _ = std::fs::create_dir_all(root.join("tables"));
                    home.map(|_| ()).map_err(|e| e.to_string())
                };
                let all: Vec<_> = (0..8).map(|_| scope.spawn(begin)).collect();
                all.into_iter().map(|one| one.join().unwrap()).collect()
            });
            assert!(opened.iter().all(Result::is_ok), "{opened:?}");
        }
    }

    #[test]
    fn a_path_that_is_no_url_is_refused_before_anything_is_made() {
        let dir = tempfile::tempdir().unwrap();
        let opened = Home::open_or_create(&dir.path().join("50%20"));
        assert!(matches!(opened, Err(HomeError::BadPath(_))));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_later_format_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let marker = r#"{"product":"huicun","format":99,"created_by":"9.0.0"}"#;
        std::fs::write(dir.path().join(MARKER), marker).unwrap();
        let opened = Home::open_or_create(dir.path());
        assert!(matches!(opened, Err(HomeError::Newer { found: 99, .. })));
    }

    #[test]
    fn the_second_writer_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open_or_create(&dir.path().join("new")).unwrap();
        let held = home.lock_writer("huicun pull").unwrap();
        let Err(HomeError::Locked { holder, .. }) = home.lock_writer("huicun import") else {
            panic!("the second lock was granted");
        };
        assert!(holder.starts_with("huicun pull"), "{holder}");
        drop(held);
        assert!(home.lock_writer("huicun import").is_ok());
    }
}
