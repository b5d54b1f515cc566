//! The one normalisation for search: NFKC of the whole text, then lower case of each
//! character by itself (architecture, "Search that never misses").
//!
//! Texts and queries pass through here, so that `ＡＢＣ`, `ABC` and `abc` are one, and so
//! are `ｶﾞ` and `ガ`. `fold_str` feeds the index, `fold` also tells where in the original
//! each folded character comes from, for highlights; the two always agree.
//!
//! Lower-casing comes last and may leave text that is not NFKC any more (`İ` becomes `i`
//! and a dot above, which do not compose). That is as well: both sides are treated alike,
//! and nobody else reads the result. Lower-casing is free of context: a final `Σ` becomes
//! `σ` like any other, and no language has rules of its own.
//!
//! The whole is folded in *segments*: stretches whose NFKC does not depend on what stands
//! around them (UAX 15, 9.1). Almost every character is one by itself; the exceptions
//! are a letter with its combining marks, Hangul jamo, halfwidth kana with a voicing mark.

use std::ops::Range;

use unicode_normalization::char::{canonical_combining_class, decompose_compatible};
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

/// A folded text with the way back.
#[derive(Clone, PartialEq, Eq)]
pub struct Folded {
    /// The folded text.
    pub chars: Vec<char>,
    /// For each of `chars`, the `[start, end)` of its segment in Unicode scalar values of
    /// the original. Ascending, without gaps or overlaps other than being equal.
    pub origins: Vec<(u32, u32)>,
}

/// Shows no text.
impl std::fmt::Debug for Folded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Folded")
            .field("n_chars", &self.chars.len())
            .finish_non_exhaustive()
    }
}

/// Folds a text and keeps the way back.
pub fn fold(text: &str) -> Folded {
    let mut folded = Folded {
        chars: Vec::with_capacity(text.len()),
        origins: Vec::with_capacity(text.len()),
    };
    let mut start = 0_u32;
    for segment in Segments::of(text) {
        let end = match segment {
            Segment::Alone(c) => {
                folded.chars.push(c);
                start + 1
            }
            Segment::Other(part) => {
                folded.chars.extend(fold_segment(part));
                let n_chars = u32::try_from(part.chars().count()).unwrap_or(u32::MAX);
                start.saturating_add(n_chars)
            }
        };
        folded.origins.resize(folded.chars.len(), (start, end));
        start = end;
    }
    folded
}

/// Folds a text into `out`, whose earlier content is dropped.
pub fn fold_str(text: &str, out: &mut String) {
    out.clear();
    if text.is_ascii() {
        out.push_str(text);
        out.make_ascii_lowercase();
        return;
    }
    out.reserve(text.len());
    for segment in Segments::of(text) {
        match segment {
            Segment::Alone(c) => out.push(c),
            Segment::Other(part) => out.extend(fold_segment(part)),
        }
    }
}

/// Where a folded literal stands in the original text, as ascending `[start, end)` in
/// Unicode scalar values: occurrences from the left that do not overlap, so that each
/// range folds to the literal. A literal that begins or ends within a segment (the `k` of
/// `㎏`) takes the whole segment, since half a character cannot be marked; only ranges that
/// overlap for that reason are one.
pub fn find_all(folded: &Folded, literal: &[char]) -> Vec<(u32, u32)> {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for found in occurrences(&folded.chars, literal) {
        let origins = folded.origins.get(found).unwrap_or_default();
        let (Some((start, _)), Some((_, end))) = (origins.first(), origins.last()) else {
            continue;
        };
        match ranges.last_mut() {
            Some(last) if *start < last.1 => last.1 = last.1.max(*end),
            _ => ranges.push((*start, *end)),
        }
    }
    ranges
}

/// The places of a literal from the left that do not overlap, in time linear in the text
/// whatever the literal (Knuth, Morris, Pratt): `aaaa` in a text of only `a` is a query
/// that anybody may send.
fn occurrences<'a>(
    text: &'a [char],
    literal: &'a [char],
) -> impl Iterator<Item = Range<usize>> + 'a {
    let borders = borders(literal);
    let mut matched = 0;
    text.iter().enumerate().filter_map(move |(at, c)| {
        matched = advance(literal, &borders, matched, *c);
        if matched == 0 || matched < literal.len() {
            return None;
        }
        matched = 0;
        Some(at + 1 - literal.len()..at + 1)
    })
}

/// For each prefix of the literal, the length of its longest proper prefix that it also
/// ends with.
fn borders(literal: &[char]) -> Vec<usize> {
    let mut borders = Vec::with_capacity(literal.len());
    let mut matched = 0;
    for (at, c) in literal.iter().enumerate() {
        if at > 0 {
            matched = advance(literal, &borders, matched, *c);
        }
        borders.push(matched);
    }
    borders
}

/// How much of the literal is matched after one more character.
fn advance(literal: &[char], borders: &[usize], mut matched: usize, c: char) -> usize {
    while literal.get(matched) != Some(&c) {
        match matched.checked_sub(1).and_then(|last| borders.get(last)) {
            Some(shorter) => matched = *shorter,
            None => return 0,
        }
    }
    matched + 1
}

/// A stretch of text whose NFKC does not depend on its neighbours.
enum Segment<'a> {
    /// One character, folded already.
    Alone(char),
    Other(&'a str),
}

struct Segments<'a> {
    rest: &'a str,
}

impl<'a> Segments<'a> {
    fn of(text: &'a str) -> Self {
        Self { rest: text }
    }
}

impl<'a> Iterator for Segments<'a> {
    type Item = Segment<'a>;

    fn next(&mut self) -> Option<Segment<'a>> {
        let mut chars = self.rest.chars();
        let alone = fold_alone(chars.next()?);
        loop {
            let after = chars.as_str();
            if chars.next().is_none_or(begins_segment) {
                let (part, rest) = self.rest.split_at(self.rest.len() - after.len());
                self.rest = rest;
                return Some(match alone {
                    Some(c) if part.chars().nth(1).is_none() => Segment::Alone(c),
                    _ => Segment::Other(part),
                });
            }
        }
    }
}

fn fold_segment(segment: &str) -> impl Iterator<Item = char> {
    segment.nfkc().flat_map(char::to_lowercase)
}

/// Whether NFKC treats what stands before this character and what begins with it as two
/// texts: its decomposition starts with a character that no mark can be sorted across
/// (combining class 0) and that nothing before it can absorb.
fn begins_segment(c: char) -> bool {
    if fold_alone(c).is_some() {
        return true;
    }
    let mut first = None;
    decompose_compatible(c, |part| {
        first.get_or_insert(part);
    });
    let first = first.unwrap_or(c);
    canonical_combining_class(first) == 0
        && is_nfc_quick(std::iter::once(first)) != IsNormalized::Maybe
}

/// The folded form of a character that begins a segment and folds to one character, for
/// the ranges that chats are made of; a test holds it against the tables. What follows
/// such a character may still join its segment (`e` and an acute).
fn fold_alone(c: char) -> Option<char> {
    match c {
        '\0'..='\x7f' => Some(c.to_ascii_lowercase()),
        // Quotation marks; 、 to 〩; hiragana; katakana; ideographs and extension A; emoji.
        '\u{2018}'..='\u{201f}'
        | '\u{3001}'..='\u{3029}'
        | '\u{3041}'..='\u{3096}'
        | '\u{30a1}'..='\u{30fe}'
        | '\u{3400}'..='\u{4dbf}'
        | '\u{4e00}'..='\u{9fff}'
        | '\u{1f300}'..='\u{1faff}' => Some(c),
        '\u{3000}' => Some(' '),
        // The fullwidth forms of printable ASCII, ！ to ～, which Chinese punctuation uses.
        '\u{ff01}'..='\u{ff5e}' => {
            let narrow = u8::try_from(u32::from(c) - 0xfee0).ok()?;
            Some(char::from(narrow).to_ascii_lowercase())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
