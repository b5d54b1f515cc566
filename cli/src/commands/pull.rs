//! `huicun pull`: the operator's view of the pull loop.

use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use huicun_engine::archive::Home;
use huicun_engine::state::State;
use huicun_ffi_finance_sdk::worker::WorkerCommand;
use huicun_indexer::ingest::companies::{Companies, Ended};
use huicun_indexer::ingest::pull::{PullError, Stop, Until};
use huicun_indexer::ingest::sink::Sink;
use huicun_indexer::ingest::status::Watched;
use huicun_indexer::maintenance::keep_in_order;

use super::{media, read_config};
use crate::arguments::PullArguments;
use crate::failure::{Failure, advice};
use crate::signals;

pub async fn pull(data: &Path, config: &Path, options: &PullArguments) -> Result<(), Failure> {
    let (config, corps) = read_config(config, &options.corp)?;
    let stop = Stop::default();
    let on_signal = stop.clone();
    signals::on_stop(move || on_signal.stop());
    let companies = Companies::new(corps.clone(), &config.pull, &worker_command()?, data, &stop);
    let prepared = companies.prepare()?;
    let home = Home::open_or_create(data)?;
    let state = Arc::new(State::open(&home.state())?);
    let (_, rules) = state.rules()?;
    companies.record_in(&state);
    let until = if options.once {
        Until::CaughtUp
    } else {
        Until::Stopped
    };
    let started = std::time::Instant::now();
    let watched = companies.watched();
    let sink = Sink::open(&home, "huicun pull", rules.zone()?).await?;
    if until == Until::Stopped {
        let zone = rules.zone()?;
        tokio::spawn(keep_in_order(
            home.clone(),
            zone,
            Arc::default(),
            stop.clone(),
        ));
    }
    let fetching = match until {
        Until::CaughtUp => None,
        Until::Stopped => media::in_background(&home, &config, corps, &stop, companies.watched())?,
    };
    let ended = companies.run(prepared, &home, sink, until).await;
    stop.stop();
    media::ended(fetching).await;
    report(&watched, &ended, started.elapsed().as_secs_f64());
    failures(ended)
}

/// The same binary, as the child in which Tencent's library runs.
pub(super) fn worker_command() -> Result<WorkerCommand, Failure> {
    Ok(WorkerCommand {
        program: std::env::current_exe()?,
        args: vec![OsString::from("sdk-worker")],
        envs: Vec::new(),
    })
}

/// One failure for all that failed: which companies, why, and what to do.
pub(super) fn failures(ended: Vec<Ended>) -> Result<(), Failure> {
    let n_all = ended.len();
    let mut failed = ended
        .into_iter()
        .filter_map(|one| Some((one.corpid, one.outcome.err()?)));
    let Some((corpid, error)) = failed.next() else {
        return Ok(());
    };
    let rest: Vec<_> = failed.collect();
    // What the archive refuses is no company's: it ended all of them.
    let is_of_archive = matches!(error, PullError::Sink(_));
    if n_all == 1 || is_of_archive {
        return Err(error.into());
    }
    let mut told = format!("{} of {n_all} companies failed", rest.len() + 1);
    let mut hint = String::new();
    for (corpid, error) in std::iter::once((corpid, error)).chain(rest) {
        told += &format!("; `{corpid}`: {error}");
        if let PullError::Call { source, .. } = &error {
            hint += &format!("`{corpid}`: {}\n      ", advice(source));
        }
    }
    let failure = Failure::failed(told);
    Err(match hint.trim_end() {
        "" => failure,
        hint => failure.hint(hint),
    })
}

fn report(watched: &[Watched], ended: &[Ended], seconds: f64) {
    let load = |n: &AtomicU64| n.load(Ordering::Relaxed);
    let mut n_quarantined = 0;
    for (Watched { corpid, status }, ended) in watched.iter().zip(ended) {
        let delivered = load(&status.n_delivered);
        // A pull that failed before it brought anything has only its error to tell.
        if ended.outcome.is_err() && delivered == 0 {
            continue;
        }
        let whose = match watched.len() {
            1 => String::new(),
            _ => format!("`{corpid}`: "),
        };
        n_quarantined += load(&status.n_quarantined);
        eprintln!(
            "{whose}pulled {delivered} records in {seconds:.1} s ({:.0} a second, searchable): \
             {} archived, {} quarantined, {} already there; cursor {}",
            delivered as f64 / seconds,
            load(&status.n_archived),
            load(&status.n_quarantined),
            load(&status.n_duplicates),
            load(&status.cursor),
        );
    }
    if n_quarantined > 0 {
        eprintln!("see what was quarantined and why: huicun quarantine list --summary");
    }
}
