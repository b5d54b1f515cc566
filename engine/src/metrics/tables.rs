//! The facts of a report, read from the derived tables.

use huicun_semantics::time::{Period, Zone};

use super::source::{FactSource, SourceError};
use crate::jobs::Facts;
use crate::jobs::derive::DeriveError;
use crate::jobs::period::{BehaviourFact, Names, PeriodFacts, TimerFact, Wanted};
use crate::state::behaviours::Reviewed;

/// The derived tables as they are at an instant.
pub struct FromTables<'a> {
    /// The tables.
    pub facts: &'a Facts,
    /// Now, UTC milliseconds: what would time out after that has not yet.
    pub now_ms: i64,
    /// Behaviours that are reviewed as confirmed, of all times, by time.
    pub confirmed: Vec<Reviewed>,
    /// The company's zone, which says on which day one happened.
    pub zone: Zone,
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

impl FromTables<'_> {
    /// The instants after the first and up to the second at which an employee came into a
    /// department or left one, ascending.
    fn moves(&self, user: &str, first_ms: i64, last_ms: i64) -> Vec<i64> {
        let directory = &self.facts.directory;
        let Some(user) = directory.ids.get(user) else {
            return Vec::new();
        };
        let mut at: Vec<i64> = directory
            .organisation
            .history(user)
            .flat_map(|(_, interval)| [interval.from_ms, interval.to_ms])
            .flatten()
            .filter(|ms| first_ms < *ms && *ms <= last_ms)
            .collect();
        at.sort_unstable();
        at.dedup();
        at
    }
}

impl FactSource for FromTables<'_> {
    fn stretch(
        &self,
        days: Period,
        wanted: Wanted,
        names: &mut Names,
    ) -> Result<PeriodFacts, SourceError> {
        let moves = |user: &str, first_ms: i64, last_ms: i64| self.moves(user, first_ms, last_ms);
        let snapshot = &self.facts.snapshot;
        let asked = snapshot.facts(days, self.now_ms, wanted, names, &moves);
        let mut found = wait(asked)?;
        let within = days.start_ms(self.zone)..days.end_ms(self.zone);
        let confirmed = self.confirmed.iter().filter(|b| within.contains(&b.at_ms));
        found.behaviours = confirmed
            .map(|behaviour| BehaviourFact {
                id: names.intern(&behaviour.id),
                trigger: names.intern(&behaviour.trigger),
                at_ms: behaviour.at_ms,
                is_confirmed: true,
            })
            .collect();
        Ok(found)
    }

    fn timers(
        &self,
        at_ms: &[i64],
        wanted: Wanted,
        names: &mut Names,
    ) -> Result<Vec<TimerFact>, SourceError> {
        wait(self.facts.snapshot.timers(at_ms, wanted, names))
    }

    fn external_rooms(&self, names: &mut Names) -> Result<Vec<u32>, SourceError> {
        let rooms = wait(self.facts.snapshot.external_rooms())?;
        Ok(rooms.iter().map(|room| names.intern(room)).collect())
    }
}
