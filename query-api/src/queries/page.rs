//! Page tokens: where an HTTP list goes on. Opaque, stable while messages arrive, and of use for
//! the same question only.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::error::QuestionError;

/// A place in a list: two numbers and, where they can be equal, a text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// First sort key.
    #[serde(rename = "a")]
    pub first: i64,
    /// Second sort key.
    #[serde(rename = "b")]
    pub second: i64,
    /// Last sort key.
    #[serde(rename = "c", default, skip_serializing_if = "String::is_empty")]
    pub text: String,
}

impl Place {
    /// The token.
    pub fn to_token(&self) -> String {
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).expect("a place is plain data"))
    }

    /// The place of a token.
    pub fn of_token(token: &str) -> Result<Self, QuestionError> {
        URL_SAFE_NO_PAD
            .decode(token)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .ok_or_else(Self::unknown)
    }

    /// How places follow each other.
    fn key(&self) -> (i64, &str, i64) {
        (self.first, &self.text, self.second)
    }

    /// The error for a token that is none of ours.
    pub fn unknown() -> QuestionError {
        QuestionError::Parameter("the cursor is not one that this server gave".into())
    }
}

/// A page of ordered rows: of those after the token's place, the first `limit` of which `item`
/// makes something (0 is all), and the token of the next page where there is one.
pub(super) fn page<R, T>(
    after: Option<&Place>,
    limit: usize,
    rows: impl Iterator<Item = (Place, R)>,
    mut item: impl FnMut(&Place, R) -> Option<T>,
) -> (Vec<T>, Option<String>) {
    let (mut items, mut last): (Vec<T>, Option<Place>) = (Vec::new(), None);
    for (place, row) in rows {
        if after.is_some_and(|after| place.key() <= after.key()) {
            continue;
        }
        let Some(item) = item(&place, row) else {
            continue;
        };
        if limit != 0 && items.len() == limit {
            return (items, last.map(|place| place.to_token()));
        }
        items.push(item);
        last = Some(place);
    }
    (items, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(first: i64, text: &str, second: i64) -> Place {
        Place {
            first,
            second,
            text: text.into(),
        }
    }

    /// Even numbers are wanted; places differ in each of their keys.
    fn pages_of(limit: usize) -> Vec<Vec<i64>> {
        let places = [
            place(1, "", 0),
            place(1, "a", 0),
            place(1, "a", 1),
            place(1, "b", 0),
            place(2, "", 0),
            place(3, "", 0),
        ];
        let (mut pages, mut after) = (Vec::new(), None);
        loop {
            let rows = places.iter().cloned().zip(0..);
            let (items, next) = page(after.as_ref(), limit, rows, |_, n: i64| {
                (n % 2 == 0).then_some(n)
            });
            pages.push(items);
            match next {
                Some(token) => after = Some(Place::of_token(&token).unwrap()),
                None => return pages,
            }
        }
    }

    #[test]
    fn pages_hold_each_wanted_row_once_and_the_last_one_names_no_next() {
        assert_eq!(pages_of(0), [[0, 2, 4]]);
        assert_eq!(pages_of(1), [[0], [2], [4]]);
        assert_eq!(pages_of(2), [vec![0, 2], vec![4]]);
        assert_eq!(pages_of(3), [[0, 2, 4]]);
    }
}
