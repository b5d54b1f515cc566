//! What reports count, in memory: the facts of a stretch of days, read from the derived tables,
//! with every id as a number of one [`Names`].
//!
//! Reports take the stretches one after another, so that a year never has to fit in memory; facts
//! of one stretch never repeat in another. Everything here is in one order that does not change
//! between runs, because sums of fractions depend on it: by time, then conversation.

use std::ops::Range;

use chrono::NaiveDate;
use huicun_semantics::conversation::Kind;
use huicun_semantics::dialogue::Side;

pub use super::names::Names;

/// A dialogue, in the stretch on whose days it started (semantics 3).
#[derive(Debug, Clone, PartialEq)]
pub struct DialogueFact {
    /// The room id or `a|b`, a number of the names.
    pub conversation: u32,
    /// `SingleExternal` or `GroupExternal`.
    pub kind: Kind,
    /// The employee of the pair; none in a group.
    pub employee: Option<u32>,
    /// The customer of the pair; none in a group.
    pub customer: Option<u32>,
    /// First message, UTC milliseconds.
    pub started_ms: i64,
    /// Last message, UTC milliseconds.
    pub ended_ms: i64,
    /// Side of the first message.
    pub opened_by: Side,
    /// Messages of employees.
    pub n_employee: u32,
    /// Messages of customers.
    pub n_customer: u32,
    /// Single chats: effective, and the only effective one of the pair that started on its day.
    pub only_effective_24h: bool,
    /// Single chats: the same over its day and the next.
    pub only_effective_48h: bool,
    /// Its replies, all employees as one: a range of [`PeriodFacts::replies`].
    pub replies: Range<usize>,
    /// Groups: all its messages, a range of [`PeriodFacts::spoken`]; empty in a single chat.
    pub spoken: Range<usize>,
}

impl DialogueFact {
    /// Both sides spoke (有效).
    pub fn is_effective(&self) -> bool {
        self.n_employee > 0 && self.n_customer > 0
    }

    /// Of a single chat: opened by the employee, or he sent at least one message (参与).
    pub fn employee_takes_part(&self) -> bool {
        self.opened_by == Side::Employee || self.n_employee > 0
    }

    /// From the first message to the last, milliseconds.
    pub fn lasted_ms(&self) -> i64 {
        self.ended_ms - self.started_ms
    }
}

/// A customer turn that was answered (semantics 4).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ReplyFact {
    /// The turn's first message, UTC milliseconds.
    pub turn_ms: i64,
    /// The answer, UTC milliseconds.
    pub at_ms: i64,
    /// Who answered.
    pub by: u32,
    /// The reply interval by `reply.from` and `reply.clock`, milliseconds.
    pub interval_ms: i64,
    /// The same in working time, where `reply.calendar` names a calendar.
    pub working_ms: Option<i64>,
}

/// A counted message of a group dialogue.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SpokenFact {
    /// When, UTC milliseconds.
    pub at_ms: i64,
    /// Who.
    pub speaker: u32,
    /// His side.
    pub side: Side,
}

/// A timeout, in the stretch on whose days level 1 fired (semantics 5).
#[derive(Debug, Clone, PartialEq)]
pub struct TimeoutFact {
    /// The conversation.
    pub conversation: u32,
    /// `SingleExternal` or `GroupExternal`.
    pub kind: Kind,
    /// Whose message was not answered.
    pub customer: u32,
    /// The employees that it names: a range of [`PeriodFacts::people`].
    pub employees: Range<usize>,
    /// The msgid that it shows, a number of the names.
    pub message_id: u32,
    /// That message's time, UTC milliseconds.
    pub message_ms: i64,
    /// When level 1 was reached, UTC milliseconds.
    pub fired_ms: i64,
}

/// What one person sent in one conversation on one day, of any kind of conversation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ActivityFact {
    /// The day in the company's zone.
    pub day: NaiveDate,
    /// The conversation.
    pub conversation: u32,
    /// Its kind.
    pub kind: Kind,
    /// Who spoke.
    pub speaker: u32,
    /// His side; robots are left out.
    pub side: Side,
    /// Counted messages.
    pub n: u32,
    /// Those of them that this conversation is the first of its kind to hold: a message to several
    /// pairs is one message in the sum over conversations of a kind.
    pub n_own: u32,
    /// The first of them, UTC milliseconds.
    pub first_ms: i64,
    /// The last of them, UTC milliseconds.
    pub last_ms: i64,
}

/// An audio or video call.
#[derive(Debug, Clone, PartialEq)]
pub struct CallFact {
    /// The conversation.
    pub conversation: u32,
    /// `SingleExternal` or `GroupExternal`.
    pub kind: Kind,
    /// The employee of the pair; none in a group.
    pub employee: Option<u32>,
    /// Its msgid, a number of the names.
    pub message_id: u32,
    /// When, UTC milliseconds.
    pub at_ms: i64,
    /// Who started it.
    pub by: u32,
    /// Whom the message names as taking part: a range of [`PeriodFacts::people`].
    pub named: Range<usize>,
    /// How long, milliseconds.
    pub lasted_ms: i64,
}

/// A behaviour that a rule recorded (semantics 8), in the stretch of the day it happened on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BehaviourFact {
    /// Its id, a number of the names.
    pub id: u32,
    /// Who triggered it.
    pub trigger: u32,
    /// When, UTC milliseconds.
    pub at_ms: i64,
    /// Whether its review says 违规属实.
    pub is_confirmed: bool,
}

/// A customer who waits for an answer: a timer (semantics 5, 10.9).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TimerFact {
    /// The conversation.
    pub conversation: u32,
    /// `SingleExternal` or `GroupExternal`.
    pub kind: Kind,
    /// The employee of the pair; none in a group.
    pub employee: Option<u32>,
    /// Who waits.
    pub customer: u32,
    /// The msgid of the message that started the timer, a number of the names.
    pub message_id: u32,
    /// Since when, UTC milliseconds.
    pub since_ms: i64,
    /// Until when; not yet ended if missing.
    pub ended_ms: Option<i64>,
}

impl TimerFact {
    /// Whether it runs at an instant.
    pub fn runs_at(&self, at_ms: i64) -> bool {
        self.since_ms <= at_ms && self.ended_ms.is_none_or(|ended_ms| at_ms < ended_ms)
    }
}

/// The facts of a stretch of days.
#[derive(Debug, Default)]
pub struct PeriodFacts {
    /// Dialogues that started in it.
    pub dialogues: Vec<DialogueFact>,
    /// Replies of the dialogues.
    pub replies: Vec<ReplyFact>,
    /// Messages of the group dialogues.
    pub spoken: Vec<SpokenFact>,
    /// Timeouts that fired in it.
    pub timeouts: Vec<TimeoutFact>,
    /// Who sent how much where.
    pub activity: Vec<ActivityFact>,
    /// Calls dated in it.
    pub calls: Vec<CallFact>,
    /// Behaviours in it.
    pub behaviours: Vec<BehaviourFact>,
    /// People that facts name, by their ranges.
    pub people: Vec<u32>,
}

impl PeriodFacts {
    /// The replies of a dialogue, in order.
    pub fn replies_of(&self, dialogue: &DialogueFact) -> &[ReplyFact] {
        &self.replies[dialogue.replies.clone()]
    }

    /// The messages of a group dialogue, in order; none of a single chat.
    pub fn spoken_in(&self, dialogue: &DialogueFact) -> &[SpokenFact] {
        &self.spoken[dialogue.spoken.clone()]
    }

    /// The employees that a timeout names.
    pub fn employees_of(&self, timeout: &TimeoutFact) -> &[u32] {
        &self.people[timeout.employees.clone()]
    }

    /// Whom a call names as taking part.
    pub fn named_in(&self, call: &CallFact) -> &[u32] {
        &self.people[call.named.clone()]
    }
}
