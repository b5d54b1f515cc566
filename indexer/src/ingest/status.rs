//! What a pull has done so far: numbers that its stages raise and that progress lines, `/readyz`
//! and `/metrics` read. Of this process only; what lasts is in the archive and, for the last answer
//! of WeCom and the last failure, in the state database.
//!
//! A pull counts as well only while something is measured: one that never had an answer is in
//! trouble once its time is up, as is one whose pages are not committed.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use huicun_engine::state::State;
use huicun_engine::state::pulls::{NOTE_EVERY_MS, PullFailure};
use huicun_ffi_finance_sdk::worker::CallError;

/// Without an answer of WeCom for this long, a pull is stalled.
const STALLED_AFTER: Duration = Duration::from_secs(600);

/// The same for a pull that looks this often: three looks in vain at least.
pub fn stalled_after(poll: Duration) -> Duration {
    STALLED_AFTER.max(poll * 3)
}

/// The upper bounds of the buckets of a commit's duration, milliseconds.
pub const COMMIT_BUCKETS_MS: [u64; 9] = [10, 25, 50, 100, 250, 500, 1000, 2500, 10_000];

/// Where pages wait on their way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// As WeCom gave them, before RSA.
    Sealed,
    /// Their keys open, before the worker's decryption.
    Opened,
    /// Rows, before the commit.
    Parsed,
}

impl Stage {
    /// All, in order.
    pub const ALL: [Self; 3] = [Self::Sealed, Self::Opened, Self::Parsed];

    /// The word in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sealed => "sealed",
            Self::Opened => "opened",
            Self::Parsed => "parsed",
        }
    }
}

/// What is wrong with a pull, in one stable word each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// The last call failed.
    Failing,
    /// No answer for too long.
    Stalled,
    /// Pages came and were not committed for too long.
    NotCommitting,
}

impl Trouble {
    /// The word in `/readyz`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Failing => "pull_failing",
            Self::Stalled => "pull_stalled",
            Self::NotCommitting => "pull_not_committing",
        }
    }
}

/// What a pull has done so far; read by progress lines, `/readyz` and `/metrics`.
#[derive(Debug, Default)]
pub struct Status {
    /// Whose pull it is.
    pub corpid: String,
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
    /// UTC milliseconds; 0 before the pull began.
    pub started_at_ms: AtomicU64,
    /// Calls of GetChatData.
    pub n_calls: AtomicU64,
    /// Failures by kind and code.
    pub failures: Mutex<BTreeMap<(&'static str, String), u64>>,
    /// SDK workers started.
    pub n_worker_starts: AtomicU64,
    /// The worker's process id; 0 for none.
    pub worker_pid: AtomicU32,
    /// The newest message pulled, UTC milliseconds; 0 before the first.
    pub newest_message_ms: AtomicI64,
    /// Commits by duration: one more than [`COMMIT_BUCKETS_MS`], not summed up.
    pub commit_buckets: [AtomicU64; COMMIT_BUCKETS_MS.len() + 1],
    /// Time spent in commits, microseconds.
    pub commit_micros: AtomicU64,
    /// Since when pages wait for a commit, UTC milliseconds; 0 when none do.
    waiting_since_ms: AtomicU64,
    queued: [AtomicI64; 3],
    /// Pages that came and are not committed, and those of them that the next commit holds.
    n_pending: AtomicI64,
    n_gathered: AtomicI64,
    stalled_after: Option<Duration>,
    record: OnceLock<Arc<State>>,
    noted_at_ms: AtomicI64,
    noted_failure: Mutex<Option<(String, i64)>>,
}

impl Status {
    /// The status of a company's pull; without an answer for `stalled_after` it is stalled.
    pub fn new(corpid: &str, stalled_after: Duration) -> Self {
        Self {
            corpid: corpid.to_string(),
            stalled_after: Some(stalled_after),
            ..Self::default()
        }
    }

    /// Keeps the last answer and the last failure in the state database as well.
    pub fn record_in(&self, state: Arc<State>) {
        // A second one would be the same database.
        let _ = self.record.set(state);
    }

    /// The pull begins, or begins again: pages of a run that failed are asked for anew.
    pub fn begin(&self, cursor: u64) {
        self.cursor.store(cursor, Relaxed);
        let first = now_ms() as u64;
        // One that fails and begins again and again has been silent since its first beginning.
        let _ = self
            .started_at_ms
            .compare_exchange(0, first, Relaxed, Relaxed);
        for count in self
            .queued
            .iter()
            .chain([&self.n_pending, &self.n_gathered])
        {
            count.store(0, Relaxed);
        }
        self.waiting_since_ms.store(0, Relaxed);
    }

    /// WeCom is asked for a page.
    pub fn note_call(&self) {
        self.n_calls.fetch_add(1, Relaxed);
    }

    /// The worker after a call.
    pub fn note_worker(&self, n_starts: u64, pid: Option<u32>) {
        self.n_worker_starts.store(n_starts, Relaxed);
        self.worker_pid.store(pid.unwrap_or(0), Relaxed);
    }

    /// Shows an error until WeCom answers again.
    pub fn set_error(&self, error: String) {
        *lock(&self.last_error) = Some(error);
    }

    /// WeCom answered; `is_empty` when it has nothing more.
    pub fn note_answer(&self, is_empty: bool) {
        let now = now_ms();
        *lock(&self.last_error) = None;
        self.answered_at_ms.store(now as u64, Relaxed);
        self.is_caught_up.store(is_empty, Relaxed);
        let had_failed = lock(&self.noted_failure).take().is_some();
        let noted = self.noted_at_ms.load(Relaxed);
        if !had_failed && (now - noted).unsigned_abs() < NOTE_EVERY_MS.unsigned_abs() {
            return;
        }
        self.noted_at_ms.store(now, Relaxed);
        if let Some(state) = self.record.get()
            && let Err(error) = state.note_answer(&self.corpid, now)
        {
            tracing::warn!(%error, "the record of the pull cannot be written");
        }
    }

    /// A call failed.
    pub fn note_failure(&self, error: &CallError) {
        let (kind, code) = kind_of(error);
        *lock(&self.last_error) = Some(format!("{error}; {}", error.advice_en()));
        *lock(&self.failures)
            .entry((kind, code.clone()))
            .or_default() += 1;
        let now = now_ms();
        let word = format!("{kind} {code}");
        let mut noted = lock(&self.noted_failure);
        if noted
            .as_ref()
            .is_some_and(|(before, at)| *before == word && now - at < NOTE_EVERY_MS)
        {
            return;
        }
        *noted = Some((word.clone(), now));
        let Some(state) = self.record.get() else {
            return;
        };
        let failure = PullFailure {
            at_ms: now,
            code: word.trim_end().to_string(),
            text: error.to_string(),
            advice_zh: error.advice_zh().to_string(),
            advice_en: error.advice_en().to_string(),
        };
        if let Err(error) = state.note_failure(&self.corpid, &failure) {
            tracing::warn!(%error, "the record of the pull cannot be written");
        }
    }

    /// A page cannot be used.
    pub fn note_bad_page(&self, error: &dyn std::error::Error) {
        *lock(&self.last_error) = Some(error.to_string());
        *lock(&self.failures)
            .entry(("page", "unusable".into()))
            .or_default() += 1;
    }

    /// Rows and cursor are safely in.
    pub fn note_commit(&self, cursor: u64, took: Duration, newest_message_ms: Option<i64>) {
        self.n_commits.fetch_add(1, Relaxed);
        self.cursor.store(cursor, Relaxed);
        let ms = took.as_millis() as u64;
        let bucket = COMMIT_BUCKETS_MS.iter().position(|bound| ms <= *bound);
        self.commit_buckets[bucket.unwrap_or(COMMIT_BUCKETS_MS.len())].fetch_add(1, Relaxed);
        self.commit_micros
            .fetch_add(took.as_micros() as u64, Relaxed);
        if let Some(newest) = newest_message_ms {
            self.newest_message_ms.fetch_max(newest, Relaxed);
        }
        let n_pages = self.n_gathered.swap(0, Relaxed);
        let n_left = self.n_pending.fetch_sub(n_pages, Relaxed) - n_pages;
        // What still waits has waited since now at the longest, as far as anybody can tell.
        let since = if n_left > 0 { now_ms() as u64 } else { 0 };
        self.waiting_since_ms.store(since, Relaxed);
    }

    /// A page waits before a stage.
    pub fn enter(&self, stage: Stage) {
        self.queued[stage as usize].fetch_add(1, Relaxed);
        if stage == Stage::Sealed && self.n_pending.fetch_add(1, Relaxed) == 0 {
            self.waiting_since_ms.store(now_ms() as u64, Relaxed);
        }
    }

    /// A page is taken from before a stage.
    pub fn leave(&self, stage: Stage) {
        self.queued[stage as usize].fetch_sub(1, Relaxed);
        if stage == Stage::Parsed {
            self.n_gathered.fetch_add(1, Relaxed);
        }
    }

    /// Pages that wait before a stage.
    pub fn queued(&self, stage: Stage) -> u64 {
        self.queued[stage as usize].load(Relaxed).max(0) as u64
    }

    /// The time without an answer, up to now; since the beginning when there was none.
    pub fn silence(&self, now_ms: i64) -> Duration {
        let answered = self.answered_at_ms.load(Relaxed);
        let since = match answered {
            0 => self.started_at_ms.load(Relaxed),
            at => at,
        };
        // Before the pull has begun nothing is late yet.
        if since == 0 {
            return Duration::ZERO;
        }
        Duration::from_millis((now_ms.max(0) as u64).saturating_sub(since))
    }

    /// What is wrong, the gravest first.
    pub fn trouble(&self, now_ms: i64) -> Option<Trouble> {
        let bound = self.stalled_after.unwrap_or(STALLED_AFTER);
        if self.silence(now_ms) > bound {
            return Some(Trouble::Stalled);
        }
        if lock(&self.last_error).is_some() {
            return Some(Trouble::Failing);
        }
        let waiting = self.waiting_since_ms.load(Relaxed);
        let late = (now_ms.max(0) as u64).saturating_sub(waiting);
        let is_late = waiting != 0 && Duration::from_millis(late) > bound;
        is_late.then_some(Trouble::NotCommitting)
    }
}

/// The pull of one company, as it is watched.
#[derive(Debug, Clone)]
pub struct Watched {
    /// The company.
    pub corpid: String,
    /// What its pull has done so far.
    pub status: Arc<Status>,
}

/// A failure's kind and its code, for counters and the record: no text of anybody's in it.
pub fn kind_of(error: &CallError) -> (&'static str, String) {
    match error {
        CallError::Sdk(code) => ("sdk", code.number().to_string()),
        CallError::Api(api) => ("api", api.code.errcode().to_string()),
        CallError::MalformedPage(_) => ("page", "malformed".into()),
        CallError::Crashed { .. } => ("worker", "crashed".into()),
        CallError::TimedOut { .. } => ("worker", "timed_out".into()),
        CallError::MemoryExceeded { .. } => ("worker", "memory_exceeded".into()),
        CallError::Protocol { .. } => ("worker", "broke_protocol".into()),
        CallError::TooManyLosses { .. } => ("worker", "too_many_losses".into()),
        CallError::Spawn { .. } => ("worker", "not_started".into()),
        CallError::Load(_) => ("library", "not_loaded".into()),
    }
}

fn now_ms() -> i64 {
    chrono::Utc::now().timestamp_millis()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use huicun_ffi_finance_sdk::SdkCode;

    const BOUND: Duration = Duration::from_secs(600);

    #[test]
    fn a_pull_that_never_had_an_answer_is_stalled_once_its_time_is_up() {
        let status = Status::new("corp", BOUND);
        let now = now_ms();
        assert_eq!(status.trouble(now), None, "it has not begun");
        status.begin(0);
        assert_eq!(status.trouble(now), None);
        assert_eq!(status.trouble(now + 700_000), Some(Trouble::Stalled));
    }

    #[test]
    fn an_answer_heals_a_failure_and_grows_old() {
        let status = Status::new("corp", BOUND);
        status.begin(0);
        let now = now_ms();
        status.note_failure(&CallError::Sdk(SdkCode::Network));
        assert_eq!(status.trouble(now), Some(Trouble::Failing));
        status.note_answer(true);
        assert_eq!(status.trouble(now), None);
        assert_eq!(status.trouble(now + 700_000), Some(Trouble::Stalled));
        let failures = lock(&status.failures).clone();
        assert_eq!(failures[&("sdk", "10001".to_string())], 1);
    }

    #[test]
    fn pages_that_nobody_commits_are_red_although_wecom_answers() {
        let status = Status::new("corp", BOUND);
        status.begin(0);
        for _ in 0..2 {
            status.note_answer(false);
            status.enter(Stage::Sealed);
        }
        let later = now_ms() + 700_000;
        status.answered_at_ms.store(later as u64, Relaxed);
        assert_eq!(status.trouble(later), Some(Trouble::NotCommitting));
        status.leave(Stage::Parsed);
        status.note_commit(9, Duration::from_millis(30), Some(5));
        assert_eq!(status.trouble(later), Some(Trouble::NotCommitting));
        status.leave(Stage::Parsed);
        status.note_commit(10, Duration::from_millis(30), None);
        assert_eq!(status.trouble(later), None, "nothing waits any more");
        assert_eq!(status.commit_buckets[2].load(Relaxed), 2);
    }

    #[test]
    fn the_last_answer_and_failure_outlive_the_process() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.db");
        let state = Arc::new(State::open(&path).unwrap());
        let status = Status::new("corp", BOUND);
        status.record_in(Arc::clone(&state));
        status.note_failure(&CallError::Sdk(SdkCode::IpNotAllowed));
        drop(status);
        let record = State::open(&path).unwrap().pulls().unwrap().remove(0);
        assert_eq!(record.standing_failure().unwrap().code, "sdk 10009");
        let status = Status::new("corp", BOUND);
        status.record_in(state);
        status.note_answer(true);
        let record = State::open(&path).unwrap().pulls().unwrap().remove(0);
        assert!(record.standing_failure().is_none());
    }
}
