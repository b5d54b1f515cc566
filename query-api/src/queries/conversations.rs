//! Conversations (会话) instead of messages: those in which a search finds anything, with how much
//! and when last (manual 7.1.1, 7.1.2, 7.1.4); and what a search finds counted by employee,
//! department, type or day.

use std::cmp::Reverse;
use std::sync::Arc;

use huicun_engine::access::Scope;
use huicun_engine::directory::Directory;
use huicun_indexer::index::{By, Count, Question, SearchIndex, Tallied};
use huicun_semantics::role::Role;
use huicun_semantics::time::Zone;
use serde::Serialize;
use serde_json::{Value, json};

use super::archive::{Archive, AsOf};
use super::error::QuestionError;
use super::page::Place;
use super::search::{SearchParams, question};
use crate::answer::{Column, ColumnKind, Table};

/// One conversation in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ConversationItem {
    /// The room id, or `a|b` with the pair sorted bytewise.
    pub conversation: String,
    /// `single_external`, `single_internal`, `group_external`, `group_internal` or `other`.
    pub kind: String,
    /// The group's name; of a single chat the names of both that the directory knows.
    pub name: Option<String>,
    /// Single chats: the employees of the pair.
    pub employees: Vec<String>,
    /// Single chats: the customers of the pair.
    pub customers: Vec<String>,
    /// How many messages were found in it.
    pub messages: u64,
    /// The last of them, RFC 3339 in the company's zone.
    pub last_at: String,
}

/// A page of conversations, the last contact first.
pub struct ConversationPage {
    /// The conversations.
    pub items: Vec<ConversationItem>,
    /// Exact number of all.
    pub total: u64,
    /// Where the next page begins.
    pub next: Option<String>,
    /// From which versions.
    pub as_of: AsOf,
}

/// Lists the conversations in which the search finds anything.
///
/// # Errors
/// Wrong parameters, an index that cannot be read.
pub async fn conversations(
    scope: &Scope,
    archive: &Archive,
    params: &SearchParams,
) -> Result<ConversationPage, QuestionError> {
    let after = params.cursor.as_deref().map(Place::of_token).transpose()?;
    let asked = Question {
        after: None,
        ..question(
            archive,
            &SearchParams {
                cursor: None,
                ..params.clone()
            },
        )?
    };
    let directory = archive.directory().await?;
    let period = (asked.from_ms, asked.to_ms);
    let zone = archive.zone();
    let Some(index) = archive.search()? else {
        return Ok(ConversationPage {
            items: Vec::new(),
            total: 0,
            next: None,
            as_of: archive.as_of_period(scope, 0, &directory, period).await,
        });
    };
    let kinds = index.kinds(scope, &directory);
    let by = (By::Conversation, zone);
    let tallied = tally(scope, index, &directory, asked, by).await?;
    let total = tallied.groups.len() as u64;
    let mut found: Vec<(Arc<str>, Count)> = tallied.groups.into_iter().collect();
    found.sort_unstable_by(|a, b| key(a).cmp(&key(b)));
    if let Some(place) = &after {
        let place = (Reverse(place.first), place.text.as_str());
        found.retain(|one| key(one) > place);
    }
    let has_more = params.limit > 0 && found.len() > params.limit;
    if has_more {
        found.truncate(params.limit);
    }
    let next = found.last().filter(|_| has_more).map(|(id, count)| {
        Place {
            first: count.last_ms,
            second: 0,
            text: id.to_string(),
        }
        .to_token()
    });
    let version = tallied.messages_version;
    let as_of = archive
        .as_of_period(scope, version, &directory, period)
        .await;
    let items = found.into_iter().map(|(id, count)| {
        let people = id.split_once('|').map(|(a, b)| [a, b]);
        let with_role = |role: Role| {
            let people = people.iter().flatten().copied();
            let those = people.filter(|person| directory.role(person) == role);
            those.map(String::from).collect()
        };
        ConversationItem {
            kind: kinds.of(&id).to_string(),
            name: name(&directory, &id),
            employees: with_role(Role::Employee),
            customers: with_role(Role::Customer),
            messages: count.n_messages,
            last_at: zone.rfc3339_ms(count.last_ms),
            conversation: id.to_string(),
        }
    });
    Ok(ConversationPage {
        items: items.collect(),
        total,
        next,
        as_of,
    })
}

fn key((id, count): &(Arc<str>, Count)) -> (Reverse<i64>, &str) {
    (Reverse(count.last_ms), id)
}

/// How a conversation is called: a group by its name, a pair by the names of both.
fn name(directory: &Directory, conversation: &str) -> Option<String> {
    if let Some((a, b)) = conversation.split_once('|') {
        let names: Vec<&str> = [a, b]
            .into_iter()
            .filter_map(|id| directory.name(id))
            .collect();
        return (!names.is_empty()).then(|| names.join("、"));
    }
    let group = directory.groups.get(directory.ids.get(conversation)?)?;
    group.name.as_deref().map(String::from)
}

/// Runs a tally on a blocking thread.
async fn tally(
    scope: &Scope,
    index: Arc<SearchIndex>,
    directory: &Arc<Directory>,
    asked: Question,
    (by, zone): (By, Zone),
) -> Result<Tallied, QuestionError> {
    let (asker, known) = (scope.clone(), Arc::clone(directory));
    let work = move || index.tally(&asker, &known, &asked, by, zone);
    let tallied = tokio::task::spawn_blocking(work).await;
    Ok(tallied.map_err(|_| QuestionError::Interrupted)??)
}

/// One group of a count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct CountItem {
    /// The id; of days YYYY-MM-DD.
    pub id: String,
    /// Its name, where it has one.
    pub name: Option<String>,
    /// How many messages a search with this filter finds.
    pub messages: u64,
    /// The last of them, RFC 3339 in the company's zone.
    pub last_at: String,
}

/// What a search finds, counted.
pub struct CountList {
    /// The largest first; days in order.
    pub items: Vec<CountItem>,
    /// Exact number of all messages found, each once.
    pub total: u64,
    /// From which versions.
    pub as_of: AsOf,
}

/// Counts what a search finds by `conversation`, `employee`, `department`, `type` or `day`.
///
/// # Errors
/// Wrong parameters, an index that cannot be read.
pub async fn counts(
    scope: &Scope,
    archive: &Archive,
    params: &SearchParams,
    by: &str,
) -> Result<CountList, QuestionError> {
    let by = By::ALL
        .into_iter()
        .find(|(known, _)| *known == by)
        .map(|(_, by)| by)
        .ok_or_else(|| {
            let known = By::ALL.map(|(name, _)| name).join("`, `");
            QuestionError::Parameter(format!("cannot count by `{by}`; expected `{known}`"))
        })?;
    let asked = question(archive, params)?;
    let directory = archive.directory().await?;
    let period = (asked.from_ms, asked.to_ms);
    let zone = archive.zone();
    let tallied = match archive.search()? {
        Some(index) => tally(scope, index, &directory, asked, (by, zone)).await?,
        None => Tallied::default(),
    };
    let version = tallied.messages_version;
    let as_of = archive
        .as_of_period(scope, version, &directory, period)
        .await;
    let mut groups: Vec<(Arc<str>, Count)> = tallied.groups.into_iter().collect();
    if by != By::Day {
        groups.sort_by_key(|(_, count)| Reverse(count.n_messages));
    }
    let called = |id: &str| match by {
        By::Conversation => name(&directory, id),
        By::Employee => directory.name(id).map(String::from),
        By::Department => directory.departments.get(id).map(|(name, _)| name.clone()),
        By::Type | By::Day => None,
    };
    let items = groups.into_iter().map(|(id, count)| CountItem {
        name: called(&id),
        messages: count.n_messages,
        last_at: zone.rfc3339_ms(count.last_ms),
        id: id.to_string(),
    });
    Ok(CountList {
        items: items.collect(),
        total: tallied.n_total,
        as_of,
    })
}

impl ConversationPage {
    /// The page as columns and rows.
    pub fn into_table(self) -> Table {
        let columns = vec![
            Column::new("conversation", "会话", "Conversation", ColumnKind::Text),
            Column::new("kind", "会话类型", "Kind", ColumnKind::Text),
            Column::new("name", "名称", "Name", ColumnKind::Text),
            Column::new("employees", "员工", "Employees", ColumnKind::TextList),
            Column::new("customers", "客户", "Customers", ColumnKind::TextList),
            Column::new("messages", "消息数", "Messages", ColumnKind::Integer),
            Column::new("last_at", "最近一条", "Last message", ColumnKind::Instant),
        ];
        let row = |item: ConversationItem| -> Vec<Value> {
            vec![
                json!(item.conversation),
                json!(item.kind),
                json!(item.name),
                json!(item.employees),
                json!(item.customers),
                json!(item.messages),
                json!(item.last_at),
            ]
        };
        Table {
            columns,
            rows: self.items.into_iter().map(row).collect(),
        }
    }
}

impl CountList {
    /// The list as columns and rows.
    pub fn into_table(self) -> Table {
        let columns = vec![
            Column::new("id", "ID", "Id", ColumnKind::Text),
            Column::new("name", "名称", "Name", ColumnKind::Text),
            Column::new("messages", "消息数", "Messages", ColumnKind::Integer),
            Column::new("last_at", "最近一条", "Last message", ColumnKind::Instant),
        ];
        let row = |item: CountItem| -> Vec<Value> {
            vec![
                json!(item.id),
                json!(item.name),
                json!(item.messages),
                json!(item.last_at),
            ]
        };
        Table {
            columns,
            rows: self.items.into_iter().map(row).collect(),
        }
    }
}
