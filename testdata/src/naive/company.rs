//! What the model holds: messages, directory, rules; and how they come in (contract, feeds in).

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde_json::Value;

use super::behaviour::Watch;
use super::conversation::{Conversation, Kind, Role};
use super::directory::Directory;
use super::json::{parse_line, seq_number};
use super::message::Message;
use super::period::Period;
use super::rules::Rules;
use super::text;

/// A company's messages, directory and rules.
#[derive(Debug, Default)]
pub struct Company {
    pub(super) messages: Vec<Message>,
    pub(super) directory: Directory,
    pub(super) rules: Rules,
    msgids: HashSet<String>,
    pub(super) watch: Watch,
    /// Everyone who spoke or received in a room.
    voices: BTreeMap<String, BTreeSet<String>>,
    import_base: u64,
    lines_in_import: u64,
}

impl Company {
    /// A company with nothing in it, under the default rules.
    pub fn new() -> Self {
        Self::default()
    }

    /// To be called before the lines of each file: lines without seq are numbered from here.
    pub fn begin_import(&mut self) {
        self.import_base = self.messages.iter().map(|m| m.seq).max().unwrap_or(0);
        self.lines_in_import = 0;
    }

    /// Adds a message or an envelope `{seq, publickey_ver, message}`.
    ///
    /// A line that cannot be read counts as a line and adds nothing; so does a msgid seen before.
    pub fn add_message_line(&mut self, line: &str) {
        self.lines_in_import += 1;
        let Some(value) = parse_line(line) else {
            return;
        };
        let seq = value.get("seq").and_then(seq_number);
        let seq = seq.unwrap_or(self.import_base + self.lines_in_import);
        let body = value.get("message").filter(|message| message.is_object());
        let Some(mut message) = Message::read(body.unwrap_or(&value), seq) else {
            return;
        };
        if !self.msgids.insert(message.msgid.clone()) {
            return;
        }
        if !message.room.is_empty() {
            let voices = self.voices.entry(message.room.clone()).or_default();
            voices.insert(message.from.clone());
            voices.extend(std::mem::take(&mut message.to));
        }
        self.watch.take_message(&message, &self.rules);
        self.messages.push(message);
    }

    /// Adds or replaces one row of a directory table, by its key.
    pub fn add_directory_row(&mut self, table: &str, row: &Value) {
        self.directory.add_row(table, row);
        if table == "relations" {
            self.watch.take_relation(row, &self.rules);
        }
    }

    /// The rules in force, to be changed at will.
    pub fn rules(&mut self) -> &mut Rules {
        &mut self.rules
    }

    /// The text that a reader of the message sees (contract, answers out).
    pub fn text_of(message: &Value) -> String {
        text::text_of(message)
    }

    pub(super) fn role_of(&self, id: &str) -> Role {
        self.directory.role_of(id)
    }

    /// A message that counts in reports: content, and not from a robot (semantics 2).
    pub(super) fn is_counted(&self, message: &Message) -> bool {
        message.is_content() && self.role_of(&message.from) != Role::Robot
    }

    /// The rooms that have, or ever had, a customer as a member, a speaker or a receiver.
    pub(super) fn external_rooms(&self) -> BTreeSet<&str> {
        let mut rooms = self.directory.rooms_with_customer_members();
        for (room, voices) in &self.voices {
            if voices.iter().any(|id| self.role_of(id) == Role::Customer) {
                rooms.insert(room);
            }
        }
        rooms
    }

    pub(super) fn kind_of(&self, conversation: &Conversation, external: &BTreeSet<&str>) -> Kind {
        match conversation {
            Conversation::Room(room) if external.contains(&**room) => Kind::GroupExternal,
            Conversation::Room(_) => Kind::GroupInternal,
            Conversation::Pair(a, b) => Kind::of_pair(self.role_of(a), self.role_of(b)),
        }
    }

    /// The employee of a single external chat; None for every other conversation.
    pub(super) fn employee_of_pair<'a>(&self, conversation: &'a Conversation) -> Option<&'a str> {
        let Conversation::Pair(a, b) = conversation else {
            return None;
        };
        match Kind::of_pair(self.role_of(a), self.role_of(b)) {
            Kind::SingleExternal if self.role_of(a) == Role::Employee => Some(a),
            Kind::SingleExternal => Some(b),
            _ => None,
        }
    }

    /// The external rooms that exist at an instant.
    pub(super) fn external_rooms_at(&self, at: i64) -> BTreeSet<&str> {
        let mut rooms = self.external_rooms();
        rooms.retain(|room| self.directory.room_exists_at(room, at));
        rooms
    }

    /// "As of the end" of a period: its last millisecond, or now if that is earlier (semantics 1).
    pub(super) fn end_of(&self, period: Period) -> i64 {
        let end = period.last_ms(self.rules.zone);
        self.rules.now_ms.map_or(end, |now| end.min(now))
    }

    /// Every employee id that the archive or the directory names.
    pub(super) fn every_employee_id(&self) -> BTreeSet<String> {
        let mut ids: BTreeSet<String> = BTreeSet::new();
        for message in &self.messages {
            ids.insert(message.from.clone());
            ids.extend(message.to.iter().cloned());
        }
        ids.extend(self.voices.values().flatten().cloned());
        ids.retain(|id| !id.is_empty() && self.role_of(id) == Role::Employee);
        let known = self.directory.every_employee_id();
        ids.extend(known.into_iter().map(str::to_owned));
        ids
    }

    /// Whether an id takes part in a conversation, seen at an instant.
    ///
    /// Choice: in a room, its members at that instant, and whoever spoke or received there at any time.
    pub(super) fn takes_part(&self, conversation: &Conversation, id: &str, at: i64) -> bool {
        match conversation {
            Conversation::Pair(a, b) => a == id || b == id,
            Conversation::Room(room) => {
                let has_voice = self.voices.get(room).is_some_and(|ids| ids.contains(id));
                has_voice || self.directory.is_member_at(room, id, at)
            }
        }
    }
}
