//! The account: what commits say came in must be what is there.
//!
//! Each commit of a pull tells the seqs that it covers and how many records it kept of them, so
//! rows that are gone are named by their range of seq.

use std::collections::BTreeMap;

use super::log::Log;
use super::rows::Rows;
use super::{Finding, Kind, Report};
use crate::archive::delivery::Delivery;

/// The stretches of seq that pulls brought in, by source, in order.
pub(super) struct Intervals {
    sources: Vec<Source>,
    n: usize,
}

struct Source {
    name: String,
    /// Number of the first of them over all sources.
    first: usize,
    /// `(after, to]` and the records kept of it; ascending, without overlaps.
    stretches: Vec<(i64, i64, u64)>,
}

/// Where the last row was found: the next is mostly near.
pub(super) struct Place {
    source: usize,
    stretch: usize,
}

impl Intervals {
    pub fn of(deliveries: &[(u64, Delivery)]) -> Self {
        let mut by_source: BTreeMap<&str, Vec<(i64, i64, u64)>> = BTreeMap::new();
        for (_, delivery) in deliveries {
            if let (Some(after), Some(to)) = (delivery.after, delivery.to)
                && after < to
            {
                let kept = delivery.archived + delivery.quarantined;
                by_source
                    .entry(&delivery.source)
                    .or_default()
                    .push((after, to, kept));
            }
        }
        let mut n = 0;
        let sources = by_source
            .into_iter()
            .map(|(name, mut stretches)| {
                stretches.sort_unstable();
                let first = n;
                n += stretches.len();
                Source {
                    name: name.to_string(),
                    first,
                    stretches,
                }
            })
            .collect();
        Self { sources, n }
    }

    pub fn len(&self) -> usize {
        self.n
    }

    pub fn start(&self) -> Place {
        Place {
            source: 0,
            stretch: 0,
        }
    }

    /// The number of the stretch that a seq lies in.
    pub fn find(&self, source: &str, seq: i64, place: &mut Place) -> Option<usize> {
        if self.sources.get(place.source)?.name != source {
            place.source = self.sources.iter().position(|s| s.name == source)?;
            place.stretch = 0;
        }
        let of = &self.sources[place.source];
        let holds = |at: usize| {
            let stretch = of.stretches.get(at);
            stretch.is_some_and(|(after, to, _)| (after + 1..=*to).contains(&seq))
        };
        if !holds(place.stretch) {
            place.stretch = of.stretches.partition_point(|(_, to, _)| *to < seq);
        }
        holds(place.stretch).then_some(of.first + place.stretch)
    }
}

/// Compares the accounts with each other and with the rows.
pub(super) fn check(log: &Log, intervals: &Intervals, rows: &Rows, report: &mut Report) {
    check_each(log, report);
    check_chain(log, report);
    check_rows(log, intervals, rows, report);
}

fn check_each(log: &Log, report: &mut Report) {
    for (version, delivery) in &log.deliveries {
        let told = delivery.archived + delivery.quarantined + delivery.deduplicated;
        if delivery.delivered != told {
            let detail = format!(
                "commit {version}: {} records were delivered, but {told} are accounted for",
                delivery.delivered
            );
            report.find(Finding::new(Kind::AccountWrong, detail).of(&delivery.source));
        }
    }
}

/// The cursor moves on from where it was, and stands where the last commit put it.
fn check_chain(log: &Log, report: &mut Report) {
    let mut cursors: BTreeMap<&str, i64> = BTreeMap::new();
    for (version, delivery) in &log.deliveries {
        let (Some(after), Some(to)) = (delivery.after, delivery.to) else {
            continue;
        };
        let before = cursors.insert(&delivery.source, to);
        if before.is_some_and(|before| before != after) {
            let detail =
                format!("commit {version} starts after seq {after}, not where the last ended");
            let finding = Finding::new(Kind::AccountWrong, detail).of(&delivery.source);
            report.find(finding.seqs(after, to));
        }
    }
    for (source, to) in cursors {
        let stored = log.transactions.get(source).copied();
        if stored != Some(to) {
            let detail = format!(
                "the cursor stands at {}, but records up to {to} came in",
                stored.map_or("nothing".into(), |n| n.to_string())
            );
            report.find(Finding::new(Kind::CursorWrong, detail).of(source));
        }
    }
}

/// All rows that were ever committed, and no others, are there. Where some are missing, the
/// stretches that hold fewer than were kept are named; alone they prove nothing, since a record may
/// come late, under a seq that lies before its commit's stretch.
fn check_rows(log: &Log, intervals: &Intervals, rows: &Rows, report: &mut Report) {
    if !log.is_whole {
        return;
    }
    let kept: u64 = log
        .deliveries
        .iter()
        .map(|(_, delivery)| delivery.archived + delivery.quarantined)
        .sum();
    let expected = kept as i64 + log.n_rows_beside_accounts;
    let found = rows.n_rows as i64;
    if found > expected {
        let detail = format!("{found} rows are there, but only {expected} came in");
        report.find(Finding::new(Kind::RowUnaccounted, detail));
    }
    if found < expected && name_stretches(intervals, rows, report) < expected - found {
        let detail = format!("{found} rows are there of {expected} that came in");
        report.find(Finding::new(Kind::RowMissing, detail));
    }
}

/// Names the stretches that hold fewer rows than were kept; returns how many they lack.
fn name_stretches(intervals: &Intervals, rows: &Rows, report: &mut Report) -> i64 {
    let mut n_missing = 0;
    for source in &intervals.sources {
        for (at, (after, to, kept)) in source.stretches.iter().enumerate() {
            let found = rows.in_interval[source.first + at];
            if found < *kept {
                n_missing += (kept - found) as i64;
                let detail = format!("{} of {kept} records are not there", kept - found);
                let finding = Finding::new(Kind::RowMissing, detail).of(&source.name);
                report.find(finding.seqs(after + 1, *to));
            }
        }
    }
    n_missing
}
