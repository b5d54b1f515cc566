//! Sessions of WeChat customer service (微信客服).

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;

use super::auth::Caller;
use super::params::Params;
use super::problem::Problem;
use super::server::Api;
use crate::queries::archive::AsOf;
use crate::queries::kf_sessions::{self, KfMessageItem, KfSessionItem, KfSessionParams};

/// A page of sessions.
#[derive(Serialize, utoipa::ToSchema)]
pub struct KfSessionList {
    /// The sessions, the latest first.
    items: Vec<KfSessionItem>,
    /// Give it as `cursor` for the next page; null at the end.
    next: Option<String>,
    /// Exact number of all.
    total: u64,
    /// From which versions the answer was made.
    as_of: AsOf,
}

/// Sessions of WeChat customer service that started in a period, the latest first.
#[utoipa::path(get, path = "/v1/kf/sessions", tag = "messages", params(
    ("from" = Option<String>, Query, description = "first day of the start, YYYY-MM-DD"),
    ("to" = Option<String>, Query, description = "last day of the start, YYYY-MM-DD"),
    ("servicer" = Option<Vec<String>>, Query, description = "received by, id or name; repeatable"),
    ("customer" = Option<Vec<String>>, Query, description = "of this customer, id or name; repeatable"),
    ("session" = Option<Vec<String>>, Query, description = "session id; repeatable"),
    ("limit" = Option<usize>, Query, description = "rows of the page, 1 to 1000; 100 if missing"),
    ("cursor" = Option<String>, Query, description = "`next` of the page before"),
), responses(
    (status = 200, body = KfSessionList),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
), security(("token" = [])))]
pub async fn kf_sessions(
    State(api): State<Arc<Api>>,
    caller: Caller,
    mut params: Params,
) -> Result<Json<KfSessionList>, Problem> {
    let question = KfSessionParams {
        from: params.one("from")?,
        to: params.one("to")?,
        servicers: params.list("servicer"),
        customers: params.list("customer"),
        sessions: params.list("session"),
        limit: params.limit()?,
        cursor: params.one("cursor")?,
    };
    params.end()?;
    let page = kf_sessions::kf_sessions(&caller.scope, &api.archive, &question).await?;
    Ok(Json(KfSessionList {
        items: page.items,
        next: page.next,
        total: page.total,
        as_of: page.as_of,
    }))
}

/// The messages of a session.
#[derive(Serialize, utoipa::ToSchema)]
pub struct KfMessageList {
    /// The messages, as they were said.
    items: Vec<KfMessageItem>,
    /// Always null: these answers are whole.
    next: Option<String>,
    /// From which versions the answer was made.
    as_of: AsOf,
}

/// The messages of one session of WeChat customer service, oldest first.
#[utoipa::path(get, path = "/v1/kf/sessions/{id}/messages", tag = "messages", params(
    ("id" = String, Path, description = "session id"),
), responses(
    (status = 200, body = KfMessageList),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
    (status = 404, body = Problem, content_type = "application/problem+json"),
), security(("token" = [])))]
pub async fn kf_session_messages(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<String>,
    params: Params,
) -> Result<Json<KfMessageList>, Problem> {
    params.end()?;
    let list = kf_sessions::kf_messages_of(&caller.scope, &api.archive, &id).await?;
    Ok(Json(KfMessageList {
        items: list.items,
        next: None,
        as_of: list.as_of,
    }))
}
