//! Working time: weekly hours, and days that are different (semantics 6, manual 10.2).
//!
//! Hours are read off the wall: an instant is working time iff the clock of the zone then shows a
//! time of day within the hours of the date it shows. So a shift over the hour that is turned back
//! counts it twice, one over the hour that is skipped never has it, and a night shift is two ranges:
//! `22:00-24:00` of one day and `00:00-06:00` of the next.
//!
//! Everything is exact to the millisecond and costs a few look-ups, however long the stretch.

use chrono::{NaiveDate, Weekday};

use crate::time::{AT_MS_MAX, AT_MS_MIN, Zone, day_number, nth_day};

/// Working hours of a day: `(from, to)` in minutes of the day, half-open, at most up to 1440 (24:00).
///
/// From a [`Calendar`] they come sorted, and ranges that met or overlapped have become one.
pub type Hours = Vec<(u16, u16)>;

const DAY_MS: i64 = 86_400_000;
const MINUTE_MS: i64 = 60_000;

/// 24:00, the latest end of a range.
const DAY_MINUTES: u16 = 1_440;

/// 1970-01-01 was a Thursday: so many days after a Monday.
const EPOCH_FROM_MONDAY: i64 = 3;

/// 9999-12-30 and some: no instant that is told apart lies on a later day anywhere.
const DAY_MAX: i64 = 2_932_896;

/// Hours or exceptions that contradict themselves (semantics 6).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CalendarError {
    /// A range of a weekday that ends before or when it begins, or after 24:00.
    #[error(
        "hours of {weekday} from {} to {}, expected a later end, at most 24:00", clock(*from), clock(*to)
    )]
    WeeklyHours {
        /// The weekday.
        weekday: Weekday,
        /// Begin in minutes of the day.
        from: u16,
        /// End in minutes of the day.
        to: u16,
    },
    /// The same in an exception.
    #[error(
        "hours on {day} from {} to {}, expected a later end, at most 24:00", clock(*from), clock(*to)
    )]
    ExceptionHours {
        /// The date.
        day: NaiveDate,
        /// Begin in minutes of the day.
        from: u16,
        /// End in minutes of the day.
        to: u16,
    },
    /// Two exceptions for one date.
    #[error("{0} has two exceptions, expected one")]
    DayTwice(NaiveDate),
}

/// Not a range of hours (contract, rules: `weekly` and `hours`).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a range of hours, expected one like `09:00-12:00` or `22:00-24:00`")]
pub struct NotHours(pub String);

/// The range of hours written `HH:MM-HH:MM`; the end may be `24:00` and comes after the beginning.
///
/// # Errors
/// [`NotHours`] if it is written in another way, or ends before it has begun.
pub fn parse_range(text: &str) -> Result<(u16, u16), NotHours> {
    let range = text
        .split_once('-')
        .and_then(|(from, to)| Some((parse_clock(from.trim())?, parse_clock(to.trim())?)));
    range
        .filter(|range| is_range(*range))
        .ok_or_else(|| NotHours(text.to_owned()))
}

/// A working calendar (semantics 6). Without any hours no time ever is working time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calendar {
    weekly: [Hours; 7],
    /// Working minutes of the days of a week that lie before a weekday, Monday first; at 7 the whole week.
    minutes_before_weekday: [i64; 8],
    /// In order of their days.
    exceptions: Vec<Exception>,
    /// How many minutes all exceptions add to the weekly hours.
    surplus: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Exception {
    /// Days since 1970-01-01.
    day: i64,
    hours: Hours,
    /// How many minutes the exceptions before this one add to the weekly hours.
    surplus_before: i64,
}

impl Calendar {
    /// A calendar of weekly hours, Monday first, and of dates with other hours: none for a holiday,
    /// and some for a working day out of turn. Ranges may come in any order, and may meet or overlap.
    ///
    /// # Errors
    /// [`CalendarError`] if a range is empty, reversed or ends after 24:00, or a date comes twice.
    pub fn new(
        weekly: [Hours; 7],
        exceptions: impl IntoIterator<Item = (NaiveDate, Hours)>,
    ) -> Result<Self, CalendarError> {
        let mut calendar = Self {
            weekly,
            ..Self::default()
        };
        for (weekday, hours) in calendar.weekly.iter_mut().enumerate() {
            normalise(hours).map_err(|(from, to)| CalendarError::WeeklyHours {
                weekday: WEEKDAYS[weekday],
                from,
                to,
            })?;
            calendar.minutes_before_weekday[weekday + 1] =
                calendar.minutes_before_weekday[weekday] + minutes(hours);
        }
        let mut exceptions: Vec<(NaiveDate, Hours)> = exceptions.into_iter().collect();
        exceptions.sort_by_key(|(day, _)| *day);
        for (day, mut hours) in exceptions {
            normalise(&mut hours).map_err(|(from, to)| CalendarError::ExceptionHours {
                day,
                from,
                to,
            })?;
            calendar.push_exception(day, hours)?;
        }
        Ok(calendar)
    }

    fn push_exception(&mut self, day: NaiveDate, hours: Hours) -> Result<(), CalendarError> {
        let number = day_number(day);
        if self
            .exceptions
            .last()
            .is_some_and(|last| last.day == number)
        {
            return Err(CalendarError::DayTwice(day));
        }
        let surplus_before = self.surplus;
        self.surplus += minutes(&hours) - minutes(&self.weekly[weekday_of(number)]);
        self.exceptions.push(Exception {
            day: number,
            hours,
            surplus_before,
        });
        Ok(())
    }

    /// The hours of a day: those of its exception if it has one, else of its weekday.
    pub fn hours_of(&self, day: NaiveDate) -> &[(u16, u16)] {
        self.hours_of_number(day_number(day))
    }

    /// Whether a day is a working day: it has any hours.
    pub fn is_working_day(&self, day: NaiveDate) -> bool {
        !self.hours_of(day).is_empty()
    }

    /// The first working day after a day; `None` if none ever comes (before the year 10000).
    pub fn next_working_day(&self, day: NaiveDate) -> Option<NaiveDate> {
        let day = day_number(day);
        self.day_of_minute(day + 1, self.minutes_before(day + 1) + 1)
            .map(nth_day)
    }

    /// The working time within `[from, to)`, milliseconds; 0 where `to` does not come after `from`.
    pub fn working_ms(&self, zone: Zone, from_ms: i64, to_ms: i64) -> i64 {
        let (mut at_ms, to_ms) = (clamp(from_ms), clamp(to_ms));
        let mut total_ms = 0;
        while at_ms < to_ms {
            let (offset_ms, until_ms) = zone.steady(at_ms, to_ms);
            total_ms += self.wall_ms(until_ms + offset_ms) - self.wall_ms(at_ms + offset_ms);
            at_ms = until_ms;
        }
        total_ms
    }

    /// The first instant at or after `from` at which `working_ms` of working time have passed since
    /// `from`; `None` when that never comes (before the year 10000).
    ///
    /// Nothing, or less than nothing, has passed at once. Time that is up when work stops is up
    /// then, not when work begins again.
    pub fn after_working(&self, zone: Zone, from_ms: i64, working_ms: i64) -> Option<i64> {
        if working_ms <= 0 {
            return Some(from_ms);
        }
        let mut at_ms = clamp(from_ms);
        let mut left_ms = working_ms;
        // No more working time can pass than time: what does not fit needs no search.
        if left_ms > AT_MS_MAX - at_ms {
            return None;
        }
        while at_ms < AT_MS_MAX {
            let (offset_ms, until_ms) = zone.steady(at_ms, AT_MS_MAX);
            let passed_ms = self.wall_ms(at_ms + offset_ms);
            let passes_ms = self.wall_ms(until_ms + offset_ms) - passed_ms;
            if passes_ms >= left_ms {
                let target_ms = passed_ms + left_ms;
                return self
                    .wall_reaching(at_ms + offset_ms, target_ms)
                    .map(|wall_ms| wall_ms - offset_ms);
            }
            if !self.has_hours_after(until_ms + offset_ms) {
                return None;
            }
            left_ms -= passes_ms;
            at_ms = until_ms;
        }
        None
    }

    /// Working milliseconds on the wall from a fixed Monday up to a time of the wall (milliseconds
    /// since 1970-01-01 00:00 as if it were UTC): only differences mean something.
    fn wall_ms(&self, wall_ms: i64) -> i64 {
        let day = wall_ms.div_euclid(DAY_MS);
        let time_ms = wall_ms.rem_euclid(DAY_MS);
        let today_ms: i64 = self
            .hours_of_number(day)
            .iter()
            .map(|(from, to)| {
                let (from_ms, to_ms) = (i64::from(*from) * MINUTE_MS, i64::from(*to) * MINUTE_MS);
                (time_ms.min(to_ms) - from_ms).max(0)
            })
            .sum();
        self.minutes_before(day) * MINUTE_MS + today_ms
    }

    /// The first time of the wall, not before `from`, at which [`Self::wall_ms`] has come to a target
    /// that is still ahead at `from`.
    fn wall_reaching(&self, from_wall_ms: i64, target_ms: i64) -> Option<i64> {
        let first_day = from_wall_ms.div_euclid(DAY_MS);
        // The target falls into the day that reaches the last minute it has begun.
        let minute = target_ms.div_euclid(MINUTE_MS) + i64::from(target_ms % MINUTE_MS != 0);
        let day = self.day_of_minute(first_day, minute)?;
        let mut left_ms = target_ms - self.minutes_before(day) * MINUTE_MS;
        for (from, to) in self.hours_of_number(day) {
            let range_ms = i64::from(to - from) * MINUTE_MS;
            if left_ms <= range_ms {
                return Some(day * DAY_MS + i64::from(*from) * MINUTE_MS + left_ms);
            }
            left_ms -= range_ms;
        }
        None
    }

    /// The first day from `first` on, at whose end [`Self::minutes_before`] has come to `minute`.
    fn day_of_minute(&self, first: i64, minute: i64) -> Option<i64> {
        let is_reached_on = |day: i64| self.minutes_before(day + 1) >= minute;
        if first > DAY_MAX || !is_reached_on(DAY_MAX) {
            return None;
        }
        // Most lie close by: double the step until the day is passed, then halve.
        let (mut before, mut step) = (first - 1, 1);
        while before + step < DAY_MAX && !is_reached_on(before + step) {
            before += step;
            step *= 2;
        }
        let mut reached = (before + step).min(DAY_MAX);
        while reached - before > 1 {
            let middle = before + (reached - before) / 2;
            if is_reached_on(middle) {
                reached = middle;
            } else {
                before = middle;
            }
        }
        Some(reached)
    }

    /// Working minutes of all days from a fixed Monday up to, not including, a day.
    fn minutes_before(&self, day: i64) -> i64 {
        let from_monday = day + EPOCH_FROM_MONDAY;
        let weeks = from_monday.div_euclid(7);
        let weekly =
            weeks * self.minutes_before_weekday[7] + self.minutes_before_weekday[weekday_of(day)];
        let next = self.exceptions.partition_point(|other| other.day < day);
        let surplus = self.exceptions.get(next);
        weekly + surplus.map_or(self.surplus, |exception| exception.surplus_before)
    }

    fn hours_of_number(&self, day: i64) -> &[(u16, u16)] {
        match self
            .exceptions
            .binary_search_by_key(&day, |other| other.day)
        {
            Ok(at) => &self.exceptions[at].hours,
            Err(_) => &self.weekly[weekday_of(day)],
        }
    }

    /// Whether any hours may come on the day of a time of the wall, or later.
    fn has_hours_after(&self, wall_ms: i64) -> bool {
        let day = wall_ms.div_euclid(DAY_MS);
        self.minutes_before_weekday[7] > 0
            || self.exceptions.last().is_some_and(|last| last.day >= day)
    }
}

const WEEKDAYS: [Weekday; 7] = [
    Weekday::Mon,
    Weekday::Tue,
    Weekday::Wed,
    Weekday::Thu,
    Weekday::Fri,
    Weekday::Sat,
    Weekday::Sun,
];

/// 0 for a Monday, 6 for a Sunday.
fn weekday_of(day: i64) -> usize {
    (day + EPOCH_FROM_MONDAY).rem_euclid(7) as usize
}

fn minutes(hours: &[(u16, u16)]) -> i64 {
    hours.iter().map(|(from, to)| i64::from(to - from)).sum()
}

fn is_range((from, to): (u16, u16)) -> bool {
    from < to && to <= DAY_MINUTES
}

/// Sorts ranges and joins those that meet or overlap; gives back one that is none.
fn normalise(hours: &mut Hours) -> Result<(), (u16, u16)> {
    if let Some(wrong) = hours.iter().find(|range| !is_range(**range)) {
        return Err(*wrong);
    }
    hours.sort_unstable();
    hours.dedup_by(|next, last| {
        let meets = next.0 <= last.1;
        if meets {
            last.1 = last.1.max(next.1);
        }
        meets
    });
    Ok(())
}

/// `09:30` in minutes of the day; `24:00` is the end of the day.
fn parse_clock(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let number = |digits: &str, n_max: usize| -> Option<u16> {
        let is_number =
            (1..=n_max).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        is_number.then(|| digits.parse().ok()).flatten()
    };
    let (hour, minute) = (number(hour, 2)?, number(minute, 2)?);
    let is_time = minute < 60 && hour * 60 + minute <= DAY_MINUTES;
    is_time.then_some(hour * 60 + minute)
}

fn clock(minute: u16) -> String {
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

fn clamp(at_ms: i64) -> i64 {
    at_ms.clamp(AT_MS_MIN, AT_MS_MAX)
}

#[cfg(test)]
mod tests;
