//! The parent's end: calls that cost, at worst, a child.
//!
//! Blocking, for one thread at a time. Every call has a deadline and the child a bound of
//! memory; past either it is killed, and the next call starts another. Who waits how long
//! before that call is the caller's business.
//!
//! The process itself, and the threads that serve it, are `child`'s.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::child::{Lost, Running, spawn};
use super::error::{CallError, Exit};
use super::protocol::{Network, Reply, Request};
use super::wire::Frame;
use crate::code::SdkCode;
use crate::handle::MediaChunk;
use crate::page::{Page, parse_page};

/// Items in one request; more go in several.
const BATCH_ITEMS_MAX: usize = 1000;
/// Bytes in one request; more go in several.
const BATCH_BYTES_MAX: usize = 16 << 20;
/// How the child is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerCommand {
    /// The program that ends up in [`super::run`].
    pub program: PathBuf,
    /// Its arguments; never a secret.
    pub args: Vec<OsString>,
    /// Variables added to its environment; never a secret.
    pub envs: Vec<(OsString, OsString)>,
}

/// Which company, and by which way. `Debug` tells neither secret nor proxy password.
#[derive(Clone, PartialEq, Eq)]
pub struct Session {
    /// The SDK's file.
    pub library: PathBuf,
    /// The company.
    pub corpid: String,
    /// The secret of its session archive.
    pub secret: String,
    /// `scheme://host:port`, or empty.
    pub proxy: String,
    /// `user:password` of the proxy, or empty.
    pub passwd: String,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("library", &self.library)
            .field("corpid", &self.corpid)
            .finish_non_exhaustive()
    }
}

/// What a child may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// What the library is told to take at most for a call over the network, in whole seconds.
    pub call_timeout: Duration,
    /// How much longer than that is waited before the child counts as hanging.
    pub grace: Duration,
    /// What loading the library, or one batch of decryption, may take.
    pub local_timeout: Duration,
    /// Resident memory above which the child is replaced, during a call or after it.
    pub memory_bytes_max: u64,
    /// Children lost in one [`WorkerClient::decrypt_isolating`] before it gives up.
    pub isolation_losses_max: u32,
    /// Time after which one [`WorkerClient::decrypt_isolating`] gives up.
    pub isolation_time_max: Duration,
}

impl Default for Limits {
    /// 10 s for the network (the official suggestion for a page is 5) and 5 s more; 20 s for
    /// local work, which takes milliseconds; 1 GiB, four times the largest answer; a search may
    /// lose three children for each of 1000 records and take 10 minutes.
    fn default() -> Self {
        Self {
            call_timeout: Duration::from_secs(10),
            grace: Duration::from_secs(5),
            local_timeout: Duration::from_secs(20),
            memory_bytes_max: 1 << 30,
            isolation_losses_max: 3000,
            isolation_time_max: Duration::from_secs(600),
        }
    }
}

/// What became of one sealed message.
#[derive(Clone, PartialEq, Eq)]
pub enum DecryptOutcome {
    /// The message's bytes.
    Plain(Vec<u8>),
    /// The library returned a code.
    Failed(SdkCode),
    /// This record alone, in a new child, ended that child (or hung it, or made it grow).
    Crashed,
}

impl fmt::Debug for DecryptOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(text) => write!(f, "Plain({} bytes)", text.len()),
            Self::Failed(code) => write!(f, "Failed({code})"),
            Self::Crashed => f.write_str("Crashed"),
        }
    }
}

/// The parent's end of one child at a time.
pub struct WorkerClient {
    command: WorkerCommand,
    session: Session,
    limits: Limits,
    running: Option<Running>,
    next_id: u64,
    n_starts: u64,
    /// The child's memory when it last answered.
    rss_bytes: u64,
}

impl fmt::Debug for WorkerClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerClient")
            .field("session", &self.session)
            .field("pid", &self.pid())
            .field("n_starts", &self.n_starts)
            .finish_non_exhaustive()
    }
}

impl WorkerClient {
    /// Starts a child, loads the library in it and initialises a handle.
    ///
    /// # Errors
    /// [`CallError::Load`], [`CallError::Spawn`], [`CallError::Sdk`] for empty credentials, or
    /// any way in which the child may be lost.
    pub fn start(
        command: WorkerCommand,
        session: Session,
        limits: Limits,
    ) -> Result<Self, CallError> {
        let mut client = Self {
            command,
            session,
            limits,
            running: None,
            next_id: 0,
            n_starts: 0,
            rss_bytes: 0,
        };
        client.ensure_running()?;
        Ok(client)
    }

    /// Up to `limit` (clamped to 1..=1000) sealed records after `after_seq`. An empty page means
    /// that there is nothing more yet.
    ///
    /// # Errors
    /// Any [`CallError`]; the same call may follow, with the same seq.
    pub fn page(&mut self, after_seq: u64, limit: u32) -> Result<Page, CallError> {
        let request = Request::Page {
            after_seq,
            limit,
            network: self.network(),
        }
        .to_frame(0);
        match self.call(request, self.network_deadline())? {
            Reply::Page(json) => Ok(parse_page(&json)?),
            other => Err(self.unexpected(&other)),
        }
    }

    /// Opens sealed messages: pairs of key text and `encrypt_chat_msg`. The result has one entry
    /// for each item, in order.
    ///
    /// # Errors
    /// Any [`CallError`]; then nothing is known of any item.
    pub fn decrypt_batch(
        &mut self,
        items: &[(String, String)],
    ) -> Result<Vec<Result<Vec<u8>, SdkCode>>, CallError> {
        let mut results = Vec::with_capacity(items.len());
        for range in request_ranges(items) {
            results.extend(self.decrypt_request(&items[range])?);
        }
        Ok(results)
    }

    /// As [`Self::decrypt_batch`], but a record that costs the child its life is found by halving
    /// the batch, and passed by. It is blamed only when it does so alone in a new child.
    ///
    /// # Errors
    /// When a child cannot be started (nobody is to blame then), and
    /// [`CallError::TooManyLosses`] when the bounds of [`Limits`] are passed; smaller batches get
    /// further.
    pub fn decrypt_isolating(
        &mut self,
        items: &[(String, String)],
    ) -> Result<Vec<DecryptOutcome>, CallError> {
        let started = Instant::now();
        let mut outcomes = vec![DecryptOutcome::Crashed; items.len()];
        let mut ranges: VecDeque<Range<usize>> = request_ranges(items).into();
        let mut n_losses = 0;
        while let Some(range) = ranges.pop_front() {
            self.ensure_running()?;
            let is_new = self
                .running
                .as_ref()
                .is_some_and(|running| running.n_calls <= 1);
            match self.decrypt_request(&items[range.clone()]) {
                Ok(results) => {
                    for (outcome, result) in outcomes[range].iter_mut().zip(results) {
                        *outcome =
                            result.map_or_else(DecryptOutcome::Failed, DecryptOutcome::Plain);
                    }
                }
                Err(error) if !error.is_worker_lost() => return Err(error),
                Err(_) => {
                    n_losses += 1;
                    match range.len() {
                        1 if is_new => outcomes[range.start] = DecryptOutcome::Crashed,
                        // What an earlier record spoilt may show at this one: once more, alone.
                        1 => ranges.push_front(range),
                        n => {
                            let middle = range.start + n / 2;
                            ranges.push_front(middle..range.end);
                            ranges.push_front(range.start..middle);
                        }
                    }
                    let is_too_much = n_losses >= self.limits.isolation_losses_max
                        || started.elapsed() >= self.limits.isolation_time_max;
                    if is_too_much && !ranges.is_empty() {
                        return Err(CallError::TooManyLosses { n_losses });
                    }
                }
            }
        }
        Ok(outcomes)
    }

    /// One chunk of a media file; `index` is empty for the first, then `next_index` of the last.
    ///
    /// # Errors
    /// Any [`CallError`]; the same index may be asked for again.
    pub fn media_chunk(&mut self, index: &str, sdkfileid: &str) -> Result<MediaChunk, CallError> {
        let request = Request::MediaChunk {
            index,
            sdkfileid,
            network: self.network(),
        }
        .to_frame(0);
        match self.call(request, self.network_deadline())? {
            Reply::MediaChunk(chunk) => Ok(chunk),
            other => Err(self.unexpected(&other)),
        }
    }

    /// The child's resident memory, in bytes.
    ///
    /// # Errors
    /// Any way in which the child may be lost.
    pub fn memory_bytes(&mut self) -> Result<u64, CallError> {
        self.call(Request::Memory.to_frame(0), self.limits.local_timeout)?;
        Ok(self.rss_bytes)
    }

    /// Ends the child, if there is one, and starts another.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn restart(&mut self) -> Result<(), CallError> {
        self.stop();
        self.ensure_running()
    }

    /// The child's process id, if one runs.
    pub fn pid(&self) -> Option<u32> {
        self.running.as_ref().map(|running| running.child.id())
    }

    /// How many children were started so far.
    pub fn n_starts(&self) -> u64 {
        self.n_starts
    }

    fn network(&self) -> Network<'_> {
        let seconds = u32::try_from(self.limits.call_timeout.as_secs()).unwrap_or(u32::MAX);
        Network {
            proxy: &self.session.proxy,
            passwd: &self.session.passwd,
            timeout_seconds: seconds.max(1),
        }
    }

    fn network_deadline(&self) -> Duration {
        self.limits.call_timeout.max(Duration::from_secs(1)) + self.limits.grace
    }

    fn decrypt_request(
        &mut self,
        items: &[(String, String)],
    ) -> Result<Vec<Result<Vec<u8>, SdkCode>>, CallError> {
        let pairs = items
            .iter()
            .map(|(key, sealed)| (key.as_str(), sealed.as_str()))
            .collect();
        let request = Request::DecryptBatch { items: pairs }.to_frame(0);
        match self.call(request, self.limits.local_timeout)? {
            Reply::Decrypted(results) if results.len() == items.len() => Ok(results),
            other => Err(self.unexpected(&other)),
        }
    }

    /// A call on a child that runs and has the library open.
    fn call(&mut self, request: Frame, deadline: Duration) -> Result<Reply, CallError> {
        self.ensure_running()?;
        self.exchange(request, deadline)
    }

    fn ensure_running(&mut self) -> Result<(), CallError> {
        if self.running.is_some() && self.rss_bytes > self.limits.memory_bytes_max {
            self.stop();
        }
        if self.running.is_some() {
            return Ok(());
        }
        self.running = Some(spawn(&self.command)?);
        self.n_starts += 1;
        let open = Request::Open {
            library: &self.session.library,
            corpid: &self.session.corpid,
            secret: &self.session.secret,
        };
        match self.exchange(open.to_frame(0), self.limits.local_timeout) {
            Ok(Reply::Done) => Ok(()),
            Ok(Reply::NotLoaded(error)) => {
                self.stop();
                Err(error.into())
            }
            Ok(other) => Err(self.unexpected(&other)),
            Err(error) => {
                self.stop();
                Err(error)
            }
        }
    }

    /// Sends one request and waits for its reply. Whatever goes wrong here ends the child.
    fn exchange(&mut self, mut request: Frame, deadline: Duration) -> Result<Reply, CallError> {
        let Some(running) = &mut self.running else {
            return Err(CallError::Crashed {
                exit: Exit::Unknown,
            });
        };
        self.next_id += 1;
        request.id = self.next_id;
        // A child that is gone is noticed below, at the other pipe.
        let _ = running.requests.send(request);
        match running.wait_for(self.next_id, deadline, self.limits.memory_bytes_max) {
            Ok((reply, rss_bytes)) => {
                running.n_calls += 1;
                self.rss_bytes = rss_bytes;
                match reply {
                    Reply::Failed(code) => Err(CallError::Sdk(code)),
                    reply => Ok(reply),
                }
            }
            Err(lost) => Err(self.bury(lost)),
        }
    }

    /// Ends a child that cannot be used any more; the error for its caller.
    fn bury(&mut self, lost: Lost) -> CallError {
        self.rss_bytes = 0;
        let Some(mut running) = self.running.take() else {
            return CallError::Crashed {
                exit: Exit::Unknown,
            };
        };
        match lost {
            Lost::Gone => match running.wait_exit() {
                Some(exit) => CallError::Crashed { exit },
                None => {
                    running.kill();
                    CallError::Protocol {
                        why: "it closed its pipe and went on",
                    }
                }
            },
            Lost::Late(after) => {
                running.kill();
                CallError::TimedOut { after }
            }
            Lost::Large(rss_bytes) => {
                running.kill();
                CallError::MemoryExceeded {
                    rss_bytes,
                    bytes_max: self.limits.memory_bytes_max,
                }
            }
            Lost::Senseless(why) => {
                running.kill();
                CallError::Protocol { why }
            }
        }
    }

    /// A reply of the wrong kind: the child is of another version, or its memory is spoilt.
    fn unexpected(&mut self, reply: &Reply) -> CallError {
        let why = match reply {
            Reply::Refused => "it refused the request",
            _ => "it answered another question",
        };
        self.bury(Lost::Senseless(why))
    }

    fn stop(&mut self) {
        self.rss_bytes = 0;
        if let Some(running) = self.running.take() {
            running.dismiss();
        }
    }
}

impl Drop for WorkerClient {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Cuts a batch into requests within the bounds.
fn request_ranges(items: &[(String, String)]) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let (mut start, mut n_bytes) = (0, 0);
    for (at, (key, sealed)) in items.iter().enumerate() {
        let item_bytes = key.len() + sealed.len();
        if at > start && (at - start >= BATCH_ITEMS_MAX || n_bytes + item_bytes > BATCH_BYTES_MAX) {
            ranges.push(start..at);
            (start, n_bytes) = (at, 0);
        }
        n_bytes += item_bytes;
    }
    if start < items.len() {
        ranges.push(start..items.len());
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_cut_by_number_and_by_bytes() {
        let small = |n: usize| vec![(String::new(), String::new()); n];
        assert_eq!(request_ranges(&[]), []);
        assert_eq!(request_ranges(&small(1000)).len(), 1);
        assert_eq!(
            request_ranges(&small(2001)),
            [0..1000, 1000..2000, 2000..2001]
        );
        let mut large = small(3);
        large[1].1 = "x".repeat(BATCH_BYTES_MAX + 1);
        assert_eq!(request_ranges(&large), [0..1, 1..2, 2..3]);
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let command = WorkerCommand {
            program: "/no/such/program".into(),
            args: vec![],
            envs: vec![],
        };
        let session = Session {
            library: "x.so".into(),
            corpid: "corp".into(),
            secret: "SECRET".into(),
            proxy: String::new(),
            passwd: "PASSWD".into(),
        };
        assert!(
            !format!("{session:?}").contains("SECRET")
                && !format!("{session:?}").contains("PASSWD")
        );
        let error = WorkerClient::start(command, session, Limits::default()).unwrap_err();
        assert!(matches!(error, CallError::Spawn { .. }), "{error}");
        assert!(error.to_string().contains("/no/such/program"));
    }
}
