//! Who asks: a bearer token, looked up by its hash, becomes a [`Scope`]. There is no other way to
//! get one over HTTP.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;
use huicun_engine::access::{DataScope, Scope};
use huicun_engine::state::tokens;

use super::problem::Problem;
use super::server::Api;
use crate::queries::archive::now_ms;

/// What answers without a token: it tells nothing of anybody. The callback's caller is WeCom, whose
/// signature is checked there.
const OPEN_PATHS: [&str; 4] = [
    "/healthz",
    "/readyz",
    "/openapi.json",
    super::callback::PATH,
];

/// An authenticated caller.
#[derive(Clone)]
pub struct Caller {
    /// Whose data he may see.
    pub scope: Scope,
}

/// Stands before every route, known or not, and before a body is read.
pub async fn require_token(
    State(api): State<Arc<Api>>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    if !OPEN_PATHS.contains(&request.uri().path()) {
        let caller = authenticate(&api, request.headers()).await?;
        // A zone that was set since the server started holds from the next question on.
        api.archive.follow_rules()?;
        request.extensions_mut().insert(caller);
    }
    Ok(next.run(request).await)
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let caller = parts.extensions.get::<Self>().cloned();
        caller.ok_or_else(Problem::unauthenticated)
    }
}

async fn authenticate(api: &Api, headers: &HeaderMap) -> Result<Caller, Problem> {
    let secret = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, secret)| secret.trim())
        .ok_or_else(Problem::unauthenticated)?;
    let granted = granted(api, secret)?.ok_or_else(Problem::unauthenticated)?;
    if granted == DataScope::All {
        let scope = Scope::of_caller(&granted, |_| false, |_| Vec::new());
        return Ok(Caller { scope });
    }
    let directory = api.archive.directory().await?;
    let is_employee = |id: &str| directory.employees.contains_key(id);
    let scope = Scope::of_caller(&granted, is_employee, |id| {
        let below = directory.departments_below(id);
        let now = now_ms();
        directory
            .employees
            .keys()
            .filter(|userid| directory.was_in(userid, &below, now))
            .cloned()
            .collect()
    });
    Ok(Caller { scope })
}

fn granted(api: &Api, secret: &str) -> Result<Option<DataScope>, Problem> {
    // Hashes are compared, so the time taken tells nothing about the secret.
    if api.session_token == Some(tokens::hash(secret)) {
        return Ok(Some(DataScope::All));
    }
    let token = api
        .state
        .token_of(secret, now_ms())
        .map_err(|error| Problem::internal(&error))?;
    Ok(token.map(|token| token.scope))
}
