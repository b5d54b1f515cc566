//! Search over all messages (manual 7.1.5): exact literals, filters, newest first.

use std::sync::Arc;

use huicun_engine::access::Scope;
use huicun_indexer::index::search::tie;
use huicun_indexer::index::{After, Order, Query, Question};
use huicun_semantics::conversation::Kind;

use super::archive::{Archive, AsOf};
use super::error::QuestionError;
use super::messages::{MessageItem, columns};
use super::page::Place;
use crate::answer::Table;

/// What is asked; the fields are the flags and query parameters.
#[derive(Debug, Clone, Default)]
pub struct SearchParams {
    /// The query; empty for every message.
    pub q: String,
    /// First day.
    pub from: Option<String>,
    /// Last day.
    pub to: Option<String>,
    /// One of these employees takes part in the conversation.
    pub employees: Vec<String>,
    /// One of these customers takes part in the conversation.
    pub customers: Vec<String>,
    /// An employee of one of these departments (or below) takes part.
    pub departments: Vec<String>,
    /// In one of these rooms.
    pub rooms: Vec<String>,
    /// Of one of these types.
    pub types: Vec<String>,
    /// In a conversation of one of these kinds.
    pub kinds: Vec<String>,
    /// Messages of a page; 0 is all.
    pub limit: usize,
    /// The token of the page before.
    pub cursor: Option<String>,
}

/// A page of messages.
pub struct MessagePage {
    /// The messages.
    pub items: Vec<MessageItem>,
    /// Exact number of all matches.
    pub total: u64,
    /// Where the next page begins; `None` at the end.
    pub next: Option<String>,
    /// From which versions.
    pub as_of: AsOf,
}

impl MessagePage {
    /// The page as columns and rows.
    pub fn into_table(self, is_highlighted: bool) -> Table {
        Table {
            columns: columns(is_highlighted),
            rows: self.items.into_iter().map(MessageItem::row).collect(),
        }
    }
}

/// Finds messages.
pub async fn search(
    scope: &Scope,
    archive: &Archive,
    params: &SearchParams,
) -> Result<MessagePage, QuestionError> {
    let (from_ms, to_ms) = archive.instants(params.from.as_deref(), params.to.as_deref())?;
    let kinds: Result<Vec<Kind>, _> = params.kinds.iter().map(|k| k.parse::<Kind>()).collect();
    let question = Question {
        query: Query::parse(&params.q)?,
        from_ms,
        to_ms,
        employees: params.employees.clone(),
        customers: params.customers.clone(),
        departments: params.departments.clone(),
        rooms: params.rooms.clone(),
        conversation: None,
        types: params.types.clone(),
        kinds: kinds.map_err(|e| QuestionError::Parameter(e.to_string()))?,
        limit: params.limit,
        after: params.cursor.as_deref().map(after).transpose()?,
        order: Order::NewestFirst,
    };
    ask(scope, archive, question, true).await
}

pub(super) fn after(token: &str) -> Result<After, QuestionError> {
    let place = Place::of_token(token)?;
    let tie = place.text.parse().map_err(|_| Place::unknown())?;
    Ok(After {
        at_ms: place.first,
        seq: place.second,
        tie,
    })
}

/// Runs a question on a blocking thread and shows its hits.
pub(super) async fn ask(
    scope: &Scope,
    archive: &Archive,
    question: Question,
    is_highlighted: bool,
) -> Result<MessagePage, QuestionError> {
    let directory = archive.directory().await?;
    let period = (question.from_ms, question.to_ms);
    let Some(index) = archive.search()? else {
        return Ok(MessagePage {
            items: Vec::new(),
            total: 0,
            next: None,
            as_of: archive.as_of_period(scope, 0, &directory, period).await,
        });
    };
    let (asker, known) = (scope.clone(), Arc::clone(&directory));
    let found = tokio::task::spawn_blocking(move || index.search(&asker, &known, &question))
        .await
        .map_err(|_| QuestionError::Interrupted)??;
    let next = found.hits.last().filter(|_| found.has_more).map(|last| {
        Place {
            first: last.message.at,
            second: last.message.seq,
            text: tie(&last.message.source, &last.message.msgid).to_string(),
        }
        .to_token()
    });
    let zone = archive.zone();
    let as_of = archive
        .as_of_period(scope, found.messages_version, &directory, period)
        .await;
    Ok(MessagePage {
        items: found
            .hits
            .into_iter()
            .map(|hit| MessageItem::of_hit(hit, zone, is_highlighted))
            .collect(),
        total: found.n_total,
        next,
        as_of,
    })
}
