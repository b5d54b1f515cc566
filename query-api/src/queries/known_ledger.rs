//! The ledger as the last question left it, brought forward when there is something new.
//!
//! While messages come in, every question would find a new version: answers over periods take a
//! ledger that is a moment old, questions of the ledger itself the newest.

use std::sync::Arc;
use std::time::{Duration, Instant};

use huicun_engine::archive::ledger::{Ledger, deliveries_folded_to, fold};
use huicun_engine::archive::{Home, Table, messages};

use super::error::QuestionError;

/// Which ledger a question wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Age {
    /// That of the newest version.
    Newest,
    /// One of a moment ago will do: bringing it forward must not slow answers down.
    Lately,
}

/// How old a ledger may be from which an answer over a period tells its holes; more where bringing
/// it forward takes long, as after a retry of the quarantine in a large archive.
const LATELY: Duration = Duration::from_secs(2);
const TIMES_ITS_COST: u32 = 10;

/// Commits after which their accounts are folded, so that a ledger that is drawn up anew need not
/// read every log entry.
const FOLD_EVERY: u64 = 500;

/// Commits after which the ledger is kept for the next process.
const STORE_EVERY: u64 = 32;

struct Known {
    ledger: Arc<Ledger>,
    read_at: Instant,
    took: Duration,
    stored: u64,
}

/// A place for the ledger; empty at first.
#[derive(Default)]
pub struct KnownLedger {
    // One reads at a time; those who wait take its result.
    known: tokio::sync::Mutex<Option<Known>>,
}

impl KnownLedger {
    /// The ledger.
    pub async fn ledger(&self, home: &Home, age: Age) -> Result<Arc<Ledger>, QuestionError> {
        let mut known = self.known.lock().await;
        if let Some(known) = known.as_ref() {
            let longest = LATELY.max(known.took * TIMES_ITS_COST);
            let is_fresh = age == Age::Lately && known.read_at.elapsed() < longest;
            if is_fresh || !messages::has_version(home, known.ledger.version + 1) {
                return Ok(Arc::clone(&known.ledger));
            }
        }
        let began = Instant::now();
        let Some(table) = messages::open(home).await? else {
            return Ok(Arc::default());
        };
        let (ledger, mut stored) = match known.take() {
            Some(known) => {
                let before = Arc::unwrap_or_clone(known.ledger);
                (before.forward(home, &table).await?, known.stored)
            }
            None => {
                let opened = Ledger::open(home, &table).await?;
                let version = opened.version;
                (opened, version)
            }
        };
        if ledger.version.abs_diff(stored) >= STORE_EVERY {
            ledger.store(home).await;
            stored = ledger.version;
        }
        fold_sometimes(home, &table).await;
        let ledger = Arc::new(ledger);
        *known = Some(Known {
            ledger: Arc::clone(&ledger),
            read_at: Instant::now(),
            took: began.elapsed(),
            stored,
        });
        Ok(ledger)
    }
}

async fn fold_sometimes(home: &Home, table: &Table) {
    let folded = deliveries_folded_to(home).unwrap_or(0);
    if table.version().saturating_sub(folded) >= FOLD_EVERY
        && let Err(error) = fold(home, table).await
    {
        tracing::warn!(%error, "the account of the commits could not be folded");
    }
}
