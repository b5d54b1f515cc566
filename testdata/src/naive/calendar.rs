//! Working calendars: weekly hours, and exceptions by date (semantics 6).

use chrono::{Datelike, Days, NaiveDate};
use chrono_tz::Tz;

use super::period::{day_of, instant_ms};

/// After so many days without enough working time, it never comes: about thirty years.
const DAYS_MAX: usize = 11_000;

/// Ranges of a day, in minutes after midnight, `[from, to)`; 1440 is 24:00. In order, not overlapping.
pub type Hours = Vec<(u32, u32)>;

/// What holds on a date instead of its weekday's hours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DayException {
    Off,
    /// The hours of another weekday, Monday being 0.
    As(usize),
    Hours(Hours),
}

/// A named calendar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calendar {
    pub name: String,
    /// Monday first.
    pub weekly: [Hours; 7],
    pub exceptions: Vec<(NaiveDate, DayException)>,
}

impl Calendar {
    fn hours_of(&self, day: NaiveDate) -> &[(u32, u32)] {
        for (date, exception) in &self.exceptions {
            if *date == day {
                return match exception {
                    DayException::Off => &[],
                    DayException::As(weekday) => &self.weekly[*weekday],
                    DayException::Hours(hours) => hours,
                };
            }
        }
        &self.weekly[day.weekday().num_days_from_monday() as usize]
    }

    pub(super) fn is_working_day(&self, day: NaiveDate) -> bool {
        !self.hours_of(day).is_empty()
    }

    /// The working stretches of a day as instants `[from, to)`.
    fn stretches(&self, day: NaiveDate, zone: Tz) -> Vec<(i64, i64)> {
        self.hours_of(day)
            .iter()
            .map(|(from, to)| (instant_ms(day, *from, zone), instant_ms(day, *to, zone)))
            .collect()
    }

    /// The working time inside `[from, to)`, in milliseconds.
    pub(super) fn working_ms(&self, from: i64, to: i64, zone: Tz) -> i64 {
        let mut total = 0;
        let mut day = day_of(from, zone);
        while from < to && day <= day_of(to, zone) {
            for (start, end) in self.stretches(day, zone) {
                total += (end.min(to) - start.max(from)).max(0);
            }
            day = day + Days::new(1);
        }
        total
    }

    /// The first instant at which so much working time has passed since `from`; None if it never does.
    pub(super) fn after_working(&self, from: i64, working_ms: i64, zone: Tz) -> Option<i64> {
        let mut left = working_ms;
        let mut day = day_of(from, zone);
        for _ in 0..DAYS_MAX {
            for (start, end) in self.stretches(day, zone) {
                let start = start.max(from);
                if end - start >= left {
                    return Some(start + left);
                }
                left -= (end - start).max(0);
            }
            day = day + Days::new(1);
        }
        None
    }

    /// The day that is so many working days after another.
    pub(super) fn working_days_after(&self, day: NaiveDate, n: u32) -> Option<NaiveDate> {
        let mut day = day;
        let mut left = n;
        for _ in 0..DAYS_MAX {
            if left == 0 {
                return Some(day);
            }
            day = day + Days::new(1);
            if self.is_working_day(day) {
                left -= 1;
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono_tz::Asia::Shanghai;

    const MINUTE: i64 = 60_000;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    /// An instant in Shanghai.
    fn at(date: &str, minutes: u32) -> i64 {
        instant_ms(day(date), minutes, Shanghai)
    }

    fn office() -> Calendar {
        let hours = vec![(540, 720), (810, 1080)]; // 09:00-12:00, 13:30-18:00
        let mut weekly: [Hours; 7] = Default::default();
        weekly[..5].fill(hours);
        weekly[5] = vec![(0, 60), (1320, 1440)]; // Saturday's night shift
        Calendar {
            name: "office".to_owned(),
            weekly,
            exceptions: vec![
                (day("2024-10-01"), DayException::Off),
                (day("2024-09-29"), DayException::As(0)), // a Sunday that is a Monday
                (day("2024-10-02"), DayException::Hours(vec![(600, 601)])),
            ],
        }
    }

    #[test]
    fn working_time_leaves_out_breaks_nights_and_holidays() {
        let office = office();
        let ms = |from, to| office.working_ms(from, to, Shanghai);
        // Monday 2024-09-23, 11:50 to 13:40: 10 minutes before the break, 10 after.
        assert_eq!(
            ms(at("2024-09-23", 710), at("2024-09-23", 820)),
            20 * MINUTE
        );
        assert_eq!(ms(at("2024-09-23", 720), at("2024-09-23", 810)), 0);
        // Friday 18:00 to Sunday 09:00 (a make-up day): Saturday's three hours.
        assert_eq!(
            ms(at("2024-09-27", 1080), at("2024-09-29", 540)),
            180 * MINUTE
        );
        // Monday 17:59 to Thursday 09:00: one minute, the holiday nothing, Wednesday one minute.
        assert_eq!(
            ms(at("2024-09-30", 1079), at("2024-10-03", 540)),
            2 * MINUTE
        );
        assert_eq!(ms(at("2024-09-23", 600) + 1, at("2024-09-23", 600) + 3), 2);
    }

    #[test]
    fn a_deadline_is_the_first_instant_at_which_the_time_has_passed() {
        let office = office();
        let after = |from, minutes: i64| office.after_working(from, minutes * MINUTE, Shanghai);
        // 17:50 and ten minutes are 18:00, not the next morning.
        assert_eq!(
            after(at("2024-09-23", 1070), 10),
            Some(at("2024-09-23", 1080))
        );
        assert_eq!(
            after(at("2024-09-23", 1070), 11),
            Some(at("2024-09-24", 541))
        );
        assert_eq!(
            after(at("2024-09-23", 1200), 10),
            Some(at("2024-09-24", 550))
        );
        // Over the holiday: Wednesday's minute, then Thursday.
        assert_eq!(
            after(at("2024-09-30", 1080), 2),
            Some(at("2024-10-03", 541))
        );
        // Saturday 23:30: half an hour of the night, then the make-up Sunday from nine.
        assert_eq!(
            after(at("2024-09-28", 1410), 31),
            Some(at("2024-09-29", 541))
        );
        let mut never = office.clone();
        never.weekly = Default::default();
        assert_eq!(never.after_working(at("2024-10-03", 0), 1, Shanghai), None);
    }

    #[test]
    fn working_days_skip_holidays_and_take_make_up_days() {
        let office = office();
        let after = |date, n| office.working_days_after(day(date), n).unwrap().to_string();
        assert_eq!(after("2024-09-27", 0), "2024-09-27");
        assert_eq!(after("2024-09-27", 2), "2024-09-29"); // Saturday, Sunday
        assert_eq!(after("2024-09-30", 1), "2024-10-02");
    }
}
