//! Who asks: a bearer token, looked up by its hash, becomes a [`Scope`]. There is no other way to
//! get one over HTTP.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use huicun_engine::access::{DataScope, Scope};
use huicun_engine::state::tokens;

use super::problem::Problem;
use super::server::Api;
use crate::queries::archive::now_ms;

/// An authenticated caller.
pub struct Caller {
    /// Whose data he may see.
    pub scope: Scope,
}

impl FromRequestParts<Arc<Api>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Problem> {
        let secret = parts
            .headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, secret)| secret.trim())
            .ok_or_else(Problem::unauthenticated)?;
        let granted = granted(api, secret)?.ok_or_else(Problem::unauthenticated)?;
        if granted == DataScope::All {
            let scope = Scope::of_caller(&granted, |_| false, |_| Vec::new());
            return Ok(Self { scope });
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
        Ok(Self { scope })
    }
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
