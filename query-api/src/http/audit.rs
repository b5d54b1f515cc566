//! Recording what callers ask, before the answer leaves, and the route that reads the record.
//!
//! Every route with a function is recorded by [`recorded`], so that no handler can forget it; but
//! `/metrics`, which tells nothing of anybody and is asked every few seconds. A change is recorded
//! before it is made too, and a request that is given up when it is. What cannot be recorded is
//! answered with 503 `audit_unavailable`.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, FromRequest, MatchedPath, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use huicun_engine::access::{Caller as Known, Function};
use huicun_engine::archive::seal::sha256;
use huicun_engine::audit::{AuditLog, Entry, Phase};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::auth::Caller;
use super::params::Params;
use super::problem::Problem;
use super::server::Api;
use crate::queries::archive::now_ms;
use crate::queries::audit::{AuditItem, AuditParams, audit as ask_audit};

/// Bytes of a body that is kept as it is; of a longer one the hash is.
const BODY_BYTES_KEPT: usize = 64 * 1024;

/// A request as it is recorded.
pub(super) struct Asked {
    entry: Entry,
}

impl Asked {
    pub(super) fn new(request: &Request, known: &Known, function: Function) -> Self {
        let extensions = request.extensions();
        let peer = extensions.get::<ConnectInfo<SocketAddr>>();
        let route = extensions.get::<MatchedPath>();
        let id = request.headers().get("x-request-id");
        Self {
            entry: Entry {
                at_ms: now_ms(),
                phase: Phase::Answered,
                caller: known.identity.clone(),
                employee: known.grant().employee.clone(),
                peer: peer.map(|peer| peer.0.to_string()),
                request_id: id.and_then(|id| id.to_str().ok()).map(String::from),
                function: function.as_str().into(),
                method: request.method().to_string(),
                route: route.map_or("", MatchedPath::as_str).into(),
                path: Some(request.uri().path().to_string()),
                query: request.uri().query().map(pairs),
                body: None,
                status: None,
                code: None,
                n_rows: None,
            },
        }
    }

    /// The entry of a request that was refused.
    pub(super) fn refused(self, problem: &Problem) -> Entry {
        Entry {
            status: Some(problem.status),
            code: Some(problem.code.clone()),
            ..self.entry
        }
    }

    fn at(&self, phase: Phase) -> Entry {
        Entry {
            phase,
            at_ms: now_ms(),
            ..self.entry.clone()
        }
    }
}

/// The parameters as a JSON array of pairs, in their order and readable.
fn pairs(query: &str) -> String {
    let pairs: Vec<_> = url::form_urlencoded::parse(query.as_bytes()).collect();
    serde_json::to_string(&pairs).unwrap_or_default()
}

/// What is kept of a body: of directory rows, which are customers' and employees' names, and of
/// what is long, only the hash.
fn kept(function: Function, body: &[u8]) -> Option<String> {
    if body.is_empty() {
        return None;
    }
    let text = std::str::from_utf8(body).ok();
    let text = text.filter(|_| function != Function::DirectoryWrite);
    Some(match text.filter(|text| text.len() <= BODY_BYTES_KEPT) {
        Some(text) => text.to_string(),
        None => format!("sha256 {} of {} bytes", sha256(body), body.len()),
    })
}

/// Which file an answer hands out, for the record: an extension of the response.
#[derive(Debug, Clone)]
pub(super) struct Handed {
    /// Its rows.
    pub(super) n_rows: u64,
    /// Its SHA-256 in hex.
    pub(super) sha256: String,
    /// Its bytes.
    pub(super) n_bytes: u64,
}

impl Handed {
    pub(super) fn told(&self) -> String {
        format!("sha256 {} of {} bytes", self.sha256, self.n_bytes)
    }
}

/// Records a request that nobody waits for any more.
struct Pending {
    asked: Option<Asked>,
    log: AuditLog,
}

impl Drop for Pending {
    fn drop(&mut self) {
        if let Some(asked) = &self.asked {
            self.log.record_later(asked.at(Phase::Abandoned));
        }
    }
}

/// Stands around every route.
pub(super) async fn recorded(
    State(api): State<Arc<Api>>,
    request: Request,
    next: Next,
) -> Result<Response, Response> {
    let caller = request.extensions().get::<Caller>().cloned();
    let Some(caller) = caller.filter(|caller| caller.function != Function::OperationsRead) else {
        return Ok(next.run(request).await);
    };
    let unavailable = |_| Problem::audit_unavailable().into_response();
    let mut asked = Asked::new(&request, &caller.known, caller.function);
    let (parts, body) = request.into_parts();
    let whole = Request::from_parts(parts.clone(), body);
    let body = Bytes::from_request(whole, &()).await;
    let body = body.map_err(IntoResponse::into_response)?;
    asked.entry.body = kept(caller.function, &body);
    if caller.function.changes() && parts.method != axum::http::Method::GET {
        let before = asked.at(Phase::Asked);
        api.audit.record(before).await.map_err(unavailable)?;
    }
    let mut pending = Pending {
        asked: Some(asked),
        log: api.audit.clone(),
    };
    let response = next.run(Request::from_parts(parts, Body::from(body))).await;
    let (parts, body) = response.into_parts();
    let handed = parts.extensions.get::<Handed>().cloned();
    let (told, body) = told(&parts.headers, parts.status, body).await?;
    if let Some(asked) = pending.asked.take() {
        let entry = Entry {
            status: Some(parts.status.as_u16()),
            code: told.code,
            n_rows: match &handed {
                Some(handed) => Some(handed.n_rows),
                None => told.items.map(|items| items.len() as u64),
            },
            ..asked.at(Phase::Answered)
        };
        let entry = Entry {
            body: handed.map_or(entry.body, |handed| Some(handed.told())),
            ..entry
        };
        api.audit.record(entry).await.map_err(unavailable)?;
    }
    Ok(Response::from_parts(parts, body))
}

/// What an answer says about itself.
#[derive(Default, Deserialize)]
struct Told {
    #[serde(default)]
    items: Option<Vec<IgnoredAny>>,
    #[serde(default)]
    code: Option<String>,
}

/// Reads rows and code of an answer in JSON; any other, such as a file, is passed on as it comes.
async fn told(
    headers: &HeaderMap,
    status: StatusCode,
    body: Body,
) -> Result<(Told, Body), Response> {
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.map_or(&b""[..], |kind| kind.as_bytes());
    let is_list = status.is_success() && kind.starts_with(b"application/json");
    if !is_list && !kind.starts_with(b"application/problem+json") {
        return Ok((Told::default(), body));
    }
    // Our own answers are one piece of memory, which is handed through as it is.
    let bytes = axum::body::to_bytes(body, usize::MAX)
        .await
        .map_err(|error| {
            tracing::error!(%error, "an answer cannot be read back");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        })?;
    let mut told: Told = serde_json::from_slice(&bytes).unwrap_or_default();
    if is_list {
        told.code = None;
    }
    Ok((told, Body::from(bytes)))
}

/// A page of the audit log.
#[derive(Serialize, utoipa::ToSchema)]
pub struct AuditList {
    /// The entries, newest first.
    items: Vec<AuditItem>,
    /// Give it as `cursor` for the next page; null at the end.
    next: Option<String>,
    /// Number and hash of the newest entry; noted elsewhere it proves later that nothing before it
    /// was changed.
    head: Option<String>,
}

/// The audit log (审计日志), newest first: who asked what, and what he got. Needs `all`.
#[utoipa::path(get, path = "/v1/audit", tag = "access", params(
    ("from" = Option<String>, Query, description = "first day, YYYY-MM-DD"),
    ("to" = Option<String>, Query, description = "last day, YYYY-MM-DD"),
    ("caller" = Option<Vec<String>>, Query, description = "id or name of a token, subject or employee; repeatable"),
    ("function" = Option<Vec<String>>, Query, description = "such as messages.search; repeatable"),
    ("limit" = Option<usize>, Query, description = "rows of the page, 1 to 1000; 100 if missing"),
    ("cursor" = Option<String>, Query, description = "`next` of the page before"),
), responses(
    (status = 200, body = AuditList),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
    (status = 403, body = Problem, content_type = "application/problem+json"),
), security(("token" = [])))]
pub async fn audit(
    State(api): State<Arc<Api>>,
    caller: Caller,
    mut params: Params,
) -> Result<Json<AuditList>, Problem> {
    let question = AuditParams {
        from: params.one("from")?,
        to: params.one("to")?,
        callers: params.list("caller"),
        functions: params.list("function"),
        limit: params.limit()?,
        cursor: params.one("cursor")?,
    };
    params.end()?;
    // SQLite reads through the file where a filter lets little through.
    let page = tokio::task::block_in_place(|| ask_audit(&caller.scope, &api.archive, &question))?;
    Ok(Json(AuditList {
        items: page.items,
        next: page.next,
        head: page.head,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_kept_readable_and_in_order() {
        let kept = pairs("q=%E9%80%80%E6%AC%BE&employee=a%26b&employee=c");
        assert_eq!(
            kept,
            r#"[["q","退款"],["employee","a&b"],["employee","c"]]"#
        );
    }

    #[test]
    fn of_directory_rows_and_long_bodies_only_the_hash_is_kept() {
        assert_eq!(
            kept(Function::Sql, b"SELECT 1").as_deref(),
            Some("SELECT 1")
        );
        assert_eq!(kept(Function::Sql, b""), None);
        let names = kept(Function::DirectoryWrite, "张三".as_bytes()).unwrap();
        assert!(names.starts_with("sha256 ") && names.ends_with(" of 6 bytes"));
        assert!(
            kept(Function::RulesWrite, &vec![b'a'; 70_000])
                .unwrap()
                .len()
                < 100
        );
        assert!(kept(Function::Sql, b"\xff").unwrap().starts_with("sha256 "));
    }
}
