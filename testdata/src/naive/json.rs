//! Reading loose JSON: numbers given as strings, missing keys, control bytes (sdk sheet 5.2).

use serde_json::Value;

/// A whole number, given as a number or as a string of digits.
pub(super) fn whole_number(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number
            .as_i64()
            .or_else(|| number.as_f64().map(|float| float as i64)),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// A seq, which is never negative.
pub(super) fn seq_number(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// The string under `key`, or an empty one.
pub(super) fn string_at<'a>(object: &'a Value, key: &str) -> &'a str {
    object.get(key).and_then(Value::as_str).unwrap_or("")
}

/// The strings of the list under `key`; empty ones are left out.
pub(super) fn strings_at(object: &Value, key: &str) -> Vec<String> {
    let Some(items) = object.get(key).and_then(Value::as_array) else {
        return Vec::new();
    };
    items
        .iter()
        .filter_map(Value::as_str)
        .filter(|text| !text.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Parses strictly; then without raw control bytes; then without the escapes of control characters.
pub(super) fn parse_line(line: &str) -> Option<Value> {
    if let Ok(value) = serde_json::from_str(line) {
        return Some(value);
    }
    let mut cleaned: String = line.chars().filter(|c| *c >= ' ').collect();
    if let Ok(value) = serde_json::from_str(&cleaned) {
        return Some(value);
    }
    for escape in ["\\u0011", "\\u0012", "\\u0013", "\\u0014"] {
        cleaned = cleaned.replace(escape, "");
    }
    serde_json::from_str(&cleaned).ok()
}
