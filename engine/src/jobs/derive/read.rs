//! Reads messages of a stretch of time into entries: strings become numbers, roles and kinds are
//! resolved from the directory of now (semantics 2), and what no conversation asks for is left out.

use std::collections::{BTreeSet, HashMap};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::DataType;
use datafusion::error::DataFusionError;
use datafusion::prelude::{DataFrame, Expr, SessionContext, col, lit};
use datafusion::scalar::ScalarValue;
use futures::{StreamExt as _, TryStreamExt as _};
use huicun_semantics::conversation::{Kind, kind_of_room};
use huicun_semantics::counted::is_counted;
use huicun_semantics::dialogue::Side;
use huicun_semantics::role::Role;
use rayon::prelude::*;
use tokio::sync::mpsc::Receiver;
use tokio::task::JoinHandle;

use super::conversation::day_number;
use super::incoming::{Columns, Incoming, column};
use super::message::{Call, Entry, MessageIds};
use super::rule::Compiled;
use super::world::World;
use crate::directory::Directory;

/// What was read.
#[derive(Debug, Default)]
pub struct Read {
    /// Counted messages of all kinds of conversations, in no order.
    pub entries: Vec<Entry>,
    /// Calls in external conversations.
    pub calls: Vec<Call>,
    /// Rooms that turned out to have a customer after they were taken for internal.
    pub turned: Vec<u32>,
    /// Rows looked at.
    pub n_rows: u64,
    /// Whom conference calls name, on its way; [`Reader::name`] waits for it.
    pub naming: Option<Naming>,
}

/// By msgid, the ids of those whom conference calls name.
type Naming = JoinHandle<Result<HashMap<String, Vec<String>>, DataFusionError>>;

/// What of a conversation changed.
#[derive(Debug, Default)]
pub struct Touched {
    /// The earliest change, UTC milliseconds; none where everything changed.
    pub from_ms: Option<i64>,
    /// Days since 1970 of new messages.
    pub days: BTreeSet<i32>,
}

/// Instants `[from, to)`, UTC milliseconds; a missing end reaches without end.
pub type Stretch = (Option<i64>, Option<i64>);

/// Batches whose ids are looked up side by side.
const BATCHES_AT_ONCE: usize = 8;
/// Batches that are decoded before anybody asks for them; each has some megabytes.
const BATCHES_AHEAD: usize = 24;

/// What the reader looks at.
pub const COLUMNS: [&str; 10] = [
    "seq", "msgid", "action", "msgtype", "msgtime", "from_id", "to_ids", "room_id", "call_ms",
    "text",
];

/// Reads all readable messages of `stretches`.
pub struct Reader<'a> {
    /// The session with the `messages` table.
    pub ctx: &'a SessionContext,
    /// Roles and rooms.
    pub directory: &'a Directory,
    /// Closing phrases and what needs no answer.
    pub rules: &'a Compiled,
}

/// Messages of some stretches on their way: they are decoded while something else is done, as far
/// ahead as there is room.
pub struct Decoding {
    stretches: Vec<Stretch>,
    batches: Receiver<Result<RecordBatch, DataFusionError>>,
}

impl Reader<'_> {
    /// Begins to decode the messages of some stretches.
    pub async fn begin(&self, stretches: &[Stretch]) -> Result<Decoding, DataFusionError> {
        let frame = self.frame(stretches).await?;
        let frame = frame.select_columns(&COLUMNS)?;
        let mut stream = frame.execute_stream().await?;
        let (decoded, batches) = tokio::sync::mpsc::channel(BATCHES_AHEAD);
        tokio::spawn(async move {
            // Who waits for them may have given up.
            while let Some(batch) = stream.next().await {
                if decoded.send(batch).await.is_err() {
                    break;
                }
            }
        });
        Ok(Decoding {
            stretches: stretches.to_vec(),
            batches,
        })
    }

    /// Makes entries of messages; `wanted` tells by number which conversations to keep. `None` as
    /// soon as there are more than `entries_max` entries.
    pub async fn read(
        &self,
        mut decoding: Decoding,
        world: &mut World,
        ids: &mut MessageIds,
        wanted: impl Fn(u32) -> bool,
        entries_max: usize,
    ) -> Result<Option<Read>, DataFusionError> {
        let mut found = Read::default();
        let mut is_named_asked = false;
        loop {
            let mut next = Vec::with_capacity(BATCHES_AT_ONCE);
            while next.len() < BATCHES_AT_ONCE
                && let Some(batch) = decoding.batches.recv().await
            {
                next.push(batch?);
            }
            let known_so_far = &*world;
            let incoming: Vec<Incoming> = next
                .par_iter()
                .map(|batch| Incoming::of(batch, known_so_far, self.rules))
                .collect::<Result<_, _>>()?;
            for batch in &incoming {
                found.n_rows += batch.known.len() as u64;
                is_named_asked |= self.add(batch, world, ids, &wanted, &mut found);
            }
            if found.entries.len() > entries_max {
                return Ok(None);
            }
            if next.len() < BATCHES_AT_ONCE {
                break;
            }
        }
        if is_named_asked {
            found.naming = Some(self.begin_naming(&decoding.stretches).await?);
        }
        Ok(Some(found))
    }

    /// All readable messages of some stretches.
    pub async fn frame(&self, stretches: &[Stretch]) -> Result<DataFrame, DataFusionError> {
        let mut frame = self
            .ctx
            .table("messages")
            .await?
            .filter(col("status").eq(lit("ok")))?;
        if let Some(time) = within(stretches) {
            frame = frame.filter(time)?;
        }
        Ok(frame)
    }

    /// Adds the rows of a batch; returns whether one of its calls may name participants.
    fn add(
        &self,
        Incoming { columns, known }: &Incoming,
        world: &mut World,
        ids: &mut MessageIds,
        wanted: &impl Fn(u32) -> bool,
        found: &mut Read,
    ) -> bool {
        let mut names_people = false;
        let mut places: Vec<u32> = Vec::new();
        for (row, known) in known.iter().enumerate() {
            let speaker = known
                .speaker
                .unwrap_or_else(|| world.person(columns.from.value(row), self.directory));
            places.clear();
            let room = columns.room.value(row);
            if room.is_empty() {
                match known.place {
                    Some(place) => places.push(place),
                    None => pairs(columns, row, speaker, world, self.directory, &mut places),
                }
            } else {
                let place = known.place.unwrap_or_else(|| {
                    let room = world.person(room, self.directory);
                    world.room(room, self.directory)
                });
                if wanted(place) {
                    let list = known.receivers;
                    if self.seen(columns, (row, list), place, speaker, world) {
                        found.turned.push(place);
                    }
                    places.push(place);
                }
            }
            let (action, msgtype) = (columns.action.value(row), columns.msgtype.value(row));
            let role = world.role(speaker);
            if !places.iter().any(|place| wanted(*place)) || !is_counted(action, msgtype, role) {
                continue;
            }
            let side = match role {
                Role::Employee => Side::Employee,
                Role::Customer => Side::Customer,
                Role::Robot => continue,
            };
            let at_ms = columns.at.value(row) / 1000;
            if let (false, Some(place)) = (room.is_empty(), places.first())
                && let Some(seen) = &mut world.places[*place as usize].seen
            {
                let since = seen.speakers.entry(speaker).or_default();
                *since = Some(since.map_or(at_ms, |known| known.min(at_ms)));
            }
            let message = ids.push(columns.msgid.value(row));
            let is_customers = side == Side::Customer;
            let entry = Entry {
                place: 0,
                message,
                at_ms,
                seq: columns.seq.value(row),
                speaker,
                side,
                closes: is_customers && known.closes,
                needs_no_answer: is_customers && known.needs_no_answer,
                is_own: false,
            };
            for (nth, place) in places.iter().enumerate() {
                let kind = world.places[*place as usize].kind;
                let is_first_of_kind = |earlier: &u32| world.places[*earlier as usize].kind == kind;
                let is_own = !places[..nth].iter().any(is_first_of_kind);
                if !wanted(*place) {
                    continue;
                }
                found.entries.push(Entry {
                    place: *place,
                    is_own,
                    ..entry
                });
                if columns.calls.is_valid(row) {
                    names_people |= msgtype == "meeting_voice_call";
                    found.calls.push(Call {
                        place: *place,
                        message,
                        at_ms,
                        by: speaker,
                        named: Vec::new(),
                        lasted_ms: columns.calls.value(row),
                    });
                }
            }
        }
        names_people
    }

    /// Notes who was seen in a room; a customer makes it external. Whether this one just did. A row
    /// comes with the hash of its receivers.
    fn seen(
        &self,
        columns: &Columns,
        (row, list): (usize, u128),
        place: u32,
        speaker: u32,
        world: &mut World,
    ) -> bool {
        let mut has_customer = world.role(speaker) == Role::Customer;
        let seen = world.places[place as usize].seen.get_or_insert_default();
        seen.speakers.entry(speaker).or_default();
        if seen.last_receivers.insert(speaker, list) != Some(list) {
            let (_, receivers) = columns.receivers(row);
            for at in receivers {
                let receiver = world.person(columns.to_values.value(at), self.directory);
                has_customer |= world.role(receiver) == Role::Customer;
                let seen = world.places[place as usize].seen.get_or_insert_default();
                seen.receivers.insert(receiver);
            }
        }
        let known = &mut world.places[place as usize];
        let turns = has_customer && known.kind == Kind::GroupInternal;
        if turns {
            known.kind = kind_of_room(true);
        }
        turns
    }

    /// The conversations of new rows, each with the earliest instant at which something changed,
    /// and the days of the rows; `None` for the instant where all of it did.
    pub fn touched(
        &self,
        batch: &RecordBatch,
        world: &mut World,
        touched: &mut HashMap<u32, Touched>,
    ) -> Result<(), DataFusionError> {
        let columns = Columns::of(batch)?;
        let status = column(batch, "status", &DataType::Utf8)?;
        let status = status.as_string::<i32>();
        let mut places: Vec<u32> = Vec::new();
        for row in 0..batch.num_rows() {
            if status.value(row) != "ok" {
                continue;
            }
            let speaker = world.person(columns.from.value(row), self.directory);
            places.clear();
            let room = columns.room.value(row);
            let mut turns = false;
            if room.is_empty() {
                pairs(&columns, row, speaker, world, self.directory, &mut places);
            } else {
                let room = world.person(room, self.directory);
                let place = world.room(room, self.directory);
                let list = columns.receivers_hash(row, &world.lists);
                turns = self.seen(&columns, (row, list), place, speaker, world);
                places.push(place);
            }
            let at_ms = columns.at.value(row) / 1000;
            let day = day_number(self.rules.zone, at_ms);
            for place in &places {
                let one = touched.entry(*place).or_insert_with(|| Touched {
                    from_ms: Some(at_ms),
                    days: BTreeSet::new(),
                });
                one.from_ms = match one.from_ms {
                    Some(from_ms) if !turns => Some(from_ms.min(at_ms)),
                    _ => None,
                };
                one.days.insert(day);
            }
        }
        Ok(())
    }

    /// Begins to read from the payloads of conference calls whom they name: who showed documents or
    /// shared the screen. Receivers are no participants (semantics 10.2).
    async fn begin_naming(&self, stretches: &[Stretch]) -> Result<Naming, DataFusionError> {
        let frame = self
            .frame(stretches)
            .await?
            .filter(col("msgtype").eq(lit("meeting_voice_call")))?
            .select_columns(&["msgid", "payload"])?;
        Ok(tokio::spawn(async move {
            let mut named = HashMap::new();
            let mut stream = frame.execute_stream().await?;
            while let Some(batch) = stream.try_next().await? {
                let column = |at: usize| arrow::compute::cast(batch.column(at), &DataType::Utf8);
                let (msgid, payload) = (column(0)?, column(1)?);
                let (msgid, payload) = (msgid.as_string::<i32>(), payload.as_string::<i32>());
                for row in 0..batch.num_rows() {
                    let people = participants(payload.value(row));
                    if !people.is_empty() {
                        named.insert(msgid.value(row).to_string(), people);
                    }
                }
            }
            Ok(named)
        }))
    }

    /// Writes into calls whom they name, as soon as that is read.
    pub async fn name(
        &self,
        naming: Option<Naming>,
        calls: &mut [Call],
        world: &mut World,
        ids: &MessageIds,
    ) -> Result<(), DataFusionError> {
        let Some(naming) = naming else {
            return Ok(());
        };
        let named = naming
            .await
            .map_err(|error| DataFusionError::External(error.into()))??;
        for call in calls {
            if let Some(people) = named.get(ids.get(call.message)) {
                let number = |id: &String| world.person(id, self.directory);
                call.named = people.iter().map(number).collect();
            }
        }
        Ok(())
    }
}

/// The conversations of a message outside of rooms, in the receivers' order, as
/// `huicun_semantics::conversation::conversations_of` says.
fn pairs(
    columns: &Columns,
    row: usize,
    speaker: u32,
    world: &mut World,
    directory: &Directory,
    places: &mut Vec<u32>,
) {
    if columns.from.value(row).is_empty() {
        return;
    }
    let (_, receivers) = columns.receivers(row);
    let is_other = |at: usize| {
        let to = columns.to_values.value(at);
        !to.is_empty() && to != columns.from.value(row)
    };
    let has_others = receivers.clone().any(is_other);
    for at in receivers {
        let to = columns.to_values.value(at);
        if to.is_empty() || (has_others && !is_other(at)) {
            continue;
        }
        let to = world.person(to, directory);
        let place = world.pair(speaker, to);
        if !places.contains(&place) {
            places.push(place);
        }
    }
}

/// Who is named in a conference call's payload, each once.
fn participants(payload: &str) -> Vec<String> {
    let Ok(message) = serde_json::from_str::<serde_json::Value>(payload) else {
        return Vec::new();
    };
    let call = match message.get("meeting_voice_call") {
        Some(call) => call,
        None => &message["info"],
    };
    let mut people = Vec::new();
    for (list, key) in [
        ("demofiledata", "demooperator"),
        ("sharescreendata", "share"),
    ] {
        let entries = call[list].as_array().into_iter().flatten();
        for name in entries.filter_map(|entry| entry[key].as_str()) {
            if !name.is_empty() && !people.iter().any(|known| known == name) {
                people.push(name.to_string());
            }
        }
    }
    people
}

/// The condition that a message was sent in one of `stretches`; none where that is no condition.
fn within(stretches: &[Stretch]) -> Option<Expr> {
    let at = |ms: i64| {
        let us = ms.saturating_mul(1000);
        lit(ScalarValue::TimestampMicrosecond(
            Some(us),
            Some("UTC".into()),
        ))
    };
    let conditions: Option<Vec<Expr>> = stretches
        .iter()
        .map(|(from, to)| match (from, to) {
            (Some(from), Some(to)) => {
                let from = col("msgtime").gt_eq(at(*from));
                Some(from.and(col("msgtime").lt(at(*to))))
            }
            (Some(from), None) => Some(col("msgtime").gt_eq(at(*from))),
            (None, Some(to)) => Some(col("msgtime").lt(at(*to))),
            (None, None) => None,
        })
        .collect();
    conditions?.into_iter().reduce(Expr::or)
}
