//! When WeCom last answered for each company, and the silences: what tells whether messages can have
//! been lost upstream, where they are kept for five days only.
//!
//! This outlives processes: a pull that was dead for a week leaves no line of its own.

use rusqlite::OptionalExtension;

use super::{State, StateError};

const HOUR_MS: i64 = 3_600_000;

/// How long WeCom keeps messages (wecom-sdk 3): after a longer silence some are lost for good.
pub const WINDOW_MS: i64 = 5 * 24 * HOUR_MS;
/// A silence of this length is kept as an outage.
pub const OUTAGE_MS: i64 = 24 * HOUR_MS;
/// An answer is noted when the last note is older than this; it costs a sync of the disk.
pub const NOTE_EVERY_MS: i64 = 60_000;
/// A clock that was this far ahead once is not believed for ever.
const AHEAD_MS_MAX: i64 = 5 * 60_000;

/// How grave a silence is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Silence {
    /// Below a day.
    Short,
    /// 24 hours and more: somebody should look.
    Long,
    /// 72 hours and more: two days are left.
    Grave,
    /// 96 hours and more: one day is left.
    Urgent,
    /// Longer than WeCom keeps messages: some are lost.
    PastWindow,
}

impl Silence {
    /// Of a silence of this length.
    pub fn of_ms(ms: i64) -> Self {
        match ms {
            ms if ms >= WINDOW_MS => Self::PastWindow,
            ms if ms >= 96 * HOUR_MS => Self::Urgent,
            ms if ms >= 72 * HOUR_MS => Self::Grave,
            ms if ms >= OUTAGE_MS => Self::Long,
            _ => Self::Short,
        }
    }

    /// The stable word in the ledger.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Short => "under_24_hours",
            Self::Long => "over_24_hours",
            Self::Grave => "over_72_hours",
            Self::Urgent => "over_96_hours",
            Self::PastWindow => "past_window",
        }
    }
}

/// What WeCom, or the way to it, refused.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PullFailure {
    /// When, UTC milliseconds.
    pub at_ms: i64,
    /// The stable word and number, such as `ip_not_allowed (errcode 301042)`.
    pub code: String,
    /// What happened.
    pub text: String,
    /// What to do, in Chinese.
    pub advice_zh: String,
    /// What to do, in English.
    pub advice_en: String,
}

/// What is known of one company's pull.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullRecord {
    /// The company.
    pub source: String,
    /// The last answer without an error, UTC milliseconds, to the minute.
    pub answered_at_ms: Option<i64>,
    /// The last failure; one that is older than the answer is over.
    pub failure: Option<PullFailure>,
}

impl PullRecord {
    /// The failure, where nothing has worked since.
    pub fn standing_failure(&self) -> Option<&PullFailure> {
        let failure = self.failure.as_ref()?;
        let is_over = self.answered_at_ms.is_some_and(|at| at >= failure.at_ms);
        (!is_over).then_some(failure)
    }
}

/// A silence that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outage {
    /// The company.
    pub source: String,
    /// The last answer before it, UTC milliseconds.
    pub from_ms: i64,
    /// The first answer after it.
    pub to_ms: i64,
}

impl State {
    /// Notes that WeCom answered; a silence before it that was long enough becomes an outage.
    /// Cheap to call often: it writes at most once in [`NOTE_EVERY_MS`].
    pub fn note_answer(&self, source: &str, now_ms: i64) -> Result<(), StateError> {
        self.with(|db| {
            let before: Option<i64> = db
                .query_row(
                    "SELECT answered_at FROM pulls WHERE source = ?1",
                    [source],
                    |row| row.get(0),
                )
                .optional()?
                .flatten();
            let failed: Option<i64> = db
                .query_row(
                    "SELECT failed_at FROM pulls WHERE source = ?1",
                    [source],
                    |row| row.get(0),
                )
                .optional()?
                .flatten();
            // The first answer after a failure is news at once.
            let is_recovery = failed.is_some_and(|at| before.is_none_or(|before| before <= at));
            let is_fresh = before.is_some_and(|before| {
                now_ms - before < NOTE_EVERY_MS && before - now_ms < AHEAD_MS_MAX
            });
            if is_fresh && !is_recovery {
                return Ok(());
            }
            let tx = db.unchecked_transaction()?;
            if let Some(before) = before.filter(|before| now_ms - before >= OUTAGE_MS) {
                tx.execute(
                    "INSERT OR IGNORE INTO outages (source, from_at, to_at) VALUES (?1, ?2, ?3)",
                    (source, before, now_ms),
                )?;
            }
            tx.execute(
                "INSERT INTO pulls (source, answered_at) VALUES (?1, ?2)
                 ON CONFLICT (source) DO UPDATE SET answered_at = excluded.answered_at",
                (source, now_ms),
            )?;
            Ok(tx.commit()?)
        })
    }

    /// Notes that a call failed.
    pub fn note_failure(&self, source: &str, failure: &PullFailure) -> Result<(), StateError> {
        self.with(|db| {
            db.execute(
                "INSERT INTO pulls (source, failed_at, code, text, advice_zh, advice_en)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT (source) DO UPDATE SET failed_at = excluded.failed_at,
                   code = excluded.code, text = excluded.text,
                   advice_zh = excluded.advice_zh, advice_en = excluded.advice_en",
                (
                    source,
                    failure.at_ms,
                    &failure.code,
                    &failure.text,
                    &failure.advice_zh,
                    &failure.advice_en,
                ),
            )?;
            Ok(())
        })
    }

    /// What is known of every company's pull, by name.
    pub fn pulls(&self) -> Result<Vec<PullRecord>, StateError> {
        self.with(|db| {
            let mut statement = db.prepare(
                "SELECT source, answered_at, failed_at, code, text, advice_zh, advice_en
                 FROM pulls ORDER BY source",
            )?;
            let rows = statement.query_map((), |row| {
                let failed_at: Option<i64> = row.get(2)?;
                let failure = match failed_at {
                    Some(at_ms) => Some(PullFailure {
                        at_ms,
                        code: row.get(3)?,
                        text: row.get(4)?,
                        advice_zh: row.get(5)?,
                        advice_en: row.get(6)?,
                    }),
                    None => None,
                };
                Ok(PullRecord {
                    source: row.get(0)?,
                    answered_at_ms: row.get(1)?,
                    failure,
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// Every silence that was long enough and ended, oldest first.
    pub fn outages(&self) -> Result<Vec<Outage>, StateError> {
        self.with(|db| {
            let mut statement =
                db.prepare("SELECT source, from_at, to_at FROM outages ORDER BY from_at, source")?;
            let rows = statement.query_map((), |row| {
                Ok(Outage {
                    source: row.get(0)?,
                    from_ms: row.get(1)?,
                    to_ms: row.get(2)?,
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> (tempfile::TempDir, State) {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(&dir.path().join("state.db")).unwrap();
        (dir, state)
    }

    fn failure(at_ms: i64) -> PullFailure {
        PullFailure {
            at_ms,
            code: "ip_not_allowed (errcode 301042)".into(),
            ..PullFailure::default()
        }
    }

    #[test]
    fn a_silence_of_a_day_becomes_an_outage_when_it_ends() {
        let (_dir, state) = state();
        for at in [1_000, 30_000, OUTAGE_MS, 3 * OUTAGE_MS] {
            state.note_answer("corp", at).unwrap();
        }
        let found = state.outages().unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].from_ms, found[0].to_ms),
            (OUTAGE_MS, 3 * OUTAGE_MS)
        );
        assert_eq!(Silence::of_ms(2 * OUTAGE_MS), Silence::Long);
        assert_eq!(Silence::of_ms(WINDOW_MS), Silence::PastWindow);
    }

    #[test]
    fn an_answer_is_written_once_a_minute_and_at_once_after_a_failure() {
        let (_dir, state) = state();
        let answered = |state: &State| state.pulls().unwrap()[0].answered_at_ms;
        state.note_answer("corp", 1_000).unwrap();
        state.note_answer("corp", 2_000).unwrap();
        assert_eq!(answered(&state), Some(1_000));
        state.note_failure("corp", &failure(3_000)).unwrap();
        assert!(state.pulls().unwrap()[0].standing_failure().is_some());
        state.note_answer("corp", 4_000).unwrap();
        assert_eq!(answered(&state), Some(4_000));
        assert!(state.pulls().unwrap()[0].standing_failure().is_none());
    }

    #[test]
    fn a_clock_that_was_ahead_is_forgotten() {
        let (_dir, state) = state();
        state.note_answer("corp", 10 * WINDOW_MS).unwrap();
        state.note_answer("corp", WINDOW_MS).unwrap();
        assert_eq!(state.pulls().unwrap()[0].answered_at_ms, Some(WINDOW_MS));
        assert_eq!(state.outages().unwrap(), []);
    }

    #[test]
    fn companies_do_not_mix() {
        let (_dir, state) = state();
        state.note_answer("a", 5).unwrap();
        state.note_failure("b", &failure(6)).unwrap();
        let found = state.pulls().unwrap();
        assert_eq!(found[0].failure, None);
        assert_eq!(found[1].answered_at_ms, None);
    }
}
