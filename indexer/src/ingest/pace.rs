//! The pace of the pull: how often WeCom may be called, how long to wait after a failure, how
//! pages grow back.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// WeCom allows 600 calls of GetChatData a minute (wecom-sdk 3).
const CALLS_PER_MINUTE_MAX: usize = 600;
/// The longest wait between two attempts.
const BACK_OFF_MAX: Duration = Duration::from_secs(300);

/// An eighth more: at most one call in seven is refused again where small pages are needed.
pub(super) fn larger(limit: u32) -> u32 {
    limit.saturating_add(limit / 8 + 1)
}

/// 1 s, 2 s, 4 s ... up to the bound, less up to half of it by chance.
pub(super) fn back_off(n_failures: u32) -> Duration {
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
pub(super) struct Limiter {
    calls: VecDeque<Instant>,
}

impl Limiter {
    /// How long to wait before the next call.
    pub(super) fn wait(&mut self) -> Duration {
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

    /// Notes a call that begins now.
    pub(super) fn note(&mut self) {
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
}
