//! What an export says of itself (清单): what was asked, of which versions, what the archive lacks in
//! the period, how much there is, and the hash of each file. Nothing in it is read from a clock.

use std::collections::BTreeMap;

use huicun_engine::access::Scope;
use huicun_engine::directory::Directory;
use serde::Serialize;

use super::bundle::Packed;
use super::request::ExportRequest;
use crate::queries::{Archive, AsOf, Hole};

/// The form of manifests.
const FORMAT: &str = "huicun export 1";

/// From which versions an export was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Stamp {
    pub(super) messages_version: u64,
    pub(super) directory_versions: BTreeMap<String, u64>,
    /// Holes that touch the period, as everywhere.
    pub(super) holes: Vec<Hole>,
    pub(super) holes_total: u64,
}

impl Stamp {
    /// The stamp of an export over `[from, to)`.
    pub(super) async fn of(
        archive: &Archive,
        scope: &Scope,
        messages_version: u64,
        directory: &Directory,
        period: (Option<i64>, Option<i64>),
    ) -> Self {
        let as_of = archive
            .as_of_period_now(scope, messages_version, directory, period)
            .await;
        Self::from_as_of(as_of)
    }

    pub(super) fn from_as_of(as_of: AsOf) -> Self {
        let mut holes = as_of.holes.unwrap_or_default();
        for hole in &mut holes {
            // One that goes on ends when it was asked about, which is a clock's reading.
            if hole.to.as_ref().is_some_and(|to| *to >= as_of.asked_at) {
                hole.to = None;
            }
        }
        Self {
            messages_version: as_of.messages_version,
            directory_versions: as_of.directory_versions,
            holes,
            holes_total: as_of.holes_total.unwrap_or(0),
        }
    }
}

/// How much there is in an export.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct Counts {
    /// Rows: messages, or files of messages.
    pub(super) rows: u64,
    /// Messages that were taken back.
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) recalled: u64,
    /// Files of messages, by what became of them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) media: BTreeMap<&'static str, u64>,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

impl Counts {
    pub(super) fn note_medium(&mut self, status: &'static str) {
        *self.media.entry(status).or_default() += 1;
    }
}

/// The whole of it.
#[derive(Serialize)]
pub(super) struct Manifest<'a> {
    format: &'static str,
    request: &'a ExportRequest,
    as_of: &'a Stamp,
    counts: &'a Counts,
    files: &'a [Packed],
}

impl<'a> Manifest<'a> {
    pub(super) fn new(
        request: &'a ExportRequest,
        as_of: &'a Stamp,
        counts: &'a Counts,
        files: &'a [Packed],
    ) -> Self {
        Self {
            format: FORMAT,
            request,
            as_of,
            counts,
            files,
        }
    }

    /// As readable JSON.
    pub(super) fn to_text(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("a manifest is plain data");
        text.push('\n');
        text
    }
}
