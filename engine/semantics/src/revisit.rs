//! When a customer is due to be visited again (semantics 7, manual 9.7).
//!
//! Days only: whether the two spoke, or a follow-up was written, on that day is for the caller to look up.

use chrono::{Days, NaiveDate};

use crate::calendar::Calendar;

/// How the days of the day list are numbered (`revisit.numbering`).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Numbering {
    /// The add day is day 1: 次日 is day 2, 第3日 two days after the add day.
    #[default]
    Ordinal,
    /// 第N日 is N days after the add day: 次日 is 1.
    Offset,
}

/// The date of day `n` of a relation that was added on `add_day` (semantics 7).
///
/// With a calendar (`skip_non_working`) only its working days are counted after the add day, which
/// itself may be any day. `None` where there is no such day: day 0 of an ordinal numbering, or a
/// calendar that has not so many working days left.
pub fn due_date(
    add_day: NaiveDate,
    n: u32,
    numbering: Numbering,
    calendar: Option<&Calendar>,
) -> Option<NaiveDate> {
    let days_after = match numbering {
        Numbering::Ordinal => n.checked_sub(1)?,
        Numbering::Offset => n,
    };
    match calendar {
        None => add_day.checked_add_days(Days::new(u64::from(days_after))),
        Some(calendar) => {
            (0..days_after).try_fold(add_day, |day, _| calendar.next_working_day(day))
        }
    }
}

/// Whether a relation is due on a date: it was not lost before that date began (semantics 7).
///
/// Both in UTC milliseconds; lost in the date's first millisecond it is still due.
pub fn is_due(due_day_start_ms: i64, lost_ms: Option<i64>) -> bool {
    lost_ms.is_none_or(|lost_ms| lost_ms >= due_day_start_ms)
}

#[cfg(test)]
mod tests;
