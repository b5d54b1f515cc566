//! `[[sensitive.rule]]`: words that are watched for (敏感词, semantics 8, manual 7.3).

use huicun_semantics::words::{self, WordMatch, parse_words};
use serde::{Deserialize, Serialize};

/// `[sensitive]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sensitive {
    /// The word rules.
    pub rule: Vec<WordRule>,
}

/// One `[[sensitive.rule]]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WordRule {
    /// What it is called; 1 to 10 characters.
    pub name: String,
    /// The words, separated by `，`; 500 characters in all.
    pub words: String,
    /// Good or bad news.
    #[serde(default)]
    pub class: WordClass,
    /// Whether it is in force; new rules are not.
    #[serde(default)]
    pub enabled: bool,
    /// How words are compared with a text.
    #[serde(default, rename = "match")]
    pub match_: WordMatch,
}

/// `class` of a word rule.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WordClass {
    /// Good to hear.
    Positive,
    /// Neither.
    Neutral,
    /// Bad to hear.
    #[default]
    Negative,
}

/// An enabled rule with its words apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watched {
    /// The rule's name.
    pub name: String,
    /// Its words, in the order of the file.
    pub words: Vec<String>,
    /// How they are compared.
    pub match_: WordMatch,
}

impl Watched {
    /// As the law takes it.
    pub fn law(&self) -> words::WordRule<'_> {
        words::WordRule {
            words: &self.words,
            match_: self.match_,
        }
    }
}

impl WordRule {
    /// Its words: separated by commas of either width, trimmed, each once.
    pub fn words(&self) -> Vec<String> {
        parse_words(&self.words)
    }
}

impl Sensitive {
    /// The enabled rules, in order.
    pub fn watched(&self) -> Vec<Watched> {
        let enabled = self.rule.iter().filter(|rule| rule.enabled);
        enabled
            .map(|rule| Watched {
                name: rule.name.clone(),
                words: rule.words(),
                match_: rule.match_,
            })
            .collect()
    }
}
