//! Opens what is in the quarantine again, and brings it in where it stands: with the keys, the
//! library and the reading of today.
//!
//! Promises: a record that opens becomes the row that it would have been if it had been read at
//! first (same source, seq, key version and time of arrival); one that does not keeps what came; and
//! however this ends, each record is there once, archived or parked. Memory is bounded by groups of
//! files. Only one rewriter of files works at a time, which is the lock of rewrites.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use huicun_engine::archive::parked::{self, Envelope, Parked, ParkedFile};
use huicun_engine::archive::{
    Home, HomeError, Lock, MessageRow, Reopened, Status, TableError, messages,
};
use huicun_ffi_finance_sdk::SealedRecord;
use huicun_ffi_finance_sdk::page::parse_record;
use huicun_ffi_finance_sdk::worker::{CallError, WorkerClient};
use serde::{Deserialize, Serialize};

use super::normalise::split_line;
use super::pages::{items_of, open_keys, row_of};
use super::pull::{Pull, Stop, decrypt_patiently};
use super::row::{self, Origin};
use super::sink::{SharedSink, SinkError};

pub mod mailbox;

/// Compressed bytes of files that are rewritten by one commit: some hundred MB in memory.
const GROUP_BYTES_MAX: u64 = 32 << 20;
/// Records that are opened for one commit.
const GROUP_RECORDS_MAX: u64 = 20_000;
/// Records that are decrypted together.
const BATCH_RECORDS: usize = 1000;
/// How long another rewriter, such as a compaction, is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why the quarantine could not be looked at. What was brought in before stays.
#[derive(Debug, thiserror::Error)]
pub enum RetryError {
    /// Another rewriter has the files, or the folder cannot be used.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The table could not be read.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The archive could not be written.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// The SDK cannot be used.
    #[error("cannot decrypt for `{corpid}`: {source}")]
    Call {
        /// For which company.
        corpid: String,
        /// What failed.
        source: CallError,
    },
}

/// Which parked records somebody wants to have opened; all that is left out is any.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wish {
    /// Of this corp, or import.
    pub source: Option<String>,
    /// With this reason.
    pub reason: Option<String>,
    /// With this number.
    pub seq: Option<i64>,
}

impl Wish {
    /// Whether a record is among them.
    pub fn matches(&self, parked: &Parked) -> bool {
        self.source.as_ref().is_none_or(|s| *s == parked.source)
            && self.reason.as_ref().is_none_or(|r| *r == parked.reason)
            && self.seq.is_none_or(|seq| seq == parked.seq)
    }
}

/// How much is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Sealed records that another key, or another try, may open. Not those that kill the SDK: each
    /// would cost a child at every start.
    WhatMayOpen,
    /// Whatever can be opened at all.
    WhatIsAsked,
}

/// What came of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retried {
    /// Records that were opened again.
    pub tried: u64,
    /// Messages that are archived now.
    pub archived: u64,
    /// Records that were there already, and are gone from the quarantine.
    pub duplicates: u64,
    /// Records that are still parked, some with another reason.
    pub kept: u64,
}

/// What stands in an envelope, by the reason for which it was parked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    /// A sealed record.
    Sealed,
    /// What stood in a page in place of a record.
    Record,
    /// What was decrypted, or a line of an import.
    Text,
    /// Where WeCom had something that could not be had.
    Gap,
    /// Nothing that opening again could help.
    Closed,
}

fn content_of(reason: &str) -> Content {
    match reason {
        "missing_key" | "unseal_failed" => Content::Sealed,
        sdk if sdk.starts_with("sdk_") => Content::Sealed,
        "damaged_record" => Content::Record,
        "undeliverable" => Content::Gap,
        "conflict" | "seq_out_of_range" => Content::Closed,
        _ => Content::Text,
    }
}

/// Whether opening this record again may help, with the keys of today.
pub fn is_retryable(parked: &Parked, pulls: &[Pull]) -> bool {
    is_tried(parked, pulls, Depth::WhatIsAsked)
}

fn is_tried(parked: &Parked, pulls: &[Pull], depth: Depth) -> bool {
    let has_key = |version: Option<i32>| {
        let pull = pulls.iter().find(|pull| pull.corp.corpid == parked.source);
        let version = version.and_then(|v| u32::try_from(v).ok());
        pull.zip(version)
            .is_some_and(|(pull, version)| pull.keys.ring().get(version).is_some())
    };
    match content_of(&parked.reason) {
        Content::Sealed => {
            has_key(parked.publickey_ver)
                && (depth == Depth::WhatIsAsked || parked.reason != "sdk_crash")
        }
        Content::Record | Content::Text => depth == Depth::WhatIsAsked,
        Content::Gap => {
            let has_pull = pulls.iter().any(|pull| pull.corp.corpid == parked.source);
            depth == Depth::WhatIsAsked && has_pull
        }
        Content::Closed => false,
    }
}

/// Opens what is wished for again and brings it in, group by group.
///
/// # Errors
/// What was committed before stays; trying again goes on.
pub async fn retry(
    home: &Home,
    sink: &SharedSink,
    pulls: &[Pull],
    wish: &Wish,
    depth: Depth,
    stop: &Stop,
) -> Result<Retried, RetryError> {
    let wanted = |parked: &Parked| wish.matches(parked) && is_tried(parked, pulls, depth);
    let mut done = Retried::default();
    if sources(home, wanted).await?.is_empty() {
        return Ok(done);
    }
    let Some(_rewriting) = lock(home, stop).await? else {
        return Ok(done);
    };
    for source in sources(home, wanted).await? {
        let Some(table) = messages::open(home).await? else {
            break;
        };
        let of_source = |parked: &Parked| parked.source == source && wanted(parked);
        let files = parked::files(&table, of_source).await?;
        let pull = pulls.iter().find(|pull| pull.corp.corpid == source);
        let mut opener = Opener {
            source: source.as_str().into(),
            pull,
            worker: None,
            stop,
        };
        for group in groups(&home.table(messages::TABLE), files) {
            if stop.is_stopped() {
                return Ok(done);
            }
            let mut reopened = Vec::new();
            let mut n_unchanged = 0;
            for file in group {
                let envelopes = parked::envelopes(&table, &file.path, of_source).await?;
                done.tried += envelopes.len() as u64;
                let n_envelopes = envelopes.len();
                let rows = tokio::task::block_in_place(|| opener.open(envelopes))?;
                let places: BTreeSet<usize> = rows.iter().map(|(place, _)| *place).collect();
                n_unchanged += n_envelopes - places.len();
                reopened.push(Reopened {
                    file: file.path,
                    rows,
                });
            }
            let resolved = sink.resolve(&opener.source, reopened).await?;
            done.archived += resolved.n_archived;
            done.duplicates += resolved.n_duplicates;
            done.kept += resolved.n_kept + n_unchanged as u64;
        }
    }
    Ok(done)
}

/// The lock of rewrites; `None` when asked to end while another rewriter had it.
async fn lock(home: &Home, stop: &Stop) -> Result<Option<Lock>, RetryError> {
    let started = Instant::now();
    loop {
        if stop.is_stopped() {
            return Ok(None);
        }
        match home.lock_rewrite("huicun quarantine retry", Duration::ZERO) {
            Ok(lock) => return Ok(Some(lock)),
            Err(HomeError::Locked { .. }) if started.elapsed() < PATIENCE => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// The sources that have such records. The table is opened anew each time: another source's commit
/// has replaced files.
async fn sources(
    home: &Home,
    wanted: impl Fn(&Parked) -> bool,
) -> Result<BTreeSet<String>, RetryError> {
    let mut found = BTreeSet::new();
    if let Some(table) = messages::open(home).await? {
        for file in parked::files(&table, wanted).await? {
            found.extend(file.sources);
        }
    }
    Ok(found)
}

/// Files that one commit rewrites.
fn groups(folder: &Path, files: Vec<ParkedFile>) -> Vec<Vec<ParkedFile>> {
    let mut groups: Vec<Vec<ParkedFile>> = Vec::new();
    let (mut n_bytes, mut n_records) = (u64::MAX, 0);
    for file in files {
        let size = std::fs::metadata(folder.join(&file.path)).map_or(0, |about| about.len());
        let is_full = n_bytes.saturating_add(size) > GROUP_BYTES_MAX
            || n_records + file.n_records > GROUP_RECORDS_MAX;
        if is_full {
            groups.push(Vec::new());
            (n_bytes, n_records) = (0, 0);
        }
        n_bytes += size;
        n_records += file.n_records;
        if let Some(last) = groups.last_mut() {
            last.push(file);
        }
    }
    groups
}

/// Opens the parked records of one source.
struct Opener<'a> {
    source: Arc<str>,
    pull: Option<&'a Pull>,
    /// Started when the first record needs it; it asks nobody but the library.
    worker: Option<Mutex<WorkerClient>>,
    stop: &'a Stop,
}

impl Opener<'_> {
    /// What became of each, by its place; those that are as they were are left out.
    fn open(&mut self, envelopes: Vec<Envelope>) -> Result<Vec<(usize, MessageRow)>, RetryError> {
        let mut rows = Vec::with_capacity(envelopes.len());
        let mut sealed: Vec<(usize, Parked, SealedRecord)> = Vec::new();
        for envelope in envelopes {
            let text = std::str::from_utf8(&envelope.bytes);
            let record = text.ok().and_then(|text| parse_record(text).ok());
            match (content_of(&envelope.parked.reason), record) {
                (Content::Sealed | Content::Record, Some(record)) => {
                    sealed.push((envelope.place, envelope.parked, record));
                }
                (Content::Text, _) => {
                    let row = self.read(&envelope);
                    rows.push((envelope.place, envelope.parked, row));
                }
                (Content::Gap, _) => sealed.extend(self.ask_again(&envelope)),
                // As damaged as it came.
                (Content::Sealed | Content::Record | Content::Closed, _) => {}
            }
        }
        while !sealed.is_empty() {
            let rest = sealed.split_off(sealed.len().min(BATCH_RECORDS));
            let batch = std::mem::replace(&mut sealed, rest);
            rows.extend(self.decrypt(batch)?);
        }
        let has_changed = |parked: &Parked, row: &MessageRow| {
            row.status == Status::Ok || row.reason.as_deref() != Some(parked.reason.as_str())
        };
        let rows = rows.into_iter();
        Ok(rows
            .filter(|(_, parked, row)| has_changed(parked, row))
            .map(|(place, _, row)| (place, row))
            .collect())
    }

    /// What WeCom gives now for a step that it could not give; nothing unless all of it is good.
    fn ask_again(&mut self, envelope: &Envelope) -> Vec<(usize, Parked, SealedRecord)> {
        #[derive(Deserialize)]
        struct Step {
            after: u64,
            to: u64,
        }
        let (Some(pull), Ok(step)) = (self.pull, serde_json::from_slice::<Step>(&envelope.bytes))
        else {
            return Vec::new();
        };
        let limit = u32::try_from(step.to.saturating_sub(step.after)).unwrap_or(u32::MAX);
        if self.worker().is_none() || !pull.wait_for_turn(self.stop) {
            return Vec::new();
        }
        let page = self.worker().map(|worker| {
            let mut worker = worker.lock().unwrap_or_else(PoisonError::into_inner);
            worker.page(step.after, limit.clamp(1, 1000))
        });
        let Some(Ok(page)) = page else {
            return Vec::new();
        };
        let is_within = |record: &SealedRecord| (step.after + 1..=step.to).contains(&record.seq);
        let records = page.records.into_iter().filter(is_within);
        records
            .map(|record| (envelope.place, envelope.parked.clone(), record))
            .collect()
    }

    /// The worker, started when it is first needed.
    fn worker(&mut self) -> Option<&Mutex<WorkerClient>> {
        if self.worker.is_none() {
            self.worker = self.pull?.start_worker().ok().map(Mutex::new);
        }
        self.worker.as_ref()
    }

    fn origin(&self, parked: &Parked) -> Origin {
        Origin {
            source: Arc::clone(&self.source),
            seq: parked.seq,
            publickey_ver: parked.publickey_ver,
            now_ms: parked.pulled_at_ms,
        }
    }

    /// Reads a text again: what was decrypted, else a line of an import.
    fn read(&self, envelope: &Envelope) -> MessageRow {
        let mut origin = self.origin(&envelope.parked);
        let row = row::of_plaintext(&origin, &envelope.bytes);
        if row.status == Status::Ok {
            return row;
        }
        match split_line(&envelope.bytes) {
            Ok(line) => {
                let version = line.publickey_ver.and_then(|v| i32::try_from(v).ok());
                origin.publickey_ver = version.or(origin.publickey_ver);
                let seq = line.seq.and_then(|seq| i64::try_from(seq).ok());
                origin.seq = seq.unwrap_or(origin.seq);
                match row::of_plaintext(&origin, &line.message) {
                    read if read.status == Status::Ok => read,
                    _ => row,
                }
            }
            Err(unreadable) => {
                row::quarantined(&origin, "", unreadable.reason(), envelope.bytes.clone())
            }
        }
    }

    fn decrypt(
        &mut self,
        batch: Vec<(usize, Parked, SealedRecord)>,
    ) -> Result<Vec<(usize, Parked, MessageRow)>, RetryError> {
        let Some(pull) = self.pull else {
            return Ok(Vec::new());
        };
        let mut places = Vec::with_capacity(batch.len());
        let mut records = Vec::with_capacity(batch.len());
        for (place, parked, record) in batch {
            places.push((place, parked));
            records.push(record);
        }
        let records = open_keys(&pull.keys.ring(), records);
        let items = items_of(&records);
        let call = |source| RetryError::Call {
            corpid: pull.corp.corpid.clone(),
            source,
        };
        let outcomes = if items.is_empty() {
            Vec::new()
        } else {
            let worker = match self.worker.take() {
                Some(worker) => worker,
                None => Mutex::new(pull.start_worker().map_err(call)?),
            };
            let attempts = pull.settings.attempts_once;
            let outcomes = decrypt_patiently(&worker, self.stop, attempts, &items);
            self.worker = Some(worker);
            outcomes.map_err(call)?
        };
        let mut outcomes = outcomes.into_iter();
        let rows = places.into_iter().zip(records);
        Ok(rows
            .map(|((place, parked), (record, key))| {
                let outcome = key.and_then(|_| outcomes.next().ok_or("sdk_no_answer"));
                let mut origin = self.origin(&parked);
                // Those were given a neighbour's number.
                if matches!(content_of(&parked.reason), Content::Record | Content::Gap) {
                    origin.seq = i64::try_from(record.seq).unwrap_or(parked.seq);
                    origin.publickey_ver = i32::try_from(record.publickey_ver).ok();
                }
                let row = row_of(&origin, &record, outcome);
                (place, parked, row)
            })
            .collect())
    }
}

#[cfg(test)]
mod tests;
