//! Calendars at their edges (semantics 6); the ordinary cases are golden cases.

use super::*;

const HOUR_MS: i64 = 3_600_000;

fn shanghai() -> Zone {
    Zone::default()
}

/// An instant in milliseconds.
fn at(text: &str) -> i64 {
    chrono::DateTime::parse_from_rfc3339(text)
        .unwrap()
        .timestamp_millis()
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn every_day(hours: &[(u16, u16)]) -> Calendar {
    Calendar::new(std::array::from_fn(|_| hours.to_vec()), []).unwrap()
}

#[test]
fn a_calendar_without_hours_never_works_and_never_loops() {
    let never = Calendar::default();
    for name in ["Asia/Shanghai", "UTC", "America/New_York"] {
        let zone = Zone::parse(name).unwrap();
        assert_eq!(never.working_ms(zone, 0, 365 * 24 * HOUR_MS), 0);
        assert_eq!(never.after_working(zone, 0, 1), None);
        assert_eq!(never.after_working(zone, 5, 0), Some(5));
    }
    assert_eq!(never.next_working_day(day("2024-10-01")), None);
}

#[test]
fn after_its_only_working_day_nothing_comes() {
    let once = Calendar::new(Default::default(), [(day("2024-10-12"), vec![(540, 600)])]).unwrap();
    let begin_ms = at("2024-10-12T09:00:00+08:00");
    let zone = shanghai();
    assert_eq!(
        once.after_working(zone, 0, HOUR_MS),
        Some(begin_ms + HOUR_MS)
    );
    assert_eq!(once.after_working(zone, 0, HOUR_MS + 1), None);
    assert_eq!(once.after_working(zone, begin_ms + HOUR_MS, 1), None);
    assert_eq!(
        once.next_working_day(day("2024-01-01")),
        Some(day("2024-10-12"))
    );
    assert_eq!(once.next_working_day(day("2024-10-12")), None);
}

#[test]
fn ranges_that_meet_or_overlap_are_one() {
    let calendar = every_day(&[
        (780, 1080),
        (540, 720),
        (700, 780),
        (600, 660),
        (1200, 1440),
    ]);
    assert_eq!(
        calendar.hours_of(day("2024-10-01")),
        [(540, 1080), (1200, 1440)]
    );
}

#[test]
fn wrong_hours_are_refused_with_their_day() {
    let mut weekly: [Hours; 7] = Default::default();
    weekly[6] = vec![(540, 540)];
    let error = Calendar::new(weekly, []).unwrap_err();
    assert_eq!(
        error.to_string(),
        "hours of Sun from 09:00 to 09:00, expected a later end, at most 24:00"
    );
    let error = Calendar::new(
        Default::default(),
        [(day("2024-10-01"), vec![(1320, 1441)])],
    );
    assert_eq!(
        error.unwrap_err().to_string(),
        "hours on 2024-10-01 from 22:00 to 24:01, expected a later end, at most 24:00"
    );
    let twice = [(day("2024-10-01"), vec![]), (day("2024-10-01"), vec![])];
    assert_eq!(
        Calendar::new(Default::default(), twice),
        Err(CalendarError::DayTwice(day("2024-10-01")))
    );
}

#[test]
fn ranges_are_written_as_on_a_door() {
    assert_eq!(parse_range("09:00-12:00"), Ok((540, 720)));
    assert_eq!(parse_range("9:00 - 24:00"), Ok((540, 1440)));
    for wrong in [
        "",
        "09:00",
        "12:00-09:00",
        "09:00-09:00",
        "09:00-24:01",
        "09:60-10:00",
        "09-10",
        "-1:00-10:00",
        "+9:00-10:00",
        "009:00-10:00",
    ] {
        assert_eq!(
            parse_range(wrong),
            Err(NotHours(wrong.to_owned())),
            "{wrong}"
        );
    }
}

#[test]
fn the_ends_of_the_number_line_do_not_overflow() {
    let always = every_day(&[(0, 1440)]);
    let zone = Zone::parse("America/St_Johns").unwrap();
    let (last_week_ms, week_ms) = (AT_MS_MAX - 7 * 24 * HOUR_MS, 7 * 24 * HOUR_MS);
    assert_eq!(always.working_ms(zone, last_week_ms, i64::MAX), week_ms);
    assert_eq!(always.working_ms(zone, i64::MAX, i64::MIN), 0);
    assert_eq!(
        always.after_working(zone, last_week_ms, week_ms),
        Some(AT_MS_MAX)
    );
    assert_eq!(always.after_working(zone, last_week_ms, week_ms + 1), None);
    assert_eq!(always.after_working(zone, i64::MIN, i64::MAX), None);
    assert_eq!(always.after_working(zone, i64::MAX, 1), None);
    assert_eq!(always.next_working_day(NaiveDate::MAX), None);
}

#[test]
fn an_hour_shown_twice_is_worked_twice_and_one_skipped_never() {
    let new_york = Zone::parse("America/New_York").unwrap();
    let night = every_day(&[(60, 180)]);
    let worked = |date: &str| {
        let day = day(date);
        let (start_ms, end_ms) = (
            new_york.day_start_ms(day),
            new_york.day_start_ms(day.succ_opt().unwrap()),
        );
        night.working_ms(new_york, start_ms, end_ms)
    };
    assert_eq!(worked("2024-11-02"), 2 * HOUR_MS);
    assert_eq!(worked("2024-11-03"), 3 * HOUR_MS);
    assert_eq!(worked("2024-03-10"), HOUR_MS);
    // Two hours of work from 01:00 on are over at the second 02:00 - at 01:00 EST + 1 h.
    assert_eq!(
        night.after_working(new_york, at("2024-11-03T01:00:00-04:00"), 2 * HOUR_MS),
        Some(at("2024-11-03T02:00:00-05:00"))
    );
}
