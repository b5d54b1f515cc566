//! Keeping an archive in order: `huicun compact`, `vacuum`, `verify`, `reindex` and `rebuild`.

use std::path::Path;
use std::time::{Duration, Instant};

use chrono::NaiveDate;
use huicun_engine::archive::compact::compact as compact_days;
use huicun_engine::archive::verify::Report;
use huicun_engine::archive::{Home, HomeError};
use huicun_engine::state::State;
use huicun_indexer::maintenance::mend::{self, Mended};
use huicun_indexer::maintenance::sweep::sweep;
use huicun_indexer::maintenance::verify::verify as verify_all;
use huicun_query_api::answer::{Column, ColumnKind, Table};
use serde_json::{Value, json};

use super::ask::{about, target};
use crate::arguments::{CompactArguments, Days, KeepOut, VacuumArguments, VerifyArguments};
use crate::failure::Failure;
use crate::output;

pub async fn compact(data: &Path, options: &CompactArguments) -> Result<(), Failure> {
    let home = Home::open(data)?;
    let (_, rules) = State::open(&home.state())?.rules()?;
    let today = rules.zone()?.day_of(chrono::Utc::now().timestamp_millis());
    let done = compact_days(&home, (!options.all).then_some(today)).await?;
    eprintln!(
        "{} files of {} days became {}, with {} rows",
        done.n_files_before, done.n_days, done.n_files_after, done.n_rows
    );
    if let [first, ..] = done.damaged.as_slice() {
        let n = done.damaged.len();
        let told = format!("{n} damaged files were left as they are, the first is `{first}`");
        return Err(Failure::failed(told).hint("huicun verify names what is wrong"));
    }
    Ok(())
}

pub async fn vacuum(data: &Path, options: &VacuumArguments) -> Result<(), Failure> {
    let home = Home::open(data)?;
    let keep = Duration::from_secs(u64::from(options.keep_days) * 86_400);
    let now = chrono::Utc::now().timestamp_millis();
    let done = sweep(&home, keep, now).await?;
    eprintln!(
        "deleted {} files ({} bytes) and {} log files",
        done.n_files, done.n_bytes, done.n_log_files
    );
    Ok(())
}

pub async fn verify(data: &Path, options: &VerifyArguments) -> Result<(), Failure> {
    let target = target(&options.out)?;
    let days = days(&options.days)?;
    let home = match Home::open(data) {
        Err(error @ HomeError::BadMarker { .. }) => {
            return Err(Failure::from(error)
                .hint("marker_changed: restore `huicun.json` from a backup, then verify again"));
        }
        other => other?,
    };
    let started = Instant::now();
    let report = verify_all(&home, days).await;
    output::write(&table(&report), &about("校验", "Verification"), &target)?;
    let seconds = started.elapsed().as_secs_f64();
    eprintln!(
        "verified {} messages in {} files, {} bytes, in {seconds:.1} s ({:.0} messages a second)",
        report.n_rows,
        report.n_files,
        report.n_bytes,
        report.n_rows as f64 / seconds
    );
    if report.n_unsealed > 0 {
        eprintln!(
            "{} files of an earlier version have no seal; they were read whole instead",
            report.n_unsealed
        );
    }
    if report.is_clean() {
        eprintln!("nothing is wrong");
        return Ok(());
    }
    let n = report.findings.len() as u64 + report.n_more;
    Err(
        Failure::failed(format!("something is wrong; findings: {n}"))
            .hint("docs/reference/verify.md tells for each kind what it means and how to mend it"),
    )
}

fn table(report: &Report) -> Table {
    let columns = vec![
        Column::new("kind", "类型", "Kind", ColumnKind::Text),
        Column::new("file", "文件", "File", ColumnKind::Text),
        Column::new("source", "来源", "Source", ColumnKind::Text),
        Column::new("seq_from", "起始 seq", "From seq", ColumnKind::Integer),
        Column::new("seq_to", "结束 seq", "To seq", ColumnKind::Integer),
        Column::new("detail", "说明", "Detail", ColumnKind::Text),
    ];
    let rows = report.findings.iter().map(|finding| -> Vec<Value> {
        vec![
            json!(finding.kind.as_str()),
            json!(finding.file),
            json!(finding.source),
            json!(finding.seq_from),
            json!(finding.seq_to),
            json!(finding.detail),
        ]
    });
    Table {
        columns,
        rows: rows.collect(),
    }
}

/// Days of messages; an end that is left out is open.
fn days(days: &Days) -> Result<Option<(NaiveDate, NaiveDate)>, Failure> {
    let parse = |text: &Option<String>| -> Result<Option<NaiveDate>, Failure> {
        let Some(text) = text else { return Ok(None) };
        NaiveDate::parse_from_str(text, "%Y-%m-%d")
            .map(Some)
            .map_err(|_| Failure::usage(format!("`{text}` is no day; expected YYYY-MM-DD")))
    };
    let (from, to) = (parse(&days.from)?, parse(&days.to)?);
    if from.is_none() && to.is_none() {
        return Ok(None);
    }
    let (from, to) = (from.unwrap_or(NaiveDate::MIN), to.unwrap_or(NaiveDate::MAX));
    if to < from {
        return Err(Failure::usage(format!(
            "the period ends on {to}, before it begins on {from}"
        )));
    }
    Ok(Some((from, to)))
}

pub async fn reindex(data: &Path, options: &KeepOut) -> Result<(), Failure> {
    let target = target(&options.out)?;
    let home = Home::open(data)?;
    let mended = vec![mend::reindex(&home).await?];
    Ok(output::write(
        &mended_table(&mended),
        &about("重建索引", "Reindex"),
        &target,
    )?)
}

pub async fn rebuild(data: &Path, options: &KeepOut) -> Result<(), Failure> {
    let target = target(&options.out)?;
    let home = Home::open(data)?;
    let mended = mend::rebuild(&home).await?;
    Ok(output::write(
        &mended_table(&mended),
        &about("重建", "Rebuild"),
        &target,
    )?)
}

fn mended_table(mended: &[Mended]) -> Table {
    Table {
        columns: vec![
            Column::new("name", "名称", "Name", ColumnKind::Text),
            Column::new("n", "条数", "Number", ColumnKind::Integer),
        ],
        rows: mended
            .iter()
            .map(|one| vec![json!(one.name), json!(one.n)])
            .collect(),
    }
}
