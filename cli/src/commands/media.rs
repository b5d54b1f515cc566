//! `huicun media`: what became of the files that messages carry, fetching them by hand, trying
//! again, and one file for reading. Beside it, the fetching that `run` and `pull` do by the way.

use std::io::IsTerminal;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use huicun_engine::access::Scope;
use huicun_engine::archive::Home;
use huicun_engine::media::{Catalogue, Filter};
use huicun_engine::state::State;
use huicun_ffi_finance_sdk::worker::Limits;
use huicun_indexer::ingest::config::{Config, Corp};
use huicun_indexer::ingest::media::{Fetching, MediaError, MediaSettings, Progress, Until};
use huicun_indexer::ingest::pull::Stop;
use huicun_indexer::ingest::status::Watched;
use huicun_query_api::answer::{Column, ColumnKind, Table};
use huicun_query_api::queries::Archive;
use huicun_query_api::queries::media::{MediaAccess, MediaParams, audio_of, media as ask_media};
use huicun_query_api::queries::media_found::MessageFilter;
use huicun_query_api::queries::media_list::{
    MediaListParams, list as ask_list, status as ask_status,
};
use serde_json::json;

use super::ask::{about, target};
use super::pull::worker_command;
use super::{open_archive, read_config};
use crate::arguments::{MediaCommand, MediaFilter};
use crate::failure::Failure;
use crate::{output, signals};

/// How often somebody at a terminal is told how far it is.
const TELL_EVERY: Duration = Duration::from_millis(500);
/// How often fetching in the background looks whether the pull has begun.
const ANSWERED_LOOK: Duration = Duration::from_millis(250);
/// After a failure that is none of WeCom's, fetching in the background begins again so much later.
const BEGIN_AGAIN: Duration = Duration::from_secs(60);

pub async fn media(data: &Path, config: &Path, what: MediaCommand) -> Result<(), Failure> {
    match what {
        MediaCommand::Status { out } => {
            let target = target(&out)?;
            let (archive, access) = opened(data, config)?;
            let table = ask_status(&Scope::local_operator(), &archive, &access)?;
            Ok(output::write(&table, &about("媒体文件", "Media"), &target)?)
        }
        MediaCommand::List {
            filter,
            messages,
            limit,
            out,
        } => {
            let target = target(&out)?;
            let archive = open_archive(data).await?;
            let access = access(archive.home(), config)?;
            let params = MediaListParams {
                limit,
                messages: MessageFilter {
                    from: messages.days.from,
                    to: messages.days.to,
                    types: messages.types,
                    kinds: messages.kind,
                    senders: messages.sender,
                },
                ..params_of(&filter)
            };
            let page = ask_list(&Scope::local_operator(), &archive, &access, &params).await?;
            if page.next.is_some() {
                eprintln!("the first {limit} files; --limit 0 gives all");
            }
            let about = about("媒体文件", "Media");
            Ok(output::write(&page.into_table(), &about, &target)?)
        }
        MediaCommand::Fetch { corp, once, out } => {
            let target = target(&out)?;
            let until = match once {
                true => Until::Attempted,
                false => Until::Done,
            };
            let summary = fetch(data, config, &corp, until).await?;
            Ok(output::write(
                &summary,
                &about("媒体获取", "Media fetched"),
                &target,
            )?)
        }
        MediaCommand::Retry { filter } => {
            let home = Home::open(data)?;
            let filter = Filter {
                limit: 0,
                ..params_of(&filter).filter()?
            };
            let n_media = match Catalogue::open_existing(&home)? {
                Some(catalogue) => {
                    catalogue.retry(&filter, chrono::Utc::now().timestamp_millis())?
                }
                None => 0,
            };
            eprintln!(
                "{n_media} files are tried again: by `huicun run` or `huicun pull` if one is \
                 running, else by `huicun media fetch`"
            );
            Ok(())
        }
        MediaCommand::Get {
            msgid,
            item,
            source,
            convert,
            output: to,
        } => {
            let archive = open_archive(data).await?;
            let access = access(archive.home(), config)?;
            let params = MediaParams {
                msgid,
                source,
                item,
                audio: audio_of(convert.as_deref())?,
            };
            let file = ask_media(&Scope::local_operator(), &archive, &access, &params).await?;
            let mut input = std::fs::File::open(&file.path)?;
            output::copy(&mut input, &to)?;
            eprintln!("{} ({}, {} bytes)", file.name, file.mime, file.size);
            Ok(())
        }
    }
}

fn params_of(filter: &MediaFilter) -> MediaListParams {
    MediaListParams {
        source: filter.corp.clone(),
        status: filter.status.clone(),
        msgid: filter.msgid.clone(),
        seq: filter.seq,
        messages: MessageFilter::default(),
        limit: 0,
        cursor: None,
    }
}

/// `[media]` of the configuration, if there is one.
pub(super) fn access(home: &Home, config: &Path) -> Result<MediaAccess, Failure> {
    let settings = MediaSettings::read_alone(config)
        .map_err(|why| Failure::failed(format!("configuration `{}`: {why}", config.display())))?;
    Ok(MediaAccess::new(home, settings))
}

fn opened(data: &Path, config: &Path) -> Result<(Archive, MediaAccess), Failure> {
    let home = Home::open(data)?;
    let (_, rules) = State::open(&home.state())?.rules()?;
    let access = access(&home, config)?;
    Ok((Archive::open(home, rules)?, access))
}

fn fetching(
    home: Home,
    config: &Config,
    corps: Vec<Corp>,
    stop: Stop,
) -> Result<Fetching, Failure> {
    Ok(Fetching {
        home,
        corps,
        settings: config.media.clone(),
        worker: worker_command()?,
        limits: Limits {
            call_timeout: Duration::from_secs(config.pull.timeout_seconds),
            memory_bytes_max: config.pull.worker_memory_mib_max << 20,
            ..Limits::default()
        },
        stop,
        progress: Arc::default(),
    })
}

async fn fetch(data: &Path, path: &Path, named: &[String], until: Until) -> Result<Table, Failure> {
    let (config, corps) = read_config(path, named)?;
    let home = Home::open(data)?;
    let stop = Stop::default();
    let on_signal = stop.clone();
    signals::on_stop(move || on_signal.stop());
    let fetching = fetching(home.clone(), &config, corps, stop)?;
    let telling = tell(&fetching.progress);
    let outcome = fetching.run(until).await;
    if let Some(telling) = telling {
        telling.abort();
    }
    let progress = &fetching.progress;
    let load = |n: &std::sync::atomic::AtomicU64| n.load(Ordering::Relaxed);
    if let Err(error) = outcome {
        let hint = match &error {
            MediaError::Call { source, .. } => Some(format!(
                "{}\n      {}",
                source.advice_zh(),
                source.advice_en()
            )),
            MediaError::Paused(_) => Some(
                "make room, or raise [media] disk_bytes_max or lower disk_free_bytes_min; what \
                 came so far is kept"
                    .to_string(),
            ),
            _ => None,
        };
        let failure = Failure::from(error);
        return Err(match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        });
    }
    let catalogue = Catalogue::open(&home)?;
    let counts = catalogue.counts()?;
    let open = counts.iter().filter(|count| {
        use huicun_engine::media::Status::{Fetching, Pending};
        matches!(count.status, Pending | Fetching)
    });
    let n_open: u64 = open.map(|count| count.n_media).sum();
    let columns = ["stored", "lost", "failed", "left", "bytes"];
    let names = ["已存", "丢失", "失败待重试", "未取", "字节"];
    let columns = columns.iter().zip(names);
    Ok(Table {
        columns: columns
            .map(|(key, zh)| Column::new(key, zh, key, ColumnKind::Integer))
            .collect(),
        rows: vec![vec![
            json!(load(&progress.n_stored)),
            json!(load(&progress.n_lost)),
            json!(load(&progress.n_failed)),
            json!(n_open),
            json!(load(&progress.n_bytes)),
        ]],
    })
}

/// A line that says how far it is, on a terminal.
fn tell(progress: &Arc<Progress>) -> Option<tokio::task::JoinHandle<()>> {
    if !std::io::stderr().is_terminal() {
        return None;
    }
    let progress = Arc::clone(progress);
    Some(tokio::spawn(async move {
        loop {
            tokio::time::sleep(TELL_EVERY).await;
            let load = |n: &std::sync::atomic::AtomicU64| n.load(Ordering::Relaxed);
            eprint!(
                "\r{} files stored, {} lost, {:.1} MiB  ",
                load(&progress.n_stored),
                load(&progress.n_lost),
                load(&progress.n_bytes) as f64 / 1_048_576.0
            );
        }
    }))
}

/// Fetches media beside a pull until asked to end, if the configuration wants it. It begins when
/// WeCom has answered the pull: a set-up that WeCom refuses is the pull's to tell. Whatever goes
/// wrong here is logged and begun again: it never ends the pull.
pub(super) fn in_background(
    home: &Home,
    config: &Config,
    corps: Vec<Corp>,
    stop: &Stop,
    watched: Vec<Watched>,
) -> Result<Option<tokio::task::JoinHandle<()>>, Failure> {
    if !config.media.enabled {
        return Ok(None);
    }
    let fetching = fetching(home.clone(), config, corps, stop.clone())?;
    let has_answered = move || {
        let answered = watched.iter().map(|pull| &pull.status.answered_at_ms);
        answered
            .map(|at| at.load(Ordering::Relaxed))
            .any(|at_ms| at_ms > 0)
    };
    Ok(Some(tokio::spawn(async move {
        while !has_answered() && !fetching.stop.is_stopped() {
            tokio::time::sleep(ANSWERED_LOOK).await;
        }
        while !fetching.stop.is_stopped() {
            let Err(error) = fetching.run(Until::Stopped).await else {
                continue;
            };
            tracing::error!(%error, "fetching media has stopped; it begins again in a minute");
            tokio::select! {
                () = tokio::time::sleep(BEGIN_AGAIN) => {}
                () = fetching.stop.stopped() => {}
            }
        }
    })))
}

/// Waits for the fetching in the background, which was asked to end.
pub(super) async fn ended(fetching: Option<tokio::task::JoinHandle<()>>) {
    if let Some(fetching) = fetching
        && let Err(error) = fetching.await
    {
        tracing::error!(%error, "fetching media stopped unexpectedly; what was fetched is safe");
    }
}
