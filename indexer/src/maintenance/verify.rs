//! `huicun verify`: the tables, the index against them, the state and the media, in one report.

use std::path::PathBuf;

use chrono::NaiveDate;
use huicun_engine::archive::seal::{Seal, hex, open_text, sha256};
use huicun_engine::archive::verify::{Ask, Finding, Kind, Report, verify as verify_archive};
use huicun_engine::archive::{Home, messages};
use huicun_engine::audit;
use huicun_engine::state::seal as database;

use super::media::check_media;
use crate::index::verify::{self as index, Contents};

/// Where the scrubber stands, in the data directory.
pub(super) const PLACE: &str = "scrub.place";

/// Verifies everything, or with `days` only the messages of these days (both included). Changes
/// nothing. Must run on a runtime with several threads.
pub async fn verify(home: &Home, days: Option<(NaiveDate, NaiveDate)>) -> Report {
    let mut report = Report::default();
    let folder = home.index();
    let view = match days {
        Some(_) => None,
        None => tokio::task::block_in_place(|| index::open(home.root(), &folder, &mut report)),
    };
    let contents = Contents::default();
    let ask = Ask {
        days,
        visited_version: view.as_ref().map(|view| view.watermark.version),
    };
    report.merge(
        verify_archive(home, ask, &|batch| {
            if view.is_some() {
                contents.add(batch);
            }
        })
        .await,
    );
    if days.is_some() {
        return report;
    }
    for file in databases(home) {
        report.merge(check_database(home, file));
    }
    check_small_files(home, &mut report);
    report.merge(tokio::task::block_in_place(|| check_media(home)));
    let Some(view) = view else {
        return report;
    };
    // A table that cannot be opened has been reported.
    let Ok(Some(table)) = messages::open(home).await else {
        if !home.table(messages::TABLE).join("_delta_log").is_dir() {
            report.find(ahead(home, view.watermark.version, "there is no table"));
        }
        return report;
    };
    if view.watermark.table != table.id() {
        // The table is another one: the next that asks builds the index anew.
        return report;
    }
    if view.watermark.version > table.version() {
        let told = format!("the table is at version {}", table.version());
        report.find(ahead(home, view.watermark.version, &told));
    }
    let then = match view.watermark.version < table.version() {
        true => table.at(view.watermark.version).await,
        false => Ok(table),
    };
    let compared = match then {
        Ok(table) => {
            index::compare(home.root(), &folder, &view, &table, &contents, &mut report).await
        }
        Err(error) => Err(error),
    };
    if let Err(error) = compared {
        report.find(Finding::new(Kind::FileUnreadable, error.to_string()));
    }
    report
}

fn ahead(home: &Home, version: u64, told: &str) -> Finding {
    let detail = format!("the index covers version {version}, but {told}");
    Finding::new(Kind::IndexAhead, detail).in_file(home.root(), &home.index())
}

/// The SQLite databases that have a seal over all of their rows.
pub(super) fn databases(home: &Home) -> Vec<PathBuf> {
    let mut found = vec![home.state(), home.audit()];
    found.retain(|file| file.is_file());
    found
}

pub(super) fn check_database(home: &Home, file: PathBuf) -> Report {
    let mut report = Report {
        n_files: 1,
        n_bytes: std::fs::metadata(&file).map_or(0, |m| m.len()),
        ..Report::default()
    };
    for fault in database::check(&file) {
        report.find(Finding::new(Kind::StateDamaged, fault).in_file(home.root(), &file));
    }
    if file == home.audit() {
        for fault in audit::check(&file) {
            report.find(Finding::new(Kind::AuditBroken, fault).in_file(home.root(), &file));
        }
    }
    report
}

/// Small files of our own that carry their hash: the scrubber's place, and the ledger's account and
/// its file of the last run (`engine/src/archive/ledger/`).
fn check_small_files(home: &Home, report: &mut Report) {
    type Check = (&'static str, fn(&[u8]) -> bool);
    let checks: [Check; 4] = [
        ("derived/current.json", |bytes| {
            open_text("current.json", bytes).1 == Seal::Whole
        }),
        (PLACE, |bytes| open_text(PLACE, bytes).1 == Seal::Whole),
        ("ledger/account.json", |bytes| {
            let text = bytes.strip_suffix(b"\n").unwrap_or_default();
            let at = text.iter().rposition(|b| *b == b'\n').unwrap_or_default();
            let (body, line) = text.split_at(at);
            line.strip_prefix(b"\n") == Some(sha256(body).as_bytes())
        }),
        ("ledger/rows.bin", |bytes| {
            let Some((body, hash)) = bytes.split_last_chunk::<32>() else {
                return false;
            };
            hex(hash) == sha256(body)
        }),
    ];
    for (name, is_whole) in checks {
        let file = home.root().join(name);
        let Ok(bytes) = std::fs::read(&file) else {
            continue;
        };
        report.n_files += 1;
        report.n_bytes += bytes.len() as u64;
        if !is_whole(&bytes) {
            let detail = "its bytes are not those that were written";
            report.find(Finding::new(Kind::FileOfOursChanged, detail).in_file(home.root(), &file));
        }
    }
}
