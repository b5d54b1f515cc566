//! Sensitive words at the edges (semantics 8); the ordinary cases are golden cases.

use super::*;

fn words(list: &[&str], match_: WordMatch) -> Words {
    let list: Vec<String> = list.iter().map(|word| (*word).to_owned()).collect();
    Words::new(&[WordRule {
        words: &list,
        match_,
    }])
}

/// The hits as slices of the text.
fn found(words: &Words, text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let slice = |hit: WordHit| chars[hit.start..hit.end].iter().collect();
    words.hits(text).into_iter().map(slice).collect()
}

#[test]
fn without_words_nothing_is_hit() {
    let none = Words::new(&[]);
    assert!(none.is_empty());
    assert!(none.hits("加微信").is_empty());
    let blank = words(&["", ""], WordMatch::Normalised);
    assert!(blank.is_empty() && blank.hits("").is_empty());
}

#[test]
fn nothing_hit_allocates_nothing() {
    let words = words(&["加微信"], WordMatch::Normalised);
    assert_eq!(words.hits("好的，谢谢").capacity(), 0);
}

#[test]
fn occurrences_that_overlap_are_all_told() {
    let words = words(&["哈哈", "哈"], WordMatch::Exact);
    let at: Vec<_> = words
        .hits("哈哈哈")
        .iter()
        .map(|hit| (hit.word, hit.start, hit.end))
        .collect();
    assert_eq!(at, [(1, 0, 1), (0, 0, 2), (1, 1, 2), (0, 1, 3), (1, 2, 3)]);
}

#[test]
fn a_word_of_several_rules_hits_each() {
    let list = ["返现".to_owned()];
    let rule = |match_| WordRule {
        words: &list,
        match_,
    };
    let both = Words::new(&[rule(WordMatch::Exact), rule(WordMatch::Normalised)]);
    let rules: Vec<usize> = both.hits("返现").iter().map(|hit| hit.rule).collect();
    assert_eq!(rules, [0, 1]);
    let rules: Vec<usize> = both.hits("返 现").iter().map(|hit| hit.rule).collect();
    assert_eq!(rules, [1]);
}

#[test]
fn places_are_those_of_the_text_as_it_was_given() {
    let words = words(&["加微信"], WordMatch::Normalised);
    assert_eq!(found(&words, "🙏🏻请【加·微 信】哦"), ["加·微 信"]);
    assert_eq!(
        found(&words, "加\u{336}微\u{336}信\u{336}"),
        ["加\u{336}微\u{336}信\u{336}"]
    );
}

#[test]
fn one_character_that_folds_to_several_is_hit_once() {
    let words = words(&["m", "kg"], WordMatch::Normalised);
    assert_eq!(found(&words, "㎜"), ["㎜"]);
    assert_eq!(found(&words, "1㎏"), ["㎏"]);
    assert_eq!(found(&words, "K g"), ["K g"]);
}

#[test]
fn an_accent_is_one_letter_however_it_is_written() {
    let words = words(&["café"], WordMatch::Normalised);
    assert_eq!(found(&words, "CAFE\u{301}!"), ["CAFE\u{301}"]);
    assert_eq!(found(&words, "Café"), ["Café"]);
    assert!(found(&words, "cafe").is_empty());
}

#[test]
fn a_word_of_symbols_alone_is_looked_for_as_it_stands() {
    let words = words(&["¥¥", "返现"], WordMatch::Normalised);
    assert_eq!(found(&words, "返\u{200B}现¥¥"), ["返\u{200B}现", "¥¥"]);
    assert!(found(&words, "¥ ¥").is_empty());
}

#[test]
fn characters_beyond_the_basic_plane_have_simplified_forms_too() {
    let words = words(&["𡞱"], WordMatch::Normalised);
    assert_eq!(found(&words, "a㜢"), ["㜢"]);
}

#[test]
fn words_are_split_trimmed_and_each_kept_once() {
    assert_eq!(
        parse_words(" 加微信，私下 转账,，加微信 , V信"),
        ["加微信", "私下 转账", "V信"]
    );
    assert!(parse_words(" ，, ").is_empty());
}
