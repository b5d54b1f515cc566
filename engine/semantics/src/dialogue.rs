//! Cutting a conversation into dialogues, and what a dialogue looks like (semantics 3, manual 9.8).
//!
//! Input: the counted messages of one external conversation in order. Output: contiguous ranges
//! that together are all of them. What makes a phrase a closing one is asked in `closing`.

use std::ops::Range;

/// On which side of the company's door a speaker stands.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// One of the company's people.
    Employee,
    /// An external contact.
    Customer,
}

impl Side {
    /// The name: `employee` or `customer`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Employee => "employee",
            Self::Customer => "customer",
        }
    }
}

/// A counted message, as little of it as dialogues and replies need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// When it was sent, UTC milliseconds.
    pub at_ms: i64,
    /// WeCom's rising number; orders messages of one millisecond.
    pub seq: i64,
    /// Who sent it: the caller's number for an id.
    pub speaker: u32,
    /// The speaker's side.
    pub side: Side,
    /// Whether it is a text that is a closing phrase. Only a customer's closes; on an employee's
    /// message it is ignored.
    pub closes: bool,
}

/// When a dialogue ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DialogueRule {
    /// Silence of this many milliseconds or more ends it.
    pub gap_ms: i64,
    /// Employee messages at most this many milliseconds after a closing phrase still belong to the
    /// dialogue it closed; 0 switches it off, even for a message in the same millisecond.
    pub grace_ms: i64,
}

/// Cuts messages, in order of (`at_ms`, `seq`), into dialogues: non-empty contiguous ranges that
/// together are the whole slice. `out` is cleared first, so that one buffer serves many calls.
///
/// A message opens a new dialogue iff it is the first, or the silence before it is `gap_ms` or more
/// (exactly the limit is enough, within the grace too), or the dialogue is closed. A customer's
/// closing phrase closes it for everything but employee messages within the grace, counted from
/// the phrase; they do not reopen it. Whatever opens the next dialogue ends the grace.
pub fn cut(messages: &[Counted], rule: &DialogueRule, out: &mut Vec<Range<usize>>) {
    debug_assert!(
        messages.is_sorted_by_key(|m| (m.at_ms, m.seq)),
        "messages come in order of (at_ms, seq)"
    );
    out.clear();
    let mut first = 0;
    let mut closed_at_ms = None;
    for (at, message) in messages.iter().enumerate() {
        if at > 0 {
            let silence_ms = message.at_ms.saturating_sub(messages[at - 1].at_ms);
            if silence_ms >= rule.gap_ms || !is_open_to(message, closed_at_ms, rule.grace_ms) {
                out.push(first..at);
                first = at;
                closed_at_ms = None;
            }
        }
        if message.closes && message.side == Side::Customer {
            closed_at_ms = Some(message.at_ms);
        }
    }
    if !messages.is_empty() {
        out.push(first..messages.len());
    }
}

/// Whether a dialogue, closed at that instant if at all, still takes the message.
fn is_open_to(message: &Counted, closed_at_ms: Option<i64>, grace_ms: i64) -> bool {
    let Some(closed_at_ms) = closed_at_ms else {
        return true;
    };
    grace_ms > 0
        && message.side == Side::Employee
        && message.at_ms.saturating_sub(closed_at_ms) <= grace_ms
}

/// What a dialogue looks like from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Its first message, UTC milliseconds; its day is the dialogue's day.
    pub started_ms: i64,
    /// Its last message, UTC milliseconds.
    pub ended_ms: i64,
    /// The side of its first message.
    pub opened_by: Side,
    /// Messages of employees.
    pub n_employee: u32,
    /// Messages of customers.
    pub n_customer: u32,
}

/// The shape of a dialogue, one of the ranges of [`cut`].
///
/// A dialogue is never empty; for an empty slice all numbers are 0 and a customer opened it.
pub fn shape(messages: &[Counted]) -> Shape {
    let mut shape = Shape {
        started_ms: messages.first().map_or(0, |m| m.at_ms),
        ended_ms: messages.last().map_or(0, |m| m.at_ms),
        opened_by: messages.first().map_or(Side::Customer, |m| m.side),
        n_employee: 0,
        n_customer: 0,
    };
    for message in messages {
        match message.side {
            Side::Employee => shape.n_employee += 1,
            Side::Customer => shape.n_customer += 1,
        }
    }
    shape
}

impl Shape {
    /// From the first message to the last, milliseconds.
    pub fn duration_ms(&self) -> i64 {
        self.ended_ms.saturating_sub(self.started_ms)
    }

    /// Whether both sides spoke (有效).
    pub fn effective(&self) -> bool {
        self.n_employee > 0 && self.n_customer > 0
    }

    /// Messages of both sides.
    pub fn n_messages(&self) -> u64 {
        u64::from(self.n_employee) + u64::from(self.n_customer)
    }

    /// Whether the employee of a single chat takes part: he opened it, or answered at least once.
    pub fn employee_takes_part(&self) -> bool {
        self.n_employee > 0
    }
}

#[cfg(test)]
mod tests;
