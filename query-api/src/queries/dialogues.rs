//! Dialogues (对话, semantics 3): one row per stretch of a conversation with a customer.

use std::collections::BTreeSet;

use huicun_engine::access::Scope;
use huicun_engine::jobs::Facts;
use huicun_engine::jobs::facts::Dialogue;
use huicun_semantics::dialogue::Side;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::archive::{Archive, AsOf};
use super::error::QuestionError;
use super::page::Place;
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
    let departments: BTreeSet<String> = params
        .departments
        .iter()
        .flat_map(|id| facts.directory.departments_below(id))
        .collect();
    let mut found: Vec<(i64, &str, &Dialogue)> = facts
        .dialogues
        .iter()
        .filter(|d| from_ms.is_none_or(|from| d.started_ms >= from))
        .filter(|d| to_ms.is_none_or(|to| d.started_ms < to))
        .map(|d| (d.started_ms, facts.conversation(d).id.as_str(), d))
        .collect();
    found.sort_by_key(|(at, conversation, d)| (*at, *conversation, d.entries.start));
    let mut items = Vec::new();
    let mut next = None;
    for (at, conversation, dialogue) in found {
        // The first message's seq: what stays the same while other messages arrive.
        let order = facts.archive.entries[dialogue.entries.start].counted.seq;
        if let Some(after) = &after
            && (at, conversation, order) <= (after.first, after.text.as_str(), after.second)
        {
            continue;
        }
        let employees = people(&facts, dialogue, Side::Employee);
        if !is_wanted(scope, &facts, params, &departments, dialogue, &employees) {
            continue;
        }
        if params.limit != 0 && items.len() == params.limit {
            next = items.last().map(|(place, _): &(Place, _)| place.to_token());
            break;
        }
        let place = Place {
            first: at,
            second: order,
            text: conversation.to_string(),
        };
        items.push((place, item(archive, &facts, dialogue, employees)));
    }
    let as_of = archive
        .as_of_period(
            scope,
            facts.messages_version,
            &facts.directory,
            (from_ms, to_ms),
        )
        .await;
    Ok(DialoguePage {
        items: items.into_iter().map(|(_, item)| item).collect(),
        next,
        as_of,
    })
}

/// In a single chat both of the pair always, in a group those who spoke (contract).
fn people(facts: &Facts, dialogue: &Dialogue, side: Side) -> Vec<String> {
    let of_pair = match side {
        Side::Employee => facts.employee_of(dialogue.conversation),
        Side::Customer => facts.customer_of(dialogue.conversation),
    };
    let numbers = match of_pair {
        Some(one) => vec![one],
        None => facts.speakers(dialogue, side),
    };
    let mut names: Vec<String> = numbers
        .into_iter()
        .map(|n| facts.archive.people.name(n).to_string())
        .collect();
    names.sort_unstable();
    names
}

fn is_wanted(
    scope: &Scope,
    facts: &Facts,
    params: &DialogueParams,
    departments: &BTreeSet<String>,
    dialogue: &Dialogue,
    employees: &[String],
) -> bool {
    let is_visible = is_visible(scope, facts, dialogue, employees);
    let by_employee =
        params.employees.is_empty() || employees.iter().any(|id| params.employees.contains(id));
    let by_department = departments.is_empty()
        || employees
            .iter()
            .any(|id| facts.directory.was_in(id, departments, dialogue.started_ms));
    is_visible && by_employee && by_department
}

/// As a message of its conversation: an employee of the pair, or one who spoke or received in the
/// group or was its member, is in scope.
fn is_visible(scope: &Scope, facts: &Facts, dialogue: &Dialogue, employees: &[String]) -> bool {
    let Some(visible) = scope.employees() else {
        return true;
    };
    if employees.iter().any(|id| visible.contains(id)) {
        return true;
    }
    let in_room = facts.archive.room_employees.get(&dialogue.conversation);
    let took_part = in_room
        .into_iter()
        .flatten()
        .any(|id| visible.contains(facts.archive.people.name(*id)));
    took_part || {
        let room = &facts.conversation(dialogue).id;
        visible.iter().any(|id| {
            facts
                .directory
                .memberships_of(id)
                .any(|(chat, interval)| chat == room && interval.contains(dialogue.started_ms))
        })
    }
}

fn item(
    archive: &Archive,
    facts: &Facts,
    dialogue: &Dialogue,
    employees: Vec<String>,
) -> DialogueItem {
    let place = facts.conversation(dialogue);
    DialogueItem {
        dialogue_id: facts.dialogue_id(dialogue),
        conversation: place.id.clone(),
        kind: place.kind.as_str().to_string(),
        started_at: archive.zone().rfc3339_ms(dialogue.started_ms),
        ended_at: archive.zone().rfc3339_ms(dialogue.ended_ms),
        opened_by: dialogue.opened_by.as_str().to_string(),
        customers: people(facts, dialogue, Side::Customer),
        employees,
        employee_messages: dialogue.n_employee,
        customer_messages: dialogue.n_customer,
        first_reply_seconds: dialogue.first_reply_ms().map(|ms| ms as f64 / 1000.0),
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
