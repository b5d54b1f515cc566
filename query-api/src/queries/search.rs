//! Search over all messages (manual 7.1.5): exact literals, filters, newest first.

use std::sync::Arc;

use chrono::NaiveDate;
use huicun_engine::access::Scope;
use huicun_indexer::index::{After, Order, Query, Question};
use huicun_semantics::conversation::Kind;
use huicun_semantics::time::{Period, Zone};

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
    /// `newest` (if missing) or `relevance`.
    pub order: Option<String>,
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
    /// Where the page before ends, for a conversation that is read from its middle; `None` at its
    /// beginning.
    pub previous: Option<String>,
    /// Whether hits tell where the literals stand in them.
    pub is_highlighted: bool,
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
    ask(scope, archive, question(archive, params)?, true).await
}

/// The parameters as the index is asked.
pub(crate) fn question(
    archive: &Archive,
    params: &SearchParams,
) -> Result<Question, QuestionError> {
    let (from_ms, to_ms) = archive.instants(params.from.as_deref(), params.to.as_deref())?;
    let kinds: Result<Vec<Kind>, _> = params.kinds.iter().map(|k| k.parse::<Kind>()).collect();
    let query = Query::parse(&params.q)?;
    let (from_ms, to_ms) = within_days(archive.zone(), &query, from_ms, to_ms);
    Ok(Question {
        query,
        from_ms,
        to_ms,
        employees: params.employees.clone(),
        customers: params.customers.clone(),
        departments: params.departments.clone(),
        rooms: params.rooms.clone(),
        conversation: None,
        seq: None,
        types: params.types.clone(),
        kinds: kinds.map_err(|e| QuestionError::Parameter(e.to_string()))?,
        limit: params.limit,
        after: params.cursor.as_deref().map(after).transpose()?,
        order: order(params.order.as_deref())?,
    })
}

fn order(name: Option<&str>) -> Result<Order, QuestionError> {
    match name {
        None | Some("newest") => Ok(Order::NewestFirst),
        Some("relevance") => Ok(Order::Relevance),
        Some(other) => Err(QuestionError::Parameter(format!(
            "unknown order `{other}`; expected `newest` or `relevance`"
        ))),
    }
}

/// The period that is left when the query's `after:` and `before:` hold too.
fn within_days(
    zone: Zone,
    query: &Query,
    from_ms: Option<i64>,
    to_ms: Option<i64>,
) -> (Option<i64>, Option<i64>) {
    let start = |day: NaiveDate| Period { from: day, to: day }.start_ms(zone);
    let after = query.after.map(start);
    let before = query.before.map(start);
    (
        from_ms.into_iter().chain(after).max(),
        to_ms.into_iter().chain(before).min(),
    )
}

/// The page token of a place.
pub(super) fn token(after: After) -> String {
    let text = match after.n_found {
        0 => after.tie.to_string(),
        n_found => format!("{}.{n_found}", after.tie),
    };
    let (first, second) = (after.at_ms, after.seq);
    Place {
        first,
        second,
        text,
    }
    .to_token()
}

pub(super) fn after(token: &str) -> Result<After, QuestionError> {
    let place = Place::of_token(token)?;
    let (tie, n_found) = place.text.split_once('.').unwrap_or((&place.text, "0"));
    Ok(After {
        n_found: n_found.parse().map_err(|_| Place::unknown())?,
        at_ms: place.first,
        seq: place.second,
        tie: tie.parse().map_err(|_| Place::unknown())?,
    })
}

/// Runs a question on a blocking thread and shows its hits.
pub(super) async fn ask(
    scope: &Scope,
    archive: &Archive,
    question: Question,
    is_highlighted: bool,
) -> Result<MessagePage, QuestionError> {
    let asked = ask_with_place(scope, archive, question, is_highlighted);
    Ok(asked.await?.0)
}

/// As [`ask`], with the place of the first hit.
pub(super) async fn ask_with_place(
    scope: &Scope,
    archive: &Archive,
    question: Question,
    is_highlighted: bool,
) -> Result<(MessagePage, Option<After>), QuestionError> {
    let directory = archive.directory().await?;
    let period = (question.from_ms, question.to_ms);
    let Some(index) = archive.search()? else {
        let page = MessagePage {
            items: Vec::new(),
            total: 0,
            next: None,
            previous: None,
            is_highlighted,
            as_of: archive.as_of_period(scope, 0, &directory, period).await,
        };
        return Ok((page, None));
    };
    let (asker, known) = (scope.clone(), Arc::clone(&directory));
    let found = tokio::task::spawn_blocking(move || index.search(&asker, &known, &question))
        .await
        .map_err(|_| QuestionError::Interrupted)??;
    let last = found.hits.last().filter(|_| found.has_more);
    let next = last.map(|hit| token(hit.place()));
    let zone = archive.zone();
    let as_of = archive
        .as_of_period(scope, found.messages_version, &directory, period)
        .await;
    let first = found.hits.first().map(|hit| hit.place());
    let page = MessagePage {
        items: found
            .hits
            .into_iter()
            .map(|hit| MessageItem::of_hit(hit, zone, is_highlighted))
            .collect(),
        total: found.n_total,
        next,
        previous: None,
        is_highlighted,
        as_of,
    };
    Ok((page, first))
}
