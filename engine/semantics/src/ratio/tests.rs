//! Ratios, means and percentiles (semantics 1 and 10.9).

use super::*;

#[test]
fn over_nothing_there_is_no_ratio() {
    assert_eq!(ratio(3_u64, 0_u64), None);
    assert_eq!(ratio(0_usize, 4_usize), Some(0.0));
    assert_eq!(change_ratio(6_i64, 4_i64), Some(0.5));
    assert_eq!(change_ratio(6_i64, 0_i64), None);
    assert_eq!(change_ratio(0_i64, 5_i64), Some(-1.0));
    assert_eq!(mean(&[]), None);
    assert_eq!(mean_of_means([]), None);
    assert_eq!(percentile(&mut [], 50), None);
}

#[test]
fn a_mean_of_huge_values_does_not_overflow() {
    assert_eq!(mean(&[i64::MAX, i64::MAX]), Some(i64::MAX as f64));
    assert_eq!(mean(&[1, 2]), Some(1.5));
    assert_eq!(mean_of_means([1.5, 2.5, 5.0]), Some(3.0));
}

#[test]
fn percentiles_are_values_that_occurred() {
    let mut values = [50, 15, 35, 40, 20];
    let found = [5, 30, 40, 50, 100].map(|percent| percentile(&mut values, percent));
    assert_eq!(found, [15, 20, 20, 35, 50].map(Some));
    assert_eq!(percentile(&mut values, 0), Some(15));
    assert_eq!(percentile(&mut values, 1_000), Some(50));
    // 7 % of 100 values is the 7th, which 0.07 * 100.0 rounded up is not.
    let hundred: Vec<i64> = (1..=100).collect();
    assert!((0..=100).all(|p| percentile_of_sorted(&hundred, p) == Some(i64::from(p.max(1)))));
}
