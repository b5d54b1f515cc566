//! The text of a message: all that a reader would see, in the order of the contract
//! ("`text` of a message is, in order ..."), from the fields of the fact sheet (5.3).
//!
//! Nothing is trimmed, folded or cut. The text is never longer than the JSON it comes
//! from (every part is the content of a literal of its own, and decoding only shrinks),
//! so `MESSAGE_BYTES_MAX` bounds it too.
//!
//! Of a type that we do not know every string is text, whatever its key is called: nobody
//! can say yet which of them a reader sees, and an auditor must be able to find them all.

use std::borrow::Cow;
use std::collections::HashSet;

use super::json::{self, Json};
use super::media::{self, Media};
use super::msgtype::Known;
use super::time;

/// Levels of records within records, and of objects within an unknown payload, that are
/// opened. Each level escapes the one inside again, so its backslashes double: 32 levels
/// of real nesting would take gigabytes. What lies deeper counts as its raw text.
pub(super) const DEPTH_MAX: usize = 32;

/// Which strings of a value of unknown shape count.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Strings {
    /// All of them: the type is unknown.
    All,
    /// All but those whose key names an id, an address, a hash or a type: the type is known,
    /// and of the fields that it names these are what no reader sees.
    Visible,
}

/// What a message and the messages forwarded in it say and carry.
#[derive(Default)]
pub(super) struct Contents {
    /// The non-empty parts, joined by line feeds.
    pub(super) text: String,
    /// Files of items of forwarded records and mixed messages, in order.
    pub(super) nested_media: Vec<Media>,
}

impl Contents {
    /// Adds what a payload of a known type says.
    pub(super) fn add(&mut self, known: Known, payload: Json<'_>, depth: usize) {
        match known {
            Known::Text | Known::Markdown | Known::MeetingNotification => {
                self.fields(payload, &["content"]);
            }
            Known::Link => self.fields(payload, &["title", "description"]),
            Known::News => {
                // Flat before 2025-05, a list of articles since.
                self.fields(payload, &["title", "description"]);
                self.rows(payload, "item", &["title", "description"]);
            }
            Known::File | Known::VoipDocShare | Known::QyDiskFile => {
                self.fields(payload, &["filename"]);
            }
            Known::MeetingVoiceCall => self.rows(payload, "demofiledata", &["filename"]),
            Known::ChatRecord | Known::Mixed => {
                self.fields(payload, &["title"]);
                self.items(payload, "item", depth);
            }
            Known::Location => self.fields(payload, &["title", "address"]),
            Known::WeApp => self.fields(payload, &["title", "displayname", "description"]),
            Known::Card => self.fields(payload, &["corpname"]),
            Known::Vote => {
                self.fields(payload, &["votetitle"]);
                self.strings(payload, "voteitem", depth);
            }
            Known::Collect => {
                self.fields(payload, &["title"]);
                self.rows(payload, "details", &["ques"]);
            }
            Known::RedPacket | Known::ExternalRedPacket => self.fields(payload, &["wish"]),
            Known::Todo => self.fields(payload, &["title", "content"]),
            Known::Meeting => self.fields(payload, &["topic", "address", "remarks"]),
            Known::Calendar => {
                self.fields(payload, &["title", "creatorname"]);
                self.strings(payload, "attendeename", depth);
                self.fields(payload, &["place", "remarks"]);
            }
            Known::DocMsg => self.fields(payload, &["title"]),
            Known::SphFeed => self.fields(payload, &["sph_name", "feed_desc"]),
            Known::Note => {
                self.fields(payload, &["title", "content"]);
                self.items(payload, "items", depth);
                self.items(payload, "item", depth);
            }
            Known::Solitaire => {
                self.fields(payload, &["title", "example"]);
                self.strings(payload, "items", depth);
                self.fields(payload, &["tail"]);
            }
            Known::Agree
            | Known::Disagree
            | Known::Emotion
            | Known::Image
            | Known::Revoke
            | Known::Switch
            | Known::Video
            | Known::VoipText
            | Known::Voice => {}
        }
    }

    /// Adds the strings within a value of unknown shape, in their order. A string that holds
    /// JSON, as WeCom nests messages, is opened, so that what was escaped in it is found.
    pub(super) fn add_unknown(&mut self, value: Json<'_>, which: Strings, depth: usize) {
        if value.is_string() {
            let content = value.text().unwrap_or_default();
            let inner = opened_content(&content, &['{', '[']).filter(|_| depth < DEPTH_MAX);
            let Some(inner) = inner else {
                return self.part(&content);
            };
            let n_before = self.text.len();
            self.add_unknown(Json::trusted(&inner), which, depth + 1);
            // JSON without strings (`{"n":5}`) is findable as it is written.
            if which == Strings::All && self.text.len() == n_before {
                self.part(&content);
            }
        } else if depth >= DEPTH_MAX {
            self.unopened(value);
        } else {
            for element in value.elements() {
                self.add_unknown(element, which, depth + 1);
            }
            for (key, field) in value.fields() {
                self.add_unknown_field(&key, field, which, depth + 1);
            }
        }
    }

    pub(super) fn add_unknown_field(
        &mut self,
        key: &str,
        value: Json<'_>,
        which: Strings,
        depth: usize,
    ) {
        // `{"userid": {"name": ..}}`: the key names the object, not what is in it.
        if which == Strings::All || !is_hidden(key) || value.is_object() {
            self.add_unknown(value, which, depth);
        }
    }

    /// Adds what `payload` says beyond what was said already. For types whose fields may be
    /// others than we think: what we know comes first and in order, and nothing is missing.
    pub(super) fn add_rest(&mut self, payload: Json<'_>) {
        let mut all = Self::default();
        for (key, field) in payload.fields() {
            if !key.eq_ignore_ascii_case("creator") {
                all.add_unknown_field(&key, field, Strings::Visible, 1);
            }
        }
        let said: HashSet<String> = self.text.split('\n').map(str::to_owned).collect();
        for line in all.text.split('\n').filter(|line| !said.contains(*line)) {
            // What lay too deep the first time may be opened now: never both in full.
            if self.text.len() + line.len() >= payload.raw().len() {
                break;
            }
            self.part(line);
        }
    }

    fn part(&mut self, part: &str) {
        if part.is_empty() {
            return;
        }
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.text.push_str(part);
    }

    /// What lies too deep to be opened is still findable, as it is written.
    fn unopened(&mut self, value: Json<'_>) {
        if value.is_object() || value.is_array() {
            self.part(value.raw());
        }
    }

    fn fields(&mut self, payload: Json<'_>, names: &[&str]) {
        for name in names {
            if let Some(content) = payload.get(name).and_then(Json::text) {
                self.part(&content);
            }
        }
    }

    /// The named fields of each object in a list.
    fn rows(&mut self, payload: Json<'_>, list: &str, names: &[&str]) {
        for row in payload.get(list).into_iter().flat_map(Json::elements) {
            self.fields(row, names);
        }
    }

    /// The strings of a list; should the elements be objects, all their visible text.
    fn strings(&mut self, payload: Json<'_>, list: &str, depth: usize) {
        if let Some(list) = payload.get(list) {
            self.add_unknown(list, Strings::Visible, depth + 1);
        }
    }

    fn items(&mut self, payload: Json<'_>, list: &str, depth: usize) {
        for item in payload.get(list).into_iter().flat_map(Json::elements) {
            self.item(item, depth);
        }
    }

    /// One item of a forwarded record, a mixed message or a note. Its `content` is a
    /// JSON *string* with the payload (fact sheet 0.10); seen or possible are also plain
    /// text, an object, and no `content` but the payload beside the type.
    fn item(&mut self, item: Json<'_>, depth: usize) {
        if item.is_string() {
            return self.add_unknown(item, Strings::Visible, depth);
        }
        let known = item
            .get("type")
            .and_then(Json::text)
            .and_then(|name| Known::from_item_type(&name));
        let begins_at_ms = item.get("msgtime").and_then(time::millis);
        let Some(content) = item.get("content") else {
            return match known {
                Some(_) => self.opened(known, item, begins_at_ms, depth + 1),
                None => self.beside_the_type(item, depth + 1),
            };
        };
        if !content.is_string() {
            return self.opened(known, content, begins_at_ms, depth + 1);
        }
        let content = content.text().unwrap_or_default();
        match opened_content(&content, &['{']) {
            Some(inner) if depth + 1 < DEPTH_MAX => {
                self.opened(known, Json::trusted(&inner), begins_at_ms, depth + 1);
            }
            _ => self.part(&content),
        }
    }

    /// An item of an unknown type without `content`: all that stands beside its own fields.
    fn beside_the_type(&mut self, item: Json<'_>, depth: usize) {
        if depth >= DEPTH_MAX {
            return self.unopened(item);
        }
        for (key, field) in item.fields().filter(|(key, _)| key != "type") {
            self.add_unknown_field(&key, field, Strings::All, depth);
        }
    }

    fn opened(
        &mut self,
        known: Option<Known>,
        holder: Json<'_>,
        begins_at_ms: Option<i64>,
        depth: usize,
    ) {
        if depth >= DEPTH_MAX {
            return self.unopened(holder);
        }
        let Some(known) = known else {
            return self.add_unknown(holder, Strings::All, depth);
        };
        let payload = known.payload(holder, |key| holder.get(key));
        self.nested_media
            .extend(media::of(known, payload, begins_at_ms));
        self.add(known, payload, depth);
    }
}

/// A string's content as readable JSON, if it is a JSON value that opens with one of `brackets`.
fn opened_content<'a>(content: &'a str, brackets: &[char]) -> Option<Cow<'a, str>> {
    let start = content.trim_start();
    let start = start.strip_prefix('\u{feff}').unwrap_or(start);
    if !start.trim_start().starts_with(brackets) {
        return None;
    }
    let inner = json::readable(content).ok()?;
    Json::trusted(&inner)
        .raw()
        .starts_with(brackets)
        .then_some(inner)
}

/// Whether a key names something that no reader sees: `sdkfileid`, `md5sum`, `voteid`,
/// `link_url`, `headimgurl`, `aeskey`, `type`, `fileext`.
fn is_hidden(key: &str) -> bool {
    const ENDINGS: [&str; 14] = [
        "id", "ids", "url", "urls", "uri", "md5", "md5sum", "sha1", "sha256", "hash", "token",
        "aeskey", "type", "fileext",
    ];
    let bytes = key.as_bytes();
    ENDINGS.iter().any(|ending| {
        let start = bytes.len().checked_sub(ending.len());
        start
            .and_then(|start| bytes.get(start..))
            .is_some_and(|tail| tail.eq_ignore_ascii_case(ending.as_bytes()))
    })
}
