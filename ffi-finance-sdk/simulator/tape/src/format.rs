//! The shape of `tape.json` and of the index files, with their names.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The newest tape format that this build writes and reads.
pub const FORMAT_VERSION: u32 = 1;

/// What `tape.json` says in its `format` field.
pub(crate) const FORMAT_NAME: &str = "huicun-tape";

/// Bytes of one entry of a record index: seq and offset, little-endian `u64` each.
pub(crate) const RECORD_INDEX_ENTRY: usize = 16;

/// `tape.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub format: String,
    pub format_version: u32,
    pub corpid: String,
    pub secret: String,
    pub n_messages: u64,
    pub first_seq: Option<u64>,
    pub last_seq: Option<u64>,
    pub key_versions: Vec<u32>,
    pub record_files: Vec<RecordFileInfo>,
    pub n_media: u64,
    /// Bytes of each media pack, in order.
    pub media_packs: Vec<u64>,
}

/// One file of records and its index.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RecordFileInfo {
    pub name: String,
    pub first_seq: u64,
    pub last_seq: u64,
    pub n_records: u64,
    pub bytes: u64,
}

pub(crate) fn manifest_path(dir: &Path) -> PathBuf {
    dir.join("tape.json")
}

pub(crate) fn records_dir(dir: &Path) -> PathBuf {
    dir.join("records")
}

pub(crate) fn media_dir(dir: &Path) -> PathBuf {
    dir.join("media")
}

pub(crate) fn media_index_path(dir: &Path) -> PathBuf {
    media_dir(dir).join("index.bin")
}

pub(crate) fn media_pack_path(dir: &Path, pack: usize) -> PathBuf {
    media_dir(dir).join(format!("{pack:06}.pack"))
}

/// The index that belongs to a record file.
pub(crate) fn record_index_path(records: &Path) -> PathBuf {
    records.with_extension("index")
}
