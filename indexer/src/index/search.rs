//! Answers searches: exact literals, filters, newest first, exact counts, highlights.
//!
//! Every question takes a [`Scope`] first. Roles, and with them the kind of a conversation, are
//! those of the directory of now, so they are looked up here and never stored in the index.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use huicun_engine::access::Scope;
use huicun_engine::directory::Directory;
use huicun_semantics::conversation::Kind;
use huicun_semantics::time::Zone;
use tantivy::schema::{TantivyDocument, Value};
use tantivy::{DocAddress, Index, IndexReader, ReloadPolicy, Searcher};

use super::filter::{Kinds, Rooms, Wanted, partners, to_tantivy};
use super::fold::{find_all, fold};
use super::follow::{self, IndexError, Watermark};
use super::page::Page;
use super::query::Query;
use super::schema::{FIELDS, Stored};
use super::tally::{By, Tallied, Tally};

/// In which order hits come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// Latest msgtime first.
    #[default]
    NewestFirst,
    /// As it was said.
    OldestFirst,
    /// Those with most of the literals first, then the latest. Nothing but the message decides,
    /// so the order stays while messages arrive.
    Relevance,
}

/// Where a page of hits goes on: after this hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct After {
    /// How many different literals were found in it; 0 but for [`Order::Relevance`].
    pub n_found: u32,
    /// msgtime, UTC milliseconds.
    pub at_ms: i64,
    /// WeCom's number.
    pub seq: i64,
    /// Tells messages with the same two apart: [`tie`] of the hit.
    pub tie: u64,
}

/// A number that decides between messages of one msgtime and seq, as imports and several sources
/// can have; the same at any time and in any segment.
pub fn tie(source: &str, msgid: &str) -> u64 {
    use aws_lc_rs::digest::{SHA256, digest};
    let hash = digest(&SHA256, format!("{source}\0{msgid}").as_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&hash.as_ref()[..8]);
    u64::from_be_bytes(first)
}

/// What is asked.
#[derive(Debug, Clone, Default)]
pub struct Question {
    /// What must occur in the text.
    pub query: Query,
    /// `[from, to)` in UTC milliseconds.
    pub from_ms: Option<i64>,
    /// `[from, to)` in UTC milliseconds.
    pub to_ms: Option<i64>,
    /// One of these employees takes part.
    pub employees: Vec<String>,
    /// One of these customers takes part.
    pub customers: Vec<String>,
    /// An employee of one of these departments (or below) takes part.
    pub departments: Vec<String>,
    /// In one of these rooms.
    pub rooms: Vec<String>,
    /// In this conversation (a room id, or `a|b`).
    pub conversation: Option<String>,
    /// With this number.
    pub seq: Option<i64>,
    /// Of one of these WeCom types.
    pub types: Vec<String>,
    /// In a conversation of one of these kinds.
    pub kinds: Vec<Kind>,
    /// Hits of a page; 0 is all.
    pub limit: usize,
    /// Where the page goes on.
    pub after: Option<After>,
    /// The order of hits.
    pub order: Order,
}

/// One found message.
#[derive(Clone)]
pub struct Hit {
    /// The message.
    pub message: Stored,
    /// Its conversation: the room, or the pair (of several, the one asked for or the first); none
    /// for a record between nobody, such as a `switch`.
    pub conversation: Option<String>,
    /// The conversation's kind now.
    pub kind: Kind,
    /// `[start, end)` in Unicode scalar values of the text, ascending.
    pub highlights: Vec<(u32, u32)>,
    /// How many different literals were found; 0 but for [`Order::Relevance`].
    pub n_found: u32,
}

impl Hit {
    /// Its place in the order.
    pub fn place(&self) -> After {
        After {
            n_found: self.n_found,
            at_ms: self.message.at,
            seq: self.message.seq,
            tie: tie(&self.message.source, &self.message.msgid),
        }
    }
}

/// The hits of a page.
pub struct Found {
    /// The messages.
    pub hits: Vec<Hit>,
    /// All matches before the page's limit and place; exact.
    pub n_total: u64,
    /// Whether more follow this page.
    pub has_more: bool,
    /// The version of `messages` that was searched.
    pub messages_version: u64,
}

/// An open index.
pub struct SearchIndex {
    index: Index,
    reader: IndexReader,
}

impl SearchIndex {
    /// Opens the index in `folder`; `None` while there is none.
    pub fn open(folder: &Path) -> Result<Option<Self>, IndexError> {
        let Some(index) = follow::open(folder)? else {
            return Ok(None);
        };
        let reader = index
            .reader_builder()
            .reload_policy(ReloadPolicy::Manual)
            .try_into()?;
        Ok(Some(Self { index, reader }))
    }

    /// What the index covers now.
    pub fn watermark(&self) -> Result<Option<Watermark>, IndexError> {
        follow::watermark(&self.index)
    }

    /// Answers a question over the newest commit, within `scope`.
    pub fn search(
        &self,
        scope: &Scope,
        directory: &Arc<Directory>,
        question: &Question,
    ) -> Result<Found, IndexError> {
        // The watermark is read first: the searched commit is that one or a later one.
        let version = self.watermark()?.map_or(0, |w| w.version);
        self.reader.reload()?;
        let searcher = self.reader.searcher();
        let rooms = Rooms::new(&searcher, scope, directory);
        let query = to_tantivy(&rooms, scope, directory, question);
        let wanted = Wanted::new(&rooms, scope, directory, question);
        let page = searcher.search(
            &query,
            &Page {
                limit: match question.limit {
                    0 => usize::MAX,
                    limit => limit,
                },
                after: question.after,
                order: question.order,
                wanted: wanted.clone(),
            },
        )?;
        let literals: Vec<Vec<char>> = question.query.positives().map(|l| fold(l).chars).collect();
        let mut by_address: Vec<(usize, DocAddress, u32)> = page
            .places
            .iter()
            .enumerate()
            .map(|(position, place)| (position, place.address, place.n_found()))
            .collect();
        // The store is compressed in blocks: reading in its own order opens each block once.
        by_address.sort_unstable_by_key(|(_, address, _)| *address);
        let mut hits: Vec<Option<Hit>> = vec![None; by_address.len()];
        for (position, address, n_found) in by_address {
            let hit = self.hit(&searcher, address, &literals, &wanted)?;
            hits[position] = Some(Hit { n_found, ..hit });
        }
        Ok(Found {
            hits: hits.into_iter().flatten().collect(),
            n_total: page.n_total,
            has_more: page.has_more,
            messages_version: version,
        })
    }

    /// Counts what a question finds, whatever its page, within `scope`.
    ///
    /// # Errors
    /// An index that cannot be read.
    pub fn tally(
        &self,
        scope: &Scope,
        directory: &Arc<Directory>,
        question: &Question,
        by: By,
        zone: Zone,
    ) -> Result<Tallied, IndexError> {
        let version = self.watermark()?.map_or(0, |w| w.version);
        self.reader.reload()?;
        let searcher = self.reader.searcher();
        let rooms = Rooms::new(&searcher, scope, directory);
        let query = to_tantivy(&rooms, scope, directory, question);
        let wanted = Wanted::new(&rooms, scope, directory, question);
        let tallied = searcher.search(&query, &Tally { by, wanted, zone })?;
        Ok(Tallied {
            messages_version: version,
            ..tallied
        })
    }

    /// The rooms in which one of `people` ever spoke or received.
    ///
    /// # Errors
    /// An index that cannot be read.
    pub fn rooms_of(&self, people: &HashSet<String>) -> Result<HashSet<String>, IndexError> {
        self.reader.reload()?;
        let searcher = self.reader.searcher();
        let rooms = people
            .iter()
            .flat_map(|id| partners(&searcher, FIELDS.person_room, id));
        Ok(rooms.collect())
    }

    /// Tells the kinds that conversations have by the directory, and by what a scope sees.
    pub fn kinds(&self, scope: &Scope, directory: &Arc<Directory>) -> Arc<Kinds> {
        let rooms = Rooms::new(&self.reader.searcher(), scope, directory);
        Arc::new(Kinds::new(&rooms, directory))
    }

    fn hit(
        &self,
        searcher: &Searcher,
        address: DocAddress,
        literals: &[Vec<char>],
        wanted: &Wanted,
    ) -> Result<Hit, IndexError> {
        let document: TantivyDocument = searcher.doc(address)?;
        let message: Stored = document
            .get_first(FIELDS.stored)
            .and_then(|v| v.as_bytes().and_then(|b| serde_json::from_slice(b).ok()))
            .ok_or_else(|| IndexError::BadDocument {
                msgid: "unknown".into(),
            })?;
        let to: Vec<&str> = message.to.iter().map(String::as_str).collect();
        let mut conversations =
            huicun_semantics::conversation::conversations_of(&message.from, &to, &message.room);
        if conversations.len() > 1 {
            conversations.retain(|conversation| wanted.passes(conversation, message.at));
        }
        let conversation = conversations.into_iter().next();
        Ok(Hit {
            kind: wanted.kind_of(conversation.as_deref().unwrap_or_default()),
            conversation,
            highlights: highlights(&message.text, literals),
            n_found: 0,
            message,
        })
    }
}

/// All places of all literals in the original text; overlapping ones are one.
pub fn highlights(text: &str, literals: &[Vec<char>]) -> Vec<(u32, u32)> {
    if literals.is_empty() {
        return Vec::new();
    }
    let folded = fold(text);
    let mut found: Vec<(u32, u32)> = literals
        .iter()
        .flat_map(|literal| find_all(&folded, literal))
        .collect();
    found.sort_unstable();
    let mut merged: Vec<(u32, u32)> = Vec::with_capacity(found.len());
    for (start, end) in found {
        match merged.last_mut() {
            Some(last) if start < last.1 => last.1 = last.1.max(end),
            _ => merged.push((start, end)),
        }
    }
    merged
}

#[cfg(test)]
mod tests;
