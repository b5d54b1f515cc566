//! The parameters of a search as they are saved: the query of `GET /v1/search`, which is all of a
//! search but the page that was looked at.

use serde::{Deserialize, Serialize};

use super::archive::Archive;
use super::error::QuestionError;
use super::search::{SearchParams, question};

/// Characters of a saved search's name.
const NAME_CHARACTERS_MAX: usize = 200;
/// Bytes of its parameters, as an address has them.
const QUERY_BYTES_MAX: usize = 16 * 1024;
/// Rows of a page at most.
const PAGE_ROWS_MAX: usize = 1000;

/// A search as it is saved; the keys are the parameters of `GET /v1/search`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Saved {
    /// Literals and operators.
    pub q: String,
    /// First day, YYYY-MM-DD.
    pub from: Option<String>,
    /// Last day.
    pub to: Option<String>,
    /// One of these takes part in the conversation.
    pub employee: Vec<String>,
    /// One of these takes part in the conversation.
    pub customer: Vec<String>,
    /// An employee of one of these, or below, takes part.
    pub department: Vec<String>,
    /// In one of these rooms.
    pub room: Vec<String>,
    /// Of one of these types.
    #[serde(rename = "type")]
    pub types: Vec<String>,
    /// In a conversation of one of these kinds.
    pub kind: Vec<String>,
    /// `newest` or `relevance`.
    pub order: Option<String>,
    /// Rows of a page, 1 to 1000.
    pub limit: Option<u32>,
}

impl Saved {
    /// Each parameter with its value, in the order of the documentation.
    fn pairs(&self) -> Vec<(&'static str, String)> {
        let mut pairs = Vec::new();
        if !self.q.is_empty() {
            pairs.push(("q", self.q.clone()));
        }
        let mut one = |name, value: &Option<String>| {
            pairs.extend(value.clone().map(|value| (name, value)));
        };
        one("from", &self.from);
        one("to", &self.to);
        for (name, values) in [
            ("employee", &self.employee),
            ("customer", &self.customer),
            ("department", &self.department),
            ("room", &self.room),
            ("type", &self.types),
            ("kind", &self.kind),
        ] {
            pairs.extend(values.iter().map(|value| (name, value.clone())));
        }
        pairs.extend(self.order.clone().map(|order| ("order", order)));
        pairs.extend(self.limit.map(|limit| ("limit", limit.to_string())));
        pairs
    }

    /// As the query of an address.
    pub fn to_query(&self) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(self.pairs()).finish()
    }

    /// Read back from the query of an address; what is none of a search is left out.
    pub fn of_query(query: &str) -> Self {
        let mut saved = Self::default();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()).into_owned() {
            match name.as_str() {
                "q" => saved.q = value,
                "from" => saved.from = Some(value),
                "to" => saved.to = Some(value),
                "employee" => saved.employee.push(value),
                "customer" => saved.customer.push(value),
                "department" => saved.department.push(value),
                "room" => saved.room.push(value),
                "type" => saved.types.push(value),
                "kind" => saved.kind.push(value),
                "order" => saved.order = Some(value),
                "limit" => saved.limit = value.parse().ok(),
                _ => {}
            }
        }
        saved
    }

    /// The search that it is.
    pub fn params(&self) -> SearchParams {
        SearchParams {
            q: self.q.clone(),
            from: self.from.clone(),
            to: self.to.clone(),
            employees: self.employee.clone(),
            customers: self.customer.clone(),
            departments: self.department.clone(),
            rooms: self.room.clone(),
            types: self.types.clone(),
            kinds: self.kind.clone(),
            order: self.order.clone(),
            limit: self.limit.map_or(100, |limit| limit as usize),
            cursor: None,
        }
    }
}

impl From<&SearchParams> for Saved {
    fn from(params: &SearchParams) -> Self {
        Self {
            q: params.q.clone(),
            from: params.from.clone(),
            to: params.to.clone(),
            employee: params.employees.clone(),
            customer: params.customers.clone(),
            department: params.departments.clone(),
            room: params.rooms.clone(),
            types: params.types.clone(),
            kind: params.kinds.clone(),
            order: params.order.clone(),
            limit: u32::try_from(params.limit).ok().filter(|limit| *limit > 0),
        }
    }
}

/// What is written down of a search.
#[derive(Debug, PartialEq, Eq)]
pub struct SavedParams {
    /// Its name.
    pub name: String,
    /// Its parameters, as the query of an address.
    pub query: String,
}

/// Refuses what is no search, so that a saved one can always be asked.
///
/// # Errors
/// [`QuestionError::Parameter`] says what is wrong.
pub fn check(archive: &Archive, name: &str, search: &Saved) -> Result<SavedParams, QuestionError> {
    let refused = |told: String| Err(QuestionError::Parameter(told));
    let name = name.trim();
    let length = name.chars().count();
    if length == 0 || length > NAME_CHARACTERS_MAX || name.chars().any(char::is_control) {
        return refused(format!(
            "`name` must have 1 to {NAME_CHARACTERS_MAX} characters and none that control a terminal"
        ));
    }
    let limit = search.limit.map(|limit| limit as usize);
    if limit.is_some_and(|limit| !(1..=PAGE_ROWS_MAX).contains(&limit)) {
        return refused(format!("`limit` must be 1 to {PAGE_ROWS_MAX}"));
    }
    question(archive, &search.params())?;
    let query = search.to_query();
    if query.len() > QUERY_BYTES_MAX {
        return refused(format!(
            "the search has {} bytes as an address; at most {QUERY_BYTES_MAX} are allowed",
            query.len()
        ));
    }
    Ok(SavedParams {
        name: name.into(),
        query,
    })
}

/// The address of a search on its server.
pub fn link_of(query: &str) -> String {
    match query {
        "" => "/v1/search".into(),
        query => format!("/v1/search?{query}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_carries_every_parameter_and_reads_back() {
        let saved = Saved {
            q: "退款 \"a&b\" -周末".into(),
            from: Some("2024-10-01".into()),
            to: Some("2024-10-07".into()),
            employee: vec!["zhang".into(), "li=".into()],
            customer: vec!["wm1".into()],
            department: vec!["10".into()],
            room: vec!["wr1".into()],
            types: vec!["text".into()],
            kind: vec!["single_external".into()],
            order: Some("relevance".into()),
            limit: Some(20),
        };
        let query = saved.to_query();
        assert!(query.is_ascii(), "{query}");
        assert_eq!(Saved::of_query(&query), saved);
        assert_eq!(Saved::from(&saved.params()), saved);
        assert_eq!(Saved::of_query(""), Saved::default());
        assert_eq!(link_of(&Saved::default().to_query()), "/v1/search");
    }
}
