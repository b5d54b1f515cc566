//! Closing phrases: how they are normalised and compared (semantics 3).

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::message::Message;
use super::rules::{ClosingMatch, Rules};

/// The longest name in a WeCom emoji token, in characters.
const TOKEN_NAME_MAX: usize = 8;

/// Whether the message is a text that says one of the phrases. Who said it is asked elsewhere.
pub(super) fn is_closing_phrase(message: &Message, rules: &Rules) -> bool {
    if message.msgtype != "text" {
        return false;
    }
    let said = normalise(&message.text);
    for phrase in &rules.closing_phrases {
        let phrase = normalise(phrase);
        if phrase.is_empty() {
            continue;
        }
        let hit = match rules.closing_match {
            ClosingMatch::Exact => said == phrase,
            ClosingMatch::Contains => said.contains(&phrase),
        };
        if hit {
            return true;
        }
    }
    false
}

/// NFKC, lower case, and both ends bared of everything that is not words.
pub(super) fn normalise(text: &str) -> String {
    let chars: Vec<char> = text.nfkc().flat_map(char::to_lowercase).collect();
    let mut rest = &chars[..];
    loop {
        let before = rest.len();
        if let Some(length) = token_at_start(rest) {
            rest = &rest[length..];
        } else if let Some(length) = token_at_end(rest) {
            rest = &rest[..rest.len() - length];
        } else if rest.first().copied().is_some_and(is_decoration) {
            rest = &rest[1..];
        } else if rest.last().copied().is_some_and(is_decoration) {
            rest = &rest[..rest.len() - 1];
        }
        if rest.len() == before {
            return rest.iter().collect();
        }
    }
}

/// `[微笑]`: the number of characters of an emoji token at the start, brackets included.
fn token_at_start(chars: &[char]) -> Option<usize> {
    if chars.first() != Some(&'[') {
        return None;
    }
    let end = chars.iter().position(|c| *c == ']')?;
    is_token_name(&chars[1..end]).then_some(end + 1)
}

fn token_at_end(chars: &[char]) -> Option<usize> {
    if chars.last() != Some(&']') {
        return None;
    }
    let start = chars.iter().rposition(|c| *c == '[')?;
    is_token_name(&chars[start + 1..chars.len() - 1]).then_some(chars.len() - start)
}

fn is_token_name(name: &[char]) -> bool {
    (1..=TOKEN_NAME_MAX).contains(&name.len()) && !name.contains(&'[') && !name.contains(&']')
}

/// White space, punctuation, symbols, emoji, variation selectors, joiners.
///
/// Choice: std knows no general categories, so this is everything that is neither a letter, a number
/// nor a combining mark, which takes in controls, private use and the unassigned (new emoji).
fn is_decoration(c: char) -> bool {
    let is_emoji_block = matches!(c, '\u{1F000}'..='\u{1FAFF}');
    let is_emoji_part = matches!(
        c,
        '\u{FE00}'..='\u{FE0F}' | '\u{E0100}'..='\u{E01EF}' | '\u{20E3}'
    );
    let is_word = c.is_alphanumeric() || is_combining_mark(c);
    is_emoji_block || is_emoji_part || !is_word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_are_bared_of_decoration() {
        for said in [
            "谢谢",
            " 谢谢！\n",
            "谢谢[微笑][强]",
            "［微笑］谢谢",
            "[谢谢",
            "❤\u{fe0f}谢谢👍🏻",
            "👨\u{200d}👩\u{200d}👧 谢谢~~",
            "🅰谢谢🇨🇳",
            "[微笑]]谢谢",
        ] {
            assert_eq!(normalise(said), "谢谢", "{said}");
        }
        assert_eq!(normalise("ＯＫ[Facepalm]"), "ok");
        // A token's name has at most 8 characters; nine in brackets are words.
        assert_eq!(normalise("[一二三四五六七八]"), "");
        assert_eq!(normalise("[一二三四五六七八九]"), "一二三四五六七八九");
        // The middle is left alone.
        assert_eq!(normalise("谢 谢[微笑]啦。"), "谢 谢[微笑]啦");
        assert_eq!(normalise("ค่ะ"), "ค่ะ");
    }
}
