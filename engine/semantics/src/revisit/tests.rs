//! Days of revisits at their edges (semantics 7); the ordinary cases are golden cases.

use super::*;

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

#[test]
fn there_is_no_day_before_the_add_day() {
    let add_day = day("2024-10-01");
    assert_eq!(due_date(add_day, 0, Numbering::Ordinal, None), None);
    assert_eq!(due_date(add_day, 0, Numbering::Offset, None), Some(add_day));
}

#[test]
fn the_add_day_is_day_1_even_if_nobody_works_then() {
    let never = Calendar::default();
    let add_day = day("2024-10-01");
    assert_eq!(
        due_date(add_day, 1, Numbering::Ordinal, Some(&never)),
        Some(add_day)
    );
    assert_eq!(due_date(add_day, 2, Numbering::Ordinal, Some(&never)), None);
}

#[test]
fn a_day_beyond_the_calendar_of_the_world_is_none() {
    assert_eq!(due_date(NaiveDate::MAX, 2, Numbering::Ordinal, None), None);
    assert_eq!(
        due_date(day("2024-10-01"), u32::MAX, Numbering::Offset, None),
        None
    );
}

#[test]
fn lost_within_the_day_is_still_due() {
    assert!(is_due(1_000, None));
    assert!(is_due(1_000, Some(1_000)));
    assert!(!is_due(1_000, Some(999)));
}
