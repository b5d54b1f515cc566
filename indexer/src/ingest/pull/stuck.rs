//! A page that kills the child or makes no sense, again and again: the guilty record is found by
//! asking for less, and passed by when it cannot be had even alone (reliability F24).
//!
//! Nothing is passed by on a guess. When the one record after seq c cannot be delivered, the calls
//! after c+1, c+2, ... are tried one by one until one is answered with a record. Any record that
//! could be had would have answered one of them, so what lies in (c, c+k] cannot be had, and that
//! is what is written down, as one quarantined row. Without such an answer the pull waits and asks
//! again, and shows it.

use huicun_engine::archive::CursorMove;

use super::fetch::Asker;
use super::{Pull, PullError};
use crate::ingest::pages::{SealedPage, Undeliverable, sealed_page};

/// Failures in a row before less is asked for, and before a single record is passed by.
const FAILURES_IN_A_ROW: u32 = 5;
/// How far behind the cursor an answer is looked for; WeCom's numbers have hardly any gaps.
const LOOK_AHEAD_MAX: u64 = 64;

/// What to do after a spoilt page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spoilt {
    /// Ask for the same again.
    Again,
    /// Ask for half of it.
    Halve,
    /// Look whether the single record can be passed by.
    PassBy,
}

/// What the last spoilt pages have taught.
#[derive(Debug, Default)]
pub(super) struct Wariness {
    /// Failures in a row at a size above one record.
    n_failures: u32,
    /// Failures in a row at one record.
    n_at_one: u32,
    /// Less has helped before: ask for less at once.
    is_wary: bool,
}

impl Wariness {
    /// Notes a spoilt page of `limit` records.
    pub(super) fn spoilt(&mut self, limit: u32) -> Spoilt {
        if limit > 1 {
            self.n_failures += 1;
            if self.n_failures < FAILURES_IN_A_ROW && !self.is_wary {
                return Spoilt::Again;
            }
            self.is_wary = true;
            return Spoilt::Halve;
        }
        self.n_at_one += 1;
        match self.n_at_one % FAILURES_IN_A_ROW {
            0 => Spoilt::PassBy,
            _ => Spoilt::Again,
        }
    }

    /// Notes a page that could be read.
    pub(super) fn read(&mut self) {
        self.n_failures = 0;
        self.n_at_one = 0;
    }

    /// Whether a single record was tried often enough.
    pub(super) fn is_at_its_end(&self) -> bool {
        self.n_at_one >= FAILURES_IN_A_ROW
    }

    /// Whether less is asked for only after more failures than these.
    pub(super) fn is_more_patient_than(&self, n_failures: u32) -> bool {
        n_failures < FAILURES_IN_A_ROW
    }
}

impl Pull {
    /// The step over records that cannot be had, if it is proven that there are none between that
    /// could.
    pub(super) fn pass_by(&self, asker: &mut Asker<'_>, error: &PullError) -> Option<SealedPage> {
        let from = asker.after;
        for after in from + 1..=from.saturating_add(LOOK_AHEAD_MAX) {
            let answer = asker.ask(after, 1)?;
            match answer {
                Ok(page) if page.is_empty() => return None,
                Ok(page) => {
                    if sealed_page(page.records, page.damaged, after).is_ok() {
                        return self.step_over(from, after, error);
                    }
                }
                Err(again) if again.may_be_the_page() => {}
                // The network, or a refusal: that says nothing of the record.
                Err(_) => return None,
            }
        }
        None
    }

    fn step_over(&self, from: u64, to: u64, error: &PullError) -> Option<SealedPage> {
        let error = error.to_string();
        tracing::error!(
            corp = self.corp.corpid,
            after = from,
            to,
            error,
            "the record after this seq cannot be had from WeCom and is passed by; it is in the quarantine as `undeliverable`"
        );
        Some(SealedPage {
            step: CursorMove {
                from: i64::try_from(from).ok()?,
                to: i64::try_from(to).ok()?,
            },
            records: Vec::new(),
            damaged: Vec::new(),
            out_of_range: Vec::new(),
            undeliverable: Some(Undeliverable { error }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn less_is_asked_for_after_five_failures_and_at_once_when_that_has_helped() {
        let mut wary = Wariness::default();
        let met: Vec<Spoilt> = (0..5).map(|_| wary.spoilt(1000)).collect();
        assert_eq!(met[..4], [Spoilt::Again; 4]);
        assert_eq!(met[4], Spoilt::Halve);
        assert_eq!(wary.spoilt(500), Spoilt::Halve);
        wary.read();
        assert_eq!(wary.spoilt(700), Spoilt::Halve);
        assert!(!wary.is_at_its_end());
    }

    #[test]
    fn a_single_record_is_tried_five_times_before_it_is_passed_by() {
        let mut wary = Wariness::default();
        for _ in 0..2 {
            for _ in 0..4 {
                assert_eq!(wary.spoilt(1), Spoilt::Again);
            }
            assert_eq!(wary.spoilt(1), Spoilt::PassBy);
            assert!(wary.is_at_its_end());
        }
        wary.read();
        assert!(!wary.is_at_its_end());
    }
}
