//! What a message says of the file that it carries (fact sheet 5.4).

use std::fmt;

use super::json::Json;
use super::msgtype::Known;
use super::time;

/// A file that the SDK can fetch, as the message describes it.
#[derive(Clone, PartialEq, Eq)]
pub struct Media {
    /// WeCom's name of the type that it is a file of, of an item too: `image`, `voice`, ...
    pub kind: &'static str,
    /// `sdkfileid`, the ticket for fetching it.
    pub file_id: String,
    /// `md5sum`, 32 hexadecimal digits when WeCom gives it.
    pub md5: Option<String>,
    /// Bytes; the field is named differently by type.
    pub size: Option<i64>,
    /// Length of a recording, in seconds.
    pub seconds: Option<i64>,
    /// The file's name.
    pub name: Option<String>,
}

/// Says nothing of the name and shows no ticket: both are a customer's.
impl fmt::Debug for Media {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Media")
            .field("file_id_bytes", &self.file_id.len())
            .field("size", &self.size)
            .field("seconds", &self.seconds)
            .finish_non_exhaustive()
    }
}

/// The media of a payload; none for types without, or without a ticket to fetch it.
pub(super) fn of(known: Known, payload: Json<'_>, begins_at_ms: Option<i64>) -> Option<Media> {
    let (kind, size, seconds) = match known {
        Known::Image => ("image", "filesize", None),
        Known::File => ("file", "filesize", None),
        Known::VoipDocShare => ("voip_doc_share", "filesize", None),
        Known::Video => ("video", "filesize", count(payload, "play_length")),
        Known::Voice => ("voice", "voice_size", count(payload, "play_length")),
        Known::Emotion => ("emotion", "imagesize", None),
        Known::MeetingVoiceCall => (
            "meeting_voice_call",
            "filesize",
            call_ms(known, payload, begins_at_ms).map(|ms| ms / 1000),
        ),
        _ => return None,
    };
    Some(Media {
        kind,
        file_id: string(payload, "sdkfileid")?,
        md5: string(payload, "md5sum"),
        size: count(payload, size),
        seconds,
        name: string(payload, "filename"),
    })
}

/// How long a call lasted: said by `voiptext`, and from the message's time to its
/// `endtime` for `meeting_voice_call`. None when the message's time is not known (0)
/// or lies behind the end.
pub(super) fn call_ms(known: Known, payload: Json<'_>, begins_at_ms: Option<i64>) -> Option<i64> {
    match known {
        Known::VoipText => count(payload, "callduration")?.checked_mul(1000),
        Known::MeetingVoiceCall => {
            let begins_at_ms = begins_at_ms.filter(|ms| *ms > 0)?;
            let ends_at_ms = time::millis(payload.get("endtime")?)?;
            let lasted_ms = ends_at_ms - begins_at_ms;
            (lasted_ms >= 0).then_some(lasted_ms)
        }
        _ => None,
    }
}

fn string(payload: Json<'_>, name: &str) -> Option<String> {
    let content = payload.get(name)?.text()?;
    (!content.is_empty()).then(|| content.into_owned())
}

fn count(payload: Json<'_>, name: &str) -> Option<i64> {
    payload.get(name)?.integer().filter(|count| *count >= 0)
}
