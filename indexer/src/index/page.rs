//! Collects the first hits of an order and counts all, reading fast fields only.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use huicun_semantics::conversation::Kind;
use tantivy::collector::{Collector, SegmentCollector};
use tantivy::columnar::{Column, StrColumn};
use tantivy::{DocAddress, DocId, Score, SegmentOrdinal, SegmentReader};

use super::filter::Wanted;
use super::search::{After, Order};

/// msgtime, seq and tie, turned so that smaller comes first.
type Key = (Reverse<i64>, Reverse<i64>, u64);

/// A hit's place in the order: smaller keys come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) key: Key,
    pub(super) address: DocAddress,
}

pub(super) struct PageFruit {
    pub(super) places: Vec<Place>,
    pub(super) n_total: u64,
    pub(super) has_more: bool,
}

/// Collects the first hits of an order, and counts all.
pub(super) struct Page {
    pub(super) limit: usize,
    pub(super) after: Option<After>,
    pub(super) order: Order,
    pub(super) wanted: Wanted,
}

impl Page {
    /// Newest first as it is; oldest first by turning the sign.
    fn key(order: Order, at: i64, seq: i64, tie: u64) -> Key {
        match order {
            Order::NewestFirst => (Reverse(at), Reverse(seq), tie),
            // A forged page token may hold any number.
            Order::OldestFirst => {
                let turned = (at.saturating_neg(), seq.saturating_neg());
                (Reverse(turned.0), Reverse(turned.1), tie)
            }
        }
    }
}

pub(super) struct PageSegment {
    segment: SegmentOrdinal,
    at: Column<i64>,
    seq: Column<i64>,
    tie: Column<u64>,
    conversation: Option<StrColumn>,
    wanted: Wanted,
    /// Whether the conversation of an ordinal is of a wanted kind.
    known_kinds: HashMap<u64, bool>,
    name: String,
    limit: usize,
    order: Order,
    after: Option<Key>,
    heap: BinaryHeap<Place>,
    n_total: u64,
    n_after: u64,
}

impl Collector for Page {
    type Fruit = PageFruit;
    type Child = PageSegment;

    fn for_segment(
        &self,
        segment: SegmentOrdinal,
        reader: &SegmentReader,
    ) -> tantivy::Result<PageSegment> {
        let fast = reader.fast_fields();
        Ok(PageSegment {
            segment,
            at: fast.i64("at")?,
            seq: fast.i64("seq")?,
            tie: fast.u64("tie")?,
            conversation: fast.str("conversation")?,
            wanted: self.wanted.clone(),
            known_kinds: HashMap::new(),
            name: String::new(),
            limit: self.limit,
            order: self.order,
            after: self
                .after
                .map(|a| Self::key(self.order, a.at_ms, a.seq, a.tie)),
            heap: BinaryHeap::new(),
            n_total: 0,
            n_after: 0,
        })
    }

    fn requires_scoring(&self) -> bool {
        false
    }

    fn merge_fruits(&self, segments: Vec<(Vec<Place>, u64, u64)>) -> tantivy::Result<PageFruit> {
        let n_total = segments.iter().map(|(_, n, _)| n).sum();
        let n_after: u64 = segments.iter().map(|(_, _, n)| n).sum();
        let mut places: Vec<Place> = segments.into_iter().flat_map(|(p, _, _)| p).collect();
        places.sort_unstable();
        places.truncate(self.limit);
        Ok(PageFruit {
            has_more: n_after > places.len() as u64,
            places,
            n_total,
        })
    }
}

impl PageSegment {
    /// What the query alone cannot tell: the conversation's kind, and for a message to several
    /// pairs whether one of them passes everything.
    fn is_wanted(&mut self, doc: DocId, at: i64) -> bool {
        let kinds = self.wanted.kinds();
        let Some(column) = &self.conversation else {
            return kinds.is_empty() || kinds.contains(&Kind::Other);
        };
        let mut ordinals = column.term_ords(doc);
        let Some(first) = ordinals.next() else {
            // A message in no conversation, such as a `switch`, is of no other kind.
            return kinds.is_empty() || kinds.contains(&Kind::Other);
        };
        match ordinals.next() {
            None if kinds.is_empty() => true,
            None => match self.known_kinds.get(&first) {
                Some(is_wanted) => *is_wanted,
                None => {
                    let is_wanted = read_name(column, first, &mut self.name)
                        && kinds.contains(&self.wanted.kind_of(&self.name));
                    self.known_kinds.insert(first, is_wanted);
                    is_wanted
                }
            },
            Some(second) => {
                let all: Vec<u64> = [first, second].into_iter().chain(ordinals).collect();
                all.into_iter().any(|ordinal| {
                    read_name(column, ordinal, &mut self.name) && self.wanted.passes(&self.name, at)
                })
            }
        }
    }
}

fn read_name(column: &StrColumn, ordinal: u64, name: &mut String) -> bool {
    name.clear();
    matches!(column.ord_to_str(ordinal, name), Ok(true))
}

impl SegmentCollector for PageSegment {
    type Fruit = (Vec<Place>, u64, u64);

    fn collect(&mut self, doc: DocId, _score: Score) {
        let at = self.at.first(doc).unwrap_or_default();
        if !self.is_wanted(doc, at) {
            return;
        }
        self.n_total += 1;
        let seq = self.seq.first(doc).unwrap_or_default();
        let tie = self.tie.first(doc).unwrap_or_default();
        let key = Page::key(self.order, at, seq, tie);
        if self.after.is_some_and(|after| key <= after) {
            return;
        }
        self.n_after += 1;
        let place = Place {
            key,
            address: DocAddress::new(self.segment, doc),
        };
        if self.heap.len() < self.limit {
            self.heap.push(place);
        } else if self.heap.peek().is_some_and(|last| place < *last) {
            self.heap.pop();
            self.heap.push(place);
        }
    }

    fn harvest(self) -> Self::Fruit {
        (self.heap.into_vec(), self.n_total, self.n_after)
    }
}
