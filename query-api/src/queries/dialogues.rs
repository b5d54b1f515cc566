//! Dialogues (对话, semantics 3): one row per stretch of a conversation with a customer.

use arrow::array::{Array, Int64Array, ListArray, RecordBatch, StringArray};
use huicun_engine::access::Scope;
use huicun_engine::jobs::derive::columns::{instant, integer, list, text, texts_of};
use huicun_engine::jobs::derive::schema::DIALOGUES;
use huicun_semantics::time::Zone;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::archive::{Archive, AsOf};
use super::error::QuestionError;
use super::page::{Place, page};
use super::wanted::Wanted;
use crate::answer::{Column, ColumnKind, Table};

/// What is asked.
#[derive(Debug, Clone, Default)]
pub struct DialogueParams {
    /// First day.
    pub from: Option<String>,
    /// Last day.
    pub to: Option<String>,
    /// With one of these employees.
    pub employees: Vec<String>,
    /// With an employee who was then in one of these departments or below.
    pub departments: Vec<String>,
    /// Rows of a page; 0 is all.
    pub limit: usize,
    /// The token of the page before.
    pub cursor: Option<String>,
}

/// One dialogue in a list.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DialogueItem {
    /// Stable and unique.
    pub dialogue_id: String,
    /// The room id, or `a|b`.
    pub conversation: String,
    /// `single_external` or `group_external`.
    pub kind: String,
    /// First message, RFC 3339 in the company's zone.
    pub started_at: String,
    /// Last message.
    pub ended_at: String,
    /// `employee` or `customer`.
    pub opened_by: String,
    /// In a single chat the employee, in a group those who spoke.
    pub employees: Vec<String>,
    /// In a single chat the customer, in a group those who spoke.
    pub customers: Vec<String>,
    /// Messages of employees.
    pub employee_messages: u32,
    /// Messages of customers.
    pub customer_messages: u32,
    /// Seconds from the first turn that has a reply to that reply, whichever employee's.
    pub first_reply_seconds: Option<f64>,
}

/// A page of dialogues.
pub struct DialoguePage {
    /// The dialogues, by start.
    pub items: Vec<DialogueItem>,
    /// Where the next page begins.
    pub next: Option<String>,
    /// From which versions.
    pub as_of: AsOf,
}

/// Lists the dialogues that started in a period.
pub async fn dialogues(
    scope: &Scope,
    archive: &Archive,
    params: &DialogueParams,
) -> Result<DialoguePage, QuestionError> {
    let (from_ms, to_ms) = archive.instants(params.from.as_deref(), params.to.as_deref())?;
    let after = params.cursor.as_deref().map(Place::of_token).transpose()?;
    let facts = archive.facts().await?;
    let wanted = Wanted::new(scope, &facts, &params.employees, &params.departments).await?;
    let zone = archive.zone();
    // Rows are in order within a day, and days in order.
    let from_ms_wanted = after.as_ref().map_or(from_ms, |place| Some(place.first));
    let (from_day, to_day) = (
        from_ms_wanted.map(|ms| zone.day_of(ms)),
        to_ms.map(|ms| zone.day_of(ms - 1)),
    );
    let is_wanted_day = |day: chrono::NaiveDate| {
        from_day.is_none_or(|from| day >= from) && to_day.is_none_or(|to| day <= to)
    };
    let batches = facts.snapshot.rows(DIALOGUES, is_wanted_day).await?;
    let batches: Vec<Rows<'_>> = batches.iter().map(Rows::of).collect();
    let rows = batches
        .iter()
        .flat_map(|rows| (0..rows.started.len()).map(move |row| (rows.place(row), (rows, row))));
    let (items, next) = page(after.as_ref(), params.limit, rows, |place, (rows, row)| {
        let item = rows.item(row, zone);
        // Of a room that is seen in part, one that went on later tells of what was said then.
        let ended_ms = rows.ended[row] / 1000;
        let is_kept = wanted.keeps(&item.conversation, place.first, &item.employees)
            && wanted.sees(&item.conversation, ended_ms, &item.employees);
        is_kept.then_some(item)
    });
    let as_of = archive
        .as_of_period(
            scope,
            facts.messages_version,
            &facts.directory,
            (from_ms, to_ms),
        )
        .await;
    Ok(DialoguePage { items, next, as_of })
}

/// The columns of a batch of dialogues.
struct Rows<'a> {
    id: &'a StringArray,
    conversation: &'a StringArray,
    kind: &'a StringArray,
    started: &'a [i64],
    ended: &'a [i64],
    first_seq: &'a [i64],
    opened_by: &'a StringArray,
    employees: &'a ListArray,
    customers: &'a ListArray,
    n_employee: &'a [i64],
    n_customer: &'a [i64],
    first_reply: &'a Int64Array,
}

impl<'a> Rows<'a> {
    fn of(batch: &'a RecordBatch) -> Self {
        Self {
            id: text(batch, "dialogue_id"),
            conversation: text(batch, "conversation"),
            kind: text(batch, "kind"),
            started: instant(batch, "started_at").values(),
            ended: instant(batch, "ended_at").values(),
            first_seq: integer(batch, "first_seq").values(),
            opened_by: text(batch, "opened_by"),
            employees: list(batch, "employees"),
            customers: list(batch, "customers"),
            n_employee: integer(batch, "employee_messages").values(),
            n_customer: integer(batch, "customer_messages").values(),
            first_reply: integer(batch, "first_reply_ms"),
        }
    }

    /// Where a row stands. The first message's seq stays the same while other messages arrive.
    fn place(&self, row: usize) -> Place {
        Place {
            first: self.started[row] / 1000,
            second: self.first_seq[row],
            text: self.conversation.value(row).to_string(),
        }
    }

    fn item(&self, row: usize, zone: Zone) -> DialogueItem {
        let people = |list| texts_of(list, row).map(String::from).collect();
        let first_reply = self
            .first_reply
            .is_valid(row)
            .then(|| self.first_reply.value(row));
        DialogueItem {
            dialogue_id: self.id.value(row).to_string(),
            conversation: self.conversation.value(row).to_string(),
            kind: self.kind.value(row).to_string(),
            started_at: zone.rfc3339_ms(self.started[row] / 1000),
            ended_at: zone.rfc3339_ms(self.ended[row] / 1000),
            opened_by: self.opened_by.value(row).to_string(),
            employees: people(self.employees),
            customers: people(self.customers),
            employee_messages: self.n_employee[row] as u32,
            customer_messages: self.n_customer[row] as u32,
            first_reply_seconds: first_reply.map(|ms| ms as f64 / 1000.0),
        }
    }
}

impl DialoguePage {
    /// The page as columns and rows.
    pub fn into_table(self) -> Table {
        let column = Column::new;
        let columns = vec![
            column("dialogue_id", "对话 ID", "Dialogue", ColumnKind::Text),
            column("conversation", "会话", "Conversation", ColumnKind::Text),
            column("kind", "会话类型", "Kind", ColumnKind::Text),
            column("started_at", "开始时间", "Started", ColumnKind::Instant),
            column("ended_at", "结束时间", "Ended", ColumnKind::Instant),
            column("opened_by", "发起方", "Opened by", ColumnKind::Text),
            column("employees", "员工", "Employees", ColumnKind::TextList),
            column("customers", "客户", "Customers", ColumnKind::TextList),
            column(
                "employee_messages",
                "员工消息数",
                "Employee messages",
                ColumnKind::Integer,
            ),
            column(
                "customer_messages",
                "客户消息数",
                "Customer messages",
                ColumnKind::Integer,
            ),
            column(
                "first_reply_seconds",
                "首次回复时长",
                "First reply",
                ColumnKind::Seconds,
            ),
        ];
        let rows = self.items.into_iter().map(row).collect();
        Table { columns, rows }
    }
}

fn row(item: DialogueItem) -> Vec<Value> {
    vec![
        json!(item.dialogue_id),
        json!(item.conversation),
        json!(item.kind),
        json!(item.started_at),
        json!(item.ended_at),
        json!(item.opened_by),
        json!(item.employees),
        json!(item.customers),
        json!(item.employee_messages),
        json!(item.customer_messages),
        json!(item.first_reply_seconds),
    ]
}
