//! Is it alive, is it ready, and its figures for Prometheus.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use huicun_engine::archive::messages;
use huicun_indexer::ingest::status::{Status, Watched};
use serde::Serialize;

use super::problem::Problem;
use super::server::Api;

/// A pull whose last answer is older than this is stalled.
const STALLED_AFTER_MS: u64 = 10 * 60 * 1000;

/// Alive: the process answers.
#[utoipa::path(get, path = "/healthz", tag = "health", responses(
    (status = 200, body = String, content_type = "text/plain"),
))]
pub async fn healthz() -> &'static str {
    "ok\n"
}

struct Readiness {
    table: u64,
    index: u64,
    problems: Vec<String>,
}

/// The words of `problems`; details are in the log, since `/readyz` needs no token.
async fn readiness(api: &Api) -> Readiness {
    let mut found = Readiness {
        table: 0,
        index: 0,
        problems: Vec::new(),
    };
    match messages::open(api.archive.home()).await {
        Ok(table) => found.table = table.map_or(0, |t| t.version()),
        Err(error) => {
            tracing::warn!(%error, "not ready");
            found.problems.push("table_unreadable".into());
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
            found.problems.push("index_unreadable".into());
        }
    }
    if found.problems.is_empty() && found.index < found.table {
        found.problems.push("index_behind".into());
    }
    for Watched { status, .. } in &api.pulls {
        let answered = status.answered_at_ms.load(Ordering::Relaxed);
        let age = (crate::queries::archive::now_ms() as u64).saturating_sub(answered);
        let is_failing = status
            .last_error
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .is_some();
        let problem = if is_failing {
            "pull_failing"
        } else if answered != 0 && age > STALLED_AFTER_MS {
            "pull_stalled"
        } else {
            continue;
        };
        if !found.problems.iter().any(|known| known == problem) {
            found.problems.push(problem.into());
        }
    }
    found
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
    /// `pull_failing`, `pull_stalled`.
    problems: Vec<String>,
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

/// Figures in Prometheus' text format. No text, name or id of anybody is in them.
#[utoipa::path(get, path = "/metrics", tag = "health", responses(
    (status = 200, body = String, content_type = "text/plain"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
), security(("token" = [])))]
pub async fn metrics(State(api): State<Arc<Api>>, _caller: super::auth::Caller) -> Response {
    let found = readiness(&api).await;
    let mut text = String::new();
    let mut gauge = |name: &str, help: &str, value: u64| {
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "# HELP huicun_{name} {help}\n# TYPE huicun_{name} gauge\nhuicun_{name} {value}\n"
        );
    };
    gauge(
        "ready",
        "1 when ready",
        u64::from(found.problems.is_empty()),
    );
    gauge(
        "messages_version",
        "version of the messages table",
        found.table,
    );
    gauge(
        "index_version",
        "table version that the index covers",
        found.index,
    );
    type Figure = fn(&Status) -> &std::sync::atomic::AtomicU64;
    let figures: [(&str, &str, Figure); 6] = [
        ("delivered", "records delivered since the start", |s| {
            &s.n_delivered
        }),
        ("archived", "messages archived since the start", |s| {
            &s.n_archived
        }),
        ("quarantined", "records quarantined since the start", |s| {
            &s.n_quarantined
        }),
        ("duplicates", "records already there since the start", |s| {
            &s.n_duplicates
        }),
        ("cursor", "last seq that is safely in", |s| &s.cursor),
        ("answered_at_ms", "last answer of WeCom, Unix ms", |s| {
            &s.answered_at_ms
        }),
    ];
    for (name, help, figure) in figures.into_iter().filter(|_| !api.pulls.is_empty()) {
        let _ = write!(
            text,
            "# HELP huicun_pull_{name} {help}\n# TYPE huicun_pull_{name} gauge\n"
        );
        for Watched { corpid, status } in &api.pulls {
            let value = figure(status).load(Ordering::Relaxed);
            let _ = writeln!(text, "huicun_pull_{name}{{corp=\"{corpid}\"}} {value}");
        }
    }
    let kind = "text/plain; version=0.0.4";
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}
