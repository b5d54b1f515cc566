//! In which form rows are asked for: `Accept` chooses one JSON document, NDJSON or an Arrow IPC
//! stream. The last two have no end that must fit into memory.

use axum::extract::FromRequestParts;
use axum::http::header::ACCEPT;
use axum::http::request::Parts;

/// The media type of NDJSON: one JSON object a line.
pub const NDJSON: &str = "application/x-ndjson";
/// The media type of an Arrow IPC stream.
pub const ARROW: &str = "application/vnd.apache.arrow.stream";

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One document with `items`, `next` and `as_of`.
    Json,
    /// One object a line.
    Ndjson,
    /// Record batches with typed columns.
    Arrow,
}

impl Format {
    /// What an `Accept` header likes best; JSON where it names none of ours. A type that is given
    /// the weight 0 is not wanted.
    fn of_accept(accept: &str) -> Self {
        let mut best = (0.0, Self::Json);
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let format = match parts
                .next()
                .unwrap_or_default()
                .to_ascii_lowercase()
                .as_str()
            {
                NDJSON => Self::Ndjson,
                ARROW => Self::Arrow,
                "application/json" | "application/*" | "*/*" => Self::Json,
                _ => continue,
            };
            let weight = parts.find_map(|part| part.strip_prefix("q="));
            let weight: f32 = weight
                .and_then(|text| text.trim().parse().ok())
                .unwrap_or(1.0);
            // Of equals the first is taken.
            if weight > best.0 {
                best = (weight, format);
            }
        }
        best.1
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Format {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        let accept = parts.headers.get_all(ACCEPT).iter();
        let accept: Vec<&str> = accept.filter_map(|value| value.to_str().ok()).collect();
        Ok(Self::of_accept(&accept.join(",")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_with_the_greatest_weight_is_taken() {
        for (accept, expected) in [
            ("", Format::Json),
            ("*/*", Format::Json),
            ("text/html", Format::Json),
            ("application/json", Format::Json),
            (NDJSON, Format::Ndjson),
            ("Application/X-NDJSON; charset=utf-8", Format::Ndjson),
            (ARROW, Format::Arrow),
            ("application/json, application/x-ndjson", Format::Json),
            (
                "application/json;q=0.5, application/x-ndjson",
                Format::Ndjson,
            ),
            ("application/x-ndjson;q=0.1, */*;q=0.2", Format::Json),
            ("application/x-ndjson;q=0", Format::Json),
            ("application/x-ndjson;q=loud", Format::Ndjson),
        ] {
            assert_eq!(Format::of_accept(accept), expected, "{accept}");
        }
    }
}
