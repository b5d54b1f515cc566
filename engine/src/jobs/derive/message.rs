//! A counted message as the job holds it: one a conversation that it belongs to.

use huicun_semantics::dialogue::{Counted, Side};
use huicun_semantics::timeout::TimerMessage;

/// A counted message in one conversation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Entry {
    /// Its conversation.
    pub place: u32,
    /// Its msgid's row in [`MessageIds`].
    pub message: u32,
    /// When it was sent, UTC milliseconds.
    pub at_ms: i64,
    /// WeCom's rising number.
    pub seq: i64,
    /// Who sent it.
    pub speaker: u32,
    /// His side.
    pub side: Side,
    /// A text that is a closing phrase; counts for customers only.
    pub closes: bool,
    /// What nobody has to answer (semantics 5).
    pub needs_no_answer: bool,
    /// The first of the message's conversations of this kind.
    pub is_own: bool,
}

impl Entry {
    /// As dialogues and replies look at it.
    pub fn counted(&self) -> Counted {
        Counted {
            at_ms: self.at_ms,
            seq: self.seq,
            speaker: self.speaker,
            side: self.side,
            closes: self.closes && self.side == Side::Customer,
        }
    }

    /// As timers look at it.
    pub fn timer(&self) -> TimerMessage {
        TimerMessage {
            at_ms: self.at_ms,
            speaker: self.speaker,
            side: self.side,
            needs_no_answer: self.needs_no_answer,
        }
    }
}

/// A call in an external conversation.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// Its conversation.
    pub place: u32,
    /// Its msgid's row.
    pub message: u32,
    /// When, UTC milliseconds.
    pub at_ms: i64,
    /// Who started it.
    pub by: u32,
    /// Whom the message names as taking part.
    pub named: Vec<u32>,
    /// How long, milliseconds.
    pub lasted_ms: i64,
}

/// Msgids, one after the other in one buffer.
#[derive(Debug, Default)]
pub struct MessageIds {
    bytes: String,
    ends: Vec<usize>,
}

impl MessageIds {
    /// Keeps a msgid and returns its row.
    pub fn push(&mut self, id: &str) -> u32 {
        self.bytes.push_str(id);
        self.ends.push(self.bytes.len());
        (self.ends.len() - 1) as u32
    }

    /// The msgid of a row.
    pub fn get(&self, row: u32) -> &str {
        let row = row as usize;
        let start = if row == 0 { 0 } else { self.ends[row - 1] };
        &self.bytes[start..self.ends[row]]
    }
}
