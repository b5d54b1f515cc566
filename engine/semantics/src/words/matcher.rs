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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_by_one_finds_what_the_automaton_finds() {
        let owners: Owners = ["哈哈", "哈", "好的哈"]
            .into_iter()
            .enumerate()
            .map(|(word, text)| (text.to_owned(), vec![(0, word), (1, word)]))
            .collect();
        let automaton = Matcher::new(owners.clone());
        let one_by_one = Matcher {
            find: Find::OneByOne(owners.into_keys().collect()),
            owners: automaton.owners.clone(),
        };
        for text in ["", "好的", "好的哈哈哈", "a哈b"] {
            let found = |matcher: &Matcher| {
                let mut found = Vec::new();
                matcher.each(text, |owner, bytes| {
                    found.push((bytes.start, bytes.end, owner))
                });
                found.sort_unstable();
                found
            };
            assert_eq!(found(&one_by_one), found(&automaton));
            assert_eq!(one_by_one.is_match(text), automaton.is_match(text));
            assert_eq!(automaton.is_match(text), !found(&automaton).is_empty());
        }
    }
}
