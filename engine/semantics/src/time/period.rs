//! Periods of days and their slices (semantics 1; labels: contract, answers out).
//!
//! A period is calendar days only; a [`Zone`] turns it into instants. Nothing here knows of now:
//! that a period which reaches past now ends now for open things is for the caller to say.

use std::str::FromStr;

use chrono::{Datelike, Days, NaiveDate};

use super::Zone;

/// The days from `from` to `to`, both included.
///
/// Built by hand with `to` before `from` it holds no day and no instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Period {
    /// The first day.
    pub from: NaiveDate,
    /// The last day.
    pub to: NaiveDate,
}

/// Why two texts are no period.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeriodError {
    /// Not a calendar day in the form YYYY-MM-DD.
    #[error("`{0}` is not a day, expected YYYY-MM-DD")]
    NotADay(String),
    /// The last day lies before the first.
    #[error("the period ends on {to}, before its first day {from}")]
    Reversed {
        /// The first day given.
        from: NaiveDate,
        /// The last day given.
        to: NaiveDate,
    },
}

impl Period {
    /// The period of two days.
    ///
    /// # Errors
    /// [`PeriodError::Reversed`] if `to` lies before `from`.
    pub fn new(from: NaiveDate, to: NaiveDate) -> Result<Self, PeriodError> {
        if to < from {
            return Err(PeriodError::Reversed { from, to });
        }
        Ok(Self { from, to })
    }

    /// The period of two days written YYYY-MM-DD.
    ///
    /// # Errors
    /// [`PeriodError`] if one is no such day, or the last lies before the first.
    pub fn parse(from: &str, to: &str) -> Result<Self, PeriodError> {
        Self::new(parse_day(from)?, parse_day(to)?)
    }

    /// Its first instant in UTC milliseconds.
    pub fn start_ms(&self, zone: Zone) -> i64 {
        zone.day_start_ms(self.from)
    }

    /// The first instant after it in UTC milliseconds: the start of the day after its last.
    pub fn end_ms(&self, zone: Zone) -> i64 {
        zone.day_start_ms(next(self.to))
    }

    /// Whether an instant (UTC milliseconds) lies in it: the same as its day being one of its days.
    pub fn contains_ms(&self, zone: Zone, at_ms: i64) -> bool {
        self.start_ms(zone) <= at_ms && at_ms < self.end_ms(zone)
    }

    /// Whether a day is one of its days.
    pub fn contains(&self, day: NaiveDate) -> bool {
        self.from <= day && day <= self.to
    }

    /// Its days in order.
    pub fn days(&self) -> impl Iterator<Item = NaiveDate> + use<> {
        let to = self.to;
        self.from.iter_days().take_while(move |day| *day <= to)
    }

    /// How many days it has.
    pub fn n_days(&self) -> i64 {
        ((self.to - self.from).num_days() + 1).max(0)
    }

    /// The same number of days directly before; against it the change ratio (环比) is measured.
    pub fn previous(&self) -> Self {
        let days = Days::new(self.n_days().unsigned_abs());
        Self {
            from: self.from.checked_sub_days(days).unwrap_or(NaiveDate::MIN),
            to: self.to.checked_sub_days(days).unwrap_or(NaiveDate::MIN),
        }
    }
}

/// The day written YYYY-MM-DD: four digits, two, two, and nothing around them.
fn parse_day(text: &str) -> Result<NaiveDate, PeriodError> {
    let is_shaped = text.len() == 10
        && text.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok();
    day.filter(|day| is_shaped && day.year() >= 1)
        .ok_or_else(|| PeriodError::NotADay(text.to_owned()))
}

/// How a period is sliced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum By {
    /// Each day.
    Day,
    /// Monday to Sunday.
    Week,
    /// Calendar months.
    Month,
}

/// Not one of `day`, `week`, `month`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown slice `{0}`, expected `day`, `week` or `month`")]
pub struct UnknownBy(pub String);

impl FromStr for By {
    type Err = UnknownBy;

    fn from_str(name: &str) -> Result<Self, UnknownBy> {
        match name {
            "day" => Ok(Self::Day),
            "week" => Ok(Self::Week),
            "month" => Ok(Self::Month),
            other => Err(UnknownBy(other.to_owned())),
        }
    }
}

impl By {
    /// The name: `day`, `week` or `month`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    /// The slices of a period in order, each with its label, together exactly the period.
    ///
    /// Weeks and months are cut at the period's ends but named by their own beginning, so that a
    /// week cut at its front is still labelled with its Monday: `2024-10-01`, `2024-09-30`, `2024-10`.
    pub fn slices(self, period: &Period) -> Vec<(String, Period)> {
        let mut slices = Vec::new();
        let mut from = period.from;
        while from <= period.to {
            let to = self.last_day_of_slice(from).min(period.to);
            slices.push((self.label(from), Period { from, to }));
            if to == NaiveDate::MAX {
                break;
            }
            from = next(to);
        }
        slices
    }

    /// The label of the slice in which a day lies.
    pub fn label(self, day: NaiveDate) -> String {
        match self {
            Self::Day => day.to_string(),
            Self::Week => monday_of(day).to_string(),
            Self::Month => day.format("%Y-%m").to_string(),
        }
    }

    fn last_day_of_slice(self, day: NaiveDate) -> NaiveDate {
        let days_left = match self {
            Self::Day => 0,
            Self::Week => 6 - u64::from(day.weekday().num_days_from_monday()),
            Self::Month => u64::from(day.num_days_in_month()) - u64::from(day.day()),
        };
        day.checked_add_days(Days::new(days_left))
            .unwrap_or(NaiveDate::MAX)
    }
}

fn monday_of(day: NaiveDate) -> NaiveDate {
    let days = Days::new(u64::from(day.weekday().num_days_from_monday()));
    day.checked_sub_days(days).unwrap_or(NaiveDate::MIN)
}

fn next(day: NaiveDate) -> NaiveDate {
    day.succ_opt().unwrap_or(NaiveDate::MAX)
}

#[cfg(test)]
mod tests;
