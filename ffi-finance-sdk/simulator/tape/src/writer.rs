//! Writing a tape: records are sealed in batches on all cores and written in order.
//!
//! `tape.json` is written last and put in place by a rename, so a tape whose writer
//! stopped early is told from a whole one.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::io_at;
use crate::format::{self, FORMAT_NAME, FORMAT_VERSION, Manifest, RecordFileInfo};
use crate::media::MediaWriter;
use crate::{KeyPair, TapeError, seal};

/// Messages sealed together: enough for every core, little enough to hold.
const BATCH_MESSAGES_MAX: usize = 4096;
/// Bytes of message text held before a batch is sealed.
const BATCH_BYTES_MAX: usize = 32 << 20;

/// The key pairs of a new tape.
#[derive(Debug)]
pub enum Keys {
    /// Generate pairs for the versions 1 to this.
    Generate {
        /// How many.
        versions: u32,
    },
    /// Use these.
    Given(Vec<KeyPair>),
}

/// How a tape is made.
#[derive(Debug)]
pub struct TapeOptions {
    /// The corp id that a caller must give.
    pub corpid: String,
    /// The archive secret that a caller must give.
    pub secret: String,
    /// The key pairs. Their private halves are written as `vN.pem`.
    pub keys: Keys,
    /// Where the private keys go; without it, `keys/` in the tape's folder.
    pub keys_dir: Option<PathBuf>,
    /// Records in one file of the tape.
    pub records_per_file: u32,
}

impl Default for TapeOptions {
    fn default() -> Self {
        Self {
            corpid: "wwtape".to_owned(),
            secret: "tape-secret".to_owned(),
            keys: Keys::Generate { versions: 1 },
            keys_dir: None,
            records_per_file: 100_000,
        }
    }
}

/// A record as `GetChatData` gives it (wecom-sdk 5.1).
#[derive(Serialize)]
struct Record<'a> {
    seq: u64,
    msgid: &'a str,
    publickey_ver: u32,
    encrypt_random_key: String,
    encrypt_chat_msg: String,
}

enum Pending {
    Message {
        seq: u64,
        publickey_ver: u32,
        msgid: String,
        text: Vec<u8>,
    },
    Ready {
        seq: u64,
        line: String,
    },
}

impl Pending {
    fn seq(&self) -> u64 {
        match self {
            Pending::Message { seq, .. } | Pending::Ready { seq, .. } => *seq,
        }
    }
}

struct OpenFile {
    records: BufWriter<File>,
    index: BufWriter<File>,
    path: PathBuf,
    info: RecordFileInfo,
}

/// Writes one tape.
pub struct TapeWriter {
    dir: PathBuf,
    manifest: Manifest,
    keys: BTreeMap<u32, KeyPair>,
    records_per_file: u64,
    pending: Vec<Pending>,
    pending_bytes: usize,
    last_seq: u64,
    file: Option<OpenFile>,
    media: MediaWriter,
}

impl TapeWriter {
    /// Starts a tape in a new (or empty) folder, and writes its private keys.
    ///
    /// # Errors
    /// [`TapeError::NotEmpty`], or what the disk and the cryptographic library say.
    pub fn create(dir: impl AsRef<Path>, options: TapeOptions) -> Result<Self, TapeError> {
        let dir = dir.as_ref().to_owned();
        refuse_used_folder(&dir)?;
        let keys = match options.keys {
            Keys::Generate { versions } => (1..=versions)
                .into_par_iter()
                .map(KeyPair::generate)
                .collect::<Result<Vec<_>, _>>()?,
            Keys::Given(keys) => keys,
        };
        for sub in [format::records_dir(&dir), format::media_dir(&dir)] {
            fs::create_dir_all(&sub).map_err(io_at("create", &sub))?;
        }
        write_keys(&options.keys_dir.unwrap_or_else(|| dir.join("keys")), &keys)?;
        let keys: BTreeMap<u32, KeyPair> = keys.into_iter().map(|k| (k.version(), k)).collect();
        Ok(Self {
            media: MediaWriter::new(&dir),
            manifest: Manifest {
                format: FORMAT_NAME.to_owned(),
                format_version: FORMAT_VERSION,
                corpid: options.corpid,
                secret: options.secret,
                n_messages: 0,
                first_seq: None,
                last_seq: None,
                key_versions: keys.keys().copied().collect(),
                record_files: Vec::new(),
                n_media: 0,
                media_packs: Vec::new(),
            },
            dir,
            keys,
            records_per_file: u64::from(options.records_per_file.max(1)),
            pending: Vec::new(),
            pending_bytes: 0,
            last_seq: 0,
            file: None,
        })
    }

    /// Tapes one decrypted message, byte for byte. Its `msgid` is read from its JSON; a text
    /// without one (a damaged message may be taped too) is called `tape-SEQ`.
    ///
    /// # Errors
    /// [`TapeError::SeqNotAscending`], [`TapeError::UnknownKeyVersion`], or the disk's.
    pub fn append(&mut self, seq: u64, publickey_ver: u32, text: &[u8]) -> Result<(), TapeError> {
        let msgid = read_msgid(text).unwrap_or_else(|| format!("tape-{seq}"));
        self.append_as(seq, publickey_ver, &msgid, text)
    }

    /// As [`TapeWriter::append`], with the `msgid` that the record shall bear.
    ///
    /// # Errors
    /// As [`TapeWriter::append`].
    pub fn append_as(
        &mut self,
        seq: u64,
        publickey_ver: u32,
        msgid: &str,
        text: &[u8],
    ) -> Result<(), TapeError> {
        if !self.keys.contains_key(&publickey_ver) {
            return Err(TapeError::UnknownKeyVersion {
                version: publickey_ver,
            });
        }
        self.push(
            Pending::Message {
                seq,
                publickey_ver,
                msgid: msgid.to_owned(),
                text: text.to_vec(),
            },
            text.len(),
        )
    }

    /// Tapes a record exactly as given, for records that no honest server would send.
    ///
    /// # Errors
    /// [`TapeError::SeqNotAscending`], or the disk's. A record with a line feed in it is
    /// [`TapeError::Line`].
    pub fn append_raw_record(&mut self, seq: u64, record_json: &str) -> Result<(), TapeError> {
        if record_json.contains('\n') {
            return Err(TapeError::Line {
                line: 1,
                why: "a record is one line".to_owned(),
            });
        }
        let line = record_json.to_owned();
        self.push(Pending::Ready { seq, line }, record_json.len())
    }

    /// Keeps the bytes of one media file. The same id given again changes nothing.
    ///
    /// # Errors
    /// The disk's.
    pub fn add_media(&mut self, sdkfileid: &str, bytes: &[u8]) -> Result<(), TapeError> {
        self.media.add(sdkfileid, bytes)
    }

    /// Whether this media file is kept already.
    pub fn has_media(&self, sdkfileid: &str) -> bool {
        self.media.contains(sdkfileid)
    }

    /// Writes what is left, and `tape.json` last.
    ///
    /// # Errors
    /// The disk's and the cryptographic library's.
    pub fn finish(mut self) -> Result<(), TapeError> {
        self.seal_pending()?;
        self.close_file()?;
        let (n_media, packs) = self.media.finish()?;
        self.manifest.n_media = n_media;
        self.manifest.media_packs = packs;
        let path = format::manifest_path(&self.dir);
        let unfinished = path.with_extension("json.new");
        let json = serde_json::to_vec_pretty(&self.manifest).map_err(|e| TapeError::Io {
            doing: "write",
            path: path.clone(),
            source: e.into(),
        })?;
        fs::write(&unfinished, json).map_err(io_at("write", &unfinished))?;
        fs::rename(&unfinished, &path).map_err(io_at("rename", &unfinished))
    }

    fn push(&mut self, record: Pending, n_bytes: usize) -> Result<(), TapeError> {
        let seq = record.seq();
        if seq <= self.last_seq {
            return Err(TapeError::SeqNotAscending {
                seq,
                last: self.last_seq,
            });
        }
        self.last_seq = seq;
        self.pending.push(record);
        self.pending_bytes += n_bytes;
        if self.pending.len() >= BATCH_MESSAGES_MAX || self.pending_bytes >= BATCH_BYTES_MAX {
            self.seal_pending()?;
        }
        Ok(())
    }

    fn seal_pending(&mut self) -> Result<(), TapeError> {
        let batch = std::mem::take(&mut self.pending);
        self.pending_bytes = 0;
        let keys = &self.keys;
        let sealed: Vec<(u64, String)> = batch
            .into_par_iter()
            .map(|record| seal_one(keys, record))
            .collect::<Result<_, _>>()?;
        for (seq, line) in sealed {
            self.write_record(seq, &line)?;
        }
        Ok(())
    }

    fn write_record(&mut self, seq: u64, line: &str) -> Result<(), TapeError> {
        if self
            .file
            .as_ref()
            .is_some_and(|f| f.info.n_records >= self.records_per_file)
        {
            self.close_file()?;
        }
        if self.file.is_none() {
            self.file = Some(self.open_file(seq)?);
        }
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        let mut entry = [0; format::RECORD_INDEX_ENTRY];
        entry[..8].copy_from_slice(&seq.to_le_bytes());
        entry[8..].copy_from_slice(&file.info.bytes.to_le_bytes());
        let path = &file.path;
        file.index.write_all(&entry).map_err(io_at("write", path))?;
        file.records
            .write_all(line.as_bytes())
            .map_err(io_at("write", path))?;
        file.records
            .write_all(b"\n")
            .map_err(io_at("write", path))?;
        file.info.bytes += line.len() as u64 + 1;
        file.info.n_records += 1;
        file.info.last_seq = seq;
        self.manifest.n_messages += 1;
        self.manifest.first_seq.get_or_insert(seq);
        self.manifest.last_seq = Some(seq);
        Ok(())
    }

    fn open_file(&self, first_seq: u64) -> Result<OpenFile, TapeError> {
        let name = format!("{:06}.ndjson", self.manifest.record_files.len() + 1);
        let path = format::records_dir(&self.dir).join(&name);
        let index_path = format::record_index_path(&path);
        let records = File::create_new(&path).map_err(io_at("create", &path))?;
        let index = File::create_new(&index_path).map_err(io_at("create", &index_path))?;
        Ok(OpenFile {
            records: BufWriter::with_capacity(1 << 20, records),
            index: BufWriter::with_capacity(1 << 16, index),
            path,
            info: RecordFileInfo {
                name,
                first_seq,
                last_seq: first_seq,
                n_records: 0,
                bytes: 0,
            },
        })
    }

    fn close_file(&mut self) -> Result<(), TapeError> {
        if let Some(mut file) = self.file.take() {
            file.records.flush().map_err(io_at("write", &file.path))?;
            file.index.flush().map_err(io_at("write", &file.path))?;
            self.manifest.record_files.push(file.info);
        }
        Ok(())
    }
}

fn seal_one(keys: &BTreeMap<u32, KeyPair>, record: Pending) -> Result<(u64, String), TapeError> {
    match record {
        Pending::Ready { seq, line } => Ok((seq, line)),
        Pending::Message {
            seq,
            publickey_ver,
            msgid,
            text,
        } => {
            let pair = keys
                .get(&publickey_ver)
                .ok_or(TapeError::UnknownKeyVersion {
                    version: publickey_ver,
                })?;
            let sealed = seal(pair, &text)?;
            let record = Record {
                seq,
                msgid: &msgid,
                publickey_ver,
                encrypt_random_key: sealed.encrypt_random_key,
                encrypt_chat_msg: sealed.encrypt_chat_msg,
            };
            let line = serde_json::to_string(&record).map_err(|e| TapeError::Line {
                line: seq,
                why: e.to_string(),
            })?;
            Ok((seq, line))
        }
    }
}

fn refuse_used_folder(dir: &Path) -> Result<(), TapeError> {
    match fs::read_dir(dir) {
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => Err(TapeError::NotEmpty {
                path: dir.to_owned(),
            }),
        },
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(io_at("read", dir)(source)),
    }
}

fn write_keys(dir: &Path, keys: &[KeyPair]) -> Result<(), TapeError> {
    use std::os::unix::fs::OpenOptionsExt as _;
    fs::create_dir_all(dir).map_err(io_at("create", dir))?;
    for pair in keys {
        let path = dir.join(format!("v{}.pem", pair.version()));
        fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)
            .and_then(|mut file| file.write_all(pair.to_pem().as_bytes()))
            .map_err(io_at("write", &path))?;
    }
    Ok(())
}

fn read_msgid(text: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct OnlyMsgid {
        msgid: String,
    }
    serde_json::from_slice::<OnlyMsgid>(text)
        .ok()
        .map(|m| m.msgid)
}
