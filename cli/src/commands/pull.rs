//! `huicun pull`: the operator's view of the pull loop.

use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use huicun_engine::archive::Home;
use huicun_engine::state::State;
use huicun_ffi_finance_sdk::worker::WorkerCommand;
use huicun_indexer::ingest::pull::{Pull, Stop, Until};
use huicun_indexer::ingest::sink::Sink;
use huicun_indexer::ingest::status::Status;

use super::read_config;
use crate::arguments::PullArguments;
use crate::failure::Failure;
use crate::signals;

pub async fn pull(data: &Path, config: &Path, options: &PullArguments) -> Result<(), Failure> {
    let (config, corp) = read_config(config)?;
    let status = Arc::new(Status::default());
    let stop = Stop::default();
    let on_signal = stop.clone();
    signals::on_stop(move || on_signal.stop());
    let pull = Pull {
        corp,
        settings: config.pull,
        worker: worker_command()?,
        status: Arc::clone(&status),
        stop,
    };
    let prepared = pull.prepare()?;
    let home = Home::open_or_create(data)?;
    let (_, rules) = State::open(&home.state())?.rules()?;
    let until = if options.once {
        Until::CaughtUp
    } else {
        Until::Stopped
    };
    let started = std::time::Instant::now();
    let sink = Sink::open(&home, "huicun pull", rules.zone()?).await?;
    let outcome = pull.run(prepared, sink, until).await;
    // A pull that failed before it brought anything has only its error to tell.
    if outcome.is_ok() || status.n_delivered.load(Ordering::Relaxed) > 0 {
        report(&status, started.elapsed().as_secs_f64());
    }
    Ok(outcome?)
}

/// The same binary, as the child in which Tencent's library runs.
pub(super) fn worker_command() -> Result<WorkerCommand, Failure> {
    Ok(WorkerCommand {
        program: std::env::current_exe()?,
        args: vec![OsString::from("sdk-worker")],
        envs: Vec::new(),
    })
}

fn report(status: &Status, seconds: f64) {
    let load = |n: &std::sync::atomic::AtomicU64| n.load(Ordering::Relaxed);
    let delivered = load(&status.n_delivered);
    eprintln!(
        "pulled {delivered} records in {seconds:.1} s ({:.0} a second, searchable): \
         {} archived, {} quarantined, {} already there; cursor {}",
        delivered as f64 / seconds,
        load(&status.n_archived),
        load(&status.n_quarantined),
        load(&status.n_duplicates),
        load(&status.cursor),
    );
    if load(&status.n_quarantined) > 0 {
        eprintln!(
            "see what was quarantined and why: \
             huicun sql \"SELECT reason, publickey_ver, count(*) AS n FROM messages \
             WHERE status = 'quarantined' GROUP BY reason, publickey_ver\""
        );
    }
}
