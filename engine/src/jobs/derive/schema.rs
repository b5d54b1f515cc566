//! The derived tables (派生表): their columns, in one list from which writing, SQL and the docs come.
//!
//! Instants are UTC with microseconds, whole milliseconds in fact; lengths are milliseconds
//! (`_ms`). Rows of a table lie in folders by `day`, in the company's zone.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

use crate::archive::Layout;

/// A derived table.
#[derive(Debug)]
pub struct Derived {
    /// Its name, in SQL too.
    pub name: &'static str,
    /// One line about it.
    pub comment: &'static str,
    /// Which day a row lies under; none for the one table that is not split.
    pub day_of: Option<&'static str>,
    /// The columns that order its rows within a day.
    pub order: &'static [&'static str],
    columns: &'static [Column],
}

type Column = (&'static str, Type, bool, &'static str);

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    Text,
    Day,
    Instant,
    Integer,
    Texts,
    Instants,
    Integers,
}

use Type::{Day, Instant, Instants, Integer, Integers, Text, Texts};

const NULL: bool = true;
const SURE: bool = false;

impl Type {
    fn arrow(self) -> DataType {
        let list = |of: DataType| DataType::List(Arc::new(Field::new("element", of, true)));
        let instant = || DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        match self {
            Text => DataType::Utf8,
            Day => DataType::Date32,
            Instant => instant(),
            Integer => DataType::Int64,
            Texts => list(DataType::Utf8),
            Instants => list(instant()),
            Integers => list(DataType::Int64),
        }
    }
}

impl Derived {
    /// The Arrow schema.
    pub fn schema(&self) -> SchemaRef {
        let fields: Vec<Field> = self
            .columns
            .iter()
            .map(|(name, kind, null, _)| Field::new(*name, kind.arrow(), *null))
            .collect();
        Arc::new(Schema::new(fields))
    }

    /// How the table is stored.
    pub fn layout(&self) -> Layout {
        Layout {
            schema: self.schema(),
            partition: self.day_of.map(|_| "day"),
            statistics: &[],
            unique: &[
                "dialogue_id",
                "message_id",
                "messages",
                "answer_id",
                "behaviour_id",
            ],
            comment: self.comment,
        }
    }

    /// Each column's name and what it means, in order.
    pub fn columns(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        self.columns
            .iter()
            .map(|(name, _, _, comment)| (*name, *comment))
    }
}

const CONVERSATION: Column = (
    "conversation",
    Text,
    SURE,
    "the room id, or the pair `a|b` sorted bytewise (会话)",
);
const KIND: Column = (
    "kind",
    Text,
    SURE,
    "single_external, group_external; in `activity` and `conversations` all kinds (会话类型)",
);
const EMPLOYEE: Column = (
    "employee",
    Text,
    NULL,
    "the employee of a single chat (员工)",
);
const CUSTOMER: Column = (
    "customer",
    Text,
    NULL,
    "the customer of a single chat (客户)",
);

/// All derived tables, in the order in which they are written.
pub static TABLES: LazyLock<Vec<Derived>> = LazyLock::new(|| {
    vec![
        Derived {
            name: DIALOGUES,
            comment: "dialogues (对话): stretches of conversations with customers",
            day_of: Some("started_at"),
            order: &["started_at", "conversation", "first_seq", "dialogue_id"],
            columns: &[
                ("day", Day, SURE, "the day on which it started"),
                ("dialogue_id", Text, SURE, "stable and unique"),
                CONVERSATION,
                KIND,
                EMPLOYEE,
                CUSTOMER,
                ("started_at", Instant, SURE, "its first message"),
                ("ended_at", Instant, SURE, "its last message"),
                ("first_seq", Integer, SURE, "seq of its first message"),
                (
                    "opened_by",
                    Text,
                    SURE,
                    "side of the first message: employee or customer",
                ),
                (
                    "employees",
                    Texts,
                    SURE,
                    "the employee of a single chat; in a group those who spoke",
                ),
                (
                    "customers",
                    Texts,
                    SURE,
                    "the customer of a single chat; in a group those who spoke",
                ),
                ("employee_messages", Integer, SURE, "messages of employees"),
                ("customer_messages", Integer, SURE, "messages of customers"),
                (
                    "first_reply_ms",
                    Integer,
                    NULL,
                    "first reply time (首次回复时长), all employees as one",
                ),
                (
                    "turn_at",
                    Instants,
                    SURE,
                    "of each customer turn that was answered: its first message",
                ),
                ("reply_at", Instants, SURE, "its answer"),
                ("reply_by", Texts, SURE, "who answered"),
                (
                    "reply_ms",
                    Integers,
                    SURE,
                    "the reply interval, by reply.from and reply.clock",
                ),
                (
                    "reply_working_ms",
                    Integers,
                    SURE,
                    "the same in working time; empty where reply.calendar names none",
                ),
                (
                    "message_at",
                    Instants,
                    SURE,
                    "groups: when each of its messages was sent; empty in single chats",
                ),
                ("message_by", Texts, SURE, "groups: who sent it"),
            ],
        },
        Derived {
            name: ACTIVITY,
            comment: "who sent how many counted messages where on a day (发言)",
            day_of: Some("first_at"),
            order: &["conversation", "speaker"],
            columns: &[
                ("day", Day, SURE, "the day"),
                CONVERSATION,
                KIND,
                ("speaker", Text, SURE, "who sent them"),
                ("side", Text, SURE, "employee or customer"),
                ("messages", Integer, SURE, "counted messages"),
                (
                    "messages_own",
                    Integer,
                    SURE,
                    "those that this conversation is the first of its kind to hold",
                ),
                ("first_at", Instant, SURE, "the first of them"),
                ("last_at", Instant, SURE, "the last of them"),
                ("message_at", Instants, SURE, "each of them"),
                (
                    "own_at",
                    Instants,
                    SURE,
                    "those of `messages_own` where these are not all of them, else empty",
                ),
            ],
        },
        Derived {
            name: CALLS,
            comment: "audio and video calls in conversations with customers (音视频通话)",
            day_of: Some("at"),
            order: &["at", "conversation", "message_id"],
            columns: &[
                ("day", Day, SURE, "the day of the call"),
                CONVERSATION,
                KIND,
                EMPLOYEE,
                CUSTOMER,
                ("message_id", Text, SURE, "its msgid"),
                ("at", Instant, SURE, "when"),
                ("started_by", Text, SURE, "who started it"),
                (
                    "named",
                    Texts,
                    SURE,
                    "whom the message names as taking part",
                ),
                ("call_ms", Integer, SURE, "how long it lasted"),
            ],
        },
        Derived {
            name: TIMERS,
            comment: "customers who waited for an answer, once they no longer do (等待回复)",
            day_of: Some("ended_at"),
            order: &["started_at", "conversation", "customer", "message_id"],
            columns: TIMER_COLUMNS,
        },
        Derived {
            name: WAITING,
            comment: "customers who wait for an answer now (待回复)",
            day_of: None,
            order: &["started_at", "conversation", "customer", "message_id"],
            columns: WAITING_COLUMNS,
        },
        Derived {
            name: TIMEOUTS,
            comment: "timeouts (超时回复), those that will come too if nobody answers",
            day_of: Some("fired_at"),
            order: &["fired_at", "conversation", "customer", "timer_message_id"],
            columns: &[
                ("day", Day, SURE, "the day on which level 1 fired"),
                CONVERSATION,
                KIND,
                (
                    "customer",
                    Text,
                    SURE,
                    "whose message was not answered in time",
                ),
                ("employees", Texts, SURE, "the employees that it names"),
                (
                    "responsible",
                    Text,
                    NULL,
                    "groups: the responsible employee when level 1 fired (群负责人)",
                ),
                ("rule", Text, SURE, "the reply rule that governed"),
                ("timer_at", Instant, SURE, "when its timer started"),
                (
                    "timer_message_id",
                    Text,
                    SURE,
                    "the message that started it",
                ),
                ("message_id", Text, SURE, "the message that it shows"),
                ("last_message_at", Instant, SURE, "when that was sent"),
                ("fired_at", Instant, SURE, "when level 1 was reached"),
                (
                    "level",
                    Integer,
                    SURE,
                    "the highest level reached before the timer ended",
                ),
                ("level_at", Instants, SURE, "when each level was reached"),
                ("answered_at", Instant, NULL, "the next employee message"),
                (
                    "waited_ms",
                    Integer,
                    NULL,
                    "from the timer's start to the answer, wall time",
                ),
                (
                    "waited_working_ms",
                    Integer,
                    NULL,
                    "the same in the rule's working time",
                ),
            ],
        },
        Derived {
            name: CONVERSATIONS,
            comment: "conversations (会话): who is in them, and from where on they are derived anew",
            day_of: None,
            order: &["conversation"],
            columns: &[
                CONVERSATION,
                KIND,
                EMPLOYEE,
                CUSTOMER,
                ("first_at", Instant, NULL, "the first counted message"),
                ("last_at", Instant, NULL, "the last counted message"),
                ("speakers", Texts, SURE, "rooms: who ever spoke"),
                (
                    "spoke_from",
                    Instants,
                    SURE,
                    "rooms: since when; null for one whose records do not count",
                ),
                ("receivers", Texts, SURE, "rooms: who only ever received"),
                (
                    "people_roles",
                    Texts,
                    SURE,
                    "roles of speakers, then receivers, as they were taken",
                ),
                (
                    "restart_at",
                    Instant,
                    NULL,
                    "later messages change nothing that was before it",
                ),
                (
                    "restart_days",
                    Integers,
                    SURE,
                    "days since 1970 with messages from then on",
                ),
            ],
        },
        Derived {
            name: SIGHTINGS,
            comment: "messages in which a version of the rules saw something, whoever sent them (命中)",
            day_of: Some("at"),
            order: &["at", "message_id", "rules_version"],
            columns: SIGHTING_COLUMNS,
        },
        Derived {
            name: BEHAVIOURS,
            comment: "behaviours (敏感行为) that the rules recorded, without their reviews",
            day_of: Some("at"),
            order: &["at", "behaviour_id"],
            columns: BEHAVIOUR_COLUMNS,
        },
    ]
});

const HIT_RULES: Column = (
    "hit_rules",
    Texts,
    SURE,
    "of each place with a word: its rule",
);
const HIT_WORDS: Column = ("hit_words", Texts, SURE, "the word");
const HIT_FROM: Column = (
    "hit_from",
    Integers,
    SURE,
    "its first character in the text, in Unicode scalar values",
);
const HIT_TO: Column = ("hit_to", Integers, SURE, "behind its last one");

const SIGHTING_COLUMNS: &[Column] = &[
    ("day", Day, SURE, "the day on which it was sent"),
    ("at", Instant, SURE, "when it was sent"),
    ("message_id", Text, SURE, "its msgid"),
    ("message_type", Text, SURE, "its msgtype"),
    ("from_id", Text, SURE, "who sent it"),
    ("to_ids", Texts, SURE, "to whom"),
    ("room_id", Text, SURE, "the room, empty for none"),
    (
        "rules_version",
        Integer,
        SURE,
        "the version of the rules that saw something",
    ),
    HIT_RULES,
    HIT_WORDS,
    HIT_FROM,
    HIT_TO,
];

const BEHAVIOUR_COLUMNS: &[Column] = &[
    ("day", Day, SURE, "the day on which it happened"),
    ("behaviour_id", Text, SURE, "stable and unique"),
    (
        "kind",
        Text,
        SURE,
        "red_packet, card, sensitive_word, friend_deleted (行为)",
    ),
    (
        "message_id",
        Text,
        NULL,
        "the message; none of a deleted friend",
    ),
    ("at", Instant, SURE, "when it happened (触发时间)"),
    ("triggered_by", Text, SURE, "who did it (触发人)"),
    ("side", Text, SURE, "employee or customer: his side"),
    CONVERSATION,
    (
        "employees",
        Texts,
        SURE,
        "who takes part: employees of the pair, or of the room then",
    ),
    (
        "rules",
        Texts,
        SURE,
        "the word rules that were hit, each once (命中规则)",
    ),
    (
        "words",
        Texts,
        SURE,
        "the words that were hit, each once (命中词)",
    ),
    HIT_RULES,
    HIT_WORDS,
    HIT_FROM,
    HIT_TO,
];

const TIMER_COLUMNS: &[Column] = &[
    ("day", Day, SURE, "the day on which it ended"),
    CONVERSATION,
    KIND,
    EMPLOYEE,
    ("customer", Text, SURE, "who waited"),
    ("message_id", Text, SURE, "the message that started it"),
    ("started_at", Instant, SURE, "when that was sent"),
    ("ended_at", Instant, SURE, "when it ended"),
    (
        "answered_at",
        Instant,
        NULL,
        "the next employee message after its start",
    ),
    (
        "later_at",
        Instants,
        SURE,
        "timeout.from = first: the customer's further messages",
    ),
    ("messages", Texts, SURE, "their msgids"),
];

const WAITING_COLUMNS: &[Column] = &[
    CONVERSATION,
    KIND,
    EMPLOYEE,
    ("customer", Text, SURE, "who waits"),
    ("message_id", Text, SURE, "the message that started it"),
    ("started_at", Instant, SURE, "when that was sent"),
    (
        "later_at",
        Instants,
        SURE,
        "timeout.from = first: the customer's further messages",
    ),
    ("messages", Texts, SURE, "their msgids"),
];

/// Names of the tables.
pub const DIALOGUES: &str = "dialogues";
/// See [`DIALOGUES`].
pub const ACTIVITY: &str = "activity";
/// See [`DIALOGUES`].
pub const CALLS: &str = "calls";
/// See [`DIALOGUES`].
pub const TIMERS: &str = "timers";
/// See [`DIALOGUES`].
pub const WAITING: &str = "waiting";
/// See [`DIALOGUES`].
pub const TIMEOUTS: &str = "timeouts";
/// See [`DIALOGUES`].
pub const CONVERSATIONS: &str = "conversations";
/// See [`DIALOGUES`].
pub const SIGHTINGS: &str = "sightings";
/// See [`DIALOGUES`].
pub const BEHAVIOURS: &str = "behaviours";

/// The table called `name`.
///
/// # Panics
/// If there is none: names are the constants of this file.
pub fn table(name: &str) -> &'static Derived {
    TABLES
        .iter()
        .find(|t| t.name == name)
        .expect("derived tables are named by constants")
}
