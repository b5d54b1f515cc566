//! The employees report: single-chat metrics per employee and slice of the period
//! (semantics 10.1, manual 8.2.1).

use std::collections::{BTreeSet, HashMap};

use chrono::NaiveDate;
use huicun_semantics::conversation::Kind;
use huicun_semantics::dialogue::Side;
use huicun_semantics::ratio::percentile_of_sorted;
use huicun_semantics::role::Role;
use huicun_semantics::time::{By, Period, Zone};

use super::catalogue::{EMPLOYEES, Value};
use crate::access::Scope;
use crate::jobs::Facts;

/// What is asked.
#[derive(Debug, Clone)]
pub struct Question {
    /// Days, both included.
    pub period: Period,
    /// Slices of the period; one total if missing.
    pub by: Option<By>,
    /// Only these employees; all when empty.
    pub employees: Vec<String>,
    /// Only employees who were in one of these departments (or below) in the period.
    pub departments: Vec<String>,
    /// Where "now" is, UTC milliseconds: a period that reaches past it ends there.
    pub now_ms: i64,
}

/// One employee in one slice.
#[derive(Debug, Clone)]
pub struct Row {
    /// The employee.
    pub userid: String,
    /// His name; null for an id that the directory does not know.
    pub name: Option<String>,
    /// The slice's label with `by`.
    pub period: Option<String>,
    /// One value per metric of [`EMPLOYEES`].
    pub values: Vec<Value>,
}

/// Sums of one employee in one slice.
#[derive(Debug, Default, Clone)]
struct Sums {
    dialogues: u64,
    opened: u64,
    replied: u64,
    customer_opened: u64,
    effective: u64,
    messages: u64,
    sent: u64,
    dialogue_ms: i64,
    call_ms: i64,
    call_messages: BTreeSet<u32>,
    first_replies_ms: Vec<i64>,
    replies_ms: Vec<i64>,
    reply_means_ms: Vec<f64>,
    within_1m: u64,
    within_3m: u64,
    only_24h: u64,
    only_48h: u64,
}

/// Rows by userid, then slice.
pub fn report(scope: &Scope, facts: &Facts, question: &Question) -> Vec<Row> {
    let zone = facts.rules.zone().unwrap_or_default();
    let slices = match question.by {
        Some(by) => by
            .slices(&question.period)
            .into_iter()
            .map(|(label, period)| (Some(label), period))
            .collect(),
        None => vec![(None, question.period)],
    };
    let sums = sum(facts, &question.period, &slices, zone);
    let listed = listed(scope, facts, question, zone, &sums);
    let (new, totals) = customers(facts, &slices, zone, question.now_ms);
    let mut rows = Vec::with_capacity(listed.len() * slices.len());
    for userid in listed {
        let number = facts.archive.people.get(&userid);
        for (slice, (label, _)) in slices.iter().enumerate() {
            let found = number.and_then(|n| sums.get(&(n, slice)));
            let key = (userid.as_str(), slice);
            rows.push(Row {
                name: facts
                    .directory
                    .employees
                    .get(&userid)
                    .map(|e| e.name.clone()),
                period: label.clone(),
                values: values(
                    found.unwrap_or(&Sums::default()),
                    totals.get(&key).copied().unwrap_or(0),
                    new.get(&key).map_or(0, |c| c.len() as u64),
                ),
                userid: userid.clone(),
            });
        }
    }
    rows
}

/// The directory's employees and any other employee with facts in the period (semantics 10),
/// inside the scope and the filters.
fn listed(
    scope: &Scope,
    facts: &Facts,
    question: &Question,
    zone: Zone,
    sums: &HashMap<(u32, usize), Sums>,
) -> BTreeSet<String> {
    let mut listed: BTreeSet<String> = facts.directory.employees.keys().cloned().collect();
    listed.extend(
        sums.keys()
            .map(|(number, _)| facts.archive.people.name(*number).to_string()),
    );
    let (start, end) = (question.period.start_ms(zone), question.period.end_ms(zone));
    listed.extend(
        facts
            .directory
            .relations
            .added_in(start, end)
            .filter(|r| facts.directory.role_of(r.user) == Role::Employee)
            .map(|r| facts.directory.ids.name(r.user).to_string()),
    );
    listed.retain(|userid| scope.sees_employee(userid));
    if !question.employees.is_empty() {
        listed.retain(|userid| question.employees.contains(userid));
    }
    if !question.departments.is_empty() {
        let below: BTreeSet<String> = question
            .departments
            .iter()
            .flat_map(|id| facts.directory.departments_below(id))
            .collect();
        listed.retain(|userid| facts.directory.was_in_during(userid, &below, (start, end)));
    }
    listed
}

fn sum(
    facts: &Facts,
    period: &Period,
    slices: &[(Option<String>, Period)],
    zone: Zone,
) -> HashMap<(u32, usize), Sums> {
    let bounds: Vec<(i64, i64)> = slices
        .iter()
        .map(|(_, p)| (p.start_ms(zone), p.end_ms(zone)))
        .collect();
    let slice_of = |at: i64| -> Option<usize> {
        let after = bounds.partition_point(|(start, _)| *start <= at);
        let slice = after.checked_sub(1)?;
        (at < bounds[slice].1).then_some(slice)
    };
    let mut sums: HashMap<(u32, usize), Sums> = HashMap::new();
    let days = effective_days(facts, zone);
    for dialogue in &facts.dialogues {
        let Some(slice) = slice_of(dialogue.started_ms) else {
            continue;
        };
        let Some(employee) = facts.employee_of(dialogue.conversation) else {
            continue;
        };
        let sums = sums.entry((employee, slice)).or_default();
        let is_customer_opened = dialogue.opened_by == Side::Customer;
        sums.customer_opened += u64::from(is_customer_opened);
        // Takes part: opened by the employee, or answered (semantics 3).
        if is_customer_opened && dialogue.n_employee == 0 {
            continue;
        }
        sums.dialogues += 1;
        sums.opened += u64::from(!is_customer_opened);
        sums.replied += u64::from(is_customer_opened);
        sums.messages += u64::from(dialogue.n_employee) + u64::from(dialogue.n_customer);
        sums.dialogue_ms += dialogue.ended_ms - dialogue.started_ms;
        let replies = &dialogue.reply_intervals_ms;
        sums.replies_ms.extend(replies);
        if !replies.is_empty() {
            let total: i64 = replies.iter().sum();
            sums.reply_means_ms
                .push(total as f64 / replies.len() as f64);
        }
        let first = dialogue.first_reply_ms();
        if is_customer_opened {
            sums.first_replies_ms.extend(first);
        }
        if dialogue.is_effective() {
            sums.effective += 1;
            sums.within_1m += u64::from(first.is_some_and(|ms| ms <= 60_000));
            sums.within_3m += u64::from(first.is_some_and(|ms| ms <= 180_000));
            let day = zone.day_of(dialogue.started_ms);
            let on = |day: Option<NaiveDate>| {
                day.and_then(|d| days.get(&(dialogue.conversation, d)).copied())
                    .unwrap_or(0)
            };
            let today = on(Some(day));
            sums.only_24h += u64::from(today == 1);
            sums.only_48h += u64::from(today + on(day.succ_opt()) == 1);
        }
    }
    for sent in &facts.sent {
        if let Some(slice) = slice_of(sent.at_ms) {
            sums.entry((sent.employee, slice)).or_default().sent += 1;
        }
    }
    for call in &facts.archive.calls {
        let place = &facts.archive.conversations[call.conversation as usize];
        if place.kind != Kind::SingleExternal {
            continue;
        }
        let (Some(slice), Some(employee)) =
            (slice_of(call.at_ms), facts.employee_of(call.conversation))
        else {
            continue;
        };
        let sums = sums.entry((employee, slice)).or_default();
        // A call to several customers is one call of the employee.
        if sums.call_messages.insert(call.message) {
            sums.call_ms += call.lasted_ms;
        }
    }
    debug_assert!(
        slices
            .iter()
            .all(|(_, p)| p.from >= period.from && p.to <= period.to)
    );
    sums
}

/// Effective single dialogues per conversation and day.
fn effective_days(facts: &Facts, zone: Zone) -> HashMap<(u32, NaiveDate), u32> {
    let mut days = HashMap::new();
    for dialogue in facts.dialogues.iter().filter(|d| d.is_effective()) {
        if facts.conversation(dialogue).kind == Kind::SingleExternal {
            let day = zone.day_of(dialogue.started_ms);
            *days.entry((dialogue.conversation, day)).or_default() += 1;
        }
    }
    days
}

type ByEmployee<'a, T> = HashMap<(&'a str, usize), T>;

/// New customers and first-added customers per employee and slice.
fn customers<'a>(
    facts: &'a Facts,
    slices: &[(Option<String>, Period)],
    zone: Zone,
    now_ms: i64,
) -> (ByEmployee<'a, BTreeSet<&'a str>>, ByEmployee<'a, u64>) {
    let mut new: ByEmployee<'a, BTreeSet<&str>> = HashMap::new();
    let mut totals: ByEmployee<'a, u64> = HashMap::new();
    let (ids, relations) = (&facts.directory.ids, &facts.directory.relations);
    for (slice, (_, period)) in slices.iter().enumerate() {
        let (start, end) = (period.start_ms(zone), period.end_ms(zone));
        for relation in relations.added_in(start, end) {
            new.entry((ids.name(relation.user), slice))
                .or_default()
                .insert(ids.name(relation.customer));
        }
        let at = (end - 1).min(now_ms);
        for (customer, _) in relations.by_customer() {
            if let Some(user) = relations.first_adder(customer, at) {
                *totals.entry((ids.name(user), slice)).or_default() += 1;
            }
        }
    }
    (new, totals)
}

fn values(sums: &Sums, customers_total: u64, customers_new: u64) -> Vec<Value> {
    let nonzero: Vec<f64> = sums
        .reply_means_ms
        .iter()
        .copied()
        .filter(|m| *m != 0.0)
        .collect();
    let first_sum: i64 = sums.first_replies_ms.iter().sum();
    let mut first = sums.first_replies_ms.clone();
    first.sort_unstable();
    let mut all = sums.replies_ms.clone();
    all.sort_unstable();
    let rank = |sorted: &[i64], p: u32| {
        percentile_of_sorted(sorted, p).map_or(Value::Null, |ms| Value::Millis(ms as f64))
    };
    let value = |key: &str| match key {
        "customers_total" => Value::Count(customers_total),
        "customers_new" => Value::Count(customers_new),
        "dialogues" => Value::Count(sums.dialogues),
        "dialogues_opened" => Value::Count(sums.opened),
        "dialogues_replied" => Value::Count(sums.replied),
        "messages_sent" => Value::Count(sums.sent),
        "reply_time_total" => Value::Millis(sums.replies_ms.iter().sum::<i64>() as f64),
        "dialogue_time_total" => Value::Millis(sums.dialogue_ms as f64),
        "call_time_total" => Value::Millis(sums.call_ms as f64),
        "opened_share" => Value::ratio(sums.opened, sums.dialogues),
        "reply_rate" => Value::ratio(sums.replied, sums.customer_opened),
        "first_reply_avg" => Value::mean_millis(first_sum as f64, sums.replied),
        "reply_avg" => Value::mean_millis(nonzero.iter().sum(), nonzero.len() as u64),
        "dialogue_time_avg" => Value::mean_millis(sums.dialogue_ms as f64, sums.dialogues),
        "messages_avg" => Value::ratio(sums.messages, sums.dialogues),
        "resolved_once_24h" => Value::ratio(sums.only_24h, sums.dialogues),
        "resolved_once_48h" => Value::ratio(sums.only_48h, sums.dialogues),
        "first_reply_1m" => Value::ratio(sums.within_1m, sums.effective),
        "first_reply_3m" => Value::ratio(sums.within_3m, sums.effective),
        "unanswered" => Value::Count(sums.customer_opened - sums.replied),
        "first_reply_p50" => rank(&first, 50),
        "first_reply_p90" => rank(&first, 90),
        "first_reply_p99" => rank(&first, 99),
        "reply_p50" => rank(&all, 50),
        "reply_p90" => rank(&all, 90),
        "reply_p99" => rank(&all, 99),
        _ => Value::Null,
    };
    EMPLOYEES.iter().map(|metric| value(metric.key)).collect()
}
