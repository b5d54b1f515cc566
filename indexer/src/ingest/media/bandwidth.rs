//! The bound of bandwidth: bytes are paid for after they came, and who comes next waits until the
//! debt is gone. A pure function of the times that it is told.

use std::time::Duration;

/// What may be owed without a wait, in time: short pauses between files are not lost.
const SAVED_MAX: Duration = Duration::from_secs(1);

/// Bytes a second, shared by all who fetch.
#[derive(Debug, Clone)]
pub struct Bandwidth {
    bytes_per_second_max: u64,
    /// The moment at which all that came is paid for.
    paid_at: Duration,
}

impl Bandwidth {
    /// A bound; 0 is none.
    pub fn new(bytes_per_second_max: u64) -> Self {
        Self {
            bytes_per_second_max,
            paid_at: Duration::ZERO,
        }
    }

    /// Pays for bytes that came at `now` (since any fixed moment); how long to wait before the
    /// next are asked for.
    pub fn pay(&mut self, n_bytes: u64, now: Duration) -> Duration {
        if self.bytes_per_second_max == 0 {
            return Duration::ZERO;
        }
        let cost = Duration::from_secs_f64(n_bytes as f64 / self.bytes_per_second_max as f64);
        self.paid_at = self.paid_at.max(now.saturating_sub(SAVED_MAX)) + cost;
        self.paid_at.saturating_sub(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_the_bound_comes_in_any_long_time() {
        let mut bandwidth = Bandwidth::new(1_000_000);
        let mut now = Duration::from_secs(100);
        let started = now;
        let mut n_bytes = 0;
        while now - started < Duration::from_secs(60) {
            now += bandwidth.pay(524_288, now) + Duration::from_millis(5);
            n_bytes += 524_288;
        }
        assert!((59_000_000..=61_600_000).contains(&n_bytes), "{n_bytes}");
    }

    #[test]
    fn two_who_fetch_share_it_and_a_long_pause_saves_little() {
        let mut bandwidth = Bandwidth::new(1_000);
        let at = |seconds| Duration::from_secs(seconds);
        assert_eq!(bandwidth.pay(3_000, at(10)), at(2));
        assert_eq!(bandwidth.pay(1_000, at(10)), at(3));
        assert_eq!(bandwidth.pay(2_000, at(1_000)), at(1));
        assert_eq!(Bandwidth::new(0).pay(u64::MAX, at(0)), Duration::ZERO);
    }
}
