//! How a found message is shown, wherever messages are listed.

use huicun_indexer::index::Hit;
use huicun_semantics::time::Zone;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::answer::{Column, ColumnKind};

/// One message in a list.
#[derive(Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct MessageItem {
    /// WeCom's rising number.
    pub seq: i64,
    /// WeCom's id.
    pub msgid: String,
    /// When it was sent, RFC 3339 in the company's zone.
    pub at: String,
    /// The room id, or `a|b` with the pair sorted bytewise; null for a record between nobody.
    pub conversation: Option<String>,
    /// `single_external`, `single_internal`, `group_external`, `group_internal` or `other`.
    pub kind: String,
    /// Sender.
    pub from: String,
    /// WeCom's type name.
    #[serde(rename = "type")]
    pub msgtype: String,
    /// All text that a reader would see.
    pub text: String,
    /// `[start, end)` in Unicode scalar values of `text`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub highlights: Option<Vec<(u32, u32)>>,
}

impl MessageItem {
    /// A hit as it is shown.
    pub fn of_hit(hit: Hit, zone: Zone, is_highlighted: bool) -> Self {
        Self {
            seq: hit.message.seq,
            msgid: hit.message.msgid,
            at: zone.rfc3339_ms(hit.message.at),
            conversation: hit.conversation,
            kind: hit.kind.as_str().to_string(),
            from: hit.message.from,
            msgtype: hit.message.msgtype,
            text: hit.message.text,
            highlights: is_highlighted.then_some(hit.highlights),
        }
    }

    /// Its values in the order of [`columns`].
    pub fn row(self) -> Vec<Value> {
        let mut row = vec![
            json!(self.seq),
            json!(self.msgid),
            json!(self.at),
            json!(self.conversation),
            json!(self.kind),
            json!(self.from),
            json!(self.msgtype),
            json!(self.text),
        ];
        row.extend(self.highlights.map(|h| json!(h)));
        row
    }
}

/// The columns of a message list.
pub fn columns(is_highlighted: bool) -> Vec<Column> {
    let mut columns = vec![
        Column::new("seq", "序号", "Seq", ColumnKind::Integer),
        Column::new("msgid", "消息 ID", "Message", ColumnKind::Text),
        Column::new("at", "时间", "Sent", ColumnKind::Instant),
        Column::new("conversation", "会话", "Conversation", ColumnKind::Text),
        Column::new("kind", "会话类型", "Kind", ColumnKind::Text),
        Column::new("from", "发送人", "From", ColumnKind::Text),
        Column::new("type", "消息类型", "Type", ColumnKind::Text),
        Column::new("text", "内容", "Text", ColumnKind::Text),
    ];
    if is_highlighted {
        columns.push(Column::new(
            "highlights",
            "命中位置",
            "Highlights",
            ColumnKind::Json,
        ));
    }
    columns
}
