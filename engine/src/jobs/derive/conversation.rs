//! One conversation derived: its entries in, rows of the derived tables out. Pure; the law's
//! functions say what a dialogue, a reply and a timer are (semantics 3, 4, 5).

use std::ops::Range;

use huicun_semantics::conversation::Kind;
use huicun_semantics::dialogue::{self, Counted, Side};
use huicun_semantics::reply::{self, Reply, ReplyFrom};
use huicun_semantics::time::Zone;
use huicun_semantics::timeout::{self, Timer, TimerMessage};

use super::message::Entry;
use super::rule::Compiled;
use super::world::Restart;

/// A dialogue; ranges are into the lists of its [`Rows`].
#[derive(Debug, Clone)]
pub struct DialogueRow {
    /// Its conversation.
    pub place: u32,
    /// First message, UTC milliseconds.
    pub started_ms: i64,
    /// Last message, UTC milliseconds.
    pub ended_ms: i64,
    /// The first message's seq.
    pub first_seq: i64,
    /// The first message's msgid row.
    pub first_message: u32,
    /// Side of the first message.
    pub opened_by: Side,
    /// Messages of employees.
    pub n_employee: u32,
    /// Messages of customers.
    pub n_customer: u32,
    /// Its replies.
    pub replies: Range<usize>,
    /// Its messages, in a group.
    pub spoken: Range<usize>,
}

/// A customer turn that was answered.
#[derive(Debug, Clone, Copy)]
pub struct ReplyRow {
    /// The turn's first message, UTC milliseconds.
    pub turn_ms: i64,
    /// The answer, UTC milliseconds.
    pub at_ms: i64,
    /// Who answered.
    pub by: u32,
    /// By `reply.from` and `reply.clock`, milliseconds.
    pub interval_ms: i64,
    /// In working time, milliseconds.
    pub working_ms: Option<i64>,
}

/// A message of a group's dialogue.
#[derive(Debug, Clone, Copy)]
pub struct SpokenRow {
    /// When, UTC milliseconds.
    pub at_ms: i64,
    /// Who.
    pub speaker: u32,
    /// His side.
    pub side: Side,
}

/// What one person sent on one day.
#[derive(Debug, Clone, Copy)]
pub struct ActivityRow {
    /// The conversation.
    pub place: u32,
    /// Days since 1970.
    pub day: i32,
    /// Who.
    pub speaker: u32,
    /// His side.
    pub side: Side,
    /// Counted messages.
    pub n: u32,
    /// Those that this conversation is the first of its kind to hold.
    pub n_own: u32,
    /// The first, UTC milliseconds.
    pub first_ms: i64,
    /// The last, UTC milliseconds.
    pub last_ms: i64,
    /// When each was sent: a range of [`Rows::sent`].
    pub sent: (usize, usize),
}

/// A timer.
#[derive(Debug, Clone)]
pub struct TimerRow {
    /// The conversation.
    pub place: u32,
    /// Who waits.
    pub customer: u32,
    /// Its message's msgid row.
    pub message: u32,
    /// When it started, UTC milliseconds.
    pub started_ms: i64,
    /// When it ended, UTC milliseconds; still running if missing.
    pub ended_ms: Option<i64>,
    /// The next employee message, UTC milliseconds.
    pub answered_ms: Option<i64>,
    /// The customer's further messages while it ran: a range of [`Rows::later`].
    pub later: Range<usize>,
}

/// What was derived of some conversations.
#[derive(Debug, Default)]
pub struct Rows {
    /// Dialogues.
    pub dialogues: Vec<DialogueRow>,
    /// Their replies.
    pub replies: Vec<ReplyRow>,
    /// Messages of group dialogues.
    pub spoken: Vec<SpokenRow>,
    /// Who sent how much on which day.
    pub activity: Vec<ActivityRow>,
    /// Messages of activity: instant, and whether this conversation is the first of its kind.
    pub sent: Vec<(i64, bool)>,
    /// Timers.
    pub timers: Vec<TimerRow>,
    /// Further messages of timers: instant and msgid row.
    pub later: Vec<(i64, u32)>,
    /// Where each conversation would be begun again.
    pub restarts: Vec<(u32, Restart)>,
}

/// Buffers that serve one conversation after another.
#[derive(Debug, Default)]
pub struct Buffers {
    counted: Vec<Counted>,
    cuts: Vec<Range<usize>>,
    replies: Vec<Reply>,
    messages: Vec<TimerMessage>,
    timers: Vec<Timer>,
    by_speaker: Vec<ActivityRow>,
}

/// One conversation's entries, and which of them are new.
pub struct Given<'a> {
    /// In order of (msgtime, seq, msgid).
    pub entries: &'a [Entry],
    /// What the conversation is.
    pub kind: Kind,
    /// From here on days are counted: earlier entries were counted with an earlier stretch.
    pub fresh: usize,
    /// From here on dialogues and timers are derived: earlier entries only count in days.
    pub restart: usize,
    /// No later messages are known, so everything is given out; else what may still change is not.
    pub is_last: bool,
}

/// Derives one conversation. Returns from which entry on nothing was given out yet.
pub fn derive(
    given: &Given<'_>,
    rules: &Compiled,
    buffers: &mut Buffers,
    rows: &mut Rows,
) -> usize {
    activity(given, rules.zone, buffers, rows);
    let entries = &given.entries[given.restart..];
    let Some(first) = entries.first() else {
        return given.restart;
    };
    let place = first.place;
    if !given.kind.is_external() {
        // Only days are counted there, each by itself.
        let last_ms = entries[entries.len() - 1].at_ms;
        let restart = Restart {
            at_ms: Some(last_ms),
            days: vec![day_number(rules.zone, last_ms)],
        };
        rows.restarts.push((place, restart));
        return given.entries.len();
    }
    buffers.counted.clear();
    buffers.counted.extend(entries.iter().map(Entry::counted));
    let cut = if given.kind.is_group() {
        &rules.group
    } else {
        &rules.single
    };
    dialogue::cut(&buffers.counted, cut, &mut buffers.cuts);
    let restart = restart_of(&buffers.cuts, &buffers.counted);
    let given_out = if given.is_last {
        entries.len()
    } else {
        restart
    };
    for cut in &buffers.cuts {
        if cut.start >= given_out {
            break;
        }
        let part = &buffers.counted[cut.clone()];
        reply::replies(part, None, rules.reply_from, &mut buffers.replies);
        let replies_from = rows.replies.len();
        let replies = buffers.replies.iter().map(|r| measured(part, r, rules));
        rows.replies.extend(replies);
        let spoken_from = rows.spoken.len();
        if given.kind.is_group() {
            rows.spoken.extend(part.iter().map(|m| SpokenRow {
                at_ms: m.at_ms,
                speaker: m.speaker,
                side: m.side,
            }));
        }
        let shape = dialogue::shape(part);
        rows.dialogues.push(DialogueRow {
            place,
            started_ms: shape.started_ms,
            ended_ms: shape.ended_ms,
            first_seq: part[0].seq,
            first_message: entries[cut.start].message,
            opened_by: shape.opened_by,
            n_employee: shape.n_employee,
            n_customer: shape.n_customer,
            replies: replies_from..rows.replies.len(),
            spoken: spoken_from..rows.spoken.len(),
        });
    }
    timers(place, entries, given_out, rules, buffers, rows);
    let mut days: Vec<i32> = entries[restart..]
        .iter()
        .map(|e| day_number(rules.zone, e.at_ms))
        .collect();
    days.dedup();
    rows.restarts.push((
        place,
        Restart {
            at_ms: Some(entries[restart].at_ms),
            days,
        },
    ));
    given.restart + restart
}

/// The last dialogue before which nothing can change while messages only come later: no customer
/// waits where it begins, and no message before it has its instant.
fn restart_of(cuts: &[Range<usize>], counted: &[Counted]) -> usize {
    let is_clean = |cut: &&Range<usize>| {
        cut.start == 0 || {
            let before = &counted[cut.start - 1];
            before.side == Side::Employee && before.at_ms < counted[cut.start].at_ms
        }
    };
    cuts.iter().rev().find(is_clean).map_or(0, |cut| cut.start)
}

fn measured(part: &[Counted], reply: &Reply, rules: &Compiled) -> ReplyRow {
    let since = match rules.reply_from {
        ReplyFrom::First => reply.turn_first,
        ReplyFrom::Last => reply.turn_last,
    };
    let at_ms = part[reply.reply].at_ms;
    let working_ms = rules
        .reply_calendar
        .as_ref()
        .map(|calendar| calendar.working_ms(rules.zone, part[since].at_ms, at_ms));
    ReplyRow {
        turn_ms: part[reply.turn_first].at_ms,
        at_ms,
        by: part[reply.reply].speaker,
        interval_ms: match working_ms {
            Some(working_ms) if rules.is_reply_working => working_ms,
            _ => reply.interval_ms,
        },
        working_ms,
    }
}

fn timers(
    place: u32,
    entries: &[Entry],
    given_out: usize,
    rules: &Compiled,
    buffers: &mut Buffers,
    rows: &mut Rows,
) {
    buffers.messages.clear();
    buffers.messages.extend(entries.iter().map(Entry::timer));
    timeout::timers(&buffers.messages, rules.timer_from, &mut buffers.timers);
    for timer in &buffers.timers {
        if timer.start >= given_out {
            continue;
        }
        let start = &entries[timer.start];
        let later_from = rows.later.len();
        if rules.timer_from == timeout::TimerFrom::First {
            let end = timer.end.unwrap_or(entries.len());
            let further = entries[timer.start + 1..end].iter();
            rows.later.extend(
                further
                    .filter(|e| e.speaker == start.speaker && !e.needs_no_answer)
                    .map(|e| (e.at_ms, e.message)),
            );
        }
        rows.timers.push(TimerRow {
            place,
            customer: timer.customer,
            message: start.message,
            started_ms: start.at_ms,
            ended_ms: timer.end.map(|at| entries[at].at_ms),
            answered_ms: timer.answer.map(|at| entries[at].at_ms),
            later: later_from..rows.later.len(),
        });
    }
}

fn activity(given: &Given<'_>, zone: Zone, buffers: &mut Buffers, rows: &mut Rows) {
    let fresh = &given.entries[given.fresh.min(given.entries.len())..];
    let of_day = &mut buffers.by_speaker;
    of_day.clear();
    let (mut day, mut first) = (None, 0);
    for (nth, entry) in fresh.iter().enumerate() {
        let on = day_number(zone, entry.at_ms);
        if day != Some(on) {
            flush(of_day, &fresh[first..nth], rows);
            (day, first) = (Some(on), nth);
        }
        let own = u32::from(entry.is_own);
        match of_day.iter_mut().find(|row| row.speaker == entry.speaker) {
            Some(row) => {
                row.n += 1;
                row.n_own += own;
                row.last_ms = entry.at_ms;
            }
            None => of_day.push(ActivityRow {
                place: entry.place,
                day: on,
                speaker: entry.speaker,
                side: entry.side,
                n: 1,
                n_own: own,
                first_ms: entry.at_ms,
                last_ms: entry.at_ms,
                sent: (0, 0),
            }),
        }
    }
    flush(of_day, &fresh[first..], rows);
}

/// Gives out the rows of a day with their messages, which are among `entries`.
fn flush(of_day: &mut Vec<ActivityRow>, entries: &[Entry], rows: &mut Rows) {
    for row in of_day.iter_mut() {
        let from = rows.sent.len();
        let own = entries.iter().filter(|e| e.speaker == row.speaker);
        rows.sent.extend(own.map(|e| (e.at_ms, e.is_own)));
        row.sent = (from, rows.sent.len());
    }
    rows.activity.append(of_day);
}

/// The day of an instant in days since 1970.
pub fn day_number(zone: Zone, at_ms: i64) -> i32 {
    arrow::datatypes::Date32Type::from_naive_date(zone.day_of(at_ms))
}
