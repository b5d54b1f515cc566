//! Saved searches (保存的搜索). A caller has his own only; there is no sharing but by the `link`,
//! which carries the whole search and answers everybody within his own scope.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use huicun_engine::state::saved_searches::{SAVED_SEARCHES_MAX, SavedSearch};
use serde::{Deserialize, Serialize};

use super::auth::Caller;
use super::params::Params;
use super::problem::Problem;
use super::server::Api;
use crate::queries::QuestionError;
use crate::queries::archive::{AsOf, now_ms};
use crate::queries::saved_searches::{Saved, SavedParams, check, link_of};

/// What to save.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SaveRequest {
    /// What the owner calls it.
    name: String,
    /// The search.
    search: Saved,
}

/// A saved search.
#[derive(Serialize, utoipa::ToSchema)]
pub struct SavedItem {
    /// Its id.
    id: String,
    /// What the owner calls it.
    name: String,
    /// The search.
    search: Saved,
    /// The search as an address of this server: all of it, to be asked or handed on.
    link: String,
    /// When it was saved, RFC 3339 in the company's zone.
    created_at: String,
    /// When it was last changed.
    updated_at: String,
}

/// A saved search with the stamp of the answer.
#[derive(Serialize, utoipa::ToSchema)]
pub struct SavedAnswer {
    /// The search.
    #[serde(flatten)]
    item: SavedItem,
    /// From which versions the answer was made.
    as_of: AsOf,
}

/// Saved searches.
#[derive(Serialize, utoipa::ToSchema)]
pub struct SavedList {
    /// The caller's own, by name.
    items: Vec<SavedItem>,
    /// Always null: the answer is whole.
    next: Option<String>,
    /// From which versions the answer was made.
    as_of: AsOf,
}

fn item(api: &Api, saved: SavedSearch) -> SavedItem {
    let at = |ms: i64| api.archive.zone().rfc3339_ms(ms);
    SavedItem {
        search: Saved::of_query(&saved.query),
        link: link_of(&saved.query),
        created_at: at(saved.created_at_ms),
        updated_at: at(saved.updated_at_ms),
        id: saved.id,
        name: saved.name,
    }
}

fn answer(api: &Api, saved: SavedSearch) -> SavedAnswer {
    SavedAnswer {
        item: item(api, saved),
        as_of: api.archive.as_of_now(),
    }
}

/// What a body asks to save, if a search can be made of it.
fn wanted(api: &Api, body: &Bytes) -> Result<SavedParams, Problem> {
    let request: SaveRequest = serde_json::from_slice(body)
        .map_err(|e| Problem::parameter(format!("expected `name` and `search` as JSON: {e}")))?;
    Ok(check(&api.archive, &request.name, &request.search)?)
}

fn absent(id: String) -> Problem {
    QuestionError::NotFound {
        what: "saved search",
        id,
    }
    .into()
}

/// The caller's saved searches.
#[utoipa::path(get, path = "/v1/searches", tag = "messages", responses(
    (status = 200, body = SavedList),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
), security(("token" = [])))]
pub async fn list_searches(
    State(api): State<Arc<Api>>,
    caller: Caller,
    params: Params,
) -> Result<Json<SavedList>, Problem> {
    params.end()?;
    let owner = caller.known.owner();
    let saved = api.state.saved_searches(Some(&owner));
    let saved = saved.map_err(QuestionError::from)?.into_iter();
    Ok(Json(SavedList {
        items: saved.map(|saved| item(&api, saved)).collect(),
        next: None,
        as_of: api.archive.as_of_now(),
    }))
}

/// Save a search. It belongs to the employee for whom the caller acts, else to the caller's token or
/// subject.
#[utoipa::path(post, path = "/v1/searches", tag = "messages", request_body = SaveRequest, responses(
    (status = 201, body = SavedAnswer),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
    (status = 409, body = Problem, content_type = "application/problem+json"),
), security(("token" = [])))]
pub async fn save_search(
    State(api): State<Arc<Api>>,
    caller: Caller,
    params: Params,
    body: Bytes,
) -> Result<(StatusCode, Json<SavedAnswer>), Problem> {
    params.end()?;
    let wanted = wanted(&api, &body)?;
    let owner = caller.known.owner();
    let saved = api
        .state
        .save_search(&owner, &wanted.name, &wanted.query, now_ms());
    let saved = saved.map_err(QuestionError::from)?.ok_or_else(|| {
        let detail = format!("{SAVED_SEARCHES_MAX} searches are saved already; delete one first");
        Problem::new(StatusCode::CONFLICT, "too_many_searches", detail)
    })?;
    Ok((StatusCode::CREATED, Json(answer(&api, saved))))
}

/// A saved search of the caller's own.
#[utoipa::path(get, path = "/v1/searches/{id}", tag = "messages",
    params(("id" = String, Path, description = "its id")),
    responses(
        (status = 200, body = SavedAnswer),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    ), security(("token" = [])))]
pub async fn get_search(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<String>,
    params: Params,
) -> Result<Json<SavedAnswer>, Problem> {
    params.end()?;
    let found = api.state.saved_search(Some(&caller.known.owner()), &id);
    let found = found
        .map_err(QuestionError::from)?
        .ok_or_else(|| absent(id))?;
    Ok(Json(answer(&api, found)))
}

/// Give a saved search another name and other parameters.
#[utoipa::path(put, path = "/v1/searches/{id}", tag = "messages",
    params(("id" = String, Path, description = "its id")),
    request_body = SaveRequest,
    responses(
        (status = 200, body = SavedAnswer),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    ), security(("token" = [])))]
pub async fn change_search(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<String>,
    params: Params,
    body: Bytes,
) -> Result<Json<SavedAnswer>, Problem> {
    params.end()?;
    let wanted = wanted(&api, &body)?;
    let owner = caller.known.owner();
    let fresh = (wanted.name.as_str(), wanted.query.as_str());
    let changed = api.state.change_search(&owner, &id, fresh, now_ms());
    if !changed.map_err(QuestionError::from)? {
        return Err(absent(id));
    }
    let found = api.state.saved_search(Some(&owner), &id);
    let found = found
        .map_err(QuestionError::from)?
        .ok_or_else(|| absent(id))?;
    Ok(Json(answer(&api, found)))
}

/// Delete a saved search.
#[utoipa::path(delete, path = "/v1/searches/{id}", tag = "messages",
    params(("id" = String, Path, description = "its id")),
    responses(
        (status = 204, description = "it is gone"),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    ), security(("token" = [])))]
pub async fn delete_search(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<String>,
    params: Params,
) -> Result<StatusCode, Problem> {
    params.end()?;
    let deleted = api.state.delete_search(Some(&caller.known.owner()), &id);
    match deleted.map_err(QuestionError::from)? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(absent(id)),
    }
}
