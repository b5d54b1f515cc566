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

fn held(from_ms: impl Into<Option<i64>>, to_ms: impl Into<Option<i64>>) -> Interval {
    Interval {
        from_ms: from_ms.into(),
        to_ms: to_ms.into(),
    }
}

#[test]
fn the_first_owner_reaches_back_and_a_gap_falls_to_the_table() {
    let history = [(1, held(10, 20)), (2, held(30, None))];
    let owners: Vec<_> = [0, 10, 19, 20, 29, 30, 99]
        .map(|at_ms| owner_at(&history, Some(7), at_ms).unwrap())
        .into();
    assert_eq!(owners, [1, 1, 1, 7, 7, 2, 2]);
    assert_eq!(owner_at(&[], Some(7), 0), Some(7));
    assert_eq!(owner_at(&[], None, 0), None);
}

#[test]
fn of_holders_that_overlap_the_later_one_holds() {
    let history = [
        (2, held(30, None)),
        (1, held(10, None)),
        (3, held(None, 40)),
    ];
    assert_eq!(holder_at(&history, 5), Some(3));
    assert_eq!(holder_at(&history, 29), Some(1));
    assert_eq!(holder_at(&history, 30), Some(2));
}

#[test]
fn before_the_first_responsible_the_owner_is_responsible() {
    let (history, owners) = ([(5, held(10, 20))], [(1, held(15, None))]);
    let at = |at_ms| responsible_at(&history, &owners, Some(7), at_ms);
    assert_eq!(
        [at(9), at(10), at(19), at(20)],
        [Some(1), Some(5), Some(5), Some(1)]
    );
    assert_eq!(responsible_at(&[], &[], None, 0), None);
}

#[test]
fn the_first_joining_is_the_earliest_and_ties_go_to_the_smaller_chat_id() {
    assert_eq!(first_joining(&[]), None);
    assert_eq!(
        first_joining(&[(3, Some(5)), (2, Some(9)), (1, Some(5))]),
        Some((1, Some(5)))
    );
    assert_eq!(
        first_joining(&[(1, Some(i64::MIN)), (2, None)]),
        Some((2, None))
    );
    let names = ["wrZ", "wrA"];
    let joinings = [(0, Some(5)), (1, Some(5))];
    assert_eq!(
        first_joining_by(&joinings, |group| names[group as usize]),
        Some((1, Some(5)))
    );
}

#[test]
fn silent_days_are_whole_days() {
    const DAY_MS: i64 = 86_400_000;
    assert_eq!(silent_days(0, DAY_MS - 1), 0);
    assert_eq!(silent_days(0, DAY_MS), 1);
    assert_eq!(silent_days(10, 5), 0);
    assert_eq!(silent_days(i64::MIN, i64::MAX), i64::MAX / DAY_MS);
}
