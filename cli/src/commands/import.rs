//! `huicun import`: messages and directory tables from files.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use huicun_engine::archive::seen::UNNAMED_SOURCE;
use huicun_engine::archive::{Home, messages};
use huicun_engine::directory;
use huicun_engine::jobs::behaviours::losses_of;
use huicun_engine::state::State;
use huicun_indexer::ingest::config::Config;
use huicun_indexer::ingest::import::{Progress, import as import_messages};
use huicun_query_api::answer::{Column, ColumnKind, Table};
use serde_json::json;

use super::ask::{about, target};
use crate::arguments::{Import, Out};
use crate::failure::Failure;
use crate::output;

pub async fn import(data: &Path, config: &Path, what: Import) -> Result<(), Failure> {
    match what {
        Import::Messages {
            files,
            strict,
            source,
            out,
        } => messages_from(data, config, &files, strict, source, &out).await,
        Import::Directory { paths, out } => directory_from(data, &paths, &out).await,
    }
}

async fn messages_from(
    data: &Path,
    config: &Path,
    files: &[PathBuf],
    strict: bool,
    source: Option<String>,
    out: &Out,
) -> Result<(), Failure> {
    let target = target(out)?;
    let files: Vec<PathBuf> = files.to_vec();
    if let Some(missing) = files
        .iter()
        .find(|f| f.as_path() != Path::new("-") && !f.is_file())
    {
        return Err(Failure::failed(format!(
            "there is no file `{}`",
            missing.display()
        )));
    }
    let home = Home::open_or_create(data)?;
    let (_, rules) = State::open(&home.state())?.rules()?;
    let source = match source {
        Some(named) => named,
        None => source_of(&home, config).await?,
    };
    let bar = progress_bar(&files);
    let started = std::time::Instant::now();
    let summary = import_messages(
        &home,
        &files,
        &source,
        rules.zone()?,
        chrono::Utc::now().timestamp_millis(),
        &mut |so_far: &Progress| {
            bar.set_position(so_far.bytes_read);
            bar.set_message(format!("{} lines", so_far.summary.lines));
        },
    )
    .await?;
    bar.finish_and_clear();
    let seconds = started.elapsed().as_secs_f64();
    eprintln!(
        "{} lines in {seconds:.1} s ({:.0} a second) into source `{source}`",
        summary.lines,
        summary.lines as f64 / seconds
    );
    let column = |key, zh, en| Column::new(key, zh, en, ColumnKind::Integer);
    let table = Table {
        columns: vec![
            column("lines", "行数", "Lines"),
            column("archived", "已存档", "Archived"),
            column("quarantined", "已隔离", "Quarantined"),
            column("duplicates", "重复", "Duplicates"),
            column("resumed", "续传前已导入", "Brought in before"),
        ],
        rows: vec![vec![
            json!(summary.lines),
            json!(summary.archived),
            json!(summary.quarantined),
            json!(summary.duplicates),
            json!(summary.resumed),
        ]],
    };
    output::write(&table, &about("导入消息", "Import of messages"), &target)?;
    if strict && summary.quarantined > 0 {
        return Err(Failure::failed(format!(
            "{} lines could not be read and were quarantined (--strict)",
            summary.quarantined
        )));
    }
    Ok(())
}

/// By bytes of the files as they are, since nobody knows their lines; stdin has no end to show.
fn progress_bar(files: &[PathBuf]) -> indicatif::ProgressBar {
    if !std::io::stderr().is_terminal() {
        return indicatif::ProgressBar::hidden();
    }
    let sizes: Option<Vec<u64>> = files
        .iter()
        .map(|file| std::fs::metadata(file).ok().map(|found| found.len()))
        .collect();
    let (bar, template) = match sizes {
        Some(sizes) => (
            indicatif::ProgressBar::new(sizes.iter().sum()),
            "{bar:30} {bytes}/{total_bytes}  {msg}  {elapsed}, {eta} left",
        ),
        None => (
            indicatif::ProgressBar::new_spinner(),
            "{spinner} {bytes}  {msg}  {elapsed}",
        ),
    };
    let style = indicatif::ProgressStyle::with_template(template)
        .unwrap_or_else(|_| indicatif::ProgressStyle::default_bar());
    let bar = bar.with_style(style);
    bar.enable_steady_tick(std::time::Duration::from_millis(200));
    bar
}

/// The configured company, else the archive's only source, else a plain name: messages imported
/// beside a pull are then the same company's, and a msgid decides.
async fn source_of(home: &Home, config: &Path) -> Result<String, Failure> {
    if config.is_file() {
        let config = Config::read(config)?;
        if let [corp] = config.corp.as_slice() {
            return Ok(corp.corpid.clone());
        }
    }
    let Some(table) = messages::open(home).await? else {
        return Ok(UNNAMED_SOURCE.into());
    };
    let sources = huicun_engine::archive::messages::sources(&table).await?;
    match sources.into_iter().collect::<Vec<_>>().as_slice() {
        [] => Ok(UNNAMED_SOURCE.into()),
        [one] => Ok(one.clone()),
        several => Err(Failure::usage(format!(
            "the archive has several sources ({}); name one with --source",
            several.join(", ")
        ))),
    }
}

async fn directory_from(data: &Path, paths: &[PathBuf], out: &Out) -> Result<(), Failure> {
    let target = target(out)?;
    if let Some(missing) = paths.iter().find(|p| !p.exists()) {
        return Err(Failure::failed(format!(
            "there is no `{}`",
            missing.display()
        )));
    }
    let feeds = directory::read_all(paths)?;
    if feeds.is_empty() {
        return Err(Failure::failed(
            "there are no .ndjson, .csv or .parquet files to import",
        ));
    }
    let home = Home::open_or_create(data)?;
    let done = directory::import(&home, feeds).await?;
    for warning in &done.warnings {
        eprintln!("warning: {warning}");
    }
    if done.tables.iter().any(|t| t.table == "relations") {
        note_losses(&home).await?;
    }
    let table = Table {
        columns: vec![
            Column::new("table", "表", "Table", ColumnKind::Text),
            Column::new("inserted", "新增", "Inserted", ColumnKind::Integer),
            Column::new("updated", "更新", "Updated", ColumnKind::Integer),
            Column::new("total", "总数", "Total", ColumnKind::Integer),
        ],
        rows: done
            .tables
            .iter()
            .map(|t| {
                vec![
                    json!(t.table),
                    json!(t.inserted),
                    json!(t.updated),
                    json!(t.total),
                ]
            })
            .collect(),
    };
    output::write(
        &table,
        &about("导入通讯录", "Import of the directory"),
        &target,
    )?;
    Ok(())
}

/// Remembers when the loss of a relation entered: rules apply to it from then on (semantics 8).
async fn note_losses(home: &Home) -> Result<(), Failure> {
    let losses = losses_of(&directory::Directory::load(home).await?);
    let now = chrono::Utc::now().timestamp_millis();
    Ok(State::open(&home.state())?.note_losses(&losses, now)?)
}
