//! What the group dialogues and group timeouts of a stretch, and customers who wait, amount to
//! (semantics 10.2, 10.9).
//!
//! A unit sees a group dialogue through its view: the customers' messages and those of its
//! employees, who they were when the dialogue began (semantics 4).

use huicun_semantics::conversation::Kind;
use huicun_semantics::dialogue::{Counted, Side};
use huicun_semantics::reply::{Reply, replies_in_view};

use super::cell::Amount;
use super::context::Context;
use super::measure::Measure;
use super::singles::{fact_of, fact_of_reply, fact_of_timeout, put_mean};
use super::sink::{Behind, Fact, FactKind, Sink, Spot};
use super::unit::Units;
use crate::jobs::period::{DialogueFact, Names, PeriodFacts, SpokenFact, TimerFact};

/// Buffers that serve all dialogues.
#[derive(Default)]
struct Scratch {
    /// Units that see the dialogue.
    units: Vec<u32>,
    /// Units of one employee.
    of_one: Vec<u32>,
    /// Employees who spoke.
    speakers: Vec<u32>,
    /// (unit, speaker), sorted.
    views: Vec<(u32, u32)>,
    /// The dialogue as the law takes it.
    counted: Vec<Counted>,
    /// Replies on one view.
    replies: Vec<Reply>,
    /// Their intervals by the clock in force, milliseconds.
    intervals_ms: Vec<i64>,
}

/// Puts the stretch's group dialogues and timeouts.
pub fn put(
    context: &Context<'_>,
    facts: &PeriodFacts,
    names: &mut Names,
    units: &mut Units<'_>,
    sink: &mut impl Sink,
) {
    let mut scratch = Scratch::default();
    for dialogue in &facts.dialogues {
        if dialogue.kind != Kind::GroupExternal {
            continue;
        }
        if let Some(slice) = context.slices.of_ms(dialogue.started_ms) {
            let spoken = facts.spoken_in(dialogue);
            find_views(context, dialogue, spoken, names, units, &mut scratch);
            put_dialogue(context, slice, dialogue, &mut scratch, sink);
        }
    }
    put_timeouts(context, facts, names, units, sink);
}

/// Which units see the dialogue, and with which speakers.
fn find_views(
    context: &Context<'_>,
    dialogue: &DialogueFact,
    spoken: &[SpokenFact],
    names: &Names,
    units: &mut Units<'_>,
    scratch: &mut Scratch,
) {
    scratch.counted.clear();
    scratch.counted.extend(spoken.iter().map(counted));
    scratch.speakers.clear();
    let employees = spoken.iter().filter(|s| s.side == Side::Employee);
    scratch.speakers.extend(employees.map(|s| s.speaker));
    scratch.speakers.sort_unstable();
    scratch.speakers.dedup();
    scratch.units.clear();
    scratch.views.clear();
    for member in context.members_at(dialogue.conversation, dialogue.started_ms) {
        units.add_at(names, member, dialogue.started_ms, &mut scratch.units);
    }
    for speaker in &scratch.speakers {
        units.at(names, *speaker, dialogue.started_ms, &mut scratch.of_one);
        let views = scratch.of_one.iter().map(|unit| (*unit, *speaker));
        scratch.views.extend(views);
        for unit in &scratch.of_one {
            if !scratch.units.contains(unit) {
                scratch.units.push(*unit);
            }
        }
    }
    scratch.units.sort_unstable();
    scratch.views.sort_unstable();
}

/// As the law takes it: what closes a dialogue and in what order equal times stand was settled
/// when it was cut.
fn counted(spoken: &SpokenFact) -> Counted {
    Counted {
        at_ms: spoken.at_ms,
        seq: 0,
        speaker: spoken.speaker,
        side: spoken.side,
        closes: false,
    }
}

fn put_dialogue(
    context: &Context<'_>,
    slice: u32,
    dialogue: &DialogueFact,
    scratch: &mut Scratch,
    sink: &mut impl Sink,
) {
    let Scratch {
        units,
        views,
        counted,
        replies,
        intervals_ms,
        ..
    } = scratch;
    for unit in units.iter() {
        let spot = Spot { unit: *unit, slice };
        let fact = || fact_of_room(dialogue, views, *unit);
        sink.count(spot, Measure::GroupDialogues, fact);
        if dialogue.is_effective() {
            sink.count(spot, Measure::GroupEffective, fact);
        }
        let is_in_view = |speaker: u32| views.binary_search(&(*unit, speaker)).is_ok();
        let n_own = counted
            .iter()
            .filter(|m| m.side == Side::Employee && is_in_view(m.speaker))
            .count();
        if n_own == 0 {
            continue;
        }
        sink.count(spot, Measure::GroupDialoguesSpoken, fact);
        let lasted = Amount::Whole(dialogue.lasted_ms());
        sink.put(spot, Measure::GroupDialogueTime, lasted, fact);
        sink.put(
            spot,
            Measure::GroupAnswers,
            Amount::Whole(n_own as i64),
            fact,
        );
        let questions = Amount::Whole(i64::from(dialogue.n_customer));
        sink.put(spot, Measure::GroupQuestions, questions, fact);
        replies_in_view(counted, is_in_view, context.settings.reply_from, replies);
        put_replies(
            context,
            spot,
            dialogue,
            counted,
            (replies, intervals_ms),
            fact,
            sink,
        );
    }
}

fn fact_of_room(dialogue: &DialogueFact, views: &[(u32, u32)], unit: u32) -> Fact {
    let own = views.iter().filter(|(of, _)| *of == unit);
    fact_of(dialogue).with(own.map(|(_, speaker)| *speaker))
}

fn put_replies(
    context: &Context<'_>,
    spot: Spot,
    dialogue: &DialogueFact,
    counted: &[Counted],
    (replies, intervals_ms): (&[Reply], &mut Vec<i64>),
    fact: impl Fn() -> Fact + Copy,
    sink: &mut impl Sink,
) {
    use Measure::{
        GroupDialoguesReplied, GroupFirstReplies, GroupFirstRepliesWorking, GroupFirstReply1m,
        GroupFirstReply3m, GroupReplies, GroupRepliesWorking, GroupReply1m, GroupReply3m,
        GroupReplyMeans, GroupReplyMeansWorking,
    };
    let settings = context.settings;
    let is_replied = dialogue.opened_by == Side::Customer;
    let since_ms = |reply: &Reply| counted[reply.reply].at_ms - reply.interval_ms;
    let working = |reply: &Reply| settings.working_ms(since_ms(reply), counted[reply.reply].at_ms);
    intervals_ms.clear();
    intervals_ms.extend(
        replies
            .iter()
            .map(|r| settings.interval_ms(since_ms(r), counted[r.reply].at_ms)),
    );
    for (at, (reply, ms)) in replies.iter().zip(intervals_ms.iter()).enumerate() {
        let of_reply = || {
            let answer = &counted[reply.reply];
            let turn_ms = counted[reply.turn_first].at_ms;
            fact_of_reply(dialogue.conversation, turn_ms, answer.at_ms, answer.speaker)
        };
        sink.put(spot, GroupReplies, Amount::Value(*ms), of_reply);
        let working_ms = working(reply);
        if let Some(ms) = working_ms {
            sink.put(spot, GroupRepliesWorking, Amount::Value(ms), of_reply);
        }
        if at == 0 && is_replied {
            sink.put(spot, GroupFirstReplies, Amount::Value(*ms), of_reply);
            if let Some(ms) = working_ms {
                sink.put(spot, GroupFirstRepliesWorking, Amount::Value(ms), of_reply);
            }
        }
    }
    put_mean(
        spot,
        GroupReplyMeans,
        intervals_ms.iter().map(|ms| Some(*ms)),
        fact,
        sink,
    );
    put_mean(
        spot,
        GroupReplyMeansWorking,
        replies.iter().map(working),
        fact,
        sink,
    );
    let first = intervals_ms.first().copied();
    if dialogue.is_effective() && first.is_some_and(|ms| ms <= 60_000) {
        sink.count(spot, GroupFirstReply1m, fact);
    }
    if dialogue.is_effective() && first.is_some_and(|ms| ms <= 180_000) {
        sink.count(spot, GroupFirstReply3m, fact);
    }
    if is_replied {
        sink.count(spot, GroupDialoguesReplied, fact);
        let (total, n) = (intervals_ms.iter().sum::<i64>(), intervals_ms.len() as i64);
        // A mean of at most 60 s, in whole numbers.
        if n > 0 && total <= 60_000 * n {
            sink.count(spot, GroupReply1m, fact);
        }
        if n > 0 && total <= 180_000 * n {
            sink.count(spot, GroupReply3m, fact);
        }
    }
}

fn put_timeouts(
    context: &Context<'_>,
    facts: &PeriodFacts,
    names: &mut Names,
    units: &mut Units<'_>,
    sink: &mut impl Sink,
) {
    let mut at = Vec::new();
    for timeout in &facts.timeouts {
        if timeout.kind != Kind::GroupExternal {
            continue;
        }
        let Some(slice) = context.slices.of_ms(timeout.fired_ms) else {
            continue;
        };
        let fact = || fact_of_timeout(facts, timeout);
        at.clear();
        for employee in facts.employees_of(timeout) {
            units.add_at(names, *employee, timeout.fired_ms, &mut at);
        }
        for unit in &at {
            let spot = Spot { unit: *unit, slice };
            sink.count(spot, Measure::GroupTimeouts, fact);
            sink.key(
                spot,
                Measure::GroupTimeoutGroups,
                timeout.conversation,
                fact,
            );
        }
        let responsible = context.responsible_at(names, timeout.conversation, timeout.fired_ms);
        at.clear();
        if let Some(employee) = responsible {
            units.add_at(names, employee, timeout.fired_ms, &mut at);
        }
        for unit in &at {
            let spot = Spot { unit: *unit, slice };
            sink.count(spot, Measure::OwnedGroupTimeouts, fact);
            sink.key(
                spot,
                Measure::OwnedGroupTimeoutGroups,
                timeout.conversation,
                fact,
            );
        }
    }
}

/// Puts those who wait at the end of a slice: of groups, for the employees who are members then.
pub fn put_waits(
    context: &Context<'_>,
    (slice, as_of_ms): (u32, i64),
    timers: &[TimerFact],
    names: &Names,
    units: &mut Units<'_>,
    sink: &mut impl Sink,
) {
    let mut at = Vec::new();
    for wait in timers.iter().filter(|timer| timer.runs_at(as_of_ms)) {
        at.clear();
        let measure = if wait.kind == Kind::SingleExternal {
            if let Some(employee) = wait.employee {
                units.add_at_end(names, employee, as_of_ms, &mut at);
            }
            Measure::OpenWaits
        } else {
            for member in context.members_at(wait.conversation, as_of_ms) {
                units.add_at_end(names, member, as_of_ms, &mut at);
            }
            Measure::GroupOpenWaits
        };
        for unit in &at {
            sink.count(Spot { unit: *unit, slice }, measure, || {
                Fact::at(FactKind::Wait, wait.since_ms)
                    .with(wait.employee)
                    .with([wait.customer])
                    .within(wait.conversation, None, Behind::Named)
                    .named(wait.message_id)
            });
        }
    }
}
