//! The facts that lists and reports are made of: dialogues with their replies, messages sent,
//! calls (semantics 3, 4).

use std::ops::Range;

use datafusion::error::DataFusionError;
use huicun_semantics::conversation::Kind;
use huicun_semantics::dialogue::{self, Counted, Side};
use huicun_semantics::reply::{self, Reply};
use rayon::prelude::*;

use super::conversations::{self, Archive, Entry, Members};
use crate::archive::{Home, TableError};
use crate::directory::Directory;
use crate::rules::Rules;
use crate::tables;

/// One dialogue.
#[derive(Debug, Clone)]
pub struct Dialogue {
    /// Its conversation's number.
    pub conversation: u32,
    /// First message, UTC milliseconds.
    pub started_ms: i64,
    /// Last message, UTC milliseconds.
    pub ended_ms: i64,
    /// Whose message was the first.
    pub opened_by: Side,
    /// Messages of employees.
    pub n_employee: u32,
    /// Messages of customers.
    pub n_customer: u32,
    /// Intervals of the replies to each customer turn in milliseconds, all employees as one.
    pub reply_intervals_ms: Vec<i64>,
    /// Its messages: a range of [`Archive::entries`].
    pub entries: Range<usize>,
}

impl Dialogue {
    /// Both sides spoke (有效).
    pub fn is_effective(&self) -> bool {
        self.n_employee > 0 && self.n_customer > 0
    }

    /// Interval of the first turn that has a reply, milliseconds.
    pub fn first_reply_ms(&self) -> Option<i64> {
        self.reply_intervals_ms.first().copied()
    }
}

/// A message that an employee sent in a single external chat.
#[derive(Debug, Clone, Copy)]
pub struct Sent {
    /// Who.
    pub employee: u32,
    /// When, UTC milliseconds.
    pub at_ms: i64,
}

/// Everything that was computed from one version of messages, directory and rules.
pub struct Facts {
    /// Conversations and their counted messages.
    pub archive: Archive,
    /// The directory that it was computed with.
    pub directory: Directory,
    /// The rules that it was computed with.
    pub rules: Rules,
    /// Dialogues by conversation, then start.
    pub dialogues: Vec<Dialogue>,
    /// Messages sent in single external chats; one a message, whatever its receivers.
    pub sent: Vec<Sent>,
    /// Version of `messages`.
    pub messages_version: u64,
}

/// Why facts could not be computed.
#[derive(Debug, thiserror::Error)]
pub enum FactsError {
    /// A table could not be opened.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The messages could not be read.
    #[error("cannot read the messages: {0}")]
    Read(#[from] DataFusionError),
}

impl Facts {
    /// Computes all facts from the newest version of the tables.
    pub async fn compute(home: &Home, rules: &Rules) -> Result<Self, FactsError> {
        let tables = tables::open(home).await?;
        let directory = Directory::load(home).await?;
        let ctx = tables.session().await?;
        let archive = conversations::read(&ctx, &directory, &rules.closing_phrases()).await?;
        let dialogues = dialogues_of(&archive, rules);
        let sent = sent_of(&archive);
        Ok(Self {
            archive,
            directory,
            rules: rules.clone(),
            dialogues,
            sent,
            messages_version: tables.messages_version(),
        })
    }

    /// The conversation of a dialogue.
    pub fn conversation(&self, dialogue: &Dialogue) -> &conversations::Conversation {
        &self.archive.conversations[dialogue.conversation as usize]
    }

    /// The employee of a single external conversation.
    pub fn employee_of(&self, conversation: u32) -> Option<u32> {
        self.one_of(conversation, huicun_semantics::role::Role::Employee)
    }

    /// The customer of a single external conversation.
    pub fn customer_of(&self, conversation: u32) -> Option<u32> {
        self.one_of(conversation, huicun_semantics::role::Role::Customer)
    }

    fn one_of(&self, conversation: u32, role: huicun_semantics::role::Role) -> Option<u32> {
        let place = &self.archive.conversations[conversation as usize];
        match place.members {
            Members::Pair(a, b) if place.kind == Kind::SingleExternal => [a, b]
                .into_iter()
                .find(|id| self.archive.roles[*id as usize] == role),
            _ => None,
        }
    }

    /// A dialogue's id: stable, unique, opaque. Made of its conversation and first message.
    pub fn dialogue_id(&self, dialogue: &Dialogue) -> String {
        use aws_lc_rs::digest::{SHA256, digest};
        let first = self.archive.entries[dialogue.entries.start].message;
        let key = format!(
            "{}\0{}",
            self.conversation(dialogue).id,
            self.archive.msgids[first as usize]
        );
        digest(&SHA256, key.as_bytes()).as_ref()[..12]
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect()
    }

    /// People who spoke in a dialogue, each once.
    pub fn speakers(&self, dialogue: &Dialogue, side: Side) -> Vec<u32> {
        let mut found: Vec<u32> = self.archive.entries[dialogue.entries.clone()]
            .iter()
            .filter(|e| e.counted.side == side)
            .map(|e| e.counted.speaker)
            .collect();
        found.sort_unstable();
        found.dedup();
        found
    }
}

/// Where each conversation's entries begin and end.
fn spans(entries: &[Entry]) -> Vec<Range<usize>> {
    let mut spans = Vec::new();
    let mut start = 0;
    for end in 1..=entries.len() {
        if end == entries.len() || entries[end].conversation != entries[start].conversation {
            spans.push(start..end);
            start = end;
        }
    }
    spans
}

fn dialogues_of(archive: &Archive, rules: &Rules) -> Vec<Dialogue> {
    let (single, group, from) = (rules.single(), rules.group(), rules.reply_from());
    spans(&archive.entries)
        .par_iter()
        .flat_map_iter(|span| {
            let entries = &archive.entries[span.clone()];
            let conversation = entries[0].conversation;
            let kind = archive.conversations[conversation as usize].kind;
            let rule = if kind.is_group() { &group } else { &single };
            let counted: Vec<Counted> = entries.iter().map(|e| e.counted).collect();
            let mut cuts = Vec::new();
            dialogue::cut(&counted, rule, &mut cuts);
            let mut replies: Vec<Reply> = Vec::new();
            cuts.into_iter()
                .map(|cut| {
                    let part = &counted[cut.clone()];
                    let shape = dialogue::shape(part);
                    replies.clear();
                    reply::replies(part, None, from, &mut replies);
                    Dialogue {
                        conversation,
                        started_ms: shape.started_ms,
                        ended_ms: shape.ended_ms,
                        opened_by: shape.opened_by,
                        n_employee: shape.n_employee,
                        n_customer: shape.n_customer,
                        reply_intervals_ms: replies.iter().map(|r| r.interval_ms).collect(),
                        entries: span.start + cut.start..span.start + cut.end,
                    }
                })
                .collect::<Vec<_>>()
        })
        .collect()
}

fn sent_of(archive: &Archive) -> Vec<Sent> {
    let mut by_message: Vec<(u32, Sent)> = archive
        .entries
        .iter()
        .filter(|e| e.counted.side == Side::Employee)
        .filter(|e| archive.conversations[e.conversation as usize].kind == Kind::SingleExternal)
        .map(|e| {
            let sent = Sent {
                employee: e.counted.speaker,
                at_ms: e.counted.at_ms,
            };
            (e.message, sent)
        })
        .collect();
    by_message.par_sort_unstable_by_key(|(message, _)| *message);
    by_message.dedup_by_key(|(message, _)| *message);
    by_message.into_iter().map(|(_, sent)| sent).collect()
}
