//! Recording from many requests at once: one thread writes, and what waits while a transaction is
//! being synced goes into the next one together, so that requests share the disk's syncs.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use tokio::sync::oneshot;

use super::entry::Entry;
use super::store::{AuditError, Store};

/// Entries that may wait: more than the server answers in the time of one slow sync.
const WAITING_MAX: usize = 4096;
/// How long nothing comes before the file is tidied up.
const IDLE: Duration = Duration::from_secs(1);
/// Entries of one transaction.
const BATCH_MAX: usize = 512;

struct Waiting {
    entry: Entry,
    done: oneshot::Sender<bool>,
}

/// The log that a server writes to.
#[derive(Debug, Clone)]
pub struct AuditLog {
    waiting: SyncSender<Waiting>,
    is_failing: Arc<AtomicBool>,
}

impl AuditLog {
    /// Opens the log and starts the thread that writes it. The thread ends when the last copy of
    /// the log is dropped.
    ///
    /// # Errors
    /// The file cannot be opened or made.
    pub fn open(path: &Path) -> Result<Self, AuditError> {
        let store = Store::open(path)?;
        let (waiting, taken) = sync_channel(WAITING_MAX);
        let is_failing = Arc::new(AtomicBool::new(false));
        let (path, told) = (path.to_path_buf(), Arc::clone(&is_failing));
        std::thread::Builder::new()
            .name("audit".into())
            .spawn(move || write(&path, store, &taken, &told))
            .map_err(|_| AuditError::Closed)?;
        Ok(Self {
            waiting,
            is_failing,
        })
    }

    /// Records an entry; it is on disk when this returns.
    ///
    /// # Errors
    /// It is not, or nobody knows. The cause is in the program's log.
    pub async fn record(&self, entry: Entry) -> Result<(), AuditError> {
        let (done, is_done) = oneshot::channel();
        self.waiting
            .try_send(Waiting { entry, done })
            .map_err(|_| AuditError::Overloaded)?;
        match is_done.await {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(AuditError::Closed),
        }
    }

    /// Records an entry some time soon, for what has no answer that could wait.
    pub fn record_later(&self, entry: Entry) {
        let (done, _) = oneshot::channel();
        // What cannot be recorded here was about nothing that left.
        let _ = self.waiting.try_send(Waiting { entry, done });
    }

    /// Whether the last entries could not be written.
    pub fn is_failing(&self) -> bool {
        self.is_failing.load(Ordering::Relaxed)
    }
}

/// Records one entry without a thread; it is on disk when this returns.
///
/// # Errors
/// It could not be written.
pub fn record(path: &Path, entry: &Entry) -> Result<(), AuditError> {
    Store::open(path)?.append(std::iter::once(entry))
}

fn write(path: &Path, store: Store, taken: &Receiver<Waiting>, is_failing: &AtomicBool) {
    let mut open = Some(store);
    loop {
        let first = match taken.recv_timeout(IDLE) {
            Ok(first) => first,
            Err(RecvTimeoutError::Timeout) => {
                match &open {
                    Some(store) => store.settle(),
                    // Readiness must not wait for a request that readiness keeps away.
                    None => {
                        open = Store::open(path).ok();
                        is_failing.store(open.is_none(), Ordering::Relaxed);
                    }
                }
                continue;
            }
            Err(RecvTimeoutError::Disconnected) => return,
        };
        let mut batch = vec![first];
        while batch.len() < BATCH_MAX
            && let Ok(next) = taken.try_recv()
        {
            batch.push(next);
        }
        let result = append(path, &mut open, &batch);
        if let Err(error) = &result {
            // Opened anew next time: the cause may have gone by then.
            open = None;
            if !is_failing.swap(true, Ordering::Relaxed) {
                tracing::error!(%error, "the audit log cannot be written; nothing is answered");
            }
        } else if is_failing.swap(false, Ordering::Relaxed) {
            tracing::info!("the audit log can be written again");
        }
        for waiting in batch {
            // Who has given up waiting needs no answer.
            let _ = waiting.done.send(result.is_ok());
        }
    }
}

fn append(path: &Path, open: &mut Option<Store>, batch: &[Waiting]) -> Result<(), AuditError> {
    let store = match open {
        Some(store) => store,
        None => open.insert(Store::open(path)?),
    };
    store.append(batch.iter().map(|waiting| &waiting.entry))
}

#[cfg(test)]
mod tests {
    use super::super::{Filter, Phase, check, list};
    use super::*;
    use crate::access::Identity;

    fn entry(query: &str) -> Entry {
        Entry {
            at_ms: 1_727_712_000_000,
            phase: Phase::Answered,
            caller: Identity {
                kind: "token",
                id: "1".into(),
                name: "bi".into(),
            },
            employee: None,
            peer: Some("127.0.0.1".into()),
            request_id: None,
            function: "messages.search".into(),
            method: "GET".into(),
            route: "/v1/search".into(),
            path: None,
            query: Some(query.into()),
            body: None,
            status: Some(200),
            code: None,
            n_rows: Some(3),
        }
    }

    fn all(path: &Path) -> Vec<super::super::Recorded> {
        list(path, &Filter::default()).unwrap()
    }

    #[tokio::test]
    async fn entries_of_two_writers_make_one_chain() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.db");
        let log = AuditLog::open(&path).unwrap();
        let many = (0..50).map(|n| {
            let log = log.clone();
            async move { log.record(entry(&format!("q{n}"))).await }
        });
        let (recorded, ()) = tokio::join!(futures::future::join_all(many), async {
            for _ in 0..5 {
                record(&path, &entry("beside")).unwrap();
                tokio::task::yield_now().await;
            }
        });
        assert!(recorded.iter().all(Result::is_ok));
        let found = all(&path);
        assert_eq!(found.len(), 55);
        assert_eq!(found[0].id, 55);
        assert_eq!(check(&path), [""; 0]);
    }

    #[test]
    fn what_is_changed_taken_out_or_cut_off_is_found() {
        let changes = [
            (
                "UPDATE entries SET query = 'other' WHERE id = 3",
                "entry 3 ",
            ),
            ("UPDATE entries SET n_rows = NULL WHERE id = 5", "entry 5 "),
            ("DELETE FROM entries WHERE id = 4", "entry 4 "),
            ("DELETE FROM entries WHERE id = 1", "entry 1 "),
            ("DELETE FROM entries WHERE id = 6", "seal"),
            ("DELETE FROM entries", "seal"),
            (
                "UPDATE entries SET previous = zeroblob(32) WHERE id = 2",
                "entry 2 ",
            ),
        ];
        for (change, told) in changes {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("audit.db");
            for n in 1..=6 {
                record(&path, &entry(&format!("q{n}"))).unwrap();
            }
            assert_eq!(check(&path), [""; 0]);
            let db = rusqlite::Connection::open(&path).unwrap();
            let triggers = "DROP TRIGGER seal_entries_update; DROP TRIGGER seal_entries_delete;";
            db.execute_batch(&format!("{triggers} {change};")).unwrap();
            drop(db);
            // Nor does the next entry seal what was changed.
            record(&path, &entry("later")).unwrap();
            let mut faults = check(&path);
            faults.extend(crate::state::seal::check(&path));
            let is_told = match told {
                "seal" => faults.iter().any(|fault| fault.contains("rows are not")),
                told => faults.iter().any(|fault| fault.starts_with(told)),
            };
            assert!(is_told, "{change}: {faults:?}");
        }
    }

    #[tokio::test]
    async fn a_file_that_is_moved_away_takes_no_entries_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.db");
        let log = AuditLog::open(&path).unwrap();
        log.record(entry("before")).await.unwrap();
        let away = dir.path().join("away.db");
        std::fs::rename(&path, &away).unwrap();
        std::fs::create_dir(&path).unwrap();
        for _ in 0..2 {
            assert!(log.record(entry("lost")).await.is_err());
            assert!(log.is_failing());
        }
        std::fs::remove_dir(&path).unwrap();
        std::fs::rename(&away, &path).unwrap();
        log.record(entry("after")).await.unwrap();
        assert!(!log.is_failing());
        let found: Vec<Option<String>> = all(&path).into_iter().map(|e| e.query).collect();
        assert_eq!(found, [Some("after".into()), Some("before".into())]);
        assert_eq!(check(&path), [""; 0]);
    }

    #[test]
    fn a_text_without_end_is_cut() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.db");
        record(&path, &entry(&"退".repeat(100_000))).unwrap();
        let query = all(&path)[0].query.clone().unwrap();
        assert!(query.len() < 70_000 && query.ends_with("(300000 bytes)"));
        assert_eq!(check(&path), [""; 0]);
    }
}
