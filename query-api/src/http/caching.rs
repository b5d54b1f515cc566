//! What callers and their browsers may keep of answers: nothing of another caller's, and nothing
//! without asking anew whether it still holds. The tag (`ETag`) of an answer is made from the
//! answer itself but for when it was asked, so that it can never be of an older state; what it
//! saves is the way to the caller.

use axum::body::Body;
use axum::http::request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use huicun_engine::archive::seal::sha256;

/// Where the instant stands in an answer that differs between two equal ones. A text can hold these
/// bytes only with its quotes escaped; the last place is the answer's own, since `as_of` is last.
const ASKED_AT: &[u8] = b"\"asked_at\":\"";

/// The weak tag of a JSON answer.
pub(super) fn tag_of(answer: &[u8]) -> String {
    let at = answer
        .windows(ASKED_AT.len())
        .rposition(|window| window == ASKED_AT)
        .map(|at| at + ASKED_AT.len());
    let hash = match at {
        None => sha256(answer),
        Some(at) => {
            let length = answer[at..].iter().position(|byte| *byte == b'"');
            let rest = &answer[at + length.unwrap_or(0)..];
            sha256(&[&answer[..at], rest].concat())
        }
    };
    format!("W/\"{}\"", &hash[..32])
}

/// The strong tag of bytes that every caller gets alike.
pub(super) fn strong_tag_of(answer: &[u8]) -> String {
    format!("\"{}\"", &sha256(answer)[..32])
}

/// Whether one of the tags of an `If-None-Match` is this one; weak and strong are not told apart
/// (RFC 9110, 13.1.2).
pub(super) fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_string();
    let known = headers.get_all(header::IF_NONE_MATCH).iter();
    known
        .filter_map(|value| value.to_str().ok())
        .flat_map(|tags| tags.split(','))
        .any(|known| known.trim() == "*" || opaque(known) == opaque(tag))
}

/// What a request says of the answers that it can have.
pub(super) struct Conditional {
    is_get: bool,
    headers: HeaderMap,
}

impl Conditional {
    pub(super) fn of(parts: &request::Parts) -> Self {
        let known = parts.headers.get_all(header::IF_NONE_MATCH).iter();
        let headers = known.map(|value| (header::IF_NONE_MATCH, value.clone()));
        Self {
            is_get: matches!(parts.method, Method::GET | Method::HEAD),
            headers: headers.collect(),
        }
    }

    /// The answer with what may be kept of it; without its body where the caller has it already.
    pub(super) fn answer(&self, mut response: Response, tag: Option<String>) -> Response {
        let tag = tag.filter(|_| self.is_get && response.status() == StatusCode::OK);
        let headers = response.headers_mut();
        if headers.contains_key(header::CACHE_CONTROL) {
            // The route knows better.
            return response;
        }
        let Some(tag) = tag.filter(|_| !headers.contains_key(header::ETAG)) else {
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            return response;
        };
        let mut kept = kept_headers(&tag);
        if is_known(&self.headers, &tag) {
            return (StatusCode::NOT_MODIFIED, kept, Body::empty()).into_response();
        }
        headers.extend(kept.drain());
        response
    }
}

/// The headers of an answer that its caller may keep, and has to ask about before using it again.
pub(super) fn kept_headers(tag: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Ok(tag) = HeaderValue::from_str(tag) {
        headers.insert(header::ETAG, tag);
    }
    let private = HeaderValue::from_static("private, no-cache");
    headers.insert(header::CACHE_CONTROL, private);
    let vary = HeaderValue::from_static("authorization, accept");
    headers.insert(header::VARY, vary);
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(text: &str, asked_at: &str, version: u64) -> String {
        serde_json::json!({
            "items": [{"text": text}],
            "next": null,
            "z_of": {"messages_version": version, "asked_at": asked_at, "more": 1},
        })
        .to_string()
    }

    #[test]
    fn when_it_was_asked_is_not_in_the_tag_and_all_else_is() {
        let tag = |text, at, version| tag_of(answer(text, at, version).as_bytes());
        let first = tag("x", "2024-10-01", 1);
        assert_eq!(first, tag("x", "2024-10-02", 1));
        assert_ne!(first, tag("y", "2024-10-01", 1));
        assert_ne!(first, tag("x", "2024-10-01", 2));
        // A text that looks like the place is a text.
        let odd = "\"asked_at\":\"2024";
        assert_ne!(
            tag(odd, "2024-10-01", 1),
            tag("\"asked_at\":\"2025", "2024-10-01", 1)
        );
        assert!(first.starts_with("W/\""));
    }

    #[test]
    fn a_tag_is_known_weak_or_strong_among_others_or_by_a_star() {
        for (sent, expected) in [
            ("\"a\"", true),
            ("W/\"a\"", true),
            ("\"b\", W/\"a\"", true),
            ("*", true),
            ("\"b\"", false),
            ("a", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(
                header::IF_NONE_MATCH,
                HeaderValue::from_str(sent).unwrap(),
            )]);
            assert_eq!(is_known(&headers, "W/\"a\""), expected, "{sent}");
        }
    }
}
