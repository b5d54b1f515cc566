//! `huicun serve` and `huicun run`: the HTTP API, alone or beside the pull.

use std::path::Path;
use std::sync::Arc;

use huicun_engine::archive::Home;
use huicun_engine::state::{State, tokens};
use huicun_indexer::ingest::pull::{Pull, Status, Stop, Until};
use huicun_query_api::http::{Api, listen};
use huicun_query_api::queries::Archive;

use super::pull::worker_command;
use super::read_config;
use crate::arguments::ServeArguments;
use crate::failure::Failure;
use crate::signals;

pub async fn serve(data: &Path, options: &ServeArguments) -> Result<(), Failure> {
    let home = Home::open(data)?;
    let stop = Stop::default();
    answer(home, options, None, stop).await
}

pub async fn run(data: &Path, config: &Path, options: &ServeArguments) -> Result<(), Failure> {
    let (config, corp) = read_config(config)?;
    let home = Home::open_or_create(data)?;
    let (_, rules) = State::open(&home.state())?.rules()?;
    let status = Arc::new(Status::default());
    let stop = Stop::default();
    let (worker, zone) = (worker_command()?, rules.zone()?);
    let (pull_home, pull_status, pull_stop) = (home.clone(), Arc::clone(&status), stop.clone());
    let pulling = tokio::spawn(async move {
        let pull = Pull {
            corp: &corp,
            settings: &config.pull,
            worker,
            zone,
            status: pull_status,
            stop: pull_stop.clone(),
        };
        let outcome = pull.run(&pull_home, Until::Stopped).await;
        // A pull that ends by itself ends the server too: a service that only looks alive is worse.
        pull_stop.stop();
        outcome
    });
    let answered = answer(home, options, Some(status), stop.clone()).await;
    stop.stop();
    let pulled = pulling
        .await
        .map_err(|e| Failure::failed(format!("the pull stopped unexpectedly: {e}")))?;
    pulled?;
    answered
}

async fn answer(
    home: Home,
    options: &ServeArguments,
    pull: Option<Arc<Status>>,
    stop: Stop,
) -> Result<(), Failure> {
    let state = State::open(&home.state())?;
    let (_, rules) = state.rules()?;
    let now = chrono::Utc::now().timestamp_millis();
    let has_tokens = state
        .tokens()?
        .iter()
        .any(|t| t.revoked_at_ms.is_none() && t.expires_at_ms.is_none_or(|at| at > now));
    if !has_tokens && !options.listen.ip().is_loopback() {
        return Err(Failure::usage(format!(
            "refusing to listen on {} without any API token",
            options.listen
        ))
        .hint("make one first: huicun token create --name NAME"));
    }
    let archive = Archive::open(home, rules)?;
    archive.catch_up().await?;
    let one_time = (!has_tokens).then(tokens::new_secret);
    let api = Arc::new(Api {
        archive,
        state,
        session_token: one_time.as_deref().map(tokens::hash),
        pull,
    });
    let listening = listen(options.listen).await.map_err(|e| {
        Failure::failed(format!("cannot listen on {}: {e}", options.listen))
            .hint("choose another address with --listen; port 0 picks a free one")
    })?;
    println!("http://{}", listening.address);
    if let Some(token) = one_time {
        println!("token for this run: {token}");
    }
    let on_signal = stop.clone();
    signals::on_stop(move || on_signal.stop());
    Ok(listening.serve(api, stop.stopped()).await?)
}
