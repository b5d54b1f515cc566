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

/// What of the facts somebody wants; the rest may be left out, because telling what is what costs
/// the most of reading them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// All that `explain` shows.
    Shown,
    /// What amounts are made of. Ids that only tell where these come from are [`UNTOLD`]:
    /// conversations of single chats, the messages of timeouts and timers, who answered when.
    Summed(Pairs),
    /// Only what customers said in external groups.
    Said,
}

/// Whether the pairs of single chats are wanted, as revisits ask for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pairs {
    /// They are.
    Told,
    /// They are not: [`ActivityFact::pair`] may be missing.
    Untold,
}

impl Wanted {
    /// The same id, or none that names know where only `explain` would show it.
    pub fn shown(self, tell: impl FnOnce() -> u32) -> u32 {
        match self {
            Self::Shown => tell(),
            Self::Summed(_) | Self::Said => UNTOLD,
        }
    }
}

/// The number of an id that nobody wanted to know.
pub const UNTOLD: u32 = u32::MAX;

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
    /// Of a single chat the two, the smaller number first, where the directory has both.
    pub pair: Option<(u32, u32)>,
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
    /// Takes in what comes after these facts, its ids numbered anew: their ranges go on with it.
    pub fn append(&mut self, mut after: Self, number: impl Fn(u32) -> u32) {
        let renumber = |id: &mut u32| *id = number(*id);
        let maybe = |id: &mut Option<u32>| *id = id.map(&number);
        let moved = |range: &mut Range<usize>, by: usize| {
            *range = range.start + by..range.end + by;
        };
        let (replies, spoken, people) = (self.replies.len(), self.spoken.len(), self.people.len());
        for dialogue in &mut after.dialogues {
            renumber(&mut dialogue.conversation);
            maybe(&mut dialogue.employee);
            maybe(&mut dialogue.customer);
            moved(&mut dialogue.replies, replies);
            moved(&mut dialogue.spoken, spoken);
        }
        after.replies.iter_mut().for_each(|r| renumber(&mut r.by));
        after
            .spoken
            .iter_mut()
            .for_each(|s| renumber(&mut s.speaker));
        for timeout in &mut after.timeouts {
            renumber(&mut timeout.conversation);
            renumber(&mut timeout.customer);
            renumber(&mut timeout.message_id);
            moved(&mut timeout.employees, people);
        }
        for activity in &mut after.activity {
            renumber(&mut activity.conversation);
            renumber(&mut activity.speaker);
        }
        for call in &mut after.calls {
            renumber(&mut call.conversation);
            maybe(&mut call.employee);
            renumber(&mut call.message_id);
            renumber(&mut call.by);
            moved(&mut call.named, people);
        }
        for behaviour in &mut after.behaviours {
            renumber(&mut behaviour.id);
            renumber(&mut behaviour.trigger);
        }
        after.people.iter_mut().for_each(renumber);
        self.dialogues.append(&mut after.dialogues);
        self.replies.append(&mut after.replies);
        self.spoken.append(&mut after.spoken);
        self.timeouts.append(&mut after.timeouts);
        self.activity.append(&mut after.activity);
        self.calls.append(&mut after.calls);
        self.behaviours.append(&mut after.behaviours);
        self.people.append(&mut after.people);
    }

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
