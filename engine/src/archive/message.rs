//! One archived record as a row, and rows as Arrow batches: the schema of the `messages` table.
//!
//! Roles, kinds and dialogues are deliberately not here: they depend on the directory and the
//! rules, which change (semantics 2). `docs/reference/messages.md` describes every column.

use std::sync::{Arc, LazyLock};

use arrow::array::{
    ArrayRef, BinaryBuilder, Date32Builder, Int32Builder, Int64Builder, ListBuilder, RecordBatch,
    StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use huicun_semantics::time::Zone;

use super::delta::Layout;
use super::leaf::leaf_hash;

/// Whether a record could be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Decrypted and understood.
    Ok,
    /// Kept as it came, with the reason; can be retried.
    Quarantined,
}

impl Status {
    /// The word in the `status` column.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Quarantined => "quarantined",
        }
    }
}

/// What a media message points at.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Media {
    /// `sdkfileid`, opaque.
    pub file_id: String,
    /// MD5 in hex as the message gives it.
    pub md5: Option<String>,
    /// Bytes.
    pub size: Option<i64>,
    /// Playing time in seconds.
    pub seconds: Option<i64>,
    /// File name.
    pub name: Option<String>,
}

/// One archived record. Empty strings stand for what a quarantined record does not tell.
#[derive(Clone)]
pub struct MessageRow {
    /// The corp (or the name given to an import) that it came from.
    pub source: Arc<str>,
    /// WeCom's rising number within the source.
    pub seq: i64,
    /// WeCom's id of the message.
    pub msgid: String,
    /// Which public key sealed it.
    pub publickey_ver: Option<i32>,
    /// `send`, `recall`, `switch`.
    pub action: String,
    /// WeCom's type name.
    pub msgtype: String,
    /// When it was sent, UTC milliseconds.
    pub msgtime_ms: i64,
    /// When it was archived, UTC milliseconds.
    pub pulled_at_ms: i64,
    /// Sender.
    pub from_id: String,
    /// Receivers.
    pub to_ids: Vec<String>,
    /// Room, empty for none.
    pub room_id: String,
    /// All text that a reader would see.
    pub text: String,
    /// The decrypted JSON, untouched.
    pub payload: String,
    /// Media of the message itself.
    pub media: Option<Media>,
    /// Length of an audio or video call in milliseconds.
    pub call_ms: Option<i64>,
    /// The message that a recall takes back.
    pub revokes_msgid: Option<String>,
    /// Readable or not.
    pub status: Status,
    /// Why not, one stable word.
    pub reason: Option<String>,
    /// What came in, for a record that could not be read.
    pub envelope: Option<Vec<u8>>,
    /// First eight bytes of a hash over the canonical content: tells a message that was sent
    /// again from other content under the same msgid.
    pub content_hash: i64,
}

impl std::fmt::Debug for MessageRow {
    /// Lengths only: a row holds chat text.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MessageRow")
            .field("seq", &self.seq)
            .field("status", &self.status)
            .field("reason", &self.reason)
            .field("payload_bytes", &self.payload.len())
            .finish_non_exhaustive()
    }
}

impl MessageRow {
    /// Bytes of its content, which is what makes rows large.
    pub fn n_bytes(&self) -> usize {
        self.payload.len() + self.text.len() + self.envelope.as_ref().map_or(0, Vec::len)
    }

    /// What `huicun verify` recomputes: see [`leaf_hash`].
    pub fn leaf_hash(&self) -> [u8; 32] {
        let content = self.envelope.as_deref().unwrap_or(self.payload.as_bytes());
        leaf_hash(
            &self.source,
            self.seq,
            &self.msgid,
            self.publickey_ver,
            self.status.as_str(),
            content,
        )
    }

    /// The room, or the pair with the first receiver; empty when there is nobody (semantics 2).
    pub fn conversation_id(&self) -> String {
        let to: Vec<&str> = self.to_ids.iter().take(1).map(String::as_str).collect();
        huicun_semantics::conversation::conversations_of(&self.from_id, &to, &self.room_id)
            .into_iter()
            .next()
            .unwrap_or_default()
    }
}

fn text(name: &str, is_nullable: bool) -> Field {
    Field::new(name, DataType::Utf8, is_nullable)
}

fn instant(name: &str) -> Field {
    let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    Field::new(name, utc, false)
}

/// Columns of the `messages` table.
pub static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        Field::new("day", DataType::Date32, false),
        text("source", false),
        Field::new("seq", DataType::Int64, false),
        text("msgid", false),
        Field::new("publickey_ver", DataType::Int32, true),
        text("action", false),
        text("msgtype", false),
        instant("msgtime"),
        instant("pulled_at"),
        text("from_id", false),
        Field::new(
            "to_ids",
            DataType::List(Arc::new(Field::new("element", DataType::Utf8, true))),
            false,
        ),
        text("room_id", false),
        text("conversation_id", false),
        text("text", false),
        text("payload", false),
        text("media_file_id", true),
        text("media_md5", true),
        Field::new("media_size", DataType::Int64, true),
        Field::new("media_seconds", DataType::Int64, true),
        text("media_name", true),
        Field::new("call_ms", DataType::Int64, true),
        text("revokes_msgid", true),
        text("status", false),
        text("reason", true),
        Field::new("envelope", DataType::Binary, true),
        Field::new("content_hash", DataType::Int64, false),
        Field::new("leaf_hash", DataType::Binary, false),
    ]))
});

/// How the `messages` table is stored. Text columns have no statistics, here or in the log.
pub fn layout() -> Layout {
    Layout {
        schema: SCHEMA.clone(),
        partition: Some("day"),
        statistics: &["seq", "msgtime"],
        unique: &[
            "seq",
            "msgid",
            "msgtime",
            "text",
            "payload",
            "media_file_id",
            "media_md5",
            "envelope",
            "content_hash",
            "leaf_hash",
        ],
        comment: "one row per archived record, readable or not",
    }
}

/// Rows as one batch of [`SCHEMA`]; `zone` decides the day.
pub fn to_batch(rows: &[MessageRow], zone: &Zone) -> RecordBatch {
    let epoch = chrono::NaiveDate::default();
    let strings = |get: &dyn Fn(&MessageRow) -> &str| -> ArrayRef {
        let bytes = rows.iter().map(|r| get(r).len()).sum();
        let mut out = StringBuilder::with_capacity(rows.len(), bytes);
        rows.iter().for_each(|r| out.append_value(get(r)));
        Arc::new(out.finish())
    };
    let maybe_strings = |get: &dyn Fn(&MessageRow) -> Option<&str>| -> ArrayRef {
        let mut out = StringBuilder::new();
        rows.iter().for_each(|r| out.append_option(get(r)));
        Arc::new(out.finish())
    };
    let numbers = |get: &dyn Fn(&MessageRow) -> Option<i64>| -> ArrayRef {
        let mut out = Int64Builder::with_capacity(rows.len());
        rows.iter().for_each(|r| out.append_option(get(r)));
        Arc::new(out.finish())
    };
    let instants = |get: &dyn Fn(&MessageRow) -> i64| -> ArrayRef {
        let mut out = TimestampMicrosecondBuilder::with_capacity(rows.len()).with_timezone("UTC");
        for row in rows {
            out.append_value(get(row).saturating_mul(1000));
        }
        Arc::new(out.finish())
    };
    let mut days = Date32Builder::with_capacity(rows.len());
    let mut versions = Int32Builder::with_capacity(rows.len());
    let mut to_ids = ListBuilder::new(StringBuilder::new()).with_field(Field::new(
        "element",
        DataType::Utf8,
        true,
    ));
    let mut envelopes = BinaryBuilder::new();
    let mut conversations = StringBuilder::new();
    let mut leaves = BinaryBuilder::with_capacity(rows.len(), rows.len() * 32);
    for row in rows {
        let day = zone.day_of(row.msgtime_ms) - epoch;
        days.append_value(day.num_days() as i32);
        versions.append_option(row.publickey_ver);
        row.to_ids
            .iter()
            .for_each(|id| to_ids.values().append_value(id));
        to_ids.append(true);
        envelopes.append_option(row.envelope.as_deref());
        conversations.append_value(row.conversation_id());
        leaves.append_value(row.leaf_hash());
    }
    let media = |r: &MessageRow, get: fn(&Media) -> Option<i64>| r.media.as_ref().and_then(get);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(days.finish()),
        strings(&|r| &r.source),
        numbers(&|r| Some(r.seq)),
        strings(&|r| &r.msgid),
        Arc::new(versions.finish()),
        strings(&|r| &r.action),
        strings(&|r| &r.msgtype),
        instants(&|r| r.msgtime_ms),
        instants(&|r| r.pulled_at_ms),
        strings(&|r| &r.from_id),
        Arc::new(to_ids.finish()),
        strings(&|r| &r.room_id),
        Arc::new(conversations.finish()),
        strings(&|r| &r.text),
        strings(&|r| &r.payload),
        maybe_strings(&|r| r.media.as_ref().map(|m| m.file_id.as_str())),
        maybe_strings(&|r| r.media.as_ref().and_then(|m| m.md5.as_deref())),
        numbers(&|r| media(r, |m| m.size)),
        numbers(&|r| media(r, |m| m.seconds)),
        maybe_strings(&|r| r.media.as_ref().and_then(|m| m.name.as_deref())),
        numbers(&|r| r.call_ms),
        maybe_strings(&|r| r.revokes_msgid.as_deref()),
        strings(&|r| r.status.as_str()),
        maybe_strings(&|r| r.reason.as_deref()),
        Arc::new(envelopes.finish()),
        numbers(&|r| Some(r.content_hash)),
        Arc::new(leaves.finish()),
    ];
    RecordBatch::try_new(SCHEMA.clone(), columns).expect("the columns follow SCHEMA one by one")
}
