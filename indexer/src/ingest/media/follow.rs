//! `media.db` follows the `messages` table: what it covers is the table's version, noted in the
//! same transaction as the media. Where the log no longer reaches back, or the table was restored
//! from a backup, the whole table is read again; what is known already stays as it is.

use std::path::PathBuf;
use std::sync::Arc;

use huicun_engine::archive::{Home, Table, TableError, messages};
use huicun_engine::media::catalogue::CatalogueError;
use huicun_engine::media::store::{Receipts, StoreError, hex};
use huicun_engine::media::{Catalogue, Named, Store};

use super::found;

/// Media noted in one transaction.
const NOTED_MAX: usize = 20_000;

/// Why the table could not be followed.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// The table could not be read.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The media database could not be changed.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    /// The store's list could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Follows the table for one process.
pub struct MediaFollower {
    home: Home,
    catalogue: Arc<Catalogue>,
    store: Store,
    table: Option<Table>,
    /// What the store already has, while the database is new.
    receipts: Option<Receipts>,
}

impl MediaFollower {
    /// Opens what is needed; reads nothing of the table yet.
    pub fn new(home: &Home, catalogue: Arc<Catalogue>, store: Store) -> Result<Self, FollowError> {
        let receipts = match catalogue.covered()? {
            0 => Some(store.receipts()?),
            _ => None,
        };
        Ok(Self {
            home: home.clone(),
            catalogue,
            store,
            table: None,
            receipts,
        })
    }

    /// Notes the media of all versions that are not covered yet; returns how many are new.
    pub async fn catch_up(&mut self, now_ms: i64) -> Result<u64, FollowError> {
        if !self.has_news() {
            return Ok(0);
        }
        match &mut self.table {
            Some(table) => table.refresh().await?,
            none => *none = messages::open(&self.home).await?,
        }
        let Some(table) = self.table.clone() else {
            return Ok(0);
        };
        let covered = self.catalogue.covered()?;
        if covered == table.version() {
            return Ok(0);
        }
        let news = match covered < table.version() {
            true => match table.files_added_after(covered).await {
                Err(TableError::LogGone { .. }) => None,
                other => Some(other?),
            },
            false => None,
        };
        let n_new = match news {
            Some(news) => match self.note_all(&table, news, now_ms).await {
                // A file that was merged into others since, and deleted: its rows are in those.
                Err(FollowError::Table(TableError::File { file, .. }))
                    if !table.files().contains(&file) =>
                {
                    None
                }
                other => Some(other?),
            },
            None => None,
        };
        let n_new = match n_new {
            Some(n_new) => n_new,
            None => {
                let all = vec![(table.version(), table.files())];
                self.note_all(&table, all, now_ms).await?
            }
        };
        self.receipts = None;
        Ok(n_new)
    }

    async fn note_all(
        &self,
        table: &Table,
        versions: Vec<(u64, Vec<String>)>,
        now_ms: i64,
    ) -> Result<u64, FollowError> {
        let (mut n_new, mut waiting) = (0, Vec::new());
        for (version, files) in versions {
            for file in files {
                waiting.extend(found::in_file(table, &file).await?);
                if waiting.len() >= NOTED_MAX {
                    n_new += self.note(&mut waiting, None, now_ms)?;
                }
            }
            // The last version is noted below in any case.
            if version < table.version() && waiting.len() >= NOTED_MAX / 2 {
                n_new += self.note(&mut waiting, Some(version), now_ms)?;
            }
        }
        n_new += self.note(&mut waiting, Some(table.version()), now_ms)?;
        Ok(n_new)
    }

    fn note(
        &self,
        waiting: &mut Vec<Named>,
        version: Option<u64>,
        now_ms: i64,
    ) -> Result<u64, FollowError> {
        let received = |source: &str, key: &[u8; 32]| {
            let receipts = self.receipts.as_ref()?;
            let receipt = receipts.by_key.get(&(source.to_string(), hex(key)))?;
            let path = self.store.path_of(&receipt.stored().sha256);
            let is_there = std::fs::metadata(path).is_ok_and(|file| file.len() == receipt.size);
            is_there.then(|| receipt.clone())
        };
        let noted = self.catalogue.note(waiting, version, now_ms, received)?;
        waiting.clear();
        Ok(noted)
    }

    /// Whether the log has an entry after the version that is open: a look at one file name, where
    /// reading the log costs more the longer it is.
    fn has_news(&self) -> bool {
        match &self.table {
            None => true,
            Some(table) => self.log_entry(table.version() + 1).exists(),
        }
    }

    fn log_entry(&self, version: u64) -> PathBuf {
        let log = self.home.table(messages::TABLE).join("_delta_log");
        log.join(format!("{version:020}.json"))
    }
}

#[cfg(test)]
mod tests {
    use huicun_engine::archive::MessageWriter;
    use huicun_engine::archive::delta::CommitNote;
    use huicun_engine::archive::message::{SCHEMA, to_batch};
    use huicun_engine::media::{Filter, Status, Stored};
    use huicun_semantics::time::Zone;

    use super::*;
    use crate::ingest::row::{Origin, of_plaintext};

    struct Place {
        _dir: tempfile::TempDir,
        home: Home,
        store: Store,
    }

    impl Place {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let home = Home::open_or_create(&dir.path().join("data")).unwrap();
            let store = Store::open_or_create(&home.media()).unwrap();
            Self {
                _dir: dir,
                home,
                store,
            }
        }

        /// Archives a mixed message with two files.
        async fn says(&self, seq: i64) {
            let origin = Origin {
                source: "corp".into(),
                seq,
                publickey_ver: None,
                now_ms: 1_700_000_000_000,
            };
            let item = |kind: &str, id: &str| {
                let content = format!(r#"{{"sdkfileid":"{id}{seq}","filesize":5}}"#);
                serde_json::json!({"type": kind, "content": content})
            };
            let message = serde_json::json!({
                "msgid": format!("m{seq}"), "action": "send", "from": "a", "tolist": ["b"],
                "msgtime": 1_700_000_000_000_i64, "msgtype": "mixed",
                "mixed": {"item": [item("image", "A"), item("file", "B")]},
            });
            let row = of_plaintext(&origin, message.to_string().as_bytes());
            let lock = self.home.lock_writer("test").unwrap();
            let opened = MessageWriter::open(&self.home, lock, Zone::default()).await;
            opened
                .unwrap()
                .append(&origin.source, vec![row], None)
                .await
                .unwrap();
        }

        fn follower(&self) -> (Arc<Catalogue>, MediaFollower) {
            let catalogue = Arc::new(Catalogue::open(&self.home).unwrap());
            let follower =
                MediaFollower::new(&self.home, Arc::clone(&catalogue), self.store.clone());
            (catalogue, follower.unwrap())
        }
    }

    fn seen(catalogue: &Catalogue) -> Vec<(i64, u32, String)> {
        let listed = catalogue.list(&Filter::default()).unwrap();
        let mut seen: Vec<_> = listed
            .into_iter()
            .map(|l| (l.seq, l.item, l.kind))
            .collect();
        seen.sort();
        seen
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn files_within_a_message_are_noted_once_as_messages_come() {
        let place = Place::new();
        let (catalogue, mut follower) = place.follower();
        assert_eq!(follower.catch_up(1).await.unwrap(), 0);
        for seq in 1..=2 {
            place.says(seq).await;
            assert_eq!(follower.catch_up(1).await.unwrap(), 2);
            assert_eq!(follower.catch_up(1).await.unwrap(), 0);
        }
        let kind = |name: &str| name.to_string();
        let expected = [
            (1, 1, kind("image")),
            (1, 2, kind("file")),
            (2, 1, kind("image")),
            (2, 2, kind("file")),
        ];
        assert_eq!(seen(&catalogue), expected);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn files_that_were_merged_and_deleted_meanwhile_leave_nothing_out() {
        let place = Place::new();
        place.says(1).await;
        place.says(2).await;
        let mut table = messages::open(&place.home).await.unwrap().unwrap();
        let files = table.files();
        let mut rows = Vec::new();
        let names: Vec<&str> = SCHEMA.fields().iter().map(|f| f.name().as_str()).collect();
        for file in &files {
            rows.extend(table.read_file(file, &names).await.unwrap());
        }
        // The day is in the folder's name, not in the file.
        let day = to_batch(&[], &Zone::default())
            .column(0)
            .data_type()
            .clone();
        let days = arrow::array::Int32Array::from(vec![19_676]);
        let days = arrow::compute::cast(&days, &day).unwrap();
        let whole = rows.iter().map(|batch| {
            let mut columns = vec![Arc::clone(&days)];
            columns.extend(batch.columns().iter().cloned());
            arrow::array::RecordBatch::try_new(SCHEMA.clone(), columns).unwrap()
        });
        let whole: Vec<_> = whole.collect();
        table
            .rewrite(&files, &whole, &[], CommitNote::default())
            .await
            .unwrap();
        for file in &files {
            std::fs::remove_file(place.home.table(messages::TABLE).join(file)).unwrap();
        }
        let (catalogue, mut follower) = place.follower();
        assert_eq!(follower.catch_up(1).await.unwrap(), 4);
        assert_eq!(catalogue.covered().unwrap(), table.version());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_new_database_knows_what_is_in_the_store() {
        let place = Place::new();
        place.says(1).await;
        let stored = Stored {
            sha256: [7; 32],
            size: 5,
            flags: String::new(),
        };
        for (file_id, sha256) in [("A1", [7; 32]), ("B1", [8; 32])] {
            let key = huicun_engine::media::catalogue::file_key(file_id);
            let stored = Stored {
                sha256,
                ..stored.clone()
            };
            let receipt = huicun_engine::media::store::Receipt::new("corp", &key, &stored, 3);
            place.store.receive(&receipt).unwrap();
        }
        // Only one of the two files is really there.
        let path = place.store.path_of(&[7; 32]);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, b"12345").unwrap();
        let (catalogue, mut follower) = place.follower();
        follower.catch_up(1).await.unwrap();
        let listed = catalogue.list(&Filter::default()).unwrap();
        let status: Vec<Status> = listed.iter().map(|l| l.status).collect();
        assert_eq!(status, [Status::Stored, Status::Pending]);
    }
}
