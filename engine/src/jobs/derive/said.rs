//! Who sent what where on a day (发言): the rows of the table `activity` as of an instant, for
//! answers about one group or one customer.

use arrow::array::RecordBatch;
use chrono::NaiveDate;
use huicun_semantics::dialogue::Side;
use huicun_semantics::time::Period;

use super::DeriveError;
use super::columns::{instants_of, integer, list, text};
use super::load::Snapshot;
use super::schema;

/// What somebody sent in a conversation on one day, at least one message.
#[derive(Debug, Clone, Copy)]
pub struct Said<'a> {
    /// The room id, or the pair.
    pub conversation: &'a str,
    /// The kind of the conversation.
    pub kind: &'a str,
    /// Who.
    pub speaker: &'a str,
    /// His side.
    pub side: Side,
    /// When each counted message was sent, ascending, UTC microseconds.
    pub at_us: &'a [i64],
    /// Those of them that no earlier conversation of their kind holds.
    pub own_us: &'a [i64],
}

impl Said<'_> {
    /// The first of them, UTC milliseconds.
    pub fn first_ms(&self) -> i64 {
        self.at_us.first().map_or(i64::MIN, |us| us / 1000)
    }

    /// The last of them, UTC milliseconds.
    pub fn last_ms(&self) -> i64 {
        self.at_us.last().map_or(i64::MIN, |us| us / 1000)
    }
}

/// What the rows of a batch say, as far as it was sent by an instant, UTC milliseconds.
pub fn said(batch: &RecordBatch, as_of_ms: i64) -> impl Iterator<Item = Said<'_>> {
    let (conversation, kind) = (text(batch, "conversation"), text(batch, "kind"));
    let (speaker, side) = (text(batch, "speaker"), text(batch, "side"));
    let (n, n_own) = (integer(batch, "messages"), integer(batch, "messages_own"));
    let (at, own) = (list(batch, "message_at"), list(batch, "own_at"));
    let by_then = move |us: &'_ [i64]| us.partition_point(|us| us / 1000 <= as_of_ms);
    (0..batch.num_rows()).filter_map(move |row| {
        let sent = instants_of(at, row);
        let own = match n.value(row) == n_own.value(row) {
            true => sent,
            false => instants_of(own, row),
        };
        let (sent, own) = (&sent[..by_then(sent)], &own[..by_then(own)]);
        let side = match side.value(row) == Side::Employee.as_str() {
            true => Side::Employee,
            false => Side::Customer,
        };
        (!sent.is_empty()).then(|| Said {
            conversation: conversation.value(row),
            kind: kind.value(row),
            speaker: speaker.value(row),
            side,
            at_us: sent,
            own_us: own,
        })
    })
}

impl Snapshot {
    /// The rows of `activity` on some days.
    ///
    /// # Errors
    /// A table that cannot be read.
    pub async fn activity(&self, days: Period) -> Result<Vec<RecordBatch>, DeriveError> {
        self.rows(schema::ACTIVITY, |day| days.contains(day)).await
    }

    /// The days up to `last` on which somebody sent something, in rising stretches of a calendar
    /// month at most: years never have to fit in memory.
    pub fn months_of_activity(&self, last: NaiveDate) -> Vec<Period> {
        use chrono::Datelike;
        let table = self.table(schema::ACTIVITY);
        let files = table.map(|table| table.live_files()).unwrap_or_default();
        let mut days: Vec<NaiveDate> = files.iter().filter_map(|file| file.day()).collect();
        days.retain(|day| *day <= last);
        days.sort_unstable();
        days.chunk_by(|a, b| (a.year(), a.month()) == (b.year(), b.month()))
            .filter_map(|days| {
                Some(Period {
                    from: *days.first()?,
                    to: *days.last()?,
                })
            })
            .collect()
    }
}
