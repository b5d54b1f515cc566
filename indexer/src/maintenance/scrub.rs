//! The scrubber (巡检): verifies an archive slice by slice, so that damage is found within days and
//! not when somebody asks for the message.
//!
//! A slice is some files in the order of their names, up to a bound of bytes. The place where the
//! next begins is kept in a small sealed file, so a restart goes on there. A round has every data
//! file, the logs, the databases and the index; comparisons over the whole are `huicun verify`'s.

use std::path::PathBuf;

use huicun_engine::archive::Home;
use huicun_engine::archive::seal::{Seal, open_text, seal_text};
use huicun_engine::archive::verify::{Report, check_unit, units};

use super::verify::{PLACE, check_database, databases};
use crate::index::verify as index;

/// What one slice found.
#[derive(Debug, Default)]
pub struct Slice {
    /// What was looked at and found.
    pub report: Report,
    /// Whether it ended a round.
    pub is_end_of_round: bool,
}

/// Verifies the next files, up to `bytes_max` and one more. Must run on a runtime with several
/// threads.
pub async fn scrub(home: &Home, bytes_max: u64) -> Slice {
    let mut slice = Slice::default();
    let after = place(home);
    let mut last = None;
    for unit in units(home).await {
        if after
            .as_ref()
            .is_some_and(|after| unit.name() <= after.as_str())
        {
            continue;
        }
        if slice.report.n_bytes >= bytes_max {
            keep_place(home, last);
            return slice;
        }
        let found = tokio::task::block_in_place(|| check_unit(home, &unit));
        slice.report.merge(found);
        last = Some(unit.name().to_string());
    }
    for file in databases(home) {
        slice.report.merge(check_database(home, file));
    }
    tokio::task::block_in_place(|| {
        index::open(home.root(), &home.index(), &mut slice.report);
    });
    slice.is_end_of_round = true;
    keep_place(home, None);
    slice
}

fn file(home: &Home) -> PathBuf {
    home.root().join(PLACE)
}

/// Where the last slice ended; the beginning when that cannot be told.
fn place(home: &Home) -> Option<String> {
    let bytes = std::fs::read(file(home)).ok()?;
    match open_text(PLACE, &bytes) {
        (text, Seal::Whole) => String::from_utf8(text.to_vec())
            .ok()
            .filter(|place| !place.is_empty()),
        _ => None,
    }
}

fn keep_place(home: &Home, after: Option<String>) {
    let text = seal_text(PLACE, after.unwrap_or_default().as_bytes());
    let staged = home.root().join(format!("{PLACE}.new"));
    let written = std::fs::write(&staged, text).and_then(|()| std::fs::rename(&staged, file(home)));
    if let Err(error) = written {
        tracing::warn!(%error, "the scrubber's place cannot be kept; after a restart it begins anew");
    }
}
