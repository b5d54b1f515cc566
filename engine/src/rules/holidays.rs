//! Public holidays of the PRC and the working days that make up for them, 2019 to 2026 (semantics
//! 6). They are data that a calendar takes over as exceptions and that anybody may then edit.

use chrono::NaiveDate;

use super::calendar::{CalendarSettings, DayName, Exception};

/// Our list of the days; its head says what it is.
const DAYS: &str = include_str!("holidays_cn.txt");

/// A day that is not as the week says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holiday {
    /// Which day.
    pub date: NaiveDate,
    /// Of which holiday.
    pub name: &'static str,
    /// Whether it is a day off; else it is worked to make up for one.
    pub is_off: bool,
}

/// All of them, by date.
pub fn days() -> Vec<Holiday> {
    let lines = DAYS
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty());
    let mut found: Vec<Holiday> = lines.flat_map(line).collect();
    found.sort_unstable_by_key(|day| day.date);
    found
}

/// `2024 国庆节 off 10-01..10-07 work 09-29 10-12`
fn line(line: &'static str) -> Vec<Holiday> {
    let mut words = line.split_whitespace();
    let (year, name) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    let mut is_off = true;
    let mut found = Vec::new();
    for word in words {
        match word {
            "off" => is_off = true,
            "work" => is_off = false,
            range => {
                let (from, to) = range.split_once("..").unwrap_or((range, range));
                let days = day(year, from).zip(day(year, to));
                found.extend(days.into_iter().flat_map(|(from, to)| {
                    from.iter_days()
                        .take_while(move |date| *date <= to)
                        .map(move |date| Holiday { date, name, is_off })
                }));
            }
        }
    }
    found
}

/// `10-01` of the line's year; a day of another year is written with its own.
fn day(year: &str, text: &str) -> Option<NaiveDate> {
    let text = match text.len() {
        5 => format!("{year}-{text}"),
        _ => text.to_string(),
    };
    NaiveDate::parse_from_str(&text, "%Y-%m-%d").ok()
}

/// What taking the holidays over did to a calendar.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TakenOver {
    /// Exceptions that are new.
    pub n_added: usize,
    /// Exceptions that were replaced.
    pub n_replaced: usize,
    /// Days that already had an exception, which stays.
    pub n_kept: usize,
}

/// What becomes of an exception that is already there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// It stays: it may have been edited.
    Keep,
    /// The holiday takes its place.
    Replace,
}

/// Adds days to a calendar's exceptions: holidays as days off, make-up days with the hours of the
/// day of the week `as_`.
pub fn take_over(
    calendar: &mut CalendarSettings,
    days: &[Holiday],
    as_: DayName,
    existing: Existing,
) -> TakenOver {
    let mut done = TakenOver::default();
    for day in days {
        let exception = Exception {
            date: day.date,
            off: day.is_off,
            as_: (!day.is_off).then_some(as_),
            hours: None,
            note: day.name.into(),
        };
        let found = calendar.exceptions.iter_mut().find(|e| e.date == day.date);
        match (found, existing) {
            (Some(found), _) if *found == exception => done.n_kept += 1,
            (Some(_), Existing::Keep) => done.n_kept += 1,
            (Some(found), Existing::Replace) => {
                *found = exception;
                done.n_replaced += 1;
            }
            (None, _) => {
                calendar.exceptions.push(exception);
                done.n_added += 1;
            }
        }
    }
    calendar.exceptions.sort_by_key(|e| e.date);
    done
}
