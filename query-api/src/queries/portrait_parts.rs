//! A portrait as tables: the whole as one row that holds its parts, and each part as rows of its
//! own, for formats that have no room for rows within rows.

use serde_json::{Value, json};

use super::portrait::{MemberItem, PortraitItem};
use crate::answer::{Column, ColumnKind, Table};

/// A part of a portrait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The group itself.
    Group,
    /// Day by day.
    Days,
    /// Words of customers' texts.
    Keywords,
    /// Tags of customers.
    Tags,
    /// Members at the end.
    Members,
    /// Those who left.
    Left,
}

impl Part {
    /// All, in the order in which they are shown.
    pub const ALL: [Self; 6] = [
        Self::Group,
        Self::Days,
        Self::Keywords,
        Self::Tags,
        Self::Members,
        Self::Left,
    ];

    /// Its title in Chinese and in English.
    pub fn titles(self) -> (&'static str, &'static str) {
        match self {
            Self::Group => ("群概况", "Group"),
            Self::Days => ("每日趋势", "Days"),
            Self::Keywords => ("沟通关键词", "Keywords"),
            Self::Tags => ("客户标签", "Tags"),
            Self::Members => ("群成员", "Members"),
            Self::Left => ("退群人员", "Left"),
        }
    }
}

type Spec = (&'static str, &'static str, &'static str, ColumnKind);

fn table(specs: &[Spec], rows: Vec<Vec<Value>>) -> Table {
    let columns = specs
        .iter()
        .map(|(key, zh, en, kind)| Column::new(key, zh, en, *kind));
    Table {
        columns: columns.collect(),
        rows,
    }
}

use ColumnKind::{Instant, Integer, Json, Text, TextList};

const GROUP: [Spec; 10] = [
    ("chat_id", "群 ID", "Group", Text),
    ("name", "群名", "Name", Text),
    ("owner", "群主", "Owner", Text),
    ("responsible", "群负责人", "Responsible", Text),
    ("created_at", "创建时间", "Created", Instant),
    ("dismissed_at", "解散时间", "Dismissed", Instant),
    ("from", "开始日期", "From", Text),
    ("to", "结束日期", "To", Text),
    ("members_total", "群成员数", "Members", Integer),
    ("customers_total", "客户数", "Customers", Integer),
];

const PARTS: [Spec; 5] = [
    ("days", "每日趋势", "Days", Json),
    ("keywords", "沟通关键词", "Keywords", Json),
    ("tags", "客户标签", "Tags", Json),
    ("members", "群成员", "Members", Json),
    ("left", "退群人员", "Left", Json),
];

const DAYS: [Spec; 6] = [
    ("day", "日期", "Day", Text),
    (
        "employee_messages",
        "员工消息数",
        "Employee messages",
        Integer,
    ),
    (
        "customer_messages",
        "客户消息数",
        "Customer messages",
        Integer,
    ),
    (
        "customers_joined",
        "入群客户数",
        "Customers joined",
        Integer,
    ),
    ("customers_left", "退群客户数", "Customers left", Integer),
    (
        "customers_present",
        "群内客户数",
        "Customers present",
        Integer,
    ),
];

const KEYWORDS: [Spec; 2] = [
    ("word", "关键词", "Word", Text),
    ("count", "次数", "Count", Integer),
];

const TAGS: [Spec; 2] = [
    ("tag", "标签", "Tag", Text),
    ("customers", "客户数", "Customers", Integer),
];

const MEMBERS: [Spec; 10] = [
    ("member_id", "成员 ID", "Member", Text),
    ("name", "姓名", "Name", Text),
    ("role", "角色", "Role", Text),
    ("tags", "标签", "Tags", TextList),
    ("last_contact_at", "最近沟通时间", "Last contact", Instant),
    ("join_scene", "入群方式", "Join way", Integer),
    ("invitor", "邀请人", "Invited by", Text),
    ("joined_at", "入群时间", "Joined", Instant),
    ("left_at", "退群时间", "Left", Instant),
    (
        "messages_last_day",
        "当日消息数",
        "Messages on the last day",
        Integer,
    ),
];

impl PortraitItem {
    /// One row that holds everything.
    pub fn whole(&self) -> Table {
        let specs: Vec<Spec> = GROUP.into_iter().chain(PARTS).collect();
        let mut row = self.group_row();
        row.extend([
            json!(self.days),
            json!(self.keywords),
            json!(self.tags),
            json!(self.members),
            json!(self.left),
        ]);
        table(&specs, vec![row])
    }

    /// The rows of one part.
    pub fn part(&self, part: Part) -> Table {
        match part {
            Part::Group => table(&GROUP, vec![self.group_row()]),
            Part::Days => table(&DAYS, self.day_rows()),
            Part::Keywords => {
                let rows = self.keywords.iter();
                let rows = rows.map(|word| vec![json!(word.word), json!(word.count)]);
                table(&KEYWORDS, rows.collect())
            }
            Part::Tags => {
                let rows = self.tags.iter();
                let rows = rows.map(|tag| vec![json!(tag.tag), json!(tag.customers)]);
                table(&TAGS, rows.collect())
            }
            Part::Members => table(&MEMBERS, self.members.iter().map(member_row).collect()),
            Part::Left => table(&MEMBERS, self.left.iter().map(member_row).collect()),
        }
    }

    fn group_row(&self) -> Vec<Value> {
        vec![
            json!(self.chat_id),
            json!(self.name),
            json!(self.owner),
            json!(self.responsible),
            json!(self.created_at),
            json!(self.dismissed_at),
            json!(self.from),
            json!(self.to),
            json!(self.members_total),
            json!(self.customers_total),
        ]
    }

    fn day_rows(&self) -> Vec<Vec<Value>> {
        let rows = self.days.iter().map(|day| {
            vec![
                json!(day.day),
                json!(day.employee_messages),
                json!(day.customer_messages),
                json!(day.customers_joined),
                json!(day.customers_left),
                json!(day.customers_present),
            ]
        });
        rows.collect()
    }
}

fn member_row(member: &MemberItem) -> Vec<Value> {
    vec![
        json!(member.member_id),
        json!(member.name),
        json!(member.role),
        json!(member.tags),
        json!(member.last_contact_at),
        json!(member.join_scene),
        json!(member.invitor),
        json!(member.joined_at),
        json!(member.left_at),
        json!(member.messages_last_day),
    ]
}
