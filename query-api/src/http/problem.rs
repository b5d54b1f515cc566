//! Errors as RFC 9457 problem documents, with stable codes. Inner detail of our own failures goes
//! to the log only.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use crate::queries::QuestionError;

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
        response.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if status == StatusCode::UNAUTHORIZED {
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
