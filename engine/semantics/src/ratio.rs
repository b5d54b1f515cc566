//! Ratios, means and percentiles (semantics 1 and 10.9).
//!
//! Over nothing they are `None` (null, shown `-`), never 0. Ratios and means of a unit are
//! recomputed from the parts of all its employees, never averaged from theirs.

/// A number of things or of milliseconds.
///
/// For the whole numbers that huicun counts (below 2^53) the step to `f64` is exact.
pub trait Quantity: Copy {
    /// The number as `f64`.
    fn as_f64(self) -> f64;
}

macro_rules! quantity {
    ($($number:ty),*) => {$(
        impl Quantity for $number {
            fn as_f64(self) -> f64 {
                self as f64
            }
        }
    )*};
}

quantity!(i32, i64, u32, u64, usize, f64);

/// The share `part / whole`; `None` when the whole is 0.
pub fn ratio(part: impl Quantity, whole: impl Quantity) -> Option<f64> {
    let whole = whole.as_f64();
    (whole != 0.0).then(|| part.as_f64() / whole)
}

/// The change ratio (环比), `(current - previous) / previous`; `None` when previous is 0.
pub fn change_ratio(current: impl Quantity, previous: impl Quantity) -> Option<f64> {
    ratio(current.as_f64() - previous.as_f64(), previous)
}

/// The mean of values, in their unit; `None` of none.
///
/// The sum is exact, so the order of the values does not matter.
pub fn mean(values: &[i64]) -> Option<f64> {
    let total: i128 = values.iter().copied().map(i128::from).sum();
    (!values.is_empty()).then(|| total as f64 / values.len() as f64)
}

/// The mean of means, in their unit; `None` of none.
///
/// Fractions are added as they come: give them in one order where equal digits matter.
pub fn mean_of_means(means: impl IntoIterator<Item = f64>) -> Option<f64> {
    let (total, n) = means
        .into_iter()
        .fold((0.0, 0_usize), |(total, n), mean| (total + mean, n + 1));
    ratio(total, n)
}

/// The nearest-rank percentile: the smallest value with at least `percent` % of the values at or
/// below it; `None` of no values.
///
/// `percent` 0 is the smallest value, 100 and more the greatest. Puts the values into another order.
pub fn percentile(values: &mut [i64], percent: u32) -> Option<i64> {
    let at = nearest_rank(values.len(), percent)?;
    let (_, value, _) = values.select_nth_unstable(at);
    Some(*value)
}

/// As [`percentile`], of values that are already in rising order.
pub fn percentile_of_sorted(values: &[i64], percent: u32) -> Option<i64> {
    debug_assert!(values.is_sorted(), "values come in rising order");
    nearest_rank(values.len(), percent).map(|at| values[at])
}

/// The index of the percentile among `n` sorted values: `ceil(percent * n / 100) - 1`, in whole
/// numbers, because 0.07 * 100 is not 7 for a computer.
fn nearest_rank(n: usize, percent: u32) -> Option<usize> {
    let last = n.checked_sub(1)?;
    let rank = (u128::from(percent) * n as u128).div_ceil(100);
    let at = usize::try_from(rank.saturating_sub(1)).unwrap_or(last);
    Some(at.min(last))
}

#[cfg(test)]
mod tests;
