//! Intervals and first adders (semantics 9).

use super::*;

#[test]
fn a_relation_is_active_from_its_first_instant_to_before_its_last() {
    let relation = (1, 10, Some(20));
    let active: Vec<i64> = (8..23)
        .filter(|at_ms| is_active(&relation, *at_ms))
        .collect();
    assert_eq!(active, (10..20).collect::<Vec<i64>>());
    assert!(is_active(&(1, 10, None), i64::MAX));
    assert!(!is_active(&(1, 10, Some(10)), 10));
    assert!(!is_active(&(1, 10, Some(5)), 7));
}

#[test]
fn the_first_adder_is_the_earliest_of_those_still_there() {
    let relations = [(3, 30, None), (1, 10, Some(50)), (2, 20, Some(40))];
    assert_eq!(first_adder(&relations, 9), None);
    assert_eq!(first_adder(&relations, 10), Some(1));
    assert_eq!(first_adder(&relations, 49), Some(1));
    assert_eq!(first_adder(&relations, 50), Some(3));
}

#[test]
fn who_was_lost_and_added_again_counts_from_the_second_time() {
    let relations = [(1, 10, Some(20)), (2, 15, None), (1, 30, None)];
    assert_eq!(first_adder(&relations, 19), Some(1));
    assert_eq!(first_adder(&relations, 31), Some(2));
}

#[test]
fn added_in_the_same_millisecond_the_smaller_userid_wins() {
    let names = ["zoe", "Adam", "bob"];
    let relations = [(0, 5, None), (2, 5, None), (1, 5, None)];
    assert_eq!(first_adder(&relations, 5), Some(0));
    assert_eq!(
        first_adder_by(&relations, 5, |user| names[user as usize]),
        Some(1)
    );
}

#[test]
fn an_interval_without_ends_reaches_everywhere() {
    let always = Interval {
        from_ms: None,
        to_ms: None,
    };
    assert!(always.contains(i64::MIN) && always.contains(i64::MAX));
    let stay = Interval {
        from_ms: Some(10),
        to_ms: Some(20),
    };
    assert!(stay.contains(10) && !stay.contains(20) && !stay.contains(9));
    assert!(stay.touches(19, 30) && !stay.touches(20, 30) && !stay.touches(0, 10));
    assert!(!always.touches(5, 5));
}
