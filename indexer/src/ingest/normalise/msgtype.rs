//! The message types of the fact sheet (5.3) and where each keeps its payload.

use super::json::Json;

/// A type whose fields are documented, or seen by two sources or more, or (note,
/// solitaire) documented to exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    Agree,
    Calendar,
    Card,
    ChatRecord,
    Collect,
    Disagree,
    DocMsg,
    Emotion,
    ExternalRedPacket,
    File,
    Image,
    Link,
    Location,
    Markdown,
    Meeting,
    MeetingNotification,
    MeetingVoiceCall,
    Mixed,
    News,
    Note,
    QyDiskFile,
    RedPacket,
    Revoke,
    Solitaire,
    SphFeed,
    Switch,
    Text,
    Todo,
    Video,
    VoipDocShare,
    VoipText,
    Voice,
    Vote,
    WeApp,
}

impl Known {
    /// By `msgtype`, which WeCom writes in lower case.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "agree" => Self::Agree,
            "calendar" => Self::Calendar,
            "card" => Self::Card,
            "chatrecord" => Self::ChatRecord,
            "collect" => Self::Collect,
            "disagree" => Self::Disagree,
            "docmsg" => Self::DocMsg,
            "emotion" => Self::Emotion,
            "external_redpacket" => Self::ExternalRedPacket,
            "file" => Self::File,
            "image" => Self::Image,
            "link" => Self::Link,
            "location" => Self::Location,
            "markdown" => Self::Markdown,
            "meeting" => Self::Meeting,
            "meeting_notification" => Self::MeetingNotification,
            "meeting_voice_call" => Self::MeetingVoiceCall,
            "mixed" => Self::Mixed,
            "news" => Self::News,
            "note" => Self::Note,
            "qydiskfile" => Self::QyDiskFile,
            "redpacket" => Self::RedPacket,
            "revoke" => Self::Revoke,
            "solitaire" => Self::Solitaire,
            "sphfeed" => Self::SphFeed,
            "switch" => Self::Switch,
            "text" => Self::Text,
            "todo" => Self::Todo,
            "video" => Self::Video,
            "voip_doc_share" => Self::VoipDocShare,
            "voiptext" => Self::VoipText,
            "voice" => Self::Voice,
            "vote" => Self::Vote,
            "weapp" => Self::WeApp,
            _ => return None,
        })
    }

    /// By the `type` of an item of a forwarded record or a mixed message:
    /// `ChatRecordText`, `ChatRecordMeetingVoiceCall`, `text`, or a bare `chatrecord`,
    /// which is a record within the record.
    pub(super) fn from_item_type(item_type: &str) -> Option<Self> {
        let name = item_type.trim().to_ascii_lowercase();
        let bare = match name.strip_prefix("chatrecord") {
            None | Some("") => name.as_str(),
            Some(bare) => bare,
        };
        Self::from_name(bare).or(match bare {
            "doc" => Some(Self::DocMsg),
            "externalredpacket" => Some(Self::ExternalRedPacket),
            "meetingnotification" => Some(Self::MeetingNotification),
            "meetingvoicecall" => Some(Self::MeetingVoiceCall),
            "voipdocshare" => Some(Self::VoipDocShare),
            _ => None,
        })
    }

    /// Whether the names of its fields come from one unofficial source, so that they may
    /// be others in truth (fact sheet 5.3, "newer").
    pub(super) fn is_unverified(self) -> bool {
        matches!(self, Self::Note | Self::Solitaire)
    }

    /// The keys that may hold the payload, the documented one first, then the type's
    /// name, then `info` (fact sheet 0.8 and the end of 5.3).
    fn payload_keys(self) -> &'static [&'static str] {
        match self {
            Self::Agree => &["agree", "info"],
            Self::Calendar => &["calendar", "info"],
            Self::Card => &["card", "info"],
            Self::ChatRecord => &["chatrecord", "info"],
            Self::Collect => &["collect", "info"],
            Self::Disagree => &["disagree", "agree", "info"],
            Self::DocMsg => &["doc", "docmsg", "info"],
            Self::Emotion => &["emotion", "info"],
            Self::ExternalRedPacket => &["redpacket", "external_redpacket", "info"],
            Self::File => &["file", "info"],
            Self::Image => &["image", "info"],
            Self::Link => &["link", "info"],
            Self::Location => &["location", "info"],
            Self::Markdown => &["info", "markdown"],
            Self::Meeting => &["meeting", "info"],
            Self::MeetingNotification => &["info", "meeting_notification"],
            Self::MeetingVoiceCall => &["meeting_voice_call", "info"],
            Self::Mixed => &["mixed", "info"],
            Self::News => &["info", "news"],
            Self::Note => &["info", "note"],
            Self::QyDiskFile => &["info", "qydiskfile"],
            Self::RedPacket => &["redpacket", "info"],
            Self::Revoke => &["revoke", "info"],
            Self::Solitaire => &["solitaire", "info"],
            Self::SphFeed => &["sphfeed", "info"],
            Self::Switch => &[],
            Self::Text => &["text", "info"],
            Self::Todo => &["todo", "info"],
            Self::Video => &["video", "info"],
            Self::VoipDocShare => &["voip_doc_share", "info"],
            Self::VoipText => &["info", "voiptext"],
            Self::Voice => &["voice", "info"],
            Self::Vote => &["vote", "info"],
            Self::WeApp => &["weapp", "info"],
        }
    }

    /// The payload object within `holder`, whose fields `field` finds by name; the
    /// holder itself when none of the keys is there (todo and vote, seen flat).
    pub(super) fn payload<'a>(
        self,
        holder: Json<'a>,
        field: impl Fn(&str) -> Option<Json<'a>>,
    ) -> Json<'a> {
        let objects = self.payload_keys().iter().filter_map(|key| field(key));
        let mut objects = objects.filter(|value| value.is_object());
        objects.next().unwrap_or(holder)
    }
}
