//! What one commit of the `messages` table was told to take in, kept in the commit's own log entry,
//! so that the account (delivered = archived + quarantined + deduplicated) can be drawn up for ever.
//!
//! A record that is there already leaves no row; its seq is kept here, or it would look like a gap.
//!
//! A parked record that is read later was counted as quarantined when it came. The commit that
//! brings it in says so in `resolved` and `resolved_duplicates`, so that over all commits of a source
//!
//! - delivered = sum of `delivered`,
//! - archived = sum of `archived` + `resolved`,
//! - quarantined = sum of `quarantined` - `resolved` - `resolved_duplicates`,
//! - deduplicated = sum of `deduplicated` + `resolved_duplicates`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The field of Delta's `commitInfo` that holds a [`Delivery`].
pub const INFO_KEY: &str = "huicunDelivery";

/// How far an import of files had come with a commit, so that it goes on there after a kill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportMark {
    /// A digest of the source and the files, made by the importer.
    pub id: String,
    /// The highest seq before the import: lines without seq are numbered on from it.
    pub base: i64,
    /// Lines, over all files, whose records are in with this commit.
    pub lines: i64,
    /// Whether these were all.
    pub is_finished: bool,
}

/// One commit's account.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// The corp, or the name given to an import.
    pub source: String,
    /// The cursor before; none for what moves no cursor, such as an import.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<i64>,
    /// The cursor with this commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<i64>,
    /// Records that came.
    pub delivered: u64,
    /// Readable messages that are new.
    pub archived: u64,
    /// Records kept unread.
    pub quarantined: u64,
    /// Records that were there already.
    pub deduplicated: u64,
    /// Parked records that could be read after all: they left the quarantine for the archive.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub resolved: u64,
    /// Parked records that could be read and were there already: they left the quarantine, and
    /// their seqs are in `deduplicated_seqs`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub resolved_duplicates: u64,
    /// The seqs of what was there already as ranges, both ends included, ascending.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deduplicated_seqs: Vec<(i64, i64)>,
    /// For a commit of an import of files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub import: Option<ImportMark>,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Delivery {
    /// As a field of the commit.
    pub(super) fn info(&self) -> (String, Value) {
        let value = serde_json::to_value(self).expect("an account is plain data");
        (INFO_KEY.to_string(), value)
    }
}

/// Numbers as ranges, both ends included, ascending.
pub(super) fn ranges(numbers: &mut [i64]) -> Vec<(i64, i64)> {
    numbers.sort_unstable();
    let mut ranges: Vec<(i64, i64)> = Vec::new();
    for number in numbers.iter().copied() {
        match ranges.last_mut() {
            Some((_, last)) if number <= last.saturating_add(1) => *last = number,
            _ => ranges.push((number, number)),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_share_a_range() {
        assert_eq!(ranges(&mut [7, 3, 1, 2, 3]), [(1, 3), (7, 7)]);
        assert_eq!(ranges(&mut []), []);
    }
}
