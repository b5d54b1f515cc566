//! Rankings (semantics 10.8).

use super::*;

fn best_first(a: &i32, b: &i32) -> Ordering {
    b.cmp(a)
}

#[test]
fn equal_values_share_a_place_and_the_next_takes_the_next_number() {
    let rows = [9, 8, 7, 7, 7, 1];
    assert_eq!(places(&rows, best_first), [1, 2, 3, 3, 3, 4]);
}

#[test]
fn nobody_takes_no_place_and_one_takes_the_first() {
    assert!(places(&[], best_first).is_empty());
    assert_eq!(places(&[0], best_first), [1]);
    assert_eq!(places(&[4, 4, 4], best_first), [1, 1, 1]);
}

#[test]
fn all_who_share_the_last_place_of_the_top_are_in_it() {
    let places = [1, 2, 3, 3, 3, 4];
    assert_eq!(n_within(&places, 3), 5);
    assert_eq!(n_within(&places, 2), 2);
    assert_eq!(n_within(&places, 0), 0);
    assert_eq!(n_within(&places, 99), 6);
}
