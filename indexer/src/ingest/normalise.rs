//! From the decrypted bytes of one WeCom message to typed columns (fact sheet 5 and 6,
//! contract "Feeds in", architecture "The path of a message").
//!
//! Promises: no bytes whatever make it panic; what can be read is read, however oddly it
//! is spelled; what cannot is refused with a reason, and the caller quarantines it. The
//! payload is kept as it came, so a message read wrongly today can be read again.
//!
//! Not here: roles, kinds and conversations (they depend on the directory), fetching of
//! media, quarantine.

mod hash;
mod json;
mod line;
mod media;
mod msgtype;
mod text;
mod time;

use std::borrow::Cow;
use std::fmt;

pub use self::hash::content_hash;
use self::json::Json;
pub use self::line::{LINE_BYTES_MAX, Line, split_line};
pub use self::media::Media;
use self::msgtype::Known;
use self::text::{Contents, Strings};

/// The longest message that is read. A text is at most a few kB and a forwarded record a
/// few hundred kB; 16 MiB leaves room for what we have not seen, while a hundred of them
/// still fit one Arrow column of 32-bit offsets.
pub const MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// One message in columns.
#[derive(Clone, PartialEq, Eq)]
pub struct Normalised {
    /// Never empty.
    pub msgid: String,
    /// `send`, `recall`, `switch`, or what else the message says.
    pub action: String,
    /// As the message names it, also when we do not know it; `switch` for a change of
    /// company, which has none; `unknown` where it is missing.
    pub msgtype: String,
    /// Whether this version knows the fields of that type.
    pub is_known_type: bool,
    /// Milliseconds since 1970, 0 to April 2262; 0 where WeCom says 0.
    pub msgtime_ms: i64,
    /// The sender; "" when the message names none.
    pub from_id: String,
    /// The receivers, in the message's order.
    pub to_ids: Vec<String>,
    /// "" outside of rooms.
    pub room_id: String,
    /// All that a reader would see, see the contract. Never longer than the payload.
    pub text: String,
    /// The JSON as it came, byte for byte.
    pub payload: String,
    /// The message's own file.
    pub media: Option<Media>,
    /// Files within a forwarded record or a mixed message, in order.
    pub nested_media: Vec<Media>,
    /// Length of a call.
    pub call_ms: Option<i64>,
    /// The message that this one takes back.
    pub revokes_msgid: Option<String>,
}

/// Shows ids and lengths, no words of anybody.
impl fmt::Debug for Normalised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Normalised")
            .field("msgid", &self.msgid)
            .field("action", &self.action)
            .field("msgtype", &self.msgtype)
            .field("msgtime_ms", &self.msgtime_ms)
            .field("n_receivers", &self.to_ids.len())
            .field("text_bytes", &self.text.len())
            .field("payload_bytes", &self.payload.len())
            .finish_non_exhaustive()
    }
}

/// Why a record is quarantined instead. Trying again helps only with a newer version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    #[error("message is longer than {MESSAGE_BYTES_MAX} bytes")]
    TooLarge,
    #[error("message is not UTF-8 from byte {valid_up_to}")]
    NotUtf8 { valid_up_to: usize },
    #[error("message is not JSON at line {line} column {column}")]
    NotJson { line: usize, column: usize },
    #[error("message is JSON but not an object")]
    NotAnObject,
    #[error("message has no `msgid`")]
    NoMsgid,
    #[error("message has neither `msgtime` nor `time`")]
    NoTime,
    #[error("message has a `msgtime` that is no time between 1970 and 2262")]
    BadTime,
    #[error("envelope has a `{field}` that is no number")]
    BadEnvelope { field: &'static str },
}

impl Unreadable {
    /// A name for the quarantine's `reason` column. Kept in archives: never changed.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::TooLarge => "too_large",
            Self::NotUtf8 { .. } => "not_utf8",
            Self::NotJson { .. } => "not_json",
            Self::NotAnObject => "not_an_object",
            Self::NoMsgid => "no_msgid",
            Self::NoTime => "no_time",
            Self::BadTime => "bad_time",
            Self::BadEnvelope { .. } => "bad_envelope",
        }
    }
}

/// Reads one decrypted message.
///
/// # Errors
/// When the bytes are no JSON object even after the tolerant steps, or lack what a row
/// cannot be without: an id and a time.
pub fn normalise(bytes: &[u8]) -> Result<Normalised, Unreadable> {
    normalise_hashed(bytes).map(|(normalised, _)| normalised)
}

/// As [`normalise`], with the [`content_hash`] of the same bytes: the JSON is judged once.
///
/// # Errors
/// As [`normalise`].
pub fn normalise_hashed(bytes: &[u8]) -> Result<(Normalised, [u8; 32]), Unreadable> {
    if bytes.len() > MESSAGE_BYTES_MAX {
        return Err(Unreadable::TooLarge);
    }
    let payload = std::str::from_utf8(bytes).map_err(|refused| Unreadable::NotUtf8 {
        valid_up_to: refused.valid_up_to(),
    })?;
    let readable = json::readable(payload)?;
    let message = Json::trusted(&readable);
    if !message.is_object() {
        return Err(Unreadable::NotAnObject);
    }
    let normalised = columns(&Record::read(message), payload)?;
    debug_assert!(normalised.text.len() <= payload.len());
    Ok((normalised, hash::hash_of(message)))
}

/// The fields at the top of a message, found in one pass.
struct Record<'a> {
    whole: Json<'a>,
    msgid: Option<Json<'a>>,
    action: Option<Json<'a>>,
    msgtype: Option<Json<'a>>,
    msgtime: Option<Json<'a>>,
    from: Option<Json<'a>>,
    tolist: Option<Json<'a>>,
    roomid: Option<Json<'a>>,
    time: Option<Json<'a>>,
    user: Option<Json<'a>>,
    /// Whatever else there is: the payload, and fields we do not know.
    others: Vec<(Cow<'a, str>, Json<'a>)>,
}

impl<'a> Record<'a> {
    fn read(whole: Json<'a>) -> Self {
        let mut record = Self {
            whole,
            msgid: None,
            action: None,
            msgtype: None,
            msgtime: None,
            from: None,
            tolist: None,
            roomid: None,
            time: None,
            user: None,
            others: Vec::with_capacity(2),
        };
        for (key, value) in whole.fields().filter(|(_, value)| !value.is_null()) {
            let field = match key.as_ref() {
                "msgid" => &mut record.msgid,
                "action" => &mut record.action,
                "msgtype" => &mut record.msgtype,
                "msgtime" => &mut record.msgtime,
                "from" => &mut record.from,
                "tolist" => &mut record.tolist,
                "roomid" => &mut record.roomid,
                "time" => &mut record.time,
                "user" => &mut record.user,
                _ => {
                    record.others.push((key, value));
                    continue;
                }
            };
            *field = Some(value);
        }
        record
    }

    /// Of several of a name the last counts.
    fn other(&self, name: &str) -> Option<Json<'a>> {
        let named = self.others.iter().rev().find(|(key, _)| key == name);
        named.map(|(_, value)| *value)
    }

    /// A change of company carries neither type nor sender, but `time` and `user`.
    fn msgtype(&self) -> Cow<'a, str> {
        let named = self.msgtype.and_then(Json::text);
        named.filter(|name| !name.is_empty()).unwrap_or_else(|| {
            let is_switch = match self.action.and_then(Json::text) {
                Some(action) => action == "switch",
                None => self.user.is_some() && self.time.is_some(),
            };
            Cow::Borrowed(if is_switch {
                "switch"
            } else if self.other("revoke").is_some() {
                "revoke"
            } else {
                "unknown"
            })
        })
    }

    fn msgtime_ms(&self) -> Result<i64, Unreadable> {
        // `time` is also a written-out date beside a proper msgtime (meeting_notification).
        let Some(value) = self.msgtime.or(self.time) else {
            return Err(Unreadable::NoTime);
        };
        time::millis(value).ok_or(Unreadable::BadTime)
    }
}

fn columns(record: &Record<'_>, payload: &str) -> Result<Normalised, Unreadable> {
    let msgid = owned(record.msgid);
    if msgid.is_empty() {
        return Err(Unreadable::NoMsgid);
    }
    let msgtime_ms = record.msgtime_ms()?;
    let msgtype = record.msgtype();
    let known = Known::from_name(&msgtype);
    let mut normalised = Normalised {
        msgid,
        action: action(record, known),
        is_known_type: known.is_some(),
        msgtype: msgtype.into_owned(),
        msgtime_ms,
        from_id: owned(record.from.or(record.user)),
        to_ids: receivers(record.tolist),
        room_id: owned(record.roomid),
        text: String::new(),
        payload: payload.to_owned(),
        media: None,
        nested_media: Vec::new(),
        call_ms: None,
        revokes_msgid: None,
    };
    let contents = match known {
        Some(known) => known_contents(record, known, &mut normalised),
        None => unknown_contents(record),
    };
    normalised.text = contents.text;
    normalised.nested_media = contents.nested_media;
    if normalised.action == "recall" || known == Some(Known::Revoke) {
        normalised.revokes_msgid = revoked(record);
    }
    Ok(normalised)
}

/// What the message says, or what its type implies when it says nothing.
fn action(record: &Record<'_>, known: Option<Known>) -> String {
    let said = owned(record.action);
    if !said.is_empty() {
        return said;
    }
    let implied = match known {
        Some(Known::Revoke) => "recall",
        Some(Known::Switch) => "switch",
        _ => "send",
    };
    implied.to_owned()
}

fn owned(value: Option<Json<'_>>) -> String {
    let content = value.and_then(Json::text);
    content.map(Cow::into_owned).unwrap_or_default()
}

/// A list of ids, or a single id in place of one.
fn receivers(tolist: Option<Json<'_>>) -> Vec<String> {
    let Some(tolist) = tolist else {
        return Vec::new();
    };
    let single = Some(tolist).filter(|value| !value.is_array());
    let ids = single.into_iter().chain(tolist.elements());
    let ids = ids.map(|id| owned(Some(id)));
    ids.filter(|id| !id.is_empty()).collect()
}

fn known_contents(record: &Record<'_>, known: Known, normalised: &mut Normalised) -> Contents {
    let payload = known.payload(record.whole, |key| record.other(key));
    let msgtime_ms = Some(normalised.msgtime_ms);
    normalised.media = media::of(known, payload, msgtime_ms);
    normalised.call_ms = media::call_ms(known, payload, msgtime_ms);
    let mut contents = Contents::default();
    contents.add(known, payload, 0);
    if known.is_unverified() {
        if payload.raw() == record.whole.raw() {
            // No payload where it was looked for: then it is as good as unknown.
            return unknown_contents(record);
        }
        contents.add_rest(payload);
    }
    contents
}

/// For a type we do not know: every string of all fields that are not common to all messages,
/// in the document's order.
fn unknown_contents(record: &Record<'_>) -> Contents {
    let mut contents = Contents::default();
    for (key, value) in &record.others {
        contents.add_unknown_field(key, *value, Strings::All, 0);
    }
    // Common only in a change of company; here they may say anything.
    let spare_user = record
        .user
        .filter(|user| record.from.is_some() || !user.is_string());
    let spare_time = record.time.filter(|_| record.msgtime.is_some());
    for (key, value) in [("user", spare_user), ("time", spare_time)] {
        if let Some(value) = value {
            contents.add_unknown_field(key, value, Strings::All, 0);
        }
    }
    contents
}

fn revoked(record: &Record<'_>) -> Option<String> {
    let payload = Known::Revoke.payload(record.whole, |key| record.other(key));
    let msgid = owned(payload.get("pre_msgid"));
    (!msgid.is_empty()).then_some(msgid)
}

#[cfg(test)]
mod tests;
