//! Folding a text for comparison, letter by letter, so that each keeps its place (semantics 8).

use std::sync::LazyLock;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::canonical_combining_class;

use crate::phrase::{Class, class_of};

/// A folded text.
pub(super) fn folded(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    each(text, |c, _| folded.push(c));
    folded
}

/// Tells each character of the folded text with the place from which it came: the half-open range
/// of Unicode scalar values of the text.
///
/// A letter and the marks on it are folded together, so that é is one letter however it is written.
/// Left out: whatever is no letter, number or mark, and Latin marks that fit on no letter (strokes
/// drawn over characters to hide them).
pub(super) fn each(text: &str, mut tell: impl FnMut(char, (usize, usize))) {
    let mut number = 0;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let start = number;
        number += 1;
        let mut end_at = at + c.len_utf8();
        while let Some((_, mark)) = chars.next_if(|(_, next)| is_combining(*next)) {
            number += 1;
            end_at += mark.len_utf8();
        }
        let place = (start, number);
        let is_bare = number == start + 1;
        match c {
            '\0'..='\x7F' if is_bare => {
                if c.is_ascii_alphanumeric() {
                    tell(c.to_ascii_lowercase(), place);
                }
            }
            '\u{4E00}'..='\u{9FFF}' if is_bare => tell(simplified(c), place),
            _ => {
                let letters = text[at..end_at].nfkc().flat_map(char::to_lowercase);
                for letter in letters.filter(|letter| is_kept(*letter)) {
                    tell(simplified(letter), place);
                }
            }
        }
    }
}

/// Whether a character stands on the one before it.
fn is_combining(c: char) -> bool {
    // The first combining character is U+0300, and there are none among the ideographs.
    c >= '\u{300}' && !matches!(c, '\u{4E00}'..='\u{9FFF}') && canonical_combining_class(c) != 0
}

fn is_kept(c: char) -> bool {
    match class_of(c) {
        Class::Word => true,
        Class::Mark => !matches!(c, '\u{300}'..='\u{36F}' | '\u{20D0}'..='\u{20FF}'),
        Class::Decoration => false,
    }
}

/// The simplified form of a traditional character; any other character as it is.
fn simplified(c: char) -> char {
    let from_first = u32::from(c).wrapping_sub(TRADITIONAL_MIN) as usize;
    match SIMPLIFIED.get(from_first) {
        Some(&form) if form != '\0' => form,
        _ => c,
    }
}

/// Below the first traditional character of the table, U+346F.
const TRADITIONAL_MIN: u32 = 0x3400;

/// Simplified forms by the number of the traditional character, `\0` where there is none. The rare
/// characters beyond the basic plane make it 750 KB, of which the usual 27,000 entries stay
/// near; a search through the pairs would cost each ideograph twelve comparisons.
static SIMPLIFIED: LazyLock<Vec<char>> = LazyLock::new(|| {
    let mut forms = Vec::new();
    for line in include_str!("simplified.txt").lines() {
        let mut chars = line.chars().filter(|_| !line.starts_with('#'));
        while let (Some(traditional), Some(form)) = (chars.next(), chars.next()) {
            let at = u32::from(traditional).wrapping_sub(TRADITIONAL_MIN) as usize;
            if forms.len() <= at {
                forms.resize(at + 1, '\0');
            }
            forms[at] = form;
        }
    }
    forms
});
