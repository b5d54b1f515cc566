//! The pull of one company: pages from the SDK worker, unsealed, decrypted, parsed and committed
//! with the cursor, then followed (architecture, "The path of a message").
//!
//! Stages are threads joined by bounded queues, so that the network, RSA (the ceiling), the
//! worker's decryption and the table's commits overlap; order is kept because each stage is one
//! thread. The cursor moves only in the commit that holds the rows: a kill at any moment repeats
//! at most what was not committed.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use huicun_engine::archive::Status as RowStatus;
use huicun_ffi_finance_sdk::worker::{CallError, Limits, Session, WorkerClient, WorkerCommand};

use super::config::{Corp, PullSettings};
use super::keys::{KeyError, Keys};
use super::pace::Limiter;
use super::pages::{Batch, unseal};
use super::retry::RetryError;
use super::sink::{COMMIT_BYTES_MAX, SharedSink, SinkError, bytes_of};
use super::status::{Stage, Status, stalled_after};

pub use super::stop::Stop;

mod decrypt;
mod fetch;
mod stuck;

pub(super) use decrypt::decrypt_patiently;

/// Pages between two stages: enough to overlap, few enough to stay small (a page is some MB).
const QUEUED_PAGES_MAX: usize = 4;
/// A batch that nothing follows is committed after this much quiet.
const QUIET: Duration = Duration::from_millis(100);

/// Why a pull ended.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// A private key file is unusable.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The SDK, its worker or WeCom refused.
    #[error("cannot pull from WeCom for `{corpid}`: {source}")]
    Call {
        /// For which company.
        corpid: String,
        /// What failed.
        source: CallError,
    },
    /// A page that does not continue the last.
    #[error("WeCom gave seq {seq} after seq {after} was asked for")]
    SeqNotAfter {
        /// The highest number of the page.
        seq: u64,
        /// The cursor of the call.
        after: u64,
    },
    /// A page in which no record tells a number that the cursor could move to.
    #[error("WeCom gave only records without a usable seq after seq {after}")]
    NoSeq {
        /// The cursor of the call.
        after: u64,
    },
    /// The archive could not be written.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// The quarantine could not be looked after.
    #[error(transparent)]
    Retry(#[from] RetryError),
    /// A thread ended in a panic.
    #[error("the pull stopped unexpectedly; what was committed is safe, start it again")]
    Panicked,
}

/// How far to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// To the end of the backlog.
    CaughtUp,
    /// For ever, waiting for more.
    Stopped,
}

/// Whether other companies are pulled by the same process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Company {
    /// No: a mistake in its set-up ends the program, so that somebody sees it.
    Alone,
    /// Yes: its mistakes must not stop the others, and are shown in its status.
    OneOfSeveral,
}

/// Ends the pull when it is dropped.
struct StopAtEnd<'a>(&'a Stop);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a pull needs from outside the archive: the SDK open in its worker. Its keys are read.
pub struct Prepared {
    client: WorkerClient,
}

/// The pull of one company.
pub struct Pull {
    /// The company.
    pub corp: Corp,
    /// How to behave.
    pub settings: PullSettings,
    /// How the worker process is started.
    pub worker: WorkerCommand,
    /// Its private keys.
    pub keys: Arc<Keys>,
    /// The data directory, which need not be there yet.
    pub data: PathBuf,
    /// Where it can be watched.
    pub status: Arc<Status>,
    /// How it can be ended, and woken.
    pub stop: Stop,
    /// Whether it is the only one.
    pub company: Company,
    /// Its calls of the last minute; read when the first is made.
    limiter: Mutex<Option<Limiter>>,
}

impl Pull {
    /// One that has not begun.
    pub fn new(
        corp: Corp,
        settings: PullSettings,
        worker: WorkerCommand,
        data: &Path,
        stop: Stop,
        company: Company,
    ) -> Self {
        Self {
            keys: Arc::new(Keys::new(corp.clone(), data)),
            data: data.to_path_buf(),
            status: Arc::new(Status::new(&corp.corpid, stalled_after(settings.poll()))),
            corp,
            settings,
            worker,
            stop,
            company,
            limiter: Mutex::new(None),
        }
    }

    /// Waits until WeCom may be called, and notes that it is; false when asked to end meanwhile.
    /// Whoever calls for this company comes through here.
    pub(super) fn wait_for_turn(&self, stop: &Stop) -> bool {
        loop {
            let wait = self.take_turn();
            stop.sleep(wait);
            if stop.is_stopped() {
                return false;
            }
            if wait.is_zero() {
                return true;
            }
        }
    }

    /// How long it is not our turn; when it is, the call is noted.
    fn take_turn(&self) -> Duration {
        let mut limiter = lock(&self.limiter);
        let path = self.data.join("pace").join(&self.corp.corpid);
        let limiter = limiter.get_or_insert_with(|| Limiter::open(&path));
        let wait = limiter.wait();
        if wait.is_zero() {
            limiter.note();
        }
        wait
    }

    /// Reads the keys and opens the SDK: what can be wrong with a configuration is found before a
    /// data directory is made or touched. Blocks for the time that the library takes to load.
    ///
    /// # Errors
    /// Nothing here asks the network, so nothing is tried again.
    pub fn prepare(&self) -> Result<Prepared, PullError> {
        self.keys.load()?;
        Ok(Prepared {
            client: self.start_worker().map_err(|e| self.call_error(e))?,
        })
    }

    /// Pulls into `sink` until done or stopped, and leaves it open. Inside a tokio runtime with
    /// several threads.
    ///
    /// # Errors
    /// Everything before the error is committed.
    pub async fn run(
        &self,
        prepared: Prepared,
        sink: &SharedSink,
        until: Until,
    ) -> Result<(), PullError> {
        let source: Arc<str> = self.corp.corpid.as_str().into();
        let cursor = sink.cursor(&source).await? as u64;
        self.status.begin(cursor);
        // The stages end together, and another run may follow.
        let stop = self.stop.child();
        // A worker that was lost is started again by the next call.
        let client = Mutex::new(prepared.client);
        let (sealed_tx, sealed_rx) = sync_channel(QUEUED_PAGES_MAX);
        let (opened_tx, opened_rx) = sync_channel(QUEUED_PAGES_MAX);
        let (batch_tx, mut batch_rx) = tokio::sync::mpsc::channel(QUEUED_PAGES_MAX);
        let runtime = tokio::runtime::Handle::current();
        // All of it may block: at the end it waits for threads that wait for the network.
        tokio::task::block_in_place(|| {
            std::thread::scope(|scope| -> Result<(), PullError> {
                let (client, stop, source) = (&client, &stop, &source);
                let fetch = scope.spawn(move || self.fetch(client, stop, cursor, until, sealed_tx));
                let unseal = scope.spawn(|| unseal(&self.keys, &self.status, sealed_rx, opened_tx));
                let decrypt =
                    scope.spawn(move || self.decrypt(client, stop, source, opened_rx, batch_tx));
                // However the commits end, by a panic too, the stages end: the fetch would else poll
                // on, and look alive, for a stage that is gone.
                let at_end = StopAtEnd(stop);
                // The scope's own thread drives the commits.
                let committed = runtime.block_on(self.commit_all(sink, source, &mut batch_rx));
                drop(at_end);
                // Stages that wait for room end when their receiver is gone.
                drop(batch_rx);
                let decrypted = decrypt.join().map_err(|_| PullError::Panicked)?;
                unseal.join().map_err(|_| PullError::Panicked)?;
                let fetched = fetch.join().map_err(|_| PullError::Panicked)?;
                committed.and(decrypted).and(fetched)
            })
        })
    }

    pub(super) fn call_error(&self, source: CallError) -> PullError {
        PullError::Call {
            corpid: self.corp.corpid.clone(),
            source,
        }
    }

    pub(super) fn start_worker(&self) -> Result<WorkerClient, CallError> {
        let session = Session {
            library: self.corp.sdk_library.clone(),
            corpid: self.corp.corpid.clone(),
            secret: self.corp.secret.clone().unwrap_or_default(),
            proxy: self.corp.proxy.clone(),
            passwd: self.corp.proxy_password.clone(),
        };
        let limits = Limits {
            call_timeout: Duration::from_secs(self.settings.timeout_seconds),
            memory_bytes_max: self.settings.worker_memory_mib_max << 20,
            ..Limits::default()
        };
        WorkerClient::start(self.worker.clone(), session, limits)
    }

    /// Stage 4: gathers batches and commits them with the cursor.
    async fn commit_all(
        &self,
        sink: &SharedSink,
        source: &Arc<str>,
        batches: &mut tokio::sync::mpsc::Receiver<Batch>,
    ) -> Result<(), PullError> {
        let wait = Duration::from_millis(self.settings.commit_wait_ms);
        while let Some(first) = batches.recv().await {
            self.status.leave(Stage::Parsed);
            let started = Instant::now();
            let mut step = first.step;
            let mut rows = first.rows;
            let mut n_bytes = bytes_of(&rows);
            while rows.len() < self.settings.commit_records_max && n_bytes < COMMIT_BYTES_MAX {
                // While the backlog drains, waiting makes commits larger; at its end it only
                // delays what could be searchable already.
                let longest = if self.status.is_caught_up.load(Ordering::Relaxed) {
                    QUIET
                } else {
                    wait
                };
                let left = wait.saturating_sub(started.elapsed()).min(longest);
                match tokio::time::timeout(left, batches.recv()).await {
                    Ok(Some(next)) => {
                        self.status.leave(Stage::Parsed);
                        step.to = next.step.to;
                        n_bytes += bytes_of(&next.rows);
                        rows.extend(next.rows);
                    }
                    Ok(None) | Err(_) => break,
                }
            }
            let n_delivered = rows.len() as u64;
            let newest = rows.iter().filter(|row| row.status == RowStatus::Ok);
            let newest = newest.map(|row| row.msgtime_ms).max();
            let began = Instant::now();
            let done = sink.append(source, rows, Some(step)).await?;
            let status = &self.status;
            status.n_delivered.fetch_add(n_delivered, Ordering::Relaxed);
            status
                .n_archived
                .fetch_add(done.n_archived, Ordering::Relaxed);
            status
                .n_quarantined
                .fetch_add(done.n_quarantined, Ordering::Relaxed);
            status
                .n_duplicates
                .fetch_add(done.n_duplicates, Ordering::Relaxed);
            status.note_commit(step.to as u64, began.elapsed(), newest);
            tracing::debug!(n_messages = n_delivered, cursor = step.to, "committed");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_the_commits_ends_the_pull_by_a_panic_too() {
        let stop = Stop::default();
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _at_end = StopAtEnd(&stop);
            panic!("a stage");
        }));
        assert!(ended.is_err() && stop.is_stopped());
    }
}
