//! Folding against its definition on whole strings, and finding against a plain scan.

use proptest::prelude::*;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_public_assigned;

use super::{find_all, fold, fold_alone, fold_str};

/// The definition.
fn fold_whole(text: &str) -> String {
    text.nfkc().flat_map(char::to_lowercase).collect()
}

fn folded_str(text: &str) -> String {
    let mut out = String::from("what was there before");
    fold_str(text, &mut out);
    out
}

#[track_caller]
fn check(text: &str) {
    let folded = fold(text);
    let whole = fold_whole(text);
    assert_eq!(folded.chars.iter().collect::<String>(), whole);
    assert_eq!(folded_str(text), whole);
    assert_eq!(folded.origins.len(), folded.chars.len());
    let mut covered = 0;
    let mut last = (0, 0);
    for origin in folded.origins {
        assert!(origin.0 < origin.1);
        if origin != last {
            assert_eq!(origin.0, covered, "origins follow each other without a gap");
            covered = origin.1;
        }
        last = origin;
    }
    assert_eq!(covered as usize, text.chars().count());
}

#[track_caller]
fn check_found(text: &str, query: &str, expected: &[(u32, u32)]) {
    let literal = fold(query).chars;
    assert_eq!(find_all(&fold(text), &literal), expected);
}

#[test]
fn every_character_folds_as_defined() {
    for c in '\0'..=char::MAX {
        check(c.encode_utf8(&mut [0; 4]));
    }
}

#[test]
fn every_character_folds_as_defined_among_others() {
    // Before it what could absorb it, behind it what it could absorb. Unassigned ones are
    // inert by definition, and three quarters of all.
    for c in ('\0'..=char::MAX).filter(|c| is_public_assigned(*c)) {
        for (before, behind) in [
            ("e\u{301}", "\u{327}"),
            ("\u{ac00}\u{1112}", "\u{1161}\u{11a8}"),
            ("ｶ", "ﾞ"),
            ("\u{9c7}", "\u{9be}"),
        ] {
            let text = format!("{before}{c}{behind}");
            assert_eq!(folded_str(&text), fold_whole(&text), "U+{:04X}", c as u32);
        }
    }
}

#[test]
fn characters_that_fold_alone_do_so_by_the_tables() {
    for c in '\0'..=char::MAX {
        if let Some(folded) = fold_alone(c) {
            assert_eq!(fold_whole(&c.to_string()), folded.to_string());
        }
    }
}

#[test]
fn width_and_case_do_not_matter() {
    assert_eq!(folded_str("ＡbＣ，１２３　Ω"), "abc,123 ω");
    check_found("价格ＡＢＣ元", "abc", &[(2, 5)]);
}

#[test]
fn letters_find_their_marks() {
    assert_eq!(folded_str("E\u{301}te\u{301}"), "été");
    check_found("l'E\u{301}te\u{301}", "été", &[(2, 7)]);
    check_found("Cafe\u{301}", "cafe", &[]);
    // Ａ is ASCII only after folding, and composes like it.
    assert_eq!(folded_str("Ａ\u{301}"), "á");
}

#[test]
fn jamo_become_syllables() {
    let jamo = "\u{1100}\u{1161} \u{1112}\u{1161}\u{11ab}\u{1100}\u{1173}\u{11af}!";
    check_found(jamo, "한글", &[(3, 9)]);
    check_found(jamo, "하", &[]);
    check_found("가한나", "\u{1112}\u{1161}\u{11ab}", &[(1, 2)]);
}

#[test]
fn halfwidth_kana_take_their_voicing_mark() {
    check_found("これはｶﾞﾗｽです", "ガラス", &[(3, 7)]);
    check_found("ｶﾞ", "カ", &[]);
}

#[test]
fn one_character_may_become_several() {
    check_found("5㎏ oﬃce", "kg", &[(1, 2)]);
    check_found("5㎏ oﬃce", "FFI", &[(4, 5)]);
    check_found("5㎏ oﬃce", "office", &[(3, 7)]);
    check_found("第①步", "1", &[(1, 2)]);
    check_found("\u{fdfa}", "الله", &[(0, 1)]);
    check_found("İstanbul", "i\u{307}s", &[(0, 2)]);
}

#[test]
fn lower_case_needs_no_context() {
    assert_eq!(folded_str("ΟΔΟΣ"), "οδοσ");
    check_found("ΟΔΟΣ", "οδοσ", &[(0, 4)]);
}

#[test]
fn occurrences_are_taken_from_the_left_and_do_not_overlap() {
    check_found("aaa", "aa", &[(0, 2)]);
    check_found("aaa", "a", &[(0, 1), (1, 2), (2, 3)]);
    check_found("abababxab", "abab", &[(0, 4)]);
    check_found("哈哈哈 哈哈", "哈哈", &[(0, 2), (4, 6)]);
    // Both halves of ㎏㎏ begin within a segment; each segment is marked once.
    check_found("㎏㎏", "k", &[(0, 1), (1, 2)]);
    check_found("㎏㎏", "gk", &[(0, 2)]);
}

#[test]
fn nothing_is_found_of_nothing() {
    check_found("", "a", &[]);
    check_found("abc", "", &[]);
    check_found("ab", "abc", &[]);
}

#[test]
fn a_long_tail_of_marks_is_one_segment() {
    let text = format!("a{}b", "\u{327}\u{301}".repeat(500));
    check(&text);
    check_found(&text, "b", &[(1001, 1002)]);
}

/// Text from the corners where normalisation bites, and from everywhere.
fn any_text() -> impl Strategy<Value = String> {
    let corner = prop_oneof![
        any::<char>(),
        proptest::char::range('a', 'c'),
        proptest::char::range('\u{300}', '\u{34f}'),
        proptest::char::range('\u{1100}', '\u{11ff}'),
        proptest::char::range('\u{ac00}', '\u{ad00}'),
        proptest::char::range('\u{9be}', '\u{9d7}'),
        proptest::char::range('\u{3099}', '\u{309c}'),
        proptest::char::range('\u{ff00}', '\u{ffef}'),
        proptest::char::range('\u{fb00}', '\u{fdff}'),
        proptest::char::range('\u{2460}', '\u{24ff}'),
        proptest::char::range('\u{3300}', '\u{33ff}'),
        proptest::char::range('\u{1f300}', '\u{1f6ff}'),
        proptest::sample::select(vec![
            '\u{130}', 'ß', 'Σ', 'ﬁ', '\u{200d}', '\u{fe0f}', '\u{344}', '\u{1e9e}'
        ]),
    ];
    proptest::collection::vec(corner, 0..24).prop_map(String::from_iter)
}

/// Every place of the literal, one by one, as the definition of `find_all` says.
fn scan(text: &str, literal: &[char]) -> Vec<(u32, u32)> {
    let folded = fold(text);
    let mut marked: Vec<(u32, u32)> = Vec::new();
    let mut free = 0;
    for start in 0..folded.chars.len() {
        let end = start + literal.len();
        if start < free || literal.is_empty() || folded.chars.get(start..end) != Some(literal) {
            continue;
        }
        free = end;
        let range = (folded.origins[start].0, folded.origins[end - 1].1);
        match marked.last_mut() {
            Some(last) if last.1 > range.0 => last.1 = range.1,
            _ => marked.push(range),
        }
    }
    marked
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn folding_in_segments_is_folding_the_whole(text in any_text()) {
        check(&text);
    }

    #[test]
    fn folding_any_string(text in any::<String>()) {
        check(&text);
    }

    #[test]
    fn finding_is_a_plain_scan(text in any_text(), literal in any_text(), few in "[abＡ㎏k]{0,12}", pick in "[abk]{0,3}") {
        for text in [&text, &few] {
            for literal in [&literal, &pick] {
                let literal = fold(literal).chars;
                prop_assert_eq!(find_all(&fold(text), &literal), scan(text, &literal));
            }
        }
    }

    #[test]
    fn what_stands_in_the_folded_text_is_marked(text in any_text(), cut in any::<(prop::sample::Index, prop::sample::Index)>()) {
        let folded = fold(&text);
        prop_assume!(!folded.chars.is_empty());
        let a = cut.0.index(folded.chars.len());
        let b = cut.1.index(folded.chars.len());
        let (start, end) = (a.min(b), a.max(b) + 1);
        let wanted = (folded.origins[start].0, folded.origins[end - 1].1);
        let found = find_all(&folded, &folded.chars[start..end]);
        prop_assert!(found.iter().any(|range| range.0 < wanted.1 && wanted.0 < range.1));
        prop_assert!(found.windows(2).all(|two| two[0].1 <= two[1].0), "ascending, not overlapping");
    }

    /// A piece of the original, cut where segments meet, is found where it was cut.
    #[test]
    fn a_piece_of_the_original_is_marked(text in any_text(), cut in any::<(prop::sample::Index, prop::sample::Index)>()) {
        let folded = fold(&text);
        prop_assume!(!folded.origins.is_empty());
        let a = folded.origins[cut.0.index(folded.origins.len())];
        let b = folded.origins[cut.1.index(folded.origins.len())];
        let (start, end) = (a.0.min(b.0), a.1.max(b.1));
        let piece: String = text.chars().skip(start as usize).take((end - start) as usize).collect();
        let found = find_all(&folded, &fold(&piece).chars);
        prop_assert!(found.iter().any(|range| range.0 <= start && end <= range.1));
    }
}
