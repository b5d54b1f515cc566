//! Where a report's facts come from: the derived tables, or vectors in a test.

use huicun_semantics::time::Period;

use crate::jobs::period::{Names, PeriodFacts, TimerFact, Wanted};

/// Why facts could not be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the facts of the report: {0}")]
pub struct SourceError(#[from] pub Box<dyn std::error::Error + Send + Sync>);

/// Gives the facts of a stretch of days. Called on a thread that may block.
pub trait FactSource: Send + Sync {
    /// The facts of some days, their ids as numbers of `names`. A report asks for disjoint days in
    /// rising order, never across a month's end. More than is wanted may be given.
    ///
    /// # Errors
    /// A table that cannot be read.
    fn stretch(
        &self,
        days: Period,
        wanted: Wanted,
        names: &mut Names,
    ) -> Result<PeriodFacts, SourceError>;

    /// The timers that run at any of some instants, UTC milliseconds in rising order (semantics
    /// 10.9); where they are to be shown by time, then conversation.
    ///
    /// # Errors
    /// A table that cannot be read.
    fn timers(
        &self,
        at_ms: &[i64],
        wanted: Wanted,
        names: &mut Names,
    ) -> Result<Vec<TimerFact>, SourceError>;

    /// Rooms that the messages show to be external: a customer spoke or received there. Those that
    /// the directory shows are known to the report.
    ///
    /// # Errors
    /// A table that cannot be read.
    fn external_rooms(&self, names: &mut Names) -> Result<Vec<u32>, SourceError>;
}
