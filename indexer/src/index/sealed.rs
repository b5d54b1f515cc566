//! The index's folder as Tantivy sees it, with seals on the two files that carry no checksum of
//! their own: `meta.json`, which says what is committed, and the list of files.
//!
//! Each ends in a line with the hash of its bytes, which Tantivy is not shown. One that was changed
//! is not read: the index then counts as damaged, and is built anew.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use huicun_engine::archive::seal::{Seal, open_text, seal_text};
use tantivy::Directory;
use tantivy::directory::error::{
    DeleteError, LockError, OpenDirectoryError, OpenReadError, OpenWriteError,
};
use tantivy::directory::{
    DirectoryLock, FileHandle, Lock, MmapDirectory, WatchCallback, WatchHandle, WritePtr,
};

/// A folder of the local file system.
#[derive(Clone)]
pub struct SealedDirectory {
    inner: MmapDirectory,
}

impl SealedDirectory {
    /// Opens an existing folder.
    pub fn open(folder: &Path) -> Result<Self, OpenDirectoryError> {
        Ok(Self {
            inner: MmapDirectory::open(folder)?,
        })
    }
}

impl fmt::Debug for SealedDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedDirectory").finish_non_exhaustive()
    }
}

fn name(path: &Path) -> std::borrow::Cow<'_, str> {
    path.file_name().unwrap_or_default().to_string_lossy()
}

impl Directory for SealedDirectory {
    fn get_file_handle(&self, path: &Path) -> Result<Arc<dyn FileHandle>, OpenReadError> {
        self.inner.get_file_handle(path)
    }

    fn delete(&self, path: &Path) -> Result<(), DeleteError> {
        self.inner.delete(path)
    }

    fn exists(&self, path: &Path) -> Result<bool, OpenReadError> {
        self.inner.exists(path)
    }

    fn open_write(&self, path: &Path) -> Result<WritePtr, OpenWriteError> {
        self.inner.open_write(path)
    }

    fn atomic_read(&self, path: &Path) -> Result<Vec<u8>, OpenReadError> {
        let bytes = self.inner.atomic_read(path)?;
        match open_text(&name(path), &bytes) {
            // An index of an earlier format has no seals; it is rebuilt by its format's number.
            (text, Seal::Whole | Seal::Missing) => Ok(text.to_vec()),
            (_, Seal::Broken) => Err(OpenReadError::IoError {
                io_error: Arc::new(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "its bytes are not those that were written",
                )),
                filepath: path.to_path_buf(),
            }),
        }
    }

    fn atomic_write(&self, path: &Path, data: &[u8]) -> io::Result<()> {
        self.inner.atomic_write(path, &seal_text(&name(path), data))
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.inner.sync_directory()
    }

    fn acquire_lock(&self, lock: &Lock) -> Result<DirectoryLock, LockError> {
        self.inner.acquire_lock(lock)
    }

    fn watch(&self, callback: WatchCallback) -> tantivy::Result<WatchHandle> {
        self.inner.watch(callback)
    }
}
