//! The media of a tape: packed files with an index sorted by the MD5 of the `sdkfileid`,
//! served in chunks as the real library does (wecom-sdk 1.3).
//!
//! One entry of `media/index.bin` is 56 bytes: MD5 of the id (16), MD5 of the content
//! (16), then pack number, offset and size as little-endian `u64`.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use md5::{Digest as _, Md5};

use crate::cipher::Code;
use crate::error::io_at;
use crate::{TapeError, format};

/// Bytes of a full media chunk.
pub const MEDIA_CHUNK_BYTES: u64 = 524_288;

const ENTRY: usize = 56;
/// A pack is closed when it has passed this size.
const PACK_BYTES_MAX: u64 = 1 << 30;

/// How media are made up for messages that name some.
#[derive(Debug, Clone, Copy)]
pub struct MediaOptions {
    /// A file is never longer than this, whatever its message says.
    pub bytes_max: u64,
}

impl Default for MediaOptions {
    fn default() -> Self {
        Self {
            bytes_max: 64 << 10,
        }
    }
}

/// What a tape knows of one media file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaEntry {
    /// Bytes of the file.
    pub size: u64,
    /// MD5 of the file, 32 lower-case hex digits. What the message says may differ.
    pub md5sum: String,
}

/// One chunk, as `GetMediaData` gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaChunk {
    /// The bytes of this chunk.
    pub data: Vec<u8>,
    /// What to pass for the next chunk; empty after the last.
    pub next_index: String,
    /// Whether this was the last chunk.
    pub is_finished: bool,
}

#[derive(Clone, Copy)]
struct Place {
    md5: [u8; 16],
    pack: u64,
    offset: u64,
    size: u64,
}

pub(crate) struct MediaWriter {
    dir: PathBuf,
    places: HashMap<[u8; 16], Place>,
    packs: Vec<u64>,
    open: Option<BufWriter<File>>,
}

impl MediaWriter {
    pub fn new(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            places: HashMap::new(),
            packs: Vec::new(),
            open: None,
        }
    }

    pub fn contains(&self, sdkfileid: &str) -> bool {
        self.places.contains_key(&md5_of(sdkfileid.as_bytes()))
    }

    pub fn add(&mut self, sdkfileid: &str, bytes: &[u8]) -> Result<(), TapeError> {
        let key = md5_of(sdkfileid.as_bytes());
        if self.places.contains_key(&key) {
            return Ok(());
        }
        if self.packs.last().is_none_or(|&size| size >= PACK_BYTES_MAX) {
            self.next_pack()?;
        }
        let number = self.packs.len() - 1;
        let path = format::media_pack_path(&self.dir, number);
        if let Some(pack) = &mut self.open {
            pack.write_all(bytes).map_err(io_at("write", &path))?;
        }
        let place = Place {
            md5: md5_of(bytes),
            pack: number as u64,
            offset: self.packs[number],
            size: bytes.len() as u64,
        };
        self.packs[number] += bytes.len() as u64;
        self.places.insert(key, place);
        Ok(())
    }

    /// Writes the index; the number of files and the size of each pack.
    pub fn finish(&mut self) -> Result<(u64, Vec<u64>), TapeError> {
        self.close_pack()?;
        let mut entries: Vec<_> = std::mem::take(&mut self.places).into_iter().collect();
        entries.sort_unstable_by_key(|(key, _)| *key);
        let mut bytes = Vec::with_capacity(entries.len() * ENTRY);
        for (key, place) in &entries {
            bytes.extend_from_slice(key);
            bytes.extend_from_slice(&place.md5);
            for number in [place.pack, place.offset, place.size] {
                bytes.extend_from_slice(&number.to_le_bytes());
            }
        }
        let path = format::media_index_path(&self.dir);
        fs::write(&path, bytes).map_err(io_at("write", &path))?;
        Ok((entries.len() as u64, std::mem::take(&mut self.packs)))
    }

    fn next_pack(&mut self) -> Result<(), TapeError> {
        self.close_pack()?;
        let path = format::media_pack_path(&self.dir, self.packs.len());
        let file = File::create_new(&path).map_err(io_at("create", &path))?;
        self.open = Some(BufWriter::with_capacity(1 << 20, file));
        self.packs.push(0);
        Ok(())
    }

    fn close_pack(&mut self) -> Result<(), TapeError> {
        match self.open.take() {
            Some(mut pack) => pack.flush().map_err(io_at("write", &self.dir)),
            None => Ok(()),
        }
    }
}

pub(crate) struct MediaReader {
    index: File,
    n_entries: u64,
    packs: Vec<File>,
}

impl MediaReader {
    pub fn open(dir: &Path, n_media: u64, pack_sizes: &[u64]) -> Result<Self, TapeError> {
        let index = open_sized(&format::media_index_path(dir), n_media * ENTRY as u64)?;
        let packs = pack_sizes
            .iter()
            .enumerate()
            .map(|(n, &size)| open_sized(&format::media_pack_path(dir, n), size))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            index,
            n_entries: n_media,
            packs,
        })
    }

    pub fn entry(&self, sdkfileid: &str) -> Option<MediaEntry> {
        let place = self.find(sdkfileid)?;
        let md5sum = place.md5.iter().map(|b| format!("{b:02x}")).collect();
        Some(MediaEntry {
            size: place.size,
            md5sum,
        })
    }

    pub fn chunk(&self, index: &str, sdkfileid: &str) -> Result<MediaChunk, Code> {
        if sdkfileid.is_empty() {
            return Err(Code::BAD_PARAMETER);
        }
        let place = self.find(sdkfileid).ok_or(Code::FILE_ID)?;
        let (from, to) = range_of(index, place.size).ok_or(Code::BAD_PARAMETER)?;
        let mut data = vec![0; usize::try_from(to - from).map_err(|_| Code::SYSTEM)?];
        let pack = usize::try_from(place.pack).map_err(|_| Code::SYSTEM)?;
        self.packs
            .get(pack)
            .ok_or(Code::SYSTEM)?
            .read_exact_at(&mut data, place.offset + from)
            .map_err(|_| Code::SYSTEM)?;
        Ok(MediaChunk {
            data,
            next_index: index_after(to, place.size),
            is_finished: to >= place.size,
        })
    }

    fn find(&self, sdkfileid: &str) -> Option<Place> {
        let key = md5_of(sdkfileid.as_bytes());
        let (mut low, mut high) = (0, self.n_entries);
        while low < high {
            let middle = low + (high - low) / 2;
            let mut entry = [0; ENTRY];
            self.index
                .read_exact_at(&mut entry, middle * ENTRY as u64)
                .ok()?;
            match entry[..16].cmp(&key[..]) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return Some(read_place(&entry)),
            }
        }
        None
    }
}

/// The half-open byte range that an index asks for, or `None` when it is malformed.
fn range_of(index: &str, size: u64) -> Option<(u64, u64)> {
    if index.is_empty() {
        return Some((0, size.min(MEDIA_CHUNK_BYTES)));
    }
    let (first, last) = index.strip_prefix("Range:bytes=")?.split_once('-')?;
    let digits =
        |s: &str| (!s.is_empty() && s.bytes().all(|b| b.is_ascii_digit())).then(|| s.parse());
    let (first, last): (u64, u64) = (digits(first)?.ok()?, digits(last)?.ok()?);
    if first > last || first >= size || last - first >= MEDIA_CHUNK_BYTES {
        return None;
    }
    Some((first, (last + 1).min(size)))
}

/// The index of the chunk that starts at `at`, its second bound clamped to the file.
fn index_after(at: u64, size: u64) -> String {
    if at >= size {
        return String::new();
    }
    format!(
        "Range:bytes={at}-{}",
        (at + MEDIA_CHUNK_BYTES).min(size) - 1
    )
}

fn read_place(entry: &[u8; ENTRY]) -> Place {
    let number = |at: usize| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&entry[at..at + 8]);
        u64::from_le_bytes(bytes)
    };
    let mut md5 = [0; 16];
    md5.copy_from_slice(&entry[16..32]);
    Place {
        md5,
        pack: number(32),
        offset: number(40),
        size: number(48),
    }
}

/// Opens a file of the tape and checks its size.
pub(crate) fn open_sized(path: &Path, expected: u64) -> Result<File, TapeError> {
    let file = File::open(path).map_err(io_at("open", path))?;
    let found = file.metadata().map_err(io_at("read", path))?.len();
    if found != expected {
        return Err(TapeError::Truncated {
            path: path.to_owned(),
            expected,
            found,
        });
    }
    Ok(file)
}

/// Made-up content for a media file: the magic number that fits its kind, then bytes that
/// depend on nothing but its id.
pub(crate) fn synthesise(sdkfileid: &str, kind: &str, size: u64) -> Vec<u8> {
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    let mut bytes = Vec::with_capacity(size + 16);
    bytes.extend_from_slice(magic_of(kind));
    let seed = md5_of(sdkfileid.as_bytes());
    let mut state = u64::from_le_bytes([
        seed[0], seed[1], seed[2], seed[3], seed[4], seed[5], seed[6], seed[7],
    ]) | 1;
    while bytes.len() < size {
        // xorshift64: fast filler, nothing more.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

fn magic_of(kind: &str) -> &'static [u8] {
    match kind {
        "image" | "jpg" | "jpeg" => b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01",
        "voice" | "meeting_voice_call" | "amr" => b"#!AMR\n",
        "video" | "mp4" => b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00",
        "emotion" | "gif" => b"GIF89a",
        "png" => b"\x89PNG\r\n\x1a\n",
        "pdf" => b"%PDF-1.4\n",
        "docx" | "xlsx" | "pptx" | "zip" => b"PK\x03\x04",
        _ => b"",
    }
}

fn md5_of(bytes: &[u8]) -> [u8; 16] {
    Md5::digest(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indexes_are_clamped_to_the_file_and_malformed_ones_refused() {
        assert_eq!(range_of("", 10), Some((0, 10)));
        assert_eq!(range_of("", 655_712), Some((0, 524_288)));
        assert_eq!(index_after(524_288, 655_712), "Range:bytes=524288-655711");
        assert_eq!(
            range_of("Range:bytes=524288-655711", 655_712),
            Some((524_288, 655_712))
        );
        assert_eq!(
            range_of("Range:bytes=524288-1048575", 655_712),
            Some((524_288, 655_712))
        );
        assert_eq!(index_after(655_712, 655_712), "");
        for bad in [
            "x",
            "Range:bytes=",
            "Range:bytes=5-",
            "Range:bytes=+5-6",
            "Range:bytes=9-5",
            "Range:bytes=655712-655713",
            "Range:bytes=0-524288",
            "Range:bytes=0-99999999999999999999999",
        ] {
            assert_eq!(range_of(bad, 655_712), None, "{bad}");
        }
    }

    #[test]
    fn made_up_content_is_of_the_size_asked_for() {
        for size in [0, 1, 7, 100, 4096] {
            assert_eq!(synthesise("id", "image", size).len() as u64, size);
        }
        assert!(synthesise("id", "voice", 64).starts_with(b"#!AMR\n"));
        assert_ne!(synthesise("a", "", 64), synthesise("b", "", 64));
    }
}
