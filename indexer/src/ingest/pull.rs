//! The pull: pages from the SDK worker, unsealed, decrypted, parsed and committed with the
//! cursor, then followed (architecture, "The path of a message").
//!
//! Stages are threads joined by bounded queues, so that the network, RSA (the ceiling), the
//! worker's decryption and the table's commits overlap; order is kept because each stage is one
//! thread. The cursor moves only in the commit that holds the rows: a kill at any moment repeats
//! at most what was not committed.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use huicun_engine::archive::{CursorMove, MessageRow};
use huicun_ffi_finance_sdk::page::{DamagedRecord, SealedRecord};
use huicun_ffi_finance_sdk::worker::{
    CallError, DecryptOutcome, Limits, Session, WorkerClient, WorkerCommand,
};
use rayon::prelude::*;

use super::config::{Corp, PullSettings};
use super::keys::{KeyError, KeyRing};
use super::row::{self, Origin};
use super::sink::{COMMIT_BYTES_MAX, Sink, SinkError, bytes_of};

/// Pages between two stages: enough to overlap, few enough to stay small (a page is some MB).
const QUEUED_PAGES_MAX: usize = 4;
/// WeCom allows 600 calls of GetChatData a minute (wecom-sdk 3).
const CALLS_PER_MINUTE_MAX: usize = 600;
/// The longest wait between two attempts.
const BACK_OFF_MAX: Duration = Duration::from_secs(300);
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

/// What a pull has done so far; read by progress lines, `/readyz` and `/metrics`.
#[derive(Debug, Default)]
pub struct Status {
    /// Records that WeCom delivered.
    pub n_delivered: AtomicU64,
    /// Messages archived.
    pub n_archived: AtomicU64,
    /// Records quarantined.
    pub n_quarantined: AtomicU64,
    /// Records that were already there.
    pub n_duplicates: AtomicU64,
    /// Commits made.
    pub n_commits: AtomicU64,
    /// The cursor.
    pub cursor: AtomicU64,
    /// UTC milliseconds of the last answer of WeCom without an error; 0 before the first.
    pub answered_at_ms: AtomicU64,
    /// Whether the last answer said that there is nothing more.
    pub is_caught_up: AtomicBool,
    /// The last error, with its advice.
    pub last_error: Mutex<Option<String>>,
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

struct SealedPage {
    step: CursorMove,
    records: Vec<SealedRecord>,
    damaged: Vec<DamagedRecord>,
}

struct OpenedPage {
    step: CursorMove,
    records: Vec<(SealedRecord, Result<String, &'static str>)>,
    damaged: Vec<DamagedRecord>,
}

struct Batch {
    step: CursorMove,
    rows: Vec<MessageRow>,
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
        let client = Mutex::new(Some(client));
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

    fn with_worker<T>(
        &self,
        client: &Mutex<Option<WorkerClient>>,
        call: impl FnOnce(&mut WorkerClient) -> Result<T, CallError>,
    ) -> Result<T, CallError> {
        let mut guard = lock(client);
        if guard.is_none() {
            *guard = Some(self.start_worker()?);
        }
        match guard.as_mut() {
            Some(client) => call(client),
            None => unreachable!("a worker was started just above"),
        }
    }

    /// Stage 1: asks for page after page, as fast as WeCom allows.
    fn fetch(
        &self,
        client: &Mutex<Option<WorkerClient>>,
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
            let page = match self.with_worker(client, |client| client.page(after, limit)) {
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
        client: &Mutex<Option<WorkerClient>>,
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
        client: &Mutex<Option<WorkerClient>>,
        items: &[(String, String)],
    ) -> Result<Vec<DecryptOutcome>, PullError> {
        let mut n_failures = 0;
        loop {
            match self.with_worker(client, |client| client.decrypt_isolating(items)) {
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

/// A damaged record's seq moves the cursor only this far past what is known to be good: a
/// number that the damage made must not skip what comes after.
const DAMAGED_SEQ_LEAP_MAX: u64 = 100_000;

fn sealed_page(
    records: Vec<SealedRecord>,
    damaged: Vec<DamagedRecord>,
    after: u64,
) -> Result<SealedPage, PullError> {
    let first = records.iter().map(|r| r.seq).min();
    if let Some(seq) = first.filter(|seq| *seq <= after) {
        return Err(PullError::SeqNotAfter { seq, after });
    }
    let good = records.iter().map(|r| r.seq).max().unwrap_or(after);
    let last = damaged
        .iter()
        .filter_map(|record| record.seq)
        .filter(|seq| *seq <= good.saturating_add(DAMAGED_SEQ_LEAP_MAX))
        .fold(good, u64::max);
    // A page of nothing but records without a believable seq cannot move the cursor.
    if last == after {
        return Err(PullError::NoSeq { after });
    }
    let to = i64::try_from(last).map_err(|_| PullError::SeqTooLarge { seq: last })?;
    Ok(SealedPage {
        step: CursorMove {
            from: after as i64,
            to,
        },
        records,
        damaged,
    })
}

/// Stage 2: RSA, on all cores.
fn unseal(keys: &KeyRing, pages: Receiver<SealedPage>, opened: SyncSender<OpenedPage>) {
    for page in pages {
        let records = page
            .records
            .into_par_iter()
            .map(|record| {
                let key = keys.unseal(record.publickey_ver, &record.encrypt_random_key);
                (record, key.map_err(|e| e.reason()))
            })
            .collect();
        let page = OpenedPage {
            step: page.step,
            records,
            damaged: page.damaged,
        };
        if opened.send(page).is_err() {
            return;
        }
    }
}

fn to_batch(page: OpenedPage, outcomes: Vec<DecryptOutcome>, source: &Arc<str>) -> Batch {
    let now_ms = chrono::Utc::now().timestamp_millis();
    let origin = |seq: u64, version: Option<u32>| Origin {
        source: Arc::clone(source),
        seq: i64::try_from(seq).unwrap_or(page.step.to),
        publickey_ver: version.and_then(|v| i32::try_from(v).ok()),
        now_ms,
    };
    let mut outcomes = VecDeque::from(outcomes);
    let paired: Vec<(SealedRecord, Result<DecryptOutcome, &'static str>)> = page
        .records
        .into_iter()
        .map(|(record, key)| {
            let outcome = key.and_then(|_| outcomes.pop_front().ok_or("sdk_no_answer"));
            (record, outcome)
        })
        .collect();
    let mut rows: Vec<MessageRow> = paired
        .into_par_iter()
        .map(|(record, outcome)| {
            let origin = origin(record.seq, Some(record.publickey_ver));
            let reason = match outcome {
                Ok(DecryptOutcome::Plain(bytes)) => return row::of_plaintext(&origin, &bytes),
                Ok(DecryptOutcome::Failed(code)) => format!("sdk_{}", code.number()),
                Ok(DecryptOutcome::Crashed) => "sdk_crash".to_string(),
                Err(reason) => reason.to_string(),
            };
            row::quarantined(&origin, &record.msgid, &reason, sealed_json(&record))
        })
        .collect();
    for record in page.damaged {
        let origin = origin(record.seq.unwrap_or(page.step.to as u64), None);
        let msgid = record.msgid.unwrap_or_default();
        rows.push(row::quarantined(
            &origin,
            &msgid,
            "damaged_record",
            record.raw.into_bytes(),
        ));
    }
    Batch {
        step: page.step,
        rows,
    }
}

/// The sealed record as WeCom gave it: what a later key needs to open it.
fn sealed_json(record: &SealedRecord) -> Vec<u8> {
    serde_json::json!({
        "seq": record.seq,
        "msgid": record.msgid,
        "publickey_ver": record.publickey_ver,
        "encrypt_random_key": record.encrypt_random_key,
        "encrypt_chat_msg": record.encrypt_chat_msg,
    })
    .to_string()
    .into_bytes()
}

/// An eighth more: at most one call in seven is refused again where small pages are needed.
fn larger(limit: u32) -> u32 {
    limit.saturating_add(limit / 8 + 1)
}

/// 1 s, 2 s, 4 s ... up to the bound, less up to half of it by chance.
fn back_off(n_failures: u32) -> Duration {
    let full = Duration::from_secs(1 << n_failures.saturating_sub(1).min(9)).min(BACK_OFF_MAX);
    let mut byte = [0u8; 1];
    let chance = match aws_lc_rs::rand::fill(&mut byte) {
        Ok(()) => f64::from(byte[0]) / 255.0,
        Err(_) => 0.5,
    };
    full.mul_f64(0.5 + chance / 2.0)
}

/// Keeps calls under WeCom's bound: never more than the allowed number in any minute.
#[derive(Default)]
struct Limiter {
    calls: VecDeque<Instant>,
}

impl Limiter {
    fn wait(&mut self) -> Duration {
        let minute = Duration::from_secs(60);
        while self.calls.front().is_some_and(|at| at.elapsed() >= minute) {
            self.calls.pop_front();
        }
        if self.calls.len() < CALLS_PER_MINUTE_MAX {
            return Duration::ZERO;
        }
        let oldest = self.calls.front().map_or(Duration::ZERO, Instant::elapsed);
        minute.saturating_sub(oldest)
    }

    fn note(&mut self) {
        self.calls.push_back(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_grows_to_its_bound() {
        assert!(back_off(1) <= Duration::from_secs(1));
        assert!(back_off(40) <= BACK_OFF_MAX && back_off(40) >= BACK_OFF_MAX / 2);
    }

    #[test]
    fn the_call_after_the_allowed_ones_waits() {
        let mut limiter = Limiter::default();
        for _ in 0..CALLS_PER_MINUTE_MAX {
            assert_eq!(limiter.wait(), Duration::ZERO);
            limiter.note();
        }
        assert!(limiter.wait() > Duration::from_secs(50));
    }

    #[test]
    fn a_page_size_that_was_halved_grows_back() {
        let mut limit = 1;
        let mut n_pages = 0;
        while limit < 1000 {
            limit = larger(limit).min(1000);
            n_pages += 1;
        }
        assert!(n_pages < 60, "{n_pages}");
    }

    #[test]
    fn the_end_of_the_commits_ends_the_pull_by_a_panic_too() {
        let stop = Stop::default();
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _at_end = StopAtEnd(&stop);
            panic!("a stage");
        }));
        assert!(ended.is_err() && stop.is_stopped());
    }

    #[test]
    fn a_damaged_seq_far_away_does_not_move_the_cursor() {
        let damaged = |seq| DamagedRecord {
            raw: "{}".into(),
            seq: Some(seq),
            msgid: None,
            field: "msgid",
        };
        let page = sealed_page(vec![], vec![damaged(9), damaged(10_000_000_000)], 5).unwrap();
        assert_eq!((page.step.from, page.step.to), (5, 9));
        let page = sealed_page(vec![], vec![damaged(10_000_000_000)], 5);
        assert!(matches!(page, Err(PullError::NoSeq { after: 5 })));
    }

    #[test]
    fn a_page_that_does_not_continue_is_refused() {
        let record = SealedRecord {
            seq: 5,
            msgid: "m".into(),
            publickey_ver: 1,
            encrypt_random_key: String::new(),
            encrypt_chat_msg: String::new(),
        };
        let page = sealed_page(vec![record], vec![], 5);
        assert!(matches!(page, Err(PullError::SeqNotAfter { .. })));
    }
}
