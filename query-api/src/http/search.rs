//! Ways into the chats: search, its counts, and conversations.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::auth::Caller;
use super::params::Params;
use super::problem::Problem;
use super::routes::MessageList;
use super::server::Api;
use crate::queries::archive::AsOf;
use crate::queries::conversations::{self, ConversationItem, CountItem};
use crate::queries::search::{SearchParams, search as ask_search};

/// What every way in takes: a query and filters.
fn search_params(params: &mut Params) -> Result<SearchParams, Problem> {
    Ok(SearchParams {
        q: params.one("q")?.unwrap_or_default(),
        from: params.one("from")?,
        to: params.one("to")?,
        employees: params.list("employee"),
        customers: params.list("customer"),
        departments: params.list("department"),
        rooms: params.list("room"),
        types: params.list("type"),
        kinds: params.list("kind"),
        order: None,
        limit: 0,
        cursor: None,
    })
}

/// Find messages that contain all literals of a query, newest first.
#[utoipa::path(get, path = "/v1/search", tag = "messages", params(
    ("q" = Option<String>, Query, description = "literals that must all occur, \"phrases\", -not, OR, and from: to: with: in: type: kind: file: before: after:"),
    ("from" = Option<String>, Query, description = "first day, YYYY-MM-DD"),
    ("to" = Option<String>, Query, description = "last day, YYYY-MM-DD"),
    ("employee" = Option<Vec<String>>, Query, description = "takes part in the conversation; repeatable"),
    ("customer" = Option<Vec<String>>, Query, description = "takes part in the conversation; repeatable"),
    ("department" = Option<Vec<String>>, Query, description = "an employee of it or below takes part; repeatable"),
    ("room" = Option<Vec<String>>, Query, description = "room id; repeatable"),
    ("type" = Option<Vec<String>>, Query, description = "WeCom's type name; repeatable"),
    ("kind" = Option<Vec<String>>, Query, description = "single_external, single_internal, group_external, group_internal, other; repeatable"),
    ("order" = Option<String>, Query, description = "newest (if missing) or relevance: most of the literals first"),
    ("limit" = Option<usize>, Query, description = "rows of the page, 1 to 1000; 100 if missing"),
    ("cursor" = Option<String>, Query, description = "`next` of the page before"),
), responses(
    (status = 200, body = MessageList),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
), security(("token" = [])))]
pub async fn search(
    State(api): State<Arc<Api>>,
    caller: Caller,
    mut params: Params,
) -> Result<Json<MessageList>, Problem> {
    let question = SearchParams {
        order: params.one("order")?,
        limit: params.limit()?,
        cursor: params.one("cursor")?,
        ..search_params(&mut params)?
    };
    params.end()?;
    let page = ask_search(&caller.scope, &api.archive, &question).await?;
    Ok(Json(page.into()))
}

/// A page of conversations.
#[derive(Serialize, utoipa::ToSchema)]
pub struct ConversationList {
    /// The conversations, the last contact first.
    items: Vec<ConversationItem>,
    /// Give it as `cursor` for the next page; null at the end.
    next: Option<String>,
    /// Exact number of all.
    total: u64,
    /// From which versions the answer was made.
    as_of: AsOf,
}

/// Conversations in which a search finds anything, with how much and when last; the last contact
/// first.
#[utoipa::path(get, path = "/v1/conversations", tag = "messages", params(
    ("q" = Option<String>, Query, description = "literals that must all occur, \"phrases\", -not, OR, and from: to: with: in: type: kind: file: before: after:"),
    ("from" = Option<String>, Query, description = "first day, YYYY-MM-DD"),
    ("to" = Option<String>, Query, description = "last day, YYYY-MM-DD"),
    ("employee" = Option<Vec<String>>, Query, description = "takes part in the conversation; repeatable"),
    ("customer" = Option<Vec<String>>, Query, description = "takes part in the conversation; repeatable"),
    ("department" = Option<Vec<String>>, Query, description = "an employee of it or below takes part; repeatable"),
    ("room" = Option<Vec<String>>, Query, description = "room id; repeatable"),
    ("type" = Option<Vec<String>>, Query, description = "WeCom's type name; repeatable"),
    ("kind" = Option<Vec<String>>, Query, description = "single_external, single_internal, group_external, group_internal, other; repeatable"),
    ("limit" = Option<usize>, Query, description = "rows of the page, 1 to 1000; 100 if missing"),
    ("cursor" = Option<String>, Query, description = "`next` of the page before"),
), responses(
    (status = 200, body = ConversationList),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
), security(("token" = [])))]
pub async fn conversations(
    State(api): State<Arc<Api>>,
    caller: Caller,
    mut params: Params,
) -> Result<Json<ConversationList>, Problem> {
    let question = SearchParams {
        limit: params.limit()?,
        cursor: params.one("cursor")?,
        ..search_params(&mut params)?
    };
    params.end()?;
    let page = conversations::conversations(&caller.scope, &api.archive, &question).await?;
    Ok(Json(ConversationList {
        items: page.items,
        next: page.next,
        total: page.total,
        as_of: page.as_of,
    }))
}

/// What a search finds, counted.
#[derive(Serialize, utoipa::ToSchema)]
pub struct CountList {
    /// The largest first; days in order.
    items: Vec<CountItem>,
    /// Always null: these answers are whole.
    next: Option<String>,
    /// Exact number of all messages found, each once.
    total: u64,
    /// From which versions the answer was made.
    as_of: AsOf,
}

/// How much a search finds by conversation, employee, department, type or day: the number of each
/// is what the search finds with it as a filter.
#[utoipa::path(get, path = "/v1/search/counts", tag = "messages", params(
    ("by" = String, Query, description = "conversation, employee, department, type or day"),
    ("q" = Option<String>, Query, description = "literals that must all occur, \"phrases\", -not, OR, and from: to: with: in: type: kind: file: before: after:"),
    ("from" = Option<String>, Query, description = "first day, YYYY-MM-DD"),
    ("to" = Option<String>, Query, description = "last day, YYYY-MM-DD"),
    ("employee" = Option<Vec<String>>, Query, description = "takes part in the conversation; repeatable"),
    ("customer" = Option<Vec<String>>, Query, description = "takes part in the conversation; repeatable"),
    ("department" = Option<Vec<String>>, Query, description = "an employee of it or below takes part; repeatable"),
    ("room" = Option<Vec<String>>, Query, description = "room id; repeatable"),
    ("type" = Option<Vec<String>>, Query, description = "WeCom's type name; repeatable"),
    ("kind" = Option<Vec<String>>, Query, description = "single_external, single_internal, group_external, group_internal, other; repeatable"),
), responses(
    (status = 200, body = CountList),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
), security(("token" = [])))]
pub async fn search_counts(
    State(api): State<Arc<Api>>,
    caller: Caller,
    mut params: Params,
) -> Result<Json<CountList>, Problem> {
    let by = params.one("by")?.unwrap_or_default();
    let question = search_params(&mut params)?;
    params.end()?;
    let list = conversations::counts(&caller.scope, &api.archive, &question, &by).await?;
    Ok(Json(CountList {
        items: list.items,
        next: None,
        total: list.total,
        as_of: list.as_of,
    }))
}
