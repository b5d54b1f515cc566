//! The company's time zone: from instants to days and back (semantics 1).
//!
//! Everything is total. Instants outside `AT_MS_MIN..=AT_MS_MAX` are read as the nearer bound, so
//! that a damaged message (msgtime 0, negative, `i64::MAX`) gets a day with a year of four digits
//! and never stops a job. The rules are those of the time zone database compiled into chrono-tz.

use std::cell::Cell;

use chrono::{
    DateTime, Days, MappedLocalTime, NaiveDate, NaiveTime, Offset, SecondsFormat, TimeZone, Utc,
};
use chrono_tz::Tz;

/// The earliest instant told apart, in UTC milliseconds: 0001-01-02 00:00 UTC.
pub const AT_MS_MIN: i64 = -62_135_510_400_000;

/// The latest instant told apart, in UTC milliseconds: 9999-12-30 23:59:59.999 UTC.
pub const AT_MS_MAX: i64 = 253_402_214_399_999;

/// China has kept UTC+8 without a break since the end of its last summer time, 1991-09-14 17:00 UTC.
const SHANGHAI_FIXED_FROM_MS: i64 = 684_867_600_000;
const SHANGHAI_OFFSET_MS: i64 = 8 * 3_600_000;
const DAY_MS: i64 = 86_400_000;

/// More than any clock change: no local time lies farther than this from the same time in UTC.
const OFFSET_MS_MAX: i64 = 26 * 3_600_000;

/// Three days: no zone of the database ever turned its clocks twice in less than 6.9 days (Recife,
/// Gaza), so that equal offsets this far apart mean that nothing was turned in between.
const STEADY_MS_MAX: i64 = 3 * DAY_MS;

/// A time zone of the database; `Asia/Shanghai` by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Zone(pub Tz);

/// The name is in no version of the time zone database that this program knows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown time zone `{0}`, expected a name like `Asia/Shanghai`")]
pub struct UnknownZone(pub String);

impl Default for Zone {
    fn default() -> Self {
        Self(Tz::Asia__Shanghai)
    }
}

impl std::str::FromStr for Zone {
    type Err = UnknownZone;

    fn from_str(name: &str) -> Result<Self, UnknownZone> {
        Self::parse(name)
    }
}

impl std::fmt::Display for Zone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.name())
    }
}

impl Zone {
    /// The zone of a name such as `Asia/Shanghai`, written exactly so.
    ///
    /// # Errors
    /// [`UnknownZone`] if there is none of that name.
    pub fn parse(name: &str) -> Result<Self, UnknownZone> {
        name.parse()
            .map(Self)
            .map_err(|_| UnknownZone(name.to_owned()))
    }

    /// The name in the time zone database.
    pub fn name(&self) -> &'static str {
        self.0.name()
    }

    /// The calendar day on which an instant (UTC milliseconds) falls.
    ///
    /// Exactly the `d` with `day_start_ms(d) <= at_ms < day_start_ms(d + 1)`, so that days never
    /// overlap. That is the date on the wall, but for zones that once turned the clock back across
    /// midnight (St. John's until 2011, at 00:01): the minute before the turn stays in the old day.
    ///
    /// Called once a message: arithmetic for modern China, a remembered day for all other zones.
    pub fn day_of(&self, at_ms: i64) -> NaiveDate {
        let at_ms = clamp(at_ms);
        if self.0 == Tz::Asia__Shanghai && at_ms >= SHANGHAI_FIXED_FROM_MS {
            return nth_day((at_ms + SHANGHAI_OFFSET_MS).div_euclid(DAY_MS));
        }
        let last = LAST_DAY.get();
        if last.zone == Some(*self) && last.start_ms <= at_ms && at_ms < last.end_ms {
            return last.day;
        }
        let found = self.look_up(at_ms);
        LAST_DAY.set(found);
        found.day
    }

    /// The first instant of a day in UTC milliseconds: 00:00, or where the clocks skipped it the
    /// first instant after. Where they showed 00:00 twice it is the first of the two, unless the
    /// day before went on in between.
    ///
    /// Days before 0001-01-01 count as that day, days after 10000-01-01 as that one.
    pub fn day_start_ms(&self, day: NaiveDate) -> i64 {
        let day = day.clamp(nth_day(DAY_MIN), nth_day(DAY_MAX));
        if self.0 == Tz::Asia__Shanghai {
            let start_ms = day_number(day) * DAY_MS - SHANGHAI_OFFSET_MS;
            if start_ms >= SHANGHAI_FIXED_FROM_MS {
                return start_ms;
            }
        }
        let midnight = day.and_time(NaiveTime::MIN);
        match self.0.from_local_datetime(&midnight) {
            MappedLocalTime::Single(at) => at.timestamp_millis(),
            MappedLocalTime::Ambiguous(first, second) => {
                let second_ms = second.timestamp_millis();
                // Havana sees 00:00-01:00 of the day twice; St. John's fell back into the day before.
                let fell_back_a_day = self.local(clamp(second_ms - 1)).date_naive() < day;
                if fell_back_a_day {
                    second_ms
                } else {
                    first.timestamp_millis()
                }
            }
            MappedLocalTime::None => self.end_of_gap_ms(day),
        }
    }

    /// An instant (UTC milliseconds) as RFC 3339 with milliseconds: `2024-10-01T08:00:00.000+08:00`.
    pub fn rfc3339_ms(&self, at_ms: i64) -> String {
        self.local(clamp(at_ms))
            .to_rfc3339_opts(SecondsFormat::Millis, false)
    }

    /// How far the clocks are ahead of UTC at an instant, and up to when, at most up to `end_ms`,
    /// they surely stay so (all in milliseconds). `at_ms < end_ms`, both within the bounds.
    ///
    /// It may answer less than the whole stretch: go on from there. Arithmetic for modern China.
    pub(crate) fn steady(&self, at_ms: i64, end_ms: i64) -> (i64, i64) {
        if self.0 == Tz::Asia__Shanghai && at_ms >= SHANGHAI_FIXED_FROM_MS {
            return (SHANGHAI_OFFSET_MS, end_ms);
        }
        let offset_ms = self.offset_ms(at_ms);
        let mut until_ms = end_ms.min(at_ms.saturating_add(STEADY_MS_MAX));
        if self.offset_ms(until_ms) == offset_ms {
            return (offset_ms, until_ms);
        }
        let mut steady_ms = at_ms;
        while until_ms - steady_ms > 1 {
            let middle_ms = steady_ms + (until_ms - steady_ms) / 2;
            if self.offset_ms(middle_ms) == offset_ms {
                steady_ms = middle_ms;
            } else {
                until_ms = middle_ms;
            }
        }
        (offset_ms, until_ms)
    }

    fn offset_ms(&self, at_ms: i64) -> i64 {
        i64::from(self.local(clamp(at_ms)).offset().fix().local_minus_utc()) * 1_000
    }

    fn local(&self, at_ms: i64) -> DateTime<Tz> {
        DateTime::<Utc>::from_timestamp_millis(at_ms)
            .expect("a clamped instant is within chrono's range")
            .with_timezone(&self.0)
    }

    fn look_up(&self, at_ms: i64) -> LastDay {
        let mut day = self.local(at_ms).date_naive();
        let mut start_ms = self.day_start_ms(day);
        // Each loop runs at most a day or two: at a turn across midnight or a day left out (Samoa 2011).
        while at_ms < start_ms {
            day = day - Days::new(1);
            start_ms = self.day_start_ms(day);
        }
        let mut end_ms = self.day_start_ms(day + Days::new(1));
        while at_ms >= end_ms {
            day = day + Days::new(1);
            start_ms = end_ms;
            end_ms = self.day_start_ms(day + Days::new(1));
        }
        LastDay {
            zone: Some(*self),
            start_ms,
            end_ms,
            day,
        }
    }

    /// Bisects for the instant at which the clocks jumped over the midnight of `day`.
    fn end_of_gap_ms(&self, day: NaiveDate) -> i64 {
        let utc_ms = day_number(day) * DAY_MS;
        let (mut before_ms, mut after_ms) = (utc_ms - OFFSET_MS_MAX, utc_ms + OFFSET_MS_MAX);
        while after_ms - before_ms > 1 {
            let middle_ms = before_ms + (after_ms - before_ms) / 2;
            if self.local(clamp(middle_ms)).date_naive() >= day {
                after_ms = middle_ms;
            } else {
                before_ms = middle_ms;
            }
        }
        after_ms
    }
}

/// The day that `day_of` answered last on this thread: messages come in order, so mostly the next one too.
/// It speeds up and never changes an answer.
#[derive(Clone, Copy)]
struct LastDay {
    zone: Option<Zone>,
    start_ms: i64,
    end_ms: i64,
    day: NaiveDate,
}

thread_local! {
    static LAST_DAY: Cell<LastDay> = const {
        Cell::new(LastDay { zone: None, start_ms: 0, end_ms: 0, day: NaiveDate::MIN })
    };
}

/// 1970-01-01 as chrono counts days from the common era.
const EPOCH_FROM_CE: i64 = 719_163;

/// 0001-01-01 and 10000-01-01 in days since 1970-01-01.
const DAY_MIN: i64 = 1 - EPOCH_FROM_CE;
const DAY_MAX: i64 = 2_932_897;

/// A day in days since 1970-01-01.
pub(crate) fn day_number(day: NaiveDate) -> i64 {
    use chrono::Datelike as _;
    i64::from(day.num_days_from_ce()) - EPOCH_FROM_CE
}

/// The day that lies so many days after 1970-01-01.
pub(crate) fn nth_day(days_since_1970: i64) -> NaiveDate {
    i32::try_from(days_since_1970 + EPOCH_FROM_CE)
        .ok()
        .and_then(NaiveDate::from_num_days_from_ce_opt)
        .expect("a day of a clamped instant is within chrono's range")
}

fn clamp(at_ms: i64) -> i64 {
    at_ms.clamp(AT_MS_MIN, AT_MS_MAX)
}

#[cfg(test)]
mod tests;
