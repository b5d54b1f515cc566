//! What an answer over a period says of itself: the holes (缺口) in the archive that touch it.
//!
//! Numbers that never came may be nothing: WeCom does not promise that they are dense. Callers who
//! do not see everything learn only that there are holes of a kind.

use std::collections::BTreeSet;
use std::sync::Arc;

use huicun_engine::access::Scope;
use huicun_engine::archive::ledger::{Ledger, Why};
use huicun_engine::directory::Directory;
use huicun_engine::state::pulls::{Silence, WINDOW_MS};
use serde::{Deserialize, Serialize};

use super::archive::{Archive, AsOf, now_ms};
use super::error::QuestionError;
use super::ledger::touches;

/// Holes told one by one; the rest is counted.
const HOLES_TOLD_MAX: usize = 20;

/// One hole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Hole {
    /// `gap` (numbers that never came, which may be normal at WeCom), `quarantined`, `outage` (no
    /// pull for so long that WeCom dropped messages, or no pull up to now), `media_lost`, or
    /// `ledger_unreadable` (nobody knows).
    pub kind: String,
    /// The corp, or the name given to an import. Only for callers who see everything, as the rest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Seqs, records or files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n: Option<u64>,
    /// From when, RFC 3339 in the company's zone; left out where nobody knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Until when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

struct Found {
    kind: &'static str,
    source: String,
    n: Option<u64>,
    from_ms: Option<i64>,
    to_ms: Option<i64>,
}

impl Archive {
    /// The stamp of an answer over `[from, to)`, with the holes that touch it.
    pub async fn as_of_period(
        &self,
        scope: &Scope,
        messages_version: u64,
        directory: &Directory,
        period: (Option<i64>, Option<i64>),
    ) -> AsOf {
        let ledger = self.ledger_lately().await;
        self.stamped(scope, messages_version, directory, period, ledger)
    }

    /// As [`Archive::as_of_period`], by the ledger of now and not of a moment ago: what is kept for
    /// long, and made again to be compared, is worth the wait.
    pub async fn as_of_period_now(
        &self,
        scope: &Scope,
        messages_version: u64,
        directory: &Directory,
        period: (Option<i64>, Option<i64>),
    ) -> AsOf {
        let ledger = self.ledger().await;
        self.stamped(scope, messages_version, directory, period, ledger)
    }

    fn stamped(
        &self,
        scope: &Scope,
        messages_version: u64,
        directory: &Directory,
        period: (Option<i64>, Option<i64>),
        ledger: Result<Arc<Ledger>, QuestionError>,
    ) -> AsOf {
        let mut as_of = self.as_of(messages_version, directory);
        let found = ledger.and_then(|ledger| self.holes(&ledger, period));
        let (holes, n_all) = match found {
            Ok(found) => self.told(scope, found),
            Err(error) => {
                // The answer stands; that nobody knows its holes is said.
                tracing::warn!(%error, "the ledger cannot be read");
                (vec![unknown()], 1)
            }
        };
        as_of.holes = Some(holes);
        as_of.holes_total = Some(n_all);
        as_of
    }

    fn holes(
        &self,
        ledger: &Ledger,
        (from, to): (Option<i64>, Option<i64>),
    ) -> Result<Vec<Found>, QuestionError> {
        let silences = self.silences()?;
        let mut found = Vec::new();
        for (source, page) in &ledger.sources {
            for missing in &page.missing {
                let kind = match missing.why {
                    Why::NotDelivered => "gap",
                    Why::Quarantined(_) => "quarantined",
                    Why::Deduplicated => continue,
                };
                found.push(Found {
                    kind,
                    source: source.clone(),
                    n: Some(missing.n),
                    from_ms: missing.from_ms,
                    to_ms: missing.to_ms,
                });
            }
        }
        let now = now_ms();
        for (source, begins, ends, grade) in silences.all(now) {
            // What a silence that ended in time left behind was pulled after it.
            let lost_until = match (ends, grade) {
                (Some(ends), Silence::PastWindow) => ends - WINDOW_MS,
                (Some(_), _) => continue,
                (None, _) => now,
            };
            found.push(Found {
                kind: "outage",
                source: source.into(),
                n: None,
                from_ms: Some(begins),
                to_ms: Some(lost_until),
            });
        }
        found.extend(self.lost_media()?.into_iter().map(|media| Found {
            kind: "media_lost",
            source: media.source,
            n: Some(media.n),
            from_ms: media.times_ms.map(|(first, _)| first),
            to_ms: media.times_ms.map(|(_, last)| last),
        }));
        found.retain(|hole| touches(hole.from_ms, hole.to_ms, from, to));
        found.sort_by_key(|hole| (hole.from_ms, hole.to_ms));
        Ok(found)
    }

    fn told(&self, scope: &Scope, found: Vec<Found>) -> (Vec<Hole>, u64) {
        if !scope.is_all() {
            let kinds: BTreeSet<&str> = found.iter().map(|hole| hole.kind).collect();
            let holes: Vec<Hole> = kinds.into_iter().map(bare).collect();
            let n = holes.len() as u64;
            return (holes, n);
        }
        let zone = self.zone();
        let n = found.len() as u64;
        let holes = found.into_iter().take(HOLES_TOLD_MAX).map(|hole| Hole {
            source: Some(hole.source),
            n: hole.n,
            from: hole.from_ms.map(|ms| zone.rfc3339_ms(ms)),
            to: hole.to_ms.map(|ms| zone.rfc3339_ms(ms)),
            ..bare(hole.kind)
        });
        (holes.collect(), n)
    }
}

fn bare(kind: &str) -> Hole {
    Hole {
        kind: kind.into(),
        source: None,
        n: None,
        from: None,
        to: None,
    }
}

fn unknown() -> Hole {
    bare("ledger_unreadable")
}
