//! Places of a ranking (semantics 10.8, manual 5.4.3).

use std::cmp::Ordering;

/// The places of rows that come best first, as `cmp` orders them (`Less`: better).
///
/// Equal values share a place and the next value takes the next number: 1, 2, 3, 3, 3, 4.
pub fn places<T>(rows: &[T], cmp: impl Fn(&T, &T) -> Ordering) -> Vec<u32> {
    let mut place = 0;
    let mut places = Vec::with_capacity(rows.len());
    for (at, row) in rows.iter().enumerate() {
        let with_last = at.checked_sub(1).map(|last| cmp(&rows[last], row));
        debug_assert_ne!(with_last, Some(Ordering::Greater), "rows come best first");
        if with_last != Some(Ordering::Equal) {
            place += 1;
        }
        places.push(place);
    }
    places
}

/// How many rows of a ranking stand on its first `top` places: all that share the last of them, too.
///
/// `places` as [`places`] gives them.
pub fn n_within(places: &[u32], top: u32) -> usize {
    places.partition_point(|place| *place <= top)
}

#[cfg(test)]
mod tests;
