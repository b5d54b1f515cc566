//! Timers at their edges (semantics 5); the ordinary cases are golden cases.

use super::*;

const LATEST: TimerFrom = TimerFrom::Last;

fn said(at_ms: i64, speaker: u32, side: Side) -> TimerMessage {
    TimerMessage {
        at_ms,
        speaker,
        side,
        needs_no_answer: false,
    }
}

#[test]
fn nobody_waits_where_nobody_speaks() {
    let mut out = vec![Timer {
        customer: 0,
        start: 0,
        end: None,
        answer: None,
    }];
    timers(&[], LATEST, &mut out);
    assert!(out.is_empty());
}

#[test]
fn an_employee_ends_timers_whatever_he_says() {
    let mut thanks = said(5, 2, Side::Employee);
    thanks.needs_no_answer = true;
    let mut out = Vec::new();
    timers(&[said(0, 1, Side::Customer), thanks], LATEST, &mut out);
    assert_eq!(out[0].end, Some(1));
    assert_eq!(out[0].answer, Some(1));
}

#[test]
fn a_number_shared_by_a_customer_and_an_employee_is_kept_apart_by_side() {
    let messages = [said(0, 1, Side::Customer), said(5, 1, Side::Employee)];
    let mut out = Vec::new();
    timers(&messages, LATEST, &mut out);
    assert_eq!(out.len(), 1);
    assert_eq!(shown(&messages, &out[0], TimerFrom::First, i64::MAX), 0);
}

#[test]
fn a_timer_at_the_end_of_the_number_line_fires_there() {
    let levels = Levels {
        after_minutes: &[1, u32::MAX],
        calendar: None,
    };
    let mut out = vec![9];
    reached(&levels, Zone::default(), i64::MAX - 1, None, &mut out);
    assert_eq!(out, [i64::MAX, i64::MAX]);
}

#[test]
fn a_calendar_without_hours_fires_nothing() {
    let never = Calendar::default();
    let levels = Levels {
        after_minutes: &[1],
        calendar: Some(&never),
    };
    let mut out = Vec::new();
    reached(&levels, Zone::default(), 0, None, &mut out);
    assert!(out.is_empty());
}
