//! Ways into the chats: search, its counts, and conversations.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::auth::Caller;
use super::format::Format;
use super::listed::{Rows, about, asking, pages, whole};
use super::params::Params;
use super::problem::Problem;
use super::routes::MessageList;
use super::server::Api;
use crate::answer::Table;
use crate::queries::archive::AsOf;
use crate::queries::conversations::{self, ConversationItem, ConversationPage, CountItem};
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
    format: Format,
    mut params: Params,
) -> Result<Response, Problem> {
    let wanted = params.page(format)?;
    let question = SearchParams {
        order: params.one("order")?,
        ..search_params(&mut params)?
    };
    params.end()?;
    pages(wanted, asking!(api, caller, question, ask_search)).await
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

impl Rows for ConversationPage {
    fn json(self) -> impl Serialize + Send {
        ConversationList {
            items: self.items,
            next: self.next,
            total: self.total,
            as_of: self.as_of,
        }
    }

    fn table(self) -> Table {
        self.into_table()
    }

    fn next(&self) -> Option<&str> {
        self.next.as_deref()
    }

    fn as_of(&self) -> &AsOf {
        &self.as_of
    }

    fn total(&self) -> Option<u64> {
        Some(self.total)
    }
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
    format: Format,
    mut params: Params,
) -> Result<Response, Problem> {
    let wanted = params.page(format)?;
    let question = search_params(&mut params)?;
    params.end()?;
    pages(
        wanted,
        asking!(api, caller, question, conversations::conversations),
    )
    .await
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
    format: Format,
    mut params: Params,
) -> Result<Response, Problem> {
    let by = params.one("by")?.unwrap_or_default();
    let question = search_params(&mut params)?;
    params.end()?;
    let list = conversations::counts(&caller.scope, &api.archive, &question, &by).await?;
    if format != Format::Json {
        let mut about = about(&list.as_of);
        about.insert("total".into(), list.total.into());
        return whole(format, list.into_table(), about);
    }
    let document = CountList {
        items: list.items,
        next: None,
        total: list.total,
        as_of: list.as_of,
    };
    Ok(Json(document).into_response())
}
