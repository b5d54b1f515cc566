//! Collects the first hits of an order and counts all, reading fast fields only.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use tantivy::collector::{Collector, SegmentCollector};
use tantivy::columnar::{Column, StrColumn};
use tantivy::{DocAddress, DocId, Score, SegmentOrdinal, SegmentReader};

use super::filter::{Wanted, read_name};
use super::search::{After, Order};

/// How many different literals were found, msgtime, seq and tie, turned so that smaller comes
/// first.
type Key = (Reverse<u32>, Reverse<i64>, Reverse<i64>, u64);

/// A hit's place in the order: smaller keys come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    key: Key,
    pub(super) address: DocAddress,
}

impl Place {
    /// How many different literals were found; 0 where the order does not ask.
    pub(super) fn n_found(&self) -> u32 {
        self.key.0.0
    }
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
    fn key(order: Order, place: After) -> Key {
        let (at, seq) = (place.at_ms, place.seq);
        match order {
            Order::NewestFirst => (Reverse(0), Reverse(at), Reverse(seq), place.tie),
            Order::Relevance => {
                let n_found = Reverse(place.n_found);
                (n_found, Reverse(at), Reverse(seq), place.tie)
            }
            // A forged page token may hold any number.
            Order::OldestFirst => {
                let turned = (at.saturating_neg(), seq.saturating_neg());
                (Reverse(0), Reverse(turned.0), Reverse(turned.1), place.tie)
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
            after: self.after.map(|after| Self::key(self.order, after)),
            heap: BinaryHeap::new(),
            n_total: 0,
            n_after: 0,
        })
    }

    fn requires_scoring(&self) -> bool {
        self.order == Order::Relevance
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
        let Some(column) = &self.conversation else {
            return self.wanted.takes_nobody();
        };
        let mut ordinals = column.term_ords(doc);
        let Some(first) = ordinals.next() else {
            return self.wanted.takes_nobody();
        };
        match ordinals.next() {
            None if self.wanted.takes_every_kind() => true,
            None => match self.known_kinds.get(&first) {
                Some(is_wanted) => *is_wanted,
                None => {
                    let is_wanted = read_name(column, first, &mut self.name)
                        && self.wanted.takes_kind_of(&self.name);
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

impl SegmentCollector for PageSegment {
    type Fruit = (Vec<Place>, u64, u64);

    fn collect(&mut self, doc: DocId, score: Score) {
        let at = self.at.first(doc).unwrap_or_default();
        if !self.is_wanted(doc, at) {
            return;
        }
        self.n_total += 1;
        let seq = self.seq.first(doc).unwrap_or_default();
        let tie = self.tie.first(doc).unwrap_or_default();
        let place = After {
            // Each literal that is found scores one: a small whole number.
            n_found: score as u32,
            at_ms: at,
            seq,
            tie,
        };
        let key = Page::key(self.order, place);
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
