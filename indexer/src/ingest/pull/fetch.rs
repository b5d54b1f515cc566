//! Stage 1: asks for page after page, as fast as WeCom allows, and waits as each failure wants.
//!
//! The cursor of the calls moves with good pages only. What a failure costs is time: a page that
//! kills the child or makes no sense again and again is asked for in halves (`stuck`).

use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{SendError, SyncSender};
use std::time::{Duration, Instant};

use huicun_ffi_finance_sdk::page::Page;
use huicun_ffi_finance_sdk::worker::{CallError, WorkerClient};

use super::stuck::{Spoilt, Wariness};
use super::{Company, Pull, PullError, Stop, Until, lock};
use crate::ingest::pace::{back_off, larger, wait_after, wait_for_page};
use crate::ingest::pages::{SealedPage, sealed_page};
use crate::ingest::status::Stage;

/// `pull --once` gives up on an error that wants a longer wait, such as an address that WeCom
/// does not trust: somebody is waiting for the command, and must act first.
const WAIT_ONCE_MAX: Duration = Duration::from_secs(30);
/// A company that answers well and has never had a message after this long has nobody in scope.
const SILENT_AFTER: Duration = Duration::from_secs(600);

/// What an operator is told of a company without any message, Chinese first.
pub const NOTHING_ARCHIVED_ZH: &str = "企业微信应答正常,但从未有过消息:请确认 会话内容存档 的存档成员范围已选择成员、公钥已设置、外部联系人已同意存档,且 5 天内有过聊天";
/// The same in English.
pub const NOTHING_ARCHIVED_EN: &str = "WeCom answers without an error and has never had a message: check that members are in the archive's scope, that a public key is set, that external contacts have consented, and that somebody has chatted within five days";

/// One asker: where it stands and what it has met.
pub(super) struct Asker<'a> {
    pull: &'a Pull,
    client: &'a Mutex<WorkerClient>,
    pub(super) stop: &'a Stop,
    /// The seq after which to ask.
    pub(super) after: u64,
    /// Records to ask for.
    pub(super) limit: u32,
    n_failures: u32,
    wary: Wariness,
    started: Instant,
    is_silence_told: bool,
}

impl Asker<'_> {
    /// One call, at WeCom's pace; `None` when asked to end while it waited.
    pub(super) fn ask(&self, after: u64, limit: u32) -> Option<Result<Page, CallError>> {
        if !self.pull.wait_for_turn(self.stop) {
            return None;
        }
        let status = &self.pull.status;
        status.note_call();
        let mut client = lock(self.client);
        let answer = client.page(after, limit);
        status.note_worker(client.n_starts(), client.pid());
        Some(answer)
    }
}

impl Pull {
    pub(super) fn fetch(
        &self,
        client: &Mutex<WorkerClient>,
        stop: &Stop,
        after: u64,
        until: Until,
        pages: SyncSender<SealedPage>,
    ) -> Result<(), PullError> {
        let mut asker = Asker {
            pull: self,
            client,
            stop,
            after,
            limit: self.settings.page_records,
            n_failures: 0,
            wary: Wariness::default(),
            started: Instant::now(),
            is_silence_told: false,
        };
        loop {
            let moment = stop.moment();
            let Some(answer) = asker.ask(asker.after, asker.limit) else {
                return Ok(());
            };
            let page = match answer {
                Ok(page) => page,
                Err(CallError::Api(api)) if api.code.wants_smaller_page() && asker.limit > 1 => {
                    asker.limit /= 2;
                    tracing::warn!(error = %api, page_records = asker.limit, "asking for smaller pages");
                    continue;
                }
                Err(error) if error.may_be_the_page() => {
                    let spoilt = self.after_spoilt(&mut asker, self.call_error(error), until)?;
                    match spoilt.map(|page| self.pass_on(page, &pages)) {
                        Some(Err(_)) => return Ok(()),
                        Some(Ok(())) | None => continue,
                    }
                }
                Err(error) => {
                    self.after_failure(&mut asker, error, until)?;
                    continue;
                }
            };
            if page.is_empty() {
                self.note_answer(&mut asker, true);
                if until == Until::CaughtUp {
                    self.tell_silence(&mut asker, Duration::ZERO);
                    return Ok(());
                }
                self.tell_silence(&mut asker, SILENT_AFTER);
                stop.sleep_until_woken(self.settings.poll(), moment);
                continue;
            }
            let page = match sealed_page(page.records, page.damaged, asker.after) {
                Ok(page) => page,
                Err(error) => {
                    let spoilt = self.after_spoilt(&mut asker, error, until)?;
                    match spoilt.map(|page| self.pass_on(page, &pages)) {
                        Some(Err(_)) => return Ok(()),
                        Some(Ok(())) | None => continue,
                    }
                }
            };
            self.note_answer(&mut asker, false);
            asker.after = page.step.to as u64;
            // A size that was once refused is tried again a little at a time.
            asker.limit = larger(asker.limit).min(self.settings.page_records);
            if asker.limit == self.settings.page_records {
                asker.wary = Wariness::default();
            } else {
                asker.wary.read();
            }
            if self.pass_on(page, &pages).is_err() {
                return Ok(());
            }
        }
    }

    fn pass_on(
        &self,
        page: SealedPage,
        pages: &SyncSender<SealedPage>,
    ) -> Result<(), SendError<SealedPage>> {
        self.status.enter(Stage::Sealed);
        pages.send(page)
    }

    fn note_answer(&self, asker: &mut Asker<'_>, is_caught_up: bool) {
        asker.n_failures = 0;
        self.status.note_answer(is_caught_up);
    }

    /// An empty scope is no error of WeCom's, so somebody has to say it.
    fn tell_silence(&self, asker: &mut Asker<'_>, patience: Duration) {
        if asker.after != 0 || asker.is_silence_told || asker.started.elapsed() < patience {
            return;
        }
        asker.is_silence_told = true;
        let (corp, advice) = (&self.corp.corpid, NOTHING_ARCHIVED_EN);
        tracing::warn!(corp, advice, "{NOTHING_ARCHIVED_ZH}");
    }

    /// Waits before the next attempt, or gives up with the error.
    fn after_failure(
        &self,
        asker: &mut Asker<'_>,
        error: CallError,
        until: Until,
    ) -> Result<(), PullError> {
        asker.n_failures += 1;
        let is_first = self.status.answered_at_ms.load(Ordering::Relaxed) == 0;
        let gives_up = match until {
            Until::CaughtUp => {
                !error.is_retryable()
                    || asker.n_failures >= self.settings.attempts_once
                    || error.wait_at_least() > WAIT_ONCE_MAX
            }
            // A pull that has never worked is misconfigured; one that has worked goes on trying,
            // and so does one beside others.
            Until::Stopped => is_first && !error.is_retryable() && self.company == Company::Alone,
        };
        self.status.note_failure(&error);
        if gives_up {
            return Err(self.call_error(error));
        }
        let wait = wait_after(&error, asker.n_failures);
        tracing::warn!(
            corp = self.corp.corpid,
            %error,
            advice = error.advice_en(),
            advice_zh = error.advice_zh(),
            attempt = asker.n_failures,
            wait_seconds = wait.as_secs_f64(),
            "WeCom did not answer; trying again"
        );
        asker.stop.sleep(wait);
        Ok(())
    }

    /// A page that kills the child or makes no sense: WeCom may give a better one, a smaller one
    /// may do, and a single record that cannot be had is passed by. Waits, or gives up.
    fn after_spoilt(
        &self,
        asker: &mut Asker<'_>,
        error: PullError,
        until: Until,
    ) -> Result<Option<SealedPage>, PullError> {
        asker.n_failures += 1;
        match &error {
            PullError::Call { source, .. } => self.status.note_failure(source),
            other => self.status.note_bad_page(other),
        }
        let corp = &self.corp.corpid;
        match asker.wary.spoilt(asker.limit) {
            Spoilt::Again => {}
            Spoilt::Halve => {
                asker.limit = (asker.limit / 2).max(1);
                tracing::warn!(corp, %error, page_records = asker.limit, "asking for smaller pages");
                return Ok(None);
            }
            Spoilt::PassBy => {
                if let Some(page) = self.pass_by(asker, &error) {
                    asker.n_failures = 0;
                    asker.wary.read();
                    asker.after = page.step.to as u64;
                    *lock(&self.status.last_error) = None;
                    return Ok(Some(page));
                }
            }
        }
        let attempts = self.settings.attempts_once;
        let is_hopeless = asker.wary.is_at_its_end() || asker.wary.is_more_patient_than(attempts);
        if until == Until::CaughtUp && asker.n_failures >= attempts && is_hopeless {
            return Err(error);
        }
        let wait = match asker.wary.is_at_its_end() {
            true => back_off(asker.n_failures),
            false => wait_for_page(asker.n_failures),
        };
        tracing::error!(
            corp,
            %error,
            attempt = asker.n_failures,
            wait_seconds = wait.as_secs_f64(),
            "a page cannot be used; trying again"
        );
        asker.stop.sleep(wait);
        Ok(None)
    }
}
