//! The background work of a process that goes on: it compacts the days that have closed, deletes
//! what nobody needs any more, and scrubs. Failures are logged and tried again at the next turn;
//! none of them ends a pull.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use huicun_engine::archive::Home;
use huicun_engine::archive::compact::compact;
use huicun_engine::archive::vacuum::KEEP_USUAL;
use huicun_engine::archive::verify::Report;
use huicun_engine::jobs::derive::{Derivation, Watch, bring_forward};
use huicun_engine::state::State;
use huicun_semantics::time::Zone;

use super::scrub::scrub;
use super::sweep::sweep;
use crate::ingest::pull::Stop;

/// How often it looks what is due; also the time between two slices of the scrubber.
const TURN: Duration = Duration::from_secs(60);
/// Bytes of a slice: with a turn a minute some 2 MiB a second, 240 GB a day.
const SCRUB_BYTES: u64 = 128 << 20;
/// Time between compactions; one is also due when a day has closed.
const COMPACT_EVERY_MS: i64 = 3_600_000;
/// Time between vacuums.
const VACUUM_EVERY_MS: i64 = 86_400_000;

/// What the background work did; for metrics and readiness. Instants are UTC milliseconds, 0 is
/// never.
#[derive(Debug, Default)]
pub struct MaintenanceStatus {
    /// The end of the last compaction that went well.
    pub compacted_at_ms: AtomicU64,
    /// Files that compactions replaced since the start.
    pub n_files_compacted: AtomicU64,
    /// The end of the last vacuum that went well.
    pub vacuumed_at_ms: AtomicU64,
    /// Files that vacuums deleted since the start.
    pub n_files_deleted: AtomicU64,
    /// The last time that derived tables changed.
    pub derived_at_ms: AtomicU64,
    /// Files that the scrubber verified since the start.
    pub n_files_scrubbed: AtomicU64,
    /// The end of the scrubber's last whole round.
    pub scrubbed_round_at_ms: AtomicU64,
    /// Findings since the scrubber's round began.
    pub n_findings: AtomicU64,
    /// The last finding: its kind and file. None after a whole round without one.
    pub last_finding: Mutex<Option<String>>,
    /// What failed at the last turn, if anything.
    pub last_error: Mutex<Option<String>>,
}

/// Keeps the archive in order until `stop`. Must run on a runtime with several threads.
pub async fn keep_in_order(home: Home, zone: Zone, status: Arc<MaintenanceStatus>, stop: Stop) {
    let mut due = Due::default();
    loop {
        tokio::select! {
            () = tokio::time::sleep(TURN) => {}
            () = stop.stopped() => return,
        }
        // What is under way when it is asked to end is given up: nothing of it is in any table.
        tokio::select! {
            () = turn(&home, &zone, &status, &mut due) => {}
            () = stop.stopped() => return,
        }
    }
}

/// When things were done last.
#[derive(Default)]
struct Due {
    compacted_at_ms: i64,
    compacted_on: chrono::NaiveDate,
    vacuumed_at_ms: i64,
}

async fn turn(home: &Home, zone: &Zone, status: &MaintenanceStatus, due: &mut Due) {
    let now = chrono::Utc::now().timestamp_millis();
    let today = zone.day_of(now);
    let mut errors: Vec<String> = Vec::new();
    if now - due.compacted_at_ms >= COMPACT_EVERY_MS || today != due.compacted_on {
        (due.compacted_at_ms, due.compacted_on) = (now, today);
        match compact(home, Some(today)).await {
            Ok(done) => {
                let n = done.n_files_before;
                status.n_files_compacted.fetch_add(n, Ordering::Relaxed);
                stamp(&status.compacted_at_ms);
                if n > 0 {
                    tracing::info!(
                        n_days = done.n_days,
                        n_files_before = n,
                        n_files_after = done.n_files_after,
                        "compacted closed days"
                    );
                }
            }
            Err(error) => errors.push(format!("compaction: {error}")),
        }
    }
    if now - due.vacuumed_at_ms >= VACUUM_EVERY_MS {
        due.vacuumed_at_ms = now;
        match sweep(home, KEEP_USUAL, now).await {
            Ok(done) => {
                status
                    .n_files_deleted
                    .fetch_add(done.n_files, Ordering::Relaxed);
                stamp(&status.vacuumed_at_ms);
            }
            Err(error) => errors.push(format!("vacuum: {error}")),
        }
    }
    match forward(home).await {
        Ok(done) if done != Derivation::default() => {
            stamp(&status.derived_at_ms);
            tracing::debug!(
                is_rebuild = done.is_rebuild,
                n_conversations = done.n_conversations,
                "derived tables are brought forward"
            );
        }
        Ok(_) => {}
        Err(error) => errors.push(format!("deriving figures: {error}")),
    }
    let slice = scrub(home, SCRUB_BYTES).await;
    note_slice(status, &slice.report, slice.is_end_of_round);
    for error in &errors {
        tracing::warn!(%error, "background work failed; it is tried again");
    }
    let mut last = status
        .last_error
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    *last = errors.pop();
}

/// Brings the derived tables forward, so that who asks finds them so.
async fn forward(home: &Home) -> Result<Derivation, Box<dyn std::error::Error + Send + Sync>> {
    let home = home.clone();
    let runtime = tokio::runtime::Handle::current();
    // On a thread of its own: it computes for long.
    tokio::task::spawn_blocking(move || {
        let (_, rules) = State::open(&home.state())?.rules()?;
        let done = runtime.block_on(bring_forward(&home, &rules, &Watch::NOBODY));
        Ok(done?.1)
    })
    .await?
}

fn stamp(at: &AtomicU64) {
    let now = chrono::Utc::now().timestamp_millis() as u64;
    at.store(now, Ordering::Relaxed);
}

fn note_slice(status: &MaintenanceStatus, report: &Report, is_end_of_round: bool) {
    let n = report.findings.len() as u64 + report.n_more;
    let n_before = status.n_findings.fetch_add(n, Ordering::Relaxed);
    status
        .n_files_scrubbed
        .fetch_add(report.n_files, Ordering::Relaxed);
    let mut last = status
        .last_finding
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    for finding in &report.findings {
        let kind = finding.kind.as_str();
        let file = finding.file.as_deref().unwrap_or("the archive");
        tracing::error!(
            kind,
            file,
            detail = finding.detail,
            "damage found; run `huicun verify`"
        );
        *last = Some(format!("{kind} in {file}"));
    }
    if is_end_of_round {
        if n_before + n == 0 {
            *last = None;
        }
        status.n_findings.store(0, Ordering::Relaxed);
        stamp(&status.scrubbed_round_at_ms);
    }
}
