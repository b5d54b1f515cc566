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

    /// The error for a token that is none of ours.
    pub fn unknown() -> QuestionError {
        QuestionError::Parameter("the cursor is not one that this server gave".into())
    }
}
