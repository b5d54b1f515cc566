//! Many patterns in one pass, each with the words that are written so.

use std::collections::BTreeMap;
use std::ops::Range;

use aho_corasick::AhoCorasick;

/// A word: its rule, and its place among the rule's words.
pub(super) type Owner = (usize, usize);

/// The words behind each pattern; no pattern is empty.
pub(super) type Owners = BTreeMap<String, Vec<Owner>>;

/// Patterns, ready to be looked for.
#[derive(Clone, Debug)]
pub(super) struct Matcher {
    find: Find,
    owners: Vec<Vec<Owner>>,
}

#[derive(Clone, Debug)]
enum Find {
    Automaton(AhoCorasick),
    /// None at all, or more than an automaton takes (2^31 bytes of them): slow, but right.
    OneByOne(Vec<String>),
}

impl Matcher {
    pub(super) fn new(owners: Owners) -> Self {
        let (patterns, owners): (Vec<String>, _) = owners.into_iter().unzip();
        let find = match AhoCorasick::new(&patterns) {
            Ok(automaton) if !patterns.is_empty() => Find::Automaton(automaton),
            _ => Find::OneByOne(patterns),
        };
        Self { find, owners }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.owners.is_empty()
    }

    pub(super) fn is_match(&self, text: &str) -> bool {
        match &self.find {
            Find::Automaton(automaton) => automaton.is_match(text),
            Find::OneByOne(patterns) => patterns.iter().any(|pattern| text.contains(pattern)),
        }
    }

    /// Tells each word that occurs, and its bytes in the text; also where occurrences overlap.
    pub(super) fn each(&self, text: &str, mut tell: impl FnMut(Owner, Range<usize>)) {
        match &self.find {
            Find::Automaton(automaton) => {
                for found in automaton.find_overlapping_iter(text) {
                    for owner in &self.owners[found.pattern().as_usize()] {
                        tell(*owner, found.range());
                    }
                }
            }
            Find::OneByOne(patterns) => {
                for (pattern, owners) in patterns.iter().zip(&self.owners) {
                    for (at, _) in text.char_indices() {
                        if text[at..].starts_with(pattern.as_str()) {
                            for owner in owners {
                                tell(*owner, at..at + pattern.len());
                            }
                        }
                    }
                }
            }
        }
    }
}
