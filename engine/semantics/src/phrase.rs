//! Short texts compared by what they say, not by how they are dressed (semantics 3).
//!
//! Closing phrases are compared so, and phrases that need no answer (section 5). Search and
//! sensitive words are not: they must find what stands within a text and map it back.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization;
use unicode_properties::{EmojiStatus, GeneralCategoryGroup, UnicodeEmoji, UnicodeGeneralCategory};

/// The longest name in a WeCom emoji token such as `[微笑]`, in characters.
const TOKEN_NAME_CHARS_MAX: usize = 8;

/// Asks for the coloured form of the character before it.
const EMOJI_SELECTOR: char = '\u{FE0F}';

/// Draws a key around the digit before it, as in 1️⃣.
const KEYCAP: char = '\u{20E3}';

/// A text after NFKC, in lower case, with both ends bared until neither can be bared further of
/// white space, punctuation, symbols, emoji (variation selectors, joiners, keycaps and skin tones
/// included) and WeCom emoji tokens (`[` 1-8 characters `]`). What is left within stays.
///
/// Letters and numbers of every script stay, with the marks on them (Thai vowels, accents); a mark
/// without a letter goes. Controls, private use (old WeChat emoji), the unassigned (new emoji) and
/// the blank Hangul fillers go too. An emoji that NFKC would turn into a letter (ℹ️, ㊗️) is kept
/// from that, and goes as an emoji. Normalising twice changes nothing more.
pub fn normalise(text: &str) -> String {
    normalised(text).into_owned()
}

/// As [`normalise`], borrowing where folding changes nothing.
pub(crate) fn normalised(text: &str) -> Cow<'_, str> {
    match fold(text) {
        Cow::Borrowed(text) => Cow::Borrowed(bare(text)),
        Cow::Owned(folded) => match bare(&folded) {
            whole if whole.len() == folded.len() => Cow::Owned(folded),
            part => Cow::Owned(part.to_owned()),
        },
    }
}

/// NFKC and lower case, letter by letter (so Σ is σ at the end of a word too), but not of emoji.
fn fold(text: &str) -> Cow<'_, str> {
    if text.chars().all(|c| simply_folded(c) == Some(c)) {
        return Cow::Borrowed(text);
    }
    match text.chars().map(simply_folded).collect() {
        Some(folded) => Cow::Owned(folded),
        None => Cow::Owned(fold_anything(text)),
    }
}

/// The folded form of what nearly all Chinese texts are made of; none of it joins with its neighbours.
/// A shortcut that saves the tables of Unicode: three quarters of the time on real texts.
fn simply_folded(c: char) -> Option<char> {
    match c {
        '\0'..='\x7F' => Some(c.to_ascii_lowercase()),
        '\u{4E00}'..='\u{9FA5}' | '、' | '。' | '‘'..='”' => Some(c),
        '\u{3000}' => Some(' '),
        // Full width, in the order of ASCII.
        '！'..='～' => char::from_u32(u32::from(c) - 0xFEE0).map(|c| c.to_ascii_lowercase()),
        _ => None,
    }
}

fn fold_anything(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    let mut plain_from = 0;
    for (at, c) in text.char_indices() {
        if c.is_ascii() || !is_drawn_as_emoji(c, &text[at + c.len_utf8()..]) {
            continue;
        }
        push_folded(&text[plain_from..at], &mut folded);
        folded.push(c);
        plain_from = at + c.len_utf8();
    }
    push_folded(&text[plain_from..], &mut folded);
    folded
}

fn push_folded(plain: &str, folded: &mut String) {
    // İ in lower case is an i with a dot on it, which may stand wrong among other marks: hence the NFC.
    folded.extend(plain.nfkc().flat_map(char::to_lowercase).nfc());
}

/// Whether a character is shown as an emoji: by default, or because a selector follows.
fn is_drawn_as_emoji(c: char, rest: &str) -> bool {
    match c.emoji_status() {
        EmojiStatus::NonEmoji => false,
        EmojiStatus::EmojiOther
        | EmojiStatus::EmojiModifierBase
        | EmojiStatus::EmojiOtherAndEmojiComponent => rest.starts_with(EMOJI_SELECTOR),
        _ => true,
    }
}

/// What is left of a text when nothing at its ends can go.
fn bare(text: &str) -> &str {
    let mut rest = text;
    loop {
        let before = rest.len();
        rest = &rest[decoration_at_start(rest)..];
        rest = &rest[..rest.len() - decoration_at_end(rest)];
        if rest.len() == before {
            return rest;
        }
    }
}

/// The bytes of one piece of decoration at the start, 0 if there is none.
fn decoration_at_start(text: &str) -> usize {
    let mut chars = text.chars();
    let Some(first) = chars.next() else { return 0 };
    if first == '['
        && let Some(n_bytes) = token_at_start(text)
    {
        return n_bytes;
    }
    let rest = chars.as_str();
    if is_keycap_base(first) {
        let plain = rest.strip_prefix(EMOJI_SELECTOR).unwrap_or(rest);
        if let Some(after) = plain.strip_prefix(KEYCAP) {
            return text.len() - after.len();
        }
    }
    match class_of(first) {
        Class::Word if first.is_ascii() || !is_drawn_as_emoji(first, rest) => 0,
        _ => first.len_utf8(),
    }
}

/// The bytes of one piece of decoration at the end, 0 if there is none.
fn decoration_at_end(text: &str) -> usize {
    let mut chars = text.chars();
    let Some(last) = chars.next_back() else {
        return 0;
    };
    if last == ']'
        && let Some(n_bytes) = token_at_end(text)
    {
        return n_bytes;
    }
    let rest = chars.as_str();
    match last {
        KEYCAP => {
            let plain = rest.strip_suffix(EMOJI_SELECTOR).unwrap_or(rest);
            let key = plain.chars().next_back().filter(|c| is_keycap_base(*c));
            text.len() - key.map_or(rest.len(), |key| plain.len() - key.len_utf8())
        }
        EMOJI_SELECTOR => {
            let base = rest.chars().next_back();
            let base = base.filter(|c| !c.is_ascii() && c.is_emoji_char());
            last.len_utf8() + base.map_or(0, char::len_utf8)
        }
        _ => match class_of(last) {
            Class::Word if last.is_ascii() || !is_drawn_as_emoji(last, "") => 0,
            Class::Mark => loose_marks_at_end(text),
            _ => last.len_utf8(),
        },
    }
}

/// The bytes of the marks at the end, 0 if they stand on a letter or a number.
///
/// What else they stand on stays for the next look: it may be the selector of an emoji.
fn loose_marks_at_end(text: &str) -> usize {
    let rest = text.trim_end_matches(|c| class_of(c) == Class::Mark);
    match rest.chars().next_back() {
        Some(base) if class_of(base) == Class::Word => 0,
        _ => text.len() - rest.len(),
    }
}

/// The bytes of a token at the start of a text that starts with `[`.
fn token_at_start(text: &str) -> Option<usize> {
    let mut n_bytes = 1;
    for (n_chars, c) in text
        .chars()
        .skip(1)
        .take(TOKEN_NAME_CHARS_MAX + 1)
        .enumerate()
    {
        match c {
            ']' => return (n_chars > 0).then_some(n_bytes + 1),
            '[' => return None,
            _ => n_bytes += c.len_utf8(),
        }
    }
    None
}

/// The bytes of a token at the end of a text that ends with `]`.
fn token_at_end(text: &str) -> Option<usize> {
    let mut n_bytes = 1;
    for (n_chars, c) in text
        .chars()
        .rev()
        .skip(1)
        .take(TOKEN_NAME_CHARS_MAX + 1)
        .enumerate()
    {
        match c {
            '[' => return (n_chars > 0).then_some(n_bytes + 1),
            ']' => return None,
            _ => n_bytes += c.len_utf8(),
        }
    }
    None
}

fn is_keycap_base(c: char) -> bool {
    c.is_ascii_digit() || c == '#' || c == '*'
}

/// What a character is to a phrase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Letters and numbers.
    Word,
    /// Belongs to the character before it.
    Mark,
    /// Says nothing.
    Decoration,
}

pub(crate) fn class_of(c: char) -> Class {
    match c {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '\u{4E00}'..='\u{9FA5}' => Class::Word,
        '\0'..='\x7F' => Class::Decoration,
        // Variation selectors and the keycap are marks to Unicode but not to a reader.
        '\u{FE00}'..='\u{FE0F}' | '\u{E0100}'..='\u{E01EF}' | KEYCAP => Class::Decoration,
        // Fillers are letters to Unicode but blank on the screen: people send them as "nothing".
        '\u{115F}' | '\u{1160}' | '\u{3164}' | '\u{FFA0}' => Class::Decoration,
        _ => match c.general_category_group() {
            GeneralCategoryGroup::Letter | GeneralCategoryGroup::Number => Class::Word,
            GeneralCategoryGroup::Mark => Class::Mark,
            _ => Class::Decoration,
        },
    }
}

#[cfg(test)]
mod tests;
