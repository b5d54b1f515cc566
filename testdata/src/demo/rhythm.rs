//! When people write: kinds of days, hours of the day, and how long answers take.
//!
//! Times are UTC milliseconds; the company's clock is UTC+8 without daylight saving, as
//! Asia/Shanghai is in these years. The holiday dates are those of the State Council's
//! notice for autumn 2024; other years only know weekends.

use chrono::{Datelike, NaiveDate, Weekday};

use super::dice::Dice;

pub(crate) const SECOND: i64 = 1_000;
pub(crate) const MINUTE: i64 = 60 * SECOND;
pub(crate) const HOUR: i64 = 60 * MINUTE;
pub(crate) const DAY: i64 = 24 * HOUR;

/// What sort of day it is for offices; shops are open on all of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum DayKind {
    Working,
    Weekend,
    Holiday,
}

const HOLIDAYS: &[(i32, u32, u32)] = &[
    (2024, 9, 15),
    (2024, 9, 16),
    (2024, 9, 17),
    (2024, 10, 1),
    (2024, 10, 2),
    (2024, 10, 3),
    (2024, 10, 4),
    (2024, 10, 5),
    (2024, 10, 6),
    (2024, 10, 7),
];
const MAKE_UP_DAYS: &[(i32, u32, u32)] = &[(2024, 9, 14), (2024, 9, 29), (2024, 10, 12)];

pub(crate) fn day_kind(day: NaiveDate) -> DayKind {
    let date = (day.year(), day.month(), day.day());
    if HOLIDAYS.contains(&date) {
        DayKind::Holiday
    } else if MAKE_UP_DAYS.contains(&date) {
        DayKind::Working
    } else if matches!(day.weekday(), Weekday::Sat | Weekday::Sun) {
        DayKind::Weekend
    } else {
        DayKind::Working
    }
}

/// The share of a day in the whole, before normalising; promotions on the 18th and on 9-9.
pub(crate) fn day_weight(day: NaiveDate) -> u64 {
    let base = match day_kind(day) {
        DayKind::Working => 100,
        DayKind::Weekend => 108,
        DayKind::Holiday => 118,
    };
    let promotion = match (day.month(), day.day()) {
        (8, 18) => 45,
        (9, 9) | (9, 13) | (9, 14) => 25,
        _ => 0,
    };
    base + promotion + u64::from(day.num_days_from_ce().unsigned_abs() % 7) * 2
}

/// Midnight of the company's day in UTC milliseconds.
pub(crate) fn midnight(day: NaiveDate) -> i64 {
    let days = i64::from(day.num_days_from_ce()) - 719_163;
    days * DAY - 8 * HOUR
}

/// The company's date at an instant.
pub(crate) fn date_of(at: i64) -> NaiveDate {
    let days = (at + 8 * HOUR).div_euclid(DAY) + 719_163;
    NaiveDate::from_num_days_from_ce_opt(days as i32).unwrap_or_default()
}

/// Milliseconds since the company's midnight.
pub(crate) fn clock(at: i64) -> i64 {
    (at + 8 * HOUR).rem_euclid(DAY)
}

/// Weights of the 24 hours for customers' affairs: lunch dip, long evening, a thin night.
const CUSTOMER_HOURS: [u32; 24] = [
    6, 3, 2, 1, 1, 2, 6, 14, 38, 66, 100, 104, 70, 78, 98, 106, 100, 92, 84, 104, 110, 70, 32, 14,
];
/// Weights of the 24 hours for internal talk.
const OFFICE_HOURS: [u32; 24] = [
    0, 0, 0, 0, 0, 0, 1, 8, 60, 120, 110, 100, 40, 60, 110, 105, 100, 95, 60, 36, 30, 18, 6, 1,
];

/// A moment of the day that starts at `midnight` for customers' affairs.
pub(crate) fn customer_moment(dice: &mut Dice, midnight: i64) -> i64 {
    midnight + dice.weighted(&CUSTOMER_HOURS) as i64 * HOUR + dice.between(0, HOUR - 1)
}

/// A moment of the day that starts at `midnight` for internal talk.
pub(crate) fn office_moment(dice: &mut Dice, midnight: i64) -> i64 {
    midnight + dice.weighted(&OFFICE_HOURS) as i64 * HOUR + dice.between(0, HOUR - 1)
}

/// Before 08:20 or after 21:45 employees are off.
pub(crate) fn is_night(at: i64) -> bool {
    !(8 * HOUR + 20 * MINUTE..21 * HOUR + 45 * MINUTE).contains(&clock(at))
}

/// Seconds an employee takes who is at the phone, as quantiles.
const QUICK: &[i64] = &[4, 9, 14, 20, 28, 38, 52, 75, 110, 180, 420];
/// Seconds a customer takes to go on.
const CUSTOMER: &[i64] = &[4, 8, 13, 18, 25, 34, 48, 70, 110, 200, 600];
/// Seconds between colleagues.
const COLLEAGUE: &[i64] = &[4, 9, 15, 24, 36, 55, 90, 160, 420, 1500];
/// Seconds between customers of one room.
const CHATTER: &[i64] = &[3, 7, 12, 18, 27, 40, 65, 120, 400];

/// Who follows whom.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Turn {
    SameSpeaker,
    ToEmployee,
    ToCustomer,
    AmongCustomers,
    AmongColleagues,
}

/// The wait before the next line, in milliseconds. `skill_percent` 100 is an average employee.
pub(crate) fn gap(dice: &mut Dice, turn: Turn, now: i64, skill_percent: i64, is_slow: bool) -> i64 {
    match turn {
        Turn::SameSpeaker => dice.between(1_800, 16_000),
        Turn::ToEmployee => answer(dice, now, skill_percent, is_slow),
        Turn::AmongCustomers => millis(dice, CHATTER),
        Turn::AmongColleagues => millis(dice, COLLEAGUE),
        Turn::ToCustomer => match dice.below(1000) {
            0..6 => dice.between(8 * HOUR, 20 * HOUR),
            6..50 => dice.between(20 * MINUTE, 3 * HOUR),
            _ => millis(dice, CUSTOMER),
        },
    }
}

fn millis(dice: &mut Dice, curve: &[i64]) -> i64 {
    dice.curve(curve) * SECOND + dice.between(0, 999)
}

/// An employee's answer: mostly within minutes, some past 10 and past 30, at night mostly in the morning.
fn answer(dice: &mut Dice, now: i64, skill_percent: i64, is_slow: bool) -> i64 {
    if is_night(now) && !dice.chance(330) {
        let opening = 8 * HOUR + 30 * MINUTE;
        let to_opening = (opening - clock(now)).rem_euclid(DAY);
        return to_opening + dice.between(0, 95 * MINUTE);
    }
    let heavy = if is_slow { 4 } else { 1 };
    let roll = dice.below(1000) as u32;
    if roll < 18 * heavy {
        dice.between(30 * MINUTE, 4 * HOUR)
    } else if roll < 62 * heavy {
        dice.between(10 * MINUTE, 30 * MINUTE)
    } else {
        millis(dice, QUICK) * skill_percent / 100
    }
}
