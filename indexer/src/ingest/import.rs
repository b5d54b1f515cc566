//! Imports messages from NDJSON files (contract, "Feeds in"): decrypted WeCom messages, or
//! envelopes with seq and key version; plain, gzip or zstd.
//!
//! One thread reads, the cores parse a block at a time, and commits are made meanwhile. Nothing is
//! lost: a line that cannot be read becomes a quarantined record with its reason. A line without
//! seq gets the highest seq present before the import plus its line number. A msgid that is
//! already there changes nothing.
//!
//! Each commit carries how many lines are in, so that an import that was interrupted goes on there
//! when the same files are imported again, with the numbers that it would have given.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::digest::{Context, SHA256};
use huicun_engine::archive::{Appended, Home, ImportMark, MessageRow};
use huicun_semantics::time::Zone;
use rayon::prelude::*;

use super::normalise::split_line;
use super::row::{self, Origin};
use super::sink::{COMMIT_BYTES_MAX, Sink, SinkError, bytes_of};

/// How much is done at a time.
#[derive(Clone, Copy)]
struct Portions {
    /// Bytes of lines that are parsed together.
    block_bytes: usize,
    /// Rows of one commit: each costs one synced file for every day that it touches.
    commit_rows: usize,
    /// Rows for each day that a commit touches, below which more are gathered first.
    rows_per_day: usize,
}

/// Rows that are dropped soon leave their memory for the next: larger portions are slower.
const PORTIONS: Portions = Portions {
    block_bytes: 4 << 20,
    commit_rows: 50_000,
    rows_per_day: 1_000,
};
/// Rows that are gathered at most, however many days they touch.
const GATHERED_ROWS_MAX: usize = 300_000;
const DAY_MS: i64 = 86_400_000;
/// Parsed blocks that wait for the commit before them.
const QUEUED_BLOCKS_MAX: usize = 2;
/// Bytes at either end of a file that tell it from others, beside its length.
const FINGERPRINT_BYTES: u64 = 64 << 10;

/// The longest line that is kept, if only in the quarantine: a binary file given by mistake may
/// have none of its own, and must not fill the memory.
const LINE_BYTES_KEPT_MAX: usize = 256 << 20;

/// Why an import stopped. What was committed before stays; importing again goes on.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// A file cannot be read.
    #[error("cannot read `{}`: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The reader's own words.
        source: std::io::Error,
    },
    /// A line without an end: no file of messages.
    #[error("`{}`, line {line}: it is longer than {LINE_BYTES_KEPT_MAX} bytes", path.display())]
    LineTooLong {
        /// The file.
        path: PathBuf,
        /// Counted from 1, over all files.
        line: i64,
    },
    /// The reading thread ended in a panic.
    #[error("the import stopped unexpectedly; what was committed is safe, import again to go on")]
    Panicked,
    /// The archive could not be written.
    #[error(transparent)]
    Sink(#[from] SinkError),
}

/// What an import did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Summary {
    /// Lines of the files, empty ones left out.
    pub lines: u64,
    /// Messages that are new.
    pub archived: u64,
    /// Records kept unread.
    pub quarantined: u64,
    /// Lines whose message was already there.
    pub duplicates: u64,
    /// Lines that an earlier, interrupted import of the same files had brought in.
    pub resumed: u64,
}

/// How far an import is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Progress {
    /// What is committed.
    pub summary: Summary,
    /// Bytes read of the files as they are (compressed, where they are).
    pub bytes_read: u64,
}

/// Imports `files` (`-` is stdin) under the name `source`.
pub async fn import(
    home: &Home,
    files: &[PathBuf],
    source: &str,
    zone: Zone,
    now_ms: i64,
    progress: &mut (dyn FnMut(&Progress) + Send),
) -> Result<Summary, ImportError> {
    import_by(PORTIONS, home, files, source, zone, now_ms, progress).await
}

async fn import_by(
    portions: Portions,
    home: &Home,
    files: &[PathBuf],
    source: &str,
    zone: Zone,
    now_ms: i64,
    progress: &mut (dyn FnMut(&Progress) + Send),
) -> Result<Summary, ImportError> {
    // A file that is not there is found before anything is touched.
    for path in files.iter().filter(|path| !is_stdin(path)) {
        File::open(path).map_err(|e| read_error(path, e))?;
    }
    let id = fingerprint(source, files)?;
    let source: Arc<str> = source.into();
    let mut sink = Sink::open(home, "huicun import", zone).await?;
    let unfinished = match &id {
        Some(id) => sink.unfinished_import(id).await?,
        None => None,
    };
    let base = sink.messages().highest_seq(&source);
    let (base, lines_in) = unfinished.map_or((base, 0), |mark| (mark.base, mark.lines));
    let bytes_read = Arc::new(AtomicU64::new(0));
    let (blocks_tx, mut blocks) = tokio::sync::mpsc::channel(QUEUED_BLOCKS_MAX);
    let parser = Parser {
        files: files.to_vec(),
        block_bytes: portions.block_bytes,
        source: Arc::clone(&source),
        base,
        lines_in,
        now_ms,
        line: 0,
        bytes_read: Arc::clone(&bytes_read),
        blocks: blocks_tx,
    };
    // A thread of its own and not the runtime's, which waits for all of its own when it ends: one
    // that waits for stdin must not hold up the error of a commit.
    let (outcome_tx, outcome) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || outcome_tx.send(parser.run()));
    let mut gathered = Gathered::default();
    let mut summary = Summary::default();
    let mark = |lines, is_finished| ImportMark {
        id: id.clone().unwrap_or_default(),
        base,
        lines,
        is_finished,
    };
    while let Some(block) = blocks.recv().await {
        summary.lines += block.n_records;
        summary.resumed += block.n_resumed;
        gathered.add(block);
        if gathered.is_full(portions) {
            let (rows, lines) = gathered.take();
            let done = sink
                .append_import(&source, rows, mark(lines, false))
                .await?;
            summary.add(&done);
        }
        progress(&Progress {
            summary,
            bytes_read: bytes_read.load(Ordering::Relaxed),
        });
    }
    let parsed = outcome.await.unwrap_or(Err(ImportError::Panicked));
    // What was read before a file that cannot be read further stays.
    let (rows, lines) = gathered.take();
    let done = sink
        .append_import(&source, rows, mark(lines, parsed.is_ok()))
        .await?;
    summary.add(&done);
    sink.close().await?;
    parsed.map(|()| summary)
}

impl Summary {
    fn add(&mut self, done: &Appended) {
        self.archived += done.n_archived;
        self.quarantined += done.n_quarantined;
        self.duplicates += done.n_duplicates;
    }
}

/// Parsed lines on their way to a commit.
#[derive(Default)]
struct Gathered {
    rows: Vec<MessageRow>,
    n_bytes: usize,
    /// Days that they touch, nearly: time zones do not matter for a count.
    days: HashSet<i64>,
    lines: i64,
}

impl Gathered {
    fn add(&mut self, block: Block) {
        self.n_bytes += bytes_of(&block.rows);
        let days = block
            .rows
            .iter()
            .map(|row| row.msgtime_ms.div_euclid(DAY_MS));
        self.days.extend(days);
        self.rows.extend(block.rows);
        self.lines = block.lines;
    }

    fn is_full(&self, portions: Portions) -> bool {
        let n_rows = self.rows.len();
        let enough = (self.days.len() * portions.rows_per_day).min(GATHERED_ROWS_MAX);
        n_rows >= portions.commit_rows.max(enough) || self.n_bytes >= COMMIT_BYTES_MAX
    }

    fn take(&mut self) -> (Vec<MessageRow>, i64) {
        self.n_bytes = 0;
        self.days.clear();
        (std::mem::take(&mut self.rows), self.lines)
    }
}

/// Tells the same files again: source, lengths, times of the last change, and both ends of each. A
/// file whose middle was mended is another one: its lines are looked at from the first. None where
/// stdin is among them, which nobody can read again.
fn fingerprint(source: &str, files: &[PathBuf]) -> Result<Option<String>, ImportError> {
    if files.iter().any(|path| is_stdin(path)) {
        return Ok(None);
    }
    let mut digest = Context::new(&SHA256);
    digest.update(source.as_bytes());
    for path in files {
        let ends = || -> std::io::Result<(u64, u128, Vec<u8>)> {
            let mut file = File::open(path)?;
            let about = file.metadata()?;
            let length = about.len();
            let changed = about.modified()?.duration_since(std::time::UNIX_EPOCH);
            let mut bytes = Vec::new();
            file.by_ref()
                .take(FINGERPRINT_BYTES)
                .read_to_end(&mut bytes)?;
            if length > FINGERPRINT_BYTES {
                file.seek(SeekFrom::Start(length - FINGERPRINT_BYTES))?;
                file.take(FINGERPRINT_BYTES).read_to_end(&mut bytes)?;
            }
            Ok((length, changed.map_or(0, |t| t.as_nanos()), bytes))
        };
        let (length, changed, bytes) = ends().map_err(|e| read_error(path, e))?;
        digest.update(&length.to_be_bytes());
        digest.update(&changed.to_be_bytes());
        digest.update(&bytes);
    }
    let digest = digest.finish();
    let hex = digest.as_ref().iter().take(16).map(|b| format!("{b:02x}"));
    Ok(Some(hex.collect()))
}

fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

fn read_error(path: &Path, source: std::io::Error) -> ImportError {
    ImportError::Read {
        path: path.to_path_buf(),
        source,
    }
}

/// Opens a file (`-` is stdin), seeing through gzip and zstd by their first bytes.
pub fn open(path: &Path) -> std::io::Result<Box<dyn Read + Send>> {
    open_counted(path, Arc::default())
}

fn open_counted(path: &Path, n_read: Arc<AtomicU64>) -> std::io::Result<Box<dyn Read + Send>> {
    let raw: Box<dyn Read + Send> = if is_stdin(path) {
        Box::new(std::io::stdin())
    } else {
        Box::new(File::open(path)?)
    };
    let mut raw = Counted { raw, n_read };
    let mut first = Vec::with_capacity(4);
    raw.by_ref().take(4).read_to_end(&mut first)?;
    let (is_gzip, is_zstd) = (
        first.starts_with(&[0x1f, 0x8b]),
        first == [0x28, 0xb5, 0x2f, 0xfd],
    );
    let whole = std::io::Cursor::new(first).chain(raw);
    let whole = BufReader::with_capacity(1 << 20, whole);
    Ok(if is_gzip {
        Box::new(flate2::read::MultiGzDecoder::new(whole))
    } else if is_zstd {
        Box::new(zstd::Decoder::with_buffer(whole)?)
    } else {
        Box::new(whole)
    })
}

/// Counts what is read of a file, for the progress.
struct Counted {
    raw: Box<dyn Read + Send>,
    n_read: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.raw.read(buffer)?;
        self.n_read.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}

/// The rows of one block of lines.
struct Block {
    rows: Vec<MessageRow>,
    /// Lines that are not empty, those brought in before among them.
    n_records: u64,
    /// Of these, what an earlier import had brought in.
    n_resumed: u64,
    /// Lines so far, over all files, with this block.
    lines: i64,
}

/// The reading and parsing side, in a thread of its own.
struct Parser {
    files: Vec<PathBuf>,
    block_bytes: usize,
    source: Arc<str>,
    base: i64,
    /// Lines that an earlier import of the same files had brought in.
    lines_in: i64,
    now_ms: i64,
    /// Lines before the next block, over all files.
    line: i64,
    bytes_read: Arc<AtomicU64>,
    blocks: tokio::sync::mpsc::Sender<Block>,
}

/// The commits have ended; their error is told there.
struct NobodyListens;

impl Parser {
    fn run(mut self) -> Result<(), ImportError> {
        for path in std::mem::take(&mut self.files) {
            if let Some(NobodyListens) = self.file(&path)? {
                break;
            }
        }
        Ok(())
    }

    fn file(&mut self, path: &Path) -> Result<Option<NobodyListens>, ImportError> {
        let mut reader =
            open_counted(path, Arc::clone(&self.bytes_read)).map_err(|e| read_error(path, e))?;
        let mut block = Vec::with_capacity(self.block_bytes + (1 << 20));
        loop {
            let n = reader
                .by_ref()
                .take(self.block_bytes as u64)
                .read_to_end(&mut block)
                .map_err(|e| read_error(path, e))?;
            let is_end = n == 0;
            // The last, unfinished line waits for its rest.
            let whole = match block.iter().rposition(|b| *b == b'\n') {
                _ if is_end => block.len(),
                Some(newline) => newline + 1,
                None => 0,
            };
            let rest = block.split_off(whole);
            let parsed = self.block(&block);
            if self.blocks.blocking_send(parsed).is_err() {
                return Ok(Some(NobodyListens));
            }
            block = rest;
            if block.len() > LINE_BYTES_KEPT_MAX {
                return Err(ImportError::LineTooLong {
                    path: path.to_path_buf(),
                    line: self.line + 1,
                });
            }
            if is_end {
                return Ok(None);
            }
        }
    }

    fn block(&mut self, block: &[u8]) -> Block {
        let lines: Vec<&[u8]> = block.split_inclusive(|b| *b == b'\n').collect();
        let first = self.line;
        self.line += lines.len() as i64;
        let is_record = |line: &&[u8]| !line.iter().all(u8::is_ascii_whitespace);
        let n_in = usize::try_from(self.lines_in - first)
            .unwrap_or(0)
            .min(lines.len());
        let (known, new) = lines.split_at(n_in);
        let numbered = new.iter().enumerate().filter(|(_, line)| is_record(line));
        // Known by number before the cores share them, so that each writes into its place.
        let numbered: Vec<(usize, &[u8])> = numbered.map(|(at, line)| (at, *line)).collect();
        let rows: Vec<MessageRow> = numbered
            .into_par_iter()
            .map(|(index, line)| {
                let number = first + (n_in + index) as i64 + 1;
                let seq = self.base.saturating_add(number);
                to_row(line, seq, &self.source, self.now_ms)
            })
            .collect();
        let n_resumed = known.iter().filter(|line| is_record(line)).count() as u64;
        Block {
            n_records: n_resumed + rows.len() as u64,
            n_resumed,
            rows,
            lines: self.line,
        }
    }
}

fn to_row(line: &[u8], seq_of_line: i64, source: &Arc<str>, now_ms: i64) -> MessageRow {
    let mut origin = Origin {
        source: Arc::clone(source),
        seq: seq_of_line,
        publickey_ver: None,
        now_ms,
    };
    let opened = match split_line(line) {
        Ok(opened) => opened,
        Err(unreadable) => {
            let kept = line.trim_ascii_end().to_vec();
            return row::quarantined(&origin, "", unreadable.reason(), kept);
        }
    };
    origin.publickey_ver = opened.publickey_ver.and_then(|v| i32::try_from(v).ok());
    match opened.seq.map(i64::try_from) {
        None => {}
        Some(Ok(seq)) => origin.seq = seq,
        // Beyond the archive's 63 bits, which no open table format exceeds.
        Some(Err(_)) => {
            let kept = line.trim_ascii_end().to_vec();
            return row::quarantined(&origin, "", "seq_out_of_range", kept);
        }
    }
    row::of_plaintext(&origin, &opened.message)
}

#[cfg(test)]
mod tests;
