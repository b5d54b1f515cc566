//! Where everything that is brought in ends: rows into the table, and the index behind it.
//!
//! The index follows in its own thread, one version or many at a time, so that it never holds up
//! the table. Closing waits until both agree.

use std::sync::Arc;
use std::thread::JoinHandle;

use huicun_engine::archive::{
    AppendError, Appended, CursorMove, Home, HomeError, ImportMark, MessageRow, MessageWriter,
    Reopened, Resolved, Table, TableError,
};
use huicun_semantics::time::Zone;
use tokio::sync::watch;

use crate::index::{Follower, IndexError};

/// Bytes of content in one commit, beside which the bound of rows stands: a few long messages
/// must not fill the memory, nor one Arrow column (2 GiB) with what a single page adds to it.
pub const COMMIT_BYTES_MAX: usize = 256 << 20;

/// Bytes of content in rows that wait.
pub fn bytes_of(rows: &[MessageRow]) -> usize {
    rows.iter().map(MessageRow::n_bytes).sum()
}

/// How often the index looks for versions that others made: a compaction in this process or in
/// another brings no news, and the index would seem to be behind.
const LOOK_EVERY: std::time::Duration = std::time::Duration::from_secs(5);

async fn look(
    follower: &mut Follower,
    versions: &watch::Receiver<Table>,
) -> Result<(), IndexError> {
    let mut table = versions.borrow().clone();
    if table.has_version(follower.covered() + 1) {
        table.refresh().await?;
        follower.catch_up(&table).await?;
    }
    Ok(())
}

/// Why messages could not be brought in.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// The data directory cannot be used, or another process writes to it.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The table could not be opened.
    #[error(transparent)]
    Table(#[from] TableError),
    /// A batch was refused.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The index could not be brought forward.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The index's thread ended in a panic.
    #[error("the search index stopped unexpectedly; it is brought forward at the next start")]
    IndexPanicked,
    /// The commit of another company failed before, or everything was asked to end.
    #[error("the archive was closed by this process; start it again")]
    Ended,
}

/// The open archive of the one process that brings messages in.
pub struct Sink {
    messages: MessageWriter,
    news: watch::Sender<Table>,
    follower: JoinHandle<Result<(), IndexError>>,
}

impl Sink {
    /// Takes the writer lock, opens table and index, and starts to bring the index forward.
    /// Must be called inside a tokio runtime.
    pub async fn open(home: &Home, who: &str, zone: Zone) -> Result<Self, SinkError> {
        let lock = home.lock_writer(who)?;
        let messages = MessageWriter::open(home, lock, zone).await?;
        let (news, mut versions) = watch::channel(messages.table().clone());
        let mut follower = Follower::open(&home.index())?;
        let runtime = tokio::runtime::Handle::current();
        let thread = std::thread::Builder::new()
            .name("index".into())
            .spawn(move || {
                let followed = runtime.block_on(async {
                    versions.mark_changed();
                    // The channel closes when nothing more will come; its last value still counts.
                    loop {
                        match tokio::time::timeout(LOOK_EVERY, versions.changed()).await {
                            Ok(Err(_)) => break,
                            Ok(Ok(())) => {
                                let table = versions.borrow_and_update().clone();
                                follower.catch_up(&table).await?;
                            }
                            Err(_) => look(&mut follower, &versions).await?,
                        }
                    }
                    let last = versions.borrow().clone();
                    follower.catch_up(&last).await
                });
                // A pull that follows closes only when it ends: said now, not then.
                if let Err(error) = &followed {
                    tracing::error!(
                        %error,
                        "the search index has stopped and misses what comes from now on; messages \
                         are still archived, and a restart brings the index forward"
                    );
                }
                followed?;
                follower.close()
            })
            .map_err(|source| IndexError::Io {
                path: home.index(),
                source,
            })?;
        Ok(Self {
            messages,
            news,
            follower: thread,
        })
    }

    /// The table's writer, for its cursor and highest seq.
    pub fn messages(&self) -> &MessageWriter {
        &self.messages
    }

    /// Appends rows with the cursor's move in one commit and lets the index know.
    pub async fn append(
        &mut self,
        source: &Arc<str>,
        rows: Vec<MessageRow>,
        cursor: Option<CursorMove>,
    ) -> Result<Appended, SinkError> {
        let done = self.messages.append(source, rows, cursor).await?;
        // A follower that stopped is reported when the sink is closed; the table is the truth.
        let _ = self.news.send(self.messages.table().clone());
        Ok(done)
    }

    /// As [`Self::append`], for rows of an import of files.
    pub async fn append_import(
        &mut self,
        source: &Arc<str>,
        rows: Vec<MessageRow>,
        mark: ImportMark,
    ) -> Result<Appended, SinkError> {
        let done = self.messages.append_import(source, rows, mark).await?;
        let _ = self.news.send(self.messages.table().clone());
        Ok(done)
    }

    /// Replaces parked rows by what came of opening them again, in one commit, and lets the index
    /// know. The lock of rewrites must be held.
    pub async fn resolve(
        &mut self,
        source: &Arc<str>,
        reopened: Vec<Reopened>,
    ) -> Result<Resolved, SinkError> {
        let done = self.messages.resolve(source, reopened).await?;
        let _ = self.news.send(self.messages.table().clone());
        Ok(done)
    }

    /// How far the import of this id had come before it was interrupted.
    pub async fn unfinished_import(&mut self, id: &str) -> Result<Option<ImportMark>, SinkError> {
        Ok(self.messages.unfinished_import(id).await?)
    }

    /// Whether the index's thread has stopped, which only an error makes it do.
    pub fn has_index_stopped(&self) -> bool {
        self.follower.is_finished()
    }

    /// Waits until the index covers the table, and closes both.
    pub async fn close(self) -> Result<(), SinkError> {
        drop(self.news);
        let follower = self.follower;
        tokio::task::spawn_blocking(move || follower.join())
            .await
            .map_err(|_| SinkError::IndexPanicked)?
            .map_err(|_| SinkError::IndexPanicked)??;
        drop(self.messages);
        Ok(())
    }
}

/// One sink for the pulls of several companies: their commits take turns.
#[derive(Clone)]
pub struct SharedSink {
    /// Empty after a failure or the end.
    sink: Arc<tokio::sync::Mutex<Option<Sink>>>,
}

impl SharedSink {
    /// Shares a sink.
    pub fn new(sink: Sink) -> Self {
        Self {
            sink: Arc::new(tokio::sync::Mutex::new(Some(sink))),
        }
    }

    /// The last seq of `source` that is safely in.
    pub async fn cursor(&self, source: &str) -> Result<i64, SinkError> {
        let open = self.sink.lock().await;
        let sink = open.as_ref().ok_or(SinkError::Ended)?;
        Ok(sink.messages.cursor(source).await?)
    }

    /// Appends rows with the cursor's move in one commit and lets the index know.
    ///
    /// # Errors
    /// After one, nothing more can be brought in by this process: what the writer remembers may no
    /// longer be what is on disk.
    pub async fn append(
        &self,
        source: &Arc<str>,
        rows: Vec<MessageRow>,
        cursor: Option<CursorMove>,
    ) -> Result<Appended, SinkError> {
        let mut open = self.sink.lock().await;
        let sink = open.as_mut().ok_or(SinkError::Ended)?;
        let done = sink.append(source, rows, cursor).await;
        if done.is_err() {
            end(open.take()).await;
        }
        done
    }

    /// Replaces parked rows by what came of opening them again, in one commit, and lets the index
    /// know. The lock of rewrites must be held.
    ///
    /// # Errors
    /// As [`Self::append`].
    pub async fn resolve(
        &self,
        source: &Arc<str>,
        reopened: Vec<Reopened>,
    ) -> Result<Resolved, SinkError> {
        let mut open = self.sink.lock().await;
        let sink = open.as_mut().ok_or(SinkError::Ended)?;
        let done = sink.resolve(source, reopened).await;
        if done.is_err() {
            end(open.take()).await;
        }
        done
    }

    /// Waits until the index covers the table, and closes both. Does nothing after a failure, which
    /// has been told.
    pub async fn close(&self) -> Result<(), SinkError> {
        let sink = self.sink.lock().await.take();
        match sink {
            Some(sink) => sink.close().await,
            None => Ok(()),
        }
    }
}

/// Gives up the lock; what the index still lacks is brought in at the next start if not here.
async fn end(sink: Option<Sink>) {
    let Some(sink) = sink else { return };
    if let Err(error) = sink.close().await {
        tracing::warn!(%error, "the search index could not be closed");
    }
}
