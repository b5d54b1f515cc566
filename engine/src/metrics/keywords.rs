//! Keywords of texts (关键词, semantics 10.6): words cut by jieba's dictionary, stop words dropped,
//! counted.
//!
//! What is no word for a reader is no keyword: single characters, numbers, addresses of pages,
//! WeCom's emoji tokens. Words differ in case only once.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use jieba_rs::Jieba;

/// Characters of a text that are looked at: the rest of a pasted book says nothing more.
const TEXT_CHARS_MAX: usize = 2000;

/// Words that say nothing about what people talk about; our own list.
const STOP_WORDS: &str = include_str!("keywords/stop_words.txt");

/// Loading the dictionary takes a good part of a second, so it is loaded once.
static JIEBA: LazyLock<Jieba> = LazyLock::new(Jieba::new);

static STOPS: LazyLock<HashSet<&'static str>> = LazyLock::new(|| {
    let lines = STOP_WORDS.lines().filter(|line| !line.starts_with('#'));
    lines.flat_map(str::split_whitespace).collect()
});

/// Counts of words.
#[derive(Debug, Default)]
pub struct Keywords {
    counts: HashMap<String, u64>,
}

impl Keywords {
    /// Takes the words of a text in.
    pub fn add(&mut self, text: &str) {
        let text: String = text.chars().take(TEXT_CHARS_MAX).collect();
        let text = without_tokens(&text).to_lowercase();
        for part in text.split_whitespace().filter(|part| !is_address(part)) {
            for token in JIEBA.cut(part, true) {
                if is_keyword(token.word) {
                    *self.counts.entry(token.word.to_string()).or_default() += 1;
                }
            }
        }
    }

    /// The most frequent ones with their counts; equal counts in the order of the words.
    pub fn top(self, n: usize) -> Vec<(String, u64)> {
        let mut all: Vec<(String, u64)> = self.counts.into_iter().collect();
        all.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        all.truncate(n);
        all
    }
}

/// The text with WeCom's emoji tokens (`[微笑]`, 1 to 8 characters) as blanks.
fn without_tokens(text: &str) -> String {
    let mut left = text;
    let mut kept = String::with_capacity(text.len());
    while let Some(open) = left.find('[') {
        let after = &left[open + 1..];
        let close = after
            .find(['[', ']'])
            .filter(|at| after[*at..].starts_with(']'));
        kept.push_str(&left[..open]);
        match close {
            Some(close) if (1..=8).contains(&after[..close].chars().count()) => {
                kept.push(' ');
                left = &after[close + 1..];
            }
            _ => {
                kept.push('[');
                left = after;
            }
        }
    }
    kept + left
}

fn is_address(part: &str) -> bool {
    part.contains("://") || part.starts_with("www.")
}

fn is_keyword(word: &str) -> bool {
    word.chars().nth(1).is_some()
        && word.chars().all(char::is_alphanumeric)
        && !word.chars().all(char::is_numeric)
        && !STOPS.contains(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(texts: &[&str]) -> Vec<(String, u64)> {
        let mut keywords = Keywords::default();
        texts.iter().for_each(|text| keywords.add(text));
        keywords.top(10)
    }

    #[test]
    fn words_are_cut_and_counted_and_fillers_dropped() {
        let found = words(&["请问这个连衣裙有优惠吗", "连衣裙什么时候发货？", "好的谢谢"]);
        assert_eq!(found[0], ("连衣裙".to_string(), 2));
        let has = |word: &str| found.iter().any(|(found, _)| found == word);
        assert!(has("优惠") && has("发货"), "{found:?}");
        assert!(
            !has("这个") && !has("请问") && !has("谢谢") && !has("的"),
            "{found:?}"
        );
    }

    #[test]
    fn numbers_addresses_and_emoji_tokens_are_no_words() {
        assert_eq!(
            words(&["[微笑] 12345 https://example.com/连衣裙 ！！ 3.5"]),
            []
        );
        assert_eq!(words(&["VIP vip"]), [("vip".to_string(), 2)]);
    }

    #[test]
    fn brackets_that_are_no_token_stay_text() {
        assert_eq!(without_tokens("a[微笑]b[c"), "a b[c");
        assert_eq!(without_tokens("[[玫瑰]"), "[ ");
        assert_eq!(without_tokens("[123456789]"), "[123456789]");
    }
}
