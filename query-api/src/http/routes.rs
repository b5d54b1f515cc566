//! The routes under `/v1`: each takes its parameters, asks one question, and wraps the answer.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use huicun_engine::directory::{feed, schema, store};
use huicun_engine::jobs::behaviours::losses_of;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::auth::Caller;
use super::format::Format;
use super::listed::{Rows, about, asking, pages, whole};
use super::params::Params;
use super::problem::Problem;
use super::server::Api;
use crate::answer::Table;
use crate::queries::archive::{AsOf, now_ms};
use crate::queries::behaviours::{
    BehaviourItem, BehaviourPage, BehaviourParams, behaviours as ask_behaviours,
};
use crate::queries::conversation::{ConversationParams, conversation};
use crate::queries::dialogues::{
    DialogueItem, DialoguePage, DialogueParams, dialogues as ask_dialogues,
};
use crate::queries::ledger::{LedgerItem, LedgerPage, LedgerParams, ledger as ask_ledger};
use crate::queries::messages::MessageItem;
use crate::queries::search::MessagePage;
use crate::queries::timeouts::{TimeoutItem, TimeoutPage, TimeoutParams, timeouts as ask_timeouts};
use crate::queries::{QuestionError, sql as sql_question};

/// A page of messages.
#[derive(Serialize, utoipa::ToSchema)]
pub struct MessageList {
    /// The messages.
    items: Vec<MessageItem>,
    /// Give it as `cursor` for the next page; null at the end.
    next: Option<String>,
    /// Conversations: give it as `before` for the page before; null at the beginning, and where
    /// the page was not asked for with `around` or `before`.
    #[serde(skip_serializing_if = "Option::is_none")]
    previous: Option<String>,
    /// Exact number of all matches.
    total: u64,
    /// From which versions the answer was made.
    as_of: AsOf,
}

impl Rows for MessagePage {
    fn json(self) -> impl Serialize + Send {
        MessageList {
            items: self.items,
            next: self.next,
            previous: self.previous,
            total: self.total,
            as_of: self.as_of,
        }
    }

    fn table(self) -> Table {
        let is_highlighted = self.is_highlighted;
        self.into_table(is_highlighted)
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

/// A page of dialogues.
#[derive(Serialize, utoipa::ToSchema)]
pub struct DialogueList {
    /// The dialogues.
    items: Vec<DialogueItem>,
    /// Give it as `cursor` for the next page; null at the end.
    next: Option<String>,
    /// From which versions the answer was made.
    as_of: AsOf,
}

impl Rows for DialoguePage {
    fn json(self) -> impl Serialize + Send {
        DialogueList {
            items: self.items,
            next: self.next,
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

/// Rows whose keys depend on the question.
#[derive(Serialize, utoipa::ToSchema)]
pub struct RowList {
    /// The rows.
    #[schema(value_type = Vec<Object>)]
    items: Vec<Value>,
    /// Always null: these answers are whole.
    next: Option<String>,
    /// From which versions the answer was made.
    as_of: AsOf,
}

impl RowList {
    fn of(table: &Table, as_of: AsOf) -> Self {
        Self {
            items: table.objects(),
            next: None,
            as_of,
        }
    }
}

/// The messages of one conversation, oldest first.
#[utoipa::path(get, path = "/v1/conversations/{id}/messages", tag = "messages", params(
    ("id" = String, Path, description = "the room id, or the two ids joined with `|`"),
    ("from" = Option<String>, Query, description = "first day, YYYY-MM-DD"),
    ("to" = Option<String>, Query, description = "last day, YYYY-MM-DD"),
    ("limit" = Option<usize>, Query, description = "rows of the page, 1 to 1000; 100 if missing"),
    ("cursor" = Option<String>, Query, description = "`next` of the page before"),
    ("before" = Option<String>, Query, description = "`previous` of the page after"),
    ("around" = Option<i64>, Query, description = "the seq of a message: the page in whose middle it stands, with `previous` and `next` to go on from in both directions"),
), responses(
    (status = 200, body = MessageList),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
    (status = 404, body = Problem, content_type = "application/problem+json"),
), security(("token" = [])))]
pub async fn conversation_messages(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<String>,
    format: Format,
    mut params: Params,
) -> Result<Response, Problem> {
    let wanted = params.page(format)?;
    let question = ConversationParams {
        id,
        from: params.one("from")?,
        to: params.one("to")?,
        before: params.one("before")?,
        around: params.integer("around")?,
        ..ConversationParams::default()
    };
    params.end()?;
    if wanted.limit == 0 && (question.before.is_some() || question.around.is_some()) {
        let detail = "all messages (`limit` 0) there are from the beginning or a `cursor` on";
        return Err(Problem::parameter(detail));
    }
    pages(wanted, asking!(api, caller, question, conversation)).await
}

/// Dialogues that started in a period, by start.
#[utoipa::path(get, path = "/v1/dialogues", tag = "figures", params(
    ("from" = Option<String>, Query, description = "first day, YYYY-MM-DD"),
    ("to" = Option<String>, Query, description = "last day, YYYY-MM-DD"),
    ("employee" = Option<Vec<String>>, Query, description = "repeatable"),
    ("department" = Option<Vec<String>>, Query, description = "with everything below; repeatable"),
    ("limit" = Option<usize>, Query, description = "rows of the page, 1 to 1000; 100 if missing"),
    ("cursor" = Option<String>, Query, description = "`next` of the page before"),
), responses(
    (status = 200, body = DialogueList),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
), security(("token" = [])))]
pub async fn dialogues(
    State(api): State<Arc<Api>>,
    caller: Caller,
    format: Format,
    mut params: Params,
) -> Result<Response, Problem> {
    let wanted = params.page(format)?;
    let question = DialogueParams {
        from: params.one("from")?,
        to: params.one("to")?,
        employees: params.list("employee"),
        departments: params.list("department"),
        ..DialogueParams::default()
    };
    params.end()?;
    pages(wanted, asking!(api, caller, question, ask_dialogues)).await
}

/// A page of timeouts.
#[derive(Serialize, utoipa::ToSchema)]
pub struct TimeoutList {
    /// The timeouts.
    items: Vec<TimeoutItem>,
    /// Give it as `cursor` for the next page; null at the end.
    next: Option<String>,
    /// From which versions the answer was made.
    as_of: AsOf,
}

impl Rows for TimeoutPage {
    fn json(self) -> impl Serialize + Send {
        TimeoutList {
            items: self.items,
            next: self.next,
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

/// Timeouts that fired in a period, by time.
#[utoipa::path(get, path = "/v1/timeouts", tag = "figures", params(
    ("from" = Option<String>, Query, description = "first day, YYYY-MM-DD"),
    ("to" = Option<String>, Query, description = "last day, YYYY-MM-DD"),
    ("employee" = Option<Vec<String>>, Query, description = "that name this employee; repeatable"),
    ("department" = Option<Vec<String>>, Query, description = "with everything below; repeatable"),
    ("limit" = Option<usize>, Query, description = "rows of the page, 1 to 1000; 100 if missing"),
    ("cursor" = Option<String>, Query, description = "`next` of the page before"),
), responses(
    (status = 200, body = TimeoutList),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
), security(("token" = [])))]
pub async fn timeouts(
    State(api): State<Arc<Api>>,
    caller: Caller,
    format: Format,
    mut params: Params,
) -> Result<Response, Problem> {
    let wanted = params.page(format)?;
    let question = TimeoutParams {
        from: params.one("from")?,
        to: params.one("to")?,
        employees: params.list("employee"),
        departments: params.list("department"),
        ..TimeoutParams::default()
    };
    params.end()?;
    pages(wanted, asking!(api, caller, question, ask_timeouts)).await
}

/// A page of the ledger.
#[derive(Serialize, utoipa::ToSchema)]
pub struct LedgerList {
    /// The entries, by source and kind.
    items: Vec<LedgerItem>,
    /// Give it as `cursor` for the next page; null at the end.
    next: Option<String>,
    /// From which versions the answer was made.
    as_of: AsOf,
}

impl Rows for LedgerPage {
    fn json(self) -> impl Serialize + Send {
        LedgerList {
            items: self.items,
            next: self.next,
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

/// The completeness ledger: what of each source is in the archive, and what is not. Needs `all`.
#[utoipa::path(get, path = "/v1/ledger", tag = "archive", params(
    ("source" = Option<Vec<String>>, Query, description = "corp or name of an import; repeatable"),
    ("kind" = Option<Vec<String>>, Query, description = "summary, gap, quarantined, media_lost, outage; repeatable"),
    ("from" = Option<String>, Query, description = "first day, YYYY-MM-DD"),
    ("to" = Option<String>, Query, description = "last day, YYYY-MM-DD"),
    ("limit" = Option<usize>, Query, description = "rows of the page, 1 to 1000; 100 if missing"),
    ("cursor" = Option<String>, Query, description = "`next` of the page before"),
), responses(
    (status = 200, body = LedgerList),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
    (status = 403, body = Problem, content_type = "application/problem+json"),
), security(("token" = [])))]
pub async fn ledger(
    State(api): State<Arc<Api>>,
    caller: Caller,
    format: Format,
    mut params: Params,
) -> Result<Response, Problem> {
    let wanted = params.page(format)?;
    let question = LedgerParams {
        sources: params.list("source"),
        kinds: params.list("kind"),
        from: params.one("from")?,
        to: params.one("to")?,
        ..LedgerParams::default()
    };
    params.end()?;
    pages(wanted, asking!(api, caller, question, ask_ledger)).await
}

/// A statement.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SqlRequest {
    /// One SELECT.
    sql: String,
}

/// One read-only SELECT over the documented tables; `table_columns` lists them with all columns. It
/// may take 60 s and answer with 1,000,000 rows.
#[utoipa::path(post, path = "/v1/sql", tag = "figures", request_body = SqlRequest, responses(
    (status = 200, body = RowList),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
    (status = 403, body = Problem, content_type = "application/problem+json"),
), security(("token" = [])))]
pub async fn sql(
    State(api): State<Arc<Api>>,
    caller: Caller,
    format: Format,
    body: Bytes,
) -> Result<Response, Problem> {
    let request: SqlRequest = serde_json::from_slice(&body)
        .map_err(|e| Problem::parameter(format!("expected a JSON object with `sql`: {e}")))?;
    let budget = sql_question::HTTP_BUDGET;
    let asked = sql_question::sql(&caller.scope, &api.archive, &request.sql, budget);
    let (table, as_of) = asked.await?;
    match format {
        Format::Json => Ok(Json(RowList::of(&table, as_of)).into_response()),
        _ => whole(format, table, about(&as_of)),
    }
}

/// What an upsert did.
#[derive(Serialize, utoipa::ToSchema)]
pub struct UpsertAnswer {
    /// The table.
    table: String,
    /// Rows that are new.
    inserted: usize,
    /// Rows whose key was there.
    updated: usize,
    /// Rows now.
    total: usize,
    /// What is odd but was taken: ids that no table knows. Left out where there is nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
    /// From which versions the answer was made.
    as_of: AsOf,
}

/// Upsert rows of a directory table by key; the body is NDJSON.
#[utoipa::path(put, path = "/v1/directory/{table}", tag = "directory",
    params(("table" = String, Path, description = "departments, employees, customers, ...")),
    request_body(content = String, content_type = "application/x-ndjson"),
    responses(
        (status = 200, body = UpsertAnswer),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    ), security(("token" = [])))]
pub async fn put_directory(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(table): Path<String>,
    body: Bytes,
) -> Result<Json<UpsertAnswer>, Problem> {
    if !caller.scope.is_all() {
        let detail = "feeding the directory needs a caller whose scope is `all`";
        return Err(QuestionError::Forbidden(detail).into());
    }
    let spec = schema::table(&table).ok_or(QuestionError::NotFound {
        what: "directory table",
        id: table,
    })?;
    let rows =
        feed::read_ndjson(spec, &body, "body").map_err(|e| QuestionError::Directory(e.into()))?;
    let done = store::upsert(api.archive.home(), rows)
        .await
        .map_err(QuestionError::from)?;
    if spec.name == "relations" {
        // Rules apply to a loss from when it entered (semantics 8).
        let losses = losses_of(api.archive.directory().await?.as_ref());
        let noted = api.state.note_losses(&losses, now_ms());
        noted.map_err(QuestionError::from)?;
    }
    let counts = done.tables.first();
    Ok(Json(UpsertAnswer {
        table: spec.name.into(),
        inserted: counts.map_or(0, |table| table.inserted),
        updated: counts.map_or(0, |table| table.updated),
        total: counts.map_or(0, |table| table.total),
        warnings: done.warnings,
        as_of: api.archive.as_of_now(),
    }))
}

/// A page of behaviours.
#[derive(Serialize, utoipa::ToSchema)]
pub struct BehaviourList {
    /// The behaviours, by time.
    items: Vec<BehaviourItem>,
    /// Give it as `cursor` for the next page; null at the end.
    next: Option<String>,
    /// From which versions the answer was made.
    as_of: AsOf,
}

impl Rows for BehaviourPage {
    fn json(self) -> impl Serialize + Send {
        BehaviourList {
            items: self.items,
            next: self.next,
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

/// Behaviours (敏感行为) that the rules recorded, by time.
#[utoipa::path(get, path = "/v1/behaviours", tag = "figures", params(
    ("from" = Option<String>, Query, description = "first day, YYYY-MM-DD"),
    ("to" = Option<String>, Query, description = "last day, YYYY-MM-DD"),
    ("employee" = Option<Vec<String>>, Query, description = "in a conversation of his; repeatable"),
    ("department" = Option<Vec<String>>, Query, description = "an employee of it or below takes part; repeatable"),
    ("kind" = Option<Vec<String>>, Query, description = "red_packet, card, sensitive_word, friend_deleted; repeatable"),
    ("rule" = Option<Vec<String>>, Query, description = "hit by this word rule; repeatable"),
    ("review" = Option<Vec<String>>, Query, description = "unreviewed, confirmed, false_alarm; repeatable"),
    ("limit" = Option<usize>, Query, description = "rows of the page, 1 to 1000; 100 if missing"),
    ("cursor" = Option<String>, Query, description = "`next` of the page before"),
), responses(
    (status = 200, body = BehaviourList),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
), security(("token" = [])))]
pub async fn behaviours(
    State(api): State<Arc<Api>>,
    caller: Caller,
    format: Format,
    mut params: Params,
) -> Result<Response, Problem> {
    let wanted = params.page(format)?;
    let question = BehaviourParams {
        from: params.one("from")?,
        to: params.one("to")?,
        employees: params.list("employee"),
        departments: params.list("department"),
        kinds: params.list("kind"),
        rules: params.list("rule"),
        reviews: params.list("review"),
        ..BehaviourParams::default()
    };
    params.end()?;
    pages(wanted, asking!(api, caller, question, ask_behaviours)).await
}
