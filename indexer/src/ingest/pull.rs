//! The pull: pages from the SDK worker, unsealed, decrypted, parsed and committed with the
//! cursor, then followed (architecture, "The path of a message").
//!
//! Stages are threads joined by bounded queues, so that the network, RSA (the ceiling), the
//! worker's decryption and the table's commits overlap; order is kept because each stage is one
//! thread. The cursor moves only in the commit that holds the rows: a kill at any moment repeats
//! at most what was not committed.

use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use huicun_ffi_finance_sdk::worker::{
    CallError, DecryptOutcome, Limits, Session, WorkerClient, WorkerCommand,
};

use super::config::{Corp, PullSettings};
use super::keys::{KeyError, KeyRing};
use super::pace::{Limiter, back_off, larger};
use super::pages::{Batch, OpenedPage, SealedPage, sealed_page, to_batch, unseal};
use super::sink::{COMMIT_BYTES_MAX, Sink, SinkError, bytes_of};
use super::status::Status;

/// Pages between two stages: enough to overlap, few enough to stay small (a page is some MB).
const QUEUED_PAGES_MAX: usize = 4;
/// `pull --once` gives up on an error that wants a longer wait, such as an address that WeCom
/// does not trust: somebody is waiting for the command, and must act first.
const WAIT_ONCE_MAX: Duration = Duration::from_secs(30);
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
    /// A number that no open table format can hold.
    #[error("WeCom gave seq {seq}, which is beyond 63 bits")]
    SeqTooLarge {
        /// The number.
        seq: u64,
    },
    /// A page that does not continue the last.
    #[error("WeCom gave seq {seq} after seq {after} was asked for")]
    SeqNotAfter {
        /// The number.
        seq: u64,
        /// The cursor of the call.
        after: u64,
    },
    /// A page in which no record tells its number.
    #[error("WeCom gave only records without a readable seq after seq {after}")]
    NoSeq {
        /// The cursor of the call.
        after: u64,
    },
    /// The archive could not be written.
    #[error(transparent)]
    Sink(#[from] SinkError),
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

/// Asks a running pull to end cleanly; cloned into signal handlers.
#[derive(Clone, Default)]
pub struct Stop {
    inner: Arc<(Mutex<bool>, Condvar)>,
}

impl Stop {
    /// Ends the pull after what is under way is committed.
    pub fn stop(&self) {
        *lock(&self.inner.0) = true;
        self.inner.1.notify_all();
    }

    /// Whether it was asked to end.
    pub fn is_stopped(&self) -> bool {
        *lock(&self.inner.0)
    }

    /// Done when it was asked to end; looks four times a second.
    pub fn stopped(&self) -> impl Future<Output = ()> + Send + use<> {
        let this = self.clone();
        async move {
            while !this.is_stopped() {
                tokio::time::sleep(Duration::from_millis(250)).await;
            }
        }
    }

    /// Sleeps, or wakes when asked to end.
    fn sleep(&self, time: Duration) {
        let guard = lock(&self.inner.0);
        let _ = self
            .inner
            .1
            .wait_timeout_while(guard, time, |stopped| !*stopped)
            .map_err(PoisonError::into_inner);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends the pull when it is dropped.
struct StopAtEnd<'a>(&'a Stop);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// What a pull needs from outside the archive: its keys, and the SDK open in its worker.
pub struct Prepared {
    keys: KeyRing,
    client: WorkerClient,
}

/// One pull.
pub struct Pull {
    /// The company.
    pub corp: Corp,
    /// How to behave.
    pub settings: PullSettings,
    /// How the worker process is started.
    pub worker: WorkerCommand,
    /// Where it can be watched.
    pub status: Arc<Status>,
    /// How it can be ended.
    pub stop: Stop,
}

impl Pull {
    /// Reads the keys and opens the SDK: what can be wrong with a configuration is found before a
    /// data directory is made or touched. Blocks for the time that the library takes to load.
    ///
    /// # Errors
    /// Nothing here asks the network, so nothing is tried again.
    pub fn prepare(&self) -> Result<Prepared, PullError> {
        Ok(Prepared {
            keys: KeyRing::read(&self.corp.keys)?,
            client: self.start_worker().map_err(|e| self.call_error(e))?,
        })
    }

    /// Pulls into `sink` until done or stopped. Inside a tokio runtime with several threads.
    ///
    /// # Errors
    /// Everything before the error is committed.
    pub async fn run(
        &self,
        prepared: Prepared,
        mut sink: Sink,
        until: Until,
    ) -> Result<(), PullError> {
        let Prepared { keys, client } = prepared;
        let source: Arc<str> = self.corp.corpid.as_str().into();
        let cursor = sink
            .messages()
            .cursor(&source)
            .await
            .map_err(SinkError::from)?;
        self.status.cursor.store(cursor as u64, Ordering::Relaxed);
        // A worker that was lost is started again by the next call.
        let client = Mutex::new(client);
        let (sealed_tx, sealed_rx) = sync_channel(QUEUED_PAGES_MAX);
        let (opened_tx, opened_rx) = sync_channel(QUEUED_PAGES_MAX);
        let (batch_tx, mut batch_rx) = tokio::sync::mpsc::channel(QUEUED_PAGES_MAX);
        let runtime = tokio::runtime::Handle::current();
        // All of it may block: at the end it waits for threads that wait for the network.
        let outcome = tokio::task::block_in_place(|| {
            std::thread::scope(|scope| -> Result<(), PullError> {
                let fetch = scope.spawn(|| self.fetch(&client, cursor as u64, until, sealed_tx));
                let unseal = scope.spawn(|| unseal(&keys, sealed_rx, opened_tx));
                let decrypt = scope.spawn(|| self.decrypt(&client, &source, opened_rx, batch_tx));
                // However the commits end, by a panic too, the stages end: the fetch would else poll
                // on, and look alive, for a stage that is gone.
                let at_end = StopAtEnd(&self.stop);
                // The scope's own thread drives the commits.
                let committed =
                    runtime.block_on(self.commit_all(&mut sink, &source, &mut batch_rx));
                drop(at_end);
                // Stages that wait for room end when their receiver is gone.
                drop(batch_rx);
                let decrypted = decrypt.join().map_err(|_| PullError::Panicked)?;
                unseal.join().map_err(|_| PullError::Panicked)?;
                let fetched = fetch.join().map_err(|_| PullError::Panicked)?;
                committed.and(decrypted).and(fetched)
            })
        });
        let closed = sink.close().await;
        outcome?;
        Ok(closed?)
    }

    fn call_error(&self, source: CallError) -> PullError {
        PullError::Call {
            corpid: self.corp.corpid.clone(),
            source,
        }
    }

    fn start_worker(&self) -> Result<WorkerClient, CallError> {
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

    /// Stage 1: asks for page after page, as fast as WeCom allows.
    fn fetch(
        &self,
        client: &Mutex<WorkerClient>,
        mut after: u64,
        until: Until,
        pages: SyncSender<SealedPage>,
    ) -> Result<(), PullError> {
        let mut limiter = Limiter::default();
        let mut n_failures = 0;
        let mut limit = self.settings.page_records;
        while !self.stop.is_stopped() {
            self.stop.sleep(limiter.wait());
            limiter.note();
            let page = match lock(client).page(after, limit) {
                Ok(page) => page,
                Err(error) => {
                    let wants_less =
                        matches!(&error, CallError::Api(api) if api.code.wants_smaller_page());
                    if wants_less && limit > 1 {
                        limit /= 2;
                        tracing::warn!(%error, page_records = limit, "asking for smaller pages");
                        continue;
                    }
                    n_failures += 1;
                    self.after_failure(error, n_failures, until)?;
                    continue;
                }
            };
            n_failures = 0;
            *lock(&self.status.last_error) = None;
            let now = chrono::Utc::now().timestamp_millis() as u64;
            self.status.answered_at_ms.store(now, Ordering::Relaxed);
            self.status
                .is_caught_up
                .store(page.is_empty(), Ordering::Relaxed);
            if page.is_empty() {
                if until == Until::CaughtUp {
                    return Ok(());
                }
                self.stop.sleep(self.settings.poll());
                continue;
            }
            let page = match sealed_page(page.records, page.damaged, after) {
                Ok(page) => page,
                Err(error) => {
                    n_failures += 1;
                    self.after_bad_page(error, n_failures, until)?;
                    continue;
                }
            };
            after = page.step.to as u64;
            // A size that was once refused is tried again a little at a time.
            limit = larger(limit).min(self.settings.page_records);
            if pages.send(page).is_err() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Waits before the next attempt, or gives up with the error.
    fn after_failure(
        &self,
        error: CallError,
        n_failures: u32,
        until: Until,
    ) -> Result<(), PullError> {
        let is_first = self.status.answered_at_ms.load(Ordering::Relaxed) == 0;
        let gives_up = match until {
            Until::CaughtUp => {
                !error.is_retryable()
                    || n_failures >= self.settings.attempts_once
                    || error.wait_at_least() > WAIT_ONCE_MAX
            }
            // A pull that has never worked is misconfigured; one that has worked goes on trying.
            Until::Stopped => is_first && !error.is_retryable(),
        };
        *lock(&self.status.last_error) = Some(format!("{error}; {}", error.advice_en()));
        if gives_up {
            return Err(self.call_error(error));
        }
        let wait = back_off(n_failures).max(error.wait_at_least());
        tracing::warn!(
            %error,
            advice = error.advice_en(),
            attempt = n_failures,
            wait_seconds = wait.as_secs_f64(),
            "WeCom did not answer; trying again"
        );
        self.stop.sleep(wait);
        Ok(())
    }

    /// A page that makes no sense: WeCom may give a better one, but nobody knows.
    fn after_bad_page(
        &self,
        error: PullError,
        n_failures: u32,
        until: Until,
    ) -> Result<(), PullError> {
        *lock(&self.status.last_error) = Some(error.to_string());
        if until == Until::CaughtUp && n_failures >= self.settings.attempts_once {
            return Err(error);
        }
        tracing::error!(%error, attempt = n_failures, "a page cannot be used; trying again");
        self.stop.sleep(back_off(n_failures));
        Ok(())
    }

    /// Stage 3: decrypts in the worker and parses.
    fn decrypt(
        &self,
        client: &Mutex<WorkerClient>,
        source: &Arc<str>,
        pages: Receiver<OpenedPage>,
        batches: tokio::sync::mpsc::Sender<Batch>,
    ) -> Result<(), PullError> {
        for page in pages {
            let items: Vec<(String, String)> = page
                .records
                .iter()
                .filter_map(|(record, key)| {
                    let key = key.as_ref().ok()?;
                    Some((key.clone(), record.encrypt_chat_msg.clone()))
                })
                .collect();
            let outcomes = self.decrypt_patiently(client, &items)?;
            let batch = to_batch(page, outcomes, source);
            if batches.blocking_send(batch).is_err() {
                break;
            }
        }
        Ok(())
    }

    /// Decryption is local: a worker that cannot be had is waited for, as the network is.
    fn decrypt_patiently(
        &self,
        client: &Mutex<WorkerClient>,
        items: &[(String, String)],
    ) -> Result<Vec<DecryptOutcome>, PullError> {
        let mut n_failures = 0;
        loop {
            match lock(client).decrypt_isolating(items) {
                Ok(outcomes) => return Ok(outcomes),
                // Too many records that kill the worker for one search: halves get further.
                Err(CallError::TooManyLosses { .. }) if items.len() > 1 => {
                    let (first, second) = items.split_at(items.len() / 2);
                    let mut outcomes = self.decrypt_patiently(client, first)?;
                    outcomes.extend(self.decrypt_patiently(client, second)?);
                    return Ok(outcomes);
                }
                Err(error) => {
                    n_failures += 1;
                    if n_failures >= self.settings.attempts_once || self.stop.is_stopped() {
                        self.stop.stop();
                        return Err(self.call_error(error));
                    }
                    tracing::warn!(%error, attempt = n_failures, "the SDK worker cannot decrypt");
                    self.stop.sleep(back_off(n_failures));
                }
            }
        }
    }

    /// Stage 4: gathers batches and commits them with the cursor.
    async fn commit_all(
        &self,
        sink: &mut Sink,
        source: &Arc<str>,
        batches: &mut tokio::sync::mpsc::Receiver<Batch>,
    ) -> Result<(), PullError> {
        let wait = Duration::from_millis(self.settings.commit_wait_ms);
        while let Some(first) = batches.recv().await {
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
                        step.to = next.step.to;
                        n_bytes += bytes_of(&next.rows);
                        rows.extend(next.rows);
                    }
                    Ok(None) | Err(_) => break,
                }
            }
            let n_delivered = rows.len() as u64;
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
            status.n_commits.fetch_add(1, Ordering::Relaxed);
            status.cursor.store(step.to as u64, Ordering::Relaxed);
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
