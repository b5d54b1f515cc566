//! Customer turns and the replies to them (semantics 4).
//!
//! Everything is computed on a *view* of one dialogue: its customer messages and the messages of
//! some employees, the others left out. In a single chat the view is the dialogue; in a group it is
//! one employee's; for a unit, the messages of all who belonged to it when the dialogue began.
//! Intervals here are wall time; a working clock replaces `interval_ms` from the same indexes.

use crate::dialogue::{Counted, Side};

/// From which message of a customer turn a reply interval counts.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum ReplyFrom {
    /// The turn's first message.
    #[default]
    First,
    /// The turn's last message.
    Last,
}

/// A customer turn: in the view, a maximal run of consecutive customer messages, of whichever customers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CustomerTurn {
    /// Its first message, an index into the dialogue.
    pub first: usize,
    /// Its last message, an index into the dialogue.
    pub last: usize,
}

/// A customer turn and its reply: the next employee message in the view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The turn's first message, an index into the dialogue.
    pub turn_first: usize,
    /// The turn's last message, an index into the dialogue.
    pub turn_last: usize,
    /// The reply, an index into the dialogue.
    pub reply: usize,
    /// From the turn's first or last message to the reply, milliseconds, never negative.
    pub interval_ms: i64,
}

/// The replies of a dialogue in order, one for each turn that has one. `out` is cleared first.
///
/// `view_of`: `None` takes all employees as one, `Some(speaker)` leaves out the other employees.
pub fn replies(dialogue: &[Counted], view_of: Option<u32>, from: ReplyFrom, out: &mut Vec<Reply>) {
    replies_in_view(dialogue, view_of_speaker(view_of), from, out);
}

/// As [`replies`], on the view of the employees for whom `is_in_view` holds: a unit as one employee.
pub fn replies_in_view(
    dialogue: &[Counted],
    is_in_view: impl Fn(u32) -> bool,
    from: ReplyFrom,
    out: &mut Vec<Reply>,
) {
    out.clear();
    out.extend(Walk::new(dialogue, is_in_view, from));
}

/// The first reply time, milliseconds: the interval of the first turn that has a reply, if any has.
pub fn first_reply(dialogue: &[Counted], view_of: Option<u32>, from: ReplyFrom) -> Option<i64> {
    first_reply_in_view(dialogue, view_of_speaker(view_of), from)
}

/// As [`first_reply`], on the view of the employees for whom `is_in_view` holds.
pub fn first_reply_in_view(
    dialogue: &[Counted],
    is_in_view: impl Fn(u32) -> bool,
    from: ReplyFrom,
) -> Option<i64> {
    Walk::new(dialogue, is_in_view, from)
        .next()
        .map(|reply| reply.interval_ms)
}

/// The turn at the end of a dialogue that nobody in the view answered, if there is one.
///
/// Whether it needed an answer (a closing phrase does not) is a question for timeouts, section 5.
pub fn unanswered_turn(dialogue: &[Counted], view_of: Option<u32>) -> Option<CustomerTurn> {
    unanswered_turn_in_view(dialogue, view_of_speaker(view_of))
}

/// As [`unanswered_turn`], on the view of the employees for whom `is_in_view` holds.
pub fn unanswered_turn_in_view(
    dialogue: &[Counted],
    is_in_view: impl Fn(u32) -> bool,
) -> Option<CustomerTurn> {
    let mut walk = Walk::new(dialogue, is_in_view, ReplyFrom::First);
    while walk.next().is_some() {}
    walk.turn
}

fn view_of_speaker(view_of: Option<u32>) -> impl Fn(u32) -> bool {
    move |speaker| view_of.is_none_or(|one| one == speaker)
}

/// Walks a dialogue from turn to reply without a buffer of its own.
struct Walk<'a, F> {
    dialogue: &'a [Counted],
    at: usize,
    turn: Option<CustomerTurn>,
    is_in_view: F,
    from: ReplyFrom,
}

impl<'a, F: Fn(u32) -> bool> Walk<'a, F> {
    fn new(dialogue: &'a [Counted], is_in_view: F, from: ReplyFrom) -> Self {
        Self {
            dialogue,
            at: 0,
            turn: None,
            is_in_view,
            from,
        }
    }

    fn reply(&self, turn: CustomerTurn, reply: usize) -> Reply {
        let since = match self.from {
            ReplyFrom::First => turn.first,
            ReplyFrom::Last => turn.last,
        };
        let interval_ms = self.dialogue[reply]
            .at_ms
            .saturating_sub(self.dialogue[since].at_ms);
        Reply {
            turn_first: turn.first,
            turn_last: turn.last,
            reply,
            interval_ms,
        }
    }
}

impl<F: Fn(u32) -> bool> Iterator for Walk<'_, F> {
    type Item = Reply;

    fn next(&mut self) -> Option<Reply> {
        while let Some(message) = self.dialogue.get(self.at) {
            let at = self.at;
            self.at += 1;
            match message.side {
                Side::Customer => {
                    let first = self.turn.map_or(at, |turn| turn.first);
                    self.turn = Some(CustomerTurn { first, last: at });
                }
                Side::Employee if (self.is_in_view)(message.speaker) => {
                    if let Some(turn) = self.turn.take() {
                        return Some(self.reply(turn, at));
                    }
                }
                Side::Employee => {}
            }
        }
        None
    }
}

#[cfg(test)]
mod tests;
