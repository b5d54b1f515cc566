//! How one value reads as text, for the formats that share it.

use std::borrow::Cow;
use std::fmt::Write;

use crate::answer::ColumnKind;
use serde_json::Value;

/// A value as compact JSON. Control characters beyond JSON's own (DEL and C1, which terminals
/// obey too) are escaped as well; it stays the same JSON.
pub fn json_text(value: &Value) -> String {
    let text = value.to_string();
    if !text.chars().any(char::is_control) {
        return text;
    }
    // Compact JSON has no control characters outside strings, so each may become an escape.
    text.chars().fold(String::new(), |mut safe, c| {
        if c.is_control() {
            let _ = write!(safe, "\\u{:04x}", u32::from(c));
        } else {
            safe.push(c);
        }
        safe
    })
}

/// A value as text without dress: text as it is, the items of a list joined, null empty,
/// anything else as JSON.
pub fn plain(value: &Value, kind: ColumnKind, list_separator: &str) -> String {
    match (kind, value) {
        (_, Value::Null) => String::new(),
        (ColumnKind::Json, value) => json_text(value),
        (_, Value::String(text)) => text.clone(),
        (ColumnKind::TextList, Value::Array(items)) => {
            let items: Vec<String> = items
                .iter()
                .map(|item| plain(item, ColumnKind::Text, list_separator))
                .collect();
            items.join(list_separator)
        }
        (_, value) => json_text(value),
    }
}

/// Whether a spreadsheet might read text as a formula (reliability F47).
pub fn looks_like_formula(text: &str) -> bool {
    text.starts_with(['=', '+', '-', '@', '\t', '\r', '\0', '＝', '＋', '－', '＠'])
}

/// Seconds as `HH:MM:SS`, rounded to whole seconds; hours may pass 24.
pub fn hours(seconds: f64) -> String {
    let whole = seconds.round();
    let sign = if whole < 0.0 { "-" } else { "" };
    let whole = whole.abs() as u64;
    let (h, m, s) = (whole / 3600, whole / 60 % 60, whole % 60);
    format!("{sign}{h:02}:{m:02}:{s:02}")
}

/// Text with everything escaped that could move a cursor, start an escape sequence or turn the
/// reading direction; the characters in `kept` stay.
pub fn visible<'a>(text: &'a str, kept: &[char]) -> Cow<'a, str> {
    let is_unsafe = |c: char| (c.is_control() || is_invisible(c)) && !kept.contains(&c);
    if !text.chars().any(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if is_unsafe(c) {
            safe.extend(c.escape_default());
        } else {
            safe.push(c);
        }
    }
    Cow::Owned(safe)
}

/// Separators, direction marks and zero-width characters. The joiner U+200D stays: emoji are
/// made with it.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn seconds_are_rounded_and_hours_pass_a_day() {
        assert_eq!(hours(0.0), "00:00:00");
        assert_eq!(hours(59.5), "00:01:00");
        assert_eq!(hours(3661.499), "01:01:01");
        assert_eq!(hours(360_000.0), "100:00:00");
        assert_eq!(hours(-61.0), "-00:01:01");
        assert_eq!(hours(-0.2), "00:00:00");
    }

    #[test]
    fn lists_are_joined_and_other_values_are_json() {
        let list = json!(["a", "b"]);
        assert_eq!(plain(&list, ColumnKind::TextList, "|"), "a|b");
        assert_eq!(plain(&list, ColumnKind::Json, "|"), r#"["a","b"]"#);
        assert_eq!(plain(&json!("甲"), ColumnKind::Json, "|"), r#""甲""#);
        assert_eq!(plain(&json!(7), ColumnKind::Text, "|"), "7");
        assert_eq!(plain(&Value::Null, ColumnKind::Json, "|"), "");
    }

    #[test]
    fn json_text_escapes_terminal_controls_and_stays_the_same_json() {
        let value = json!({"a": "\u{1b}[31m\u{9b}2J\u{7f}甲"});
        let text = json_text(&value);
        assert!(!text.chars().any(char::is_control), "{text}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }

    #[test]
    fn escapes_and_direction_marks_are_made_visible_and_emoji_stay() {
        assert_eq!(visible("\u{1b}[2J", &[]), "\\u{1b}[2J");
        assert_eq!(visible("a\u{202e}b", &[]), "a\\u{202e}b");
        assert_eq!(visible("a\nb\r", &['\n']), "a\nb\\r");
        assert_eq!(visible("👨\u{200d}👩 甲", &[]), "👨\u{200d}👩 甲");
    }
}
