//! Fetches what is to be fetched: a few lanes for each company, each with an SDK worker of its own,
//! beside a thread that follows the table. Bounded in bandwidth and disk; ends when asked.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use huicun_engine::archive::{Home, HomeError};
use huicun_engine::media::catalogue::CatalogueError;
use huicun_engine::media::store::StoreError;
use huicun_engine::media::{Catalogue, Job, Store};
use huicun_ffi_finance_sdk::worker::{CallError, Limits, Session, WorkerClient, WorkerCommand};

use super::bandwidth::Bandwidth;
use super::desk::{Desk, Taken};
use super::download::{Download, DownloadError, End};
use super::follow::{FollowError, MediaFollower};
use super::settings::MediaSettings;
use crate::ingest::config::Corp;
use crate::ingest::pull::Stop;

/// How often the table is looked at for new media, and idle lanes look for work.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// The longest wait between two looks at the table.
const LOOK_EVERY_MAX: Duration = Duration::from_secs(30);
/// How often a pause for want of disk is looked at, and a lock that another process holds.
const PAUSE: Duration = Duration::from_secs(5);
/// A worker that had nothing to do for so long is ended; the next medium starts another.
const WORKER_IDLE_MAX: Duration = Duration::from_secs(60);

/// Why fetching ended.
#[derive(Debug, thiserror::Error)]
pub enum MediaError {
    /// The data directory cannot be used, or another process fetches already.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The media database cannot be used.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The table could not be followed.
    #[error(transparent)]
    Follow(#[from] FollowError),
    /// Disk or database failed during a download.
    #[error(transparent)]
    Download(#[from] DownloadError),
    /// The SDK or WeCom refuses everything.
    #[error("cannot fetch media from WeCom for `{corpid}`: {source}")]
    Call {
        /// For which company.
        corpid: String,
        /// What failed.
        source: CallError,
    },
    /// There is no room, by the configuration's bounds or on the disk.
    #[error("fetching media pauses: {0}")]
    Paused(String),
    /// A thread ended in a panic.
    #[error("fetching media stopped unexpectedly; what was fetched is safe, start it again")]
    Panicked,
}

/// How far to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// One attempt at each medium whose turn has come.
    Attempted,
    /// Until every medium is stored or lost, waiting for further attempts.
    Done,
    /// For ever, following the table.
    Stopped,
}

/// What was done so far.
#[derive(Debug, Default)]
pub struct Progress {
    /// Media put into the store.
    pub n_stored: AtomicU64,
    /// Media given up.
    pub n_lost: AtomicU64,
    /// Attempts that failed and are repeated later.
    pub n_failed: AtomicU64,
    /// Bytes that came.
    pub n_bytes: AtomicU64,
    /// Why nothing is fetched at the moment, if something keeps it.
    pub paused: Mutex<Option<String>>,
}

/// The fetching of one process.
pub struct Fetching {
    /// The data directory.
    pub home: Home,
    /// For which companies.
    pub corps: Vec<Corp>,
    /// How.
    pub settings: MediaSettings,
    /// How the worker processes are started.
    pub worker: WorkerCommand,
    /// What a worker may cost.
    pub limits: Limits,
    /// How it can be ended.
    pub stop: Stop,
    /// Where it can be watched.
    pub progress: Arc<Progress>,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn now_ms() -> i64 {
    chrono::Utc::now().timestamp_millis()
}

impl Fetching {
    /// Fetches until done or stopped. Inside a tokio runtime with several threads; blocks one.
    ///
    /// # Errors
    /// What was fetched is kept. With [`Until::Stopped`] a failure of WeCom or want of disk is no
    /// end, only a pause.
    pub async fn run(&self, until: Until) -> Result<(), MediaError> {
        let runtime = tokio::runtime::Handle::current();
        tokio::task::block_in_place(|| {
            let Some(_lock) = self.locked(until)? else {
                return Ok(());
            };
            let store = Store::open_or_create(&self.settings.store_of(&self.home))?;
            let catalogue = Arc::new(Catalogue::open(&self.home)?);
            let place = store.root().display().to_string();
            if catalogue.mark("store")?.as_deref() != Some(&*place) {
                catalogue.set_mark("store", &place)?;
            }
            let corps: Vec<&str> = self.corps.iter().map(|corp| corp.corpid.as_str()).collect();
            let corps = serde_json::to_string(&corps).expect("names are plain data");
            if catalogue.mark("corps")?.as_deref() != Some(&*corps) && until == Until::Stopped {
                catalogue.set_mark("corps", &corps)?;
            }
            let mut follower =
                MediaFollower::new(&self.home, Arc::clone(&catalogue), store.clone())?;
            runtime.block_on(follower.catch_up(now_ms()))?;
            let work = Work {
                fetching: self,
                until,
                catalogue: &catalogue,
                store: &store,
                runtime: &runtime,
                bandwidth: Mutex::new(Bandwidth::new(self.settings.bytes_per_second_max)),
                started: Instant::now(),
                used_bytes: AtomicU64::new(catalogue.bytes_kept()?),
                has_ended: AtomicBool::new(false),
            };
            let desks: Vec<Desk> = self.corps.iter().map(Desk::new).collect();
            let done = std::thread::scope(|scope| {
                let follow = (until == Until::Stopped)
                    .then(|| scope.spawn(|| work.ending(|| work.follow(&mut follower))));
                let mut lanes = Vec::new();
                for desk in &desks {
                    for _ in 0..self.settings.parallel {
                        lanes.push(scope.spawn(|| work.ending(|| work.lane(desk))));
                    }
                }
                let ended = lanes
                    .into_iter()
                    .chain(follow)
                    .map(|thread| thread.join().unwrap_or(Err(MediaError::Panicked)));
                // All are waited for; the first error is told.
                let ended: Vec<Result<(), MediaError>> = ended.collect();
                ended.into_iter().collect()
            });
            work.pause(None)?;
            done
        })
    }

    /// The lock of the one process that fetches; `None` when asked to end while waiting for it.
    fn locked(&self, until: Until) -> Result<Option<huicun_engine::archive::Lock>, MediaError> {
        loop {
            match self.home.lock_media("huicun (fetching media)") {
                Err(HomeError::Locked { .. }) if until == Until::Stopped => {
                    if self.stop.is_stopped() {
                        return Ok(None);
                    }
                    self.stop.sleep(PAUSE);
                }
                other => return Ok(Some(other?)),
            }
        }
    }
}

/// What all threads share.
struct Work<'a> {
    fetching: &'a Fetching,
    until: Until,
    catalogue: &'a Catalogue,
    store: &'a Store,
    runtime: &'a tokio::runtime::Handle,
    bandwidth: Mutex<Bandwidth>,
    started: Instant,
    used_bytes: AtomicU64,
    has_ended: AtomicBool,
}

impl Work<'_> {
    /// Runs a thread's work; its error ends the others, too.
    fn ending(&self, work: impl FnOnce() -> Result<(), MediaError>) -> Result<(), MediaError> {
        let done = work();
        if done.is_err() {
            self.has_ended.store(true, Ordering::Relaxed);
        }
        done
    }

    fn is_stopped(&self) -> bool {
        self.has_ended.load(Ordering::Relaxed) || self.fetching.stop.is_stopped()
    }

    /// Sleeps in short pieces: the other threads may end, too.
    fn sleep(&self, time: Duration) {
        let until = Instant::now() + time;
        while !self.is_stopped() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            self.fetching
                .stop
                .sleep(left.min(Duration::from_millis(200)));
        }
    }

    fn follow(&self, follower: &mut MediaFollower) -> Result<(), MediaError> {
        let mut wait = LOOK_EVERY;
        while !self.is_stopped() {
            self.sleep(wait);
            let started = Instant::now();
            self.runtime.block_on(follower.catch_up(now_ms()))?;
            // While a backlog comes in, a tenth of a core at most.
            wait = (started.elapsed() * 10).clamp(LOOK_EVERY, LOOK_EVERY_MAX);
        }
        Ok(())
    }

    /// Takes medium after medium. The worker starts with the first.
    fn lane(&self, desk: &Desk) -> Result<(), MediaError> {
        let mut client: Option<WorkerClient> = None;
        let mut idle_since = Instant::now();
        while !self.is_stopped() {
            if let Some(why) = self.want_of_room(0)? {
                self.pause(Some(why))?;
                continue;
            }
            match desk.take(self.catalogue, self.until)? {
                Taken::Job(job) => {
                    let id = job.id;
                    let ended = self.fetch(desk, job, &mut client);
                    desk.give_back(id);
                    ended?;
                    idle_since = Instant::now();
                }
                Taken::Nothing => return Ok(()),
                Taken::Later => {
                    if idle_since.elapsed() > WORKER_IDLE_MAX {
                        client = None;
                    }
                    let is_waited_for = self.until != Until::Stopped;
                    self.sleep(match is_waited_for {
                        true => Duration::from_millis(20),
                        false => LOOK_EVERY,
                    });
                }
            }
        }
        Ok(())
    }

    fn fetch(
        &self,
        desk: &Desk,
        job: Job,
        client: &mut Option<WorkerClient>,
    ) -> Result<(), MediaError> {
        let progress = &self.fetching.progress;
        let still_to_come = job
            .size
            .unwrap_or(0)
            .unsigned_abs()
            .saturating_sub(job.n_bytes);
        if let Some(why) = self.want_of_room(still_to_come)? {
            return self.pause(Some(why));
        }
        let download = Download {
            catalogue: self.catalogue,
            store: self.store,
            settings: &self.fetching.settings,
            runtime: self.runtime,
            now_ms: &now_ms,
        };
        let mut ask = |index: &str, file_id: &str| {
            if client.is_none() {
                *client = Some(self.start_worker(&desk.corp)?);
            }
            match client {
                Some(client) => client.media_chunk(index, file_id),
                None => unreachable!("it was started above"),
            }
        };
        let mut came = |n_bytes: u64| self.paid(n_bytes);
        match download.run(job, &mut ask, &mut came) {
            Ok(End::Stored(_)) => {
                progress.n_stored.fetch_add(1, Ordering::Relaxed);
                self.pause(None)
            }
            Ok(End::Again) => {
                progress.n_failed.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            Ok(End::Lost(_)) => {
                progress.n_lost.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            Ok(End::Interrupted) => Ok(()),
            Ok(End::Everybody { wait, error }) => {
                if self.until != Until::Stopped {
                    return Err(MediaError::Call {
                        corpid: desk.corp.corpid.clone(),
                        source: error,
                    });
                }
                desk.trouble(wait);
                self.say(Some(format!("{error}; {}", error.advice_en())))
            }
            Err(error) if error.is_disk_full() => self.pause(Some(format!("disk_full: {error}"))),
            Err(error) => Err(error.into()),
        }
    }

    fn start_worker(&self, corp: &Corp) -> Result<WorkerClient, CallError> {
        let session = Session {
            library: corp.sdk_library.clone(),
            corpid: corp.corpid.clone(),
            secret: corp.secret.clone().unwrap_or_default(),
            proxy: corp.proxy.clone(),
            passwd: corp.proxy_password.clone(),
        };
        WorkerClient::start(self.fetching.worker.clone(), session, self.fetching.limits)
    }

    /// Counts and pays for bytes that came; whether to go on.
    fn paid(&self, n_bytes: u64) -> bool {
        let progress = &self.fetching.progress;
        progress.n_bytes.fetch_add(n_bytes, Ordering::Relaxed);
        self.used_bytes.fetch_add(n_bytes, Ordering::Relaxed);
        let wait = lock(&self.bandwidth).pay(n_bytes, self.started.elapsed());
        self.sleep(wait);
        !self.is_stopped() && matches!(self.want_of_room(0), Ok(None))
    }

    /// Why `n_bytes` more may not be written, if they may not.
    fn want_of_room(&self, n_bytes: u64) -> Result<Option<String>, StoreError> {
        let settings = &self.fetching.settings;
        let used = self.used_bytes.load(Ordering::Relaxed);
        if settings.disk_bytes_max > 0 && used.saturating_add(n_bytes) > settings.disk_bytes_max {
            return Ok(Some(format!(
                "disk_bytes_max: media take {used} bytes, {} are allowed",
                settings.disk_bytes_max
            )));
        }
        let free = self.store.free_bytes()?;
        let needed = settings.disk_free_bytes_min.saturating_add(n_bytes);
        Ok((free < needed).then(|| {
            format!(
                "disk_free_bytes_min: the disk has {free} bytes left, {} must stay free",
                settings.disk_free_bytes_min
            )
        }))
    }

    /// Pauses for want of room, or ends where somebody waits for the command. `None` goes on.
    fn pause(&self, why: Option<String>) -> Result<(), MediaError> {
        let is_paused = why.is_some();
        if let Some(why) = why.as_ref().filter(|_| self.until != Until::Stopped) {
            return Err(MediaError::Paused(why.clone()));
        }
        self.say(why)?;
        if is_paused {
            self.sleep(PAUSE);
            // What was deleted, or lost on the way, makes room again.
            self.used_bytes
                .store(self.catalogue.bytes_kept()?, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Lets everybody know why nothing is fetched: the log, this process, and others by the
    /// database.
    fn say(&self, why: Option<String>) -> Result<(), MediaError> {
        let mut paused = lock(&self.fetching.progress.paused);
        // The numbers in it change; the word before the colon tells what it is.
        let word = |why: &Option<String>| {
            why.as_deref()
                .and_then(|why| why.split(':').next())
                .map(str::to_string)
        };
        if word(&paused) != word(&why) {
            match &why {
                Some(why) => tracing::warn!(why, "fetching media pauses"),
                None => tracing::info!("fetching media goes on"),
            }
            self.catalogue
                .set_mark("paused", why.as_deref().unwrap_or_default())?;
        }
        *paused = why;
        Ok(())
    }
}
