//! Periods and slices (semantics 1).

use super::*;

#[test]
fn days_are_read_only_in_their_one_form() {
    for text in [
        "2024-10-1",
        " 2024-10-01",
        "2024-10-01 ",
        "20241001",
        "2024-02-30",
        "0000-01-01",
        "",
        "2024/10/01",
        "+024-10-01",
        "2024-１0-1",
    ] {
        assert_eq!(
            parse_day(text),
            Err(PeriodError::NotADay(text.to_owned())),
            "{text}"
        );
    }
    assert_eq!(
        Period::parse("2024-02-29", "2024-02-29").unwrap().n_days(),
        1
    );
}

#[test]
fn a_reversed_period_is_refused_and_holds_nothing_when_built_by_hand() {
    let error = Period::parse("2024-10-02", "2024-10-01").unwrap_err();
    assert_eq!(
        error.to_string(),
        "the period ends on 2024-10-01, before its first day 2024-10-02"
    );
    let zone = Zone::default();
    let empty = Period {
        from: NaiveDate::MAX,
        to: NaiveDate::MIN,
    };
    assert_eq!((empty.n_days(), empty.days().count()), (0, 0));
    assert!(!empty.contains_ms(zone, 0));
    assert!(By::Month.slices(&empty).is_empty());
}

#[test]
fn periods_at_the_ends_of_the_calendar_do_not_panic() {
    let from = NaiveDate::MAX - Days::new(40);
    let period = Period {
        from,
        to: NaiveDate::MAX,
    };
    for by in [By::Day, By::Week, By::Month] {
        let last = by.slices(&period).pop().unwrap().1;
        assert_eq!(last.to, NaiveDate::MAX);
    }
    let first = Period {
        from: NaiveDate::MIN,
        to: NaiveDate::MIN,
    };
    assert_eq!(first.previous(), first);
    assert_eq!(By::Week.slices(&first).len(), 1);
    assert!(period.end_ms(Zone::default()) >= period.start_ms(Zone::default()));
}
