//! Is it alive, and is it ready.
//!
//! A stalled cursor is red, never green: not when WeCom stopped answering, not when pages come and
//! nothing is committed, and not because nothing was ever measured.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use huicun_engine::archive::messages;
use huicun_engine::state::pulls::OUTAGE_MS;
use serde::Serialize;

use super::server::Api;
use crate::queries::archive::now_ms;

/// Alive: the process answers.
#[utoipa::path(get, path = "/healthz", tag = "health", responses(
    (status = 200, body = String, content_type = "text/plain"),
))]
pub async fn healthz() -> &'static str {
    "ok\n"
}

/// What is right and wrong with this server.
pub(super) struct Readiness {
    /// Version of the messages table, and its files.
    pub(super) table: u64,
    pub(super) n_files: usize,
    /// The version that the index covers.
    pub(super) index: u64,
    pub(super) problems: Vec<&'static str>,
}

/// The words of `problems`; details are in the log, since `/readyz` needs no token.
pub(super) async fn readiness(api: &Api) -> Readiness {
    let mut found = Readiness {
        table: 0,
        n_files: 0,
        index: 0,
        problems: Vec::new(),
    };
    match messages::open(api.archive.home()).await {
        Ok(table) => {
            found.table = table.as_ref().map_or(0, |t| t.version());
            found.n_files = table.map_or(0, |t| t.n_files());
        }
        Err(error) => {
            tracing::warn!(%error, "not ready");
            found.problems.push("table_unreadable");
        }
    }
    let mark = api.archive.search().and_then(|index| match index {
        Some(index) => Ok(index.watermark()?),
        None => Ok(None),
    });
    match mark {
        Ok(mark) => found.index = mark.map_or(0, |m| m.version),
        Err(error) => {
            tracing::warn!(%error, "not ready");
            found.problems.push("index_unreadable");
        }
    }
    if found.problems.is_empty() && found.index < found.table {
        found.problems.push("index_behind");
    }
    if api.audit.is_failing() {
        found.problems.push("audit_unavailable");
    }
    found.problems.extend(pull_problems(api));
    found
}

fn pull_problems(api: &Api) -> Vec<&'static str> {
    let now = now_ms();
    let here = api.pulls.iter().filter_map(|pull| pull.status.trouble(now));
    let mut problems: Vec<&'static str> = here.map(|trouble| trouble.as_str()).collect();
    if api.pulls.is_empty() && !api.is_pull_unexpected {
        // The pull is another process's: what it wrote down is all that can be known of it.
        match api.state.pulls() {
            Ok(pulls) => {
                let answered = pulls.iter().map(|pull| pull.answered_at_ms);
                let is_silent = |at: Option<i64>| at.is_none_or(|at| now - at > OUTAGE_MS);
                if answered.into_iter().any(is_silent) {
                    problems.push("pull_silent");
                }
            }
            Err(error) => {
                tracing::warn!(%error, "not ready");
                problems.push("state_unreadable");
            }
        }
    }
    problems.sort_unstable();
    problems.dedup();
    problems
}

/// What `/readyz` says.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Ready {
    /// Whether there is no problem.
    ready: bool,
    /// Version of the messages table.
    messages_version: u64,
    /// The table's version that the search index covers.
    index_version: u64,
    /// What keeps it from being ready: `table_unreadable`, `index_unreadable`, `index_behind`,
    /// `state_unreadable`, `audit_unavailable`; with `run` `pull_failing`, `pull_stalled`, `pull_not_committing`; with
    /// `serve` `pull_silent`.
    problems: Vec<&'static str>,
}

/// Ready: the archive is open, the index has caught up, the pull is not stalled.
#[utoipa::path(get, path = "/readyz", tag = "health", responses(
    (status = 200, body = Ready),
    (status = 503, body = Ready),
))]
pub async fn readyz(State(api): State<Arc<Api>>) -> Response {
    let found = readiness(&api).await;
    let status = if found.problems.is_empty() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let body = Ready {
        ready: found.problems.is_empty(),
        messages_version: found.table,
        index_version: found.index,
        problems: found.problems,
    };
    (status, Json(body)).into_response()
}
