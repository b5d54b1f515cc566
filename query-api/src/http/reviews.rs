//! The routes that judge behaviours: reviews (审核), rescans of what is there (重新扫描), and tests of
//! rules that are not in force.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use huicun_engine::state::behaviours::{Review, Verdict};
use serde::{Deserialize, Serialize};

use super::auth::Caller;
use super::params::Params;
use super::problem::Problem;
use super::server::Api;
use crate::queries::QuestionError;
use crate::queries::archive::{AsOf, now_ms, parse_day};
use crate::queries::behaviours::{
    self as asked, BehaviourItem, BehaviourParams, review as ask_review, reviews as ask_reviews,
};

/// Characters of a remark.
const REMARK_CHARACTERS_MAX: usize = 2_000;

/// A review.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReviewRequest {
    /// `confirmed` (违规属实) or `false_alarm` (误报).
    #[serde(rename = "as")]
    verdict: String,
    /// A remark.
    remark: Option<String>,
}

/// A review as it was written down.
#[derive(Serialize, utoipa::ToSchema)]
pub struct ReviewItem {
    /// `confirmed` or `false_alarm`.
    review: String,
    /// The employee or the caller who reviewed it.
    reviewer: String,
    /// When, RFC 3339 in the company's zone.
    reviewed_at: String,
    /// His remark.
    remark: Option<String>,
}

/// A new review.
#[derive(Serialize, utoipa::ToSchema)]
pub struct ReviewAnswer {
    /// The review.
    #[serde(flatten)]
    review: ReviewItem,
    /// From which versions the answer was made.
    as_of: AsOf,
}

/// The reviews of a behaviour.
#[derive(Serialize, utoipa::ToSchema)]
pub struct ReviewList {
    /// The reviews, the oldest first; the last one holds.
    items: Vec<ReviewItem>,
    /// Always null: the answer is whole.
    next: Option<String>,
    /// From which versions the answer was made.
    as_of: AsOf,
}

fn item(api: &Api, review: Review) -> ReviewItem {
    ReviewItem {
        review: review.verdict.as_str().into(),
        reviewed_at: api.archive.zone().rfc3339_ms(review.at_ms),
        reviewer: review.reviewer,
        remark: review.remark,
    }
}

/// Review a behaviour; again at any time. The reviewer is the employee for whom the caller acts,
/// else the caller's own name.
#[utoipa::path(post, path = "/v1/behaviours/{id}/reviews", tag = "figures",
    params(("id" = String, Path, description = "`behaviour_id` of the behaviour")),
    request_body = ReviewRequest,
    responses(
        (status = 201, body = ReviewAnswer),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    ), security(("token" = [])))]
pub async fn review(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<String>,
    params: Params,
    body: Bytes,
) -> Result<(StatusCode, Json<ReviewAnswer>), Problem> {
    params.end()?;
    let request: ReviewRequest = serde_json::from_slice(&body)
        .map_err(|e| Problem::parameter(format!("expected `as` and `remark` as JSON: {e}")))?;
    let verdict = Verdict::parse(&request.verdict).ok_or_else(|| {
        let found = &request.verdict;
        Problem::parameter(format!(
            "`as` is `{found}`; expected `confirmed` or `false_alarm`"
        ))
    })?;
    let length = request
        .remark
        .as_ref()
        .map_or(0, |text| text.chars().count());
    if length > REMARK_CHARACTERS_MAX {
        let detail = format!("`remark` has at most {REMARK_CHARACTERS_MAX} characters");
        return Err(Problem::parameter(detail));
    }
    let known = &caller.known;
    let reviewer = known.grant().employee.clone();
    let review = Review {
        verdict,
        reviewer: reviewer.unwrap_or_else(|| known.identity.called().to_string()),
        at_ms: now_ms(),
        remark: request.remark,
    };
    ask_review(&caller.scope, &api.archive, &id, &review).await?;
    let answer = ReviewAnswer {
        review: item(&api, review),
        as_of: api.archive.as_of_now(),
    };
    Ok((StatusCode::CREATED, Json(answer)))
}

/// The reviews of a behaviour, the oldest first.
#[utoipa::path(get, path = "/v1/behaviours/{id}/reviews", tag = "figures",
    params(("id" = String, Path, description = "`behaviour_id` of the behaviour")),
    responses(
        (status = 200, body = ReviewList),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    ), security(("token" = [])))]
pub async fn reviews(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<String>,
    params: Params,
) -> Result<Json<ReviewList>, Problem> {
    params.end()?;
    let all = ask_reviews(&caller.scope, &api.archive, &id).await?;
    Ok(Json(ReviewList {
        items: all.into_iter().map(|review| item(&api, review)).collect(),
        next: None,
        as_of: api.archive.as_of_now(),
    }))
}

/// Over which days.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RescanRequest {
    /// First day, YYYY-MM-DD.
    from: String,
    /// Last day.
    to: String,
}

/// A rescan that was asked for.
#[derive(Serialize, utoipa::ToSchema)]
pub struct RescanAnswer {
    /// The version of the rules that now applies to those days.
    rules_version: i64,
    /// First day.
    from: String,
    /// Last day.
    to: String,
    /// From which versions the answer was made.
    as_of: AsOf,
}

/// Let the rules in force record behaviours of past days too. Needs `all`.
#[utoipa::path(post, path = "/v1/behaviours/rescans", tag = "rules", request_body = RescanRequest,
    responses(
        (status = 201, body = RescanAnswer),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
    ), security(("token" = [])))]
pub async fn rescan(
    State(api): State<Arc<Api>>,
    caller: Caller,
    params: Params,
    body: Bytes,
) -> Result<(StatusCode, Json<RescanAnswer>), Problem> {
    params.end()?;
    if !caller.scope.is_all() {
        let detail = "a rescan needs a caller whose scope is `all`";
        return Err(QuestionError::Forbidden(detail).into());
    }
    let request: RescanRequest = serde_json::from_slice(&body)
        .map_err(|e| Problem::parameter(format!("expected `from` and `to` as JSON: {e}")))?;
    let (from, to) = (parse_day(&request.from)?, parse_day(&request.to)?);
    if to < from {
        return Err(Problem::parameter("the period ends before it begins"));
    }
    let who = caller.known.identity.called();
    let rescan = api.state.add_rescan((from, to), Some(who), now_ms());
    let rescan = rescan.map_err(QuestionError::from)?;
    let answer = RescanAnswer {
        rules_version: rescan.rules_version,
        from: request.from,
        to: request.to,
        as_of: api.archive.as_of_now(),
    };
    Ok((StatusCode::CREATED, Json(answer)))
}

/// What a rules file would have found.
#[derive(Serialize, utoipa::ToSchema)]
pub struct BacktestList {
    /// The behaviours, by time.
    items: Vec<BehaviourItem>,
    /// What of the file is allowed but most likely not meant.
    warnings: Vec<String>,
    /// Always null: the answer is whole.
    next: Option<String>,
    /// From which versions the answer was made.
    as_of: AsOf,
}

/// What the body, a rules file (TOML), would have found in a period, had it always been in force;
/// changes nothing. Needs `all`.
#[utoipa::path(post, path = "/v1/behaviours/backtest", tag = "rules",
    params(
        ("from" = Option<String>, Query, description = "first day, YYYY-MM-DD"),
        ("to" = Option<String>, Query, description = "last day, YYYY-MM-DD"),
        ("employee" = Option<Vec<String>>, Query, description = "in a conversation of his; repeatable"),
        ("department" = Option<Vec<String>>, Query, description = "an employee of it or below takes part; repeatable"),
        ("kind" = Option<Vec<String>>, Query, description = "red_packet, card, sensitive_word, friend_deleted; repeatable"),
        ("rule" = Option<Vec<String>>, Query, description = "hit by this word rule; repeatable"),
    ),
    request_body(content = String, content_type = "application/toml"),
    responses(
        (status = 200, body = BacktestList),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
    ), security(("token" = [])))]
pub async fn backtest(
    State(api): State<Arc<Api>>,
    caller: Caller,
    mut params: Params,
    body: Bytes,
) -> Result<Json<BacktestList>, Problem> {
    let question = BehaviourParams {
        from: params.one("from")?,
        to: params.one("to")?,
        employees: params.list("employee"),
        departments: params.list("department"),
        kinds: params.list("kind"),
        rules: params.list("rule"),
        ..BehaviourParams::default()
    };
    params.end()?;
    let text = std::str::from_utf8(&body).map_err(|_| Problem::parameter("the body is no text"))?;
    let found = asked::backtest(&caller.scope, &api.archive, &question, text).await?;
    Ok(Json(BacktestList {
        items: found.page.items,
        warnings: found.warnings,
        next: None,
        as_of: found.page.as_of,
    }))
}
