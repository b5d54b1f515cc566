//! Recording what callers ask, before the answer leaves, and the route that reads the record.
//!
//! Every route with a function is recorded by [`recorded`], so that no handler can forget it; but
//! `/metrics`, which tells nothing of anybody and is asked every few seconds. A change is recorded
//! before it is made too, and a request that is given up when it is. What cannot be recorded is
//! answered with 503 `audit_unavailable`.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes};
use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::Stream;
use http_body_util::LengthLimitError;
use huicun_engine::access::{Caller as Known, Function};
use huicun_engine::archive::seal::sha256;
use huicun_engine::audit::{AuditLog, Entry, Phase};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::auth::Caller;
use super::caching::{Conditional, tag_of};
use super::format::Format;
use super::listed::{Asking, Rows, RowsSent, pages};
use super::params::Params;
use super::problem::Problem;
use super::server::Api;
use crate::answer::Table;
use crate::queries::archive::{AsOf, now_ms};
use crate::queries::audit::{AuditItem, AuditPage, AuditParams, audit as ask_audit};

/// Bytes of a body that is kept as it is; of a longer one the hash is.
const BODY_BYTES_KEPT: usize = 64 * 1024;
/// How long a body may take to come.
const BODY_TIME_MAX: Duration = Duration::from_secs(60);
/// Questions that are answered at once: each may need much memory, and cores there are few.
const RUNNING_MAX: usize = 32;
static RUNNING: Semaphore = Semaphore::const_new(RUNNING_MAX);
/// Streams of rows at once: each holds a page while its reader takes it.
const STREAMS_MAX: usize = 16;
static STREAMS: Semaphore = Semaphore::const_new(STREAMS_MAX);
/// How long a question waits for its turn.
const WAIT_MAX: Duration = Duration::from_secs(10);
/// Directory tables that are read at once: each may have 64 MiB, and be in memory several times.
static LARGE_BODIES: Semaphore = Semaphore::const_new(2);

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
    // Held until the answer is there: of large bodies few are in memory at once.
    let _turn = match caller.function {
        Function::DirectoryWrite => LARGE_BODIES.acquire().await.ok(),
        _ => None,
    };
    let bytes_max = body_bytes_max(caller.function);
    let body = whole_body(&parts.headers, body, bytes_max, BODY_TIME_MAX).await?;
    asked.entry.body = kept(caller.function, &body);
    let _running = tokio::time::timeout(WAIT_MAX, RUNNING.acquire()).await;
    if _running.is_err() {
        return Err(Problem::busy().into_response());
    }
    if caller.function.changes() && parts.method != axum::http::Method::GET {
        let before = asked.at(Phase::Asked);
        api.audit.record(before).await.map_err(unavailable)?;
    }
    let mut pending = Pending {
        asked: Some(asked),
        log: api.audit.clone(),
    };
    let conditional = Conditional::of(&parts);
    let response = next.run(Request::from_parts(parts, Body::from(body))).await;
    let (mut parts, body) = response.into_parts();
    if let Some(sent) = parts.extensions.remove::<RowsSent>() {
        return streamed(&api, pending, Response::from_parts(parts, body), sent).await;
    }
    let handed = parts.extensions.get::<Handed>().cloned();
    let (mut told, body) = told(&parts.headers, parts.status, body).await?;
    let response = conditional.answer(Response::from_parts(parts, body), told.tag.take());
    if let Some(asked) = pending.asked.take() {
        let entry = Entry {
            status: Some(response.status().as_u16()),
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
    Ok(response)
}

/// An answer whose rows go out one by one is recorded before the first of them leaves, and again
/// with their number when the last one has left or nobody reads any more.
async fn streamed(
    api: &Api,
    mut pending: Pending,
    response: Response,
    sent: RowsSent,
) -> Result<Response, Response> {
    let (parts, body) = response.into_parts();
    let Some(mut asked) = pending.asked.take() else {
        return Ok(Response::from_parts(parts, body));
    };
    let Ok(turn) = STREAMS.try_acquire() else {
        let busy = Problem::busy();
        let record = api.audit.record(asked.refused(&busy)).await;
        record.map_err(|_| Problem::audit_unavailable().into_response())?;
        return Err(busy.into_response());
    };
    asked.entry.status = Some(parts.status.as_u16());
    let before = api.audit.record(asked.at(Phase::Asked)).await;
    before.map_err(|_| Problem::audit_unavailable().into_response())?;
    let leaving = Leaving {
        rows: body.into_data_stream(),
        asked: Some(asked),
        log: api.audit.clone(),
        sent,
        _turn: turn,
    };
    Ok(Response::from_parts(parts, Body::from_stream(leaving)))
}

/// Rows on their way out.
struct Leaving {
    rows: BodyDataStream,
    asked: Option<Asked>,
    log: AuditLog,
    sent: RowsSent,
    _turn: SemaphorePermit<'static>,
}

impl Leaving {
    fn ended(&mut self, phase: Phase) {
        if let Some(asked) = self.asked.take() {
            self.log.record_later(Entry {
                n_rows: Some(self.sent.count()),
                ..asked.at(phase)
            });
        }
    }
}

impl Stream for Leaving {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let piece = Pin::new(&mut self.rows).poll_next(context);
        if let Poll::Ready(None) = piece {
            self.ended(Phase::Answered);
        }
        piece
    }
}

impl Drop for Leaving {
    fn drop(&mut self) {
        self.ended(Phase::Abandoned);
    }
}

/// Bytes of a body: only tables of the directory are large.
fn body_bytes_max(function: Function) -> usize {
    match function {
        Function::DirectoryWrite => usize::MAX,
        // The rules, where lists of words are long.
        Function::RulesRead | Function::RulesWrite | Function::BehavioursRead => 4 << 20,
        _ => 256 << 10,
    }
}

/// Reads a body to its end. A connection on which it comes too slowly is not waited for.
async fn whole_body(
    headers: &HeaderMap,
    body: Body,
    bytes_max: usize,
    time_max: Duration,
) -> Result<Bytes, Response> {
    let length = headers.get(header::CONTENT_LENGTH);
    let length = length.and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if length.is_some_and(|length| length > bytes_max) {
        return Err(Problem::body_too_large(bytes_max).into_response());
    }
    let read = tokio::time::timeout(time_max, axum::body::to_bytes(body, bytes_max));
    match read.await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) if is_too_large(&error) => Err(Problem::body_too_large(bytes_max)),
        Ok(Err(_)) => Err(Problem::parameter("the body did not come to its end")),
        Err(_) => Err(Problem::body_too_slow(time_max)),
    }
    .map_err(IntoResponse::into_response)
}

fn is_too_large(error: &axum::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    std::iter::from_fn(|| {
        let this = cause?;
        cause = this.source();
        Some(this)
    })
    .any(|error| error.is::<LengthLimitError>())
}

/// What an answer says about itself.
#[derive(Default, Deserialize)]
struct Told {
    #[serde(default)]
    items: Option<Vec<IgnoredAny>>,
    #[serde(default)]
    code: Option<String>,
    #[serde(skip)]
    tag: Option<String>,
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
        told.tag = Some(tag_of(&bytes));
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
    /// From which versions the answer was made.
    as_of: AsOf,
}

impl Rows for AuditPage {
    fn json(self) -> impl Serialize + Send {
        AuditList {
            items: self.items,
            next: self.next,
            head: self.head,
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
    format: Format,
    mut params: Params,
) -> Result<Response, Problem> {
    let wanted = params.page(format)?;
    let question = AuditParams {
        from: params.one("from")?,
        to: params.one("to")?,
        callers: params.list("caller"),
        functions: params.list("function"),
        ..AuditParams::default()
    };
    params.end()?;
    let ask: Asking<AuditPage> = Box::new(move |limit, cursor| {
        let (api, caller) = (Arc::clone(&api), caller.clone());
        let question = AuditParams {
            limit,
            cursor,
            ..question.clone()
        };
        Box::pin(async move {
            caller.check_still_admitted(&api)?;
            // SQLite reads through the file where a filter lets little through.
            tokio::task::block_in_place(|| ask_audit(&caller.scope, &api.archive, &question))
        })
    });
    pages(wanted, ask).await
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

    /// The status of what is answered to a body.
    async fn refused(length: &str, body: Body, bytes_max: usize) -> Option<u16> {
        let length = header::HeaderValue::from_str(length).unwrap();
        let headers = HeaderMap::from_iter([(header::CONTENT_LENGTH, length)]);
        let time_max = Duration::from_millis(20);
        let read = whole_body(&headers, body, bytes_max, time_max).await;
        read.err().map(|response| response.status().as_u16())
    }

    #[tokio::test]
    async fn a_body_that_is_too_large_too_slow_or_cut_is_refused() {
        use futures::stream::{iter, pending};
        let piece = || Ok::<_, std::io::Error>(Bytes::from_static(b"0123456789"));
        assert_eq!(
            refused("10", Body::from_stream(iter([piece()])), 10).await,
            None
        );
        assert_eq!(
            refused("11", Body::from_stream(iter([piece()])), 10).await,
            Some(413)
        );
        let endless = Body::from_stream(iter(std::iter::repeat_with(piece)));
        assert_eq!(refused("", endless, 10).await, Some(413));
        let silent = Body::from_stream(pending::<Result<Bytes, std::io::Error>>());
        assert_eq!(refused("5", silent, 10).await, Some(408));
        let cut = Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof));
        assert_eq!(
            refused("15", Body::from_stream(iter([piece(), cut])), 20).await,
            Some(400)
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
