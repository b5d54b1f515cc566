//! Sessions of WeChat customer service (微信客服).

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::auth::Caller;
use super::format::Format;
use super::listed::{Rows, about, asking, pages, whole};
use super::params::Params;
use super::problem::Problem;
use super::server::Api;
use crate::answer::Table;
use crate::queries::archive::AsOf;
use crate::queries::kf_sessions::{
    self, KfMessageItem, KfSessionItem, KfSessionPage, KfSessionParams,
};

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

impl Rows for KfSessionPage {
    fn json(self) -> impl Serialize + Send {
        KfSessionList {
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
    format: Format,
    mut params: Params,
) -> Result<Response, Problem> {
    let wanted = params.page(format)?;
    let question = KfSessionParams {
        from: params.one("from")?,
        to: params.one("to")?,
        servicers: params.list("servicer"),
        customers: params.list("customer"),
        sessions: params.list("session"),
        ..KfSessionParams::default()
    };
    params.end()?;
    pages(
        wanted,
        asking!(api, caller, question, kf_sessions::kf_sessions),
    )
    .await
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
    format: Format,
    params: Params,
) -> Result<Response, Problem> {
    params.end()?;
    let list = kf_sessions::kf_messages_of(&caller.scope, &api.archive, &id).await?;
    let about = about(&list.as_of);
    if format != Format::Json {
        return whole(format, list.into_table(), about);
    }
    let document = KfMessageList {
        items: list.items,
        next: None,
        as_of: list.as_of,
    };
    Ok(Json(document).into_response())
}
