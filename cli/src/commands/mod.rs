//! The commands, one file each: read the arguments, call the library, write the answer.

mod ask;
mod audit;
mod behaviours;
mod demo;
mod doctor;
mod export;
mod import;
mod keep;
mod keys;
mod kf;
mod media;
mod people;
mod pull;
mod quarantine;
mod report;
mod rules;
mod searches;
mod serve;
mod tape;
mod token;

use std::io::IsTerminal;
use std::path::Path;
use std::sync::Arc;

use huicun_engine::archive::Home;
use huicun_engine::state::State;
use huicun_indexer::ingest::config::{Config, Corp};
use huicun_query_api::queries::Archive;
use huicun_query_api::queries::archive::Watcher;

use crate::arguments::{Arguments, Command};
use crate::failure::Failure;

/// Runs one command.
pub async fn run(arguments: Arguments) -> Result<(), Failure> {
    let (data, config) = (arguments.data.as_path(), arguments.config.as_path());
    audit::note(data, &arguments.command);
    match arguments.command {
        Command::Pull(options) => pull::pull(data, config, &options).await,
        Command::Keys(options) => keys::keys(data, config, options).await,
        Command::Quarantine(options) => quarantine::quarantine(data, config, options).await,
        Command::Import(options) => import::import(data, config, options).await,
        Command::Search(options) => ask::search(data, options).await,
        Command::Searches(what) => searches::searches(data, what).await,
        Command::Conversations(options) => ask::conversations(data, options).await,
        Command::Conversation(options) => ask::conversation(data, options).await,
        Command::Kf(what) => kf::kf(data, what).await,
        Command::Dialogues(options) => ask::dialogues(data, options).await,
        Command::Timeouts(options) => ask::timeouts(data, options).await,
        Command::Contacts(options) => people::contacts(data, options).await,
        Command::Portrait(options) => people::portrait(data, options).await,
        Command::Report(options) => report::report(data, options).await,
        Command::Ranking(options) => report::ranking(data, options).await,
        Command::Explain(options) => report::explain(data, options).await,
        Command::Metrics(options) => report::metrics(data, options),
        Command::Behaviours(options) => behaviours::behaviours(data, options).await,
        Command::Sql(options) => ask::sql(data, options).await,
        Command::Ledger(options) => ask::ledger(data, options).await,
        Command::Doctor(options) => doctor::doctor(data, config, &options).await,
        Command::Media(what) => media::media(data, config, what).await,
        Command::Export(what) => export::export(data, config, what).await,
        Command::Serve(options) => serve::serve(data, config, &options).await,
        Command::Run(options) => serve::run(data, config, &options).await,
        Command::Verify(options) => keep::verify(data, &options).await,
        Command::Compact(options) => keep::compact(data, &options).await,
        Command::Vacuum(options) => keep::vacuum(data, &options).await,
        Command::Reindex(options) => keep::reindex(data, &options).await,
        Command::Rebuild(options) => keep::rebuild(data, &options).await,
        Command::Rules(options) => rules::rules(data, options).await,
        Command::Token(options) => token::token(data, options),
        Command::Audit(options) => audit::audit(data, options).await,
        Command::Tape(options) => tape::tape(options),
        Command::Demo(options) => demo::demo(options),
        Command::SdkWorker => Ok(()),
    }
}

/// Opens an existing archive for questions, its index brought up to date.
async fn open_archive(data: &Path) -> Result<Archive, Failure> {
    let archive = open_figures(data)?;
    archive.catch_up().await?;
    Ok(archive)
}

/// Opens an existing archive for questions that the index has no part in.
fn open_figures(data: &Path) -> Result<Archive, Failure> {
    let home = Home::open(data)?;
    let (_, rules) = State::open(&home.state())?.rules()?;
    let archive = Archive::open(home, rules)?;
    if std::io::stderr().is_terminal() {
        archive.watch(progress_of_figures());
    }
    Ok(archive)
}

/// A bar with an estimate for figures that are derived anew; Ctrl-C ends it and changes nothing.
fn progress_of_figures() -> Watcher {
    /// Less than that is over before anybody has read it.
    const WORTH_A_BAR: u64 = 500_000;
    let bar = indicatif::ProgressBar::hidden();
    let template = "deriving figures {bar:40} {human_pos}/{human_len} messages, {eta} left";
    if let Ok(style) = indicatif::ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    Arc::new(move |step| {
        if !step.is_rebuild || step.n_all < WORTH_A_BAR {
            return;
        }
        if bar.is_hidden() {
            bar.set_draw_target(indicatif::ProgressDrawTarget::stderr());
        }
        bar.set_length(step.n_all);
        bar.set_position(step.n_done);
        if step.n_done >= step.n_all {
            bar.finish_and_clear();
        }
    })
}

/// The configuration and its companies, or those of them that are named.
fn read_config(path: &Path, named: &[String]) -> Result<(Config, Vec<Corp>), Failure> {
    let config = Config::read(path).map_err(|error| {
        Failure::from(error).hint(
            "docs/guide/configuration.md describes huicun.toml; name another file with --config",
        )
    })?;
    let corps = config.companies(named).map_err(|problem| {
        Failure::failed(format!("configuration `{}`: {problem}", path.display()))
    })?;
    Ok((config, corps))
}
