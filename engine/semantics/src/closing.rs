//! Closing phrases: texts by which a customer ends a dialogue (semantics 3, manual 9.8.1).
//!
//! Only says whether a text is one. That it is a text, and that a customer sent it, is for the
//! caller to know; what follows from it is cut in `dialogue`.

use std::collections::HashSet;

use aho_corasick::AhoCorasick;

pub use crate::phrase::normalise;
use crate::phrase::normalised;

/// How a text is compared with the phrases, both normalised.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum ClosingMatch {
    /// The text is a phrase.
    #[default]
    Exact,
    /// A phrase occurs in the text.
    Contains,
}

/// The enabled phrases, ready to be compared. Phrases that normalise to nothing match nothing.
#[derive(Clone, Debug)]
pub struct ClosingPhrases(Matcher);

#[derive(Clone, Debug)]
enum Matcher {
    Exact(HashSet<String>),
    Contains(AhoCorasick),
    /// More phrases than an automaton takes (2^31 bytes of them): slow, but right.
    ContainsOneByOne(HashSet<String>),
}

impl ClosingPhrases {
    /// Prepares phrases; they are normalised here.
    pub fn new(phrases: &[String], match_: ClosingMatch) -> Self {
        let mut normal: HashSet<String> = phrases.iter().map(|phrase| normalise(phrase)).collect();
        normal.remove("");
        Self(match match_ {
            ClosingMatch::Exact => Matcher::Exact(normal),
            ClosingMatch::Contains => match AhoCorasick::new(&normal) {
                Ok(automaton) => Matcher::Contains(automaton),
                Err(_) => Matcher::ContainsOneByOne(normal),
            },
        })
    }

    /// Whether a customer's text is a closing phrase.
    pub fn is_closing(&self, text: &str) -> bool {
        match &self.0 {
            Matcher::Exact(phrases) => {
                !phrases.is_empty() && phrases.contains(normalised(text).as_ref())
            }
            Matcher::Contains(automaton) => {
                automaton.patterns_len() > 0 && automaton.is_match(normalised(text).as_ref())
            }
            Matcher::ContainsOneByOne(phrases) => {
                let text = normalised(text);
                phrases.iter().any(|phrase| text.contains(phrase.as_str()))
            }
        }
    }
}

#[cfg(test)]
mod tests;
