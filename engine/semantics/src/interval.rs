//! Facts of the directory that hold for a time: relations, memberships, roles (semantics 9).

/// A half-open stretch of time, UTC milliseconds; an end that is not given reaches without end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Interval {
    /// The first instant, if there is one.
    pub from_ms: Option<i64>,
    /// The first instant after it, if there is one.
    pub to_ms: Option<i64>,
}

impl Interval {
    /// Whether it holds at an instant: `from <= at < to`.
    pub fn contains(&self, at_ms: i64) -> bool {
        self.from_ms.is_none_or(|from_ms| from_ms <= at_ms)
            && self.to_ms.is_none_or(|to_ms| at_ms < to_ms)
    }

    /// Whether it holds at some instant of `start_ms..end_ms`.
    pub fn touches(&self, start_ms: i64, end_ms: i64) -> bool {
        let from_ms = self
            .from_ms
            .map_or(start_ms, |from_ms| from_ms.max(start_ms));
        let to_ms = self.to_ms.map_or(end_ms, |to_ms| to_ms.min(end_ms));
        from_ms < to_ms
    }
}

/// A relation of one customer: the employee's number, when he added the customer, and when it was
/// lost if it was (UTC milliseconds).
pub type Relation = (u32, i64, Option<i64>);

/// Whether a relation is active at an instant: `add_time <= at < lost_time`, or never lost.
///
/// One that was lost when or before it began never is.
pub fn is_active(&(_, add_ms, lost_ms): &Relation, at_ms: i64) -> bool {
    add_ms <= at_ms && lost_ms.is_none_or(|lost_ms| at_ms < lost_ms)
}

/// The first adder of a customer at an instant: of his active relations the employee with the
/// smallest (add_time, userid).
///
/// Employees' numbers must rise with their userids bytewise, as in a sorted dictionary. Where they
/// do not, ask [`first_adder_by`].
pub fn first_adder(relations: &[Relation], at_ms: i64) -> Option<u32> {
    first_adder_by(relations, at_ms, |user| user)
}

/// As [`first_adder`] for numbers in any order: `rank_of` tells how a user's id compares bytewise
/// (a rank, or the id itself).
pub fn first_adder_by<R: Ord>(
    relations: &[Relation],
    at_ms: i64,
    rank_of: impl Fn(u32) -> R,
) -> Option<u32> {
    relations
        .iter()
        .filter(|relation| is_active(relation, at_ms))
        .min_by_key(|&&(user, add_ms, _)| (add_ms, rank_of(user)))
        .map(|&(user, ..)| user)
}

#[cfg(test)]
mod tests;
