//! One archived message, as far as the model looks at it (sdk sheet 5.2).

use serde_json::Value;

use super::conversation::Conversation;
use super::fold::fold;
use super::json::{string_at, strings_at, whole_number};
use super::text;

/// A message; roles are not part of it, they are resolved when computing.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) seq: u64,
    pub(super) msgid: String,
    pub(super) action: String,
    pub(super) from: String,
    /// Receivers; left empty in a room, where the company keeps them per room.
    pub(super) to: Vec<String>,
    /// Empty where there is no room.
    pub(super) room: String,
    /// UTC milliseconds.
    pub(super) at: i64,
    pub(super) msgtype: String,
    pub(super) text: String,
    /// The text, folded for searching.
    pub(super) folded: String,
    /// How long the call lasted that this message reports, if it reports one.
    pub(super) call_ms: Option<i64>,
    /// Who is named in the call, beside its sender: presenters and sharers of the screen.
    pub(super) call_names: Vec<String>,
}

impl Message {
    /// None where the message cannot be archived: no msgid.
    pub(super) fn read(message: &Value, seq: u64) -> Option<Self> {
        let msgid = match message.get("msgid")? {
            Value::String(text) if !text.is_empty() => text.clone(),
            _ => return None,
        };
        let action = string_at(message, "action").to_owned();
        let msgtype = string_at(message, "msgtype").to_owned();
        // A switch event has `time` and `user` instead of `msgtime` and `from`, and no type.
        let is_switch = action == "switch";
        let (from_key, time_key) = if is_switch {
            ("user", "time")
        } else {
            ("from", "msgtime")
        };
        let at = message.get(time_key).and_then(whole_number).unwrap_or(0);
        let text = text::text_of(message);
        Some(Self {
            seq,
            msgid,
            from: string_at(message, from_key).to_owned(),
            to: strings_at(message, "tolist"),
            room: string_at(message, "roomid").to_owned(),
            at,
            call_ms: call_ms(message, &msgtype, at),
            call_names: call_names(message, &msgtype),
            msgtype: if is_switch && msgtype.is_empty() {
                "switch".to_owned()
            } else if text::is_known(&msgtype) {
                msgtype
            } else {
                "unknown".to_owned()
            },
            action,
            folded: fold(&text),
            text,
        })
    }

    /// Whether it is a sent message of a content type; that no robot sent it is asked elsewhere.
    pub(super) fn is_content(&self) -> bool {
        self.action == "send"
            && !matches!(&*self.msgtype, "revoke" | "agree" | "disagree" | "switch")
    }

    /// The conversations it belongs to: its room, or every pair of sender and receiver.
    pub(super) fn conversations(&self) -> Vec<Conversation> {
        if !self.room.is_empty() {
            return vec![Conversation::Room(self.room.clone())];
        }
        let mut pairs = Vec::new();
        for receiver in &self.to {
            let pair = Conversation::pair(&self.from, receiver);
            if !self.from.is_empty() && !pairs.contains(&pair) {
                pairs.push(pair);
            }
        }
        pairs
    }
}

/// Choice: exact to the millisecond (endtime in ms - msgtime), never negative.
fn call_ms(message: &Value, msgtype: &str, at: i64) -> Option<i64> {
    let payload = text::payload(message, msgtype);
    match msgtype {
        "voiptext" => {
            let seconds = payload.get("callduration").and_then(whole_number)?;
            Some((seconds * 1000).max(0))
        }
        "meeting_voice_call" => {
            let end_seconds = payload.get("endtime").and_then(whole_number)?;
            Some((end_seconds * 1000 - at).max(0))
        }
        _ => None,
    }
}

fn call_names(message: &Value, msgtype: &str) -> Vec<String> {
    let payload = text::payload(message, msgtype);
    let mut names = Vec::new();
    for (list, key) in [
        ("demofiledata", "demooperator"),
        ("sharescreendata", "share"),
    ] {
        for item in payload
            .get(list)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            names.push(string_at(item, key).to_owned());
        }
    }
    names
}
