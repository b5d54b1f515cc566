//! Searching, and reading one conversation (contract, answers out).

use serde_json::{Value, json};

use super::company::Company;
use super::conversation::{Conversation, Kind};
use super::dialogue::sort_in_conversation;
use super::fold::{fold, highlights};
use super::message::Message;
use super::period::{Period, day_of, rfc3339};

/// What a search is narrowed to. Several values of one filter: any of them; an empty filter: all.
#[derive(Clone, Debug, Default)]
pub struct Filters {
    /// Ids that take part in the conversation.
    pub employees: Vec<String>,
    /// Ids that take part in the conversation.
    pub customers: Vec<String>,
    /// Departments (and those below) of which an employee takes part, as of the message.
    pub departments: Vec<String>,
    pub rooms: Vec<String>,
    pub types: Vec<String>,
    pub kinds: Vec<String>,
    /// First and last day, YYYY-MM-DD.
    pub from: Option<String>,
    pub to: Option<String>,
    /// 0 is all.
    pub limit: usize,
}

impl Company {
    /// Messages in whose folded text every folded literal occurs, newest first.
    ///
    /// Choice: a message to several pairs is one row, with the first of its conversations, in the
    /// order of the receivers, that passes the filters.
    ///
    /// # Panics
    /// If a day is not written YYYY-MM-DD.
    pub fn search(&self, literals: &[&str], filters: &Filters) -> Vec<Value> {
        let literals: Vec<String> = literals.iter().map(|literal| fold(literal)).collect();
        let mut hits: Vec<(&Message, Option<Conversation>)> = Vec::new();
        let external = self.external_rooms();
        for message in &self.messages {
            let has_all = literals
                .iter()
                .all(|literal| message.folded.contains(literal));
            if !has_all || !self.passes_by_itself(message, filters) {
                continue;
            }
            // A switch event belongs to no conversation.
            let mut conversations: Vec<_> = message.conversations().into_iter().map(Some).collect();
            if conversations.is_empty() {
                conversations.push(None);
            }
            let passing = conversations.into_iter().find(|conversation| {
                let kind = self.kind_or_other(conversation.as_ref(), &external);
                is_any_of(&filters.kinds, kind.name())
                    && self.has_participants(message, conversation.as_ref(), filters)
            });
            if let Some(conversation) = passing {
                hits.push((message, conversation));
            }
        }
        hits.sort_by_key(|(message, _)| {
            std::cmp::Reverse((message.at, message.seq, message.msgid.clone()))
        });
        if filters.limit > 0 {
            hits.truncate(filters.limit);
        }
        let mut rows = Vec::new();
        for (message, conversation) in hits {
            let kind = self.kind_or_other(conversation.as_ref(), &external);
            let mut row = self.message_row(message, conversation.as_ref(), kind);
            let ranges: Vec<[usize; 2]> = highlights(&message.text, &literals)
                .into_iter()
                .map(|(start, end)| [start, end])
                .collect();
            row["highlights"] = json!(ranges);
            rows.push(row);
        }
        rows
    }

    /// All messages of one conversation, the uncounted too, in order; rows without highlights.
    pub fn conversation(&self, id: &str) -> Vec<Value> {
        let external = self.external_rooms();
        let mut found = None;
        let mut messages = Vec::new();
        for message in &self.messages {
            for conversation in message.conversations() {
                if conversation.id() == id {
                    messages.push(message);
                    found = Some(conversation);
                }
            }
        }
        sort_in_conversation(&mut messages);
        let kind = self.kind_or_other(found.as_ref(), &external);
        messages
            .into_iter()
            .map(|message| self.message_row(message, found.as_ref(), kind))
            .collect()
    }

    fn kind_or_other(
        &self,
        conversation: Option<&Conversation>,
        external: &std::collections::BTreeSet<&str>,
    ) -> Kind {
        conversation.map_or(Kind::Other, |conversation| {
            self.kind_of(conversation, external)
        })
    }

    fn passes_by_itself(&self, message: &Message, filters: &Filters) -> bool {
        let from = filters.from.as_deref().unwrap_or("0001-01-01");
        let to = filters.to.as_deref().unwrap_or("9999-12-30");
        is_any_of(&filters.types, &message.msgtype)
            && is_any_of(&filters.rooms, &message.room)
            && Period::parse(from, to).contains(day_of(message.at, self.rules.zone))
    }

    fn has_participants(
        &self,
        message: &Message,
        conversation: Option<&Conversation>,
        filters: &Filters,
    ) -> bool {
        let takes_part = |id: &str| match conversation {
            Some(conversation) => self.takes_part(conversation, id, message.at),
            None => message.from == id,
        };
        let of_department = |department: &String| {
            let employees = self.directory.employees_below(department, message.at);
            employees.into_iter().any(takes_part)
        };
        let any = |ids: &[String]| ids.is_empty() || ids.iter().any(|id| takes_part(id));
        any(&filters.employees)
            && any(&filters.customers)
            && (filters.departments.is_empty() || filters.departments.iter().any(of_department))
    }

    fn message_row(
        &self,
        message: &Message,
        conversation: Option<&Conversation>,
        kind: Kind,
    ) -> Value {
        json!({
            "seq": message.seq,
            "msgid": message.msgid,
            "at": rfc3339(message.at, self.rules.zone),
            "conversation": conversation.map(Conversation::id),
            "kind": kind.name(),
            "from": message.from,
            "type": message.msgtype,
            "text": message.text,
        })
    }
}

fn is_any_of(wanted: &[String], value: &str) -> bool {
    wanted.is_empty() || wanted.iter().any(|one| one == value)
}
