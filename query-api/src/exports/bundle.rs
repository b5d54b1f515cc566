//! A zip that is the same whenever it is made from the same: no times, names of our own only, and a
//! manifest (清单) with the size and hash of every other file in it.

use std::fs::File;
use std::io::{self, BufWriter, Write};

use aws_lc_rs::digest::{Context, SHA256};
use huicun_engine::media::store::hex;
use serde::Serialize;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use super::error::ExportError;

/// A file in the zip.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Packed {
    pub(super) name: String,
    pub(super) bytes: u64,
    pub(super) sha256: String,
}

/// A zip in the making; what is written goes into the file begun last.
pub(super) struct Bundle<'f> {
    zip: ZipWriter<BufWriter<&'f mut File>>,
    packed: Vec<Packed>,
    hash: Context,
    n_bytes: u64,
    name: Option<String>,
}

impl<'f> Bundle<'f> {
    pub(super) fn new(file: &'f mut File) -> Self {
        Self {
            zip: ZipWriter::new(BufWriter::new(file)),
            packed: Vec::new(),
            hash: Context::new(&SHA256),
            n_bytes: 0,
            name: None,
        }
    }

    /// Begins a file of text.
    pub(super) fn begin_text(&mut self, name: &str) -> Result<(), ExportError> {
        self.begin(name, CompressionMethod::Deflated)
    }

    /// Begins a file that is compressed already, as pictures and sound are.
    pub(super) fn begin_as_is(&mut self, name: &str) -> Result<(), ExportError> {
        self.begin(name, CompressionMethod::Stored)
    }

    fn begin(&mut self, name: &str, method: CompressionMethod) -> Result<(), ExportError> {
        self.end();
        let options = SimpleFileOptions::default()
            .compression_method(method)
            .last_modified_time(DateTime::default())
            .unix_permissions(0o644)
            // Where a video ends is not known when it begins.
            .large_file(true);
        self.zip.start_file(name, options)?;
        self.name = Some(name.to_string());
        Ok(())
    }

    /// Ends the file that was begun last; tells its hash.
    pub(super) fn end(&mut self) -> Option<&Packed> {
        let name = self.name.take()?;
        let hash = std::mem::replace(&mut self.hash, Context::new(&SHA256));
        self.packed.push(Packed {
            name,
            bytes: std::mem::take(&mut self.n_bytes),
            sha256: hex(hash.finish().as_ref()),
        });
        self.packed.last()
    }

    /// Ends the last file and tells all.
    pub(super) fn packed(&mut self) -> &[Packed] {
        self.end();
        &self.packed
    }

    pub(super) fn finish(mut self) -> Result<(), ExportError> {
        self.end();
        Ok(self.zip.finish()?.flush()?)
    }
}

impl Write for Bundle<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.zip.write(bytes)?;
        self.hash.update(&bytes[..n]);
        self.n_bytes += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.zip.flush()
    }
}
