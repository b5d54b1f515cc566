//! Errors as RFC 9457 problem documents, with stable codes. Inner detail of our own failures goes
//! to the log only.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use crate::queries::QuestionError;

/// The media type of problem documents.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// Every code: its statuses, and what it means. A code keeps its meaning; new ones may come.
pub const CODES: &[(&str, &[&str], &str)] = &[
    (
        "parameter",
        &["400", "414", "417", "422", "431"],
        "a parameter, a day, a query, a metric, a cursor or a body is wrong; `detail` says which and how",
    ),
    (
        "rules",
        &["400"],
        "the rules file is wrong; nothing was changed",
    ),
    ("sql", &["400"], "not one SELECT, or too large"),
    ("sql_failed", &["400"], "the statement is wrong or failed"),
    (
        "sql_too_slow",
        &["400"],
        "the statement took longer than 60 s: filter by `day` or ask for less",
    ),
    (
        "sql_too_many_rows",
        &["400"],
        "the answer has more than 1,000,000 rows: add up in SQL, or page with LIMIT",
    ),
    (
        "directory_row",
        &["400"],
        "a row of a directory feed is wrong; nothing was changed",
    ),
    ("unauthenticated", &["401"], "no valid token"),
    (
        "forbidden",
        &["403"],
        "no role of the caller holds the function, which `detail` names, or its scope is too narrow",
    ),
    (
        "callback_refused",
        &["403"],
        "a call to the callback is not signed for a company of this installation, or too old",
    ),
    (
        "not_found",
        &["404"],
        "there is no such thing, or it is outside the scope",
    ),
    ("no_such_route", &["404"], "there is no such route"),
    ("no_callback", &["404"], "no company has a callback here"),
    (
        "method_not_allowed",
        &["405"],
        "the route has other methods; `Allow` names them",
    ),
    (
        "body_too_slow",
        &["408"],
        "the body was not here after 60 s",
    ),
    ("media_pending", &["409"], "the file is not fetched yet"),
    (
        "too_many_searches",
        &["409"],
        "the caller has saved 500 searches already",
    ),
    (
        "too_many_exports",
        &["409"],
        "the caller has 20 exports already that are not finished",
    ),
    (
        "export_not_done",
        &["409"],
        "the export has no file: it is not finished, failed or was cancelled",
    ),
    (
        "export_expired",
        &["410"],
        "the file of the export was kept for seven days and is gone",
    ),
    ("media_lost", &["410"], "the file is gone for good"),
    (
        "precondition_failed",
        &["412"],
        "`If-Match` names another version than the one in force",
    ),
    (
        "body_too_large",
        &["413"],
        "the body has more bytes than the route takes",
    ),
    (
        "range_not_satisfiable",
        &["416"],
        "the file has no such range",
    ),
    ("not_convertible", &["422"], "the file cannot be converted"),
    (
        "internal",
        &["500"],
        "our failure; the cause is in the server's log under the request id",
    ),
    ("no_converter", &["501"], "the server has no ffmpeg"),
    (
        "too_slow",
        &["503"],
        "the answer took longer than two minutes",
    ),
    (
        "busy",
        &["503"],
        "the server has too much to do; `Retry-After` says when to come again",
    ),
    (
        "audit_unavailable",
        &["503"],
        "the request cannot be recorded, so it is not answered",
    ),
];

/// A problem document.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Problem {
    /// A URI of the kind of problem.
    #[serde(rename = "type")]
    pub kind: String,
    /// The HTTP status in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// Our stable code.
    pub code: String,
    /// What happened, to which thing.
    pub detail: String,
}

impl Problem {
    /// A problem with one of our codes.
    pub fn new(status: StatusCode, code: &str, detail: impl Into<String>) -> Self {
        debug_assert!(
            CODES.iter().any(|(known, ..)| *known == code),
            "`{code}` is in no list of codes"
        );
        Self {
            kind: format!("urn:huicun:problem:{code}"),
            title: status.canonical_reason().unwrap_or("Error").to_string(),
            status: status.as_u16(),
            code: code.to_string(),
            detail: detail.into(),
        }
    }

    /// A wrong parameter.
    pub fn parameter(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "parameter", detail)
    }

    /// No valid token.
    pub fn unauthenticated() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "unauthenticated",
            "send `Authorization: Bearer TOKEN` with a valid token (`huicun token create`)",
        )
    }

    /// The caller may not do this.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", detail)
    }

    /// A body of more bytes than the route takes.
    pub fn body_too_large(bytes_max: usize) -> Self {
        let detail = format!("the body has more than {bytes_max} bytes, which this route takes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail)
    }

    /// A body that does not come.
    pub fn body_too_slow(time_max: std::time::Duration) -> Self {
        let detail = format!("the body was not here after {} s", time_max.as_secs());
        Self::new(StatusCode::REQUEST_TIMEOUT, "body_too_slow", detail)
    }

    /// More requests than the server can answer at once.
    pub fn busy() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "busy",
            "the server has too much to do; come again a little later",
        )
    }

    /// The audit log cannot be written, so there is no answer.
    pub fn audit_unavailable() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "audit_unavailable",
            "the request cannot be recorded in the audit log, so it is not answered; the server's \
             log has the cause",
        )
    }

    /// What a layer or an extractor refused, by its status alone.
    fn of_status(status: StatusCode) -> Self {
        let (code, detail) = match status {
            StatusCode::METHOD_NOT_ALLOWED => (
                "method_not_allowed",
                "this route has other methods; `Allow` names them",
            ),
            StatusCode::REQUEST_TIMEOUT => ("body_too_slow", "the body came too slowly"),
            StatusCode::PAYLOAD_TOO_LARGE => (
                "body_too_large",
                "the body is too large; send it in several requests",
            ),
            StatusCode::SERVICE_UNAVAILABLE => (
                "too_slow",
                "the answer took too long and was given up; ask for a shorter period",
            ),
            status if status.is_client_error() => ("parameter", "the request cannot be understood"),
            _ => (
                "internal",
                "the question failed; the server's log has the cause under this request id",
            ),
        };
        Self::new(status, code, detail)
    }

    /// A failure of ours; the cause is logged, not told.
    pub fn internal(error: &dyn std::error::Error) -> Self {
        tracing::error!(%error, "a question failed");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "the question failed; the server's log has the cause under this request id",
        )
    }
}

impl From<QuestionError> for Problem {
    fn from(error: QuestionError) -> Self {
        use huicun_engine::directory::DirectoryError;
        use huicun_engine::media::convert::ConvertError;
        use huicun_engine::tables::SqlError;
        match &error {
            QuestionError::Parameter(detail) => Self::parameter(detail),
            QuestionError::NotFound { .. } => {
                Self::new(StatusCode::NOT_FOUND, "not_found", error.to_string())
            }
            QuestionError::MediaPending { .. } => {
                Self::new(StatusCode::CONFLICT, "media_pending", error.to_string())
            }
            QuestionError::MediaLost { .. } => {
                Self::new(StatusCode::GONE, "media_lost", error.to_string())
            }
            QuestionError::Convert(ConvertError::Missing(_)) => Self::new(
                StatusCode::NOT_IMPLEMENTED,
                "no_converter",
                error.to_string(),
            ),
            QuestionError::Convert(ConvertError::NotAudio(_) | ConvertError::Refused(_)) => {
                Self::new(
                    StatusCode::UNPROCESSABLE_ENTITY,
                    "not_convertible",
                    error.to_string(),
                )
            }
            QuestionError::Convert(ConvertError::TooSlow(_)) => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "too_slow",
                error.to_string(),
            ),
            QuestionError::Forbidden(detail) => Self::forbidden(*detail),
            QuestionError::Sql(SqlError::TooLarge { .. } | SqlError::NotASelect(_)) => {
                Self::new(StatusCode::BAD_REQUEST, "sql", error.to_string())
            }
            QuestionError::Sql(SqlError::TooSlow(_)) => {
                Self::new(StatusCode::BAD_REQUEST, "sql_too_slow", error.to_string())
            }
            QuestionError::Sql(SqlError::TooManyRows(_)) => Self::new(
                StatusCode::BAD_REQUEST,
                "sql_too_many_rows",
                error.to_string(),
            ),
            QuestionError::Sql(
                SqlError::Failed(_) | SqlError::Running(_) | SqlError::Exhausted(_),
            ) => Self::new(StatusCode::BAD_REQUEST, "sql_failed", error.to_string()),
            QuestionError::Directory(DirectoryError::Feed(feed)) => {
                Self::new(StatusCode::BAD_REQUEST, "directory_row", feed.to_string())
            }
            _ => Self::internal(&error),
        }
    }
}

/// Turns what layers and extractors refuse in plain words into a problem document.
pub async fn dress(response: Response) -> Response {
    let kind = response.headers().get(header::CONTENT_TYPE);
    let is_json = kind.is_some_and(|kind| {
        let kind = kind.as_bytes();
        kind.starts_with(b"application/problem+json") || kind.starts_with(b"application/json")
    });
    let status = response.status();
    if is_json || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let mut dressed = Problem::of_status(status).into_response();
    if let Some(allowed) = response.headers().get(header::ALLOW) {
        dressed.headers_mut().insert(header::ALLOW, allowed.clone());
    }
    dressed
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(&self)).into_response();
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if self.code == "busy" {
            let soon = HeaderValue::from_static("5");
            response.headers_mut().insert(header::RETRY_AFTER, soon);
        }
        if status == StatusCode::UNAUTHORIZED {
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
