//! The rows of one source that are really in the table: which seqs are readable, which are parked
//! in the quarantine and why, and what lies between.
//!
//! Seqs are compressed bitmaps: a hundred million in one run take some kilobytes. Only at the edges
//! of runs are times kept, so that a hole can be said to lie between two of them.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int32Type, Int64Type, TimestampMicrosecondType};
use roaring::RoaringTreemap;
use serde::{Deserialize, Serialize};

use crate::archive::message::Status;

/// What is read of each file.
pub(super) const COLUMNS: [&str; 6] = [
    "source",
    "seq",
    "msgtime",
    "status",
    "reason",
    "publickey_ver",
];

/// Times kept at the edges of runs; past it every other one is forgotten, and holes are placed less
/// exactly. 16 MiB and some.
const EDGES_MAX: usize = 500_000;
/// Holes listed one by one; past it neighbouring ones are told as one, with their sum.
pub const HOLES_MAX: usize = 50_000;

/// Why records are parked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Parking {
    /// The stable word of the `reason` column.
    pub reason: String,
    /// Which public key sealed them.
    pub publickey_ver: Option<i32>,
}

/// The records parked for one reason.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Parked {
    /// Rows.
    pub n: u64,
    /// The times of the rows themselves: mostly when they came, since nobody knows when they were
    /// sent.
    pub(super) own_ms: Option<(i64, i64)>,
    pub(super) seqs: RoaringTreemap,
}

/// Why a seq has no readable message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// Nothing came under it. WeCom does not promise that numbers are dense.
    NotDelivered,
    /// What came under it was there already under another seq.
    Deduplicated,
    /// It is in the quarantine.
    Quarantined(Parking),
}

/// A stretch of seqs without a readable message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// Why.
    pub why: Why,
    /// The first and the last seq.
    pub seqs: (i64, i64),
    /// How many; less than the stretch is long where several stretches are told as one.
    pub n: u64,
    /// The earlier of the neighbours' times, UTC milliseconds; none when there is no neighbour.
    pub from_ms: Option<i64>,
    /// The later one.
    pub to_ms: Option<i64>,
}

/// What the table holds of one source.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rows {
    /// Readable rows.
    pub n_readable: u64,
    /// Rows in the quarantine.
    pub n_quarantined: u64,
    /// The times of the oldest and the newest readable message, UTC milliseconds.
    pub times_ms: Option<(i64, i64)>,
    pub(super) readable: RoaringTreemap,
    pub(super) parked: BTreeMap<Parking, Parked>,
    /// msgtime by seq, at the edges of runs of readable seqs.
    pub(super) edges: BTreeMap<u64, i64>,
}

impl Rows {
    /// Adds the rows of `source` in a batch of [`COLUMNS`].
    pub(super) fn add(&mut self, batch: &RecordBatch, source: &str) {
        let strings = |name: &str| batch.column_by_name(name).map(|c| c.as_string::<i32>());
        let (Some(sources), Some(status), Some(reason)) =
            (strings("source"), strings("status"), strings("reason"))
        else {
            return;
        };
        let (Some(seq), Some(at), Some(version)) = (
            batch.column_by_name("seq"),
            batch.column_by_name("msgtime"),
            batch.column_by_name("publickey_ver"),
        ) else {
            return;
        };
        let seq = seq.as_primitive::<Int64Type>();
        let at = at.as_primitive::<TimestampMicrosecondType>();
        let version = version.as_primitive::<Int32Type>();
        let mut fresh = Vec::new();
        for row in 0..batch.num_rows() {
            if sources.value(row) != source {
                continue;
            }
            let ms = at.value(row).div_euclid(1000);
            // A number below zero is none of WeCom's and has no place in the order.
            let seq = u64::try_from(seq.value(row)).ok();
            if status.value(row) == Status::Ok.as_str() {
                self.n_readable += 1;
                widen(&mut self.times_ms, ms);
                if let Some(seq) = seq {
                    self.readable.insert(seq);
                    fresh.push((seq, ms));
                }
                continue;
            }
            self.n_quarantined += 1;
            let parking = Parking {
                reason: if reason.is_valid(row) {
                    reason.value(row).into()
                } else {
                    String::new()
                },
                publickey_ver: version.is_valid(row).then(|| version.value(row)),
            };
            let parked = self.parked.entry(parking).or_default();
            parked.n += 1;
            widen(&mut parked.own_ms, ms);
            parked.seqs.extend(seq);
        }
        for (seq, ms) in fresh {
            // An official sample has msgtime 0: a time that places nothing.
            if ms > 0 && self.is_edge(seq) {
                self.edges.insert(seq, ms);
            }
        }
    }

    fn is_edge(&self, seq: u64) -> bool {
        let holds = |seq: Option<u64>| seq.is_some_and(|seq| self.readable.contains(seq));
        !(holds(seq.checked_sub(1)) && holds(seq.checked_add(1)))
    }

    /// Forgets times inside of runs and makes the bitmaps small.
    pub(super) fn tidy(&mut self) {
        let mut edges = std::mem::take(&mut self.edges);
        edges.retain(|seq, _| self.is_edge(*seq));
        while edges.len() > EDGES_MAX {
            let mut is_kept = false;
            edges.retain(|_, _| {
                is_kept = !is_kept;
                is_kept
            });
        }
        self.edges = edges;
        self.readable.optimize();
        self.parked.values_mut().for_each(|parked| {
            parked.seqs.optimize();
        });
    }

    /// The lowest and the highest seq that ever came.
    pub(super) fn seqs(&self, deduplicated: &RoaringTreemap) -> Option<(i64, i64)> {
        let sets = || {
            let parked = self.parked.values().map(|parked| &parked.seqs);
            parked.chain([&self.readable, deduplicated])
        };
        let first = sets().filter_map(RoaringTreemap::min).min()?;
        let last = sets().filter_map(RoaringTreemap::max).max()?;
        Some((signed(first), signed(last)))
    }

    /// The parked records by reason and key version: how many, and the seqs.
    pub fn parked(&self) -> impl Iterator<Item = (&Parking, u64, Option<(i64, i64)>)> {
        self.parked.iter().map(|(parking, parked)| {
            let seqs = parked.seqs.min().zip(parked.seqs.max());
            let seqs = seqs.map(|(first, last)| (signed(first), signed(last)));
            (parking, parked.n, seqs)
        })
    }

    /// Every stretch of seqs, from the first to the last that came, without a readable message.
    pub(super) fn missing(&self, deduplicated: &RoaringTreemap) -> Vec<Missing> {
        let mut parked_all = RoaringTreemap::new();
        for parked in self.parked.values() {
            parked_all |= &parked.seqs;
        }
        let mut deduplicated = deduplicated - &self.readable;
        deduplicated -= &parked_all;
        let explained = &parked_all | &deduplicated;
        let stretches = self.stretches(&explained);
        let together = stretches.len().div_ceil(HOLES_MAX).max(1);
        let mut found = Vec::new();
        for several in stretches.chunks(together) {
            let (Some((first, _)), Some((_, last))) = (several.first(), several.last()) else {
                continue;
            };
            let (from_ms, to_ms) = self.times_around(*first, *last);
            let mut push = |why: Why, set: &RoaringTreemap, latest: Option<i64>| {
                let n = count(set, several);
                if n == 0 {
                    return;
                }
                found.push(Missing {
                    why,
                    seqs: ends(set, *first, *last),
                    n,
                    from_ms,
                    to_ms: to_ms.or(latest),
                });
            };
            for (parking, parked) in &self.parked {
                // Nothing was sent after it came.
                let latest = parked.own_ms.map(|(_, last)| last);
                push(Why::Quarantined(parking.clone()), &parked.seqs, latest);
            }
            push(Why::Deduplicated, &deduplicated, None);
            let gap = |seqs: (u64, u64), n: u64| Missing {
                why: Why::NotDelivered,
                seqs: (signed(seqs.0), signed(seqs.1)),
                n,
                from_ms,
                to_ms,
            };
            let n_all: u64 = several.iter().map(|(a, b)| b - a + 1).sum();
            let n_gap = n_all - count(&explained, several);
            if n_gap > 0 && together > 1 {
                found.push(gap((*first, *last), n_gap));
            } else if n_gap > 0 {
                let between = unexplained(&explained, *first, *last);
                found.extend(between.map(|(a, b)| gap((a, b), b - a + 1)));
            }
        }
        // Other content under a seq that is readable.
        for (parking, parked) in &self.parked {
            let beside = &parked.seqs & &self.readable;
            if let Some((first, last)) = beside.min().zip(beside.max()) {
                found.push(Missing {
                    why: Why::Quarantined(parking.clone()),
                    seqs: (signed(first), signed(last)),
                    n: beside.len(),
                    from_ms: parked.own_ms.map(|(first, _)| first),
                    to_ms: parked.own_ms.map(|(_, last)| last),
                });
            }
        }
        found
    }

    /// The stretches between, before and after runs of readable seqs, as far as anything came.
    fn stretches(&self, explained: &RoaringTreemap) -> Vec<(u64, u64)> {
        let mut found = Vec::new();
        let Some(mut next) = self.readable.min().into_iter().chain(explained.min()).min() else {
            return found;
        };
        for (first, last) in runs(&self.readable) {
            if first > next {
                found.push((next, first - 1));
            }
            next = last.saturating_add(1);
        }
        if let Some(last) = explained.max().filter(|last| *last >= next) {
            found.push((next, last));
        }
        found
    }

    fn times_around(&self, first: u64, last: u64) -> (Option<i64>, Option<i64>) {
        let before = self.edges.range(..first).next_back().map(|(_, ms)| *ms);
        let after = self.edges.range(last..).next().map(|(_, ms)| *ms);
        match (before, after) {
            // Numbers follow the order of arrival, which times need not.
            (Some(a), Some(b)) => (Some(a.min(b)), Some(a.max(b))),
            open => open,
        }
    }
}

/// Names every source of a batch.
pub(super) fn add_batch(batch: &RecordBatch, name: &mut dyn FnMut(&str)) {
    let Some(sources) = batch.column_by_name("source") else {
        return;
    };
    let mut last = None;
    for source in sources.as_string::<i32>().iter().flatten() {
        if last != Some(source) {
            name(source);
            last = Some(source);
        }
    }
}

/// The runs of consecutive numbers, both ends included.
pub(super) fn runs(set: &RoaringTreemap) -> impl Iterator<Item = (u64, u64)> {
    let mut halves = set.bitmaps().flat_map(|(high, bitmap)| {
        let base = u64::from(high) << 32;
        let mut inside = bitmap.iter();
        std::iter::from_fn(move || inside.next_range())
            .map(move |run| (base | u64::from(*run.start()), base | u64::from(*run.end())))
    });
    // A run may go on in the next bitmap.
    let mut open: Option<(u64, u64)> = None;
    std::iter::from_fn(move || {
        loop {
            match (open, halves.next()) {
                (None, None) => return None,
                (Some(last), None) => {
                    open = None;
                    return Some(last);
                }
                (None, Some(run)) => open = Some(run),
                (Some((a, b)), Some((c, d))) if b.checked_add(1) == Some(c) => open = Some((a, d)),
                (Some(last), Some(run)) => {
                    open = Some(run);
                    return Some(last);
                }
            }
        }
    })
}

/// The runs of numbers in `first..=last` that are not in the set.
fn unexplained(set: &RoaringTreemap, first: u64, last: u64) -> impl Iterator<Item = (u64, u64)> {
    let mut next = first;
    let mut inside = set.iter();
    inside.advance_to(first);
    let mut inside = inside.take_while(move |seq| *seq <= last);
    let mut is_done = false;
    std::iter::from_fn(move || {
        while !is_done {
            let from = next;
            let until = match inside.next() {
                Some(seq) => {
                    next = seq.saturating_add(1);
                    seq.checked_sub(1)
                }
                None => {
                    is_done = true;
                    Some(last)
                }
            };
            if let Some(until) = until.filter(|until| *until >= from) {
                return Some((from, until));
            }
        }
        None
    })
}

fn count(set: &RoaringTreemap, stretches: &[(u64, u64)]) -> u64 {
    let within = stretches
        .iter()
        .map(|(a, b)| set.range_cardinality(*a..=*b));
    within.sum()
}

/// The lowest and the highest number of a set within `first..=last`, which holds some.
fn ends(set: &RoaringTreemap, first: u64, last: u64) -> (i64, i64) {
    let mut inside = set.iter();
    inside.advance_to(first);
    let low = inside.next().unwrap_or(first);
    let n_up_to = set.rank(last);
    let high = n_up_to
        .checked_sub(1)
        .and_then(|at| set.select(at))
        .unwrap_or(last);
    (signed(low), signed(high))
}

fn signed(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

fn widen(range: &mut Option<(i64, i64)>, ms: i64) {
    *range = Some(match *range {
        Some((first, last)) => (first.min(ms), last.max(ms)),
        None => (ms, ms),
    });
}
