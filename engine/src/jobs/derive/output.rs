//! Rows of the derived tables as Arrow batches, in no order, with their `day`.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Date32Builder, Int64Builder, ListBuilder, RecordBatch, StringBuilder,
    TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType, Field, TimeUnit};
use arrow::error::ArrowError;
use huicun_semantics::conversation::Kind;
use huicun_semantics::dialogue::Side;
use huicun_semantics::time::Zone;

use super::conversation::{ActivityRow, Rows, TimerRow, day_number};
use super::message::{Call, MessageIds};
use super::schema::{self, Derived};
use super::timeouts::TimeoutRow;
use super::world::World;

/// What rows refer to.
pub struct Context<'a> {
    /// People and conversations.
    pub world: &'a World,
    /// Msgids.
    pub ids: &'a MessageIds,
    /// The company's zone.
    pub zone: Zone,
    /// The id of every conversation, by number; empty where it is not asked for.
    pub places: &'a [String],
}

impl Context<'_> {
    fn place(&self, place: u32) -> &str {
        &self.places[place as usize]
    }

    fn kind(&self, place: u32) -> Kind {
        self.world.places[place as usize].kind
    }

    fn person(&self, person: u32) -> &str {
        self.world.people.name(person)
    }

    fn maybe(&self, person: Option<u32>) -> Option<&str> {
        person.map(|id| self.person(id))
    }
}

/// A stable, unique, opaque id of a dialogue, made of its conversation and first message.
pub fn dialogue_id(conversation: &str, first_msgid: &str) -> String {
    use aws_lc_rs::digest::{Context, SHA256};
    let mut hash = Context::new(&SHA256);
    hash.update(conversation.as_bytes());
    hash.update(b"\0");
    hash.update(first_msgid.as_bytes());
    crate::archive::seal::hex(&hash.finish().as_ref()[..12])
}

/// Dialogues of all parts.
pub fn dialogues(parts: &[Rows], at: &Context<'_>) -> Result<RecordBatch, ArrowError> {
    let mut day = Date32Builder::new();
    let mut id = StringBuilder::new();
    let (mut conversation, mut kind) = (StringBuilder::new(), StringBuilder::new());
    let (mut employee, mut customer) = (StringBuilder::new(), StringBuilder::new());
    let (mut started, mut ended) = (instants(), instants());
    let mut first_seq = Int64Builder::new();
    let mut opened_by = StringBuilder::new();
    let (mut employees, mut customers) = (texts(), texts());
    let (mut n_employee, mut n_customer) = (Int64Builder::new(), Int64Builder::new());
    let mut first_reply = Int64Builder::new();
    let (mut turn_at, mut reply_at) = (instant_lists(), instant_lists());
    let mut reply_by = texts();
    let (mut reply_ms, mut working_ms) = (integers(), integers());
    let (mut message_at, mut message_by) = (instant_lists(), texts());
    let mut speakers: Vec<&str> = Vec::new();
    for part in parts {
        for row in &part.dialogues {
            let place = at.place(row.place);
            day.append_value(day_number(at.zone, row.started_ms));
            id.append_value(dialogue_id(place, at.ids.get(row.first_message)));
            conversation.append_value(place);
            kind.append_value(at.kind(row.place).as_str());
            let pair = (at.world.employee(row.place), at.world.customer(row.place));
            employee.append_option(at.maybe(pair.0));
            customer.append_option(at.maybe(pair.1));
            started.append_value(row.started_ms * 1000);
            ended.append_value(row.ended_ms * 1000);
            first_seq.append_value(row.first_seq);
            opened_by.append_value(row.opened_by.as_str());
            let spoken = &part.spoken[row.spoken.clone()];
            for (side, list, one) in [
                (Side::Employee, &mut employees, pair.0),
                (Side::Customer, &mut customers, pair.1),
            ] {
                speakers.clear();
                match one {
                    Some(one) => speakers.push(at.person(one)),
                    None => {
                        let of_side = spoken.iter().filter(|m| m.side == side);
                        speakers.extend(of_side.map(|m| at.person(m.speaker)));
                        speakers.sort_unstable();
                        speakers.dedup();
                    }
                }
                for speaker in &speakers {
                    list.values().append_value(speaker);
                }
                list.append(true);
            }
            n_employee.append_value(i64::from(row.n_employee));
            n_customer.append_value(i64::from(row.n_customer));
            let replies = &part.replies[row.replies.clone()];
            first_reply.append_option(replies.first().map(|r| r.interval_ms));
            for reply in replies {
                turn_at.values().append_value(reply.turn_ms * 1000);
                reply_at.values().append_value(reply.at_ms * 1000);
                reply_by.values().append_value(at.person(reply.by));
                reply_ms.values().append_value(reply.interval_ms);
                if let Some(ms) = reply.working_ms {
                    working_ms.values().append_value(ms);
                }
            }
            for message in spoken {
                message_at.values().append_value(message.at_ms * 1000);
                message_by.values().append_value(at.person(message.speaker));
            }
            turn_at.append(true);
            reply_at.append(true);
            reply_by.append(true);
            reply_ms.append(true);
            working_ms.append(true);
            message_at.append(true);
            message_by.append(true);
        }
    }
    batch(
        schema::table(schema::DIALOGUES),
        vec![
            Arc::new(day.finish()),
            Arc::new(id.finish()),
            Arc::new(conversation.finish()),
            Arc::new(kind.finish()),
            Arc::new(employee.finish()),
            Arc::new(customer.finish()),
            Arc::new(started.finish()),
            Arc::new(ended.finish()),
            Arc::new(first_seq.finish()),
            Arc::new(opened_by.finish()),
            Arc::new(employees.finish()),
            Arc::new(customers.finish()),
            Arc::new(n_employee.finish()),
            Arc::new(n_customer.finish()),
            Arc::new(first_reply.finish()),
            Arc::new(turn_at.finish()),
            Arc::new(reply_at.finish()),
            Arc::new(reply_by.finish()),
            Arc::new(reply_ms.finish()),
            Arc::new(working_ms.finish()),
            Arc::new(message_at.finish()),
            Arc::new(message_by.finish()),
        ],
    )
}

/// Who sent how much where.
pub fn activity(parts: &[Rows], at: &Context<'_>) -> Result<RecordBatch, ArrowError> {
    let mut day = Date32Builder::new();
    let (mut conversation, mut kind) = (StringBuilder::new(), StringBuilder::new());
    let (mut speaker, mut side) = (StringBuilder::new(), StringBuilder::new());
    let (mut n, mut n_own) = (Int64Builder::new(), Int64Builder::new());
    let (mut first, mut last) = (instants(), instants());
    let (mut message_at, mut own_at) = (instant_lists(), instant_lists());
    let rows = parts.iter().flat_map(|part| {
        let sent = |row: &ActivityRow| &part.sent[row.sent.0..row.sent.1];
        part.activity.iter().map(move |row| (row, sent(row)))
    });
    for (row, sent) in rows {
        for (ms, is_own) in sent {
            message_at.values().append_value(ms * 1000);
            if *is_own && row.n_own != row.n {
                own_at.values().append_value(ms * 1000);
            }
        }
        message_at.append(true);
        own_at.append(true);
        day.append_value(row.day);
        conversation.append_value(at.place(row.place));
        kind.append_value(at.kind(row.place).as_str());
        speaker.append_value(at.person(row.speaker));
        side.append_value(row.side.as_str());
        n.append_value(i64::from(row.n));
        n_own.append_value(i64::from(row.n_own));
        first.append_value(row.first_ms * 1000);
        last.append_value(row.last_ms * 1000);
    }
    batch(
        schema::table(schema::ACTIVITY),
        vec![
            Arc::new(day.finish()),
            Arc::new(conversation.finish()),
            Arc::new(kind.finish()),
            Arc::new(speaker.finish()),
            Arc::new(side.finish()),
            Arc::new(n.finish()),
            Arc::new(n_own.finish()),
            Arc::new(first.finish()),
            Arc::new(last.finish()),
            Arc::new(message_at.finish()),
            Arc::new(own_at.finish()),
        ],
    )
}

/// Calls of external conversations.
pub fn calls(calls: &[Call], at: &Context<'_>) -> Result<RecordBatch, ArrowError> {
    let mut day = Date32Builder::new();
    let (mut conversation, mut kind) = (StringBuilder::new(), StringBuilder::new());
    let (mut employee, mut customer) = (StringBuilder::new(), StringBuilder::new());
    let mut message = StringBuilder::new();
    let mut when = instants();
    let mut by = StringBuilder::new();
    let mut named = texts();
    let mut lasted = Int64Builder::new();
    let external = calls.iter().filter(|c| at.kind(c.place).is_external());
    for call in external {
        day.append_value(day_number(at.zone, call.at_ms));
        conversation.append_value(at.place(call.place));
        kind.append_value(at.kind(call.place).as_str());
        employee.append_option(at.maybe(at.world.employee(call.place)));
        customer.append_option(at.maybe(at.world.customer(call.place)));
        message.append_value(at.ids.get(call.message));
        when.append_value(call.at_ms * 1000);
        by.append_value(at.person(call.by));
        for person in &call.named {
            named.values().append_value(at.person(*person));
        }
        named.append(true);
        lasted.append_value(call.lasted_ms);
    }
    batch(
        schema::table(schema::CALLS),
        vec![
            Arc::new(day.finish()),
            Arc::new(conversation.finish()),
            Arc::new(kind.finish()),
            Arc::new(employee.finish()),
            Arc::new(customer.finish()),
            Arc::new(message.finish()),
            Arc::new(when.finish()),
            Arc::new(by.finish()),
            Arc::new(named.finish()),
            Arc::new(lasted.finish()),
        ],
    )
}

/// Timers that ended (with `is_ended`), or those that still run.
pub fn timers(parts: &[Rows], is_ended: bool, at: &Context<'_>) -> Result<RecordBatch, ArrowError> {
    let mut day = Date32Builder::new();
    let (mut conversation, mut kind) = (StringBuilder::new(), StringBuilder::new());
    let (mut employee, mut customer) = (StringBuilder::new(), StringBuilder::new());
    let mut message = StringBuilder::new();
    let (mut started, mut ended, mut answered) = (instants(), instants(), instants());
    let (mut later_at, mut later) = (instant_lists(), texts());
    for part in parts {
        let wanted = |row: &&TimerRow| row.ended_ms.is_some() == is_ended;
        for row in part.timers.iter().filter(wanted) {
            conversation.append_value(at.place(row.place));
            kind.append_value(at.kind(row.place).as_str());
            employee.append_option(at.maybe(at.world.employee(row.place)));
            customer.append_value(at.person(row.customer));
            message.append_value(at.ids.get(row.message));
            started.append_value(row.started_ms * 1000);
            if let Some(ended_ms) = row.ended_ms {
                day.append_value(day_number(at.zone, ended_ms));
                ended.append_value(ended_ms * 1000);
                answered.append_option(row.answered_ms.map(|ms| ms * 1000));
            }
            for (ms, id) in &part.later[row.later.clone()] {
                later_at.values().append_value(ms * 1000);
                later.values().append_value(at.ids.get(*id));
            }
            later_at.append(true);
            later.append(true);
        }
    }
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(conversation.finish()),
        Arc::new(kind.finish()),
        Arc::new(employee.finish()),
        Arc::new(customer.finish()),
        Arc::new(message.finish()),
        Arc::new(started.finish()),
    ];
    if is_ended {
        columns.insert(0, Arc::new(day.finish()));
        columns.push(Arc::new(ended.finish()));
        columns.push(Arc::new(answered.finish()));
    }
    columns.push(Arc::new(later_at.finish()));
    columns.push(Arc::new(later.finish()));
    let name = if is_ended {
        schema::TIMERS
    } else {
        schema::WAITING
    };
    batch(schema::table(name), columns)
}

/// Timeouts.
pub fn timeouts(rows: &[TimeoutRow], at: &Context<'_>) -> Result<RecordBatch, ArrowError> {
    let mut day = Date32Builder::new();
    let (mut conversation, mut kind) = (StringBuilder::new(), StringBuilder::new());
    let (mut customer, mut rule) = (StringBuilder::new(), StringBuilder::new());
    let (mut employees, mut responsible) = (texts(), StringBuilder::new());
    let (mut timer_message, mut message) = (StringBuilder::new(), StringBuilder::new());
    let (mut timer, mut shown, mut fired) = (instants(), instants(), instants());
    let mut level = Int64Builder::new();
    let mut level_at = instant_lists();
    let mut answered = instants();
    let (mut waited, mut working) = (Int64Builder::new(), Int64Builder::new());
    for row in rows {
        day.append_value(day_number(at.zone, row.fired_ms));
        conversation.append_value(at.place(row.place));
        kind.append_value(at.kind(row.place).as_str());
        customer.append_value(at.person(row.customer));
        for employee in &row.employees {
            employees.values().append_value(employee);
        }
        employees.append(true);
        responsible.append_option(row.responsible.as_deref());
        rule.append_value(row.rule.as_ref());
        timer.append_value(row.started_ms * 1000);
        timer_message.append_value(at.ids.get(row.timer_message));
        message.append_value(at.ids.get(row.message));
        shown.append_value(row.message_ms * 1000);
        fired.append_value(row.fired_ms * 1000);
        level.append_value(row.level_ms.len() as i64);
        for ms in &row.level_ms {
            level_at.values().append_value(ms * 1000);
        }
        level_at.append(true);
        answered.append_option(row.answered_ms.map(|ms| ms * 1000));
        waited.append_option(row.answered_ms.map(|ms| ms - row.started_ms));
        working.append_option(row.waited_working_ms);
    }
    batch(
        schema::table(schema::TIMEOUTS),
        vec![
            Arc::new(day.finish()),
            Arc::new(conversation.finish()),
            Arc::new(kind.finish()),
            Arc::new(customer.finish()),
            Arc::new(employees.finish()),
            Arc::new(responsible.finish()),
            Arc::new(rule.finish()),
            Arc::new(timer.finish()),
            Arc::new(timer_message.finish()),
            Arc::new(message.finish()),
            Arc::new(shown.finish()),
            Arc::new(fired.finish()),
            Arc::new(level.finish()),
            Arc::new(level_at.finish()),
            Arc::new(answered.finish()),
            Arc::new(waited.finish()),
            Arc::new(working.finish()),
        ],
    )
}

/// All conversations of the world.
pub fn conversations(at: &Context<'_>) -> Result<RecordBatch, ArrowError> {
    let (mut conversation, mut kind) = (StringBuilder::new(), StringBuilder::new());
    let (mut employee, mut customer) = (StringBuilder::new(), StringBuilder::new());
    let (mut first, mut last, mut restart) = (instants(), instants(), instants());
    let (mut speakers, mut receivers, mut roles) = (texts(), texts(), texts());
    let (mut spoke_from, mut days) = (instant_lists(), integers());
    for (number, place) in at.world.places.iter().enumerate() {
        let number = number as u32;
        conversation.append_value(at.place(number));
        kind.append_value(place.kind.as_str());
        employee.append_option(at.maybe(at.world.employee(number)));
        customer.append_option(at.maybe(at.world.customer(number)));
        first.append_option(place.span.map(|(ms, _)| ms * 1000));
        last.append_option(place.span.map(|(_, ms)| ms * 1000));
        if let Some(seen) = &place.seen {
            let mut spoke: Vec<_> = seen.speakers.iter().map(|(id, ms)| (*id, *ms)).collect();
            spoke.sort_unstable_by_key(|(id, _)| at.person(*id));
            let mut only_received: Vec<u32> = seen
                .receivers
                .iter()
                .copied()
                .filter(|id| !seen.speakers.contains_key(id))
                .collect();
            only_received.sort_unstable_by_key(|id| at.person(*id));
            for (id, ms) in spoke {
                speakers.values().append_value(at.person(id));
                spoke_from.values().append_option(ms.map(|ms| ms * 1000));
                roles.values().append_value(at.world.role(id).as_str());
            }
            for id in only_received {
                receivers.values().append_value(at.person(id));
                roles.values().append_value(at.world.role(id).as_str());
            }
        }
        speakers.append(true);
        spoke_from.append(true);
        receivers.append(true);
        roles.append(true);
        restart.append_option(place.restart.at_ms.map(|ms| ms * 1000));
        for day in &place.restart.days {
            days.values().append_value(i64::from(*day));
        }
        days.append(true);
    }
    batch(
        schema::table(schema::CONVERSATIONS),
        vec![
            Arc::new(conversation.finish()),
            Arc::new(kind.finish()),
            Arc::new(employee.finish()),
            Arc::new(customer.finish()),
            Arc::new(first.finish()),
            Arc::new(last.finish()),
            Arc::new(speakers.finish()),
            Arc::new(spoke_from.finish()),
            Arc::new(receivers.finish()),
            Arc::new(roles.finish()),
            Arc::new(restart.finish()),
            Arc::new(days.finish()),
        ],
    )
}

/// A table's columns as its batch.
pub fn batch(table: &Derived, columns: Vec<ArrayRef>) -> Result<RecordBatch, ArrowError> {
    RecordBatch::try_new(table.schema(), columns)
}

/// Instants, UTC microseconds.
pub fn instants() -> TimestampMicrosecondBuilder {
    TimestampMicrosecondBuilder::new().with_timezone("UTC")
}

/// Lists of texts.
pub fn texts() -> ListBuilder<StringBuilder> {
    ListBuilder::new(StringBuilder::new()).with_field(element(DataType::Utf8))
}

/// Lists of whole numbers.
pub fn integers() -> ListBuilder<Int64Builder> {
    ListBuilder::new(Int64Builder::new()).with_field(element(DataType::Int64))
}

fn instant_lists() -> ListBuilder<TimestampMicrosecondBuilder> {
    let instant = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    ListBuilder::new(instants()).with_field(element(instant))
}

fn element(kind: DataType) -> Field {
    Field::new("element", kind, true)
}
