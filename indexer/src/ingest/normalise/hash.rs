//! A fingerprint of what a message says, whatever way it is spelled.
//!
//! A msgid seen again with the same fingerprint is the same message sent again; with
//! another it is a conflict, and goes to the quarantine (semantics 2, counted message).
//! Not a matter of spelling, hence not in the fingerprint: the order of keys, white
//! space, escapes in strings, and how a number is written (`10`, `1e1`, `10.0`).

use aws_lc_rs::digest::{SHA256, digest};

use super::json::{self, Json};
use super::text::DEPTH_MAX;

/// SHA-256 of the canonical form of one message; of the bytes themselves when they are
/// no JSON. Stable across versions: archives may keep it.
pub fn content_hash(bytes: &[u8]) -> [u8; 32] {
    let readable = std::str::from_utf8(bytes)
        .ok()
        .and_then(|text| json::readable(text).ok());
    match readable {
        Some(text) => hash_of(Json::trusted(&text)),
        None => sha256(bytes),
    }
}

/// The same for a message that was read already.
pub(super) fn hash_of(message: Json<'_>) -> [u8; 32] {
    let mut canonical = Vec::with_capacity(message.raw().len());
    write(message, 0, &mut canonical);
    sha256(&canonical)
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, bytes).as_ref());
    hash
}

/// A form that only equal values share: strings carry their length, numbers an end, and
/// an object's fields stand in the order of their keys, doubles in the order they came.
fn write(value: Json<'_>, depth: usize, out: &mut Vec<u8>) {
    if depth >= DEPTH_MAX {
        // No message of WeCom is so deep; the spelling may matter there.
        write_string(b'r', value.raw(), out);
    } else if value.is_object() {
        let mut fields: Vec<_> = value.fields().collect();
        fields.sort_by(|(a, _), (b, _)| a.cmp(b));
        out.push(b'{');
        for (key, field) in fields {
            write_string(b'k', &key, out);
            write(field, depth + 1, out);
        }
        out.push(b'}');
    } else if value.is_array() {
        out.push(b'[');
        for element in value.elements() {
            write(element, depth + 1, out);
        }
        out.push(b']');
    } else if value.is_string() {
        write_string(b's', &value.text().unwrap_or_default(), out);
    } else if let Some(spelling) = value.text() {
        write_number(&spelling, out);
    } else {
        write_string(b'w', value.raw(), out);
    }
}

fn write_string(kind: u8, content: &str, out: &mut Vec<u8>) {
    out.push(kind);
    write_decimal(content.len(), out);
    out.push(b':');
    out.extend_from_slice(content.as_bytes());
}

/// In place: this runs for every string of every message.
fn write_decimal(mut number: usize, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut first = digits.len();
    loop {
        first -= 1;
        digits[first] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[first..]);
}

/// The number's sign, its digits without zeros at either end, and the power of ten that
/// they are multiplied by: exact, and the same for every spelling.
fn write_number(spelling: &str, out: &mut Vec<u8>) {
    let Some((digits, exponent)) = parse_number(spelling) else {
        return write_string(b'r', spelling, out);
    };
    out.push(b'n');
    if digits.is_empty() {
        out.push(b'0');
    } else {
        if spelling.starts_with('-') {
            out.push(b'-');
        }
        out.extend_from_slice(digits.as_bytes());
        out.extend_from_slice(format!("e{exponent}").as_bytes());
    }
    out.push(b';');
}

fn parse_number(spelling: &str) -> Option<(String, i64)> {
    let unsigned = spelling.strip_prefix('-').unwrap_or(spelling);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = format!("{whole}{fraction}");
    let digits = all.trim_end_matches('0');
    let n_end_zeros = i64::try_from(all.len() - digits.len()).ok()?;
    let exponent = exponent
        .checked_sub(i64::try_from(fraction.len()).ok()?)?
        .checked_add(n_end_zeros)?;
    Some((digits.trim_start_matches('0').to_owned(), exponent))
}
