//! Which files messages have and what became of each, as lists and as counts.

use huicun_engine::access::Scope;
use huicun_engine::media::store::hex;
use huicun_engine::media::{Filter, Listed, Status};
use serde::Serialize;
use serde_json::{Value, json};

use super::archive::{Archive, AsOf, now_ms};
use super::error::QuestionError;
use super::media::{MediaAccess, visible};
use super::media_found::{MessageFilter, found};
use super::page::Place;
use crate::answer::{Column, ColumnKind, Table};

/// The time over which the speed of fetching is measured.
const SPEED_MS: i64 = 10 * 60 * 1000;

/// One file in a list.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct MediaItem {
    /// The corp (or the name given to an import) of the message.
    pub source: String,
    /// WeCom's number of the message.
    pub seq: i64,
    /// WeCom's id of the message.
    pub msgid: String,
    /// 0 for the message's own file, from 1 on for those of its items.
    pub item: u32,
    /// When the message was sent, RFC 3339 in the company's zone.
    pub at: String,
    /// WeCom's name of the type.
    #[serde(rename = "type")]
    pub kind: String,
    /// The file's name.
    pub name: Option<String>,
    /// Playing time.
    pub seconds: Option<i64>,
    /// Bytes: of a stored file its own, else as the message says.
    pub bytes: Option<i64>,
    /// `pending`, `fetching`, `stored` or `lost`.
    pub status: &'static str,
    /// Why it is lost.
    pub reason: Option<String>,
    /// `md5_mismatch`, `size_mismatch`, of a stored file.
    pub flags: String,
    /// Bytes that came so far.
    pub fetched_bytes: u64,
    /// Failures since the last bytes that came.
    pub attempts: u32,
    /// The last failure.
    pub last_error: Option<String>,
    /// The next attempt, RFC 3339; null for as soon as possible.
    pub next_attempt_at: Option<String>,
    /// SHA-256 of a stored file.
    pub sha256: Option<String>,
    /// The last change of status, RFC 3339.
    pub changed_at: String,
    /// The message's conversation; given in lists of messages' files by time, type, kind or sender,
    /// as the next two.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversation: Option<String>,
    /// The conversation's kind.
    #[serde(rename = "kind", skip_serializing_if = "Option::is_none")]
    pub conversation_kind: Option<&'static str>,
    /// Who sent the message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
}

/// A page of files.
pub struct MediaPage {
    /// The files.
    pub items: Vec<MediaItem>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<String>,
    /// From which versions.
    pub as_of: AsOf,
    /// Whether items tell conversation and sender.
    is_of_messages: bool,
}

/// What a list is about.
#[derive(Debug, Clone, Default)]
pub struct MediaListParams {
    /// Of this source.
    pub source: Option<String>,
    /// In one of these states.
    pub status: Vec<String>,
    /// Of this message.
    pub msgid: Option<String>,
    /// Of the message with this number.
    pub seq: Option<i64>,
    /// Of these messages.
    pub messages: MessageFilter,
    /// Files of a page; 0 is all.
    pub limit: usize,
    /// The token of the page before.
    pub cursor: Option<String>,
}

impl MediaListParams {
    /// As a filter of the database.
    ///
    /// # Errors
    /// An unknown status, a cursor that is none.
    pub fn filter(&self) -> Result<Filter, QuestionError> {
        let status: Result<Vec<Status>, String> = self.status.iter().map(|s| s.parse()).collect();
        Ok(Filter {
            source: self.source.clone(),
            status: status.map_err(QuestionError::Parameter)?,
            seq: self.seq,
            msgid: self.msgid.clone(),
            limit: self.limit,
            after: match &self.cursor {
                Some(token) => Place::of_token(token)?.first,
                None => 0,
            },
        })
    }

    /// Whether the list is of messages that a search finds.
    fn is_of_messages(&self, scope: &Scope) -> Result<bool, QuestionError> {
        let names_one = self.msgid.is_some() || self.seq.is_some();
        let has_filter = self.messages != MessageFilter::default();
        if names_one && has_filter {
            return Err(QuestionError::Parameter(
                "`msgid` and `seq` name one message: they go with no other filter of messages"
                    .into(),
            ));
        }
        Ok(has_filter || (!scope.is_all() && !names_one))
    }
}

/// Lists files: of messages by time, type, kind and sender the newest first, else in the order in
/// which they were noted.
///
/// # Errors
/// Parameters that are wrong or do not go together.
pub async fn list(
    scope: &Scope,
    archive: &Archive,
    access: &MediaAccess,
    params: &MediaListParams,
) -> Result<MediaPage, QuestionError> {
    if params.is_of_messages(scope)? {
        return list_of_messages(scope, archive, access, params).await;
    }
    let filter = params.filter()?;
    let mut listed = match access.catalogue()? {
        Some(catalogue) => catalogue.list(&Filter {
            // One more tells whether there is a next page.
            limit: filter.limit.saturating_add(usize::from(filter.limit > 0)),
            ..filter.clone()
        })?,
        None => Vec::new(),
    };
    let has_more = filter.limit > 0 && listed.len() > filter.limit;
    if has_more {
        listed.truncate(filter.limit);
    }
    let next = listed.last().filter(|_| has_more).map(|last| {
        Place {
            first: last.rowid,
            second: 0,
            text: String::new(),
        }
        .to_token()
    });
    if !scope.is_all() {
        listed = visible(scope, archive, listed).await?;
    }
    Ok(MediaPage {
        items: listed
            .into_iter()
            .map(|listed| item(archive, listed))
            .collect(),
        next,
        as_of: archive.as_of_now(),
        is_of_messages: false,
    })
}

async fn list_of_messages(
    scope: &Scope,
    archive: &Archive,
    access: &MediaAccess,
    params: &MediaListParams,
) -> Result<MediaPage, QuestionError> {
    // A cursor of this list is another than that of the database.
    let wanted = MediaListParams {
        cursor: None,
        ..params.clone()
    };
    let (catalogue, cursor) = (access.catalogue()?, params.cursor.as_deref());
    let (wanted, messages) = (wanted.filter()?, &params.messages);
    let (files, next) = found(scope, archive, catalogue, &wanted, messages, cursor).await?;
    let items = files.into_iter().map(|file| MediaItem {
        conversation: file.conversation,
        conversation_kind: Some(file.kind),
        from: Some(file.from),
        ..item(archive, file.listed)
    });
    Ok(MediaPage {
        items: items.collect(),
        next,
        as_of: archive.as_of_now(),
        is_of_messages: true,
    })
}

fn item(archive: &Archive, l: Listed) -> MediaItem {
    let zone = archive.zone();
    let at = |ms: i64| zone.rfc3339_ms(ms);
    MediaItem {
        source: l.source,
        seq: l.seq,
        msgid: l.msgid,
        item: l.item,
        at: at(l.at_ms),
        kind: l.kind,
        name: l.name,
        seconds: l.seconds,
        bytes: l.size,
        status: l.status.as_str(),
        reason: l.reason,
        flags: l.flags,
        fetched_bytes: l.n_bytes,
        attempts: l.n_attempts,
        last_error: l.last_error,
        next_attempt_at: (l.next_attempt_at_ms > 0
            && matches!(l.status, Status::Pending | Status::Fetching))
        .then(|| at(l.next_attempt_at_ms)),
        sha256: l.sha256.map(|hash| hex(&hash)),
        changed_at: at(l.changed_at_ms),
        conversation: None,
        conversation_kind: None,
        from: None,
    }
}

impl MediaPage {
    /// The page as columns and rows.
    pub fn into_table(self) -> Table {
        use ColumnKind::{Instant, Integer, Text};
        let is_of_messages = self.is_of_messages;
        let mut columns = vec![
            Column::new("source", "来源", "Source", Text),
            Column::new("seq", "序号", "Seq", Integer),
            Column::new("msgid", "消息 ID", "Message", Text),
            Column::new("item", "条目", "Item", Integer),
            Column::new("at", "时间", "Sent", Instant),
            Column::new("type", "消息类型", "Type", Text),
            Column::new("name", "文件名", "Name", Text),
            Column::new("seconds", "时长(秒)", "Seconds", Integer),
            Column::new("bytes", "字节", "Bytes", Integer),
            Column::new("status", "状态", "Status", Text),
            Column::new("reason", "原因", "Reason", Text),
            Column::new("flags", "标记", "Flags", Text),
            Column::new("fetched_bytes", "已取字节", "Fetched", Integer),
            Column::new("attempts", "失败次数", "Failures", Integer),
            Column::new("last_error", "最近错误", "Last error", Text),
            Column::new("next_attempt_at", "下次尝试", "Next attempt", Instant),
            Column::new("sha256", "SHA-256", "SHA-256", Text),
            Column::new("changed_at", "更新时间", "Changed", Instant),
        ];
        if is_of_messages {
            columns.extend([
                Column::new("conversation", "会话", "Conversation", Text),
                Column::new("kind", "会话类型", "Kind", Text),
                Column::new("from", "发送人", "From", Text),
            ]);
        }
        let row = |item: MediaItem| {
            let mut row = vec![
                json!(item.source),
                json!(item.seq),
                json!(item.msgid),
                json!(item.item),
                json!(item.at),
                json!(item.kind),
                json!(item.name),
                json!(item.seconds),
                json!(item.bytes),
                json!(item.status),
                json!(item.reason),
                json!(item.flags),
                json!(item.fetched_bytes),
                json!(item.attempts),
                json!(item.last_error),
                json!(item.next_attempt_at),
                json!(item.sha256),
                json!(item.changed_at),
            ];
            if is_of_messages {
                row.extend([
                    json!(item.conversation),
                    json!(item.conversation_kind),
                    json!(item.from),
                ]);
            }
            row
        };
        Table {
            rows: self.items.into_iter().map(row).collect(),
            columns,
        }
    }
}

/// How many media are in which state, with the time that the rest may take and what keeps it.
///
/// # Errors
/// [`QuestionError::Forbidden`] without the scope `all`.
pub fn status(
    scope: &Scope,
    archive: &Archive,
    access: &MediaAccess,
) -> Result<Table, QuestionError> {
    use ColumnKind::{Instant, Integer, Text};
    if !scope.is_all() {
        let detail = "the state of media needs a caller whose scope is `all`";
        return Err(QuestionError::Forbidden(detail));
    }
    let columns = vec![
        Column::new("source", "来源", "Source", Text),
        Column::new("status", "状态", "Status", Text),
        Column::new("reason", "原因", "Reason", Text),
        Column::new("media", "文件数", "Media", Integer),
        Column::new("bytes_expected", "应有字节", "Bytes expected", Integer),
        Column::new("bytes", "已有字节", "Bytes here", Integer),
        Column::new("oldest_at", "最早消息", "Oldest sent", Instant),
        Column::new("eta_seconds", "预计剩余秒数", "Seconds to go", Integer),
        Column::new("paused", "暂停原因", "Paused", Text),
    ];
    let Some(catalogue) = access.catalogue()? else {
        return Ok(Table {
            columns,
            rows: Vec::new(),
        });
    };
    let counts = catalogue.counts()?;
    let is_open = |status: Status| matches!(status, Status::Pending | Status::Fetching);
    let to_come: u64 = counts
        .iter()
        .filter(|count| is_open(count.status))
        .map(|count| count.n_bytes_expected.saturating_sub(count.n_bytes))
        .sum();
    let recent = catalogue.bytes_stored_since(now_ms() - SPEED_MS)?;
    let eta = (recent > 0).then(|| to_come as i64 * (SPEED_MS / 1000) / recent as i64);
    let paused = catalogue.mark("paused")?.filter(|why| !why.is_empty());
    let corps: Option<Vec<String>> = catalogue
        .mark("corps")?
        .and_then(|text| serde_json::from_str(&text).ok());
    let rows = counts.into_iter().map(|count| {
        let is_open = is_open(count.status);
        let is_nobodys = corps
            .as_ref()
            .is_some_and(|corps| !corps.contains(&count.source));
        let paused = match is_nobodys {
            true => Some("no_corp: no [[corp]] of this name fetches media".to_string()),
            false => paused.clone(),
        };
        let value = |value: Option<Value>| value.filter(|_| is_open).unwrap_or(Value::Null);
        vec![
            json!(count.source),
            json!(count.status.as_str()),
            json!(count.reason),
            json!(count.n_media),
            json!(count.n_bytes_expected),
            json!(count.n_bytes),
            json!(archive.zone().rfc3339_ms(count.oldest_at_ms)),
            value(eta.filter(|_| !is_nobodys).map(|seconds| json!(seconds))),
            value(paused.map(|why| json!(why))),
        ]
    });
    Ok(Table {
        rows: rows.collect(),
        columns,
    })
}
