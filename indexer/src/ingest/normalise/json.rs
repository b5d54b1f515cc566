//! Walking JSON text in place, and the tolerant reading of the fact sheet (5.2).
//!
//! `serde_json` is the judge of what is well formed; this file only walks text that
//! passed, so that what the judge's typed readers would refuse does not cost us the
//! message: a key given twice, a number of any length, half a surrogate pair, a
//! number where a string is documented. Values are borrowed slices of the text, and
//! nothing is decoded before somebody asks for it.
//!
//! Walking never recurses and never panics, also not on text that nobody judged
//! (`line.rs` walks such text, and relies on it).

use std::borrow::Cow;
use std::ops::Range;

use serde::de::IgnoredAny;

use super::Unreadable;

/// A value as its own text, without blanks around it.
#[derive(Clone, Copy)]
pub(super) struct Json<'a> {
    text: &'a str,
}

impl<'a> Json<'a> {
    /// Takes text that is one well-formed JSON value.
    pub(super) fn judged(text: &'a str) -> Option<Self> {
        is_well_formed(text).ok()?;
        Some(Self::trusted(text))
    }

    /// Takes text that `readable` handed out, so that it is not judged twice.
    pub(super) fn trusted(text: &'a str) -> Self {
        Self {
            text: text.trim_ascii(),
        }
    }

    pub(super) fn raw(self) -> &'a str {
        self.text
    }

    pub(super) fn is_object(self) -> bool {
        self.text.starts_with('{')
    }

    pub(super) fn is_array(self) -> bool {
        self.text.starts_with('[')
    }

    pub(super) fn is_string(self) -> bool {
        self.text.starts_with('"')
    }

    pub(super) fn is_null(self) -> bool {
        self.text == "null"
    }

    fn is_number(self) -> bool {
        self.text
            .starts_with(|c: char| c == '-' || c.is_ascii_digit())
    }

    /// The fields of an object in their order, doubles included; none for anything else.
    pub(super) fn fields(self) -> impl Iterator<Item = (Cow<'a, str>, Json<'a>)> {
        let text = self.text;
        Members::of(text.as_bytes(), b'{')
            .into_iter()
            .flatten()
            .filter_map(move |(key, value)| {
                let value = Json {
                    text: text.get(value)?,
                };
                Some((unquote(text.get(key)?), value))
            })
    }

    /// The elements of an array in their order; none for anything else.
    pub(super) fn elements(self) -> impl Iterator<Item = Json<'a>> {
        let text = self.text;
        Members::of(text.as_bytes(), b'[')
            .into_iter()
            .flatten()
            .filter_map(move |(_, value)| {
                Some(Json {
                    text: text.get(value)?,
                })
            })
    }

    /// The field of that name, letter case aside (`Userid`, fact sheet 5.3 card). Of
    /// several the last counts, as in other readers; null counts as missing.
    pub(super) fn get(self, name: &str) -> Option<Json<'a>> {
        let same = self
            .fields()
            .filter(|(key, value)| key.eq_ignore_ascii_case(name) && !value.is_null());
        same.last().map(|(_, value)| value)
    }

    /// A string's content, or a number's spelling; nothing for the rest.
    pub(super) fn text(self) -> Option<Cow<'a, str>> {
        if self.is_string() {
            Some(unquote(self.text))
        } else if self.is_number() {
            Some(Cow::Borrowed(self.text))
        } else {
            None
        }
    }

    /// A number, or a string that spells one, cut to its whole part; nothing when it
    /// does not fit.
    pub(super) fn integer(self) -> Option<i64> {
        let text = self.text()?;
        let digits = text.trim();
        digits.parse().ok().or_else(|| {
            let number: f64 = digits.parse().ok()?;
            whole_part(number)
        })
    }

    /// As `integer`, with its fraction, for times in seconds.
    pub(super) fn float(self) -> Option<f64> {
        let number: f64 = self.text()?.trim().parse().ok()?;
        number.is_finite().then_some(number)
    }
}

/// The whole part, when a float holds it exactly enough to be worth keeping.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the bound above the cast is the check"
)]
pub(super) fn whole_part(number: f64) -> Option<i64> {
    // 2^63: the first float that an i64 cannot hold.
    const BOUND: f64 = 9_223_372_036_854_775_808.0;
    (number.is_finite() && number.abs() < BOUND).then(|| number.trunc() as i64)
}

/// Text that may be handed to `Json::trusted`: as it is when well formed; else without
/// its raw control bytes; else also without the escapes `\u0011` to `\u0014`, which old
/// clients leave in broken places (fact sheet 5.2, which keeps this order).
pub(super) fn readable(text: &str) -> Result<Cow<'_, str>, Unreadable> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let refused = match is_well_formed(text) {
        Ok(()) => return Ok(Cow::Borrowed(text)),
        Err(refused) => refused,
    };
    let without_controls: String = text.chars().filter(|c| *c >= ' ').collect();
    if without_controls.len() < text.len() && is_well_formed(&without_controls).is_ok() {
        return Ok(Cow::Owned(without_controls));
    }
    let without_escapes = without_device_control_escapes(&without_controls);
    if without_escapes.len() < without_controls.len() && is_well_formed(&without_escapes).is_ok() {
        return Ok(Cow::Owned(without_escapes));
    }
    Err(Unreadable::NotJson {
        line: refused.line(),
        column: refused.column(),
    })
}

fn is_well_formed(text: &str) -> Result<(), serde_json::Error> {
    serde_json::from_str::<IgnoredAny>(text).map(|_| ())
}

/// Drops `\u0011` .. `\u0014`, but not where the backslash is itself escaped.
fn without_device_control_escapes(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        kept.push_str(before);
        let is_dropped = ["\\u0011", "\\u0012", "\\u0013", "\\u0014"]
            .iter()
            .any(|dropped| escape.starts_with(dropped));
        let length = if is_dropped {
            "\\u0011".len()
        } else {
            1 + escape.chars().nth(1).map_or(0, char::len_utf8)
        };
        let (escape, after) = escape.split_at(length);
        if !is_dropped {
            kept.push_str(escape);
        }
        rest = after;
    }
    kept.push_str(rest);
    kept
}

/// The content of a string literal. Half a surrogate pair becomes U+FFFD: nothing else
/// can stand for it in UTF-8, and the payload keeps what was sent.
fn unquote(literal: &str) -> Cow<'_, str> {
    let inner = literal.strip_prefix('"').unwrap_or(literal);
    let inner = inner.strip_suffix('"').unwrap_or(inner);
    if !inner.contains('\\') {
        return Cow::Borrowed(inner);
    }
    let mut content = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some((before, after)) = rest.split_once('\\') {
        content.push_str(before);
        let (c, length) = escaped(after);
        content.push(c);
        rest = after.get(length..).unwrap_or_default();
    }
    content.push_str(rest);
    Cow::Owned(content)
}

/// The character that the text behind a backslash stands for, and that text's length.
fn escaped(text: &str) -> (char, usize) {
    match text.as_bytes().first() {
        Some(b'n') => ('\n', 1),
        Some(b't') => ('\t', 1),
        Some(b'r') => ('\r', 1),
        Some(b'b') => ('\u{8}', 1),
        Some(b'f') => ('\u{c}', 1),
        Some(b'"') => ('"', 1),
        Some(b'\\') => ('\\', 1),
        Some(b'/') => ('/', 1),
        Some(b'u') => escaped_unit(text),
        _ => (char::REPLACEMENT_CHARACTER, 0),
    }
}

/// `uXXXX`, or `uXXXX\uXXXX` when the two are a surrogate pair.
fn escaped_unit(text: &str) -> (char, usize) {
    let Some(unit) = hex_unit(text) else {
        return (char::REPLACEMENT_CHARACTER, 1);
    };
    let following = text.get(5..).and_then(|rest| rest.strip_prefix('\\'));
    let pair = [unit, following.and_then(hex_unit).unwrap_or_default()];
    match char::decode_utf16(pair).next() {
        Some(Ok(c)) if c.len_utf16() == 2 => (c, 11),
        Some(Ok(c)) => (c, 5),
        _ => (char::REPLACEMENT_CHARACTER, 5),
    }
}

fn hex_unit(text: &str) -> Option<u16> {
    let digits = text.strip_prefix('u')?.get(..4)?;
    if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    u16::from_str_radix(digits, 16).ok()
}

/// Walks the direct members of one object or array, as byte ranges of (key, value).
/// An array's keys are empty ranges. Stops at the first thing that fits nowhere.
pub(super) struct Members<'a> {
    cursor: Cursor<'a>,
    is_object: bool,
    is_first: bool,
    /// Whether the closing bracket was reached.
    pub(super) is_closed: bool,
}

impl<'a> Members<'a> {
    /// For text that opens with that bracket, which is `{` or `[`.
    pub(super) fn of(bytes: &'a [u8], bracket: u8) -> Option<Self> {
        let mut cursor = Cursor { bytes, at: 0 };
        cursor.take(bracket).then_some(Self {
            cursor,
            is_object: bracket == b'{',
            is_first: true,
            is_closed: false,
        })
    }

    /// Whether the container was closed and only blanks follow.
    pub(super) fn is_at_end(&mut self) -> bool {
        self.is_closed && self.cursor.peek().is_none()
    }

    fn close(&mut self) -> bool {
        self.is_closed = self.cursor.take(if self.is_object { b'}' } else { b']' });
        self.is_closed
    }
}

impl Iterator for Members<'_> {
    type Item = (Range<usize>, Range<usize>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_closed || self.close() {
            return None;
        }
        if !std::mem::take(&mut self.is_first) && !self.cursor.take(b',') {
            return None;
        }
        let key = if self.is_object {
            let key = self.cursor.string()?;
            self.cursor.take(b':').then_some(key)?
        } else {
            0..0
        };
        Some((key, self.cursor.value()?))
    }
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    /// The next byte that is not blank; every control byte counts as blank.
    fn peek(&mut self) -> Option<u8> {
        while let Some(byte) = self.bytes.get(self.at) {
            if *byte > b' ' {
                return Some(*byte);
            }
            self.at += 1;
        }
        None
    }

    fn take(&mut self, wanted: u8) -> bool {
        let is_next = self.peek() == Some(wanted);
        self.at += usize::from(is_next);
        is_next
    }

    /// A string literal with its quotes.
    fn string(&mut self) -> Option<Range<usize>> {
        if self.peek() != Some(b'"') {
            return None;
        }
        let start = self.at;
        self.at += 1;
        loop {
            let rest = self.bytes.get(self.at..)?;
            self.at += quote_or_backslash(rest)?;
            if self.bytes.get(self.at) == Some(&b'"') {
                self.at += 1;
                return Some(start..self.at);
            }
            self.at += 2;
        }
    }

    fn value(&mut self) -> Option<Range<usize>> {
        match self.peek()? {
            b'"' => self.string(),
            b'{' | b'[' => self.container(),
            _ => self.scalar(),
        }
    }

    fn container(&mut self) -> Option<Range<usize>> {
        let start = self.at;
        let mut depth = 0_usize;
        loop {
            match self.bytes.get(self.at)? {
                b'"' => {
                    self.string()?;
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return Some(start..self.at);
            }
        }
    }

    fn scalar(&mut self) -> Option<Range<usize>> {
        let start = self.at;
        let rest = self.bytes.get(start..)?;
        let is_part =
            |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.');
        let length = rest
            .iter()
            .position(|byte| !is_part(byte))
            .unwrap_or(rest.len());
        self.at += length;
        (length > 0).then_some(start..self.at)
    }
}

/// Where the first of the two stands, eight bytes at a time: ids, tickets and text are long
/// (an image message of 780 bytes is read in 1.5 instead of 2.1 microseconds).
fn quote_or_backslash(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::MAX / 255;
    const HIGHS: u64 = ONES << 7;
    // The lowest high bit set marks the first zero byte (those above may be wrong).
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & HIGHS;
    let (words, tail) = bytes.as_chunks::<8>();
    for (n_before, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let quotes = zeros(word ^ (ONES * u64::from(b'"')));
        let backslashes = zeros(word ^ (ONES * u64::from(b'\\')));
        let found = quotes | backslashes;
        if found != 0 {
            return Some(n_before * 8 + found.trailing_zeros() as usize / 8);
        }
    }
    let offset = tail.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
    Some(words.len() * 8 + offset)
}
