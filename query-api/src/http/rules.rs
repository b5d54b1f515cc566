//! The routes of the rules: the file in force, what another file would change, and the versions.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use huicun_engine::directory::Directory;
use huicun_engine::rules::Rules;
use huicun_engine::rules::diff::Line;
use huicun_engine::state::StateError;
use serde::Serialize;

use super::auth::Caller;
use super::caching::{is_known, kept_headers, strong_tag_of};
use super::params::Params;
use super::problem::Problem;
use super::server::Api;
use crate::queries::QuestionError;
use crate::queries::archive::{AsOf, now_ms};

/// The rules in force.
#[derive(Serialize, utoipa::ToSchema)]
pub struct RulesAnswer {
    /// The version; 0 are the defaults.
    version: i64,
    /// All rules, as a rules file (TOML).
    toml: String,
    /// What is allowed but most likely not meant.
    warnings: Vec<String>,
    /// From which versions the answer was made.
    as_of: AsOf,
}

fn need_all(caller: &Caller) -> Result<(), Problem> {
    if caller.scope.is_all() {
        return Ok(());
    }
    let detail = "rules need a caller whose scope is `all`";
    Err(QuestionError::Forbidden(detail).into())
}

/// The tag of a version of the rules: what `If-Match` of a change names.
fn tag_of(version: i64) -> String {
    strong_tag_of(format!("rules {version}").as_bytes())
}

fn warnings(rules: &Rules, directory: &Directory) -> Vec<String> {
    rules.warnings(
        |id| directory.employees.contains_key(id),
        |id| directory.departments.contains_key(id),
    )
}

fn in_force(api: &Api, directory: &Directory) -> Result<Response, Problem> {
    let (version, rules) = api.state.rules().map_err(QuestionError::from)?;
    let answer = RulesAnswer {
        version,
        toml: rules.to_toml(),
        warnings: warnings(&rules, directory),
        as_of: api.archive.as_of_now(),
    };
    Ok((kept_headers(&tag_of(version)), Json(answer)).into_response())
}

fn text_of(body: &Bytes) -> Result<&str, Problem> {
    std::str::from_utf8(body).map_err(|_| Problem::parameter("the body is no text"))
}

fn bad_rules(told: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "rules", told)
}

/// The rules in force, as a file. Needs `all`. The `ETag` is that of the version, for `If-Match`.
#[utoipa::path(get, path = "/v1/rules", tag = "rules", responses(
    (status = 200, body = RulesAnswer),
    (status = 304, description = "`If-None-Match` names the version in force"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
    (status = 403, body = Problem, content_type = "application/problem+json"),
), security(("token" = [])))]
pub async fn get_rules(
    State(api): State<Arc<Api>>,
    caller: Caller,
    headers: HeaderMap,
    params: Params,
) -> Result<Response, Problem> {
    params.end()?;
    need_all(&caller)?;
    let version = api.state.rules_version().map_err(QuestionError::from)?;
    let tag = tag_of(version);
    if is_known(&headers, &tag) {
        return Ok((StatusCode::NOT_MODIFIED, kept_headers(&tag)).into_response());
    }
    in_force(&api, api.archive.directory().await?.as_ref())
}

/// Replace the sections that the body (TOML) names; answers with all rules. Needs `all`. With
/// `If-Match` and the `ETag` of the rules as they were read, nothing is changed where somebody else
/// has changed them meanwhile.
#[utoipa::path(put, path = "/v1/rules", tag = "rules",
    params(("If-Match" = Option<String>, Header, description = "the `ETag` of the rules that are to be replaced")),
    request_body(content = String, content_type = "application/toml"),
    responses(
        (status = 200, body = RulesAnswer),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
        (status = 412, body = Problem, content_type = "application/problem+json"),
    ), security(("token" = [])))]
pub async fn put_rules(
    State(api): State<Arc<Api>>,
    caller: Caller,
    headers: HeaderMap,
    params: Params,
    body: Bytes,
) -> Result<Response, Problem> {
    params.end()?;
    need_all(&caller)?;
    let text = text_of(&body)?;
    let (version, _) = api.state.rules().map_err(QuestionError::from)?;
    let base = match headers.get(header::IF_MATCH) {
        None => None,
        Some(tags) if names(tags.to_str().unwrap_or_default(), &tag_of(version)) => Some(version),
        Some(_) => return Err(changed_meanwhile(version)),
    };
    let who = caller.known.identity.called();
    let applied = match base {
        None => api.state.apply_rules_as(text, now_ms(), Some(who)),
        base => api.state.apply_rules_on(base, text, now_ms(), Some(who)),
    };
    match applied {
        Err(StateError::BadRules(told)) => Err(bad_rules(told)),
        Err(StateError::RulesChanged { version }) => Err(changed_meanwhile(version)),
        Err(error) => Err(QuestionError::from(error).into()),
        Ok(_) => in_force(&api, api.archive.directory().await?.as_ref()),
    }
}

/// Whether an `If-Match` names a tag; weak ones never fit.
fn names(tags: &str, tag: &str) -> bool {
    tags.split(',')
        .map(str::trim)
        .any(|known| known == "*" || known == tag)
}

fn changed_meanwhile(version: i64) -> Problem {
    let detail = format!("the rules are at version {version} by now; read them anew");
    Problem::new(
        StatusCode::PRECONDITION_FAILED,
        "precondition_failed",
        detail,
    )
}

/// A section that a file would change.
#[derive(Serialize, utoipa::ToSchema)]
pub struct RuleChange {
    /// Its name, such as `timeout`.
    section: String,
    /// `everything`, `dialogues`, `dialogues_and_timeouts`, `timeouts`, `nothing` or
    /// `from_now_on`: what is computed anew because of it.
    #[schema(value_type = String)]
    recomputed: huicun_engine::rules::diff::Recomputed,
    /// The same for people.
    told: &'static str,
    /// The section line by line, each behind a blank, `-` or `+`.
    lines: Vec<String>,
}

/// What a rules file would change.
#[derive(Serialize, utoipa::ToSchema)]
pub struct RulesDiff {
    /// The sections that would change.
    items: Vec<RuleChange>,
    /// What of the file is allowed but most likely not meant.
    warnings: Vec<String>,
    /// Always null: the answer is whole.
    next: Option<String>,
    /// From which versions the answer was made.
    as_of: AsOf,
}

/// What the body, a rules file, would change; changes nothing. Needs `all`.
#[utoipa::path(post, path = "/v1/rules/diff", tag = "rules",
    request_body(content = String, content_type = "application/toml"),
    responses(
        (status = 200, body = RulesDiff),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
    ), security(("token" = [])))]
pub async fn diff_rules(
    State(api): State<Arc<Api>>,
    caller: Caller,
    params: Params,
    body: Bytes,
) -> Result<Json<RulesDiff>, Problem> {
    params.end()?;
    need_all(&caller)?;
    let current = api.archive.rules()?;
    let wanted = current.replaced_by(text_of(&body)?);
    let wanted = wanted.map_err(|e| bad_rules(e.to_string()))?;
    let changes = current.changes_to(&wanted);
    let items = changes.iter().map(|change| RuleChange {
        section: change.section.clone(),
        recomputed: change.recomputed,
        told: change.recomputed.told(),
        lines: change.lines().into_iter().map(line).collect(),
    });
    Ok(Json(RulesDiff {
        items: items.collect(),
        warnings: warnings(&wanted, api.archive.directory().await?.as_ref()),
        next: None,
        as_of: api.archive.as_of_now(),
    }))
}

fn line(line: Line<'_>) -> String {
    match line {
        Line::Same(line) => format!("  {line}"),
        Line::Gone(line) => format!("- {line}"),
        Line::New(line) => format!("+ {line}"),
    }
}

/// A version of the rules.
#[derive(Serialize, utoipa::ToSchema)]
pub struct RulesVersion {
    /// Its number.
    version: i64,
    /// From when on it is in force, RFC 3339 in the company's zone.
    applied_at: String,
    /// Who applied it, where that is known.
    applied_by: Option<String>,
    /// The sections that it changed.
    sections: Vec<String>,
}

/// The versions of the rules.
#[derive(Serialize, utoipa::ToSchema)]
pub struct RulesHistory {
    /// The versions, oldest first; the defaults, version 0, are not among them.
    items: Vec<RulesVersion>,
    /// Always null: the answer is whole.
    next: Option<String>,
    /// From which versions the answer was made.
    as_of: AsOf,
}

/// Every version that the rules had: when, by whom, and what it changed. Needs `all`.
#[utoipa::path(get, path = "/v1/rules/history", tag = "rules", responses(
    (status = 200, body = RulesHistory),
    (status = 401, body = Problem, content_type = "application/problem+json"),
    (status = 403, body = Problem, content_type = "application/problem+json"),
), security(("token" = [])))]
pub async fn rules_history(
    State(api): State<Arc<Api>>,
    caller: Caller,
    params: Params,
) -> Result<Json<RulesHistory>, Problem> {
    params.end()?;
    need_all(&caller)?;
    let versions = api.state.rule_versions().map_err(QuestionError::from)?;
    let mut before = Rules::default();
    let mut items = Vec::new();
    for version in versions {
        let changes = before.changes_to(&version.rules).into_iter();
        items.push(RulesVersion {
            version: version.version,
            applied_at: api.archive.zone().rfc3339_ms(version.applied_ms),
            applied_by: version.applied_by,
            sections: changes.map(|change| change.section).collect(),
        });
        before = version.rules;
    }
    Ok(Json(RulesHistory {
        items,
        next: None,
        as_of: api.archive.as_of_now(),
    }))
}

/// The rules of one version, as a file. Needs `all`.
#[utoipa::path(get, path = "/v1/rules/history/{version}", tag = "rules",
    params(("version" = i64, Path, description = "0 for the defaults")),
    responses(
        (status = 200, body = RulesAnswer),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    ), security(("token" = [])))]
pub async fn rules_of_version(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(text): Path<String>,
    params: Params,
) -> Result<Json<RulesAnswer>, Problem> {
    params.end()?;
    need_all(&caller)?;
    let version: i64 = text
        .parse()
        .map_err(|_| Problem::parameter(format!("`{text}` is no version; expected a number")))?;
    let rules = match version {
        0 => Rules::default(),
        _ => {
            let versions = api.state.rule_versions().map_err(QuestionError::from)?;
            let found = versions.into_iter().find(|known| known.version == version);
            let absent = QuestionError::NotFound {
                what: "version of the rules",
                id: text,
            };
            found.ok_or(absent)?.rules
        }
    };
    Ok(Json(RulesAnswer {
        version,
        toml: rules.to_toml(),
        warnings: warnings(&rules, api.archive.directory().await?.as_ref()),
        as_of: api.archive.as_of_now(),
    }))
}
