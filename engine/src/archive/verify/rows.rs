//! Rows of `messages` as they are read back: their leaf hashes, columns that agree with each other,
//! and what is counted over all of them.

use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hasher};
use std::path::Path;

use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use chrono::NaiveDate;
use rayon::prelude::*;

use super::account::Intervals;
use super::{Finding, Kind, Report};
use crate::archive::leaf;
use crate::archive::message::Status;

/// Seqs of one source that share a fault.
#[derive(Debug, Clone, Copy)]
struct Span {
    from: i64,
    to: i64,
    n: u64,
}

/// What is counted over rows.
pub(super) struct Rows {
    pub n_rows: u64,
    /// Rows in each interval of [`Intervals`].
    pub in_interval: Vec<u64>,
    /// Of readable messages: a fingerprint of source and msgid.
    fingerprints: Vec<u64>,
    faults: BTreeMap<(Kind, String, &'static str), Span>,
}

impl Rows {
    pub fn new(intervals: &Intervals) -> Self {
        Self {
            n_rows: 0,
            in_interval: vec![0; intervals.len()],
            fingerprints: Vec::new(),
            faults: BTreeMap::new(),
        }
    }

    /// Takes in rows of a file of `day`.
    pub fn add(&mut self, batch: &RecordBatch, day: Option<NaiveDate>, intervals: &Intervals) {
        self.n_rows += batch.num_rows() as u64;
        let Some(columns) = Columns::of(batch) else {
            self.fault(Kind::RowInconsistent, "", 0, "a column is missing");
            return;
        };
        let mut changed = Vec::new();
        let known = leaf::recompute(batch, |row, _, is_equal| {
            if !is_equal {
                changed.push(row);
            }
        });
        if known.is_none() {
            self.fault(Kind::RowInconsistent, "", 0, "a column is missing");
        }
        for row in changed {
            let (source, seq) = (columns.source.value(row), columns.seq.value(row));
            self.fault(Kind::RowChanged, source, seq, "the leaf hash is another");
        }
        let mut place = intervals.start();
        for row in 0..batch.num_rows() {
            let (source, seq) = (columns.source.value(row), columns.seq.value(row));
            if let Some(fault) = columns.fault(row, day) {
                self.fault(Kind::RowInconsistent, source, seq, fault);
            }
            if columns.status.value(row) == Status::Ok.as_str() {
                self.fingerprints
                    .push(fingerprint(source, columns.msgid.value(row)));
            }
            if let Some(interval) = intervals.find(source, seq, &mut place) {
                self.in_interval[interval] += 1;
            }
        }
    }

    fn fault(&mut self, kind: Kind, source: &str, seq: i64, what: &'static str) {
        let span = self
            .faults
            .entry((kind, source.to_string(), what))
            .or_insert(Span {
                from: seq,
                to: seq,
                n: 0,
            });
        span.from = span.from.min(seq);
        span.to = span.to.max(seq);
        span.n += 1;
    }

    /// Reports the faults of these rows, which are those of one file.
    pub fn report(&mut self, home: &Path, file: &Path, report: &mut Report) {
        for ((kind, source, what), span) in std::mem::take(&mut self.faults) {
            let detail = format!("{} rows: {what}", span.n);
            let finding = Finding::new(kind, detail)
                .in_file(home, file)
                .of(&source)
                .seqs(span.from, span.to);
            report.find(finding);
        }
    }

    pub fn merge(&mut self, other: Self) {
        self.n_rows += other.n_rows;
        for (sum, n) in self.in_interval.iter_mut().zip(other.in_interval) {
            *sum += n;
        }
        self.fingerprints.extend(other.fingerprints);
    }

    /// Fingerprints that are there more than once.
    pub fn doubles(&mut self) -> HashSet<u64> {
        self.fingerprints.par_sort_unstable();
        let pairs = self.fingerprints.windows(2);
        pairs.filter(|w| w[0] == w[1]).map(|w| w[0]).collect()
    }
}

fn fingerprint(source: &str, msgid: &str) -> u64 {
    // SipHash with a fixed key: only this run compares.
    let mut hash = DefaultHasher::new();
    hash.write(source.as_bytes());
    hash.write_u8(0);
    hash.write(msgid.as_bytes());
    hash.finish()
}

/// The (source, msgid, seq) of readable messages with one of these fingerprints.
pub(super) fn suspects(
    batch: &RecordBatch,
    doubles: &HashSet<u64>,
    found: &mut Vec<(String, String, i64)>,
) {
    let Some(columns) = Columns::of(batch) else {
        return;
    };
    for row in 0..batch.num_rows() {
        let (source, msgid) = (columns.source.value(row), columns.msgid.value(row));
        let is_message = columns.status.value(row) == Status::Ok.as_str();
        if is_message && doubles.contains(&fingerprint(source, msgid)) {
            found.push((source.into(), msgid.into(), columns.seq.value(row)));
        }
    }
}

/// The columns that are looked at.
struct Columns<'a> {
    source: &'a StringArray,
    seq: &'a arrow::array::Int64Array,
    msgid: &'a StringArray,
    msgtime: &'a arrow::array::TimestampMicrosecondArray,
    from: &'a StringArray,
    to: &'a arrow::array::ListArray,
    to_values: &'a StringArray,
    room: &'a StringArray,
    conversation: &'a StringArray,
    status: &'a StringArray,
    reason: &'a StringArray,
    envelope: &'a arrow::array::BinaryArray,
}

impl<'a> Columns<'a> {
    fn of(batch: &'a RecordBatch) -> Option<Self> {
        let strings = |name: &str| batch.column_by_name(name)?.as_string_opt::<i32>();
        let to = batch.column_by_name("to_ids")?.as_list_opt::<i32>()?;
        Some(Self {
            source: strings("source")?,
            seq: batch
                .column_by_name("seq")?
                .as_primitive_opt::<Int64Type>()?,
            msgid: strings("msgid")?,
            msgtime: batch
                .column_by_name("msgtime")?
                .as_primitive_opt::<TimestampMicrosecondType>()?,
            from: strings("from_id")?,
            to,
            to_values: to.values().as_string_opt::<i32>()?,
            room: strings("room_id")?,
            conversation: strings("conversation_id")?,
            status: strings("status")?,
            reason: strings("reason")?,
            envelope: batch.column_by_name("envelope")?.as_binary_opt::<i32>()?,
        })
    }

    /// What in a row contradicts what, if anything.
    fn fault(&self, row: usize, day: Option<NaiveDate>) -> Option<&'static str> {
        let is_kept_unread = self.reason.is_valid(row) && self.envelope.is_valid(row);
        let is_read = self.reason.is_null(row) && self.envelope.is_null(row);
        match self.status.value(row) {
            "ok" if !is_read => return Some("a readable message with a reason or an envelope"),
            "ok" if self.msgid.value(row).is_empty() => return Some("a message without msgid"),
            "quarantined" if !is_kept_unread => {
                return Some("a quarantined record without reason or envelope");
            }
            "ok" | "quarantined" => {}
            _ => return Some("an unknown status"),
        }
        if !self.is_own_conversation(row) {
            return Some("the conversation is not that of sender, receiver and room");
        }
        // The company's zone may have changed since: no zone is more than a day from UTC.
        const DAY_US: i64 = 86_400_000_000;
        let utc_day = self.msgtime.value(row).div_euclid(DAY_US);
        let told = day.map(|day| (day - NaiveDate::default()).num_days());
        match told {
            Some(told) if (told - utc_day).abs() > 1 => Some("the day is not that of msgtime"),
            _ => None,
        }
    }

    /// Whether `conversation_id` is the room, or the pair with the first receiver (semantics 2).
    fn is_own_conversation(&self, row: usize) -> bool {
        let found = self.conversation.value(row);
        let room = self.room.value(row);
        if !room.is_empty() {
            return found == room;
        }
        let from = self.from.value(row);
        let offsets = self.to.value_offsets();
        let to = match offsets[row] < offsets[row + 1] {
            true => self.to_values.value(offsets[row] as usize),
            false => "",
        };
        if from.is_empty() || to.is_empty() {
            return found.is_empty();
        }
        let (first, second) = if from <= to { (from, to) } else { (to, from) };
        found
            .strip_prefix(first)
            .and_then(|rest| rest.strip_prefix('|'))
            .is_some_and(|rest| rest == second)
    }
}
