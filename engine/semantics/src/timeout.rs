//! Timers for customer messages that nobody has answered (semantics 5, manual 7.2, 9.3.2).
//!
//! Input: the counted messages of one external conversation, in order, and the levels of the rule
//! in force. Output: the timers, and when each reached which level. The live watcher and the batch
//! job call these functions, so they cannot disagree. Which rule governs, and which employees a
//! timeout names, is for the caller to know: it needs the organisation.

use crate::calendar::Calendar;
use crate::dialogue::Side;
use crate::time::Zone;

const MINUTE_MS: i64 = 60_000;

/// A counted message, as little of it as timers need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimerMessage {
    /// When it was sent, UTC milliseconds.
    pub at_ms: i64,
    /// Who sent it: the caller's number for an id.
    pub speaker: u32,
    /// The speaker's side.
    pub side: Side,
    /// A customer's closing phrase, or a phrase or type of `timeout.no_answer_*`: it neither starts
    /// nor ends a timer. On an employee's message it is ignored: whatever he says ends timers.
    pub needs_no_answer: bool,
}

impl TimerMessage {
    /// Whether a customer's message asks for an answer.
    fn starts(&self) -> bool {
        self.side == Side::Customer && !self.needs_no_answer
    }
}

/// From which of a customer's messages his timer counts (`timeout.from`).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum TimerFrom {
    /// The last: each message starts its own timer, and his next one ends it.
    #[default]
    Last,
    /// The first that is unanswered: his next messages do not push it back.
    First,
}

/// The wait of a customer for an answer. Messages are indexes into the slice of [`timers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timer {
    /// Who waits.
    pub customer: u32,
    /// The message that started it.
    pub start: usize,
    /// The message that ended it: of any employee, or (not with [`TimerFrom::First`]) the same
    /// customer's next that starts one. None while it runs.
    pub end: Option<usize>,
    /// The next employee message after its start, which closes its timeout. None while there is none.
    pub answer: Option<usize>,
}

/// The timers of one external conversation in order of their starts (semantics 5).
///
/// `messages` are its counted ones in order of (msgtime, seq). `out` is cleared first, so that one
/// buffer serves many calls.
pub fn timers(messages: &[TimerMessage], from: TimerFrom, out: &mut Vec<Timer>) {
    debug_assert!(
        messages.is_sorted_by_key(|message| message.at_ms),
        "messages come in order"
    );
    out.clear();
    // Timers from here on have no answer; of these `running` have not ended either.
    let mut unanswered_from = 0;
    // (customer, his timer). A handful wait at once, so looking through them costs less than a map.
    let mut running: Vec<(u32, usize)> = Vec::new();
    for (at, message) in messages.iter().enumerate() {
        if message.side == Side::Employee {
            for timer in &mut out[unanswered_from..] {
                timer.end.get_or_insert(at);
                timer.answer = Some(at);
            }
            unanswered_from = out.len();
            running.clear();
        } else if message.starts() {
            let waits = running
                .iter_mut()
                .find(|(customer, _)| *customer == message.speaker);
            match (waits, from) {
                (Some(_), TimerFrom::First) => continue,
                (Some((_, timer)), TimerFrom::Last) => {
                    out[*timer].end = Some(at);
                    *timer = out.len();
                }
                (None, _) => running.push((message.speaker, out.len())),
            }
            out.push(Timer {
                customer: message.speaker,
                start: at,
                end: None,
                answer: None,
            });
        }
    }
}

/// The message that the timeout of a timer shows (semantics 5): the one that started it, and with
/// [`TimerFrom::First`] the customer's latest that asked for an answer, when level 1 fired.
///
/// `messages` are those given to [`timers`], `fired_ms` is UTC milliseconds.
pub fn shown(messages: &[TimerMessage], timer: &Timer, from: TimerFrom, fired_ms: i64) -> usize {
    if from == TimerFrom::Last {
        return timer.start;
    }
    let end = timer.end.unwrap_or(messages.len());
    let waited = &messages[timer.start..end];
    let by_then = waited
        .iter()
        .take_while(|message| message.at_ms <= fired_ms);
    let latest = by_then
        .enumerate()
        .filter(|(_, message)| message.speaker == timer.customer && message.starts())
        .last();
    timer.start + latest.map_or(0, |(at, _)| at)
}

/// The levels of a reply rule, and the clock they are counted by (semantics 5).
#[derive(Clone, Copy, Debug)]
pub struct Levels<'a> {
    /// Minutes after which each level is reached, strictly increasing.
    pub after_minutes: &'a [u32],
    /// Counts working time only; without one, wall time.
    pub calendar: Option<&'a Calendar>,
}

/// When a timer reached its levels, level 1 first: UTC milliseconds. `out` is cleared first.
///
/// Nothing if it ended before level 1: then it makes no timeout. An end at exactly the millisecond
/// of a level comes too late. A timer that still runs (`end_ms` is `None`) lists all of its levels,
/// those in the future too, but not those that the calendar never reaches.
pub fn reached(
    levels: &Levels<'_>,
    zone: Zone,
    start_ms: i64,
    end_ms: Option<i64>,
    out: &mut Vec<i64>,
) {
    debug_assert!(
        levels.after_minutes.is_sorted_by(|a, b| a < b),
        "minutes rise from level to level"
    );
    out.clear();
    for minutes in levels.after_minutes {
        let wait_ms = i64::from(*minutes) * MINUTE_MS;
        let wall_ms = start_ms.saturating_add(wait_ms);
        // Working time never runs ahead of the wall: most waits end here, without a calendar.
        if end_ms.is_some_and(|end_ms| end_ms < wall_ms) {
            return;
        }
        let fires_ms = match levels.calendar {
            None => Some(wall_ms),
            Some(calendar) => calendar.after_working(zone, start_ms, wait_ms),
        };
        match fires_ms {
            Some(fires_ms) if end_ms.is_none_or(|end_ms| fires_ms <= end_ms) => out.push(fires_ms),
            _ => return,
        }
    }
}

#[cfg(test)]
mod tests;
