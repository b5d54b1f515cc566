//! Rows of `sightings` and `behaviours` as Arrow batches, and back.

use std::sync::Arc;

use arrow::array::{
    Date32Builder, Int64Builder, ListArray, ListBuilder, RecordBatch, StringBuilder,
};
use arrow::error::ArrowError;
use huicun_semantics::dialogue::Side;
use huicun_semantics::time::Zone;

use super::columns::{instant, integer, integers_of, list, maybe_text, text, texts_of};
use super::conversation::day_number;
use super::output::{batch, instants, integers, texts};
use super::schema;
use crate::jobs::behaviours::{BehaviourRow, Position, Seen, Watched};
use crate::rules::BehaviourKind;

/// What one version of the rules saw in one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// WeCom's id.
    pub msgid: String,
    /// WeCom's type name.
    pub msgtype: String,
    /// When it was sent, UTC milliseconds.
    pub at_ms: i64,
    /// Sender.
    pub from: String,
    /// Receivers.
    pub to: Vec<String>,
    /// Room, empty for none.
    pub room: String,
    /// What was seen, and by which version.
    pub seen: Seen,
}

impl Sighting {
    /// Of a message.
    pub fn new(message: &Watched<'_>, seen: Seen) -> Self {
        Self {
            msgid: message.msgid.into(),
            msgtype: message.msgtype.into(),
            at_ms: message.at_ms,
            from: message.from.into(),
            to: message.to.iter().map(|id| (*id).into()).collect(),
            room: message.room.into(),
            seen,
        }
    }

    /// The message again, as far as it is judged.
    pub fn message<'a>(&'a self, to: &'a [&'a str]) -> Watched<'a> {
        Watched {
            msgid: &self.msgid,
            action: "send",
            msgtype: &self.msgtype,
            at_ms: self.at_ms,
            pulled_ms: 0,
            from: &self.from,
            to,
            room: &self.room,
            text: "",
        }
    }
}

/// The lists of places of rows.
struct Places {
    rules: ListBuilder<StringBuilder>,
    words: ListBuilder<StringBuilder>,
    from: ListBuilder<Int64Builder>,
    to: ListBuilder<Int64Builder>,
}

impl Places {
    fn new() -> Self {
        Self {
            rules: texts(),
            words: texts(),
            from: integers(),
            to: integers(),
        }
    }

    fn append(&mut self, positions: &[Position]) {
        for position in positions {
            self.rules.values().append_value(&position.rule);
            self.words.values().append_value(&position.word);
            self.from.values().append_value(position.start as i64);
            self.to.values().append_value(position.end as i64);
        }
        self.rules.append(true);
        self.words.append(true);
        self.from.append(true);
        self.to.append(true);
    }
}

/// The columns of places, read back.
struct PlaceColumns<'a> {
    rules: &'a ListArray,
    words: &'a ListArray,
    from: &'a ListArray,
    to: &'a ListArray,
}

impl<'a> PlaceColumns<'a> {
    fn of(batch: &'a RecordBatch) -> Self {
        Self {
            rules: list(batch, "hit_rules"),
            words: list(batch, "hit_words"),
            from: list(batch, "hit_from"),
            to: list(batch, "hit_to"),
        }
    }

    fn positions(&self, row: usize) -> Vec<Position> {
        let ends = integers_of(self.from, row)
            .iter()
            .zip(integers_of(self.to, row));
        texts_of(self.rules, row)
            .zip(texts_of(self.words, row))
            .zip(ends)
            .map(|((rule, word), (start, end))| Position {
                rule: rule.into(),
                word: word.into(),
                start: *start as usize,
                end: *end as usize,
            })
            .collect()
    }
}

fn append_texts(list: &mut ListBuilder<StringBuilder>, values: &[String]) {
    for value in values {
        list.values().append_value(value);
    }
    list.append(true);
}

/// Sightings as a batch, in no order.
pub fn sightings(rows: &[Sighting], zone: Zone) -> Result<RecordBatch, ArrowError> {
    let (mut day, mut at) = (Date32Builder::new(), instants());
    let (mut msgid, mut msgtype) = (StringBuilder::new(), StringBuilder::new());
    let (mut from, mut to, mut room) = (StringBuilder::new(), texts(), StringBuilder::new());
    let mut version = Int64Builder::new();
    let mut places = Places::new();
    for row in rows {
        day.append_value(day_number(zone, row.at_ms));
        at.append_value(row.at_ms * 1000);
        msgid.append_value(&row.msgid);
        msgtype.append_value(&row.msgtype);
        from.append_value(&row.from);
        append_texts(&mut to, &row.to);
        room.append_value(&row.room);
        version.append_value(row.seen.version);
        places.append(&row.seen.positions);
    }
    batch(
        schema::table(schema::SIGHTINGS),
        vec![
            Arc::new(day.finish()),
            Arc::new(at.finish()),
            Arc::new(msgid.finish()),
            Arc::new(msgtype.finish()),
            Arc::new(from.finish()),
            Arc::new(to.finish()),
            Arc::new(room.finish()),
            Arc::new(version.finish()),
            Arc::new(places.rules.finish()),
            Arc::new(places.words.finish()),
            Arc::new(places.from.finish()),
            Arc::new(places.to.finish()),
        ],
    )
}

/// Appends the sightings of a batch.
pub fn sightings_of(batch: &RecordBatch, out: &mut Vec<Sighting>) {
    let (msgid, msgtype) = (text(batch, "message_id"), text(batch, "message_type"));
    let (at, version) = (instant(batch, "at"), integer(batch, "rules_version"));
    let (from, room) = (text(batch, "from_id"), text(batch, "room_id"));
    let to = list(batch, "to_ids");
    let places = PlaceColumns::of(batch);
    out.extend((0..batch.num_rows()).map(|row| Sighting {
        msgid: msgid.value(row).into(),
        msgtype: msgtype.value(row).into(),
        at_ms: at.value(row) / 1000,
        from: from.value(row).into(),
        to: texts_of(to, row).map(String::from).collect(),
        room: room.value(row).into(),
        seen: Seen {
            version: version.value(row),
            positions: places.positions(row),
        },
    }));
}

/// Behaviours as a batch, in no order.
pub fn behaviours(rows: &[BehaviourRow], zone: Zone) -> Result<RecordBatch, ArrowError> {
    let (mut day, mut at) = (Date32Builder::new(), instants());
    let (mut id, mut kind) = (StringBuilder::new(), StringBuilder::new());
    let (mut message, mut trigger) = (StringBuilder::new(), StringBuilder::new());
    let (mut side, mut conversation) = (StringBuilder::new(), StringBuilder::new());
    let (mut employees, mut rules, mut words) = (texts(), texts(), texts());
    let mut places = Places::new();
    for row in rows {
        day.append_value(day_number(zone, row.at_ms));
        id.append_value(&row.id);
        kind.append_value(row.kind.as_str());
        message.append_option(row.msgid.as_deref());
        at.append_value(row.at_ms * 1000);
        trigger.append_value(&row.trigger);
        side.append_value(row.side.as_str());
        conversation.append_value(&row.conversation);
        append_texts(&mut employees, &row.employees);
        append_texts(&mut rules, &row.rules);
        append_texts(&mut words, &row.words);
        places.append(&row.positions);
    }
    batch(
        schema::table(schema::BEHAVIOURS),
        vec![
            Arc::new(day.finish()),
            Arc::new(id.finish()),
            Arc::new(kind.finish()),
            Arc::new(message.finish()),
            Arc::new(at.finish()),
            Arc::new(trigger.finish()),
            Arc::new(side.finish()),
            Arc::new(conversation.finish()),
            Arc::new(employees.finish()),
            Arc::new(rules.finish()),
            Arc::new(words.finish()),
            Arc::new(places.rules.finish()),
            Arc::new(places.words.finish()),
            Arc::new(places.from.finish()),
            Arc::new(places.to.finish()),
        ],
    )
}

/// The behaviours of a batch, one by one.
pub struct BehaviourColumns<'a> {
    batch: &'a RecordBatch,
    places: PlaceColumns<'a>,
}

impl<'a> BehaviourColumns<'a> {
    /// Takes a batch with all columns but maybe the day.
    pub fn of(batch: &'a RecordBatch) -> Self {
        Self {
            batch,
            places: PlaceColumns::of(batch),
        }
    }

    /// A row; none where its kind is one that this build does not know.
    pub fn row(&self, row: usize) -> Option<BehaviourRow> {
        let text = |name: &str| text(self.batch, name).value(row).to_string();
        let texts = |name: &str| -> Vec<String> {
            let list = list(self.batch, name);
            texts_of(list, row).map(String::from).collect()
        };
        Some(BehaviourRow {
            id: text("behaviour_id"),
            kind: BehaviourKind::parse(&text("kind"))?,
            msgid: maybe_text(self::text(self.batch, "message_id"), row).map(String::from),
            at_ms: instant(self.batch, "at").value(row) / 1000,
            trigger: text("triggered_by"),
            side: match text("side").as_str() {
                "employee" => Side::Employee,
                _ => Side::Customer,
            },
            conversation: text("conversation"),
            employees: texts("employees"),
            rules: texts("rules"),
            words: texts("words"),
            positions: self.places.positions(row),
        })
    }
}
