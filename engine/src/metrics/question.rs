//! What is asked of a report, and the slices of its period.

use huicun_semantics::time::{By, Period, Zone};

/// What is asked. Filters pick rows and never change what a row counts.
#[derive(Debug, Clone)]
pub struct Question {
    /// Days, both included.
    pub period: Period,
    /// Slices of the period; one total if missing.
    pub by: Option<By>,
    /// Only these employees, or units in which one of them was in the period; all when empty.
    pub employees: Vec<String>,
    /// Only employees who were in one of these departments (or below) in the period; of a report
    /// of departments these and those below. All when empty.
    pub departments: Vec<String>,
    /// Only these stores, or employees who were in one of them in the period; all when empty.
    pub stores: Vec<String>,
    /// Only these groups; all when empty.
    pub groups: Vec<String>,
    /// Where "now" is, UTC milliseconds: a period that reaches past it ends there for everything
    /// open.
    pub now_ms: i64,
    /// How many rows (units times slices) are given at most.
    pub rows_max: usize,
}

impl Question {
    /// A question for everybody over a period.
    pub fn over(period: Period, now_ms: i64) -> Self {
        Self {
            period,
            by: None,
            employees: Vec::new(),
            departments: Vec::new(),
            stores: Vec::new(),
            groups: Vec::new(),
            now_ms,
            rows_max: usize::MAX,
        }
    }

    /// The first instant, UTC milliseconds, that nothing of the answer looks at: the end of the
    /// period, or now, if that is later.
    pub fn looks_to_ms(&self, zone: Zone) -> i64 {
        self.period.end_ms(zone).max(self.now_ms.saturating_add(1))
    }
}

/// One slice.
#[derive(Debug, Clone, PartialEq)]
pub struct Slice {
    /// Its label, with `by`.
    pub label: Option<String>,
    /// Its days.
    pub days: Period,
    /// Its first instant, UTC milliseconds.
    pub start_ms: i64,
    /// The first instant after it.
    pub end_ms: i64,
    /// As of when open things are counted: its last millisecond, or now.
    pub as_of_ms: i64,
}

/// The slices of a period, in order, without holes.
#[derive(Debug, Clone)]
pub struct Slices {
    /// The slices.
    pub all: Vec<Slice>,
}

impl Slices {
    /// The slices of a question's period.
    pub fn of(question: &Question, zone: Zone) -> Self {
        let days = match question.by {
            Some(by) => by
                .slices(&question.period)
                .into_iter()
                .map(|(label, days)| (Some(label), days))
                .collect(),
            None => vec![(None, question.period)],
        };
        let slice = |(label, days): (Option<String>, Period)| {
            let end_ms = days.end_ms(zone);
            Slice {
                label,
                start_ms: days.start_ms(zone),
                end_ms,
                as_of_ms: (end_ms - 1).min(question.now_ms),
                days,
            }
        };
        Self {
            all: days.into_iter().map(slice).collect(),
        }
    }

    /// How many there are.
    pub fn len(&self) -> u32 {
        self.all.len() as u32
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// From the first instant of the first to the first instant after the last.
    pub fn within_ms(&self) -> (i64, i64) {
        match (self.all.first(), self.all.last()) {
            (Some(first), Some(last)) => (first.start_ms, last.end_ms),
            _ => (0, 0),
        }
    }

    /// The slice in which an instant lies.
    pub fn of_ms(&self, at_ms: i64) -> Option<u32> {
        let after = self.all.partition_point(|slice| slice.start_ms <= at_ms);
        let at = after.checked_sub(1)?;
        (at_ms < self.all[at].end_ms).then_some(at as u32)
    }

    /// The slices with their numbers.
    pub fn numbered(&self) -> impl Iterator<Item = (u32, &Slice)> {
        (0..).zip(&self.all)
    }
}

/// The days of a period cut where months begin: what is read at one time.
pub fn stretches(period: &Period) -> Vec<Period> {
    By::Month
        .slices(period)
        .into_iter()
        .map(|(_, days)| days)
        .collect()
}
