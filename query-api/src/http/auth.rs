//! Who asks, and whether he may: a bearer token, looked up by its hash, or a JWT becomes a caller,
//! and the route's function the [`Scope`] that its question gets. There is no other way to get one over
//! HTTP.

use std::sync::Arc;

use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::http::header::{ALLOW, AUTHORIZATION};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use huicun_engine::access::{Caller as Known, DataScope, Function, Grant, Identity, Scope};
use huicun_engine::directory::Directory;
use huicun_engine::directory::org::OrgAt;
use huicun_engine::state::tokens;

use super::audit;
use super::functions::{Asked, OPEN_PATHS, asked};
use super::jwt::JwtDoor;
use super::problem::Problem;
use super::server::Api;
use crate::queries::QuestionError;
use crate::queries::archive::now_ms;

/// What callers with a token of ours are called.
const TOKEN: &str = "token";

/// An authenticated caller who may ask what he asks.
#[derive(Clone)]
pub struct Caller {
    /// Whose data he may see with the function of this route.
    pub scope: Scope,
    /// The function of this route.
    pub function: Function,
    /// Who he is, and what else he may do.
    pub known: Arc<Known>,
}

impl Caller {
    /// Refuses a caller whose token was revoked, or has expired, since he was admitted: what goes on
    /// for long asks again.
    pub(super) fn check_still_admitted(&self, api: &Api) -> Result<(), QuestionError> {
        let identity = &self.known.identity;
        if identity.kind != TOKEN || api.state.is_token_live(&identity.id, now_ms())? {
            return Ok(());
        }
        Err(QuestionError::Forbidden("the token is not valid any more"))
    }
}

/// Stands before every route, known or not, and before a body is read.
pub async fn admit(
    State(api): State<Arc<Api>>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    if OPEN_PATHS.contains(&request.uri().path()) {
        return Ok(next.run(request).await);
    }
    let known = Arc::new(authenticate(&api, request.headers()).await?);
    // A zone that was set since the server started holds from the next question on.
    api.archive.follow_rules()?;
    let Some(path) = request.extensions().get::<MatchedPath>() else {
        // No route at all, which is the router's to say.
        return Ok(next.run(request).await);
    };
    let function = match asked(request.method(), path.as_str()) {
        Asked::Function(function) => function,
        Asked::OtherMethods(methods) => {
            let allowed = [(ALLOW, methods.join(", "))];
            return Ok((StatusCode::METHOD_NOT_ALLOWED, allowed).into_response());
        }
        Asked::Unlisted => return Err(Problem::forbidden("this route is closed to everybody")),
    };
    let scope = match known.scope(function) {
        Ok(scope) => scope,
        Err(refusal) => {
            let asked = audit::Asked::new(&request, &known, function);
            let problem = Problem::forbidden(refusal.to_string());
            let record = api.audit.record(asked.refused(&problem)).await;
            record.map_err(|_| Problem::audit_unavailable())?;
            return Err(problem);
        }
    };
    request.extensions_mut().insert(Caller {
        scope,
        function,
        known,
    });
    Ok(next.run(request).await)
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let caller = parts.extensions.get::<Self>().cloned();
        caller.ok_or_else(Problem::unauthenticated)
    }
}

async fn authenticate(api: &Api, headers: &HeaderMap) -> Result<Known, Problem> {
    let secret = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, secret)| secret.trim())
        .ok_or_else(Problem::unauthenticated)?;
    let known = match &api.jwt {
        Some(door) if looks_like_jwt(secret) => of_jwt(door, secret),
        _ => of_token(api, secret)?,
    };
    let (identity, grant) = known.ok_or_else(Problem::unauthenticated)?;
    let sees_all = grant.roles.iter().all(|role| role.scope == DataScope::All);
    let directory = match sees_all {
        true => Arc::new(Directory::default()),
        false => api.archive.directory().await?,
    };
    let org = OrgAt {
        directory: &directory,
        at_ms: now_ms(),
    };
    Ok(Known::new(identity, grant, &org))
}

/// Three parts joined with points; a token of ours has none.
fn looks_like_jwt(secret: &str) -> bool {
    secret.bytes().filter(|byte| *byte == b'.').count() == 2
}

fn of_jwt(door: &JwtDoor, token: &str) -> Option<(Identity, Grant)> {
    let admitted = door.admit(token, now_ms());
    // Not told to who came with it: it would help only somebody who makes one up.
    admitted
        .inspect_err(|reason| tracing::debug!(reason, "a JWT was refused"))
        .ok()
}

fn of_token(api: &Api, secret: &str) -> Result<Option<(Identity, Grant)>, Problem> {
    // Hashes are compared, so the time taken tells nothing about the secret.
    if api.session_token == Some(tokens::hash(secret)) {
        let identity = Identity {
            kind: "one_time",
            id: String::new(),
            name: String::new(),
        };
        return Ok(Some((identity, Grant::everything())));
    }
    let token = api
        .state
        .token_of(secret, now_ms())
        .map_err(|error| Problem::internal(&error))?;
    Ok(token.map(|token| {
        let identity = Identity {
            kind: TOKEN,
            id: token.id.clone(),
            name: token.name.clone(),
        };
        (identity, token.grant())
    }))
}
