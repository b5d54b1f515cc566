//! Batches of messages on their way to become entries. Ids are numbered one after another, in the
//! order in which they come; but most are known already, and to look those up is most of the work,
//! so it is done for several batches side by side.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, ListArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Int64Type, TimeUnit, TimestampMicrosecondType};
use datafusion::error::DataFusionError;
use huicun_semantics::counted::is_counted;
use huicun_semantics::role::Role;

use super::rule::Compiled;
use super::world::{Lists, World};

/// A batch, and what could be told of each row before its ids were numbered.
pub struct Incoming {
    /// The rows.
    pub columns: Columns,
    /// Of each row.
    pub known: Vec<Known>,
}

/// What is known of a row.
#[derive(Debug, Clone, Copy, Default)]
pub struct Known {
    /// Who sent it, if he was seen before.
    pub speaker: Option<u32>,
    /// Its only conversation, if it was seen before.
    pub place: Option<u32>,
    /// A text that is a closing phrase, unless the sender is known for no customer.
    pub closes: bool,
    /// What nobody has to answer, with the same exception.
    pub needs_no_answer: bool,
    /// In a room, who received it, hashed.
    pub receivers: u128,
}

impl Incoming {
    /// Looks up what `world` knows of a batch.
    ///
    /// # Errors
    /// A column that is missing.
    pub fn of(
        batch: &RecordBatch,
        world: &World,
        rules: &Compiled,
    ) -> Result<Self, DataFusionError> {
        let columns = Columns::of(batch)?;
        let known = (0..batch.num_rows()).map(|row| columns.known(row, world, rules));
        Ok(Self {
            known: known.collect(),
            columns,
        })
    }
}

impl Columns {
    fn known(&self, row: usize, world: &World, rules: &Compiled) -> Known {
        let speaker = world.known_person(self.from.value(row));
        let mut known = Known {
            speaker,
            place: self.known_place(row, speaker, world),
            ..Known::default()
        };
        if !self.room.value(row).is_empty() {
            known.receivers = self.receivers_hash(row, &world.lists);
        }
        // A stranger may turn out to be a customer.
        let role = speaker.map_or(Role::Customer, |speaker| world.role(speaker));
        let (action, msgtype) = (self.action.value(row), self.msgtype.value(row));
        if role == Role::Customer && is_counted(action, msgtype, role) {
            let text = self.text.value(row);
            known.closes = msgtype == "text" && rules.closing.is_closing(text);
            known.needs_no_answer = rules.no_answer.is_met(msgtype, text);
        }
        known
    }

    /// The conversation of a row that can have no other.
    fn known_place(&self, row: usize, speaker: Option<u32>, world: &World) -> Option<u32> {
        let room = self.room.value(row);
        if !room.is_empty() {
            return world.known_room(world.known_person(room)?);
        }
        let (_, receivers) = self.receivers(row);
        let to = (receivers.len() == 1).then(|| self.to_values.value(receivers.start))?;
        if self.from.value(row).is_empty() || to.is_empty() {
            return None;
        }
        world.known_pair(speaker?, world.known_person(to)?)
    }
}

/// The columns of a batch in the types that are read.
pub struct Columns {
    pub seq: arrow::array::Int64Array,
    pub msgid: StringArray,
    pub action: StringArray,
    pub msgtype: StringArray,
    pub at: arrow::array::TimestampMicrosecondArray,
    pub from: StringArray,
    pub room: StringArray,
    pub text: StringArray,
    pub to: ListArray,
    pub to_values: StringArray,
    pub calls: arrow::array::Int64Array,
}

impl Columns {
    /// Those of a batch.
    pub fn of(batch: &RecordBatch) -> Result<Self, DataFusionError> {
        let strings = |name: &str| -> Result<StringArray, DataFusionError> {
            Ok(column(batch, name, &DataType::Utf8)?
                .as_string::<i32>()
                .clone())
        };
        let element = Field::new("element", DataType::Utf8, true);
        let to = column(batch, "to_ids", &DataType::List(Arc::new(element)))?;
        let to = to.as_list::<i32>().clone();
        let to_values = to.values().as_string::<i32>().clone();
        let instant = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        Ok(Self {
            seq: column(batch, "seq", &DataType::Int64)?
                .as_primitive::<Int64Type>()
                .clone(),
            msgid: strings("msgid")?,
            action: strings("action")?,
            msgtype: strings("msgtype")?,
            at: column(batch, "msgtime", &instant)?
                .as_primitive::<TimestampMicrosecondType>()
                .clone(),
            from: strings("from_id")?,
            room: strings("room_id")?,
            text: strings("text")?,
            calls: column(batch, "call_ms", &DataType::Int64)?
                .as_primitive::<Int64Type>()
                .clone(),
            to,
            to_values,
        })
    }

    /// The receivers of a row: their bytes, and their places among all receivers.
    pub fn receivers(&self, row: usize) -> (&[u8], std::ops::Range<usize>) {
        let ends = self.to.value_offsets();
        let range = ends[row] as usize..ends[row + 1] as usize;
        let offsets = self.to_values.value_offsets();
        let bytes = offsets[range.start] as usize..offsets[range.end] as usize;
        (&self.to_values.value_data()[bytes], range)
    }

    /// The receivers of a row, hashed.
    pub fn receivers_hash(&self, row: usize, lists: &Lists) -> u128 {
        let (bytes, receivers) = self.receivers(row);
        let lengths = receivers.map(|at| self.to_values.value(at).len());
        lists.hash(bytes, lengths)
    }
}

/// A column of a batch in another type.
pub fn column(
    batch: &RecordBatch,
    name: &str,
    kind: &DataType,
) -> Result<ArrayRef, DataFusionError> {
    let array = batch.column_by_name(name).ok_or_else(|| {
        DataFusionError::Internal(format!("column `{name}` was selected but is missing"))
    })?;
    Ok(arrow::compute::cast(array, kind)?)
}
