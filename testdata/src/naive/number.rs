//! Ratios, means and percentiles as answers give them: null over nothing (semantics 1 and 10.9).

use serde_json::{Value, json};

pub(super) fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

pub(super) fn mean_seconds(total_ms: i64, n: usize) -> Value {
    if n == 0 {
        return Value::Null;
    }
    json!(total_ms as f64 / n as f64 / 1000.0)
}

pub(super) fn ratio(part: usize, whole: usize) -> Value {
    if whole == 0 {
        return Value::Null;
    }
    json!(part as f64 / whole as f64)
}

/// `(current - previous) / previous`.
pub(super) fn change(current: i64, previous: i64) -> Value {
    if previous == 0 {
        return Value::Null;
    }
    json!((current - previous) as f64 / previous as f64)
}

/// The smallest value with at least `percent` % of the values at or below it, in seconds.
pub(super) fn percentile_seconds(values_ms: &[i64], percent: usize) -> Value {
    let mut sorted = values_ms.to_vec();
    sorted.sort_unstable();
    for (index, ms) in sorted.iter().enumerate() {
        if (index + 1) * 100 >= percent * sorted.len() {
            return json!(seconds(*ms));
        }
    }
    Value::Null
}

/// A fraction rounded to four places: two decimals in percent.
pub(super) fn four_places(fraction: f64) -> f64 {
    (fraction * 10_000.0).round() / 10_000.0
}
