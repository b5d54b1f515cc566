//! The text of a message, for every type of it (contract, answers out; sdk sheet 5.3).

use serde_json::Value;

use super::json::{string_at, strings_at};

/// How deep forwarded records may lie in each other: more than any client makes, less than the stack.
const NESTING_MAX: usize = 32;

/// The parts of the text that are not empty, joined by line feeds. Nothing is trimmed.
pub(super) fn text_of(message: &Value) -> String {
    let msgtype = string_at(message, "msgtype");
    let mut parts = Vec::new();
    if is_known(msgtype) || msgtype.is_empty() {
        collect_parts(msgtype, payload(message, msgtype), &mut parts, 0);
    } else if let Some(payload) = message.get(msgtype) {
        collect_visible(payload, &mut parts);
    }
    parts.retain(|part| !part.is_empty());
    parts.join("\n")
}

/// The payload: under the documented key, else under the type's name, else under `info`, else flat.
pub(super) fn payload<'a>(message: &'a Value, msgtype: &str) -> &'a Value {
    let documented = match msgtype {
        "docmsg" => "doc",
        "markdown" | "news" | "voiptext" | "qydiskfile" | "meeting_notification" | "note" => "info",
        "external_redpacket" => "redpacket",
        other => other,
    };
    for key in [documented, msgtype, "info"] {
        if let Some(payload) = message.get(key).filter(|value| value.is_object()) {
            return payload;
        }
    }
    message
}

/// The types of the sdk sheet 5.3; a message of any other is archived as `unknown`.
const KNOWN: [&str; 34] = [
    "text",
    "image",
    "revoke",
    "agree",
    "disagree",
    "voice",
    "video",
    "card",
    "location",
    "emotion",
    "file",
    "link",
    "weapp",
    "chatrecord",
    "mixed",
    "todo",
    "vote",
    "collect",
    "redpacket",
    "external_redpacket",
    "meeting",
    "meeting_notification",
    "docmsg",
    "markdown",
    "news",
    "calendar",
    "meeting_voice_call",
    "voip_doc_share",
    "sphfeed",
    "voiptext",
    "qydiskfile",
    "switch",
    "solitaire",
    "note",
];

pub(super) fn is_known(msgtype: &str) -> bool {
    KNOWN.contains(&msgtype)
}

/// Every string of an unknown payload that is no id, address or hash by its key's ending.
fn collect_visible(value: &Value, parts: &mut Vec<String>) {
    match value {
        Value::String(text) => parts.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| collect_visible(item, parts)),
        Value::Object(members) => {
            for (key, value) in members {
                if !["id", "url", "md5sum", "type"]
                    .iter()
                    .any(|end| key.ends_with(end))
                {
                    collect_visible(value, parts);
                }
            }
        }
        _ => {}
    }
}

fn collect_parts(msgtype: &str, payload: &Value, parts: &mut Vec<String>, depth: usize) {
    for key in text_keys(msgtype) {
        parts.push(string_at(payload, key).to_owned());
    }
    match msgtype {
        "news" => {
            for item in items(payload, "item") {
                parts.push(string_at(item, "title").to_owned());
                parts.push(string_at(item, "description").to_owned());
            }
        }
        "vote" => parts.extend(strings_at(payload, "voteitem")),
        "meeting_voice_call" => {
            for file in items(payload, "demofiledata") {
                parts.push(string_at(file, "filename").to_owned());
            }
        }
        "collect" => {
            for question in items(payload, "details") {
                parts.push(string_at(question, "ques").to_owned());
            }
        }
        "solitaire" => {
            parts.extend(strings_at(payload, "items"));
            parts.push(string_at(payload, "tail").to_owned());
        }
        "chatrecord" | "mixed" => collect_items(items(payload, "item"), parts, depth + 1),
        "note" => collect_items(items(payload, "items"), parts, depth + 1),
        _ => {}
    }
}

/// The keys of a payload whose strings are text, in order. Lists are looked at elsewhere.
fn text_keys(msgtype: &str) -> &'static [&'static str] {
    match msgtype {
        "text" | "markdown" | "meeting_notification" => &["content"],
        // News carry items; the flat form was documented until 2025.
        "link" | "news" => &["title", "description"],
        "file" | "qydiskfile" | "voip_doc_share" => &["filename"],
        "chatrecord" | "collect" | "docmsg" => &["title"],
        "location" => &["title", "address"],
        "weapp" => &["title", "displayname", "description"],
        "card" => &["corpname"],
        "vote" => &["votetitle"],
        "redpacket" | "external_redpacket" => &["wish"],
        "todo" => &["title", "content"],
        "meeting" => &["topic", "address", "remarks"],
        "calendar" => &["title", "place", "remarks"],
        "sphfeed" => &["sph_name", "feed_desc"],
        "solitaire" => &["title", "example"],
        _ => &[],
    }
}

fn items<'a>(payload: &'a Value, key: &str) -> &'a [Value] {
    payload
        .get(key)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// Items of forwarded records, mixed messages and notes: `{type, content}` with the content as
/// a JSON string, as an object, or (choice: for texts only) as the bare words.
fn collect_items(items: &[Value], parts: &mut Vec<String>, depth: usize) {
    if depth > NESTING_MAX {
        return;
    }
    for item in items {
        let msgtype = item_type(string_at(item, "type"));
        let content = match item.get("content") {
            Some(Value::String(json)) => match serde_json::from_str::<Value>(json) {
                Ok(object) if object.is_object() => object,
                _ if msgtype == "text" => serde_json::json!({ "content": json }),
                _ => continue,
            },
            Some(object) if object.is_object() => object.clone(),
            _ => continue,
        };
        collect_parts(&msgtype, payload(&content, &msgtype), parts, depth);
    }
}

/// `ChatRecordVoipDocShare` is `voip_doc_share`, `ChatRecordText` is `text`, `image` is `image`.
fn item_type(name: &str) -> String {
    let lower = name.to_lowercase();
    // The type named `chatrecord` itself is a record within the record.
    let bare = match lower.strip_prefix("chatrecord") {
        Some("") | None => &*lower,
        Some(rest) => rest,
    };
    match bare {
        "voipdocshare" => "voip_doc_share",
        "meetingvoicecall" => "meeting_voice_call",
        "externalredpacket" => "external_redpacket",
        "meetingnotification" => "meeting_notification",
        other => other,
    }
    .to_owned()
}
