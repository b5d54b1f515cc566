//! Times of WeCom: milliseconds by the book, seconds in practice here and there
//! (fact sheet 0.10, 5.2, 5.3 chatrecord).

use super::json::{Json, whole_part};

/// Below it a number is seconds: as milliseconds it would lie before September 2001,
/// years before WeCom.
const MILLIS_FROM: i64 = 1_000_000_000_000;

/// 2262-04-11T23:47:16.854Z, the last millisecond whose nanoseconds fit 64 bits. What lies
/// behind is no time (microseconds, a damaged number), and one such row would make date
/// functions of SQL engines fail over the whole table.
const MILLIS_MAX: i64 = 9_223_372_036_854;

/// Milliseconds since 1970 from a number or a string, in seconds or milliseconds; 0
/// stays 0 (an official sample has it). None for anything that is no time.
pub(super) fn millis(value: Json<'_>) -> Option<i64> {
    let text = value.text()?;
    let millis = match text.trim().parse::<i64>() {
        Ok(number) if number < MILLIS_FROM => number.checked_mul(1000)?,
        Ok(number) => number,
        Err(_) => fractional_millis(value.float()?)?,
    };
    (0..=MILLIS_MAX).contains(&millis).then_some(millis)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a power of ten that a float holds exactly"
)]
fn fractional_millis(number: f64) -> Option<i64> {
    if number < MILLIS_FROM as f64 {
        whole_part((number * 1000.0).round())
    } else {
        whole_part(number)
    }
}
