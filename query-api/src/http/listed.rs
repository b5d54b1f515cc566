//! Answers that are rows: one JSON document, or NDJSON and Arrow streams that ask for the next rows
//! only when the last ones have left, so that memory stays flat however many there are.
//!
//! What goes out in a stream cannot be taken back: a failure in its midst cuts the connection, and
//! no HTTP client takes what came for a whole answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Json;
use axum::body::{Body, Bytes};
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures::future::BoxFuture;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::encode::{EncodeError, Encoder};
use super::format::{ARROW, Format, NDJSON};
use super::problem::Problem;
use crate::answer::Table;
use crate::queries::QuestionError;
use crate::queries::archive::AsOf;

/// Says of streamed rows what a JSON answer says beside its `items`.
static ABOUT: HeaderName = HeaderName::from_static("x-huicun-about");
/// Rows that leave at once.
const ROWS_AT_ONCE: usize = 1_000;
/// Rows of the first page that a stream asks for, and of the largest one.
const PAGE_ROWS_FIRST: usize = 1_000;
const PAGE_ROWS_MAX: usize = 50_000;
/// Encoded bytes that a page should have: it is in memory while it leaves.
const PAGE_BYTES: usize = 8 << 20;

/// A page of rows, as every question about a list answers.
pub(super) trait Rows: Send + 'static {
    /// The page as one JSON document.
    fn json(self) -> impl Serialize + Send;
    /// The page as columns and rows.
    fn table(self) -> Table;
    /// Where the next page begins.
    fn next(&self) -> Option<&str>;
    /// From which versions.
    fn as_of(&self) -> &AsOf;
    /// How many rows there are on all pages, where that is known.
    fn total(&self) -> Option<u64> {
        None
    }
}

/// What answers a page of so many rows (0 is all) from a cursor on.
pub(super) type Asking<P> =
    Box<dyn Fn(usize, Option<String>) -> BoxFuture<'static, Result<P, QuestionError>> + Send>;

/// What asks one of the questions with a limit and a cursor, page by page. A caller whose token is
/// revoked meanwhile gets no further page.
macro_rules! asking {
    ($api:expr, $caller:expr, $question:expr, $ask:path) => {{
        let (api, caller, question) = ($api, $caller, $question);
        Box::new(move |limit, cursor| {
            let (api, caller) = (::std::sync::Arc::clone(&api), caller.clone());
            let mut question = question.clone();
            (question.limit, question.cursor) = (limit, cursor);
            Box::pin(async move {
                caller.check_still_admitted(&api)?;
                $ask(&caller.scope, &api.archive, &question).await
            })
        })
    }};
}
pub(super) use asking;

/// Left by an answer whose rows go out one by one: how many have left so far.
#[derive(Clone, Default)]
pub(super) struct RowsSent(Arc<AtomicU64>);

impl RowsSent {
    pub(super) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What a list is asked for: its form, the rows of its page, and where it begins.
pub(super) struct Wanted {
    pub(super) format: Format,
    /// Rows of the page; 0 for all, of streams only.
    pub(super) limit: usize,
    pub(super) cursor: Option<String>,
}

/// Answers with a page of a list, or with all of it.
pub(super) async fn pages<P: Rows>(wanted: Wanted, ask: Asking<P>) -> Result<Response, Problem> {
    let Wanted {
        format,
        limit,
        cursor,
    } = wanted;
    let rows = match limit {
        0 => PAGE_ROWS_FIRST,
        limit => limit,
    };
    // The first page comes before the headers: what is wrong with the question is still a problem.
    let page = ask(rows, cursor).await?;
    if format == Format::Json {
        return Ok(Json(page.json()).into_response());
    }
    let next = page.next().map(String::from);
    let mut about = about(page.as_of());
    if let Some(total) = page.total() {
        about.insert("total".into(), json!(total));
    }
    let (next, more) = match limit {
        0 => (None, next.map(|cursor| (cursor, ask))),
        _ => (next, None),
    };
    // A page that ends tells where the next one begins, as its JSON does.
    about.insert("next".into(), json!(next));
    stream(format, page.table(), about, more)
}

/// Streams rows that are all there.
pub(super) fn whole(
    format: Format,
    table: Table,
    about: Map<String, Value>,
) -> Result<Response, Problem> {
    stream::<Never>(format, table, about, None)
}

/// What every answer says of itself. The holes are counted but not listed: this travels in a
/// header, which proxies bound.
pub(super) fn about(as_of: &AsOf) -> Map<String, Value> {
    let as_of = AsOf {
        holes: None,
        ..as_of.clone()
    };
    Map::from_iter([("as_of".to_owned(), json!(as_of))])
}

fn stream<P: Rows>(
    format: Format,
    table: Table,
    about: Map<String, Value>,
    more: Option<(String, Asking<P>)>,
) -> Result<Response, Problem> {
    let about = Value::Object(about);
    let told = HeaderValue::from_str(&ascii(&about)).map_err(|e| Problem::internal(&e))?;
    let (media_type, encoder) = match format {
        Format::Arrow => {
            let encoder = Encoder::arrow(table.columns, &about);
            (ARROW, encoder.map_err(|e| Problem::internal(&e))?)
        }
        _ => (NDJSON, Encoder::ndjson(table.columns)),
    };
    let sent = RowsSent::default();
    let run = Run {
        encoder,
        rows: table.rows.into_iter(),
        more,
        page: PageSize::default(),
        sent: sent.clone(),
        has_ended: false,
    };
    let body = Body::from_stream(futures::stream::try_unfold(run, Run::step));
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(ABOUT.clone(), told);
    let unkept = HeaderValue::from_static("no-store");
    headers.insert(header::CACHE_CONTROL, unkept);
    response.extensions_mut().insert(sent);
    Ok(response)
}

/// JSON with nothing but ASCII in it, as a header may have.
fn ascii(value: &Value) -> String {
    let mut told = String::new();
    for unit in value.to_string().encode_utf16() {
        match u8::try_from(unit) {
            Ok(byte) if byte.is_ascii() && !byte.is_ascii_control() => told.push(byte.into()),
            _ => told += &format!("\\u{unit:04x}"),
        }
    }
    told
}

/// Why a stream was cut.
#[derive(Debug, thiserror::Error)]
enum StreamError {
    #[error(transparent)]
    Question(#[from] QuestionError),
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

/// Suits the rows of the next page to the bytes of the last one: pages of long rows stay small, and
/// those of short ones are few, since each costs a question.
#[derive(Default)]
struct PageSize {
    n_rows: usize,
    n_bytes: usize,
}

impl PageSize {
    fn next(&mut self) -> usize {
        let row = (self.n_bytes / self.n_rows.max(1)).max(1);
        *self = Self::default();
        (PAGE_BYTES / row).clamp(1, PAGE_ROWS_MAX)
    }
}

/// A stream on its way.
struct Run<P> {
    encoder: Encoder,
    rows: std::vec::IntoIter<Vec<Value>>,
    more: Option<(String, Asking<P>)>,
    page: PageSize,
    sent: RowsSent,
    has_ended: bool,
}

impl<P: Rows> Run<P> {
    async fn step(self) -> Result<Option<(Bytes, Self)>, StreamError> {
        self.advance().await.inspect_err(|error| {
            tracing::error!(%error, "a stream of rows was cut");
        })
    }

    async fn advance(mut self) -> Result<Option<(Bytes, Self)>, StreamError> {
        loop {
            let rows: Vec<Vec<Value>> = self.rows.by_ref().take(ROWS_AT_ONCE).collect();
            if !rows.is_empty() {
                let bytes = self.encoder.rows(&rows)?;
                self.page.n_rows += rows.len();
                self.page.n_bytes += bytes.len();
                self.sent.0.fetch_add(rows.len() as u64, Ordering::Relaxed);
                return Ok(Some((bytes.into(), self)));
            }
            if let Some((cursor, ask)) = self.more.take() {
                let page = ask(self.page.next(), Some(cursor)).await?;
                let next = page.next().map(String::from);
                self.more = next.map(|cursor| (cursor, ask));
                self.rows = page.table().rows.into_iter();
                continue;
            }
            if self.has_ended {
                return Ok(None);
            }
            self.has_ended = true;
            let end = self.encoder.end()?;
            if !end.is_empty() {
                return Ok(Some((end.into(), self)));
            }
        }
    }
}

/// No page at all, for answers that are whole.
enum Never {}

impl Rows for Never {
    fn json(self) -> impl Serialize + Send {}

    fn table(self) -> Table {
        match self {}
    }

    fn next(&self) -> Option<&str> {
        match *self {}
    }

    fn as_of(&self) -> &AsOf {
        match *self {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_has_ascii_only_and_reads_back() {
        let value = json!({"name": "群聊 🐟", "line": "a\nb", "n": 1});
        let told = ascii(&value);
        assert!(told.bytes().all(|b| (0x20..0x7f).contains(&b)), "{told}");
        assert_eq!(serde_json::from_str::<Value>(&told).unwrap(), value);
    }

    #[test]
    fn pages_of_long_rows_stay_small_and_those_of_short_ones_are_few() {
        let page = |n_rows, n_bytes| PageSize { n_rows, n_bytes }.next();
        assert_eq!(page(2_000, 2_000 * 64 * 1024), 128);
        assert_eq!(page(2_000, 2_000 * 200), 41_943);
        assert_eq!(page(2_000, 2_000 * 20), PAGE_ROWS_MAX);
        assert_eq!(page(1, 1 << 30), 1);
        assert_eq!(page(0, 0), PAGE_ROWS_MAX);
    }
}
