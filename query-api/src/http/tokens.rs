//! The routes of API tokens. A caller sees, makes and revokes only tokens that hold no more than he
//! holds himself, function by function (`Grant::check_covers`).

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use huicun_engine::access::{DataScope, Function, Grant, Role};
use huicun_engine::state::tokens::{NewToken, Token};
use serde::{Deserialize, Serialize};

use super::auth::Caller;
use super::params::Params;
use super::problem::Problem;
use super::server::Api;
use crate::queries::QuestionError;
use crate::queries::archive::{AsOf, now_ms};

/// Characters of a token's name.
const NAME_CHARACTERS_MAX: usize = 200;
/// Roles of a token.
const ROLES_MAX: usize = 20;
/// Days until a token expires.
const EXPIRES_DAYS_MAX: u32 = 36_500;
const DAY_MS: i64 = 86_400_000;

/// Functions and whose data they are for.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RoleText {
    /// Names of functions, such as `messages.search`.
    functions: Vec<String>,
    /// all, self, departments_below, employee:ID,... or department:ID,...
    scope: String,
}

/// A token without its secret.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct TokenItem {
    /// Its id.
    id: String,
    /// What it is for.
    name: String,
    /// What it opens.
    roles: Vec<RoleText>,
    /// The employee whom its holder acts for.
    employee: Option<String>,
    /// RFC 3339.
    created_at: String,
    /// RFC 3339; null for never.
    expires_at: Option<String>,
    /// RFC 3339.
    revoked_at: Option<String>,
}

/// Tokens.
#[derive(Serialize, utoipa::ToSchema)]
pub struct TokenList {
    /// The tokens, oldest first.
    items: Vec<TokenItem>,
    /// Always null: the answer is whole.
    next: Option<String>,
    /// From which versions the answer was made.
    as_of: AsOf,
}

/// A new token with its secret.
#[derive(Serialize, utoipa::ToSchema)]
pub struct NewTokenAnswer {
    /// The secret; it is shown only now.
    token: String,
    /// The token.
    #[serde(flatten)]
    item: TokenItem,
    /// From which versions the answer was made.
    as_of: AsOf,
}

/// What to make.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenRequest {
    /// What it is for.
    name: String,
    /// What it opens; each function only for the data of the roles that hold it.
    roles: Vec<RoleText>,
    /// The employee whom its holder acts for; `self` and `departments_below` need one.
    employee: Option<String>,
    /// Days until it expires; never if left out.
    expires_days: Option<u32>,
}

fn item(api: &Api, token: Token) -> TokenItem {
    let at = |ms: i64| api.archive.zone().rfc3339_ms(ms);
    let roles = token.roles.iter().map(|role| RoleText {
        functions: role.functions.iter().map(|f| f.as_str().into()).collect(),
        scope: role.scope.to_string(),
    });
    TokenItem {
        roles: roles.collect(),
        employee: token.employee,
        created_at: at(token.created_at_ms),
        expires_at: token.expires_at_ms.map(at),
        revoked_at: token.revoked_at_ms.map(at),
        id: token.id,
        name: token.name,
    }
}

fn role(text: &RoleText) -> Result<Role, Problem> {
    let functions: Result<_, _> = text
        .functions
        .iter()
        .map(|f| f.parse::<Function>())
        .collect();
    let scope: DataScope = text
        .scope
        .parse()
        .map_err(|e: String| Problem::parameter(e))?;
    let role = Role {
        functions: functions.map_err(|e| Problem::parameter(e.to_string()))?,
        scope,
    };
    match role.functions.is_empty() {
        true => Err(Problem::parameter("a role without functions opens nothing")),
        false => Ok(role),
    }
}

/// What a request asks for, if it makes sense.
fn wanted(request: &TokenRequest) -> Result<Grant, Problem> {
    let length = request.name.chars().count();
    if length == 0 || length > NAME_CHARACTERS_MAX {
        let detail = format!("`name` must have 1 to {NAME_CHARACTERS_MAX} characters");
        return Err(Problem::parameter(detail));
    }
    if request.roles.is_empty() || request.roles.len() > ROLES_MAX {
        let detail = format!("`roles` must have 1 to {ROLES_MAX} entries");
        return Err(Problem::parameter(detail));
    }
    let grant = Grant {
        roles: request.roles.iter().map(role).collect::<Result<_, _>>()?,
        employee: request.employee.clone(),
    };
    let mut scopes = grant.roles.iter().map(|role| &role.scope);
    if grant.employee.is_none() && scopes.any(DataScope::needs_employee) {
        let detail = "`self` and `departments_below` need an `employee`";
        return Err(Problem::parameter(detail));
    }
    if request
        .expires_days
        .is_some_and(|days| days > EXPIRES_DAYS_MAX)
    {
        let detail = format!("`expires_days` is at most {EXPIRES_DAYS_MAX}");
        return Err(Problem::parameter(detail));
    }
    Ok(grant)
}

/// The tokens that hold no more than the caller's own.
#[utoipa::path(get, path = "/v1/tokens", tag = "access", responses(
    (status = 200, body = TokenList),
    (status = 401, body = Problem, content_type = "application/problem+json"),
    (status = 403, body = Problem, content_type = "application/problem+json"),
), security(("token" = [])))]
pub async fn list_tokens(
    State(api): State<Arc<Api>>,
    caller: Caller,
    params: Params,
) -> Result<Json<TokenList>, Problem> {
    params.end()?;
    let tokens = api.state.tokens().map_err(QuestionError::from)?.into_iter();
    let own = tokens.filter(|token| caller.known.grant().check_covers(&token.grant()).is_ok());
    Ok(Json(TokenList {
        items: own.map(|token| item(&api, token)).collect(),
        next: None,
        as_of: api.archive.as_of_now(),
    }))
}

/// Make a token; its secret is in the answer and nowhere else. It can hold only what the caller
/// holds himself.
#[utoipa::path(post, path = "/v1/tokens", tag = "access", request_body = TokenRequest, responses(
    (status = 201, body = NewTokenAnswer),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
    (status = 403, body = Problem, content_type = "application/problem+json"),
), security(("token" = [])))]
pub async fn create_token(
    State(api): State<Arc<Api>>,
    caller: Caller,
    params: Params,
    body: Bytes,
) -> Result<(StatusCode, Json<NewTokenAnswer>), Problem> {
    params.end()?;
    let request: TokenRequest = serde_json::from_slice(&body)
        .map_err(|e| Problem::parameter(format!("expected `name` and `roles` as JSON: {e}")))?;
    let grant = wanted(&request)?;
    let covered = caller.known.grant().check_covers(&grant);
    covered.map_err(|e| Problem::forbidden(e.to_string()))?;
    let now = now_ms();
    let new = NewToken {
        name: &request.name,
        grant: &grant,
        expires_at_ms: request
            .expires_days
            .map(|days| now + i64::from(days) * DAY_MS),
    };
    let made = api
        .state
        .create_token(new, now)
        .map_err(QuestionError::from)?;
    let (token, secret) = made;
    let answer = NewTokenAnswer {
        token: secret,
        item: item(&api, token),
        as_of: api.archive.as_of_now(),
    };
    Ok((StatusCode::CREATED, Json(answer)))
}

/// Revoke a token, at once. One that holds more than the caller looks as if it were not there.
#[utoipa::path(delete, path = "/v1/tokens/{id}", tag = "access",
    params(("id" = String, Path, description = "the token's id")),
    responses(
        (status = 204, description = "it opens nothing any more"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    ), security(("token" = [])))]
pub async fn revoke_token(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<String>,
    params: Params,
) -> Result<StatusCode, Problem> {
    params.end()?;
    let tokens = api.state.tokens().map_err(QuestionError::from)?;
    let is_own = tokens
        .iter()
        .any(|token| token.id == id && caller.known.grant().check_covers(&token.grant()).is_ok());
    let is_revoked = is_own
        && api
            .state
            .revoke_token(&id, now_ms())
            .map_err(QuestionError::from)?;
    match is_revoked {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(QuestionError::NotFound {
            what: "live token",
            id,
        }
        .into()),
    }
}
