//! Sensitive words: how they are written, and whether a text holds one (semantics 8).

use unicode_normalization::UnicodeNormalization;

/// Some traditional characters and their simplified ones: enough for tests, no dictionary.
const SIMPLIFIED: [(char, char); 8] = [
    ('轉', '转'),
    ('賬', '账'),
    ('帳', '账'),
    ('單', '单'),
    ('紅', '红'),
    ('錢', '钱'),
    ('現', '现'),
    ('飛', '飞'),
];

/// The words of a rule as written: separated by commas, trimmed, without empty ones and repetitions.
pub(super) fn parse_words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for word in text.split(['，', ',']) {
        let word = word.trim();
        if !word.is_empty() && !words.iter().any(|one| one == word) {
            words.push(word.to_owned());
        }
    }
    words
}

pub(super) fn hits(text: &str, word: &str, normalised: bool) -> bool {
    if !normalised {
        return text.contains(word);
    }
    let word = fold(word);
    !word.is_empty() && fold(text).contains(&word)
}

/// Width, case and script folded; spaces and symbols left out.
fn fold(text: &str) -> String {
    let simplified = |c: char| {
        let found = SIMPLIFIED.iter().find(|(traditional, _)| *traditional == c);
        found.map_or(c, |(_, simplified)| *simplified)
    };
    text.nfkc()
        .flat_map(char::to_lowercase)
        .filter(|c| c.is_alphanumeric())
        .map(simplified)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_trimmed_and_told_once() {
        assert_eq!(parse_words(" 转账，加 我,，转账"), ["转账", "加 我"]);
    }

    #[test]
    fn normalised_rules_look_through_width_case_script_and_symbols() {
        assert!(hits("请转账", "转账", false));
        assert!(!hits("请转 账", "转账", false));
        assert!(hits("请轉-＊賬", "转账", true));
        assert!(hits("加ＶＸ", "vx", true));
        assert!(!hits("转他账", "转账", true));
        assert!(!hits("任何", "！", true));
    }
}
