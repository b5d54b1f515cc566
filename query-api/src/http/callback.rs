//! WeCom's callback: the one route whose caller is neither a person nor a program of the company.
//! It is let in by WeCom's signature instead of a token, and learns nothing but `success`.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use huicun_indexer::ingest::callback::{Callback, CallbackError, NOTE_BYTES_MAX, Note, Signed};
use serde::Deserialize;

use super::problem::Problem;
use super::server::Api;
use crate::queries::archive::now_ms;

/// Where WeCom calls.
pub const PATH: &str = "/v1/wecom/callback";

/// What stands in the address of a call.
#[derive(Deserialize, utoipa::IntoParams)]
pub struct CallParams {
    /// SHA-1 over token, time, nonce and sealed text.
    #[serde(default)]
    msg_signature: String,
    /// Unix seconds.
    #[serde(default)]
    timestamp: String,
    /// A number used once.
    #[serde(default)]
    nonce: String,
    /// The sealed text that is to be sent back, when the address is checked.
    #[serde(default)]
    echostr: String,
}

impl CallParams {
    fn signed(&self) -> Signed<'_> {
        Signed {
            signature: &self.msg_signature,
            timestamp: &self.timestamp,
            nonce: &self.nonce,
        }
    }
}

/// The console's check of the address (接收事件服务器): gives back what stands in `echostr`.
#[utoipa::path(get, path = "/v1/wecom/callback", tag = "wecom", params(CallParams), responses(
    (status = 200, body = String, content_type = "text/plain"),
    (status = 403, body = Problem, content_type = "application/problem+json"),
    (status = 404, body = Problem, content_type = "application/problem+json"),
))]
pub async fn wecom_check(
    State(api): State<Arc<Api>>,
    Query(params): Query<CallParams>,
) -> Result<Vec<u8>, Problem> {
    let now = now_ms();
    first(&api.callbacks, |callback| {
        callback.echo(&params.signed(), &params.echostr, now)
    })
    .map(|(_, echo)| echo)
}

/// WeCom's note that there are new messages (`msgaudit_notify`): wakes that company's pull. Other
/// events are acknowledged and ignored.
#[utoipa::path(post, path = "/v1/wecom/callback", tag = "wecom", params(CallParams),
    request_body(content = String, content_type = "text/xml"), responses(
    (status = 200, body = String, content_type = "text/plain"),
    (status = 403, body = Problem, content_type = "application/problem+json"),
    (status = 404, body = Problem, content_type = "application/problem+json"),
    (status = 413, body = Problem, content_type = "application/problem+json"),
))]
pub async fn wecom_note(
    State(api): State<Arc<Api>>,
    Query(params): Query<CallParams>,
    body: Bytes,
) -> Result<&'static str, Problem> {
    if body.len() > NOTE_BYTES_MAX {
        return Err(Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body_too_large",
            format!("a note has at most {NOTE_BYTES_MAX} bytes"),
        ));
    }
    let now = now_ms();
    let (corp, note) = first(&api.callbacks, |callback| {
        callback.take(&params.signed(), &body, now)
    })?;
    if note == Note::News {
        tracing::debug!(corp, "WeCom says that there are new messages");
    }
    Ok("success")
}

/// The answer of the company for which it is. Others know it by their own token, key and id.
fn first<T>(
    callbacks: &[Callback],
    call: impl Fn(&Callback) -> Result<T, CallbackError>,
) -> Result<(&str, T), Problem> {
    if callbacks.is_empty() {
        return Err(Problem::new(
            StatusCode::NOT_FOUND,
            "no_callback",
            "no company has a [corp.callback] here; `huicun run` answers for those that have",
        ));
    }
    let mut why = CallbackError::Signature;
    for callback in callbacks {
        match call(callback) {
            Ok(done) => return Ok((callback.corpid(), done)),
            // What a company's own token has signed is that company's, whatever else is wrong.
            Err(CallbackError::Signature) => {}
            Err(error) => why = error,
        }
    }
    tracing::warn!(error = %why, "a call to the callback was refused");
    Err(Problem::new(
        StatusCode::FORBIDDEN,
        "callback_refused",
        "the call is not signed for a company of this installation, or too old",
    ))
}
