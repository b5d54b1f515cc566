//! Sensitive words: which of them occur in a text, and where (semantics 8, manual 7.3).
//!
//! All rules are looked for in one pass over the text. Where nothing is hit nothing is allocated:
//! nearly every message is such a one. Which rules are on, and whose messages they watch, is for the
//! caller to know. Positions are those of the text as it was given, whatever folding did to it.

mod fold;
mod matcher;

use std::cell::Cell;

use matcher::{Matcher, Owners};

/// How the words of a rule are compared with a text (semantics 8).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum WordMatch {
    /// The word stands in the text, character for character.
    #[default]
    Exact,
    /// The same after both were folded: width and compatible forms (NFKC), case, traditional to
    /// simplified characters; and whatever is no letter, number or mark left out (`加-微 信` is 加微信).
    Normalised,
}

/// The words of one rule.
#[derive(Clone, Copy, Debug)]
pub struct WordRule<'a> {
    /// The words, as [`parse_words`] gives them. An empty one is never hit.
    pub words: &'a [String],
    /// How they are compared.
    pub match_: WordMatch,
}

/// A word that occurs in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WordHit {
    /// The rule, an index into those given to [`Words::new`].
    pub rule: usize,
    /// The word, an index into the rule's words.
    pub word: usize,
    /// Its first character in the text, in Unicode scalar values.
    pub start: usize,
    /// Behind its last character.
    pub end: usize,
}

/// The words of all rules, ready to be looked for.
///
/// A word that folds to nothing, such as `¥¥`, is looked for as it stands, whatever its rule says:
/// what is made of symbols alone cannot do without them.
#[derive(Clone, Debug)]
pub struct Words {
    exact: Matcher,
    normalised: Matcher,
}

impl Words {
    /// Prepares the words of rules; they are folded here.
    pub fn new(rules: &[WordRule<'_>]) -> Self {
        let (mut exact, mut normalised) = (Owners::new(), Owners::new());
        for (rule, words) in rules.iter().enumerate() {
            for (word, text) in words.words.iter().enumerate() {
                let folded = match words.match_ {
                    WordMatch::Exact => String::new(),
                    WordMatch::Normalised => fold::folded(text),
                };
                let (owners, pattern) = match folded.is_empty() {
                    true => (&mut exact, text.clone()),
                    false => (&mut normalised, folded),
                };
                if !pattern.is_empty() {
                    owners.entry(pattern).or_default().push((rule, word));
                }
            }
        }
        Self {
            exact: Matcher::new(exact),
            normalised: Matcher::new(normalised),
        }
    }

    /// Whether there is no word that could be hit.
    pub fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.normalised.is_empty()
    }

    /// Where words occur in a text: all places, overlapping ones too, in order of start, end, rule
    /// and word.
    pub fn hits(&self, text: &str) -> Vec<WordHit> {
        let mut hits = Vec::new();
        self.push_exact(text, &mut hits);
        self.push_normalised(text, &mut hits);
        hits.sort_unstable_by_key(|hit| (hit.start, hit.end, hit.rule, hit.word));
        // One character may fold to several, and hold a word twice.
        hits.dedup();
        hits
    }

    fn push_exact(&self, text: &str, hits: &mut Vec<WordHit>) {
        if !self.exact.is_match(text) {
            return;
        }
        let mut number_of_byte = vec![0; text.len() + 1];
        let mut n_chars = 0;
        for (at, _) in text.char_indices() {
            number_of_byte[at] = n_chars;
            n_chars += 1;
        }
        number_of_byte[text.len()] = n_chars;
        self.exact.each(text, |(rule, word), bytes| {
            hits.push(WordHit {
                rule,
                word,
                start: number_of_byte[bytes.start],
                end: number_of_byte[bytes.end],
            });
        });
    }

    fn push_normalised(&self, text: &str, hits: &mut Vec<WordHit>) {
        if self.normalised.is_empty() {
            return;
        }
        let mut folded = FOLDED.take();
        folded.clear();
        fold::each(text, |c, _| folded.push(c));
        if self.normalised.is_match(&folded) {
            let mut places = Vec::with_capacity(folded.len());
            fold::each(text, |c, place| {
                places.extend(std::iter::repeat_n(place, c.len_utf8()));
            });
            self.normalised.each(&folded, |(rule, word), bytes| {
                hits.push(WordHit {
                    rule,
                    word,
                    start: places[bytes.start].0,
                    end: places[bytes.end - 1].1,
                });
            });
        }
        if folded.capacity() <= FOLDED_BYTES_KEPT_MAX {
            FOLDED.set(folded);
        }
    }
}

/// A thread keeps its buffer for folding up to this size: far more than a message of WeCom has.
const FOLDED_BYTES_KEPT_MAX: usize = 1 << 20;

thread_local! {
    /// The folded text, so that a message does not allocate one.
    static FOLDED: Cell<String> = const { Cell::new(String::new()) };
}

/// The words of a rule as they are written: split at `，` and `,`, bared of white space at their
/// ends, without empty ones, and each once, where it stands first (semantics 8).
pub fn parse_words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for word in text.split(['，', ',']).map(str::trim) {
        // A rule holds 500 characters, so looking through its words costs less than a set.
        if !word.is_empty() && !words.iter().any(|other| other == word) {
            words.push(word.to_owned());
        }
    }
    words
}

#[cfg(test)]
mod tests;
