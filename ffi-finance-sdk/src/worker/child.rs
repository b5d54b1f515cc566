//! One child: started, asked, waited for, dismissed or killed.
//!
//! Two threads serve it: one writes requests, so that a child which does not read cannot
//! block the caller; the other starts the child and reads replies. It has to be that one
//! that starts it: the kernel kills the child (`PR_SET_PDEATHSIG`) when the *thread* that
//! started it ends, and a caller's thread may end long before its client.

use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use super::client::WorkerCommand;
use super::error::{CallError, Exit};
use super::process;
use super::protocol::Reply;
use super::wire::{Frame, FrameError, read_frame, write_frame};

/// How often a waiting parent looks at the child's memory.
const MEMORY_LOOK: Duration = Duration::from_millis(250);
/// How long an asked child may take to exit before it is killed.
const FAREWELL: Duration = Duration::from_secs(2);

/// A child that runs.
pub(super) struct Running {
    pub child: Child,
    pub requests: Sender<Frame>,
    replies: Receiver<Result<Frame, FrameError>>,
    /// Requests that it has answered; the first opens the library.
    pub n_calls: u64,
}

/// Why a child cannot be used any more.
pub(super) enum Lost {
    /// Its pipe ended.
    Gone,
    /// It did not answer in this time.
    Late(Duration),
    /// It grew to this many bytes.
    Large(u64),
    /// It answered nonsense.
    Senseless(&'static str),
}

impl Running {
    /// The reply to the request of that number, and the child's memory.
    pub fn wait_for(
        &self,
        id: u64,
        deadline: Duration,
        bytes_max: u64,
    ) -> Result<(Reply, u64), Lost> {
        let asked = Instant::now();
        loop {
            let left = deadline.saturating_sub(asked.elapsed());
            match self.replies.recv_timeout(left.min(MEMORY_LOOK)) {
                Ok(Ok(frame)) if frame.id == id => {
                    return Reply::from_frame(&frame)
                        .map_err(|_| Lost::Senseless("a reply's fields are not as expected"));
                }
                Ok(Ok(_)) => {
                    return Err(Lost::Senseless("it answered a request that was not asked"));
                }
                Ok(Err(FrameError::NotAFrame | FrameError::TooLong)) => {
                    return Err(Lost::Senseless("what it said is not a frame"));
                }
                Ok(Err(FrameError::Cut | FrameError::Io(_)))
                | Err(RecvTimeoutError::Disconnected) => {
                    return Err(Lost::Gone);
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
            if asked.elapsed() >= deadline {
                return Err(Lost::Late(deadline));
            }
            let rss_bytes = process::rss_bytes_of(self.child.id());
            if rss_bytes > bytes_max {
                return Err(Lost::Large(rss_bytes));
            }
        }
    }

    /// Closes the child's stdin, by which it ends, and waits for it; kills it if need be.
    pub fn dismiss(self) {
        let Self {
            mut child,
            requests,
            replies,
            ..
        } = self;
        drop(requests);
        if wait_exit(&mut child, FAREWELL).is_none() {
            kill(&mut child);
        }
        // Not before: its thread starts the child's end when it has nobody to tell.
        drop(replies);
    }

    /// How the child ended, if it does so soon.
    pub fn wait_exit(&mut self) -> Option<Exit> {
        wait_exit(&mut self.child, FAREWELL).map(exit_of)
    }

    /// Ends the child at once.
    pub fn kill(&mut self) {
        kill(&mut self.child);
    }
}

fn wait_exit(child: &mut Child, patience: Duration) -> Option<ExitStatus> {
    let asked = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if asked.elapsed() < patience => thread::sleep(Duration::from_millis(2)),
            Ok(None) | Err(_) => return None,
        }
    }
}

fn kill(child: &mut Child) {
    // Both fail only for a child that has been waited for already.
    let _ = child.kill();
    let _ = child.wait();
}

fn exit_of(status: ExitStatus) -> Exit {
    match (status.signal(), status.code()) {
        (Some(signal), _) => Exit::Signal(signal),
        (None, Some(code)) => Exit::Status(code),
        (None, None) => Exit::Unknown,
    }
}

/// Starts a child and the two threads that serve it.
pub(super) fn spawn(worker: &WorkerCommand) -> Result<Running, CallError> {
    let failed = |e: &std::io::Error| CallError::Spawn {
        program: worker.program.clone(),
        why: e.to_string(),
    };
    let mut command = Command::new(&worker.program);
    command.args(&worker.args);
    command.envs(worker.envs.iter().map(|(name, value)| (name, value)));
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit());
    // Out of reach of the terminal's Ctrl-C: the parent decides when the child ends.
    command.process_group(0);

    let (started, child) = sync_channel(1);
    let (reply, replies) = sync_channel(1);
    thread::Builder::new()
        .name("sdk-worker-replies".to_owned())
        .spawn(move || start_and_read(command, &started, &reply))
        .map_err(|e| failed(&e))?;
    let mut child: Child = match child.recv() {
        Ok(Ok(child)) => child,
        Ok(Err(e)) => return Err(failed(&e)),
        Err(_) => {
            return Err(CallError::Protocol {
                why: "its thread ended before it started",
            });
        }
    };
    let (requests, to_write) = channel();
    let stdin = child.stdin.take();
    let writer = thread::Builder::new()
        .name("sdk-worker-requests".to_owned())
        .spawn(move || write_requests(stdin, &to_write));
    if let Err(e) = writer {
        kill(&mut child);
        return Err(failed(&e));
    }
    Ok(Running {
        child,
        requests,
        replies,
        n_calls: 0,
    })
}

/// The thread that the child lives and dies with.
fn start_and_read(
    mut command: Command,
    started: &SyncSender<std::io::Result<Child>>,
    reply: &SyncSender<Result<Frame, FrameError>>,
) {
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(e) => {
            // Without a receiver nobody wants to know.
            let _ = started.send(Err(e));
            return;
        }
    };
    let Some(mut stdout) = child.stdout.take() else {
        return;
    };
    if started.send(Ok(child)).is_err() {
        return;
    }
    while let Some(frame) = read_frame(&mut stdout).transpose() {
        let is_last = frame.is_err();
        if reply.send(frame).is_err() || is_last {
            break;
        }
    }
}

fn write_requests(stdin: Option<ChildStdin>, to_write: &Receiver<Frame>) {
    let Some(mut stdin) = stdin else { return };
    for frame in to_write {
        if write_frame(&mut stdin, &frame).is_err() {
            break;
        }
    }
}
