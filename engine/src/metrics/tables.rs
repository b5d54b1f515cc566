//! The facts of a report, read from the derived tables.

use huicun_semantics::time::Period;

use super::source::{FactSource, SourceError};
use crate::jobs::Facts;
use crate::jobs::derive::DeriveError;
use crate::jobs::period::{Names, PeriodFacts, WaitFact};

/// The derived tables as they are at an instant.
pub struct FromTables<'a> {
    /// The tables.
    pub facts: &'a Facts,
    /// Now, UTC milliseconds: what would time out after that has not yet.
    pub now_ms: i64,
}

fn unread(error: DeriveError) -> SourceError {
    SourceError(error.into())
}

/// Waits for an answer of the tables on a thread that may block.
fn wait<T>(answer: impl Future<Output = Result<T, DeriveError>>) -> Result<T, SourceError> {
    tokio::runtime::Handle::current()
        .block_on(answer)
        .map_err(unread)
}

impl FactSource for FromTables<'_> {
    fn stretch(&self, days: Period, names: &mut Names) -> Result<PeriodFacts, SourceError> {
        wait(self.facts.snapshot.facts(days, self.now_ms, names))
    }

    fn waits(&self, at_ms: i64, names: &mut Names) -> Result<Vec<WaitFact>, SourceError> {
        wait(self.facts.snapshot.waits(at_ms.min(self.now_ms), names))
    }

    fn external_rooms(&self, names: &mut Names) -> Result<Vec<u32>, SourceError> {
        let rooms = wait(self.facts.snapshot.external_rooms())?;
        Ok(rooms.iter().map(|room| names.intern(room)).collect())
    }
}
