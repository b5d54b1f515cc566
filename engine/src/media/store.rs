//! The store (媒体存储): files under the SHA-256 of their bytes, so that the same bytes are there
//! once and a damaged file is known by its name.
//!
//! `<store>/<first two digits>/<sha256>` are whole files, `<store>/partial/` what is under way, and
//! `<store>/stored.ndjson` a list of what each file id became, in which the database is not needed:
//! one line a file, written after the file and before the database. All writes of whole files go
//! through one function over [`ObjectStore`]; the local one is the [`FsyncStore`], by a synced
//! rename, so that nobody ever sees half a file.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use aws_lc_rs::digest::{Context, SHA256, digest};
use object_store::{ObjectStore, ObjectStoreExt};
use serde::{Deserialize, Serialize};

use super::row::Stored;
use crate::archive::fsync_store::{FsyncStore, sync_directory};

const PARTIAL: &str = "partial";
const RECEIPTS: &str = "stored.ndjson";

/// Why the store could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("media store: cannot {what} `{}`: {source}", path.display())]
pub struct StoreError {
    what: &'static str,
    path: PathBuf,
    source: std::io::Error,
}

impl StoreError {
    /// Whether there is no room left: nothing is wrong that room would not mend.
    pub fn is_disk_full(&self) -> bool {
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};
        matches!(self.source.kind(), StorageFull | QuotaExceeded)
            || self.source.to_string().contains("No space left on device")
    }
}

/// What a file id became, as the store's own list tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Whose file id.
    pub source: String,
    /// SHA-256 of the file id, in hex.
    pub file_key: String,
    /// SHA-256 of the bytes, in hex.
    pub sha256: String,
    /// Bytes.
    pub size: u64,
    /// See [`Stored::flags`].
    pub flags: String,
    /// When, UTC milliseconds.
    pub at_ms: i64,
    /// First half of a SHA-256 over the other members: a line that decayed is known.
    pub seal: String,
}

impl Receipt {
    /// A sealed receipt.
    pub fn new(source: &str, file_key: &[u8; 32], stored: &Stored, at_ms: i64) -> Self {
        let mut receipt = Self {
            source: source.into(),
            file_key: hex(file_key),
            sha256: hex(&stored.sha256),
            size: stored.size,
            flags: stored.flags.clone(),
            at_ms,
            seal: String::new(),
        };
        receipt.seal = receipt.sealed();
        receipt
    }

    /// What it says of the file.
    pub fn stored(&self) -> Stored {
        Stored {
            sha256: unhex(&self.sha256).unwrap_or_default(),
            size: self.size,
            flags: self.flags.clone(),
        }
    }

    fn sealed(&self) -> String {
        let text = format!(
            "{}\0{}\0{}\0{}\0{}\0{}",
            self.source, self.file_key, self.sha256, self.size, self.flags, self.at_ms
        );
        hex(&digest(&SHA256, text.as_bytes()).as_ref()[..16])
    }

    fn is_whole(&self) -> bool {
        self.seal == self.sealed() && unhex(&self.sha256).is_some()
    }
}

/// The store's own list.
#[derive(Debug, Default)]
pub struct Receipts {
    /// By source and key in hex.
    pub by_key: HashMap<(String, String), Receipt>,
    /// Lines that cannot be read or are not as they were written.
    pub n_spoilt: u64,
}

/// The open store.
#[derive(Clone)]
pub struct Store {
    root: PathBuf,
    objects: Arc<dyn ObjectStore>,
    /// One line at a time.
    receipts: Arc<Mutex<()>>,
}

impl Store {
    /// Opens a store, making its folder where there is none.
    pub fn open_or_create(root: &Path) -> Result<Self, StoreError> {
        let partial = root.join(PARTIAL);
        std::fs::create_dir_all(&partial).map_err(failed("create", &partial))?;
        for folder in [root, root.parent().unwrap_or(root)] {
            sync_directory(folder).map_err(failed("sync", folder))?;
        }
        Ok(Self::at(root))
    }

    /// A store that is only read.
    pub fn at(root: &Path) -> Self {
        Self {
            root: root.to_path_buf(),
            objects: Arc::new(FsyncStore::new()),
            receipts: Arc::default(),
        }
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where a file with these bytes is, or would be.
    pub fn path_of(&self, sha256: &[u8; 32]) -> PathBuf {
        let name = hex(sha256);
        self.root.join(&name[..2]).join(&name)
    }

    /// Where a medium is put together: a name that is the same after `media.db` was made anew.
    pub fn part_of(&self, source: &str, file_key: &[u8; 32]) -> PathBuf {
        let mut hash = Context::new(&SHA256);
        hash.update(source.as_bytes());
        hash.update(&[0]);
        hash.update(file_key);
        let name = hex(&hash.finish().as_ref()[..16]);
        self.root.join(PARTIAL).join(format!("{name}.part"))
    }

    /// Opens a part file at the length that is recorded; `None` when it is shorter than that, as
    /// after a power cut or a change by hand. What is beyond it was never recorded and is cut off.
    pub fn open_part(&self, part: &Path, n_bytes: u64) -> Result<Option<File>, StoreError> {
        let file = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(part)
            .map_err(failed("open", part))?;
        let found = file.metadata().map_err(failed("read", part))?.len();
        if found < n_bytes {
            return Ok(None);
        }
        if found > n_bytes {
            file.set_len(n_bytes).map_err(failed("cut", part))?;
        }
        Ok(Some(file))
    }

    /// Forgets what was put together so far.
    pub fn drop_part(&self, part: &Path) -> Result<(), StoreError> {
        match std::fs::remove_file(part) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(failed("remove", part)(e)),
            _ => Ok(()),
        }
    }

    /// Makes a whole part file the one of its content: synced, under its name, never half there.
    /// The only function through which content enters the store.
    pub async fn keep(&self, part: &Path, sha256: &[u8; 32]) -> Result<(), StoreError> {
        let target = self.path_of(sha256);
        let other = |e: object_store::Error| std::io::Error::other(e.to_string());
        let location = |path: &Path| {
            object_store::path::Path::from_absolute_path(path)
                .map_err(|e| failed("name", path)(std::io::Error::other(e.to_string())))
        };
        self.objects
            .rename(&location(part)?, &location(&target)?)
            .await
            .map_err(|e| failed("store", &target)(other(e)))
    }

    /// Adds a line to the store's list, synced.
    pub fn receive(&self, receipt: &Receipt) -> Result<(), StoreError> {
        let path = self.root.join(RECEIPTS);
        let _one = self.receipts.lock();
        let mut line = serde_json::to_vec(receipt).expect("a receipt is plain data");
        line.push(b'\n');
        let mut file = File::options()
            .create(true)
            .read(true)
            .append(true)
            .open(&path)
            .map_err(failed("open", &path))?;
        let length = file.metadata().map_err(failed("read", &path))?.len();
        let (is_new, mut last) = (length == 0, [b'\n']);
        if !is_new {
            file.read_exact_at(&mut last, length - 1)
                .map_err(failed("read", &path))?;
        }
        if last != [b'\n'] {
            // A kill tore the line before: this one must not be torn with it.
            line.insert(0, b'\n');
        }
        file.write_all(&line).map_err(failed("write", &path))?;
        file.sync_data().map_err(failed("sync", &path))?;
        if is_new {
            sync_directory(&self.root).map_err(failed("sync", &self.root))?;
        }
        Ok(())
    }

    /// The store's list, the last line of each file id; lines that are torn or decayed are left out
    /// and counted.
    pub fn receipts(&self) -> Result<Receipts, StoreError> {
        let path = self.root.join(RECEIPTS);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(e) => return Err(failed("read", &path)(e)),
        };
        let mut found = Receipts::default();
        for line in bytes.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
            match serde_json::from_slice::<Receipt>(line) {
                Ok(receipt) if receipt.is_whole() => {
                    let key = (receipt.source.clone(), receipt.file_key.clone());
                    found.by_key.insert(key, receipt);
                }
                _ => found.n_spoilt += 1,
            }
        }
        Ok(found)
    }

    /// Bytes that the file system has left for the store.
    pub fn free_bytes(&self) -> Result<u64, StoreError> {
        let found =
            rustix::fs::statvfs(&self.root).map_err(|e| failed("look at", &self.root)(e.into()))?;
        Ok(found.f_bavail.saturating_mul(found.f_frsize))
    }
}

/// An error of the store about a path.
pub fn failed(
    what: &'static str,
    path: &Path,
) -> impl FnOnce(std::io::Error) -> StoreError + use<> {
    let path = path.to_path_buf();
    move |source| StoreError { what, path, source }
}

/// Lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    let mut bytes = [0; 32];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open_or_create(&dir.path().join("media")).unwrap();
        (dir, store)
    }

    fn stored(size: u64) -> Stored {
        Stored {
            sha256: [7; 32],
            size,
            flags: String::new(),
        }
    }

    #[tokio::test]
    async fn the_same_bytes_are_kept_once() {
        let (_dir, store) = store();
        for name in ["a", "b"] {
            let part = store.root().join(PARTIAL).join(name);
            std::fs::write(&part, b"bytes").unwrap();
            store.keep(&part, &[7; 32]).await.unwrap();
            assert!(!part.exists());
        }
        assert_eq!(std::fs::read(store.path_of(&[7; 32])).unwrap(), b"bytes");
        let folder = store.root().join("07");
        assert_eq!(std::fs::read_dir(folder).unwrap().count(), 1);
    }

    #[test]
    fn a_part_file_is_cut_to_what_is_recorded_and_refused_when_shorter() {
        let (_dir, store) = store();
        let part = store.part_of("corp", &[1; 32]);
        std::fs::write(&part, b"0123456789").unwrap();
        assert!(store.open_part(&part, 11).unwrap().is_none());
        assert!(store.open_part(&part, 4).unwrap().is_some());
        assert_eq!(std::fs::read(&part).unwrap(), b"0123");
    }

    #[test]
    fn the_list_forgets_torn_and_decayed_lines_only() {
        let (_dir, store) = store();
        for key in [1, 2, 3] {
            let receipt = Receipt::new("corp", &[key; 32], &stored(u64::from(key)), 5);
            store.receive(&receipt).unwrap();
        }
        let path = store.root().join(RECEIPTS);
        let text = std::fs::read_to_string(&path).unwrap();
        let decayed = text.replacen("\"size\":2", "\"size\":9", 1);
        let torn = &decayed[..decayed.len() - 20];
        std::fs::write(&path, torn).unwrap();
        store
            .receive(&Receipt::new("corp", &[4; 32], &stored(4), 5))
            .unwrap();
        let found = store.receipts().unwrap();
        assert_eq!((found.by_key.len(), found.n_spoilt), (2, 2));
        let kept = &found.by_key[&("corp".to_string(), hex(&[1; 32]))];
        assert_eq!(kept.stored(), stored(1));
    }
}
