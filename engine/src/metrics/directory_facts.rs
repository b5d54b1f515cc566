//! What the directory's facts amount to: customers added, revisits, groups joined and owned,
//! records written; and behaviours (semantics 7, 9, 10.1, 10.2).

use chrono::NaiveDate;
use hashbrown::{HashMap, HashSet};
use huicun_semantics::conversation::{Kind, pair_id};
use huicun_semantics::dialogue::Side;
use huicun_semantics::interval::is_active;
use huicun_semantics::revisit::is_due;
use huicun_semantics::time::Period;

use super::cell::Amount;
use super::context::{Context, Follow};
use super::measure::{Measure, REVISIT_DAYS_MAX};
use super::settings::Revisit;
use super::sink::{Behind, Fact, FactKind, Sink, Spot};
use super::unit::Units;
use crate::jobs::period::{Names, PeriodFacts};

/// Puts what happened in the stretch `days`.
pub fn put(
    context: &Context<'_>,
    facts: &PeriodFacts,
    days: Period,
    names: &mut Names,
    units: &mut Units<'_>,
    sink: &mut impl Sink,
) {
    let zone = context.settings.zone;
    let within = days.start_ms(zone)..days.end_ms(zone);
    let mut at = Vec::new();
    for follow in context.added_in(&within) {
        let Some(slice) = context.slices.of_ms(follow.added_ms) else {
            continue;
        };
        units.at(names, follow.employee, follow.added_ms, &mut at);
        for unit in &at {
            let spot = Spot { unit: *unit, slice };
            sink.key(spot, Measure::CustomersNew, follow.customer, || {
                fact_of(&follow)
            });
        }
    }
    put_joined(context, &within, names, units, sink);
    put_behaviours(context, facts, names, units, sink);
    put_records(context, &within, names, units, sink);
    if let Some(revisit) = &context.settings.revisit {
        put_revisits(context, revisit, facts, days, names, units, sink);
    }
}

/// A relation as `explain` shows it.
pub fn fact_of(follow: &Follow) -> Fact {
    let mut fact =
        Fact::at(FactKind::Relation, follow.added_ms).with([follow.employee, follow.customer]);
    fact.until_ms = follow.lost_ms;
    fact
}

fn put_joined(
    context: &Context<'_>,
    within: &std::ops::Range<i64>,
    names: &Names,
    units: &mut Units<'_>,
    sink: &mut impl Sink,
) {
    if !sink.wants(Measure::GroupsJoined) && !units.may_grow() {
        return;
    }
    let mut at = Vec::new();
    for room in &context.external_rooms {
        for (member, interval) in context.members.get(room).into_iter().flatten() {
            let Some(joined_ms) = interval.from_ms.filter(|ms| within.contains(ms)) else {
                continue;
            };
            let Some(slice) = context.slices.of_ms(joined_ms) else {
                continue;
            };
            units.at(names, *member, joined_ms, &mut at);
            for unit in &at {
                let spot = Spot { unit: *unit, slice };
                sink.key(spot, Measure::GroupsJoined, *room, || {
                    Fact::at(FactKind::Membership, joined_ms)
                        .with([*member])
                        .within(*room, interval.to_ms, Behind::Nothing)
                });
            }
        }
    }
}

fn put_behaviours(
    context: &Context<'_>,
    facts: &PeriodFacts,
    names: &Names,
    units: &mut Units<'_>,
    sink: &mut impl Sink,
) {
    let mut at = Vec::new();
    for behaviour in facts.behaviours.iter().filter(|b| b.is_confirmed) {
        let Some(slice) = context.slices.of_ms(behaviour.at_ms) else {
            continue;
        };
        units.at(names, behaviour.trigger, behaviour.at_ms, &mut at);
        for unit in &at {
            let spot = Spot { unit: *unit, slice };
            sink.count(spot, Measure::ViolationsConfirmed, || {
                let mut fact = Fact::at(FactKind::Behaviour, behaviour.at_ms);
                fact.behind = Behind::Cause;
                fact.with([behaviour.trigger]).named(behaviour.id)
            });
        }
    }
}

fn put_records(
    context: &Context<'_>,
    within: &std::ops::Range<i64>,
    names: &mut Names,
    units: &mut Units<'_>,
    sink: &mut impl Sink,
) {
    if !sink.wants(Measure::BusinessRecords) && !units.may_grow() {
        return;
    }
    let mut at = Vec::new();
    for record in context.business_records() {
        if !within.contains(&record.at_ms) {
            continue;
        }
        let Some(slice) = context.slices.of_ms(record.at_ms) else {
            continue;
        };
        let employee = names.intern(record.userid);
        let id = names.intern(record.id);
        units.at(names, employee, record.at_ms, &mut at);
        for unit in &at {
            let spot = Spot { unit: *unit, slice };
            sink.count(spot, Measure::BusinessRecords, || {
                Fact::at(FactKind::BusinessRecord, record.at_ms)
                    .with([employee])
                    .named(id)
            });
        }
    }
}

/// Whether revisits are walked, so that the pairs of single chats are wanted: where they are counted
/// or bring in rows.
pub fn wants_pairs(context: &Context<'_>, units: &Units<'_>, sink: &impl Sink) -> bool {
    let wants = |place: usize| {
        let mut of_day = [Measure::RevisitDue1, Measure::RevisitDone1].into_iter();
        of_day.any(|measure| sink.wants(measure.of_revisit_day(place)))
    };
    context.settings.revisit.is_some() && (units.may_grow() || (0..REVISIT_DAYS_MAX).any(wants))
}

/// Relations whose day N lies in the stretch: due, and done where the two had a message or the
/// employee wrote a follow-up on that day.
fn put_revisits(
    context: &Context<'_>,
    revisit: &Revisit,
    facts: &PeriodFacts,
    days: Period,
    names: &mut Names,
    units: &mut Units<'_>,
    sink: &mut impl Sink,
) {
    if !wants_pairs(context, units, sink) {
        return;
    }
    let zone = context.settings.zone;
    let chats = chats_by_day(revisit, facts);
    let followups = followups_by_day(context, revisit, days, names);
    let today = zone.day_of(context.now_ms);
    let mut at = Vec::new();
    let mut due: Vec<(usize, NaiveDate, i64, u32)> = Vec::new();
    let relations = &context.directory.relations;
    let mut from_ms = i64::MIN;
    while let Some(first_ms) = relations.next_added_ms(from_ms) {
        let added = zone.day_of(first_ms);
        // Day N comes after day N - 1, so nothing of a later day can be due in the stretch.
        if added > days.to {
            break;
        }
        // All of one day fall due together.
        let next_day = added
            .succ_opt()
            .map_or(i64::MAX, |day| zone.day_start_ms(day));
        let of_day = first_ms..next_day.max(first_ms.saturating_add(1));
        from_ms = of_day.end;
        due.clear();
        for (place, n) in revisit.days.iter().take(REVISIT_DAYS_MAX).enumerate() {
            let on = (revisit.due_date)(added, *n).filter(|on| days.contains(*on) && *on <= today);
            let Some(on) = on else {
                continue;
            };
            let starts_ms = zone.day_start_ms(on);
            if let Some(slice) = context.slices.of_ms(starts_ms) {
                due.push((place, on, starts_ms, slice));
            }
        }
        if due.is_empty() {
            continue;
        }
        for follow in context.added_in(&of_day) {
            let ripe = due.iter().filter(|due| is_due(due.2, follow.lost_ms));
            for (place, on, starts_ms, slice) in ripe.copied() {
                let (employee, customer) = (follow.employee, follow.customer);
                let pair = (employee.min(customer), employee.max(customer));
                let followup = followups.get(&(employee, customer, on));
                let is_done = followup.is_some() || chats.contains(&(pair, on));
                let fact = || {
                    let mut fact =
                        Fact::at(FactKind::Revisit, starts_ms).with([employee, customer]);
                    fact.id = followup.copied();
                    let until_ms = zone.day_start_ms(on.succ_opt().unwrap_or(on)) - 1;
                    let pair = pair_id(names.name(employee), names.name(customer));
                    match names.get(&pair) {
                        Some(pair) => fact.within(pair, Some(until_ms), Behind::All),
                        None => fact,
                    }
                };
                units.at(names, employee, starts_ms, &mut at);
                for unit in &at {
                    let spot = Spot { unit: *unit, slice };
                    sink.count(spot, Measure::RevisitDue1.of_revisit_day(place), fact);
                    if is_done {
                        sink.count(spot, Measure::RevisitDone1.of_revisit_day(place), fact);
                    }
                }
            }
        }
    }
}

/// The days on which each single chat had a counted message that counts as a revisit.
fn chats_by_day(revisit: &Revisit, facts: &PeriodFacts) -> HashSet<((u32, u32), NaiveDate)> {
    let counts = |side: Side| side == Side::Employee || !revisit.is_employee_asked;
    let chats = facts
        .activity
        .iter()
        .filter(|a| a.kind == Kind::SingleExternal && a.n > 0 && counts(a.side));
    if !revisit.by_chat {
        return HashSet::new();
    }
    chats.filter_map(|a| Some((a.pair?, a.day))).collect()
}

/// The first follow-up record of an employee about a customer on a day of the stretch.
fn followups_by_day(
    context: &Context<'_>,
    revisit: &Revisit,
    days: Period,
    names: &mut Names,
) -> HashMap<(u32, u32, NaiveDate), u32> {
    let mut found = HashMap::new();
    if !revisit.by_followup {
        return found;
    }
    let zone = context.settings.zone;
    let within = days.start_ms(zone)..days.end_ms(zone);
    let followups = context.customer_followups();
    for followup in followups.filter(|followup| within.contains(&followup.at_ms)) {
        let key = (
            names.intern(followup.userid),
            names.intern(followup.target),
            zone.day_of(followup.at_ms),
        );
        found
            .entry(key)
            .or_insert_with(|| names.intern(followup.id));
    }
    found
}

/// Puts what is true at the end of each slice.
pub fn put_ends(
    context: &Context<'_>,
    names: &mut Names,
    units: &mut Units<'_>,
    sink: &mut impl Sink,
) {
    for (slice, as_of_ms) in context.slices.numbered().map(|(n, s)| (n, s.as_of_ms)) {
        if sink.wants(Measure::FirstCustomers) {
            put_first_customers(context, (slice, as_of_ms), names, units, sink);
        }
        if sink.wants(Measure::GroupsOwned) || sink.wants(Measure::GroupsIn) {
            put_groups(context, (slice, as_of_ms), names, units, sink);
        }
    }
}

fn put_first_customers(
    context: &Context<'_>,
    (slice, as_of_ms): (u32, i64),
    names: &Names,
    units: &mut Units<'_>,
    sink: &mut impl Sink,
) {
    let mut at = Vec::new();
    for (customer, follows) in context.follows_of_customers() {
        // By (add time, employee), and numbers rise with the ids: the first active one is the
        // first adder.
        let is_held = |f: &&Follow| is_active(&(f.employee, f.added_ms, f.lost_ms), as_of_ms);
        let Some(first) = follows.iter().find(is_held).map(|f| f.employee) else {
            continue;
        };
        units.at_end(names, first, as_of_ms, &mut at);
        for unit in &at {
            let spot = Spot { unit: *unit, slice };
            sink.key(spot, Measure::FirstCustomers, customer, || {
                let is_it = |f: &&Follow| f.employee == first && f.added_ms <= as_of_ms;
                let follow = follows.iter().find(is_it).unwrap_or(&follows[0]);
                fact_of(follow)
            });
        }
    }
}

fn put_groups(
    context: &Context<'_>,
    (slice, as_of_ms): (u32, i64),
    names: &mut Names,
    units: &mut Units<'_>,
    sink: &mut impl Sink,
) {
    let mut at = Vec::new();
    for room in &context.external_rooms {
        if !context.exists_at(names, *room, as_of_ms) {
            continue;
        }
        let fact = |people: Option<u32>| {
            Fact::at(FactKind::Group, as_of_ms)
                .with(people)
                .within(*room, None, Behind::Nothing)
        };
        let responsible = context.responsible_at(names, *room, as_of_ms);
        if let Some(responsible) = responsible {
            units.at_end(names, responsible, as_of_ms, &mut at);
            for unit in &at {
                let spot = Spot { unit: *unit, slice };
                sink.key(spot, Measure::GroupsOwned, *room, || {
                    fact(Some(responsible))
                });
            }
        }
        for member in context.members_at(*room, as_of_ms) {
            units.at_end(names, member, as_of_ms, &mut at);
            for unit in &at {
                let spot = Spot { unit: *unit, slice };
                let amount = Amount::Keyed(u64::from(*room), 1);
                sink.put(spot, Measure::GroupsIn, amount, || fact(Some(member)));
            }
        }
    }
}
