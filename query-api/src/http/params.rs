//! Query parameters, named as the CLI's flags; lists repeat the name. An unknown one is an error
//! that names it, so that a typing mistake never widens an answer.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::format::{ARROW, Format, NDJSON};
use super::listed::Wanted;
use super::problem::Problem;

/// Rows of a page when none are asked for.
const PAGE_ROWS: usize = 100;
/// Rows of a page at most.
const PAGE_ROWS_MAX: usize = 1000;
/// Bytes of a request's query string.
const QUERY_STRING_BYTES_MAX: usize = 32 * 1024;

/// The parameters of a request, taken one by one.
pub struct Params {
    pairs: Vec<(String, String)>,
}

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let query = parts.uri.query().unwrap_or_default();
        if query.len() > QUERY_STRING_BYTES_MAX {
            return Err(Problem::parameter(format!(
                "the query string has {} bytes; at most {QUERY_STRING_BYTES_MAX} are allowed",
                query.len()
            )));
        }
        Ok(Self {
            pairs: url::form_urlencoded::parse(query.as_bytes())
                .into_owned()
                .collect(),
        })
    }
}

impl Params {
    /// All values of a name.
    pub fn list(&mut self, name: &str) -> Vec<String> {
        let (taken, left) = std::mem::take(&mut self.pairs)
            .into_iter()
            .partition(|(key, _)| key == name);
        self.pairs = left;
        taken.into_iter().map(|(_, value)| value).collect()
    }

    /// The value of a name that may come once.
    pub fn one(&mut self, name: &str) -> Result<Option<String>, Problem> {
        let mut values = self.list(name);
        match values.len() {
            0 | 1 => Ok(values.pop()),
            n => Err(Problem::parameter(format!(
                "`{name}` is given {n} times; give it once"
            ))),
        }
    }

    /// A whole number that may be given once.
    pub fn integer(&mut self, name: &str) -> Result<Option<i64>, Problem> {
        let Some(text) = self.one(name)? else {
            return Ok(None);
        };
        let told = || Problem::parameter(format!("`{name}` is `{text}`; expected a whole number"));
        text.parse().map(Some).map_err(|_| told())
    }

    /// What page of a list is wanted. All rows at once there are in streams only.
    pub(super) fn page(&mut self, format: Format) -> Result<Wanted, Problem> {
        Ok(Wanted {
            format,
            limit: self.limit(format)?,
            cursor: self.one("cursor")?,
        })
    }

    /// The page's size.
    pub(super) fn limit(&mut self, format: Format) -> Result<usize, Problem> {
        let Some(text) = self.one("limit")? else {
            return Ok(PAGE_ROWS);
        };
        let limit = text.parse().ok();
        let limit = limit.filter(|n| (0..=PAGE_ROWS_MAX).contains(n));
        match limit {
            None => Err(Problem::parameter(format!(
                "`limit` is `{text}`; expected 1 to {PAGE_ROWS_MAX}"
            ))),
            Some(0) if format == Format::Json => Err(Problem::parameter(format!(
                "`limit` is 0, which is all: that there is with `Accept: {NDJSON}` or \
                 `Accept: {ARROW}`; JSON pages have 1 to {PAGE_ROWS_MAX} rows"
            ))),
            Some(limit) => Ok(limit),
        }
    }

    /// Refuses what nobody took.
    pub fn end(self) -> Result<(), Problem> {
        match self.pairs.first() {
            None => Ok(()),
            Some((name, _)) => Err(Problem::parameter(format!("unknown parameter `{name}`"))),
        }
    }
}
