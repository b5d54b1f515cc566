//! What single chats, timeouts, messages and calls of a stretch amount to (semantics 10.1, 10.9).

use huicun_semantics::conversation::Kind;
use huicun_semantics::dialogue::Side;

use super::cell::Amount;
use super::context::Context;
use super::measure::Measure;
use super::sink::{Behind, Fact, FactKind, Sink, Spot};
use super::unit::Units;
use crate::jobs::period::{DialogueFact, Names, PeriodFacts, ReplyFact};

/// Puts the stretch's single chats.
pub fn put(
    context: &Context<'_>,
    facts: &PeriodFacts,
    names: &Names,
    units: &mut Units<'_>,
    sink: &mut impl Sink,
) {
    let mut at = Vec::new();
    for dialogue in &facts.dialogues {
        let (Kind::SingleExternal, Some(employee)) = (dialogue.kind, dialogue.employee) else {
            continue;
        };
        let Some(slice) = context.slices.of_ms(dialogue.started_ms) else {
            continue;
        };
        units.at(names, employee, dialogue.started_ms, &mut at);
        for unit in &at {
            let spot = Spot { unit: *unit, slice };
            put_dialogue(spot, dialogue, facts.replies_of(dialogue), sink);
        }
    }
    put_timeouts(context, facts, names, units, sink);
    put_messages(context, facts, names, units, sink);
    put_calls(context, facts, names, units, sink);
}

/// A dialogue as `explain` shows it.
pub fn fact_of(dialogue: &DialogueFact) -> Fact {
    Fact::at(FactKind::Dialogue, dialogue.started_ms)
        .with(dialogue.employee.into_iter().chain(dialogue.customer))
        .within(dialogue.conversation, Some(dialogue.ended_ms), Behind::All)
}

/// A reply as `explain` shows it.
pub fn fact_of_reply(conversation: u32, turn_ms: i64, at_ms: i64, by: u32) -> Fact {
    Fact::at(FactKind::Reply, turn_ms)
        .with([by])
        .within(conversation, Some(at_ms), Behind::Ends)
}

fn put_dialogue(spot: Spot, dialogue: &DialogueFact, replies: &[ReplyFact], sink: &mut impl Sink) {
    use Measure::{
        CustomerOpened, DialogueMessages, DialogueTime, Dialogues, DialoguesOpened,
        DialoguesReplied, Effective, FirstReply1m, FirstReply3m, OnlyEffective24h,
        OnlyEffective48h, Unanswered,
    };
    let fact = || fact_of(dialogue);
    let is_customer_opened = dialogue.opened_by == Side::Customer;
    if is_customer_opened {
        sink.count(spot, CustomerOpened, fact);
    }
    if !dialogue.employee_takes_part() {
        sink.count(spot, Unanswered, fact);
        return;
    }
    sink.count(spot, Dialogues, fact);
    let by_opener = if is_customer_opened {
        DialoguesReplied
    } else {
        DialoguesOpened
    };
    sink.count(spot, by_opener, fact);
    let n_messages = i64::from(dialogue.n_employee) + i64::from(dialogue.n_customer);
    sink.put(spot, DialogueMessages, Amount::Whole(n_messages), fact);
    sink.put(
        spot,
        DialogueTime,
        Amount::Whole(dialogue.lasted_ms()),
        fact,
    );
    put_replies(spot, dialogue, replies, is_customer_opened, sink);
    if dialogue.is_effective() {
        let first = replies.first().map(|reply| reply.interval_ms);
        sink.count(spot, Effective, fact);
        if first.is_some_and(|ms| ms <= 60_000) {
            sink.count(spot, FirstReply1m, fact);
        }
        if first.is_some_and(|ms| ms <= 180_000) {
            sink.count(spot, FirstReply3m, fact);
        }
        if dialogue.only_effective_24h {
            sink.count(spot, OnlyEffective24h, fact);
        }
        if dialogue.only_effective_48h {
            sink.count(spot, OnlyEffective48h, fact);
        }
    }
}

fn put_replies(
    spot: Spot,
    dialogue: &DialogueFact,
    replies: &[ReplyFact],
    is_customer_opened: bool,
    sink: &mut impl Sink,
) {
    use Measure::{
        FirstReplies, FirstRepliesWorking, Replies, RepliesWorking, ReplyMeans, ReplyMeansWorking,
    };
    let reply_fact = |r: &ReplyFact| fact_of_reply(dialogue.conversation, r.turn_ms, r.at_ms, r.by);
    for reply in replies {
        let fact = || reply_fact(reply);
        sink.put(spot, Replies, Amount::Value(reply.interval_ms), fact);
        if let Some(ms) = reply.working_ms {
            sink.put(spot, RepliesWorking, Amount::Value(ms), fact);
        }
    }
    if let (true, Some(first)) = (is_customer_opened, replies.first()) {
        let fact = || reply_fact(first);
        sink.put(spot, FirstReplies, Amount::Value(first.interval_ms), fact);
        if let Some(ms) = first.working_ms {
            sink.put(spot, FirstRepliesWorking, Amount::Value(ms), fact);
        }
    }
    let fact = || fact_of(dialogue);
    put_mean(
        spot,
        ReplyMeans,
        replies.iter().map(|r| Some(r.interval_ms)),
        fact,
        sink,
    );
    put_mean(
        spot,
        ReplyMeansWorking,
        replies.iter().map(|r| r.working_ms),
        fact,
        sink,
    );
}

/// The mean of a dialogue's intervals, where there are any and it is not zero (`reply_avg`).
pub fn put_mean(
    spot: Spot,
    measure: Measure,
    intervals_ms: impl Iterator<Item = Option<i64>>,
    fact: impl FnOnce() -> Fact,
    sink: &mut impl Sink,
) {
    let (mut total, mut n) = (0_i64, 0_u32);
    for ms in intervals_ms {
        let Some(ms) = ms else {
            return;
        };
        total += ms;
        n += 1;
    }
    if total != 0 {
        let mean = total as f64 / f64::from(n);
        sink.put(spot, measure, Amount::Fraction(mean), fact);
    }
}

fn put_timeouts(
    context: &Context<'_>,
    facts: &PeriodFacts,
    names: &Names,
    units: &mut Units<'_>,
    sink: &mut impl Sink,
) {
    let mut at = Vec::new();
    for timeout in &facts.timeouts {
        if timeout.kind != Kind::SingleExternal {
            continue;
        }
        let Some(slice) = context.slices.of_ms(timeout.fired_ms) else {
            continue;
        };
        at.clear();
        for employee in facts.employees_of(timeout) {
            units.add_at(names, *employee, timeout.fired_ms, &mut at);
        }
        for unit in &at {
            let spot = Spot { unit: *unit, slice };
            let fact = || fact_of_timeout(facts, timeout);
            sink.count(spot, Measure::Timeouts, fact);
            sink.key(spot, Measure::TimeoutCustomers, timeout.customer, fact);
        }
    }
}

/// A timeout as `explain` shows it.
pub fn fact_of_timeout(facts: &PeriodFacts, timeout: &crate::jobs::period::TimeoutFact) -> Fact {
    Fact::at(FactKind::Timeout, timeout.message_ms)
        .with(facts.employees_of(timeout).iter().copied())
        .with([timeout.customer])
        .within(timeout.conversation, Some(timeout.fired_ms), Behind::Named)
        .named(timeout.message_id)
}

fn put_messages(
    context: &Context<'_>,
    facts: &PeriodFacts,
    names: &Names,
    units: &mut Units<'_>,
    sink: &mut impl Sink,
) {
    use Measure::{GroupMessagesSent, GroupsSpoken, MessagesSent};
    let mut at = Vec::new();
    for activity in facts.activity.iter().filter(|a| a.side == Side::Employee) {
        if !activity.kind.is_external() {
            continue;
        }
        let Some(slice) = context.slices.of_ms(activity.first_ms) else {
            continue;
        };
        units.at(names, activity.speaker, activity.first_ms, &mut at);
        for unit in &at {
            let spot = Spot { unit: *unit, slice };
            let fact = || {
                Fact::at(FactKind::Messages, activity.first_ms)
                    .with([activity.speaker])
                    .within(
                        activity.conversation,
                        Some(activity.last_ms),
                        Behind::OfSpeaker,
                    )
            };
            if activity.kind == Kind::SingleExternal {
                let n = i64::from(activity.n_own);
                sink.put(spot, MessagesSent, Amount::Whole(n), fact);
            } else {
                let n = i64::from(activity.n);
                sink.put(spot, GroupMessagesSent, Amount::Whole(n), fact);
                sink.key(spot, GroupsSpoken, activity.conversation, fact);
            }
        }
    }
}

fn put_calls(
    context: &Context<'_>,
    facts: &PeriodFacts,
    names: &Names,
    units: &mut Units<'_>,
    sink: &mut impl Sink,
) {
    let mut at = Vec::new();
    for call in &facts.calls {
        let Some(slice) = context.slices.of_ms(call.at_ms) else {
            continue;
        };
        at.clear();
        let measure = match call.kind {
            Kind::SingleExternal => {
                if let Some(employee) = call.employee {
                    units.add_at(names, employee, call.at_ms, &mut at);
                }
                Measure::CallTime
            }
            Kind::GroupExternal => {
                // Receivers are not participants (semantics 10.2).
                for person in facts.named_in(call).iter().chain([&call.by]) {
                    units.add_at(names, *person, call.at_ms, &mut at);
                }
                Measure::GroupCallTime
            }
            _ => continue,
        };
        for unit in &at {
            let spot = Spot { unit: *unit, slice };
            // A call to several customers is one call.
            let amount = Amount::Keyed(u64::from(call.message_id), call.lasted_ms);
            sink.put(spot, measure, amount, || {
                Fact::at(FactKind::Call, call.at_ms)
                    .with([call.by])
                    .with(facts.named_in(call).iter().copied())
                    .within(
                        call.conversation,
                        Some(call.at_ms + call.lasted_ms),
                        Behind::Named,
                    )
                    .named(call.message_id)
            });
        }
    }
}
