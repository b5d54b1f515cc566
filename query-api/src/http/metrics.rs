//! `/metrics`: figures for Prometheus (docs/reference/metrics-prometheus.md). The company's id is
//! the only name in them; no text, name or id of a person is.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use huicun_engine::archive::ledger::{Ledger, Why};
use huicun_engine::archive::machine;
use huicun_engine::state::lost_media::media_counts;
use huicun_indexer::ingest::status::{COMMIT_BUCKETS_MS, Stage, Status};
use huicun_indexer::maintenance::MaintenanceStatus;

use super::exposition::{Exposition, Kind};
use super::health::readiness;
use super::problem::Problem;
use super::server::Api;
use crate::queries::archive::now_ms;
use crate::queries::ledger::Silences;

/// Figures in Prometheus' text format. No text, name or id of a person is in them.
#[utoipa::path(get, path = "/metrics", tag = "health", responses(
    (status = 200, body = String, content_type = "text/plain"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
), security(("token" = [])))]
pub async fn metrics(State(api): State<Arc<Api>>, _caller: super::auth::Caller) -> Response {
    let found = readiness(&api).await;
    let mut out = Exposition::default();
    out.family("build_info", Kind::Gauge, "the program's version; always 1")
        .sample(&[("version", env!("CARGO_PKG_VERSION"))], 1.0);
    let is_ready = found.problems.is_empty();
    out.gauge(
        "ready",
        "1 when ready, as /readyz",
        f64::from(u8::from(is_ready)),
    );
    let mut problems = out.family(
        "problem",
        Kind::Gauge,
        "1 for each problem that /readyz names",
    );
    for problem in &found.problems {
        problems.sample(&[("problem", problem)], 1.0);
    }
    let table = found.table as f64;
    out.gauge("messages_version", "version of the messages table", table);
    out.gauge(
        "messages_files",
        "live data files of the messages table",
        found.n_files as f64,
    );
    out.gauge(
        "index_version",
        "table version that the index covers",
        found.index as f64,
    );
    let behind = found.table.saturating_sub(found.index);
    out.gauge(
        "index_lag_versions",
        "table versions that the index lacks",
        behind as f64,
    );
    match api.archive.ledger_and_pulls().await {
        Ok((ledger, silences)) => {
            account(&mut out, &ledger);
            record(&mut out, &silences);
        }
        Err(error) => tracing::warn!(%error, "the ledger cannot be read"),
    }
    if let Ok(lost) = api.archive.lost_media() {
        let mut family = out.family("media_lost_files", Kind::Gauge, "media files gone for good");
        for media in lost {
            let labels = [
                ("corp", media.source.as_str()),
                ("reason", media.reason.as_str()),
            ];
            family.sample(&labels, media.n as f64);
        }
    }
    match media_counts(api.archive.home()) {
        Ok(counts) => {
            let mut family = out.family("media_files", Kind::Gauge, "media files, by status");
            for (corp, status, n) in &counts {
                family.sample(&[("corp", corp), ("status", status)], *n as f64);
            }
        }
        Err(error) => tracing::warn!(%error, "the media database cannot be read"),
    }
    let here: Vec<Arc<Status>> = api.pulls.iter().map(|p| Arc::clone(&p.status)).collect();
    pulls(&mut out, &here);
    process(&mut out, &api);
    let kind = "text/plain; version=0.0.4";
    ([(header::CONTENT_TYPE, kind)], out.into_text()).into_response()
}

/// From the archive itself: since its first day, and the same in every process.
fn account(out: &mut Exposition, ledger: &Ledger) {
    let sources = || ledger.sources.iter();
    let help = "records since the first commit, by what became of them";
    let mut family = out.family("account_records", Kind::Gauge, help);
    for (corp, page) in sources() {
        let account = &page.account;
        for (outcome, n) in [
            ("delivered", account.delivered),
            ("archived", account.archived),
            ("quarantined", account.quarantined),
            ("deduplicated", account.deduplicated),
        ] {
            family.sample(&[("corp", corp), ("outcome", outcome)], n as f64);
        }
    }
    let help = "1 when delivered is archived + quarantined + deduplicated and the table holds that";
    let mut family = out.family("account_balanced", Kind::Gauge, help);
    for (corp, page) in sources() {
        let is_balanced = page.imbalance().is_none() && ledger.n_unread == 0;
        family.sample(&[("corp", corp)], f64::from(u8::from(is_balanced)));
    }
    let help = "records in the quarantine, by reason";
    let mut family = out.family("quarantine_records", Kind::Gauge, help);
    for (corp, page) in sources() {
        for (parking, n, _) in page.rows.parked() {
            let version = parking
                .publickey_ver
                .map(|v| v.to_string())
                .unwrap_or_default();
            let labels = [
                ("corp", corp.as_str()),
                ("reason", parking.reason.as_str()),
                ("publickey_ver", version.as_str()),
            ];
            family.sample(&labels, n as f64);
        }
    }
    let help = "seqs between the first and the last that never came; may be normal at WeCom";
    let mut family = out.family("gap_seqs", Kind::Gauge, help);
    for (corp, page) in sources() {
        let gaps = page.missing.iter().filter(|m| m.why == Why::NotDelivered);
        family.sample(&[("corp", corp)], gaps.map(|m| m.n).sum::<u64>() as f64);
    }
}

/// From the state database: what outlives processes.
fn record(out: &mut Exposition, silences: &Silences) {
    let now = now_ms();
    let answered = || {
        let pulls = silences.pulls.iter();
        pulls.filter_map(|pull| Some((pull.source.as_str(), pull.answered_at_ms?)))
    };
    let help = "the last answer of WeCom without an error, to the minute, as written down";
    let mut family = out.family("pull_recorded_success_timestamp_seconds", Kind::Gauge, help);
    for (corp, at) in answered() {
        family.sample(&[("corp", corp)], at as f64 / 1000.0);
    }
    let help = "seconds until WeCom drops messages that nobody pulled; 0 when it has";
    let mut family = out.family("pull_window_left_seconds", Kind::Gauge, help);
    for (corp, at) in answered() {
        let left = (at + huicun_engine::state::pulls::WINDOW_MS - now).max(0);
        family.sample(&[("corp", corp)], left as f64 / 1000.0);
    }
    let help = "silences of a day and more that ended";
    let mut family = out.family("pull_outages", Kind::Gauge, help);
    for pull in &silences.pulls {
        let outages = silences.outages.iter().filter(|o| o.source == pull.source);
        family.sample(&[("corp", &pull.source)], outages.count() as f64);
    }
}

/// Of the pulls in this process.
fn pulls(out: &mut Exposition, pulls: &[Arc<Status>]) {
    if pulls.is_empty() {
        return;
    }
    let now = now_ms();
    let help = "records since the start, by what became of them";
    let mut family = out.family("pull_records_total", Kind::Counter, help);
    for pull in pulls {
        for (outcome, n) in [
            ("delivered", &pull.n_delivered),
            ("archived", &pull.n_archived),
            ("quarantined", &pull.n_quarantined),
            ("deduplicated", &pull.n_duplicates),
        ] {
            let labels = [("corp", pull.corpid.as_str()), ("outcome", outcome)];
            family.sample(&labels, n.load(Relaxed) as f64);
        }
    }
    type Read = fn(&Status, i64) -> f64;
    let simple: [(&'static str, Kind, &str, Read); 10] = [
        (
            "pull_calls_total",
            Kind::Counter,
            "calls of GetChatData since the start",
            |s, _| s.n_calls.load(Relaxed) as f64,
        ),
        (
            "pull_commits_total",
            Kind::Counter,
            "commits since the start",
            |s, _| s.n_commits.load(Relaxed) as f64,
        ),
        (
            "pull_cursor",
            Kind::Gauge,
            "the last seq that is safely in",
            |s, _| s.cursor.load(Relaxed) as f64,
        ),
        (
            "pull_last_success_timestamp_seconds",
            Kind::Gauge,
            "the last answer of WeCom without an error; 0 before the first",
            |s, _| s.answered_at_ms.load(Relaxed) as f64 / 1000.0,
        ),
        (
            "pull_seconds_since_success",
            Kind::Gauge,
            "seconds since the last answer without an error, or since the start",
            |s, now| s.silence(now).as_secs_f64(),
        ),
        (
            "pull_newest_message_timestamp_seconds",
            Kind::Gauge,
            "the newest message pulled since the start; 0 before the first",
            |s, _| s.newest_message_ms.load(Relaxed) as f64 / 1000.0,
        ),
        (
            "pull_lag_seconds",
            Kind::Gauge,
            "age of the newest message pulled while there is more to pull; 0 when there is not",
            |s, now| match (
                s.is_caught_up.load(Relaxed),
                s.newest_message_ms.load(Relaxed),
            ) {
                (false, newest) if newest > 0 => (now - newest).max(0) as f64 / 1000.0,
                _ => 0.0,
            },
        ),
        (
            "pull_behind",
            Kind::Gauge,
            "1 while the last answer did not say that there is nothing more",
            |s, _| f64::from(u8::from(!s.is_caught_up.load(Relaxed))),
        ),
        (
            "worker_starts_total",
            Kind::Counter,
            "SDK workers started",
            |s, _| s.n_worker_starts.load(Relaxed) as f64,
        ),
        (
            "worker_resident_memory_bytes",
            Kind::Gauge,
            "resident memory of the SDK worker; 0 while there is none",
            |s, _| {
                let pid = s.worker_pid.load(Relaxed);
                let bytes = (pid != 0).then(|| machine::resident_bytes(pid)).flatten();
                bytes.unwrap_or(0) as f64
            },
        ),
    ];
    for (name, kind, help, read) in simple {
        let mut family = out.family(name, kind, help);
        for pull in pulls {
            family.sample(&[("corp", &pull.corpid)], read(pull, now));
        }
    }
    let help = "failed calls since the start, by kind and code";
    let mut family = out.family("pull_errors_total", Kind::Counter, help);
    for pull in pulls {
        let failures = pull
            .failures
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        for ((kind, code), n) in failures.iter() {
            let labels = [
                ("corp", pull.corpid.as_str()),
                ("kind", kind),
                ("code", code),
            ];
            family.sample(&labels, *n as f64);
        }
    }
    let help = "pages that wait before a stage";
    let mut family = out.family("pull_queued_pages", Kind::Gauge, help);
    for pull in pulls {
        for stage in Stage::ALL {
            let labels = [("corp", pull.corpid.as_str()), ("stage", stage.as_str())];
            family.sample(&labels, pull.queued(stage) as f64);
        }
    }
    let help = "time that a commit took";
    let mut family = out.family("commit_duration_seconds", Kind::Histogram, help);
    for pull in pulls {
        let corp = ("corp", pull.corpid.as_str());
        let mut n = 0;
        for (at, bucket) in pull.commit_buckets.iter().enumerate() {
            n += bucket.load(Relaxed);
            let bound = match COMMIT_BUCKETS_MS.get(at) {
                Some(ms) => (*ms as f64 / 1000.0).to_string(),
                None => "+Inf".into(),
            };
            family.suffixed("_bucket", &[corp, ("le", &bound)], n as f64);
        }
        let seconds = pull.commit_micros.load(Relaxed) as f64 / 1e6;
        family.suffixed("_sum", &[corp], seconds);
        family.suffixed("_count", &[corp], n as f64);
    }
}

/// Compaction, vacuum and scrubber.
fn maintenance(out: &mut Exposition, status: &MaintenanceStatus) {
    let read = |n: &std::sync::atomic::AtomicU64| n.load(Relaxed) as f64;
    for (name, help, at) in [
        (
            "compaction_timestamp_seconds",
            "the last compaction that went well; 0 before the first",
            &status.compacted_at_ms,
        ),
        (
            "vacuum_timestamp_seconds",
            "the last vacuum that went well; 0 before the first",
            &status.vacuumed_at_ms,
        ),
        (
            "scrub_round_timestamp_seconds",
            "the end of the scrubber's last whole round; 0 before the first",
            &status.scrubbed_round_at_ms,
        ),
    ] {
        out.gauge(name, help, read(at) / 1000.0);
    }
    for (name, help, n) in [
        (
            "compaction_files_total",
            "files that compactions replaced",
            &status.n_files_compacted,
        ),
        (
            "vacuum_files_total",
            "files that vacuums deleted",
            &status.n_files_deleted,
        ),
        (
            "scrub_files_total",
            "files that the scrubber verified",
            &status.n_files_scrubbed,
        ),
    ] {
        out.family(name, Kind::Counter, help).sample(&[], read(n));
    }
    let has = |text: &std::sync::Mutex<Option<String>>| {
        let text = text
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        f64::from(u8::from(text.is_some()))
    };
    out.gauge(
        "damage_found",
        "1 while the scrubber's last finding has not been followed by a round without any",
        has(&status.last_finding),
    );
    out.gauge(
        "maintenance_failing",
        "1 when a compaction or vacuum failed at its last turn",
        has(&status.last_error),
    );
}

fn process(out: &mut Exposition, api: &Api) {
    if let Some(status) = &api.maintenance {
        maintenance(out, status);
    }
    if let Some(bytes) = machine::resident_bytes(0) {
        let help = "resident memory of this process";
        out.gauge("process_resident_memory_bytes", help, bytes as f64);
    }
    if let Some((open, most)) = machine::open_files() {
        out.gauge(
            "process_open_files",
            "files that this process has open",
            open as f64,
        );
        out.gauge(
            "process_open_files_max",
            "files that it may have open",
            most as f64,
        );
    }
    match machine::room(api.archive.home().root()) {
        Ok(room) => {
            let free = room.free_bytes as f64;
            out.gauge("disk_free_bytes", "room on the data directory's disk", free);
            out.gauge(
                "disk_bytes",
                "size of the data directory's disk",
                room.all_bytes as f64,
            );
            if let Some(free) = room.free_inodes {
                let help = "files that may still be made on the data directory's disk";
                out.gauge("disk_free_inodes", help, free as f64);
            }
        }
        Err(error) => tracing::warn!(%error, "the disk cannot be looked at"),
    }
}
