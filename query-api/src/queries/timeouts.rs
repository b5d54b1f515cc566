//! Timeouts (超时回复, semantics 5, manual 7.2): one row per customer who was not answered in time.
//!
//! The text of the message that a row shows is told to whom that message is visible; a colleague
//! who joined the group between it and the timeout sees the timeout without it.

use arrow::array::{
    Array, Int64Array, ListArray, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use huicun_engine::access::Scope;
use huicun_engine::directory::Directory;
use huicun_engine::jobs::derive::columns::{
    instant, instants_of, integer, list, maybe_ms, maybe_text, text, texts_of,
};
use huicun_engine::jobs::derive::schema::TIMEOUTS;
use huicun_engine::jobs::texts::texts_by_id;
use huicun_semantics::conversation::Kind;
use huicun_semantics::role::Role;
use huicun_semantics::time::Zone;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::archive::{Archive, AsOf, now_ms};
use super::error::QuestionError;
use super::page::{Place, page};
use super::wanted::Wanted;
use crate::answer::{Column, ColumnKind, Table};

/// What is asked.
#[derive(Debug, Clone, Default)]
pub struct TimeoutParams {
    /// First day, of those on which level 1 fired.
    pub from: Option<String>,
    /// Last day.
    pub to: Option<String>,
    /// That name one of these employees.
    pub employees: Vec<String>,
    /// That name an employee who was in one of these departments or below when level 1 fired.
    pub departments: Vec<String>,
    /// Rows of a page; 0 is all.
    pub limit: usize,
    /// The token of the page before.
    pub cursor: Option<String>,
}

/// One timeout in a list. No `Debug`: it holds a message's text.
#[derive(Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TimeoutItem {
    /// The room id, or `a|b`.
    pub conversation: String,
    /// `single_external` or `group_external`.
    pub kind: String,
    /// Whose message was not answered in time.
    pub customer: String,
    /// In a single chat the employee, in a group its employee members when level 1 fired.
    pub employees: Vec<String>,
    /// The customer's message that it shows.
    pub message_id: String,
    /// When that was sent, RFC 3339 in the company's zone.
    pub last_message_at: String,
    /// When level 1 was reached.
    pub fired_at: String,
    /// The highest level reached so far.
    pub level: usize,
    /// The next employee message; null while it is open.
    pub answered_at: Option<String>,
    /// Seconds from the timer's start to the answer, wall time.
    pub waited_seconds: Option<f64>,
    /// The same in the working time of the rule's calendar; null without one.
    pub waited_working_seconds: Option<f64>,
    /// The text of the message; null for a caller who may not see that message.
    pub message_text: Option<String>,
    /// When each level was reached.
    pub level_at: Vec<String>,
    /// The reply rule that governed.
    pub rule: String,
    /// The group's name, as it is now; null in a single chat, as all that follows.
    pub group_name: Option<String>,
    /// The group's owner when level 1 fired.
    pub owner: Option<String>,
    /// The employee responsible for the group then.
    pub responsible: Option<String>,
    /// How many employees were members of the group then; null where its members are not known.
    pub group_employees: Option<usize>,
    /// How many members the group had then, employees included.
    pub group_members: Option<usize>,
}

/// A page of timeouts.
pub struct TimeoutPage {
    /// The timeouts, by time, conversation, customer.
    pub items: Vec<TimeoutItem>,
    /// Where the next page begins.
    pub next: Option<String>,
    /// From which versions.
    pub as_of: AsOf,
}

/// Lists the timeouts that fired in a period.
pub async fn timeouts(
    scope: &Scope,
    archive: &Archive,
    params: &TimeoutParams,
) -> Result<TimeoutPage, QuestionError> {
    let (from_ms, to_ms) = archive.instants(params.from.as_deref(), params.to.as_deref())?;
    let after = params.cursor.as_deref().map(Place::of_token).transpose()?;
    let facts = archive.facts().await?;
    let wanted = Wanted::new(scope, &facts, &params.employees, &params.departments).await?;
    let (zone, now_ms) = (archive.zone(), now_ms());
    let first_day = after.as_ref().map_or(from_ms, |place| Some(place.first));
    let first_day = first_day.map(|ms| zone.day_of(ms));
    let last_day = zone.day_of(to_ms.map_or(now_ms, |ms| (ms - 1).min(now_ms)));
    let is_day =
        |day: chrono::NaiveDate| first_day.is_none_or(|first| day >= first) && day <= last_day;
    let batches = facts.snapshot.rows(TIMEOUTS, is_day).await?;
    let batches: Vec<Rows<'_>> = batches.iter().map(Rows::of).collect();
    let rows = batches
        .iter()
        .flat_map(|rows| (0..rows.fired.len()).map(move |row| (rows.place(row), (rows, row))))
        .filter(|(place, _)| place.first <= now_ms);
    let (mut shown, next) = page(after.as_ref(), params.limit, rows, |place, (rows, row)| {
        let item = rows.item(row, &facts.directory, zone, now_ms);
        let is_kept = wanted.keeps(&item.conversation, place.first, &item.employees);
        is_kept.then(|| Shown {
            shown_ms: rows.shown[row] / 1000,
            item,
        })
    });
    add_texts(archive, &wanted, &mut shown).await?;
    let as_of = archive
        .as_of_period(
            scope,
            facts.messages_version,
            &facts.directory,
            (from_ms, to_ms),
        )
        .await;
    Ok(TimeoutPage {
        items: shown.into_iter().map(|shown| shown.item).collect(),
        next,
        as_of,
    })
}

/// A row of the page, and when the message that it shows was sent, UTC milliseconds.
struct Shown {
    item: TimeoutItem,
    shown_ms: i64,
}

/// Adds the texts of visible messages, all in one read.
async fn add_texts(
    archive: &Archive,
    wanted: &Wanted<'_>,
    shown: &mut [Shown],
) -> Result<(), QuestionError> {
    let is_visible = |Shown { item, shown_ms }: &Shown| {
        // Those whom a timeout of a group names were there when it fired, not when it was said.
        let named: &[String] = match item.kind == Kind::SingleExternal.as_str() {
            true => &item.employees,
            false => &[],
        };
        wanted.sees(&item.conversation, *shown_ms, named)
    };
    let visible: Vec<bool> = shown.iter().map(is_visible).collect();
    let asked = shown.iter().zip(&visible).filter(|(_, visible)| **visible);
    let asked: Vec<(&str, i64)> = asked
        .map(|(shown, _)| (shown.item.message_id.as_str(), shown.shown_ms))
        .collect();
    let texts = texts_by_id(archive.home(), &asked).await?;
    for (shown, _) in shown
        .iter_mut()
        .zip(visible)
        .filter(|(_, visible)| *visible)
    {
        // One message may have several timeouts: it went to several employees.
        shown.item.message_text = texts.get(&shown.item.message_id).cloned();
    }
    Ok(())
}

/// What the directory says of the group of a timeout when it fired.
#[derive(Default)]
struct GroupThen {
    name: Option<String>,
    owner: Option<String>,
    n_employees: Option<usize>,
    n_members: Option<usize>,
}

impl GroupThen {
    fn of(directory: &Directory, chat: &str, fired_ms: i64) -> Self {
        let group = directory
            .ids
            .get(chat)
            .and_then(|n| directory.groups.get(n));
        let Some(group) = group else {
            return Self::default();
        };
        let is_known = !directory.groups.of_chat(group.chat).is_empty();
        let members = || directory.groups.members_at(group.chat, fired_ms);
        let employees = || members().filter(|member| member.role == Role::Employee);
        Self {
            name: group.name.as_deref().map(String::from),
            owner: directory.owner_at(chat, fired_ms).map(String::from),
            n_employees: is_known.then(|| employees().count()),
            n_members: is_known.then(|| members().count()),
        }
    }
}

/// The columns of a batch of timeouts.
struct Rows<'a> {
    conversation: &'a StringArray,
    kind: &'a StringArray,
    customer: &'a StringArray,
    employees: &'a ListArray,
    responsible: &'a StringArray,
    rule: &'a StringArray,
    timer: &'a [i64],
    timer_message: &'a StringArray,
    message: &'a StringArray,
    shown: &'a [i64],
    fired: &'a [i64],
    level_at: &'a ListArray,
    answered: &'a TimestampMicrosecondArray,
    working: &'a Int64Array,
}

impl<'a> Rows<'a> {
    fn of(batch: &'a RecordBatch) -> Self {
        Self {
            conversation: text(batch, "conversation"),
            kind: text(batch, "kind"),
            customer: text(batch, "customer"),
            employees: list(batch, "employees"),
            responsible: text(batch, "responsible"),
            rule: text(batch, "rule"),
            timer: instant(batch, "timer_at").values(),
            timer_message: text(batch, "timer_message_id"),
            message: text(batch, "message_id"),
            shown: instant(batch, "last_message_at").values(),
            fired: instant(batch, "fired_at").values(),
            level_at: list(batch, "level_at"),
            answered: instant(batch, "answered_at"),
            working: integer(batch, "waited_working_ms"),
        }
    }

    /// Where a row stands: by time, conversation, customer, and the message that started the timer.
    fn place(&self, row: usize) -> Place {
        Place {
            first: self.fired[row] / 1000,
            second: 0,
            text: [
                self.conversation.value(row),
                self.customer.value(row),
                self.timer_message.value(row),
            ]
            .join("\0"),
        }
    }

    fn item(&self, row: usize, directory: &Directory, zone: Zone, now_ms: i64) -> TimeoutItem {
        let reached = instants_of(self.level_at, row).iter().map(|us| us / 1000);
        let level_at: Vec<String> = reached
            .filter(|ms| *ms <= now_ms)
            .map(|ms| zone.rfc3339_ms(ms))
            .collect();
        let answered = maybe_ms(self.answered, row);
        let seconds = |ms: i64| ms as f64 / 1000.0;
        let group = match self.kind.value(row) == Kind::GroupExternal.as_str() {
            true => GroupThen::of(
                directory,
                self.conversation.value(row),
                self.fired[row] / 1000,
            ),
            false => GroupThen::default(),
        };
        TimeoutItem {
            conversation: self.conversation.value(row).to_string(),
            kind: self.kind.value(row).to_string(),
            customer: self.customer.value(row).to_string(),
            employees: texts_of(self.employees, row).map(String::from).collect(),
            message_id: self.message.value(row).to_string(),
            last_message_at: zone.rfc3339_ms(self.shown[row] / 1000),
            fired_at: zone.rfc3339_ms(self.fired[row] / 1000),
            level: level_at.len(),
            level_at,
            rule: self.rule.value(row).to_string(),
            responsible: maybe_text(self.responsible, row).map(String::from),
            answered_at: answered.map(|ms| zone.rfc3339_ms(ms)),
            waited_seconds: answered.map(|ms| seconds(ms - self.timer[row] / 1000)),
            waited_working_seconds: self
                .working
                .is_valid(row)
                .then(|| seconds(self.working.value(row))),
            message_text: None,
            group_name: group.name,
            owner: group.owner,
            group_employees: group.n_employees,
            group_members: group.n_members,
        }
    }
}

impl TimeoutPage {
    /// The page as columns and rows.
    pub fn into_table(self) -> Table {
        let column = Column::new;
        let columns = vec![
            column("conversation", "会话", "Conversation", ColumnKind::Text),
            column("kind", "会话类型", "Kind", ColumnKind::Text),
            column("customer", "客户", "Customer", ColumnKind::Text),
            column("employees", "员工", "Employees", ColumnKind::TextList),
            column("message_id", "消息 ID", "Message", ColumnKind::Text),
            column(
                "last_message_at",
                "客户消息时间",
                "Message sent",
                ColumnKind::Instant,
            ),
            column("fired_at", "超时时间", "Fired", ColumnKind::Instant),
            column("level", "超时级别", "Level", ColumnKind::Integer),
            column("answered_at", "回复时间", "Answered", ColumnKind::Instant),
            column("waited_seconds", "等待时长", "Waited", ColumnKind::Seconds),
            column(
                "waited_working_seconds",
                "工作时间等待时长",
                "Waited (working time)",
                ColumnKind::Seconds,
            ),
            column("message_text", "消息内容", "Text", ColumnKind::Text),
            column(
                "level_at",
                "各级超时时间",
                "Levels reached",
                ColumnKind::TextList,
            ),
            column("rule", "规则", "Rule", ColumnKind::Text),
            column("group_name", "群名", "Group", ColumnKind::Text),
            column("owner", "群主", "Owner", ColumnKind::Text),
            column("responsible", "群负责人", "Responsible", ColumnKind::Text),
            column(
                "group_employees",
                "群内员工数",
                "Employees in the group",
                ColumnKind::Integer,
            ),
            column(
                "group_members",
                "群成员数",
                "Members of the group",
                ColumnKind::Integer,
            ),
        ];
        let row = |item: TimeoutItem| -> Vec<Value> {
            vec![
                json!(item.conversation),
                json!(item.kind),
                json!(item.customer),
                json!(item.employees),
                json!(item.message_id),
                json!(item.last_message_at),
                json!(item.fired_at),
                json!(item.level),
                json!(item.answered_at),
                json!(item.waited_seconds),
                json!(item.waited_working_seconds),
                json!(item.message_text),
                json!(item.level_at),
                json!(item.rule),
                json!(item.group_name),
                json!(item.owner),
                json!(item.responsible),
                json!(item.group_employees),
                json!(item.group_members),
            ]
        };
        Table {
            columns,
            rows: self.items.into_iter().map(row).collect(),
        }
    }
}
