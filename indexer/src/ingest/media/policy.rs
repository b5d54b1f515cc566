//! What a failure means for a medium: again, and when; lost, and why; or nothing, since it is
//! everybody's. A pure function, so that every code can be tried.
//!
//! Sources: wecom-sdk 2.1 (codes), 1.3 (a failed chunk is asked for again with the same index; md5
//! that does not fit vanishes on another download), reliability F31.

use std::time::Duration;

use huicun_engine::media::Job;
use huicun_ffi_finance_sdk::SdkCode;
use huicun_ffi_finance_sdk::worker::CallError;

use super::settings::MediaSettings;

/// How long WeCom keeps a file (wecom-sdk 3).
pub const LIFE: Duration = Duration::from_secs(5 * 24 * 3600);
/// A file that does not fit what its message says is fetched again so often, then kept with a flag.
pub const MISMATCHES_MAX: u32 = 3;
/// The longest wait between two attempts at one file.
const WAIT_MAX: Duration = Duration::from_secs(3600);
/// WeCom's `errcode` for a missing or expired file, met as a return code, too.
const FILE_GONE: i32 = 301_048;

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Try this medium again after a wait.
    Again {
        /// How long.
        wait: Duration,
        /// What came so far is of no use.
        from_start: bool,
        /// Whether it cost a worker.
        is_crash: bool,
    },
    /// Give it up.
    Lost {
        /// Why, one stable word.
        reason: String,
    },
    /// The medium is not to blame: the company's fetching waits, nothing is counted.
    Everybody {
        /// How long.
        wait: Duration,
    },
}

/// What a failure is called, one stable word.
pub fn name_of(error: &CallError) -> String {
    match error {
        CallError::Sdk(code) => format!("sdk_{}", code.number()),
        CallError::Api(api) => format!("wecom_{}", api.code.errcode()),
        CallError::TimedOut { .. } => "sdk_hang".into(),
        CallError::Crashed { .. }
        | CallError::MemoryExceeded { .. }
        | CallError::Protocol { .. } => "sdk_crash".into(),
        CallError::Load(_) => "sdk_not_loaded".into(),
        CallError::Spawn { .. } => "sdk_not_started".into(),
        CallError::MalformedPage(_) | CallError::TooManyLosses { .. } => "sdk_no_answer".into(),
    }
}

/// What follows from a failed call. `chance` in 0 to 1 shortens waits by up to half.
pub fn after_failure(
    job: &Job,
    error: &CallError,
    now_ms: i64,
    settings: &MediaSettings,
    chance: f64,
) -> Verdict {
    let name = name_of(error);
    let is_repeated = job.last_error.as_deref() == Some(&*name);
    let again = |from_start: bool, is_crash: bool| Verdict::Again {
        wait: back_off(settings, job.n_attempts + 1, chance),
        from_start,
        is_crash,
    };
    match error {
        // Not the file's fault, and the same for every file.
        CallError::Load(_) => Verdict::Everybody {
            wait: Duration::from_secs(300),
        },
        CallError::Spawn { .. }
        | CallError::Sdk(SdkCode::IpNotAllowed | SdkCode::Certificate | SdkCode::NullObject) => {
            Verdict::Everybody {
                wait: error.wait_at_least().max(Duration::from_secs(5)),
            }
        }
        error if error.is_worker_lost() => {
            if job.n_crashes + 1 >= settings.crashes_max {
                return Verdict::Lost { reason: name };
            }
            again(false, true)
        }
        CallError::Sdk(SdkCode::Expired | SdkCode::FileId) => {
            gone(job, name, is_repeated, again(true, false))
        }
        CallError::Sdk(SdkCode::Unknown(FILE_GONE)) => {
            gone(job, name, is_repeated, again(true, false))
        }
        // A malformed index: only a fresh start helps. So does it where an index that was kept is
        // no longer understood, which shows as 10002 (wecom-sdk 1.3).
        CallError::Sdk(SdkCode::BadParameter) => {
            given_up(job, now_ms, settings, name).unwrap_or_else(|| again(true, false))
        }
        CallError::Sdk(SdkCode::BadResponse) => given_up(job, now_ms, settings, name)
            .unwrap_or_else(|| again(is_repeated && job.n_bytes > 0, false)),
        _ => given_up(job, now_ms, settings, name).unwrap_or_else(|| again(false, false)),
    }
}

/// Gone when WeCom says so twice, the second time for a download from the start: one such answer
/// in the middle of a file may come of the index.
fn gone(job: &Job, name: String, is_repeated: bool, again: Verdict) -> Verdict {
    match is_repeated && job.n_bytes == 0 {
        true => Verdict::Lost { reason: name },
        false => again,
    }
}

/// While WeCom still has the file it is worth trying, less and less often; later only so often.
fn given_up(job: &Job, now_ms: i64, settings: &MediaSettings, name: String) -> Option<Verdict> {
    let is_over = now_ms.saturating_sub(job.first_at_ms) > LIFE.as_millis() as i64;
    (is_over && job.n_attempts + 1 >= settings.attempts_max)
        .then_some(Verdict::Lost { reason: name })
}

/// The wait before attempt `n_failures + 1`: it doubles up to an hour, less up to half by chance.
pub fn back_off(settings: &MediaSettings, n_failures: u32, chance: f64) -> Duration {
    let first = Duration::from_millis(settings.retry_wait_ms);
    let full = first
        .saturating_mul(1 << n_failures.saturating_sub(1).min(20))
        .min(WAIT_MAX);
    full.mul_f64(0.5 + chance.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use huicun_ffi_finance_sdk::worker::Exit;

    const NOW: i64 = 1_700_000_000_000;
    const DAY: i64 = 86_400_000;

    fn job(age_days: i64, n_attempts: u32, last_error: &str, n_bytes: u64) -> Job {
        Job {
            id: 1,
            source: "corp".into(),
            file_id: "F".into(),
            first_at_ms: NOW - age_days * DAY,
            md5: None,
            size: None,
            next_index: String::new(),
            n_bytes,
            n_attempts,
            n_crashes: 0,
            n_mismatches: 0,
            last_error: Some(last_error.into()),
        }
    }

    fn verdict(job: &Job, error: CallError) -> Verdict {
        after_failure(job, &error, NOW, &MediaSettings::default(), 1.0)
    }

    fn code(number: i32) -> CallError {
        CallError::Sdk(SdkCode::from_return(number))
    }

    fn lost(reason: &str) -> Verdict {
        Verdict::Lost {
            reason: reason.into(),
        }
    }

    #[test]
    fn what_passes_is_tried_on_while_wecom_has_the_file() {
        for number in [10001, 10002, 10003, 10006, 10000, 777] {
            let name = format!("sdk_{number}");
            let many = verdict(&job(1, 500, &name, 0), code(number));
            assert!(matches!(many, Verdict::Again { .. }), "{number}: {many:?}");
            let few = verdict(&job(6, 8, &name, 0), code(number));
            assert!(matches!(few, Verdict::Again { .. }), "{number}: {few:?}");
            assert_eq!(verdict(&job(6, 9, &name, 0), code(number)), lost(&name));
        }
    }

    #[test]
    fn what_is_gone_is_confirmed_once_from_the_start() {
        for number in [10005, 10010, 301_048] {
            let name = format!("sdk_{number}");
            let from_start = |verdict| {
                matches!(
                    verdict,
                    Verdict::Again {
                        from_start: true,
                        ..
                    }
                )
            };
            assert!(from_start(verdict(&job(1, 0, "", 0), code(number))));
            assert!(from_start(verdict(
                &job(1, 1, &name, 524_288),
                code(number)
            )));
            assert_eq!(verdict(&job(1, 1, &name, 0), code(number)), lost(&name));
        }
    }

    #[test]
    fn an_index_that_is_not_understood_begins_again() {
        let begins = |verdict| {
            matches!(
                verdict,
                Verdict::Again {
                    from_start: true,
                    ..
                }
            )
        };
        assert!(begins(verdict(&job(1, 0, "", 5), code(10000))));
        assert!(!begins(verdict(&job(1, 0, "", 5), code(10002))));
        assert!(begins(verdict(&job(1, 1, "sdk_10002", 5), code(10002))));
    }

    #[test]
    fn a_file_that_costs_workers_is_given_up() {
        let crash = || CallError::Crashed {
            exit: Exit::Signal(11),
        };
        let mut medium = job(1, 0, "", 0);
        for n_crashes in 0..2 {
            medium.n_crashes = n_crashes;
            let again = verdict(&medium, crash());
            assert!(matches!(again, Verdict::Again { is_crash: true, .. }));
        }
        medium.n_crashes = 2;
        assert_eq!(verdict(&medium, crash()), lost("sdk_crash"));
        let hang = CallError::TimedOut {
            after: Duration::from_secs(15),
        };
        assert_eq!(verdict(&medium, hang), lost("sdk_hang"));
    }

    #[test]
    fn an_address_that_is_not_trusted_is_nobodys_fault() {
        for number in [10009, 10011] {
            let everybody = verdict(&job(9, 99, "", 0), code(number));
            assert_eq!(
                everybody,
                Verdict::Everybody {
                    wait: Duration::from_secs(300)
                }
            );
        }
    }

    #[test]
    fn waits_double_up_to_an_hour() {
        let settings = MediaSettings::default();
        let wait = |n| back_off(&settings, n, 1.0).as_secs();
        assert_eq!((wait(1), wait(2), wait(5), wait(40)), (2, 4, 32, 3600));
        assert_eq!(back_off(&settings, 1, 0.0), Duration::from_secs(1));
    }
}
