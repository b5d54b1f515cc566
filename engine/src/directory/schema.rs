//! The directory's tables and their columns: the one list from which reading, storing, SQL and
//! the docs come (contract "Feeds in").

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

use crate::archive::Layout;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnType {
    /// Any text; ids too.
    Text,
    /// One of some words.
    Word(&'static [&'static str]),
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// true or false.
    Boolean,
    /// A list of texts: a JSON array, in CSV joined with `|`.
    TextList,
    /// RFC 3339, Unix seconds or milliseconds.
    Instant,
    /// A calendar day.
    Day,
}

impl ColumnType {
    /// The Arrow type that it is stored as.
    pub fn arrow(self) -> DataType {
        match self {
            Self::Text | Self::Word(_) => DataType::Utf8,
            Self::Integer => DataType::Int64,
            Self::Number => DataType::Float64,
            Self::Boolean => DataType::Boolean,
            Self::TextList => DataType::List(Arc::new(Field::new("element", DataType::Utf8, true))),
            Self::Instant => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Day => DataType::Date32,
        }
    }
}

/// Whether a column is part of the key, must be given, or may be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Rows are upserted by it.
    Key,
    /// Must be given.
    Required,
    /// May be missing.
    Optional,
}

/// One column.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// Its name, as in the contract.
    pub name: &'static str,
    /// What it holds.
    pub kind: ColumnType,
    /// Whether it must be there.
    pub need: Need,
}

/// One table.
#[derive(Debug, Clone, Copy)]
pub struct TableSpec {
    /// Its name, as in the contract.
    pub name: &'static str,
    /// One line about it.
    pub comment: &'static str,
    /// Its columns, in the contract's order.
    pub columns: &'static [Column],
}

impl TableSpec {
    /// The Arrow schema.
    pub fn schema(&self) -> SchemaRef {
        let fields: Vec<Field> = self
            .columns
            .iter()
            .map(|c| Field::new(c.name, c.kind.arrow(), c.need == Need::Optional))
            .collect();
        Arc::new(Schema::new(fields))
    }

    /// How the table is stored.
    pub fn layout(&self) -> Layout {
        Layout {
            schema: self.schema(),
            partition: None,
            statistics: &[],
            unique: &[],
            comment: self.comment,
        }
    }

    /// Positions of the key columns.
    pub fn key(&self) -> Vec<usize> {
        (0..self.columns.len())
            .filter(|i| self.columns[*i].need == Need::Key)
            .collect()
    }
}

/// The table called `name`.
pub fn table(name: &str) -> Option<&'static TableSpec> {
    TABLES.iter().find(|t| t.name == name)
}

const fn key(name: &'static str, kind: ColumnType) -> Column {
    Column {
        name,
        kind,
        need: Need::Key,
    }
}
const fn req(name: &'static str, kind: ColumnType) -> Column {
    Column {
        name,
        kind,
        need: Need::Required,
    }
}
const fn opt(name: &'static str, kind: ColumnType) -> Column {
    Column {
        name,
        kind,
        need: Need::Optional,
    }
}

use ColumnType::{Boolean, Day, Instant, Integer, Number, Text, TextList, Word};

/// All directory tables.
pub const TABLES: &[TableSpec] = &[
    TableSpec {
        name: "departments",
        comment: "departments (部门) as a tree",
        columns: &[
            key("id", Text),
            req("name", Text),
            opt("parent_id", Text),
            opt("order", Integer),
            opt("leaders", TextList),
        ],
    },
    TableSpec {
        name: "employees",
        comment: "employees (员工)",
        columns: &[
            key("userid", Text),
            req("name", Text),
            req("departments", TextList),
            opt("position", Text),
            opt("status", Word(&["active", "inactive", "left"])),
            opt("can_add_external", Boolean),
            opt("left_at", Instant),
        ],
    },
    TableSpec {
        name: "department_members",
        comment: "who was in which department when (部门成员历史)",
        columns: &[
            key("userid", Text),
            key("department_id", Text),
            key("from_time", Instant),
            opt("to_time", Instant),
        ],
    },
    TableSpec {
        name: "stores",
        comment: "stores (门店)",
        columns: &[
            key("store_id", Text),
            req("name", Text),
            opt("code", Text),
            opt("department_id", Text),
            opt("members", TextList),
            opt("groups", TextList),
        ],
    },
    TableSpec {
        name: "customers",
        comment: "customers (客户), WeCom's external contacts",
        columns: &[
            key("external_userid", Text),
            req("name", Text),
            opt("type", Integer),
            opt("gender", Integer),
            opt("corp_name", Text),
            opt("archive_consent", Word(&["agree", "disagree"])),
        ],
    },
    TableSpec {
        name: "relations",
        comment: "which employee follows which customer, from when to when (好友关系)",
        columns: &[
            key("userid", Text),
            key("external_userid", Text),
            key("add_time", Instant),
            opt("add_way", Integer),
            opt("state", Text),
            opt("tags", TextList),
            opt("remark", Text),
            opt("lost_time", Instant),
            opt("lost_by", Word(&["customer", "employee", "employee_left"])),
        ],
    },
    TableSpec {
        name: "groups",
        comment: "group chats (群)",
        columns: &[
            key("chat_id", Text),
            req("name", Text),
            req("owner", Text),
            opt("create_time", Instant),
            opt("dismissed_time", Instant),
            opt("store_id", Text),
        ],
    },
    TableSpec {
        name: "group_roles",
        comment: "owner (群主) and responsible (群负责人) of a group over time",
        columns: &[
            key("chat_id", Text),
            key("role", Word(&["owner", "responsible"])),
            key("from_time", Instant),
            req("userid", Text),
            opt("to_time", Instant),
        ],
    },
    TableSpec {
        name: "group_members",
        comment: "members of groups over time (群成员)",
        columns: &[
            key("chat_id", Text),
            key("member_id", Text),
            key("join_time", Instant),
            req("member_type", Word(&["employee", "customer"])),
            opt("join_scene", Integer),
            opt("invitor", Text),
            opt("leave_time", Instant),
        ],
    },
    TableSpec {
        name: "followups",
        comment: "follow-up records (跟进记录)",
        columns: &[
            key("id", Text),
            req("userid", Text),
            req("target_type", Word(&["customer", "group"])),
            req("target_id", Text),
            req("time", Instant),
            opt("kind", Text),
            opt("text", Text),
        ],
    },
    TableSpec {
        name: "business_records",
        comment: "business records (业务记录)",
        columns: &[
            key("id", Text),
            req("userid", Text),
            req("target_type", Word(&["customer", "group"])),
            req("target_id", Text),
            req("time", Instant),
            opt("template", Text),
        ],
    },
    TableSpec {
        name: "tasks",
        comment: "tasks given to employees (任务)",
        columns: &[
            key("id", Text),
            req("userid", Text),
            req("kind", Word(&["normal", "poster"])),
            req("assigned_time", Instant),
            opt("completed_time", Instant),
        ],
    },
    TableSpec {
        name: "friend_requests",
        comment: "friend requests sent, by employee and day (好友申请)",
        columns: &[key("userid", Text), key("date", Day), req("count", Integer)],
    },
    TableSpec {
        name: "material_events",
        comment: "customers viewing and sharing material (素材浏览、转发)",
        columns: &[
            key("id", Text),
            req("external_userid", Text),
            req("time", Instant),
            req("kind", Word(&["view", "share"])),
            opt("material", Text),
            opt("dwell_seconds", Integer),
        ],
    },
    TableSpec {
        name: "orders",
        comment: "orders (订单)",
        columns: &[
            key("id", Text),
            req("external_userid", Text),
            req("time", Instant),
            opt("amount", Number),
        ],
    },
    TableSpec {
        name: "kf_messages",
        comment: "messages of WeChat customer service sessions (微信客服)",
        columns: &[
            key("session_id", Text),
            key("msgid", Text),
            req("time", Instant),
            req("from_role", Word(&["customer", "servicer"])),
            req("external_userid", Text),
            opt("servicer_userid", Text),
            opt("open_kfid", Text),
            opt("scene", Text),
            req("msgtype", Text),
            opt("text", Text),
        ],
    },
];
