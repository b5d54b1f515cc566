//! All companies of an installation, pulled by one process: each has its own worker, keys, cursor,
//! source and pace, and they share the archive, where their commits take turns.
//!
//! One company's mistakes never stop the others: a pull that follows goes on trying and shows it in
//! its status; `--once` finishes the others and tells which failed. Only the archive itself, which
//! is everybody's, ends them all. Beside them the quarantine is looked after: what a new key opens,
//! and what a command asks for.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use huicun_engine::archive::Home;
use huicun_engine::state::State;
use huicun_ffi_finance_sdk::worker::WorkerCommand;

use super::callback::Callback;
use super::config::{Corp, PullSettings};
use super::pace::back_off;
use super::pull::{Company, Prepared, Pull, PullError, Stop, Until};
use super::retry::{self, Depth, Retried, RetryError, Wish, mailbox};
use super::sink::{SharedSink, Sink};
use super::status::Watched;

/// How often requests of other commands are looked for.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Looks between two looks at the key files.
const LOOKS_PER_KEYS: u32 = 2;

/// The pulls of all companies.
pub struct Companies {
    /// One for each company, in the order of the configuration.
    pub pulls: Vec<Pull>,
    stop: Stop,
}

/// How the pull of one company ended.
pub struct Ended {
    /// The company.
    pub corpid: String,
    /// How.
    pub outcome: Result<(), PullError>,
}

impl Companies {
    /// Pulls that have not begun; `stop` ends them all.
    pub fn new(
        corps: Vec<Corp>,
        settings: &PullSettings,
        worker: &WorkerCommand,
        data: &Path,
        stop: &Stop,
    ) -> Self {
        let company = match corps.len() {
            1 => Company::Alone,
            _ => Company::OneOfSeveral,
        };
        let pull = |corp| {
            let (settings, worker) = (settings.clone(), worker.clone());
            Pull::new(corp, settings, worker, data, stop.child(), company)
        };
        Self {
            pulls: corps.into_iter().map(pull).collect(),
            stop: stop.clone(),
        }
    }

    /// Where each can be watched.
    pub fn watched(&self) -> Vec<Watched> {
        let watched = self.pulls.iter().map(|pull| Watched {
            corpid: pull.corp.corpid.clone(),
            status: Arc::clone(&pull.status),
        });
        watched.collect()
    }

    /// Keeps each company's last answer and last failure in the state database as well.
    pub fn record_in(&self, state: &Arc<State>) {
        for pull in &self.pulls {
            pull.status.record_in(Arc::clone(state));
        }
    }

    /// Who listens to WeCom's callbacks.
    pub fn callbacks(&self) -> Vec<Callback> {
        let listening = self.pulls.iter().filter_map(|pull| {
            let settings = pull.corp.callback.as_ref()?;
            Callback::new(&pull.corp.corpid, settings, pull.stop.clone())
        });
        listening.collect()
    }

    /// Reads keys and opens libraries before anything is touched. `None` stands for a company
    /// whose set-up is wrong while another's is right; it is told again when it is pulled.
    ///
    /// # Errors
    /// No company can be pulled.
    pub fn prepare(&self) -> Result<Vec<Option<Prepared>>, PullError> {
        let mut first = None;
        let prepared: Vec<_> = self
            .pulls
            .iter()
            .map(|pull| match pull.prepare() {
                Ok(prepared) => Some(prepared),
                Err(error) => {
                    first.get_or_insert(error);
                    None
                }
            })
            .collect();
        match first {
            Some(error) if prepared.iter().all(Option::is_none) => Err(error),
            _ => Ok(prepared),
        }
    }

    /// Pulls all until done or stopped, then closes the archive. Inside a tokio runtime with
    /// several threads. One entry a company, and one more when the archive failed beside them.
    pub async fn run(
        self,
        prepared: Vec<Option<Prepared>>,
        home: &Home,
        sink: Sink,
        until: Until,
    ) -> Vec<Ended> {
        let this = Arc::new(self);
        let sink = SharedSink::new(sink);
        let pulling: Vec<_> = prepared
            .into_iter()
            .enumerate()
            .map(|(place, prepared)| {
                let (this, sink) = (Arc::clone(&this), sink.clone());
                tokio::spawn(async move {
                    let pull = &this.pulls[place];
                    let outcome = match until {
                        Until::CaughtUp => once(pull, prepared, &sink).await,
                        Until::Stopped => keep_pulling(pull, prepared, &sink).await,
                    };
                    // A pull that ends by itself ends the rest: a process that only looks alive is
                    // worse.
                    if until == Until::Stopped {
                        this.stop.stop();
                    }
                    outcome
                })
            })
            .collect();
        let caring = {
            let (this, sink, home) = (Arc::clone(&this), sink.clone(), home.clone());
            tokio::spawn(async move { this.care(&home, &sink, until).await })
        };
        let mut ended = Vec::new();
        for (pull, pulling) in this.pulls.iter().zip(pulling) {
            let outcome = pulling.await.unwrap_or(Err(PullError::Panicked));
            ended.push(Ended {
                corpid: pull.corp.corpid.clone(),
                outcome,
            });
        }
        let cared = caring.await.unwrap_or(Err(PullError::Panicked));
        let closed = sink.close().await.map_err(PullError::from);
        if let Err(error) = cared.and(closed) {
            ended.push(Ended {
                corpid: this
                    .pulls
                    .iter()
                    .map(|p| p.corp.corpid.as_str())
                    .collect::<Vec<_>>()
                    .join(", "),
                outcome: Err(error),
            });
        }
        ended
    }

    /// Looks after the quarantine: at the start, when keys come, when somebody asks.
    async fn care(&self, home: &Home, sink: &SharedSink, until: Until) -> Result<(), PullError> {
        let mut seen: Vec<u64> = self.pulls.iter().map(|p| p.keys.n_changes()).collect();
        self.bring_in(home, sink, &Wish::default(), Depth::WhatMayOpen)
            .await?;
        let mut n_looks: u32 = 0;
        while until == Until::Stopped && !self.stop.is_stopped() {
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = self.stop.stopped() => break,
            }
            n_looks = n_looks.wrapping_add(1);
            let asked = mailbox::pending(home);
            if !asked.is_empty() || n_looks.is_multiple_of(LOOKS_PER_KEYS) {
                self.look_at_keys(home, sink, &mut seen).await?;
            }
            for (id, wish) in asked {
                let done = self.bring_in(home, sink, &wish, Depth::WhatIsAsked).await;
                mailbox::answer(home, &id, done.as_ref().map_err(ToString::to_string));
                done?;
            }
        }
        Ok(())
    }

    async fn look_at_keys(
        &self,
        home: &Home,
        sink: &SharedSink,
        seen: &mut [u64],
    ) -> Result<(), PullError> {
        for (pull, seen) in self.pulls.iter().zip(seen) {
            let corp = &pull.corp.corpid;
            if let Err(error) = pull.keys.refresh() {
                tracing::error!(corp, %error, "a private key cannot be used; the others stay in use");
            }
            if pull.keys.n_changes() == *seen {
                continue;
            }
            *seen = pull.keys.n_changes();
            let versions = pull.keys.ring().versions();
            tracing::info!(corp, ?versions, "private keys have changed");
            let wish = Wish {
                source: Some(corp.clone()),
                ..Wish::default()
            };
            self.bring_in(home, sink, &wish, Depth::WhatMayOpen).await?;
        }
        Ok(())
    }

    async fn bring_in(
        &self,
        home: &Home,
        sink: &SharedSink,
        wish: &Wish,
        depth: Depth,
    ) -> Result<Retried, PullError> {
        match retry::retry(home, sink, &self.pulls, wish, depth, &self.stop).await {
            Ok(done) => {
                if done.archived + done.duplicates > 0 {
                    tracing::info!(
                        archived = done.archived,
                        duplicates = done.duplicates,
                        kept = done.kept,
                        "quarantined records were brought in"
                    );
                }
                Ok(done)
            }
            // Somebody compacts for long: the next look tries again.
            Err(RetryError::Home(error)) => {
                tracing::warn!(%error, "the quarantine could not be looked at");
                Ok(Retried::default())
            }
            Err(error) => {
                tracing::error!(%error, "quarantined records could not be brought in");
                Err(error.into())
            }
        }
    }
}

async fn once(pull: &Pull, prepared: Option<Prepared>, sink: &SharedSink) -> Result<(), PullError> {
    let prepared = match prepared {
        Some(prepared) => prepared,
        None => tokio::task::block_in_place(|| pull.prepare())?,
    };
    pull.run(prepared, sink, Until::CaughtUp).await
}

/// Goes on until it is asked to end, whatever WeCom, the library or the keys are like; alone, it
/// ends with its first error instead.
async fn keep_pulling(
    pull: &Pull,
    mut prepared: Option<Prepared>,
    sink: &SharedSink,
) -> Result<(), PullError> {
    let mut n_failures = 0;
    loop {
        let ready = match prepared.take() {
            Some(prepared) => Ok(prepared),
            None => tokio::task::block_in_place(|| pull.prepare()),
        };
        let outcome = match ready {
            Ok(prepared) => pull.run(prepared, sink, Until::Stopped).await,
            Err(error) => Err(error),
        };
        match outcome {
            Ok(()) => return Ok(()),
            Err(error) if pull.company == Company::Alone => return Err(error),
            Err(error @ (PullError::Sink(_) | PullError::Panicked)) => return Err(error),
            Err(error) => {
                n_failures += 1;
                let wait = back_off(n_failures);
                let corp = &pull.corp.corpid;
                tracing::error!(corp, %error, wait_seconds = wait.as_secs_f64(), "cannot pull; trying again");
                pull.status.set_error(error.to_string());
                tokio::task::block_in_place(|| pull.stop.sleep(wait));
                if pull.stop.is_stopped() {
                    return Ok(());
                }
            }
        }
    }
}
