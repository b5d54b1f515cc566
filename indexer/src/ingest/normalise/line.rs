//! One line of an import: a message, or an envelope around it (contract, Feeds in).
//!
//! The message's bytes are handed on untouched, because they are what is archived and
//! hashed. Whether they are a readable message is for `normalise` to say; here only the
//! envelope is opened, so that a record which turns out to be unreadable keeps its seq.

use std::borrow::Cow;
use std::fmt;

use super::json::{Json, Members};
use super::{MESSAGE_BYTES_MAX, Unreadable};

/// The longest line that is looked at: a message, and an envelope's few fields.
pub const LINE_BYTES_MAX: usize = MESSAGE_BYTES_MAX + 4096;

/// An import line taken apart.
#[derive(Clone, PartialEq, Eq)]
pub struct Line<'a> {
    pub seq: Option<u64>,
    pub publickey_ver: Option<u32>,
    /// The bytes of the message as they stand in the line; owned only when the envelope
    /// holds the message as a JSON string.
    pub message: Cow<'a, [u8]>,
}

/// Shows no message.
impl fmt::Debug for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line")
            .field("seq", &self.seq)
            .field("publickey_ver", &self.publickey_ver)
            .field("message_bytes", &self.message.len())
            .finish()
    }
}

#[derive(Default)]
struct Envelope<'a> {
    seq: Option<&'a [u8]>,
    publickey_ver: Option<&'a [u8]>,
    message: Option<&'a [u8]>,
}

/// Opens the envelope if there is one. What is no envelope is handed on as the message,
/// without the blanks and the byte order mark around it.
///
/// # Errors
/// `TooLarge`, and `BadEnvelope` when `seq` or `publickey_ver` is there but no number.
pub fn split_line(line: &[u8]) -> Result<Line<'_>, Unreadable> {
    if line.len() > LINE_BYTES_MAX {
        return Err(Unreadable::TooLarge);
    }
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
    let line = line.trim_ascii();
    let envelope = envelope(line);
    let Some(message) = envelope.as_ref().and_then(|envelope| envelope.message) else {
        return Ok(Line {
            seq: None,
            publickey_ver: None,
            message: Cow::Borrowed(line),
        });
    };
    let envelope = envelope.unwrap_or_default();
    Ok(Line {
        seq: number(envelope.seq, "seq")?,
        publickey_ver: number(envelope.publickey_ver, "publickey_ver")?,
        message: unquoted(message),
    })
}

/// The envelope's fields: an object that holds a `message` and is not itself one, which
/// always has an `action` or a `msgtype`.
fn envelope(line: &[u8]) -> Option<Envelope<'_>> {
    let mut envelope = Envelope::default();
    let mut members = Members::of(line, b'{')?;
    for (key, value) in members.by_ref() {
        let value = line.get(value)?;
        match line.get(key)? {
            b"\"seq\"" => envelope.seq = Some(value),
            b"\"publickey_ver\"" => envelope.publickey_ver = Some(value),
            b"\"message\"" if matches!(value.first(), Some(b'{' | b'"')) => {
                envelope.message = Some(value);
            }
            b"\"action\"" | b"\"msgtype\"" => return None,
            _ => {}
        }
    }
    members.is_at_end().then_some(envelope)
}

/// A message given as a JSON string is unpacked; one given as an object stays as it is.
fn unquoted(message: &[u8]) -> Cow<'_, [u8]> {
    let literal = std::str::from_utf8(message)
        .ok()
        .filter(|text| text.starts_with('"'))
        .and_then(Json::judged)
        .and_then(Json::text);
    match literal {
        Some(content) => Cow::Owned(content.into_owned().into_bytes()),
        None => Cow::Borrowed(message),
    }
}

/// A number or a string that spells one; null and "" count as not given.
fn number<N: std::str::FromStr>(
    value: Option<&[u8]>,
    field: &'static str,
) -> Result<Option<N>, Unreadable> {
    let text = match value.map(std::str::from_utf8) {
        None | Some(Ok("null" | "\"\"")) => return Ok(None),
        Some(Ok(text)) => text.trim_matches('"').trim(),
        Some(Err(_)) => return Err(Unreadable::BadEnvelope { field }),
    };
    let number = text.parse();
    number
        .map(Some)
        .map_err(|_| Unreadable::BadEnvelope { field })
}
