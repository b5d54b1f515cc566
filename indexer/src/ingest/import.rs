//! Imports messages from NDJSON files (contract, "Feeds in"): decrypted WeCom messages, or
//! envelopes with seq and key version; plain, gzip or zstd.
//!
//! Lines are parsed in parallel, a block at a time; nothing is lost: a line that cannot be read
//! becomes a quarantined record with its reason. A line without seq gets the highest seq present
//! before the import plus its line number. A msgid that is already there changes nothing.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use huicun_engine::archive::{Home, MessageRow};
use huicun_semantics::time::Zone;
use rayon::prelude::*;

use super::normalise::split_line;
use super::row::{self, Origin};
use super::sink::{COMMIT_BYTES_MAX, Sink, SinkError, bytes_of};

/// Bytes of lines that are parsed together.
const BLOCK_BYTES: usize = 8 << 20;
/// Rows of one commit.
const COMMIT_ROWS: usize = 100_000;

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
    /// The archive could not be written.
    #[error(transparent)]
    Sink(#[from] SinkError),
}

/// What an import did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Summary {
    /// Lines read, empty ones left out.
    pub lines: u64,
    /// Messages that are new.
    pub archived: u64,
    /// Records kept unread.
    pub quarantined: u64,
    /// Lines whose message was already there.
    pub duplicates: u64,
}

/// Imports `files` (`-` is stdin) under the name `source`.
pub async fn import(
    home: &Home,
    files: &[PathBuf],
    source: &str,
    zone: Zone,
    now_ms: i64,
    progress: &mut (dyn FnMut(&Summary) + Send),
) -> Result<Summary, ImportError> {
    // A file that is not there is found before anything is touched.
    for path in files.iter().filter(|path| !is_stdin(path)) {
        File::open(path).map_err(|e| read_error(path, e))?;
    }
    let source: Arc<str> = source.into();
    let mut sink = Sink::open(home, "huicun import", zone).await?;
    let base = sink.messages().highest_seq(&source);
    let mut state = Import {
        sink: &mut sink,
        source,
        base,
        now_ms,
        line: 0,
        pending: Vec::new(),
        pending_bytes: 0,
        summary: Summary::default(),
        progress,
    };
    for path in files {
        state.file(path).await?;
    }
    state.commit().await?;
    let summary = state.summary;
    sink.close().await?;
    Ok(summary)
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
    let mut raw: Box<dyn Read + Send> = if is_stdin(path) {
        Box::new(std::io::stdin())
    } else {
        Box::new(File::open(path)?)
    };
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

struct Import<'a> {
    sink: &'a mut Sink,
    source: Arc<str>,
    base: i64,
    now_ms: i64,
    /// Lines before the next block, over all files.
    line: i64,
    pending: Vec<MessageRow>,
    pending_bytes: usize,
    summary: Summary,
    progress: &'a mut (dyn FnMut(&Summary) + Send),
}

impl Import<'_> {
    async fn file(&mut self, path: &Path) -> Result<(), ImportError> {
        let mut reader = open(path).map_err(|e| read_error(path, e))?;
        let mut block = Vec::with_capacity(BLOCK_BYTES + (1 << 20));
        loop {
            let n = reader
                .by_ref()
                .take(BLOCK_BYTES as u64)
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
            self.block(&block).await?;
            block = rest;
            if block.len() > LINE_BYTES_KEPT_MAX {
                return Err(ImportError::LineTooLong {
                    path: path.to_path_buf(),
                    line: self.line + 1,
                });
            }
            if is_end {
                return Ok(());
            }
        }
    }

    async fn block(&mut self, block: &[u8]) -> Result<(), ImportError> {
        let lines: Vec<&[u8]> = block.split_inclusive(|b| *b == b'\n').collect();
        let first = self.line;
        let rows: Vec<MessageRow> = lines
            .par_iter()
            .enumerate()
            .filter(|(_, line)| !line.iter().all(u8::is_ascii_whitespace))
            .map(|(index, line)| {
                let number = first + index as i64 + 1;
                to_row(
                    line,
                    self.base.saturating_add(number),
                    &self.source,
                    self.now_ms,
                )
            })
            .collect();
        self.line += lines.len() as i64;
        self.summary.lines += rows.len() as u64;
        self.pending_bytes += bytes_of(&rows);
        self.pending.extend(rows);
        if self.pending.len() >= COMMIT_ROWS || self.pending_bytes >= COMMIT_BYTES_MAX {
            self.commit().await?;
        }
        Ok(())
    }

    async fn commit(&mut self) -> Result<(), ImportError> {
        let rows = std::mem::take(&mut self.pending);
        self.pending_bytes = 0;
        let done = self.sink.append(&self.source, rows, None).await?;
        self.summary.archived += done.n_archived;
        self.summary.quarantined += done.n_quarantined;
        self.summary.duplicates += done.n_duplicates;
        (self.progress)(&self.summary);
        Ok(())
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
