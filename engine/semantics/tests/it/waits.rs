//! Working time, timers, revisits and places against slow obvious re-statements, on random input
//! (semantics 5-7, 10.8).

use chrono::{Datelike, Days, NaiveDate, TimeZone, Timelike, Utc};
use huicun_semantics::calendar::{Calendar, Hours};
use huicun_semantics::dialogue::Side;
use huicun_semantics::ranking::places;
use huicun_semantics::revisit::{Numbering, due_date};
use huicun_semantics::time::Zone;
use huicun_semantics::timeout::{Levels, Timer, TimerFrom, TimerMessage, reached, shown, timers};
use proptest::prelude::*;

const DAY_MS: i64 = 86_400_000;
const MINUTE_MS: i64 = 60_000;

/// With and without summer time, at half and quarter hours, turning at midnight, leaving out a day.
const ZONES: [&str; 9] = [
    "Asia/Shanghai",
    "UTC",
    "America/New_York",
    "Europe/Berlin",
    "America/Havana",
    "America/St_Johns",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "Pacific/Apia",
];

/// Hours with breaks, meeting ranges, night shifts, or none.
fn hours() -> impl Strategy<Value = Hours> {
    let minute = prop_oneof![
        3 => (0_u16..=48).prop_map(|half_hour| half_hour * 30),
        1 => 0_u16..=1_440,
    ];
    let ends = prop::collection::vec(minute, 0..7);
    ends.prop_map(|mut ends| {
        ends.sort_unstable();
        ends.dedup();
        ends.chunks_exact(2)
            .map(|pair| (pair[0], pair[1]))
            .collect()
    })
}

/// A zone, a day on or before which its clocks may turn, and a calendar with exceptions around it.
fn places_in_time() -> impl Strategy<Value = (Zone, NaiveDate, Calendar)> {
    let weekly = prop::array::uniform7(hours());
    let exceptions = prop::collection::btree_map(-4_i64..12, hours(), 0..5);
    let day = (
        prop::sample::select(&ZONES[..]),
        5_000_i64..22_000,
        any::<bool>(),
    );
    (day, weekly, exceptions).prop_map(|((zone, day, at_a_turn), weekly, exceptions)| {
        let zone = Zone::parse(zone).unwrap();
        let mut day = NaiveDate::from_num_days_from_ce_opt(719_163 + day as i32).unwrap();
        if at_a_turn {
            let is_turn = |day: &NaiveDate| {
                zone.day_start_ms(*day + Days::new(1)) - zone.day_start_ms(*day) != DAY_MS
            };
            day = day.iter_days().take(366).find(is_turn).unwrap_or(day);
        }
        let exceptions = exceptions
            .into_iter()
            .map(|(n, hours)| (day + chrono::TimeDelta::days(n), hours));
        let calendar = Calendar::new(weekly, exceptions).unwrap();
        (zone, day, calendar)
    })
}

/// An instant from a day before to nine days after, mostly on a round minute.
fn shifts() -> impl Strategy<Value = i64> {
    prop_oneof![
        2 => (-48_i64..432).prop_map(|half_hour| half_hour * 30 * MINUTE_MS),
        1 => -DAY_MS..9 * DAY_MS,
    ]
}

/// Section 6, minute by minute: what the clock on the wall shows decides.
fn working_ms_slowly(calendar: &Calendar, zone: Zone, from_ms: i64, to_ms: i64) -> i64 {
    let mut total_ms = 0;
    let mut minute_ms = from_ms.div_euclid(MINUTE_MS) * MINUTE_MS;
    while minute_ms < to_ms {
        let wall = zone
            .0
            .from_utc_datetime(&Utc.timestamp_millis_opt(minute_ms).unwrap().naive_utc());
        let minute = (wall.hour() * 60 + wall.minute()) as u16;
        let hours = calendar.hours_of(wall.date_naive());
        if hours
            .iter()
            .any(|(from, to)| (*from..*to).contains(&minute))
        {
            total_ms += to_ms.min(minute_ms + MINUTE_MS) - from_ms.max(minute_ms);
        }
        minute_ms += MINUTE_MS;
    }
    total_ms
}

fn conversations() -> impl Strategy<Value = Vec<TimerMessage>> {
    let message = (
        0_i64..3,
        0_u32..4,
        any::<bool>(),
        prop::bool::weighted(0.25),
    );
    prop::collection::vec(message, 0..40).prop_map(|steps| {
        let mut at_ms = 0;
        let message = |(step_ms, speaker, is_customer, needs_no_answer)| {
            at_ms += step_ms;
            TimerMessage {
                at_ms,
                speaker,
                side: if is_customer {
                    Side::Customer
                } else {
                    Side::Employee
                },
                needs_no_answer,
            }
        };
        steps.into_iter().map(message).collect()
    })
}

/// Section 5 read from each message on its own.
fn timers_slowly(messages: &[TimerMessage], from: TimerFrom) -> Vec<Timer> {
    let starts = |m: &TimerMessage| m.side == Side::Customer && !m.needs_no_answer;
    let mut found = Vec::new();
    for (at, message) in messages.iter().enumerate() {
        let waits_already = messages[..at]
            .iter()
            .rev()
            .take_while(|m| m.side == Side::Customer)
            .any(|m| starts(m) && m.speaker == message.speaker);
        if !starts(message) || (from == TimerFrom::First && waits_already) {
            continue;
        }
        let after = |ends: &dyn Fn(&TimerMessage) -> bool| {
            (at + 1..messages.len()).find(|next| ends(&messages[*next]))
        };
        let answer = after(&|m| m.side == Side::Employee);
        let end =
            after(&|m| m.side == Side::Employee || (starts(m) && m.speaker == message.speaker));
        found.push(Timer {
            customer: message.speaker,
            start: at,
            end: if from == TimerFrom::First {
                answer
            } else {
                end
            },
            answer,
        });
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn working_time_is_the_sum_of_its_minutes(
        (zone, day, calendar) in places_in_time(),
        from in shifts(),
        to in shifts(),
    ) {
        let start_ms = zone.day_start_ms(day);
        let (from_ms, to_ms) = (start_ms + from, start_ms + to);
        prop_assert_eq!(
            calendar.working_ms(zone, from_ms, to_ms),
            working_ms_slowly(&calendar, zone, from_ms, to_ms)
        );
    }

    #[test]
    fn working_time_is_up_at_the_first_instant_that_has_it(
        (zone, day, calendar) in places_in_time(),
        from in shifts(),
        wait_ms in prop_oneof![Just(1_i64), (1_i64..3_000).prop_map(|n| n * MINUTE_MS), 1..3 * DAY_MS],
    ) {
        let from_ms = zone.day_start_ms(day) + from;
        match calendar.after_working(zone, from_ms, wait_ms) {
            Some(up_ms) => {
                prop_assert_eq!(calendar.working_ms(zone, from_ms, up_ms), wait_ms);
                prop_assert_eq!(calendar.working_ms(zone, from_ms, up_ms - 1), wait_ms - 1);
            }
            None => {
                let in_ten_years_ms = from_ms + 3_653 * DAY_MS;
                prop_assert!(calendar.working_ms(zone, from_ms, in_ten_years_ms) < wait_ms);
                prop_assert!((0..7).all(|n| !calendar.is_working_day(day + Days::new(20 + n))));
            }
        }
    }

    #[test]
    fn parts_of_a_stretch_add_up(
        (zone, day, calendar) in places_in_time(),
        mut cuts in prop::array::uniform3(-400 * DAY_MS..400 * DAY_MS),
    ) {
        cuts.sort_unstable();
        let [a_ms, b_ms, c_ms] = cuts.map(|cut| zone.day_start_ms(day) + cut);
        let (first, second) = (calendar.working_ms(zone, a_ms, b_ms), calendar.working_ms(zone, b_ms, c_ms));
        prop_assert_eq!(calendar.working_ms(zone, a_ms, c_ms), first + second);
    }

    #[test]
    fn the_next_working_day_is_the_first_that_has_hours((_, day, calendar) in places_in_time(), n in 0_u64..20) {
        let day = day - Days::new(5) + Days::new(n);
        let expected = day.iter_days().skip(1).take(60).find(|day| calendar.is_working_day(*day));
        prop_assert_eq!(calendar.next_working_day(day), expected);
        let nth = (0..n as usize).try_fold(day, |day, _| calendar.next_working_day(day));
        prop_assert_eq!(due_date(day, n as u32, Numbering::Offset, Some(&calendar)), nth);
        prop_assert_eq!(due_date(day, n as u32 + 1, Numbering::Ordinal, Some(&calendar)), nth);
    }

    #[test]
    fn weekly_hours_are_those_of_the_weekday(weekly in prop::array::uniform7(hours()), n in 0_u64..400) {
        let calendar = Calendar::new(weekly.clone(), []).unwrap();
        let day = NaiveDate::from_ymd_opt(2024, 1, 1).unwrap() + Days::new(n);
        let expected = &weekly[day.weekday().num_days_from_monday() as usize];
        prop_assert_eq!(calendar.hours_of(day), &expected[..]);
    }

    #[test]
    fn timers_are_what_each_message_says_on_its_own(messages in conversations()) {
        for from in [TimerFrom::Last, TimerFrom::First] {
            let mut found = Vec::new();
            timers(&messages, from, &mut found);
            prop_assert_eq!(found, timers_slowly(&messages, from));
        }
    }

    #[test]
    fn from_first_shows_what_from_last_would_have_timed(messages in conversations(), fired_ms in 0_i64..60) {
        let (mut firsts, mut lasts) = (Vec::new(), Vec::new());
        timers(&messages, TimerFrom::First, &mut firsts);
        timers(&messages, TimerFrom::Last, &mut lasts);
        for timer in firsts.iter().filter(|timer| messages[timer.start].at_ms <= fired_ms) {
            let by_then = |last: &&Timer| {
                last.customer == timer.customer
                    && last.answer == timer.answer
                    && messages[last.start].at_ms <= fired_ms
            };
            let expected = lasts.iter().rfind(by_then).unwrap().start;
            prop_assert_eq!(shown(&messages, timer, TimerFrom::First, fired_ms), expected);
        }
    }

    #[test]
    fn levels_are_those_that_the_wait_has_come_to(
        (zone, day, calendar) in places_in_time(),
        from in shifts(),
        wait_ms in prop_oneof![Just(0_i64), (0_i64..2_000).prop_map(|n| n * MINUTE_MS), 0..2 * DAY_MS],
        minutes in prop::collection::btree_set(1_u32..600, 1..5),
        has_calendar in any::<bool>(),
    ) {
        let minutes: Vec<u32> = minutes.into_iter().collect();
        let start_ms = zone.day_start_ms(day) + from;
        let end_ms = start_ms + wait_ms;
        let calendar = has_calendar.then_some(&calendar);
        let elapsed_ms = |to_ms| match calendar {
            Some(calendar) => calendar.working_ms(zone, start_ms, to_ms),
            None => to_ms - start_ms,
        };
        let levels = Levels { after_minutes: &minutes, calendar };
        let mut fired = Vec::new();
        reached(&levels, zone, start_ms, Some(end_ms), &mut fired);
        let n = minutes.iter().filter(|minutes| elapsed_ms(end_ms) >= i64::from(**minutes) * MINUTE_MS).count();
        prop_assert_eq!(fired.len(), n);
        for (fires_ms, minutes) in fired.iter().zip(&minutes) {
            let limit_ms = i64::from(*minutes) * MINUTE_MS;
            prop_assert_eq!(elapsed_ms(*fires_ms), limit_ms);
            prop_assert!(elapsed_ms(*fires_ms - 1) < limit_ms);
        }
        // While it runs, the same levels come first.
        let mut running = Vec::new();
        reached(&levels, zone, start_ms, None, &mut running);
        prop_assert!(running.starts_with(&fired));
    }

    #[test]
    fn a_place_is_one_more_than_the_values_that_are_better(mut rows in prop::collection::vec(0_i32..8, 0..20)) {
        rows.sort_unstable_by(|a, b| b.cmp(a));
        let found = places(&rows, |a, b| b.cmp(a));
        for (row, place) in rows.iter().zip(found) {
            let better: std::collections::BTreeSet<_> = rows.iter().filter(|other| *other > row).collect();
            prop_assert_eq!(place as usize, better.len() + 1);
        }
    }
}
