//! What a caller sees of each table that SQL knows. Rows are shown by the rules that the other
//! questions follow: a message (and what tells of one) to those who may read it, a row about an
//! employee to those who see his figures. docs/reference/sql.md has the list for users.
//!
//! A table without a rule here is not there for callers who do not see everything.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, AsArray, ListArray, StringArray};
use arrow::datatypes::{DataType, Field, TimeUnit, TimestampMicrosecondType};
use huicun_semantics::interval::Interval;

use super::barrier::RowFilter;
use crate::access::Scope;
use crate::directory::Directory;

/// What somebody sees who does not see everything.
#[derive(Debug, Default)]
pub struct Visible {
    people: HashSet<String>,
    /// Rooms in which one of them ever spoke or received: seen whole.
    rooms: HashSet<String>,
    /// Of other rooms: when one of them was a member.
    stays: HashMap<String, Vec<Interval>>,
    /// Rooms that one of them is or was responsible for, or owns.
    held: HashSet<String>,
    /// Customers with whom one of them ever had a relation.
    customers: HashSet<String>,
    /// Departments of theirs, and those above.
    departments: HashSet<String>,
    /// Stores all of whose people they are.
    stores: HashSet<String>,
    /// Customer service sessions in which one of them received the customer.
    sessions: HashSet<String>,
}

impl Visible {
    /// What a scope sees; none for one that sees everything. `rooms` are those in which one of its
    /// employees ever spoke or received.
    pub fn new(scope: &Scope, directory: &Directory, rooms: HashSet<String>) -> Option<Self> {
        let people = scope.employees()?.clone();
        let mut stays: HashMap<String, Vec<Interval>> = HashMap::new();
        for (room, interval) in people.iter().flat_map(|id| directory.memberships_of(id)) {
            if !rooms.contains(room) {
                stays.entry(room.to_owned()).or_default().push(interval);
            }
        }
        let name = |number: u32| directory.ids.name(number).to_owned();
        let numbers: HashSet<u32> = people
            .iter()
            .filter_map(|id| directory.ids.get(id))
            .collect();
        let held = directory.groups.iter().filter(|group| {
            let mut holders = group.holders();
            holders.any(|holder| numbers.contains(&holder))
        });
        let relations = numbers
            .iter()
            .flat_map(|user| directory.relations.of_employee(*user));
        let departments = numbers
            .iter()
            .flat_map(|user| directory.organisation.history(*user))
            .flat_map(|(department, _)| {
                let above = directory.organisation.above(department).iter().copied();
                above.chain([department])
            });
        Some(Self {
            held: held.map(|group| name(group.chat)).collect(),
            customers: relations.map(|relation| name(relation.customer)).collect(),
            departments: departments.map(name).collect(),
            stores: stores(directory, &numbers),
            sessions: HashSet::new(),
            people,
            rooms,
            stays,
        })
    }

    /// Adds the customer service sessions in which one of the employees received the customer.
    pub fn with_sessions(mut self, sessions: HashSet<String>) -> Self {
        self.sessions = sessions;
        self
    }

    /// The employees in scope.
    pub fn people(&self) -> &HashSet<String> {
        &self.people
    }

    fn is_stay(&self, room: &str, instants: &[i64]) -> bool {
        let stays = self.stays.get(room).into_iter().flatten();
        stays
            .into_iter()
            .any(|stay| instants.iter().all(|at_ms| stay.contains(*at_ms)))
    }

    /// Whether a conversation's messages of all these instants are visible.
    fn sees(&self, conversation: &str, instants: &[i64]) -> bool {
        match conversation.split_once('|') {
            Some((a, b)) => self.people.contains(a) || self.people.contains(b),
            None => self.rooms.contains(conversation) || self.is_stay(conversation, instants),
        }
    }

    fn sees_any_of(&self, ids: &Ids<'_>, row: usize) -> bool {
        ids.of(row).any(|id| self.people.contains(id))
    }

    /// Whether anything is visible of a group.
    fn sees_group(&self, chat: &str) -> bool {
        self.rooms.contains(chat) || self.stays.contains_key(chat) || self.held.contains(chat)
    }
}

/// The stores that ever had anybody, all of whom are among `people`.
fn stores(directory: &Directory, people: &HashSet<u32>) -> HashSet<String> {
    let mut is_whole: HashMap<u32, bool> = HashMap::new();
    for user in directory.organisation.everyone() {
        for (store, _) in directory.organisation.store_stays(user) {
            let is_whole = is_whole.entry(store).or_insert(true);
            *is_whole = *is_whole && people.contains(&user);
        }
    }
    let whole = is_whole.into_iter().filter(|(_, is_whole)| *is_whole);
    whole
        .map(|(store, _)| directory.ids.name(store).to_owned())
        .collect()
}

/// How rows of a table are judged; columns by their names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// A message: sender, receivers, room, instant.
    Message {
        from: &'static str,
        to: &'static str,
        room: &'static str,
        at: &'static str,
    },
    /// What tells of a conversation, from the first of these instants to the last; also who names
    /// an employee in scope.
    Conversation {
        at: &'static [&'static str],
        named: Option<&'static str>,
    },
    /// What tells of a conversation at all times.
    WholeConversation,
    /// What is about an employee.
    Employee(&'static str),
    /// What is about a customer.
    Customer(&'static str),
    /// A department.
    Department(&'static str),
    /// A store.
    Store(&'static str),
    /// A group.
    Group(&'static str),
    /// A member of a group: customers, and employees in scope.
    GroupMember,
    /// A message of a customer service session.
    Session(&'static str),
}

/// The rule of each table; behaviours carry their reviews, which are filtered with them.
const RULES: [(&str, Rule); 25] = [
    (
        "messages",
        Rule::Message {
            from: "from_id",
            to: "to_ids",
            room: "room_id",
            at: "msgtime",
        },
    ),
    ("departments", Rule::Department("id")),
    ("employees", Rule::Employee("userid")),
    ("department_members", Rule::Employee("userid")),
    ("stores", Rule::Store("store_id")),
    ("customers", Rule::Customer("external_userid")),
    ("relations", Rule::Employee("userid")),
    ("groups", Rule::Group("chat_id")),
    ("group_roles", Rule::Employee("userid")),
    ("group_members", Rule::GroupMember),
    ("followups", Rule::Employee("userid")),
    ("business_records", Rule::Employee("userid")),
    ("tasks", Rule::Employee("userid")),
    ("friend_requests", Rule::Employee("userid")),
    ("material_events", Rule::Customer("external_userid")),
    ("orders", Rule::Customer("external_userid")),
    ("kf_messages", Rule::Session("session_id")),
    (
        "dialogues",
        Rule::Conversation {
            at: &["started_at", "ended_at"],
            named: Some("employees"),
        },
    ),
    (
        "activity",
        Rule::Conversation {
            at: &["first_at", "last_at"],
            named: None,
        },
    ),
    (
        "calls",
        Rule::Conversation {
            at: &["at"],
            named: None,
        },
    ),
    (
        "timers",
        Rule::Conversation {
            at: &["started_at", "ended_at"],
            named: None,
        },
    ),
    (
        "waiting",
        Rule::Conversation {
            at: &["started_at"],
            named: None,
        },
    ),
    (
        "timeouts",
        Rule::Conversation {
            at: &["fired_at"],
            named: Some("employees"),
        },
    ),
    ("conversations", Rule::WholeConversation),
    (
        "sightings",
        Rule::Message {
            from: "from_id",
            to: "to_ids",
            room: "room_id",
            at: "at",
        },
    ),
];

/// The rule of behaviours, which stands apart because their reviews go with them.
const BEHAVIOURS: Rule = Rule::Conversation {
    at: &["at"],
    named: Some("employees"),
};

/// The filter of a table; none for one that callers who do not see everything have not got.
pub fn filter(table: &str, visible: &Arc<Visible>) -> Option<RowFilter> {
    let rule = match table {
        "behaviours" => BEHAVIOURS,
        other => RULES.iter().find(|(name, _)| *name == other)?.1,
    };
    Some(rule.filter(Arc::clone(visible)))
}

static TEXTS: LazyLock<DataType> =
    LazyLock::new(|| DataType::List(Arc::new(Field::new("element", DataType::Utf8, true))));
static INSTANT: LazyLock<DataType> =
    LazyLock::new(|| DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())));

impl Rule {
    fn filter(self, visible: Arc<Visible>) -> RowFilter {
        let text = |name| (name, DataType::Utf8);
        let texts = |name| (name, TEXTS.clone());
        let instant = |name| (name, INSTANT.clone());
        let columns = match self {
            Self::Message { from, to, room, at } => {
                vec![text(from), texts(to), text(room), instant(at)]
            }
            Self::Conversation { at, named } => {
                let instants = at.iter().map(|name| instant(*name));
                let named = named.into_iter().map(texts);
                let conversation = std::iter::once(text("conversation"));
                conversation.chain(instants).chain(named).collect()
            }
            Self::WholeConversation => vec![text("conversation")],
            Self::GroupMember => vec![
                text("chat_id"),
                text("member_id"),
                text("member_type"),
                instant("join_time"),
                instant("leave_time"),
            ],
            Self::Employee(name)
            | Self::Customer(name)
            | Self::Department(name)
            | Self::Store(name)
            | Self::Group(name)
            | Self::Session(name) => vec![text(name)],
        };
        let keeps = move |columns: &[ArrayRef]| self.keeps(&visible, columns);
        RowFilter {
            columns,
            keeps: Arc::new(keeps),
        }
    }

    fn keeps(self, visible: &Visible, columns: &[ArrayRef]) -> Vec<bool> {
        let Some(first) = columns.first() else {
            return Vec::new();
        };
        let ids: &StringArray = first.as_string();
        let rows = 0..ids.len();
        let among = |known: &HashSet<String>| -> Vec<bool> {
            ids.iter()
                .map(|id| id.is_some_and(|id| known.contains(id)))
                .collect()
        };
        match self {
            Self::Message { .. } => {
                let to = Ids(columns[1].as_list());
                let rooms: &StringArray = columns[2].as_string();
                let at = Instants(&columns[3]);
                rows.map(|row| {
                    visible.people.contains(ids.value(row))
                        || visible.sees_any_of(&to, row)
                        || !rooms.value(row).is_empty()
                            && visible.sees(rooms.value(row), at.of(row).as_slice())
                })
                .collect()
            }
            Self::Conversation { at, named } => {
                let instants: Vec<Instants<'_>> =
                    columns[1..=at.len()].iter().map(Instants).collect();
                let named = named.map(|_| Ids(columns[at.len() + 1].as_list()));
                let mut at_ms = Vec::with_capacity(at.len());
                rows.map(|row| {
                    at_ms.clear();
                    at_ms.extend(instants.iter().filter_map(|column| column.of(row)));
                    visible.sees(ids.value(row), &at_ms)
                        || named.as_ref().is_some_and(|n| visible.sees_any_of(n, row))
                })
                .collect()
            }
            Self::WholeConversation => rows
                .map(|row| match ids.value(row).split_once('|') {
                    Some(_) => visible.sees(ids.value(row), &[]),
                    None => visible.rooms.contains(ids.value(row)),
                })
                .collect(),
            Self::GroupMember => {
                let members: &StringArray = columns[1].as_string();
                let kinds: &StringArray = columns[2].as_string();
                let (joined, left) = (Instants(&columns[3]), Instants(&columns[4]));
                rows.map(|row| {
                    let was_there = || {
                        let (from, to) = (joined.of(row), left.of(row));
                        let stays = visible.stays.get(ids.value(row)).into_iter().flatten();
                        let (from, to) = (from.unwrap_or(i64::MIN), to.unwrap_or(i64::MAX));
                        stays.into_iter().any(|stay| stay.touches(from, to))
                    };
                    visible.people.contains(members.value(row))
                        || kinds.value(row) == "customer"
                            && (visible.rooms.contains(ids.value(row)) || was_there())
                })
                .collect()
            }
            Self::Group(_) => rows.map(|row| visible.sees_group(ids.value(row))).collect(),
            Self::Employee(_) => among(&visible.people),
            Self::Customer(_) => among(&visible.customers),
            Self::Department(_) => among(&visible.departments),
            Self::Store(_) => among(&visible.stores),
            Self::Session(_) => among(&visible.sessions),
        }
    }
}

/// A column of lists of ids.
struct Ids<'a>(&'a ListArray);

impl<'a> Ids<'a> {
    fn of(&self, row: usize) -> impl Iterator<Item = &'a str> {
        let values: &'a StringArray = self.0.values().as_string();
        let offsets = self.0.value_offsets();
        let (from, to) = (offsets[row] as usize, offsets[row + 1] as usize);
        let is_list = self.0.is_valid(row);
        (from..to)
            .filter(move |at| is_list && values.is_valid(*at))
            .map(|at| values.value(at))
    }
}

/// A column of instants.
struct Instants<'a>(&'a ArrayRef);

impl Instants<'_> {
    /// UTC milliseconds; none for null.
    fn of(&self, row: usize) -> Option<i64> {
        let column = self.0.as_primitive::<TimestampMicrosecondType>();
        column
            .is_valid(row)
            .then(|| column.value(row).div_euclid(1000))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_that_is_fed_or_archived_has_a_rule() {
        let visible = Arc::new(Visible::default());
        let fed = crate::directory::schema::TABLES
            .iter()
            .map(|table| (table.name, table.schema()));
        let archived = std::iter::once((
            crate::archive::messages::TABLE,
            crate::archive::message::SCHEMA.clone(),
        ));
        for (table, schema) in fed.chain(archived) {
            let filter = filter(table, &visible);
            let filter = filter.unwrap_or_else(|| panic!("{table} has no rule"));
            for (column, _) in filter.columns {
                assert!(schema.index_of(column).is_ok(), "{table}.{column}");
            }
        }
        assert!(filter("secrets", &visible).is_none());
    }
}
