//! The index follows the table: each commit's payload is the table version that it covers.
//!
//! A crash between the table's commit and the index's leaves the index behind; opening it again
//! reads what lies between, once. The watermark lives only in the index's own commit, because a
//! Tantivy commit is atomic but may be undone by a power cut.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use arrow::array::{AsArray, RecordBatch, StringArray};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use huicun_engine::archive::fsync_store::sync_directory;
use huicun_engine::archive::{Table, TableError};
use huicun_semantics::conversation::conversations_of;
use serde::{Deserialize, Serialize};
use tantivy::indexer::UserOperation;
use tantivy::schema::TantivyDocument;
use tantivy::tokenizer::TextAnalyzer;
use tantivy::{Index, IndexSettings, IndexWriter, TantivyError};

use super::analyser::Characters;
use super::schema::{ANALYSER, FIELDS, INDEX_FORMAT, SHARED, StoredRef};
use super::sealed::SealedDirectory;

/// Memory of the index writer, bytes; it writes a segment when this is full.
const WRITER_MEMORY_BYTES: usize = 192 << 20;
/// Documents after which a commit is made at the next version's end, so that a long catch-up
/// becomes visible and a crash repeats little. More (600,000 was tried) saves dictionaries but
/// leaves more to be written after the last row.
const DOCUMENTS_PER_COMMIT: u64 = 200_000;
/// Documents that are handed to the writer's thread together: one wakes it for each hand-over. Its
/// queue holds 10,000 hand-overs, so that more would be much memory.
const DOCUMENTS_PER_SEND: usize = 8;

/// Pairs of room and person that are remembered; past it they are forgotten and written again.
const SEEN_IN_ROOM_MAX: usize = 1_000_000;

/// Why the index could not be opened or brought forward.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// Tantivy refused.
    #[error("search index: {0}")]
    Tantivy(#[from] TantivyError),
    /// The table could not be read.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The folder could not be read or written.
    #[error("search index `{}`: {source}", path.display())]
    Io {
        /// The folder.
        path: PathBuf,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// A stored document cannot be understood.
    #[error("search index: document of message {msgid} cannot be read")]
    BadDocument {
        /// Which message, if known.
        msgid: String,
    },
}

/// What a commit of the index covers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watermark {
    /// Id of the `messages` table: another in its place is another archive.
    #[serde(default)]
    pub table: String,
    /// Version of the `messages` table.
    pub version: u64,
    /// [`INDEX_FORMAT`] that it was written with.
    pub format: u32,
}

/// The index as readers open it; `None` before it exists or when its format is another.
pub fn open(folder: &Path) -> Result<Option<Index>, IndexError> {
    if !folder.join("meta.json").is_file() {
        return Ok(None);
    }
    let index = Index::open(sealed(folder)?)?;
    if index.schema() != FIELDS.schema {
        return Ok(None);
    }
    prepare(&index);
    Ok(watermark(&index)?.map(|_| index))
}

/// What the last commit covers; `None` when nothing usable was committed.
pub fn watermark(index: &Index) -> Result<Option<Watermark>, IndexError> {
    let payload = index.load_metas()?.payload.unwrap_or_default();
    let found: Option<Watermark> = serde_json::from_str(&payload).ok();
    Ok(found.filter(|w| w.format == INDEX_FORMAT))
}

fn sealed(folder: &Path) -> Result<SealedDirectory, IndexError> {
    Ok(SealedDirectory::open(folder).map_err(TantivyError::from)?)
}

fn prepare(index: &Index) {
    index
        .tokenizers()
        .register(ANALYSER, TextAnalyzer::from(Characters::default()));
}

/// Persons by room, asked for every receiver of every message: nothing is copied for the known.
#[derive(Default)]
struct SeenInRoom {
    rooms: HashMap<String, HashSet<String>>,
    n_pairs: usize,
}

impl SeenInRoom {
    /// Whether the pair was not seen before; it is from now on.
    fn is_new(&mut self, room: &str, person: &str) -> bool {
        let persons = self.rooms.get(room);
        if persons.is_some_and(|persons| persons.contains(person)) {
            return false;
        }
        if self.n_pairs >= SEEN_IN_ROOM_MAX {
            self.clear();
        }
        self.n_pairs += 1;
        let persons = self.rooms.entry(room.to_string()).or_default();
        persons.insert(person.to_string())
    }

    fn clear(&mut self) {
        self.rooms.clear();
        self.n_pairs = 0;
    }
}

/// The one writer of the index.
pub struct Follower {
    folder: PathBuf,
    writer: IndexWriter,
    /// What the last commit covers; `None` before the first.
    covered: Option<Watermark>,
    /// Pairs of room and person that are in the index already; a hint, never needed to be whole.
    seen_in_room: SeenInRoom,
}

impl Follower {
    /// Opens the index for writing, making it anew where it is missing, damaged or of another
    /// format.
    pub fn open(folder: &Path) -> Result<Self, IndexError> {
        let io = |source| IndexError::Io {
            path: folder.to_path_buf(),
            source,
        };
        let usable = match open(folder) {
            Ok(found) => found,
            Err(IndexError::Tantivy(error)) => {
                tracing::warn!(%error, "the search index cannot be opened and is built anew");
                None
            }
            Err(other) => return Err(other),
        };
        let index = match usable {
            Some(index) => index,
            None => {
                if folder.exists() {
                    std::fs::remove_dir_all(folder).map_err(io)?;
                }
                std::fs::create_dir_all(folder).map_err(io)?;
                let settings = IndexSettings::default();
                let index = Index::create(sealed(folder)?, FIELDS.schema.clone(), settings)?;
                prepare(&index);
                index
            }
        };
        let covered = watermark(&index)?;
        Ok(Self {
            folder: folder.to_path_buf(),
            writer: index.writer_with_num_threads(1, WRITER_MEMORY_BYTES)?,
            covered,
            seen_in_room: SeenInRoom::default(),
        })
    }

    /// The table version that the last commit covers; 0 before the first.
    pub fn covered(&self) -> u64 {
        self.covered.as_ref().map_or(0, |mark| mark.version)
    }

    /// Reads what the table has beyond the watermark; returns the number of new documents.
    pub async fn catch_up(&mut self, table: &Table) -> Result<u64, IndexError> {
        // A compaction makes versions that whoever brings messages in has not seen yet.
        let mut newest;
        let table = if self.covered() > table.version() {
            newest = table.clone();
            newest.refresh().await?;
            &newest
        } else {
            table
        };
        let news = match self
            .covered
            .as_ref()
            .filter(|mark| mark.table == table.id())
        {
            Some(mark) if mark.version == table.version() => return Ok(0),
            Some(mark) if mark.version < table.version() => news(table, mark.version).await?,
            // The table is older than the index: it was restored from a backup.
            Some(_) => None,
            // Nothing is covered yet, or of another table.
            None => None,
        };
        let versions = match news {
            Some(versions) => versions,
            None => {
                self.writer.delete_all_documents()?;
                self.seen_in_room.clear();
                vec![(table.version(), table.files())]
            }
        };
        let (mut n_all, mut n_pending) = (0, 0);
        for (version, files) in versions {
            for file in files {
                n_pending += self.add_file(table, &file).await?;
            }
            if n_pending >= DOCUMENTS_PER_COMMIT {
                n_all += n_pending;
                n_pending = 0;
                self.commit(table.id(), version)?;
            }
        }
        self.commit(table.id(), table.version())?;
        Ok(n_all + n_pending)
    }

    /// Waits for running merges and closes the index.
    pub fn close(self) -> Result<(), IndexError> {
        Ok(self.writer.wait_merging_threads()?)
    }

    fn commit(&mut self, table: &str, version: u64) -> Result<(), IndexError> {
        let mark = Watermark {
            table: table.to_string(),
            version,
            format: INDEX_FORMAT,
        };
        let payload = serde_json::to_string(&mark).expect("a watermark is two numbers");
        let mut commit = self.writer.prepare_commit()?;
        commit.set_payload(&payload);
        commit.commit()?;
        sync_directory(&self.folder).map_err(|source| IndexError::Io {
            path: self.folder.clone(),
            source,
        })?;
        self.covered = Some(mark);
        Ok(())
    }

    async fn add_file(&mut self, table: &Table, file: &str) -> Result<u64, IndexError> {
        const COLUMNS: [&str; 10] = [
            "source", "seq", "msgid", "msgtype", "msgtime", "from_id", "to_ids", "room_id", "text",
            "status",
        ];
        let mut n = 0;
        for batch in table.read_file(file, &COLUMNS).await? {
            n += self.add_batch(&batch)?;
        }
        Ok(n)
    }

    fn add_batch(&mut self, batch: &RecordBatch) -> Result<u64, IndexError> {
        let strings = |name: &str| -> &StringArray { column(batch, name).as_string() };
        let (source, msgid, msgtype) = (strings("source"), strings("msgid"), strings("msgtype"));
        let (from, room, text) = (strings("from_id"), strings("room_id"), strings("text"));
        let status = strings("status");
        let seq = column(batch, "seq").as_primitive::<Int64Type>();
        let at = column(batch, "msgtime").as_primitive::<TimestampMicrosecondType>();
        let to = column(batch, "to_ids").as_list::<i32>();
        let to_values: &StringArray = to.values().as_string();
        let mut n = 0;
        let mut unsent = Vec::with_capacity(DOCUMENTS_PER_SEND);
        for row in 0..batch.num_rows() {
            if status.value(row) != "ok" {
                continue;
            }
            let receivers: Vec<&str> = (to.value_offsets()[row]..to.value_offsets()[row + 1])
                .map(|i| to_values.value(i as usize))
                .collect();
            let document = self.document(&StoredRef {
                source: source.value(row),
                seq: seq.value(row),
                msgid: msgid.value(row),
                at: at.value(row) / 1000,
                from: from.value(row),
                to: &receivers,
                room: room.value(row),
                msgtype: msgtype.value(row),
                text: text.value(row),
            });
            unsent.push(UserOperation::Add(document));
            if unsent.len() == DOCUMENTS_PER_SEND {
                self.writer.run(unsent.drain(..))?;
            }
            n += 1;
        }
        self.writer.run(unsent)?;
        Ok(n)
    }

    fn document(&mut self, stored: &StoredRef<'_>) -> TantivyDocument {
        let fields = &*FIELDS;
        let mut document = TantivyDocument::default();
        document.add_text(fields.text, stored.text);
        document.add_i64(fields.at, stored.at);
        document.add_i64(fields.seq, stored.seq);
        document.add_u64(fields.tie, super::search::tie(stored.source, stored.msgid));
        let conversations = conversations_of(stored.from, stored.to, stored.room);
        if conversations.len() > 1 {
            document.add_text(fields.shared, SHARED);
        }
        for conversation in conversations {
            document.add_text(fields.conversation, conversation);
        }
        if !stored.from.is_empty() {
            document.add_text(fields.from, stored.from);
        }
        for receiver in stored.to.iter().filter(|id| !id.is_empty()) {
            document.add_text(fields.to, receiver);
        }
        document.add_text(fields.msgtype, stored.msgtype);
        let people = std::iter::once(stored.from).chain(stored.to.iter().copied());
        for person in people.filter(|id| !id.is_empty() && !stored.room.is_empty()) {
            if self.seen_in_room.is_new(stored.room, person) {
                document.add_text(fields.room_person, format!("{}\0{person}", stored.room));
                document.add_text(fields.person_room, format!("{person}\0{}", stored.room));
            }
        }
        let json = serde_json::to_vec(stored).expect("a stored message is plain data");
        document.add_bytes(fields.stored, &json);
        document
    }
}

/// The files that versions after `covered` brought; `None` when that cannot be told or read any
/// more, because log entries or files are gone.
async fn news(table: &Table, covered: u64) -> Result<Option<Vec<(u64, Vec<String>)>>, IndexError> {
    let versions = match table.files_added_after(covered).await {
        Err(TableError::LogGone { .. }) => return Ok(None),
        other => other?,
    };
    // What was compacted away since is read where it still is, so that each message comes once.
    let mut files = versions.iter().flat_map(|(_, files)| files);
    let is_there = files.all(|file| table.has_file(file));
    Ok(is_there.then_some(versions))
}

/// Builds the index anew beside the old one, and puts it into its place: the old one answers until
/// then, and a kill leaves it, or nothing, which the next that asks builds again. Whoever calls
/// holds the writer lock. Returns the number of documents.
pub async fn rebuild(folder: &Path, table: &Table) -> Result<u64, IndexError> {
    let io = |source| IndexError::Io {
        path: folder.to_path_buf(),
        source,
    };
    let (fresh, old) = (folder.with_extension("new"), folder.with_extension("old"));
    for leftover in [&fresh, &old] {
        if leftover.exists() {
            std::fs::remove_dir_all(leftover).map_err(io)?;
        }
    }
    let mut follower = Follower::open(&fresh)?;
    let n_documents = follower.catch_up(table).await?;
    follower.close()?;
    if folder.exists() {
        std::fs::rename(folder, &old).map_err(io)?;
    }
    std::fs::rename(&fresh, folder).map_err(io)?;
    if let Some(parent) = folder.parent() {
        sync_directory(parent).map_err(io)?;
    }
    if old.exists() {
        std::fs::remove_dir_all(&old).map_err(io)?;
    }
    Ok(n_documents)
}

fn column<'a>(batch: &'a RecordBatch, name: &str) -> &'a arrow::array::ArrayRef {
    batch
        .column_by_name(name)
        .expect("read_file returns the columns asked for, and the table has them all")
}

#[cfg(test)]
mod tests;
