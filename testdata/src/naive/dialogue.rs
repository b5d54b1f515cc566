//! Cutting conversations into dialogues, and the replies in them (semantics 3 and 4).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::closing::is_closing_phrase;
use super::company::Company;
use super::conversation::{Conversation, Kind, Role};
use super::message::Message;
use super::number::seconds;
use super::period::{Period, day_of, rfc3339};
use super::rules::{ReplyFrom, Rules};

/// Counted messages in order, each with the role of its sender.
pub(super) type Said<'a> = Vec<(Role, &'a Message)>;

/// One stretch of an external conversation: its counted messages in order, never none.
#[derive(Debug)]
pub(super) struct Dialogue<'a> {
    pub(super) conversation: Conversation,
    pub(super) kind: Kind,
    pub(super) messages: Said<'a>,
}

impl Dialogue<'_> {
    pub(super) fn started_at(&self) -> i64 {
        self.messages[0].1.at
    }

    pub(super) fn ended_at(&self) -> i64 {
        self.messages[self.messages.len() - 1].1.at
    }

    pub(super) fn opened_by(&self) -> Role {
        self.messages[0].0
    }

    pub(super) fn n_messages(&self, side: Role) -> usize {
        self.messages
            .iter()
            .filter(|(role, _)| *role == side)
            .count()
    }

    pub(super) fn is_effective(&self) -> bool {
        self.n_messages(Role::Employee) > 0 && self.n_messages(Role::Customer) > 0
    }

    /// From when and to when it took, for every customer turn that has a reply, in order.
    pub(super) fn replies(&self, from: ReplyFrom) -> Vec<(i64, i64)> {
        replies(&self.messages, from)
    }

    /// Who is named on a side: both of a pair always, in a group those who spoke.
    fn named(&self, side: Role, company: &Company) -> BTreeSet<String> {
        match &self.conversation {
            Conversation::Pair(a, b) => [a, b]
                .into_iter()
                .filter(|id| company.role_of(id) == side)
                .cloned()
                .collect(),
            Conversation::Room(_) => self
                .messages
                .iter()
                .filter(|(role, _)| *role == side)
                .map(|(_, message)| message.from.clone())
                .collect(),
        }
    }
}

impl Company {
    /// Every external conversation with its counted messages, in order.
    pub(super) fn external_conversations(&self) -> Vec<(Conversation, Kind, Said<'_>)> {
        let external = self.external_rooms();
        let mut by_conversation: BTreeMap<Conversation, Vec<&Message>> = BTreeMap::new();
        for message in &self.messages {
            if self.is_counted(message) {
                for conversation in message.conversations() {
                    by_conversation
                        .entry(conversation)
                        .or_default()
                        .push(message);
                }
            }
        }
        let mut conversations = Vec::new();
        for (conversation, mut messages) in by_conversation {
            let kind = self.kind_of(&conversation, &external);
            if !matches!(kind, Kind::SingleExternal | Kind::GroupExternal) {
                continue;
            }
            sort_in_conversation(&mut messages);
            let messages = messages
                .into_iter()
                .map(|message| (self.role_of(&message.from), message))
                .collect();
            conversations.push((conversation, kind, messages));
        }
        conversations
    }

    /// All dialogues of all external conversations, by conversation, then in order.
    pub(super) fn all_dialogues(&self) -> Vec<Dialogue<'_>> {
        let mut dialogues = Vec::new();
        for (conversation, kind, messages) in self.external_conversations() {
            let gap_minutes = match kind {
                Kind::SingleExternal => self.rules.single_gap_minutes,
                _ => self.rules.group_gap_minutes,
            };
            for stretch in cut(messages, gap_minutes * 60_000, &self.rules) {
                dialogues.push(Dialogue {
                    conversation: conversation.clone(),
                    kind,
                    messages: stretch,
                });
            }
        }
        dialogues
    }

    /// The rows of `huicun dialogues`: those started in the period, by time, then conversation.
    ///
    /// # Panics
    /// If a day is not written YYYY-MM-DD.
    pub fn dialogues(&self, from: &str, to: &str) -> Vec<Value> {
        let period = Period::parse(from, to);
        let zone = self.rules.zone;
        let mut dialogues = self.all_dialogues();
        dialogues.retain(|dialogue| period.contains(day_of(dialogue.started_at(), zone)));
        // Stable: two dialogues of one conversation that start in the same millisecond stay in order.
        dialogues.sort_by_key(|dialogue| (dialogue.started_at(), dialogue.conversation.id()));
        dialogues
            .iter()
            .map(|dialogue| self.dialogue_row(dialogue))
            .collect()
    }

    fn dialogue_row(&self, dialogue: &Dialogue<'_>) -> Value {
        let zone = self.rules.zone;
        let first = dialogue.replies(self.rules.reply_from).first().copied();
        let opened_by = match dialogue.opened_by() {
            Role::Customer => "customer",
            _ => "employee",
        };
        json!({
            "conversation": dialogue.conversation.id(),
            "kind": dialogue.kind.name(),
            "started_at": rfc3339(dialogue.started_at(), zone),
            "ended_at": rfc3339(dialogue.ended_at(), zone),
            "opened_by": opened_by,
            "employees": dialogue.named(Role::Employee, self),
            "customers": dialogue.named(Role::Customer, self),
            "employee_messages": dialogue.n_messages(Role::Employee),
            "customer_messages": dialogue.n_messages(Role::Customer),
            "first_reply_seconds": first.map(|reply| seconds(self.interval(reply).clock_ms)),
        })
    }
}

/// The replies in a run of messages: of a dialogue, or of somebody's view of one (semantics 4).
pub(super) fn replies(messages: &[(Role, &Message)], from: ReplyFrom) -> Vec<(i64, i64)> {
    let mut replies = Vec::new();
    let mut turn: Option<(i64, i64)> = None; // its first and last message
    for (role, message) in messages {
        match role {
            Role::Customer => {
                let first = turn.map_or(message.at, |(first, _)| first);
                turn = Some((first, message.at));
            }
            Role::Employee => {
                if let Some((first, last)) = turn.take() {
                    replies.push(match from {
                        ReplyFrom::First => (first, message.at),
                        ReplyFrom::Last => (last, message.at),
                    });
                }
            }
            Role::Robot => {}
        }
    }
    replies
}

/// Order inside a conversation. Choice: the msgid decides where two messages claim one seq.
pub(super) fn sort_in_conversation(messages: &mut [&Message]) {
    messages.sort_by_key(|message| (message.at, message.seq, message.msgid.clone()));
}

/// Cuts the counted messages of one conversation where a dialogue begins.
///
/// Choices: silence cuts even within the grace; and once anything else has opened a new
/// dialogue, the grace is over, because the closed dialogue is no longer the latest.
fn cut<'a>(
    messages: Vec<(Role, &'a Message)>,
    gap_ms: i64,
    rules: &Rules,
) -> Vec<Vec<(Role, &'a Message)>> {
    let grace_ms = rules.closing_grace_seconds * 1000;
    let mut stretches: Vec<Vec<(Role, &Message)>> = Vec::new();
    let mut last_at = None;
    let mut closed_at = None; // when a closing phrase closed the current dialogue
    for (role, message) in messages {
        let is_silence_over = last_at.is_none_or(|last_at| message.at - last_at >= gap_ms);
        let is_in_grace = |closed_at: i64| {
            role == Role::Employee && grace_ms > 0 && message.at - closed_at <= grace_ms
        };
        let is_closed = closed_at.is_some_and(|closed_at| !is_in_grace(closed_at));
        if is_silence_over || is_closed {
            stretches.push(Vec::new());
            closed_at = None;
        }
        if role == Role::Customer && is_closing_phrase(message, rules) {
            closed_at = Some(message.at);
        }
        last_at = Some(message.at);
        if let Some(stretch) = stretches.last_mut() {
            stretch.push((role, message));
        }
    }
    stretches
}
