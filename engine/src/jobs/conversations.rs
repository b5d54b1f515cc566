//! Reads the archived messages into conversations: who spoke where and when, in order.
//!
//! Strings become small numbers once, at the door; everything after works on integers. Roles and
//! kinds are resolved here, from the directory of now (semantics 2).

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Int64Type, TimestampMicrosecondType};
use datafusion::error::DataFusionError;
use datafusion::prelude::{SessionContext, col, lit};
use futures::TryStreamExt;
use huicun_semantics::closing::ClosingPhrases;
use huicun_semantics::conversation::{Kind, kind_of_pair, kind_of_room};
use huicun_semantics::counted::is_counted;
use huicun_semantics::dialogue::{Counted, Side};
use huicun_semantics::role::Role;

pub use super::names::Names;
use crate::directory::Directory;

/// A pair or a room.
#[derive(Debug, Clone)]
pub enum Members {
    /// Two people, by number.
    Pair(u32, u32),
    /// A room.
    Room,
}

/// One conversation.
#[derive(Debug, Clone)]
pub struct Conversation {
    /// The room id, or `a|b`.
    pub id: String,
    /// External or internal, single or group.
    pub kind: Kind,
    /// Who it is between.
    pub members: Members,
}

/// One message as a fact of one conversation.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// Its conversation.
    pub conversation: u32,
    /// The message's row among [`Archive::msgids`].
    pub message: u32,
    /// What the law looks at.
    pub counted: Counted,
}

/// A call in a conversation.
#[derive(Debug, Clone, Copy)]
pub struct Call {
    /// Its conversation.
    pub conversation: u32,
    /// The message's row.
    pub message: u32,
    /// When, UTC milliseconds.
    pub at_ms: i64,
    /// How long, milliseconds.
    pub lasted_ms: i64,
}

/// All conversations with their counted messages in order (conversation, msgtime, seq, msgid).
#[derive(Debug, Default)]
pub struct Archive {
    /// People by number.
    pub people: Names,
    /// Role of each person.
    pub roles: Vec<Role>,
    /// The conversations by number.
    pub conversations: Vec<Conversation>,
    /// Counted messages of external conversations.
    pub entries: Vec<Entry>,
    /// Calls in external conversations.
    pub calls: Vec<Call>,
    /// WeCom's id of each message row.
    pub msgids: Vec<String>,
    /// Employees who ever spoke or received in each room, by conversation.
    pub room_employees: HashMap<u32, Vec<u32>>,
}

const COLUMNS: [&str; 10] = [
    "seq", "msgid", "action", "msgtype", "msgtime", "from_id", "to_ids", "room_id", "call_ms",
    "text",
];

/// Reads all readable messages of a session's `messages` table.
pub async fn read(
    ctx: &SessionContext,
    directory: &Directory,
    closing: &ClosingPhrases,
) -> Result<Archive, DataFusionError> {
    let frame = ctx
        .table("messages")
        .await?
        .filter(col("status").eq(lit("ok")))?
        .select_columns(&COLUMNS)?;
    let mut stream = frame.execute_stream().await?;
    let mut reader = Reader::new(closing);
    while let Some(batch) = stream.try_next().await? {
        reader.add(&batch)?;
    }
    Ok(reader.finish(directory))
}

/// A message before roles are known.
struct Pending {
    conversation: u32,
    message: u32,
    speaker: u32,
    at_ms: i64,
    seq: i64,
    is_countable: bool,
    is_closing: bool,
    call_ms: Option<i64>,
}

struct Reader<'a> {
    closing: &'a ClosingPhrases,
    people: Names,
    pairs: HashMap<(u32, u32), u32>,
    rooms: HashMap<Box<str>, u32>,
    /// People seen in each conversation that is a room.
    room_people: HashMap<u32, std::collections::HashSet<u32>>,
    places: Vec<(Option<(u32, u32)>, String)>,
    pending: Vec<Pending>,
    msgids: Vec<String>,
}

impl<'a> Reader<'a> {
    fn new(closing: &'a ClosingPhrases) -> Self {
        Self {
            closing,
            people: Names::default(),
            pairs: HashMap::new(),
            rooms: HashMap::new(),
            room_people: HashMap::new(),
            places: Vec::new(),
            pending: Vec::new(),
            msgids: Vec::new(),
        }
    }

    fn add(&mut self, batch: &RecordBatch) -> Result<(), DataFusionError> {
        let utf8 = |name: &str| column(batch, name, &DataType::Utf8);
        let (msgid, action, msgtype) = (utf8("msgid")?, utf8("action")?, utf8("msgtype")?);
        let (from, room, text) = (utf8("from_id")?, utf8("room_id")?, utf8("text")?);
        let list = DataType::List(Arc::new(arrow::datatypes::Field::new(
            "element",
            DataType::Utf8,
            true,
        )));
        let to = column(batch, "to_ids", &list)?;
        let to_lists = to.as_list::<i32>();
        let to_values: &StringArray = to_lists.values().as_string();
        let to_numbers: Vec<u32> = (0..to_values.len())
            .map(|i| self.people.intern(to_values.value(i)))
            .collect();
        let seq = column(batch, "seq", &DataType::Int64)?;
        let seq = seq.as_primitive::<Int64Type>();
        let calls = column(batch, "call_ms", &DataType::Int64)?;
        let calls = calls.as_primitive::<Int64Type>();
        let at = column(
            batch,
            "msgtime",
            &DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, Some("UTC".into())),
        )?;
        let at = at.as_primitive::<TimestampMicrosecondType>();
        let strings = |a: &ArrayRef| -> StringArray { a.as_string::<i32>().clone() };
        let (msgid, action, msgtype) = (strings(&msgid), strings(&action), strings(&msgtype));
        let (from, room, text) = (strings(&from), strings(&room), strings(&text));
        for row in 0..batch.num_rows() {
            let range =
                to_lists.value_offsets()[row] as usize..to_lists.value_offsets()[row + 1] as usize;
            let message = self.msgids.len() as u32;
            let speaker = self.people.intern(from.value(row));
            let is_text = matches!(msgtype.value(row), "text");
            let mut pending = Pending {
                conversation: 0,
                message,
                speaker,
                at_ms: at.value(row) / 1000,
                seq: seq.value(row),
                // Robots are left out when roles are known.
                is_countable: is_counted(action.value(row), msgtype.value(row), Role::Employee),
                is_closing: is_text && self.closing.is_closing(text.value(row)),
                call_ms: calls.is_valid(row).then(|| calls.value(row)),
            };
            self.msgids.push(msgid.value(row).to_string());
            self.place(&mut pending, room.value(row), &to_numbers[range]);
        }
        Ok(())
    }

    fn place(&mut self, pending: &mut Pending, room: &str, to: &[u32]) {
        if !room.is_empty() {
            let conversation = match self.rooms.get(room) {
                Some(number) => *number,
                None => {
                    let number = self.places.len() as u32;
                    self.rooms.insert(room.into(), number);
                    self.places.push((None, room.to_string()));
                    number
                }
            };
            let people = self.room_people.entry(conversation).or_default();
            people.insert(pending.speaker);
            people.extend(to);
            self.push(pending, conversation);
            return;
        }
        if self.people.name(pending.speaker).is_empty() {
            return;
        }
        // As `conversations_of` says: no pair with nobody, and none with himself among others.
        let has_others = to
            .iter()
            .any(|other| *other != pending.speaker && !self.people.name(*other).is_empty());
        let mut done: Vec<u32> = Vec::new();
        for other in to {
            if self.people.name(*other).is_empty() || (*other == pending.speaker && has_others) {
                continue;
            }
            let (a, b) = (pending.speaker, *other);
            let pair = if self.people.name(a) <= self.people.name(b) {
                (a, b)
            } else {
                (b, a)
            };
            let conversation = match self.pairs.get(&pair) {
                Some(number) => *number,
                None => {
                    let number = self.places.len() as u32;
                    let (a, b) = (self.people.name(pair.0), self.people.name(pair.1));
                    self.places
                        .push((Some(pair), huicun_semantics::conversation::pair_id(a, b)));
                    self.pairs.insert(pair, number);
                    number
                }
            };
            if !done.contains(&conversation) {
                done.push(conversation);
                self.push(pending, conversation);
            }
        }
    }

    fn push(&mut self, pending: &Pending, conversation: u32) {
        self.pending.push(Pending {
            conversation,
            ..*pending
        });
    }

    fn finish(self, directory: &Directory) -> Archive {
        let roles: Vec<Role> = (0..self.people.len())
            .map(|id| directory.role(self.people.name(id as u32)))
            .collect();
        let role = |id: u32| roles[id as usize];
        let conversations: Vec<Conversation> = self
            .places
            .into_iter()
            .enumerate()
            .map(|(number, (pair, id))| match pair {
                Some((a, b)) => Conversation {
                    id,
                    kind: kind_of_pair(role(a), role(b)),
                    members: Members::Pair(a, b),
                },
                None => {
                    let has_customer = directory.rooms_with_customers.contains(&id)
                        || self.room_people[&(number as u32)]
                            .iter()
                            .any(|person| role(*person) == Role::Customer);
                    Conversation {
                        id,
                        kind: kind_of_room(has_customer),
                        members: Members::Room,
                    }
                }
            })
            .collect();
        let room_employees = self
            .room_people
            .into_iter()
            .map(|(room, people)| {
                let employees = people.into_iter().filter(|id| role(*id) == Role::Employee);
                (room, employees.collect())
            })
            .collect();
        let mut entries = Vec::with_capacity(self.pending.len());
        let mut calls = Vec::new();
        for p in &self.pending {
            if !conversations[p.conversation as usize].kind.is_external() {
                continue;
            }
            let side = match role(p.speaker) {
                Role::Employee => Side::Employee,
                Role::Customer => Side::Customer,
                Role::Robot => continue,
            };
            if !p.is_countable {
                continue;
            }
            if let Some(lasted_ms) = p.call_ms {
                calls.push(Call {
                    conversation: p.conversation,
                    message: p.message,
                    at_ms: p.at_ms,
                    lasted_ms,
                });
            }
            entries.push(Entry {
                conversation: p.conversation,
                message: p.message,
                counted: Counted {
                    at_ms: p.at_ms,
                    seq: p.seq,
                    speaker: p.speaker,
                    side,
                    closes: p.is_closing && side == Side::Customer,
                },
            });
        }
        let msgids = self.msgids;
        use rayon::slice::ParallelSliceMut;
        entries.par_sort_unstable_by(|a, b| {
            let key = |e: &Entry| (e.conversation, e.counted.at_ms, e.counted.seq);
            key(a)
                .cmp(&key(b))
                .then_with(|| msgids[a.message as usize].cmp(&msgids[b.message as usize]))
        });
        Archive {
            people: self.people,
            roles,
            conversations,
            entries,
            calls,
            msgids,
            room_employees,
        }
    }
}

fn column(batch: &RecordBatch, name: &str, kind: &DataType) -> Result<ArrayRef, DataFusionError> {
    let array = batch.column_by_name(name).ok_or_else(|| {
        DataFusionError::Internal(format!("column `{name}` was selected but is missing"))
    })?;
    Ok(arrow::compute::cast(array, kind)?)
}
