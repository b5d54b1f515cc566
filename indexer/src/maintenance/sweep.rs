//! `huicun vacuum`, with what else still needs a log entry.

use std::time::Duration;

use huicun_engine::archive::ledger::{deliveries_folded_to, fold};
use huicun_engine::archive::vacuum::{VacuumError, Vacuumed, vacuum};
use huicun_engine::archive::{Home, messages};

use crate::index::follow;

/// Deletes what has not been needed for `keep`.
///
/// # Errors
/// A retention that would hurt readers is refused before anything is touched.
pub async fn sweep(home: &Home, keep: Duration, now_ms: i64) -> Result<Vacuumed, VacuumError> {
    let covered = follow::open(&home.index())
        .ok()
        .flatten()
        .and_then(|index| follow::watermark(&index).ok().flatten())
        .map(|mark| mark.version);
    // The account of every commit is kept for ever, so it is folded before its entry may go.
    if let Ok(Some(table)) = messages::open(home).await
        && let Err(error) = fold(home, &table).await
    {
        tracing::warn!(%error, "the account cannot be folded; log entries are kept");
    }
    let folded = deliveries_folded_to(home);
    vacuum(home, keep, now_ms, |table| match table {
        // The index reads what lies beyond it, and the last folded entry tells the history.
        messages::TABLE => covered
            .zip(folded)
            .map(|(covered, folded)| covered.min(folded)),
        _ => Some(u64::MAX),
    })
    .await
}
