//! The pace of the pull: how often WeCom may be called, how long to wait after a failure, how
//! pages grow back.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use huicun_ffi_finance_sdk::worker::CallError;

/// WeCom allows 600 calls of GetChatData a minute (wecom-sdk 3).
const CALLS_PER_MINUTE_MAX: usize = 600;
const MINUTE_MS: i64 = 60_000;
/// The longest wait between two attempts, unless the code itself asks for more.
const BACK_OFF_MAX: Duration = Duration::from_secs(300);
/// The longest wait after a failure that is over in a moment, such as a child that died.
const LOCAL_BACK_OFF_MAX: Duration = Duration::from_secs(60);

/// An eighth more: at most one call in seven is refused again where small pages are needed.
pub(super) fn larger(limit: u32) -> u32 {
    limit.saturating_add(limit / 8 + 1)
}

/// 1 s, 2 s, 4 s ... up to the bound, less up to half of it by chance.
pub(super) fn back_off(n_failures: u32) -> Duration {
    doubled(Duration::from_secs(1), n_failures, BACK_OFF_MAX).mul_f64(0.5 + chance() / 2.0)
}

/// How long to wait after the `n_failures`-th failure in a row, by its kind.
///
/// What passes by itself is asked for again soon and then less and less often; what an operator
/// has to mend is asked for in the code's own long steps, and an eighth more by chance, so that
/// many machines behind one address do not come together.
pub(super) fn wait_after(error: &CallError, n_failures: u32) -> Duration {
    let least = error.wait_at_least();
    let grown = match error {
        _ if !error.is_retryable() => BACK_OFF_MAX.mul_f64(1.0 - chance() / 8.0),
        error if error.is_worker_lost() => back_off(n_failures).min(LOCAL_BACK_OFF_MAX),
        _ => back_off(n_failures),
    };
    grown.max(least.mul_f64(1.0 + chance() / 8.0))
}

/// How long to wait before a page that killed the child or made no sense is asked for again: soon,
/// because a smaller page is tried after a few times.
pub(super) fn wait_for_page(n_failures: u32) -> Duration {
    doubled(
        Duration::from_millis(100),
        n_failures,
        Duration::from_secs(2),
    )
    .mul_f64(0.5 + chance() / 2.0)
}

fn doubled(first: Duration, n_failures: u32, longest: Duration) -> Duration {
    let factor = 1 << n_failures.saturating_sub(1).min(12);
    (first * factor).min(longest)
}

/// From 0 to 1.
fn chance() -> f64 {
    let mut byte = [0u8; 1];
    match aws_lc_rs::rand::fill(&mut byte) {
        Ok(()) => f64::from(byte[0]) / 255.0,
        Err(_) => 0.5,
    }
}

/// Keeps the calls for one company under WeCom's bound: never more than the allowed number in any
/// minute, over restarts of the process too.
///
/// The times of the last calls are kept in a file of 600 numbers, written before each call and
/// never synced: a power cut takes longer than the minute that it could lie about.
pub(super) struct Limiter {
    /// When calls began, UTC milliseconds, as a ring; 0 for none.
    calls: Vec<i64>,
    next: usize,
    file: Option<File>,
    /// Time goes on from here by a clock that nobody sets.
    started: (i64, Instant),
}

impl Limiter {
    /// One that knows of no earlier call.
    fn new() -> Self {
        Self {
            calls: vec![0; CALLS_PER_MINUTE_MAX],
            next: 0,
            file: None,
            started: (chrono::Utc::now().timestamp_millis(), Instant::now()),
        }
    }

    fn now_ms(&self) -> i64 {
        let (at, instant) = self.started;
        at.saturating_add(instant.elapsed().as_millis() as i64)
    }

    /// Goes on where the last process left off. Without the file it still limits this one.
    pub(super) fn open(path: &Path) -> Self {
        let mut this = Self::new();
        let opened = path
            .parent()
            .map_or(Ok(()), std::fs::create_dir_all)
            .and_then(|()| {
                File::options()
                    .create(true)
                    .truncate(false)
                    .read(true)
                    .write(true)
                    .open(path)
            });
        match opened {
            Ok(file) => {
                let now = this.now_ms();
                for (slot, call) in this.calls.iter_mut().enumerate() {
                    let mut bytes = [0; 8];
                    if file.read_exact_at(&mut bytes, slot as u64 * 8).is_err() {
                        break;
                    }
                    // A clock that was set back must not stop the pull for longer than a minute.
                    *call = i64::from_le_bytes(bytes).min(now);
                }
                this.calls.sort_unstable();
                this.file = Some(file);
                this.keep_all();
            }
            Err(error) => {
                tracing::warn!(%error, "the times of the last calls cannot be kept");
            }
        }
        this
    }

    /// How long to wait before the next call.
    pub(super) fn wait(&self) -> Duration {
        self.wait_at(self.now_ms())
    }

    /// Notes a call that begins now.
    pub(super) fn note(&mut self) {
        self.note_at(self.now_ms());
    }

    fn wait_at(&self, now_ms: i64) -> Duration {
        // The oldest of the allowed number: a minute after it there is room for one more.
        let oldest = self.calls[self.next];
        let left = oldest.saturating_add(MINUTE_MS).saturating_sub(now_ms);
        match u64::try_from(left) {
            Ok(left) if oldest != 0 => Duration::from_millis(left),
            _ => Duration::ZERO,
        }
    }

    fn note_at(&mut self, now_ms: i64) {
        self.calls[self.next] = now_ms;
        if let Some(file) = &self.file {
            // On a full disk the pull has worse to tell.
            let _ = file.write_all_at(&now_ms.to_le_bytes(), self.next as u64 * 8);
        }
        self.next = (self.next + 1) % CALLS_PER_MINUTE_MAX;
    }

    fn keep_all(&self) {
        let bytes: Vec<u8> = self.calls.iter().flat_map(|at| at.to_le_bytes()).collect();
        if let Some(file) = &self.file {
            let _ = file.write_all_at(&bytes, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use huicun_ffi_finance_sdk::worker::Exit;
    use huicun_ffi_finance_sdk::{ApiCode, ApiError, SdkCode};

    fn api(code: ApiCode) -> CallError {
        CallError::Api(ApiError {
            code,
            errmsg: String::new(),
        })
    }

    #[test]
    fn waiting_grows_to_its_bound() {
        assert!(back_off(1) <= Duration::from_secs(1));
        assert!(back_off(40) <= BACK_OFF_MAX && back_off(40) >= BACK_OFF_MAX / 2);
        assert!(wait_for_page(1) <= Duration::from_millis(100));
        assert!(wait_for_page(40) <= Duration::from_secs(2));
    }

    #[test]
    fn each_kind_of_error_has_its_own_pace() {
        let seconds = |error: &CallError, n| wait_after(error, n).as_secs_f64();
        for n in [1, 3, 50] {
            let network = seconds(&CallError::Sdk(SdkCode::Network), n);
            assert!((0.5..=300.0).contains(&network), "{network}");
            let crash = CallError::Crashed {
                exit: Exit::Signal(11),
            };
            assert!((0.5..=60.0).contains(&seconds(&crash, n)));
            // WeCom blocks for a minute.
            let rate = seconds(&api(ApiCode::RateExceeded), n);
            assert!((60.0..=300.0).contains(&rate), "{rate}");
            let address = seconds(&api(ApiCode::IpNotAllowed), n);
            assert!((300.0..=337.5).contains(&address), "{address}");
            let expired = seconds(&api(ApiCode::ServiceExpired), n);
            assert!((3600.0..=4050.0).contains(&expired), "{expired}");
            let secret = seconds(&api(ApiCode::InvalidSecret), n);
            assert!((262.5..=300.0).contains(&secret), "{secret}");
        }
        let some: std::collections::BTreeSet<_> = (0..40)
            .map(|_| wait_after(&api(ApiCode::IpNotAllowed), 1))
            .collect();
        assert!(some.len() > 1, "no chance in it");
    }

    #[test]
    fn the_call_after_the_allowed_ones_waits() {
        let mut limiter = Limiter::new();
        for n in 0..CALLS_PER_MINUTE_MAX as i64 {
            assert_eq!(limiter.wait_at(1_000_000 + n), Duration::ZERO);
            limiter.note_at(1_000_000 + n);
        }
        assert_eq!(limiter.wait_at(1_000_600), Duration::from_millis(59_400));
        assert_eq!(limiter.wait_at(1_060_000), Duration::ZERO);
        limiter.note_at(1_060_000);
        assert_eq!(limiter.wait_at(1_060_000), Duration::from_millis(1));
    }

    #[test]
    fn a_process_that_is_started_again_goes_on_counting() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pace/corp");
        for _ in 0..3 {
            let mut limiter = Limiter::open(&path);
            for _ in 0..200 {
                assert_eq!(limiter.wait(), Duration::ZERO);
                limiter.note();
            }
        }
        let waits = Limiter::open(&path).wait();
        assert!(waits > Duration::from_secs(50), "{waits:?}");
        std::fs::write(&path, "torn").unwrap();
        assert_eq!(Limiter::open(&path).wait(), Duration::ZERO);
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
}
