//! One medium, chunk by chunk, so that a kill at any moment costs the chunk that was under way and
//! never leaves a wrong byte.
//!
//! The order is: write the chunk at the recorded length, sync, record the new length and the index
//! that follows. A part file that is longer than recorded is cut, one that is shorter begins again.
//! The last chunk is not recorded: the whole is read back, checked, put into the store, written to
//! the store's list, and only then recorded as stored; each of these steps can be done twice.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use huicun_engine::archive::fsync_store::sync_directory;
use huicun_engine::media::catalogue::{CatalogueError, file_key};
use huicun_engine::media::row::Again;
use huicun_engine::media::store::{Receipt, StoreError, failed, hex};
use huicun_engine::media::{Catalogue, Job, Store, Stored};
use huicun_ffi_finance_sdk::MediaChunk;
use huicun_ffi_finance_sdk::worker::CallError;
use md5::{Digest as _, Md5};

use super::policy::{self, MISMATCHES_MAX, Verdict, after_failure, back_off};
use super::settings::MediaSettings;

/// Why a download cannot go on: nothing that another attempt at the medium would mend.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// The media database could not be changed.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    /// The store could not be written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl DownloadError {
    /// Whether room on the disk is all that is missing.
    pub fn is_disk_full(&self) -> bool {
        match self {
            Self::Store(error) => error.is_disk_full(),
            Self::Catalogue(error) => error.to_string().contains("disk is full"),
        }
    }
}

/// How an attempt ended.
#[derive(Debug)]
pub enum End {
    /// The medium is in the store.
    Stored(Stored),
    /// It is tried again later.
    Again,
    /// It is given up, for this reason.
    Lost(String),
    /// It was asked to end; what came is kept.
    Interrupted,
    /// The medium is not to blame: nothing can be fetched for a while.
    Everybody {
        /// How long.
        wait: Duration,
        /// What failed.
        error: CallError,
    },
}

/// What a download needs.
pub struct Download<'a> {
    /// Where its progress is recorded.
    pub catalogue: &'a Catalogue,
    /// Where it ends.
    pub store: &'a Store,
    /// Its bounds.
    pub settings: &'a MediaSettings,
    /// For the store, which is asynchronous.
    pub runtime: &'a tokio::runtime::Handle,
    /// UTC milliseconds.
    pub now_ms: &'a dyn Fn() -> i64,
}

impl Download<'_> {
    /// Fetches a medium from where it stands. `ask` gets a chunk by index and file id; `came` is
    /// told the bytes of each chunk once they are safe, may wait, and says whether to go on.
    ///
    /// # Errors
    /// When disk or database fail; what was recorded stays true.
    pub fn run(
        &self,
        mut job: Job,
        ask: &mut dyn FnMut(&str, &str) -> Result<MediaChunk, CallError>,
        came: &mut dyn FnMut(u64) -> bool,
    ) -> Result<End, DownloadError> {
        let part = self.store.part_of(&job.source, &file_key(&job.file_id));
        let is_too_large = |n_bytes: u64| n_bytes > self.settings.file_bytes_max;
        if job
            .size
            .is_some_and(|size| is_too_large(size.unsigned_abs()))
        {
            return self.lose(&job, &part, "too_large");
        }
        let file = self.open(&mut job, &part)?;
        loop {
            let chunk = match ask(&job.next_index, &job.file_id) {
                Ok(chunk) => chunk,
                Err(error) => return self.fail(&job, &part, error),
            };
            let n_came = chunk.data.len() as u64;
            if is_too_large(job.n_bytes + n_came) {
                return self.lose(&job, &part, "too_large");
            }
            let goes_nowhere =
                n_came == 0 || chunk.next_index.is_empty() || chunk.next_index == job.next_index;
            if !chunk.is_finished && goes_nowhere {
                // An empty index would fetch the beginning again, for ever.
                return self.begin_again(&job, &part, "bad_chunk", job.n_mismatches);
            }
            file.write_all_at(&chunk.data, job.n_bytes)
                .map_err(failed("write", &part))?;
            let is_first = job.n_bytes == 0;
            job.n_bytes += n_came;
            if chunk.is_finished {
                let ended = self.finish(&job, &file, &part);
                came(n_came);
                return ended;
            }
            file.sync_data().map_err(failed("sync", &part))?;
            if is_first && let Some(folder) = part.parent() {
                sync_directory(folder).map_err(failed("sync", folder))?;
            }
            self.catalogue
                .progress(job.id, &chunk.next_index, job.n_bytes, (self.now_ms)())?;
            job.next_index = chunk.next_index;
            job.n_attempts = 0;
            if !came(n_came) {
                return Ok(End::Interrupted);
            }
        }
    }

    fn open(&self, job: &mut Job, part: &Path) -> Result<File, DownloadError> {
        if let Some(file) = self.store.open_part(part, job.n_bytes)? {
            return Ok(file);
        }
        tracing::warn!(
            medium = job.id,
            "a part file is shorter than recorded; beginning again"
        );
        job.next_index.clear();
        job.n_bytes = 0;
        let opened = self.store.open_part(part, 0)?;
        Ok(opened.expect("no file is shorter than nothing"))
    }

    fn fail(&self, job: &Job, part: &Path, error: CallError) -> Result<End, DownloadError> {
        let now_ms = (self.now_ms)();
        let verdict = after_failure(job, &error, now_ms, self.settings, chance());
        match verdict {
            Verdict::Everybody { wait } => Ok(End::Everybody { wait, error }),
            Verdict::Lost { reason } => self.lose(job, part, &reason),
            Verdict::Again {
                wait,
                from_start,
                is_crash,
            } => {
                if from_start {
                    self.store.drop_part(part)?;
                }
                let again = Again {
                    at_ms: now_ms.saturating_add(wait.as_millis() as i64),
                    error: policy::name_of(&error),
                    from_start,
                    n_attempts: job.n_attempts + 1,
                    n_crashes: job.n_crashes + u32::from(is_crash),
                    n_mismatches: job.n_mismatches,
                };
                self.catalogue.again(job.id, &again, now_ms)?;
                tracing::debug!(medium = job.id, %error, wait_ms = wait.as_millis(), "media failed");
                Ok(End::Again)
            }
        }
    }

    fn begin_again(
        &self,
        job: &Job,
        part: &Path,
        error: &str,
        n_mismatches: u32,
    ) -> Result<End, DownloadError> {
        let now_ms = (self.now_ms)();
        let wait = back_off(self.settings, job.n_attempts + n_mismatches + 1, chance());
        self.store.drop_part(part)?;
        let again = Again {
            at_ms: now_ms.saturating_add(wait.as_millis() as i64),
            error: error.into(),
            from_start: true,
            n_attempts: job.n_attempts + 1,
            n_crashes: job.n_crashes,
            n_mismatches,
        };
        if again.n_attempts >= self.settings.attempts_max && error == "bad_chunk" {
            return self.lose(job, part, error);
        }
        self.catalogue.again(job.id, &again, now_ms)?;
        Ok(End::Again)
    }

    fn lose(&self, job: &Job, part: &Path, reason: &str) -> Result<End, DownloadError> {
        self.store.drop_part(part)?;
        self.catalogue
            .lost(job.id, reason, reason, (self.now_ms)())?;
        tracing::warn!(
            medium = job.id,
            source = job.source,
            reason,
            "a medium is lost"
        );
        Ok(End::Lost(reason.into()))
    }

    /// Checks the whole and puts it into the store.
    fn finish(&self, job: &Job, file: &File, part: &Path) -> Result<End, DownloadError> {
        let (sha256, md5) = hashes(file, job.n_bytes).map_err(failed("read back", part))?;
        let md5_fits = job
            .md5
            .as_deref()
            .filter(|given| given.len() == 32 && given.bytes().all(|b| b.is_ascii_hexdigit()))
            .map(|given| given.eq_ignore_ascii_case(&md5));
        let size_fits = job.size.map(|size| size as u64 == job.n_bytes);
        // A digest that fits says more than a size that does not.
        let fits = md5_fits.or(size_fits).unwrap_or(true);
        let flags: Vec<&str> = [(md5_fits, "md5_mismatch"), (size_fits, "size_mismatch")]
            .into_iter()
            .filter(|(fits, _)| *fits == Some(false))
            .map(|(_, flag)| flag)
            .collect();
        if !fits && job.n_mismatches < MISMATCHES_MAX {
            return self.begin_again(job, part, flags[0], job.n_mismatches + 1);
        }
        let stored = Stored {
            sha256,
            size: job.n_bytes,
            flags: flags.join(","),
        };
        let now_ms = (self.now_ms)();
        self.runtime.block_on(self.store.keep(part, &sha256))?;
        let key = file_key(&job.file_id);
        self.store
            .receive(&Receipt::new(&job.source, &key, &stored, now_ms))?;
        self.catalogue.stored(job.id, &stored, now_ms)?;
        Ok(End::Stored(stored))
    }
}

/// SHA-256 and MD5 (in hex) of the first `length` bytes, which must be all.
fn hashes(file: &File, length: u64) -> std::io::Result<([u8; 32], String)> {
    let found = file.metadata()?.len();
    if found != length {
        let why = format!("{found} bytes are there, {length} were written");
        return Err(std::io::Error::other(why));
    }
    let (mut sha256, mut md5) = (Context::new(&SHA256), Md5::new());
    let mut buffer = vec![0; 1 << 18];
    let mut at = 0;
    while at < length {
        let n = file.read_at(&mut buffer, at)?;
        if n == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        sha256.update(&buffer[..n]);
        md5.update(&buffer[..n]);
        at += n as u64;
    }
    let mut hash = [0; 32];
    hash.copy_from_slice(sha256.finish().as_ref());
    Ok((hash, hex(&md5.finalize())))
}

/// A number in 0 to 1, so that those who failed together do not come back together.
fn chance() -> f64 {
    let mut byte = [0u8; 1];
    match aws_lc_rs::rand::fill(&mut byte) {
        Ok(()) => f64::from(byte[0]) / 255.0,
        Err(_) => 0.5,
    }
}

#[cfg(test)]
mod tests;
