//! `huicun quarantine`: what could not be read, and opening it again. Where another process has the
//! archive, that one is asked to do it.

use std::path::Path;
use std::time::{Duration, Instant};

use huicun_engine::archive::parked::{self, Parked};
use huicun_engine::archive::{Home, HomeError, messages};
use huicun_engine::state::State;
use huicun_indexer::ingest::companies::Companies;
use huicun_indexer::ingest::config::{Config, PullSettings};
use huicun_indexer::ingest::pull::Stop;
use huicun_indexer::ingest::retry::mailbox::{Answer, Request};
use huicun_indexer::ingest::retry::{Depth, Retried, Wish, is_retryable, retry as open_again};
use huicun_indexer::ingest::sink::{SharedSink, Sink, SinkError};
use huicun_query_api::answer::{Column, ColumnKind, Table};
use huicun_semantics::time::Zone;
use serde_json::json;

use super::ask::{about, target};
use super::pull::worker_command;
use super::read_config;
use crate::arguments::{Out, QuarantineCommand};
use crate::failure::Failure;
use crate::output;
use crate::signals;

/// How long the process that holds the archive may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

pub async fn quarantine(
    data: &Path,
    config: &Path,
    what: QuarantineCommand,
) -> Result<(), Failure> {
    match what {
        QuarantineCommand::List {
            corp: source,
            reason,
            limit,
            summary,
            out,
        } => {
            let wish = Wish {
                source,
                reason,
                seq: None,
            };
            if summary {
                count(data, &wish, &out).await
            } else {
                list(data, config, &wish, limit, &out).await
            }
        }
        QuarantineCommand::Retry {
            corp: source,
            reason,
            seq,
            out,
        } => {
            let wish = Wish {
                source,
                reason,
                seq,
            };
            retry(data, config, &wish, &out).await
        }
    }
}

/// The companies of the configuration, if there is one: without it nothing sealed can be opened,
/// and everything else can.
fn companies(data: &Path, config: &Path, stop: &Stop) -> Result<Companies, Failure> {
    let (settings, corps) = if config.is_file() {
        match Config::read(config) {
            Ok(read) if read.corp.is_empty() => (read.pull, Vec::new()),
            _ => {
                let (read, corps) = read_config(config, &[])?;
                (read.pull, corps)
            }
        }
    } else {
        (PullSettings::default(), Vec::new())
    };
    let companies = Companies::new(corps, &settings, &worker_command()?, data, stop);
    for pull in &companies.pulls {
        pull.keys.load()?;
    }
    Ok(companies)
}

fn zone_of(home: &Home) -> Result<Zone, Failure> {
    let (_, rules) = State::open(&home.state())?.rules()?;
    Ok(rules.zone()?)
}

async fn list(
    data: &Path,
    config: &Path,
    wish: &Wish,
    limit: usize,
    out: &Out,
) -> Result<(), Failure> {
    let target = target(out)?;
    let home = Home::open(data)?;
    let zone = zone_of(&home)?;
    let companies = companies(data, config, &Stop::default())?;
    let limit = if limit == 0 { usize::MAX } else { limit };
    let parked = match messages::open(&home).await? {
        Some(table) => parked::list(&table, limit, |parked: &Parked| wish.matches(parked)).await?,
        None => Vec::new(),
    };
    let rows = parked
        .into_iter()
        .map(|parked| {
            let is_retryable = is_retryable(&parked, &companies.pulls);
            vec![
                json!(parked.source),
                json!(parked.seq),
                json!(Some(parked.msgid).filter(|id| !id.is_empty())),
                json!(parked.publickey_ver),
                json!(parked.reason),
                json!(zone.rfc3339_ms(parked.pulled_at_ms)),
                json!(parked.n_bytes),
                json!(is_retryable),
            ]
        })
        .collect();
    let columns = vec![
        Column::new("source", "来源", "Source", ColumnKind::Text),
        Column::new("seq", "序号", "Seq", ColumnKind::Integer),
        Column::new("msgid", "消息 ID", "Message id", ColumnKind::Text),
        Column::new(
            "publickey_ver",
            "公钥版本",
            "Key version",
            ColumnKind::Integer,
        ),
        Column::new("reason", "原因", "Reason", ColumnKind::Text),
        Column::new("pulled_at", "拉取时间", "Pulled at", ColumnKind::Instant),
        Column::new("n_bytes", "字节数", "Bytes", ColumnKind::Integer),
        Column::new("retryable", "可重试", "Retryable", ColumnKind::Boolean),
    ];
    let about = about("隔离区", "Quarantine");
    output::write(&Table { columns, rows }, &about, &target)?;
    Ok(())
}

async fn count(data: &Path, wish: &Wish, out: &Out) -> Result<(), Failure> {
    let target = target(out)?;
    let home = Home::open(data)?;
    let zone = zone_of(&home)?;
    let kinds = match messages::open(&home).await? {
        Some(table) => parked::count(&table).await?,
        None => Default::default(),
    };
    let rows = kinds
        .into_iter()
        .filter(|(kind, _)| {
            wish.source.as_ref().is_none_or(|s| *s == kind.source)
                && wish.reason.as_ref().is_none_or(|r| *r == kind.reason)
        })
        .map(|(kind, count)| {
            vec![
                json!(kind.source),
                json!(kind.reason),
                json!(kind.publickey_ver),
                json!(count.n_records),
                json!(count.first_seq),
                json!(count.last_seq),
                json!(zone.rfc3339_ms(count.first_pulled_at_ms)),
                json!(count.n_bytes),
            ]
        })
        .collect();
    let columns = vec![
        Column::new("source", "来源", "Source", ColumnKind::Text),
        Column::new("reason", "原因", "Reason", ColumnKind::Text),
        Column::new(
            "publickey_ver",
            "公钥版本",
            "Key version",
            ColumnKind::Integer,
        ),
        Column::new("records", "记录数", "Records", ColumnKind::Integer),
        Column::new("first_seq", "最小序号", "First seq", ColumnKind::Integer),
        Column::new("last_seq", "最大序号", "Last seq", ColumnKind::Integer),
        Column::new(
            "first_pulled_at",
            "最早拉取时间",
            "First pulled at",
            ColumnKind::Instant,
        ),
        Column::new("n_bytes", "字节数", "Bytes", ColumnKind::Integer),
    ];
    let about = about("隔离区汇总", "Quarantine by reason");
    output::write(&Table { columns, rows }, &about, &target)?;
    Ok(())
}

async fn retry(data: &Path, config: &Path, wish: &Wish, out: &Out) -> Result<(), Failure> {
    let target = target(out)?;
    let home = Home::open(data)?;
    let zone = zone_of(&home)?;
    let stop = Stop::default();
    let companies = companies(data, config, &stop)?;
    let done = match Sink::open(&home, "huicun quarantine retry", zone).await {
        Ok(sink) => {
            signals::on_stop({
                let stop = stop.clone();
                move || stop.stop()
            });
            let sink = SharedSink::new(sink);
            let depth = Depth::WhatIsAsked;
            let done = open_again(&home, &sink, &companies.pulls, wish, depth, &stop).await;
            sink.close().await?;
            done?
        }
        Err(SinkError::Home(HomeError::Locked { holder, .. })) => ask(&home, wish, &holder).await?,
        Err(error) => return Err(error.into()),
    };
    let column = |key, zh, en| Column::new(key, zh, en, ColumnKind::Integer);
    let table = Table {
        columns: vec![
            column("tried", "已重试", "Tried"),
            column("archived", "已存档", "Archived"),
            column("duplicates", "重复", "Duplicates"),
            column("kept", "仍隔离", "Kept"),
        ],
        rows: vec![vec![
            json!(done.tried),
            json!(done.archived),
            json!(done.duplicates),
            json!(done.kept),
        ]],
    };
    output::write(
        &table,
        &about("重试隔离记录", "Retry of the quarantine"),
        &target,
    )?;
    Ok(())
}

/// Lets the process that holds the archive do it.
async fn ask(home: &Home, wish: &Wish, holder: &str) -> Result<Retried, Failure> {
    eprintln!("the archive is in use by {holder}; asking it");
    let request = Request::make(home, wish)?;
    let started = Instant::now();
    loop {
        match request.answer() {
            Some(Answer::Done(done)) => return Ok(done),
            Some(Answer::Failed(why)) => {
                return Err(Failure::failed(format!("{holder} could not do it: {why}")));
            }
            None => {}
        }
        if started.elapsed() >= ANSWER_WITHIN {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    if request.withdraw() {
        let failure = Failure::failed(format!(
            "{holder} did not answer within {} s; nothing was changed",
            ANSWER_WITHIN.as_secs()
        ));
        return Err(failure.hint("run it again when that process has ended"));
    }
    let failure = Failure::failed(format!("{holder} is still at it"));
    Err(failure.hint("huicun quarantine list shows what is left"))
}
