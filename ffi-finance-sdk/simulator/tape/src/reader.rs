//! Reading a tape: any page after any seq by a few positioned reads, whatever its length.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use crate::TapeError;
use crate::cipher::Code;
use crate::error::io_at;
use crate::format::{self, FORMAT_NAME, FORMAT_VERSION, Manifest, RECORD_INDEX_ENTRY};
use crate::media::{MediaChunk, MediaEntry, MediaReader, open_sized};

struct RecordFile {
    path: PathBuf,
    records: File,
    index: File,
    last_seq: u64,
    n_records: u64,
    bytes: u64,
}

/// A tape, open for reading. It may be shared between threads.
pub struct Tape {
    manifest: Manifest,
    files: Vec<RecordFile>,
    media: MediaReader,
}

impl std::fmt::Debug for Tape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tape")
            .field("n_messages", &self.manifest.n_messages)
            .finish_non_exhaustive()
    }
}

impl Tape {
    /// Opens a tape and checks that its files are whole.
    ///
    /// # Errors
    /// Every way in which the folder is not a whole tape of a known format.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, TapeError> {
        let dir = dir.as_ref();
        let manifest = read_manifest(dir)?;
        let files = manifest
            .record_files
            .iter()
            .map(|info| {
                let path = format::records_dir(dir).join(&info.name);
                Ok(RecordFile {
                    records: open_sized(&path, info.bytes)?,
                    index: open_sized(
                        &format::record_index_path(&path),
                        info.n_records.saturating_mul(RECORD_INDEX_ENTRY as u64),
                    )?,
                    path,
                    last_seq: info.last_seq,
                    n_records: info.n_records,
                    bytes: info.bytes,
                })
            })
            .collect::<Result<_, TapeError>>()?;
        let media = MediaReader::open(dir, manifest.n_media, &manifest.media_packs)?;
        Ok(Self {
            manifest,
            files,
            media,
        })
    }

    /// The corp id that a caller must give.
    pub fn corpid(&self) -> &str {
        &self.manifest.corpid
    }

    /// The archive secret that a caller must give.
    pub fn secret(&self) -> &str {
        &self.manifest.secret
    }

    /// How many records there are.
    pub fn n_messages(&self) -> u64 {
        self.manifest.n_messages
    }

    /// How many media files there are.
    pub fn n_media(&self) -> u64 {
        self.manifest.n_media
    }

    /// The first and the last seq, unless the tape is empty.
    pub fn seq_bounds(&self) -> Option<(u64, u64)> {
        Some((self.manifest.first_seq?, self.manifest.last_seq?))
    }

    /// The `publickey_ver`s, ascending.
    pub fn key_versions(&self) -> &[u32] {
        &self.manifest.key_versions
    }

    /// Up to `limit` records with a seq above `after_seq`, ascending, as the JSON text that
    /// `GetChatData` gives.
    ///
    /// # Errors
    /// [`TapeError::Io`] and [`TapeError::Damaged`].
    pub fn page(&self, after_seq: u64, limit: u32) -> Result<String, TapeError> {
        let mut json = String::from(r#"{"errcode":0,"errmsg":"ok","chatdata":["#);
        let start = json.len();
        let mut left = u64::from(limit);
        let first = self
            .files
            .partition_point(|file| file.last_seq <= after_seq);
        for file in &self.files[first..] {
            if left == 0 {
                break;
            }
            let from = file.first_after(after_seq)?;
            let to = file.n_records.min(from + left);
            if json.len() > start && from < to {
                json.push(',');
            }
            file.push_records(&mut json, from, to)?;
            left -= to - from;
        }
        json.push_str("]}");
        Ok(json)
    }

    /// What is known of a media file.
    pub fn media_entry(&self, sdkfileid: &str) -> Option<MediaEntry> {
        self.media.entry(sdkfileid)
    }

    /// One chunk of a media file; `index` is empty for the first, then `next_index` of the last.
    ///
    /// # Errors
    /// 10000 for an empty id or a malformed index, 10005 for an unknown id, 10003 when the tape
    /// cannot be read.
    pub fn media_chunk(&self, index: &str, sdkfileid: &str) -> Result<MediaChunk, Code> {
        self.media.chunk(index, sdkfileid)
    }
}

impl RecordFile {
    /// The number of the first record with a seq above `after_seq`.
    fn first_after(&self, after_seq: u64) -> Result<u64, TapeError> {
        let (mut low, mut high) = (0, self.n_records);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.entry(middle)?.0 <= after_seq {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    /// Appends the records `from..to`, joined by commas.
    fn push_records(&self, json: &mut String, from: u64, to: u64) -> Result<(), TapeError> {
        if from >= to {
            return Ok(());
        }
        let begin = self.entry(from)?.1;
        let end = if to < self.n_records {
            self.entry(to)?.1
        } else {
            self.bytes
        };
        let damaged = |why: &str| TapeError::Damaged {
            path: self.path.clone(),
            why: why.to_owned(),
        };
        // Every record ends in a line feed, which is left out after the last.
        let n_bytes = (end.checked_sub(begin))
            .and_then(|n| n.checked_sub(1))
            .filter(|_| end <= self.bytes)
            .and_then(|n| usize::try_from(n).ok())
            .ok_or_else(|| damaged("the index points outside the records"))?;
        let mut bytes = vec![0; n_bytes];
        self.records
            .read_exact_at(&mut bytes, begin)
            .map_err(io_at("read", &self.path))?;
        for byte in &mut bytes {
            if *byte == b'\n' {
                *byte = b',';
            }
        }
        let text = String::from_utf8(bytes).map_err(|_| damaged("records are not UTF-8"))?;
        json.push_str(&text);
        Ok(())
    }

    /// Seq and offset of one record.
    fn entry(&self, number: u64) -> Result<(u64, u64), TapeError> {
        let mut entry = [[0; 8]; 2];
        let at = number * RECORD_INDEX_ENTRY as u64;
        self.index
            .read_exact_at(entry.as_flattened_mut(), at)
            .map_err(io_at("read the index of", &self.path))?;
        Ok((u64::from_le_bytes(entry[0]), u64::from_le_bytes(entry[1])))
    }
}

fn read_manifest(dir: &Path) -> Result<Manifest, TapeError> {
    let path = format::manifest_path(dir);
    let owned = || dir.to_owned();
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(_) if !dir.exists() => return Err(TapeError::Missing { path: owned() }),
        Err(_) if !dir.is_dir() => {
            return Err(TapeError::Foreign {
                path: owned(),
                why: "it is not a folder",
            });
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            return Err(if format::records_dir(dir).is_dir() {
                TapeError::Unfinished { path: owned() }
            } else {
                TapeError::Foreign {
                    path: owned(),
                    why: "it has no `tape.json`",
                }
            });
        }
        Err(source) => return Err(io_at("read", &path)(source)),
    };
    // The header first: a newer format may have any other fields.
    #[derive(serde::Deserialize)]
    struct Header {
        format: String,
        format_version: u32,
    }
    let header: Header = serde_json::from_slice(&text).map_err(|_| TapeError::Foreign {
        path: owned(),
        why: "its `tape.json` has no tape header",
    })?;
    if header.format != FORMAT_NAME {
        return Err(TapeError::Foreign {
            path: owned(),
            why: "its `tape.json` names another format",
        });
    }
    if header.format_version > FORMAT_VERSION {
        return Err(TapeError::NewerFormat {
            path: owned(),
            found: header.format_version,
            known: FORMAT_VERSION,
        });
    }
    serde_json::from_slice(&text).map_err(|e| TapeError::Damaged {
        path,
        why: e.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Keys, TapeOptions, TapeWriter};

    fn seqs(page: &str) -> Vec<u64> {
        let page: serde_json::Value = serde_json::from_str(page).unwrap();
        let records = page["chatdata"].as_array().unwrap();
        records.iter().map(|r| r["seq"].as_u64().unwrap()).collect()
    }

    fn tape_of(dir: &Path, seqs: &[u64]) {
        let options = TapeOptions {
            keys: Keys::Generate { versions: 1 },
            records_per_file: 3,
            ..TapeOptions::default()
        };
        let mut writer = TapeWriter::create(dir, options).unwrap();
        for seq in seqs {
            writer
                .append(*seq, 1, format!("{{\"msgid\":\"m{seq}\"}}").as_bytes())
                .unwrap();
        }
        assert!(matches!(
            writer.append(seqs[0], 1, b"{}"),
            Err(TapeError::SeqNotAscending { .. })
        ));
        assert!(matches!(
            writer.append(1 << 40, 9, b"{}"),
            Err(TapeError::UnknownKeyVersion { version: 9 })
        ));
        writer.finish().unwrap();
    }

    #[test]
    fn every_page_holds_the_records_after_the_seq_given() {
        let dir = tempfile::tempdir().unwrap();
        let all = [2, 3, 7, 8, 9, 100, 101, 102, 5000, 5001];
        tape_of(dir.path(), &all);
        let tape = Tape::open(dir.path()).unwrap();
        assert_eq!(tape.seq_bounds(), Some((2, 5001)));
        for after in (0..12).chain([99, 100, 101, 4999, 5000, 5001, 9999, u64::MAX]) {
            for limit in [1, 2, 3, 4, 5, 1000] {
                let expected: Vec<u64> = all
                    .iter()
                    .copied()
                    .filter(|s| *s > after)
                    .take(limit as usize)
                    .collect();
                assert_eq!(
                    seqs(&tape.page(after, limit).unwrap()),
                    expected,
                    "{after} {limit}"
                );
            }
        }
    }

    #[test]
    fn a_folder_that_is_no_whole_tape_says_why() {
        let root = tempfile::tempdir().unwrap();
        let open = |name: &str| Tape::open(root.path().join(name)).unwrap_err();
        assert!(matches!(open("nothing"), TapeError::Missing { .. }));
        let put = |name: &str, text: &str| {
            fs::create_dir_all(root.path().join(name)).unwrap();
            fs::write(root.path().join(name).join("tape.json"), text).unwrap();
        };
        fs::create_dir(root.path().join("empty")).unwrap();
        assert!(matches!(open("empty"), TapeError::Foreign { .. }));
        put("foreign", "{\"format\":\"cassette\",\"format_version\":1}");
        assert!(matches!(open("foreign"), TapeError::Foreign { .. }));
        put(
            "newer",
            "{\"format\":\"huicun-tape\",\"format_version\":2,\"reels\":[]}",
        );
        assert!(matches!(
            open("newer"),
            TapeError::NewerFormat {
                found: 2,
                known: 1,
                ..
            }
        ));
        fs::create_dir_all(root.path().join("unfinished/records")).unwrap();
        assert!(matches!(open("unfinished"), TapeError::Unfinished { .. }));

        let whole = root.path().join("whole");
        tape_of(&whole, &[1, 2, 3, 4]);
        let records = whole.join("records/000002.ndjson");
        fs::OpenOptions::new()
            .write(true)
            .open(&records)
            .unwrap()
            .set_len(10)
            .unwrap();
        assert!(matches!(
            open("whole"),
            TapeError::Truncated { found: 10, .. }
        ));
        assert!(matches!(
            TapeWriter::create(&whole, TapeOptions::default()),
            Err(TapeError::NotEmpty { .. })
        ));
    }

    #[test]
    fn media_come_back_in_chunks() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = TapeWriter::create(dir.path(), TapeOptions::default()).unwrap();
        let bytes: Vec<u8> = (0..655_712_u32).map(|n| (n % 251) as u8).collect();
        writer.add_media("id+/=", &bytes).unwrap();
        writer.add_media("none", b"").unwrap();
        writer.add_media("id+/=", b"ignored").unwrap();
        writer.finish().unwrap();
        let tape = Tape::open(dir.path()).unwrap();
        assert_eq!(tape.n_media(), 2);
        let first = tape.media_chunk("", "id+/=").unwrap();
        assert_eq!(first.next_index, "Range:bytes=524288-655711");
        assert!(!first.is_finished);
        let second = tape.media_chunk(&first.next_index, "id+/=").unwrap();
        assert!(second.is_finished && second.next_index.is_empty());
        assert_eq!([first.data, second.data].concat(), bytes);
        assert!(tape.media_chunk("", "none").unwrap().is_finished);
        assert_eq!(tape.media_chunk("", "other"), Err(Code::FILE_ID));
        assert_eq!(tape.media_chunk("", ""), Err(Code::BAD_PARAMETER));
        assert_eq!(
            tape.media_chunk("Range:", "id+/="),
            Err(Code::BAD_PARAMETER)
        );
    }
}
