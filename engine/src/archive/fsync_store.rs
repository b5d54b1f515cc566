//! A local object store whose acknowledged writes survive a power cut.
//!
//! `object_store` 0.13's `LocalFileSystem` never calls fsync, so a Delta commit that it
//! acknowledged can be gone, or zero bytes long, after the power fails. This store stages each
//! object beside its place, syncs it, gives it its name (a hard link where the object must be
//! new, a rename where it may replace), and syncs every directory whose entries changed.
//! The name never appears before the bytes behind it are safe.
//!
//! It also seals what Delta writes into its log ([`super::seal`]): entries and `_last_checkpoint`
//! get a field with the hash of their bytes, a checkpoint gets an empty file that is named by it.
//!
//! It deliberately caches nothing and adds no locking: mutual exclusion is the data directory's
//! lock and Delta's put-if-absent.

use std::collections::HashSet;
use std::fmt;
use std::io::Write;
use std::path::{Path as FsPath, PathBuf};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyMode, CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions,
    Result, UploadPart,
};

use super::seal;

const STORE: &str = "fsync-local";

/// Local files with synced writes; paths are absolute (the root is `/`).
#[derive(Debug, Clone)]
pub struct FsyncStore {
    inner: Arc<LocalFileSystem>,
    /// Directories whose own entry in their parent is known to be on disk.
    durable_directories: Arc<Mutex<HashSet<PathBuf>>>,
}

impl fmt::Display for FsyncStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FsyncStore")
    }
}

impl Default for FsyncStore {
    fn default() -> Self {
        Self::new()
    }
}

impl FsyncStore {
    /// A store over the whole local file system.
    pub fn new() -> Self {
        Self {
            inner: Arc::new(LocalFileSystem::new()),
            durable_directories: Arc::default(),
        }
    }

    /// Syncs the directory of `file`, and those above it that this process has not yet synced.
    fn sync_directories(&self, file: &FsPath) -> std::io::Result<()> {
        let mut next = file.parent();
        let mut is_leaf = true;
        while let Some(directory) = next {
            let is_known = self
                .durable_directories
                .lock()
                .map(|known| known.contains(directory))
                .unwrap_or(false);
            if is_known && !is_leaf {
                break;
            }
            match sync_directory(directory) {
                // Above the data directory the operator may have closed the folders to us; what
                // we made ourselves we can read.
                Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied && !is_leaf => break,
                other => other?,
            }
            if let Ok(mut known) = self.durable_directories.lock() {
                known.insert(directory.to_path_buf());
            }
            if is_known {
                break;
            }
            is_leaf = false;
            next = directory.parent();
        }
        Ok(())
    }

    fn write_blocking(&self, target: &FsPath, payload: &PutPayload, is_new: bool) -> Result<()> {
        let directory = target.parent().ok_or_else(|| Error::NotFound {
            path: target.display().to_string(),
            source: "a path without a parent cannot be written".into(),
        })?;
        std::fs::create_dir_all(directory).map_err(|e| failed("create directory", directory, e))?;
        // `#<digits>` names are left out of listings by `LocalFileSystem`.
        let mut staged = target.as_os_str().to_owned();
        staged.push(format!("#{}", uuid::Uuid::new_v4().as_u128()));
        let staged = PathBuf::from(staged);
        let result = self.stage_and_name(target, &staged, payload, is_new);
        if result.is_err() || is_new {
            // With a hard link the staged name is a leftover; after an error it is garbage.
            let _ = std::fs::remove_file(&staged);
        }
        result
    }

    fn stage_and_name(
        &self,
        target: &FsPath,
        staged: &FsPath,
        payload: &PutPayload,
        is_new: bool,
    ) -> Result<()> {
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(staged)
            .map_err(|e| failed("create", staged, e))?;
        for part in payload.iter() {
            file.write_all(part)
                .map_err(|e| failed("write", staged, e))?;
        }
        file.sync_all().map_err(|e| failed("sync", staged, e))?;
        drop(file);
        if is_new {
            std::fs::hard_link(staged, target).map_err(|e| match e.kind() {
                std::io::ErrorKind::AlreadyExists => Error::AlreadyExists {
                    path: target.display().to_string(),
                    source: e.into(),
                },
                _ => failed("link", target, e),
            })?;
        } else {
            std::fs::rename(staged, target).map_err(|e| failed("rename", target, e))?;
        }
        self.sync_directories(target)
            .map_err(|e| failed("sync the directory of", target, e))
    }

    /// What is written in the place of `payload`, once its seal is safe.
    fn sealed(&self, target: &FsPath, payload: PutPayload) -> Result<PutPayload> {
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        let is_log = target
            .parent()
            .is_some_and(|folder| folder.ends_with("_delta_log"));
        if !is_log {
            return Ok(payload);
        }
        if name.ends_with(".json") || name == "_last_checkpoint" {
            return Ok(seal::seal_json(&name, &Bytes::from(payload)).into());
        }
        let mut hash = Context::new(&SHA256);
        payload.iter().for_each(|part| hash.update(part));
        self.seal_checkpoint(target, hash)?;
        Ok(payload)
    }

    fn seal_checkpoint(&self, target: &FsPath, hash: Context) -> Result<()> {
        let hash = seal::hex(hash.finish().as_ref());
        match seal::checkpoint_seal(target, &hash) {
            Some(seal) => self.write_blocking(&seal, &PutPayload::default(), false),
            None => Ok(()),
        }
    }

    async fn sync_existing(&self, location: &Path) -> Result<()> {
        let file = self.inner.path_to_filesystem(location)?;
        let this = self.clone();
        blocking(move || {
            std::fs::File::open(&file)
                .and_then(|f| f.sync_all())
                .map_err(|e| failed("sync", &file, e))?;
            this.sync_directories(&file)
                .map_err(|e| failed("sync the directory of", &file, e))
        })
        .await
    }
}

/// Syncs a directory's entries.
pub fn sync_directory(directory: &FsPath) -> std::io::Result<()> {
    std::fs::File::open(directory)?.sync_all()
}

fn failed(what: &str, path: &FsPath, source: std::io::Error) -> Error {
    Error::Generic {
        store: STORE,
        source: format!("cannot {what} `{}`: {source}", path.display()).into(),
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|source| Error::JoinError { source })?
}

#[async_trait]
impl ObjectStore for FsyncStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let is_new = match options.mode {
            PutMode::Create => true,
            PutMode::Overwrite => false,
            PutMode::Update(_) => {
                return Err(Error::NotImplemented {
                    operation: "put with PutMode::Update".into(),
                    implementer: STORE.into(),
                });
            }
        };
        let target = self.inner.path_to_filesystem(location)?;
        let this = self.clone();
        blocking(move || {
            let payload = this.sealed(&target, payload)?;
            this.write_blocking(&target, &payload, is_new)
        })
        .await?;
        Ok(PutResult {
            e_tag: None,
            version: None,
        })
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        Ok(Box::new(SyncedUpload {
            inner: self.inner.put_multipart_opts(location, options).await?,
            store: self.clone(),
            location: location.clone(),
            hash: Context::new(&SHA256),
        }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let is_new = matches!(options.mode, CopyMode::Create);
        let source = self.inner.path_to_filesystem(from)?;
        let target = self.inner.path_to_filesystem(to)?;
        let this = self.clone();
        blocking(move || {
            let bytes = std::fs::read(&source).map_err(|e| failed("read", &source, e))?;
            this.write_blocking(&target, &PutPayload::from(bytes), is_new)
        })
        .await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.sync_existing(from).await?;
        self.inner.rename_opts(from, to, options).await?;
        self.sync_existing(to).await
    }
}

/// A multipart upload whose completed object is synced before it is acknowledged.
struct SyncedUpload {
    inner: Box<dyn MultipartUpload>,
    store: FsyncStore,
    location: Path,
    /// Of all parts so far.
    hash: Context,
}

impl fmt::Debug for SyncedUpload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SyncedUpload")
            .field("location", &self.location)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl MultipartUpload for SyncedUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        data.iter().for_each(|part| self.hash.update(part));
        self.inner.put_part(data)
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let target = self.store.inner.path_to_filesystem(&self.location)?;
        let (store, hash) = (self.store.clone(), self.hash.clone());
        blocking(move || store.seal_checkpoint(&target, hash)).await?;
        let result = self.inner.complete().await?;
        self.store.sync_existing(&self.location).await?;
        Ok(result)
    }

    async fn abort(&mut self) -> Result<()> {
        self.inner.abort().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::ObjectStoreExt;

    fn location(dir: &tempfile::TempDir, name: &str) -> Path {
        Path::from_absolute_path(dir.path().join(name)).unwrap()
    }

    #[tokio::test]
    async fn a_created_object_is_never_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let store = FsyncStore::new();
        let at = location(&dir, "log/0.json");
        let create = || PutOptions::from(PutMode::Create);
        store.put_opts(&at, "one".into(), create()).await.unwrap();
        let second = store.put_opts(&at, "two".into(), create()).await;
        assert!(matches!(second, Err(Error::AlreadyExists { .. })));
        let kept = store.get(&at).await.unwrap().bytes().await.unwrap();
        assert_eq!(&kept[..], b"one");
    }

    #[tokio::test]
    async fn what_goes_into_a_log_is_sealed() {
        let dir = tempfile::tempdir().unwrap();
        let store = FsyncStore::new();
        let entry = location(&dir, "_delta_log/0.json");
        let text = "{\"commitInfo\":{\"a\":1}}";
        store.put(&entry, text.into()).await.unwrap();
        let kept = store.get(&entry).await.unwrap().bytes().await.unwrap();
        assert_eq!(seal::check_json("0.json", &kept), seal::Seal::Whole);
        let checkpoint = dir.path().join("_delta_log/0.checkpoint.parquet");
        let at = Path::from_absolute_path(&checkpoint).unwrap();
        store.put(&at, "xyz".into()).await.unwrap();
        assert_eq!(
            seal::check_checkpoint(&checkpoint, b"xyz"),
            seal::Seal::Whole
        );
        assert_eq!(
            seal::check_checkpoint(&checkpoint, b"xyy"),
            seal::Seal::Broken
        );
        let mut upload = store.put_multipart(&at).await.unwrap();
        upload.put_part("ab".into()).await.unwrap();
        upload.put_part("c".into()).await.unwrap();
        upload.complete().await.unwrap();
        assert_eq!(
            seal::check_checkpoint(&checkpoint, b"abc"),
            seal::Seal::Whole
        );
    }

    #[tokio::test]
    async fn nothing_staged_is_left_or_listed() {
        use futures::TryStreamExt;
        let dir = tempfile::tempdir().unwrap();
        let store = FsyncStore::new();
        let at = location(&dir, "a/b.parquet");
        store.put(&at, "x".into()).await.unwrap();
        store.put(&at, "y".into()).await.unwrap();
        let prefix = Path::from_absolute_path(dir.path()).unwrap();
        let listed: Vec<_> = store.list(Some(&prefix)).try_collect().await.unwrap();
        assert_eq!(listed.len(), 1);
        assert_eq!(std::fs::read_dir(dir.path().join("a")).unwrap().count(), 1);
    }
}
