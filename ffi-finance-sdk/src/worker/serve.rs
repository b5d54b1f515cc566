//! The child: reads requests, calls the library, writes replies, one after the other.
//!
//! It keeps no cursor and decides nothing. A request that it cannot read ends it, because
//! then the two ends no longer understand each other.

use std::io::{self, IsTerminal as _, Read, Write};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use super::process;
use super::protocol::{Network, Reply, Request};
use super::wire::{Frame, FrameError, read_frame, write_frame};
use crate::CONTENT_BYTES_MAX;
use crate::code::SdkCode;
use crate::handle::{self, Sdk};
use crate::library::Library;

/// How long a running call may go on after the parent has closed the pipe.
const LAST_CALL: Duration = Duration::from_secs(1);

/// Why the child ended, when its stdin did not simply close.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// What came in cannot be understood.
    #[error("cannot read a request: {0}")]
    Request(String),
    /// A reply could not be written.
    #[error("cannot write a reply: {0}")]
    Reply(#[from] io::Error),
}

/// The whole life of the child: `huicun sdk-worker`. Returns the exit status.
pub fn run() -> i32 {
    if io::stdin().is_terminal() {
        eprintln!("this command is started by huicun itself and speaks to it through its pipes");
        return 2;
    }
    let pipes = match process::confine().and_then(|()| process::claim_pipes()) {
        Ok(pipes) => pipes,
        Err(e) => {
            eprintln!("sdk worker: cannot set up the process: {e}");
            return 1;
        }
    };
    let leave_soon = || {
        thread::sleep(LAST_CALL);
        process::leave();
    };
    match serve_until(pipes.stdin, pipes.stdout, leave_soon) {
        Ok(()) => 0,
        Err(e) => {
            eprintln!("sdk worker: {e}");
            1
        }
    }
}

/// Serves requests from `stdin` until it ends.
///
/// # Errors
/// [`ServeError`] when the two ends no longer understand each other.
pub fn serve(stdin: impl Read + Send + 'static, stdout: impl Write) -> Result<(), ServeError> {
    serve_until(stdin, stdout, || {})
}

/// `after_end` runs on the reading thread when `stdin` has ended.
fn serve_until(
    mut stdin: impl Read + Send + 'static,
    mut stdout: impl Write,
    after_end: impl FnOnce() + Send + 'static,
) -> Result<(), ServeError> {
    // A thread of its own reads, so that the end of stdin is noticed during a call.
    let (frames, received) = sync_channel::<Result<Frame, FrameError>>(1);
    thread::Builder::new()
        .name("sdk-worker-stdin".to_owned())
        .spawn(move || {
            while let Some(frame) = read_frame(&mut stdin).transpose() {
                let is_last = frame.is_err();
                if frames.send(frame).is_err() || is_last {
                    break;
                }
            }
            drop(frames);
            after_end();
        })?;
    let mut session = Session::default();
    for frame in received {
        let frame = frame.map_err(|e| ServeError::Request(e.to_string()))?;
        let request =
            Request::from_frame(&frame).map_err(|e| ServeError::Request(e.to_string()))?;
        let reply = session.answer(request);
        write_frame(&mut stdout, &reply.to_frame(frame.id, process::rss_bytes()))?;
    }
    Ok(())
}

#[derive(Default)]
struct Session {
    open: Option<(&'static Library, Sdk<'static>)>,
}

impl Session {
    fn answer(&mut self, request: Request<'_>) -> Reply {
        match (request, &mut self.open) {
            (Request::Memory, _) => Reply::Done,
            (
                Request::Open {
                    library,
                    corpid,
                    secret,
                },
                None,
            ) => {
                let library: &'static Library = match Library::load(library) {
                    // Loaded once in the life of the process.
                    Ok(library) => Box::leak(Box::new(library)),
                    Err(e) => return Reply::NotLoaded(e),
                };
                match Sdk::open(library, corpid, secret) {
                    Ok(sdk) => {
                        self.open = Some((library, sdk));
                        Reply::Done
                    }
                    Err(code) => Reply::Failed(code),
                }
            }
            (
                Request::Page {
                    after_seq,
                    limit,
                    network,
                },
                Some((_, sdk)),
            ) => reply_of(
                sdk.chat_data(after_seq, limit, network_of(network)),
                Reply::Page,
            ),
            (Request::DecryptBatch { items }, Some((library, _))) => {
                Reply::Decrypted(decrypt_batch(library, &items))
            }
            (
                Request::MediaChunk {
                    index,
                    sdkfileid,
                    network,
                },
                Some((_, sdk)),
            ) => reply_of(
                sdk.media_chunk(index, sdkfileid, network_of(network)),
                Reply::MediaChunk,
            ),
            (Request::Open { .. }, Some(_)) | (_, None) => Reply::Refused,
        }
    }
}

fn reply_of<T>(result: Result<T, SdkCode>, reply: impl FnOnce(T) -> Reply) -> Reply {
    match result {
        Ok(value) => reply(value),
        Err(code) => Reply::Failed(code),
    }
}

fn network_of(network: Network<'_>) -> handle::Network<'_> {
    let Network {
        proxy,
        passwd,
        timeout_seconds,
    } = network;
    handle::Network {
        proxy,
        passwd,
        timeout_seconds,
    }
}

/// Opens the items one by one. What would not fit into one reply is too large.
fn decrypt_batch(library: &Library, items: &[(&str, &str)]) -> Vec<Result<Vec<u8>, SdkCode>> {
    let mut n_bytes = 0;
    let open = |(key_text, sealed): &(&str, &str)| {
        let plain = handle::decrypt(library, key_text, sealed)?;
        n_bytes += plain.len();
        if n_bytes > CONTENT_BYTES_MAX {
            Err(SdkCode::TooLarge)
        } else {
            Ok(plain)
        }
    };
    items.iter().map(open).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replies_to(requests: &[Request<'_>]) -> Vec<(u64, Reply)> {
        let (mut asked, mut told) = (Vec::new(), Vec::new());
        for (id, request) in requests.iter().enumerate() {
            write_frame(&mut asked, &request.to_frame(id as u64)).unwrap();
        }
        serve(io::Cursor::new(asked), &mut told).unwrap();
        let mut told = &told[..];
        std::iter::from_fn(|| read_frame(&mut told).unwrap())
            .map(|frame| {
                (
                    frame.id,
                    Reply::from_frame(&frame).unwrap_or_else(|_| panic!()).0,
                )
            })
            .collect()
    }

    #[test]
    fn requests_are_answered_in_order_under_their_number() {
        let missing = std::path::Path::new("/no/such/library.so");
        let open = Request::Open {
            library: missing,
            corpid: "c",
            secret: "s",
        };
        let replies = replies_to(&[
            Request::Memory,
            open,
            Request::DecryptBatch { items: vec![] },
        ]);
        assert!(matches!(
            &replies[..],
            [
                (0, Reply::Done),
                (1, Reply::NotLoaded(crate::LoadError::Missing { .. })),
                (2, Reply::Refused)
            ]
        ));
    }

    #[test]
    fn noise_ends_the_child_with_an_error() {
        let noise = io::Cursor::new(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec());
        assert!(matches!(
            serve(noise, Vec::new()),
            Err(ServeError::Request(_))
        ));
        let unknown = Frame {
            kind: 99,
            id: 1,
            payload: Vec::new(),
        };
        let mut bytes = Vec::new();
        write_frame(&mut bytes, &unknown).unwrap();
        assert!(matches!(
            serve(io::Cursor::new(bytes), Vec::new()),
            Err(ServeError::Request(_))
        ));
    }
}
