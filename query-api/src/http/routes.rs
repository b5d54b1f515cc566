//! The routes under `/v1`: each takes its parameters, asks one question, and wraps the answer.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use huicun_engine::directory::{Directory, feed, schema, store};
use huicun_engine::jobs::behaviours::losses_of;
use huicun_engine::state::StateError;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::auth::Caller;
use super::params::Params;
use super::problem::Problem;
use super::server::Api;
use crate::answer::Table;
use crate::queries::archive::{AsOf, now_ms};
use crate::queries::behaviours::{BehaviourItem, BehaviourParams, behaviours as ask_behaviours};
use crate::queries::conversation::{ConversationParams, conversation};
use crate::queries::dialogues::{DialogueItem, DialogueParams, dialogues as ask_dialogues};
use crate::queries::ledger::{LedgerItem, LedgerParams, ledger as ask_ledger};
use crate::queries::messages::MessageItem;
use crate::queries::search::MessagePage;
use crate::queries::timeouts::{TimeoutItem, TimeoutParams, timeouts as ask_timeouts};
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

impl From<MessagePage> for MessageList {
    fn from(page: MessagePage) -> Self {
        Self {
            items: page.items,
            next: page.next,
            previous: page.previous,
            total: page.total,
            as_of: page.as_of,
        }
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
    mut params: Params,
) -> Result<Json<MessageList>, Problem> {
    let question = ConversationParams {
        id,
        from: params.one("from")?,
        to: params.one("to")?,
        limit: params.limit()?,
        cursor: params.one("cursor")?,
        before: params.one("before")?,
        around: params.integer("around")?,
    };
    params.end()?;
    let page = conversation(&caller.scope, &api.archive, &question).await?;
    Ok(Json(page.into()))
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
    mut params: Params,
) -> Result<Json<DialogueList>, Problem> {
    let question = DialogueParams {
        from: params.one("from")?,
        to: params.one("to")?,
        employees: params.list("employee"),
        departments: params.list("department"),
        limit: params.limit()?,
        cursor: params.one("cursor")?,
    };
    params.end()?;
    let page = ask_dialogues(&caller.scope, &api.archive, &question).await?;
    Ok(Json(DialogueList {
        items: page.items,
        next: page.next,
        as_of: page.as_of,
    }))
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
    mut params: Params,
) -> Result<Json<TimeoutList>, Problem> {
    let question = TimeoutParams {
        from: params.one("from")?,
        to: params.one("to")?,
        employees: params.list("employee"),
        departments: params.list("department"),
        limit: params.limit()?,
        cursor: params.one("cursor")?,
    };
    params.end()?;
    let page = ask_timeouts(&caller.scope, &api.archive, &question).await?;
    Ok(Json(TimeoutList {
        items: page.items,
        next: page.next,
        as_of: page.as_of,
    }))
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
    mut params: Params,
) -> Result<Json<LedgerList>, Problem> {
    let question = LedgerParams {
        sources: params.list("source"),
        kinds: params.list("kind"),
        from: params.one("from")?,
        to: params.one("to")?,
        limit: params.limit()?,
        cursor: params.one("cursor")?,
    };
    params.end()?;
    let page = ask_ledger(&caller.scope, &api.archive, &question).await?;
    Ok(Json(LedgerList {
        items: page.items,
        next: page.next,
        as_of: page.as_of,
    }))
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
    body: Bytes,
) -> Result<Json<RowList>, Problem> {
    let request: SqlRequest = serde_json::from_slice(&body)
        .map_err(|e| Problem::parameter(format!("expected a JSON object with `sql`: {e}")))?;
    let budget = sql_question::HTTP_BUDGET;
    let asked = sql_question::sql(&caller.scope, &api.archive, &request.sql, budget);
    let (table, as_of) = asked.await?;
    Ok(Json(RowList::of(&table, as_of)))
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
    mut params: Params,
) -> Result<Json<BehaviourList>, Problem> {
    let question = BehaviourParams {
        from: params.one("from")?,
        to: params.one("to")?,
        employees: params.list("employee"),
        departments: params.list("department"),
        kinds: params.list("kind"),
        rules: params.list("rule"),
        reviews: params.list("review"),
        limit: params.limit()?,
        cursor: params.one("cursor")?,
    };
    params.end()?;
    let page = ask_behaviours(&caller.scope, &api.archive, &question).await?;
    Ok(Json(BehaviourList {
        items: page.items,
        next: page.next,
        as_of: page.as_of,
    }))
}

/// The rules in force.
#[derive(Serialize, utoipa::ToSchema)]
pub struct RulesAnswer {
    /// The version; 0 are the defaults.
    version: i64,
    /// All rules, as a rules file (TOML).
    toml: String,
    /// What is allowed but most likely not meant.
    warnings: Vec<String>,
}

fn rules_answer(api: &Api, directory: &Directory) -> Result<Json<RulesAnswer>, Problem> {
    let (version, rules) = api.state.rules().map_err(QuestionError::from)?;
    let warnings = rules.warnings(
        |id| directory.employees.contains_key(id),
        |id| directory.departments.contains_key(id),
    );
    Ok(Json(RulesAnswer {
        version,
        toml: rules.to_toml(),
        warnings,
    }))
}

fn need_all(caller: &Caller) -> Result<(), Problem> {
    if caller.scope.is_all() {
        return Ok(());
    }
    let detail = "rules need a caller whose scope is `all`";
    Err(QuestionError::Forbidden(detail).into())
}

/// The rules in force, as a file. Needs `all`.
#[utoipa::path(get, path = "/v1/rules", tag = "rules", responses(
    (status = 200, body = RulesAnswer),
    (status = 401, body = Problem, content_type = "application/problem+json"),
    (status = 403, body = Problem, content_type = "application/problem+json"),
), security(("token" = [])))]
pub async fn get_rules(
    State(api): State<Arc<Api>>,
    caller: Caller,
    params: Params,
) -> Result<Json<RulesAnswer>, Problem> {
    params.end()?;
    need_all(&caller)?;
    let directory = api.archive.directory().await?;
    rules_answer(&api, &directory)
}

/// Replace the sections that the body (TOML) names; answers with all rules. Needs `all`.
#[utoipa::path(put, path = "/v1/rules", tag = "rules",
    request_body(content = String, content_type = "application/toml"),
    responses(
        (status = 200, body = RulesAnswer),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
    ), security(("token" = [])))]
pub async fn put_rules(
    State(api): State<Arc<Api>>,
    caller: Caller,
    params: Params,
    body: Bytes,
) -> Result<Json<RulesAnswer>, Problem> {
    params.end()?;
    need_all(&caller)?;
    let text = std::str::from_utf8(&body).map_err(|_| Problem::parameter("the body is no text"))?;
    let who = &caller.known.identity;
    let who = match who.name.as_str() {
        "" => who.kind,
        name => name,
    };
    let applied = api.state.apply_rules_as(text, now_ms(), Some(who));
    match applied {
        Err(StateError::BadRules(told)) => {
            Err(Problem::new(StatusCode::BAD_REQUEST, "rules", told))
        }
        Err(error) => Err(QuestionError::from(error).into()),
        Ok(_) => {
            let directory = api.archive.directory().await?;
            rules_answer(&api, &directory)
        }
    }
}
