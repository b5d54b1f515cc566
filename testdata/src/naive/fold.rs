//! Folding of text for searching, and finding the place in the original (contract, `huicun search`).

use unicode_normalization::char::canonical_combining_class;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfkc_quick};

/// NFKC, then lower case, character by character.
///
/// Choice: by character, so that Σ is always σ, at a word's end too.
pub(super) fn fold(text: &str) -> String {
    text.nfkc().flat_map(char::to_lowercase).collect()
}

/// Whether a character may merge with what stands before it when normalised.
fn joins_the_one_before(c: char) -> bool {
    let first = std::iter::once(c).nfkd().next().unwrap_or(c);
    canonical_combining_class(first) != 0
        || is_nfkc_quick(std::iter::once(first)) == IsNormalized::Maybe
}

/// For every character of the folded text, which characters `[start, end)` of the original made it.
fn origins(text: &str) -> Vec<(char, usize, usize)> {
    let original: Vec<char> = text.chars().collect();
    let mut origins = Vec::new();
    let mut start = 0;
    while start < original.len() {
        let mut end = start + 1;
        while end < original.len() && joins_the_one_before(original[end]) {
            end += 1;
        }
        let piece: String = original[start..end].iter().collect();
        origins.extend(fold(&piece).chars().map(|c| (c, start, end)));
        start = end;
    }
    origins
}

/// Where the folded literals occur in the text, as ranges of its characters, in order.
///
/// Choice: occurrences of one literal do not overlap (found from the left); ranges that overlap
/// are merged, ranges that only touch are not.
pub(super) fn highlights(text: &str, folded_literals: &[String]) -> Vec<(usize, usize)> {
    let origins = origins(text);
    let mut found = Vec::new();
    for literal in folded_literals {
        let literal: Vec<char> = literal.chars().collect();
        if literal.is_empty() {
            continue;
        }
        let mut at = 0;
        while at + literal.len() <= origins.len() {
            let here = &origins[at..at + literal.len()];
            if here.iter().map(|(c, ..)| *c).eq(literal.iter().copied()) {
                found.push((here[0].1, here[here.len() - 1].2));
                at += literal.len();
            } else {
                at += 1;
            }
        }
    }
    found.sort_unstable();
    let mut merged: Vec<(usize, usize)> = Vec::new();
    for (start, end) in found {
        match merged.last_mut() {
            Some(last) if start < last.1 => last.1 = last.1.max(end),
            _ => merged.push((start, end)),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_fold_to_the_same_as_the_whole() {
        for text in [
            "か\u{3099}ﾊﾟ ｶﾞ",
            "a\u{301}\u{323} A\u{30a}",
            "\u{1100}\u{1161}\u{11a8} 각",
            "ﬁ ㍿ ½ Ａ",
            "\u{301}x",
            "\u{344}\u{1e9b}\u{323}",
        ] {
            let pieces: String = origins(text).iter().map(|(c, ..)| *c).collect();
            assert_eq!(pieces, fold(text), "{text}");
        }
    }

    #[test]
    fn highlights_point_into_the_original() {
        // か + dakuten is one piece of two characters, ﾊﾟ likewise; ㍿ folds to 株式会社.
        let find = |text: &str, literals: &[&str]| {
            highlights(text, &literals.iter().map(|l| fold(l)).collect::<Vec<_>>())
        };
        assert_eq!(find("xか\u{3099}y", &["が"]), [(1, 3)]);
        assert_eq!(find("㍿A", &["会社ａ"]), [(0, 2)]);
        assert_eq!(find("谢谢谢谢谢", &["谢谢"]), [(0, 2), (2, 4)]);
        assert_eq!(find("abcd", &["BC", "cd"]), [(1, 4)]);
        assert_eq!(find("abcd", &[""]), []);
    }
}
