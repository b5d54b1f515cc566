//! The routes of exports, the download centre (下载中心, manual 9.1.2). A caller sees his own jobs
//! only; another's is answered as one that does not exist.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use huicun_engine::access::Function;
use huicun_engine::state::exports::{Export, NewExport};
use serde::Serialize;
use serde_json::Value;

use super::audit::Handed;
use super::auth::Caller;
use super::export_worker::file_of;
use super::format;
use super::media::answer;
use super::params::Params;
use super::problem::Problem;
use super::server::Api;
use crate::exports::{ExportError, ExportRequest, Format, both, owner_of, still_sees};
use crate::queries::QuestionError;
use crate::queries::archive::{AsOf, now_ms};
use crate::queries::media::MediaFile;
use crate::queries::page::Place;

/// Jobs of one owner that are not finished.
const OPEN_MAX: u64 = 20;
/// Bytes of a request.
const REQUEST_BYTES_MAX: usize = 256 * 1024;

/// An export job.
#[derive(Serialize, utoipa::ToSchema)]
pub struct ExportItem {
    /// Its id.
    id: String,
    /// `search`, `conversation`, `media` or `report`.
    what: String,
    /// Its format.
    format: String,
    /// What was asked for.
    #[schema(value_type = Object)]
    request: Value,
    /// The version of `messages` after which nothing is taken; of a report, the one at which it was
    /// asked for.
    messages_version: u64,
    /// `queued`, `running`, `done`, `failed`, `cancelled` or `expired`.
    state: String,
    /// Messages, or steps of a report, that are done.
    n_done: u64,
    /// Of how many; null while nobody knows.
    n_total: Option<u64>,
    /// Why it failed: `caller_gone`, `forbidden`, `not_found`, `parameter`, `keeps_changing`,
    /// `as_of_gone`, `index_behind`, `too_many_rows`, `disk_full`, `audit_unavailable`, `gave_up` or
    /// `internal`.
    reason: Option<String>,
    /// The same for people.
    detail: Option<String>,
    /// RFC 3339.
    created_at: String,
    /// RFC 3339.
    started_at: Option<String>,
    /// RFC 3339.
    finished_at: Option<String>,
    /// When the file goes, RFC 3339.
    expires_at: Option<String>,
    /// The name of the file.
    file_name: String,
    /// Bytes of the file.
    bytes: Option<u64>,
    /// SHA-256 of the file.
    sha256: Option<String>,
    /// Rows in the file: messages, files of messages, or lines of a report.
    rows: Option<u64>,
    /// From which versions the file was made, with the holes of its period.
    #[schema(value_type = Option<Object>)]
    as_of: Option<Value>,
}

/// A page of jobs.
#[derive(Serialize, utoipa::ToSchema)]
pub struct ExportList {
    /// The caller's jobs, newest first.
    items: Vec<ExportItem>,
    /// Give it as `cursor` for the next page; null at the end.
    next: Option<String>,
    /// From which versions the answer was made.
    as_of: AsOf,
}

fn item(api: &Api, job: Export) -> ExportItem {
    let zone = api.archive.zone();
    let at = |ms: i64| zone.rfc3339_ms(ms);
    let made = job.made.as_ref();
    ExportItem {
        request: serde_json::from_str(&job.request).unwrap_or_default(),
        created_at: at(job.created_at_ms),
        started_at: job.started_at_ms.map(at),
        finished_at: job.finished_at_ms.map(at),
        expires_at: job.expires_at_ms.map(at),
        bytes: made.map(|made| made.n_bytes),
        sha256: made.map(|made| made.sha256.clone()),
        rows: made.map(|made| made.n_rows),
        as_of: made.and_then(|made| serde_json::from_str(&made.as_of).ok()),
        id: job.id,
        what: job.what,
        format: job.format,
        messages_version: job.messages_version,
        state: job.state,
        n_done: job.n_done,
        n_total: job.n_total,
        reason: job.reason,
        detail: job.detail,
        file_name: job.file_name,
    }
}

fn failed(error: ExportError) -> Problem {
    match error {
        ExportError::Question(error) => error.into(),
        ExportError::Forbidden => Problem::forbidden(error.to_string()),
        other => Problem::internal(&other),
    }
}

/// The job of an id, if it is the caller's own.
fn own(api: &Api, caller: &Caller, id: &str) -> Result<Export, Problem> {
    let job = api
        .state
        .export(id)
        .map_err(|error| Problem::internal(&error))?;
    let key = owner_of(&caller.known).key();
    job.filter(|job| job.owner.key() == key).ok_or_else(|| {
        Problem::from(QuestionError::NotFound {
            what: "export",
            id: id.into(),
        })
    })
}

/// Queues an export (导出): what a question finds, as a file that can be fetched for seven days. It
/// needs the function of the question beside `exports`.
#[utoipa::path(post, path = "/v1/exports", tag = "exports", request_body = ExportRequest, responses(
    (status = 202, body = ExportItem),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
    (status = 403, body = Problem, content_type = "application/problem+json"),
    (status = 409, body = Problem, content_type = "application/problem+json"),
), security(("token" = [])))]
pub async fn create_export(
    State(api): State<Arc<Api>>,
    caller: Caller,
    params: Params,
    body: Bytes,
) -> Result<(StatusCode, Json<ExportItem>), Problem> {
    params.end()?;
    if body.len() > REQUEST_BYTES_MAX {
        let told = format!("a request for an export has at most {REQUEST_BYTES_MAX} bytes");
        return Err(Problem::parameter(told));
    }
    let request: ExportRequest = serde_json::from_slice(&body)
        .map_err(|error| Problem::parameter(format!("the request cannot be read: {error}")))?;
    let plan = request.plan(&api.archive)?;
    let function = plan.function();
    if both(&caller.known, function).is_err() {
        let refusal = huicun_engine::access::Forbidden(function);
        return Err(Problem::forbidden(refusal.to_string()));
    }
    let messages_version = plan.version(&api.archive)?;
    let text = serde_json::to_string(&request).map_err(|error| Problem::internal(&error))?;
    let new = NewExport {
        owner: &owner_of(&caller.known),
        what: &request.what,
        format: plan.format.as_str(),
        request: &text,
        messages_version,
        file_name: &plan.file_name(),
    };
    let job = api
        .state
        .create_export(&new, OPEN_MAX, now_ms())
        .map_err(|error| Problem::internal(&error))?;
    let job = job.ok_or_else(|| {
        let told = format!("you have {OPEN_MAX} exports that are not finished; cancel one or wait");
        Problem::new(StatusCode::CONFLICT, "too_many_exports", told)
    })?;
    api.exports.notify_one();
    Ok((StatusCode::ACCEPTED, Json(item(&api, job))))
}

/// The caller's exports, newest first; they are listed for thirty days.
#[utoipa::path(get, path = "/v1/exports", tag = "exports", params(
    ("limit" = Option<usize>, Query, description = "rows of the page, 1 to 1000; 100 if missing"),
    ("cursor" = Option<String>, Query, description = "`next` of the page before"),
), responses(
    (status = 200, body = ExportList),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
    (status = 403, body = Problem, content_type = "application/problem+json"),
), security(("token" = [])))]
pub async fn list_exports(
    State(api): State<Arc<Api>>,
    caller: Caller,
    mut params: Params,
) -> Result<Json<ExportList>, Problem> {
    let limit = params.limit(format::Format::Json)?;
    let cursor = params.one("cursor")?;
    params.end()?;
    let before = cursor.map(|token| Place::of_token(&token)).transpose()?;
    let before = before.as_ref().map(|place| place.text.as_str());
    let mut jobs = api
        .state
        // One more tells whether there is a next page.
        .exports_of(&owner_of(&caller.known), before, limit + 1)
        .map_err(|error| Problem::internal(&error))?;
    let has_more = jobs.len() > limit;
    jobs.truncate(limit);
    let next = jobs.last().filter(|_| has_more).map(|job| {
        Place {
            first: 0,
            second: 0,
            text: job.id.clone(),
        }
        .to_token()
    });
    Ok(Json(ExportList {
        items: jobs.into_iter().map(|job| item(&api, job)).collect(),
        next,
        as_of: api.archive.as_of_now(),
    }))
}

/// An export of the caller: how far it is, or what came of it.
#[utoipa::path(get, path = "/v1/exports/{id}", tag = "exports", params(
    ("id" = String, Path, description = "the export's id"),
), responses(
    (status = 200, body = ExportItem),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
    (status = 403, body = Problem, content_type = "application/problem+json"),
    (status = 404, body = Problem, content_type = "application/problem+json"),
), security(("token" = [])))]
pub async fn get_export(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<String>,
    params: Params,
) -> Result<Json<ExportItem>, Problem> {
    params.end()?;
    let job = own(&api, &caller, &id)?;
    Ok(Json(item(&api, job)))
}

/// Cancels an export that is not finished; one that is stays as it is.
#[utoipa::path(post, path = "/v1/exports/{id}/cancel", tag = "exports", params(
    ("id" = String, Path, description = "the export's id"),
), responses(
    (status = 200, body = ExportItem),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
    (status = 403, body = Problem, content_type = "application/problem+json"),
    (status = 404, body = Problem, content_type = "application/problem+json"),
), security(("token" = [])))]
pub async fn cancel_export(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<String>,
    params: Params,
) -> Result<Json<ExportItem>, Problem> {
    params.end()?;
    let job = own(&api, &caller, &id)?;
    api.state
        .cancel_export(&job.id, now_ms())
        .map_err(|error| Problem::internal(&error))?;
    let job = own(&api, &caller, &id)?;
    Ok(Json(item(&api, job)))
}

/// The file of a finished export; `Range` and `If-None-Match` are understood. Whoever no longer sees
/// all whose data may be in it is refused.
#[utoipa::path(get, path = "/v1/exports/{id}/file", tag = "exports", params(
    ("id" = String, Path, description = "the export's id"),
), responses(
    (status = 200, description = "the file", content_type = "*/*"),
    (status = 206, description = "the range asked for", content_type = "*/*"),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
    (status = 403, body = Problem, content_type = "application/problem+json"),
    (status = 404, body = Problem, content_type = "application/problem+json"),
    (status = 409, body = Problem, content_type = "application/problem+json"),
    (status = 410, body = Problem, content_type = "application/problem+json"),
    (status = 416, body = Problem, content_type = "application/problem+json"),
), security(("token" = [])))]
pub async fn get_export_file(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    params: Params,
) -> Result<Response, Problem> {
    params.end()?;
    let job = own(&api, &caller, &id)?;
    let gone = || {
        let told = "the file of this export was kept for seven days and is gone; make it anew";
        Problem::new(StatusCode::GONE, "export_expired", told)
    };
    let made = match (job.state.as_str(), &job.made) {
        ("expired", _) => return Err(gone()),
        ("done", Some(_)) if job.expires_at_ms.is_some_and(|at| at <= now_ms()) => {
            return Err(gone());
        }
        ("done", Some(made)) => made,
        (state, _) => {
            let told = format!("this export has no file: it is {state}");
            return Err(Problem::new(StatusCode::CONFLICT, "export_not_done", told));
        }
    };
    let request: ExportRequest =
        serde_json::from_str(&job.request).map_err(|error| Problem::internal(&error))?;
    let function = request.function().unwrap_or(Function::Exports);
    let scope = both(&caller.known, function).map_err(failed)?;
    if !still_sees(&scope, &made.employees) {
        return Err(Problem::forbidden(
            "you no longer see everybody whose data may be in this file; make it anew",
        ));
    }
    let path = file_of(&api.archive.home().exports(), &job);
    let mime = Format::named(&job.format).map_or("application/octet-stream", Format::mime);
    let handed = Handed {
        n_rows: made.n_rows,
        sha256: made.sha256.clone(),
        n_bytes: made.n_bytes,
    };
    let file = MediaFile {
        path,
        size: made.n_bytes,
        mime,
        is_inline: false,
        name: job.file_name.clone(),
        tag: made.sha256.clone(),
        flags: String::new(),
    };
    let mut response = answer(&file, &headers).await?.into_response();
    response.extensions_mut().insert(handed);
    Ok(response)
}
