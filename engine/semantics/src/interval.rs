//! Facts of the directory that hold for a time: relations, memberships, roles (semantics 9, 10.3, 10.7).

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

/// Who held a role of a group (owner, responsible), and when: the holder's number and the interval.
pub type Held = (u32, Interval);

/// Who holds a role at an instant: of the intervals that hold, the one that began last.
pub fn holder_at(history: &[Held], at_ms: i64) -> Option<u32> {
    history
        .iter()
        .filter(|(_, held)| held.contains(at_ms))
        .max_by_key(|(_, held)| held.from_ms)
        .map(|(user, _)| *user)
}

/// The owner (群主) of a group at an instant, from its history and from what `groups` says.
///
/// The first owner of the history reaches back without end. Where the history names nobody (it has
/// a gap, or has ended, or there is none) the owner is the one of `groups`.
pub fn owner_at(history: &[Held], owner: Option<u32>, at_ms: i64) -> Option<u32> {
    let first = || history.iter().min_by_key(|(_, held)| held.from_ms);
    let reaches_back =
        || first().filter(|(_, held)| held.from_ms.is_some_and(|from_ms| at_ms < from_ms));
    holder_at(history, at_ms)
        .or_else(|| reaches_back().map(|(user, _)| *user))
        .or(owner)
}

/// The responsible (群负责人) of a group at an instant: the one set then, else its owner then.
///
/// Unlike an owner's his first interval does not reach back: before it the owner is responsible.
pub fn responsible_at(
    history: &[Held],
    owners: &[Held],
    owner: Option<u32>,
    at_ms: i64,
) -> Option<u32> {
    holder_at(history, at_ms).or_else(|| owner_at(owners, owner, at_ms))
}

/// A joining of an external group: the group's number, and when (UTC milliseconds); one without a
/// time reaches back without end, so it came before all others.
pub type Joining = (u32, Option<i64>);

/// The first joining ever of a customer: the earliest, ties by chat_id (semantics 10.3).
///
/// `joinings` are his of external groups, those he left too. Groups' numbers must rise with their
/// chat_ids bytewise. Where they do not, ask [`first_joining_by`].
pub fn first_joining(joinings: &[Joining]) -> Option<Joining> {
    first_joining_by(joinings, |group| group)
}

/// As [`first_joining`] for numbers in any order: `rank_of` tells how a group's id compares bytewise.
pub fn first_joining_by<R: Ord>(
    joinings: &[Joining],
    rank_of: impl Fn(u32) -> R,
) -> Option<Joining> {
    joinings
        .iter()
        .copied()
        .min_by_key(|&(group, joined_ms)| (joined_ms, rank_of(group)))
}

/// Silent days: whole days, 24 hours each, from a customer's last message to an instant (semantics 10.7).
///
/// Both in UTC milliseconds; 0 where the message is not in the past.
pub fn silent_days(last_message_ms: i64, at_ms: i64) -> i64 {
    const DAY_MS: i64 = 86_400_000;
    at_ms.saturating_sub(last_message_ms).max(0) / DAY_MS
}

#[cfg(test)]
mod tests;
