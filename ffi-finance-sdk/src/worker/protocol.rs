//! What is said in frames: five requests and their replies.
//!
//! Every reply tells the child's memory first, so that a leak is seen as it grows. The types
//! here hold secrets and message text: they have no `Debug`.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::wire::{BadFields, Fields, Frame, Payload};
use crate::code::SdkCode;
use crate::handle::MediaChunk;
use crate::library::LoadError;

/// How the library reaches the network.
#[derive(Clone, Copy)]
pub(crate) struct Network<'a> {
    pub proxy: &'a str,
    pub passwd: &'a str,
    pub timeout_seconds: u32,
}

pub(crate) enum Request<'a> {
    Open {
        library: &'a Path,
        corpid: &'a str,
        secret: &'a str,
    },
    Page {
        after_seq: u64,
        limit: u32,
        network: Network<'a>,
    },
    DecryptBatch {
        items: Vec<(&'a str, &'a str)>,
    },
    MediaChunk {
        index: &'a str,
        sdkfileid: &'a str,
        network: Network<'a>,
    },
    Memory,
}

pub(crate) enum Reply {
    /// `Open` and `Memory` have nothing to tell but that.
    Done,
    Page(Vec<u8>),
    Decrypted(Vec<Result<Vec<u8>, SdkCode>>),
    MediaChunk(MediaChunk),
    /// The library returned a code.
    Failed(SdkCode),
    /// The library could not be loaded.
    NotLoaded(LoadError),
    /// The request makes no sense to the child.
    Refused,
}

const OPEN: u8 = 1;
const PAGE: u8 = 2;
const DECRYPT_BATCH: u8 = 3;
const MEDIA_CHUNK: u8 = 4;
const MEMORY: u8 = 5;

const DONE: u8 = 0x80;
const PAGE_REPLY: u8 = 0x82;
const DECRYPTED: u8 = 0x83;
const MEDIA_REPLY: u8 = 0x84;
const FAILED: u8 = 0xE0;
const NOT_LOADED: u8 = 0xE1;
const REFUSED: u8 = 0xE2;

/// The fixed part of one decrypted item: its number and the length behind it.
const ITEM_BYTES_MIN: usize = 12;

impl<'a> Request<'a> {
    pub fn to_frame(&self, id: u64) -> Frame {
        let mut p = Payload::with_capacity(256);
        let kind = match self {
            Request::Open {
                library,
                corpid,
                secret,
            } => {
                p.bytes(library.as_os_str().as_bytes())
                    .text(corpid)
                    .text(secret);
                OPEN
            }
            Request::Page {
                after_seq,
                limit,
                network,
            } => {
                p.u64(*after_seq).u32(*limit);
                network.put(&mut p);
                PAGE
            }
            Request::DecryptBatch { items } => {
                p.0.reserve(
                    items
                        .iter()
                        .map(|(key, sealed)| key.len() + sealed.len() + 16)
                        .sum(),
                );
                p.u32(items.len() as u32);
                for (key, sealed) in items {
                    p.text(key).text(sealed);
                }
                DECRYPT_BATCH
            }
            Request::MediaChunk {
                index,
                sdkfileid,
                network,
            } => {
                p.text(index).text(sdkfileid);
                network.put(&mut p);
                MEDIA_CHUNK
            }
            Request::Memory => MEMORY,
        };
        Frame {
            kind,
            id,
            payload: p.0,
        }
    }

    pub fn from_frame(frame: &'a Frame) -> Result<Self, BadFields> {
        let mut f = Fields::new(&frame.payload);
        let request = match frame.kind {
            OPEN => Request::Open {
                library: Path::new(OsStr::from_bytes(f.bytes()?)),
                corpid: f.text()?,
                secret: f.text()?,
            },
            PAGE => Request::Page {
                after_seq: f.u64()?,
                limit: f.u32()?,
                network: Network::take(&mut f)?,
            },
            DECRYPT_BATCH => {
                let n_items = f.u32()? as usize;
                let mut items = Vec::with_capacity(n_items.min(f.room_for(16)));
                for _ in 0..n_items {
                    items.push((f.text()?, f.text()?));
                }
                Request::DecryptBatch { items }
            }
            MEDIA_CHUNK => Request::MediaChunk {
                index: f.text()?,
                sdkfileid: f.text()?,
                network: Network::take(&mut f)?,
            },
            MEMORY => Request::Memory,
            _ => return Err(BadFields),
        };
        f.end().map(|()| request)
    }
}

impl<'a> Network<'a> {
    fn put(&self, p: &mut Payload) {
        p.text(self.proxy)
            .text(self.passwd)
            .u32(self.timeout_seconds);
    }

    fn take(f: &mut Fields<'a>) -> Result<Self, BadFields> {
        Ok(Self {
            proxy: f.text()?,
            passwd: f.text()?,
            timeout_seconds: f.u32()?,
        })
    }
}

impl Reply {
    pub fn to_frame(&self, id: u64, rss_bytes: u64) -> Frame {
        let mut p = Payload::with_capacity(64);
        p.u64(rss_bytes);
        let kind = match self {
            Reply::Done => DONE,
            Reply::Page(json) => {
                p.bytes(json);
                PAGE_REPLY
            }
            Reply::Decrypted(items) => {
                p.u32(items.len() as u32);
                for item in items {
                    match item {
                        Ok(plain) => p.i32(0).bytes(plain),
                        Err(code) => p.i32(code.number()).bytes(b""),
                    };
                }
                DECRYPTED
            }
            Reply::MediaChunk(chunk) => {
                p.bytes(&chunk.data)
                    .text(&chunk.next_index)
                    .u8(u8::from(chunk.is_finished));
                MEDIA_REPLY
            }
            Reply::Failed(code) => {
                p.i32(code.number());
                FAILED
            }
            Reply::NotLoaded(error) => {
                put_load_error(&mut p, error);
                NOT_LOADED
            }
            Reply::Refused => REFUSED,
        };
        Frame {
            kind,
            id,
            payload: p.0,
        }
    }

    /// The reply and the child's memory.
    pub fn from_frame(frame: &Frame) -> Result<(Self, u64), BadFields> {
        let mut f = Fields::new(&frame.payload);
        let rss_bytes = f.u64()?;
        let reply = match frame.kind {
            DONE => Reply::Done,
            PAGE_REPLY => Reply::Page(f.bytes()?.to_vec()),
            DECRYPTED => {
                let n_items = f.u32()? as usize;
                let mut items = Vec::with_capacity(n_items.min(f.room_for(ITEM_BYTES_MIN)));
                for _ in 0..n_items {
                    let (number, plain) = (f.i32()?, f.bytes()?);
                    items.push(match number {
                        0 => Ok(plain.to_vec()),
                        number => Err(SdkCode::from_return(number)),
                    });
                }
                Reply::Decrypted(items)
            }
            MEDIA_REPLY => Reply::MediaChunk(MediaChunk {
                data: f.bytes()?.to_vec(),
                next_index: f.text()?.to_owned(),
                is_finished: f.u8()? != 0,
            }),
            FAILED => Reply::Failed(SdkCode::from_return(f.i32()?)),
            NOT_LOADED => Reply::NotLoaded(take_load_error(&mut f)?),
            REFUSED => Reply::Refused,
            _ => return Err(BadFields),
        };
        f.end().map(|()| (reply, rss_bytes))
    }
}

fn put_load_error(p: &mut Payload, error: &LoadError) {
    let mut put = |tag: u8, path: &Path, details: &[&str]| {
        p.u8(tag)
            .bytes(path.as_os_str().as_bytes())
            .u32(details.len() as u32);
        for detail in details {
            p.text(detail);
        }
    };
    match error {
        LoadError::Missing { path } => put(0, path, &[]),
        LoadError::Unreadable { path, why } => put(1, path, &[why]),
        LoadError::NotElf { path, found } => put(2, path, &[found]),
        LoadError::ThirtyTwoBit { path } => put(3, path, &[]),
        LoadError::WrongArchitecture {
            path,
            found,
            expected,
        } => put(4, path, &[found, expected]),
        LoadError::JniBuild { path } => put(5, path, &[]),
        LoadError::MissingSymbols { path, symbols } => {
            put(
                6,
                path,
                &symbols.iter().map(String::as_str).collect::<Vec<_>>(),
            );
        }
        LoadError::Linker { path, why } => put(7, path, &[why]),
    }
}

fn take_load_error(f: &mut Fields<'_>) -> Result<LoadError, BadFields> {
    let tag = f.u8()?;
    let path = PathBuf::from(OsStr::from_bytes(f.bytes()?));
    let n_details = f.u32()?;
    let mut details = Vec::new();
    for _ in 0..n_details {
        details.push(f.text()?.to_owned());
    }
    let mut next = details.into_iter();
    let mut detail = || next.next().ok_or(BadFields);
    Ok(match tag {
        0 => LoadError::Missing { path },
        1 => LoadError::Unreadable {
            path,
            why: detail()?,
        },
        2 => LoadError::NotElf {
            path,
            found: detail()?,
        },
        3 => LoadError::ThirtyTwoBit { path },
        4 => LoadError::WrongArchitecture {
            path,
            found: detail()?,
            expected: detail()?,
        },
        5 => LoadError::JniBuild { path },
        6 => LoadError::MissingSymbols {
            path,
            symbols: next.collect(),
        },
        7 => LoadError::Linker {
            path,
            why: detail()?,
        },
        _ => return Err(BadFields),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network() -> Network<'static> {
        Network {
            proxy: "http://p:1",
            passwd: "u:p",
            timeout_seconds: 5,
        }
    }

    #[test]
    fn every_request_survives_its_frame_and_no_cut_of_it_does() {
        let requests = [
            Request::Open {
                library: Path::new("/x/y.so"),
                corpid: "c",
                secret: "s",
            },
            Request::Page {
                after_seq: u64::MAX,
                limit: 7,
                network: network(),
            },
            Request::DecryptBatch {
                items: vec![("k", "sealed"), ("", "")],
            },
            Request::MediaChunk {
                index: "",
                sdkfileid: "+/=",
                network: network(),
            },
            Request::Memory,
        ];
        for request in requests {
            let frame = request.to_frame(9);
            let again =
                Request::from_frame(&frame).unwrap_or_else(|_| panic!("kind {}", frame.kind));
            assert!(
                again.to_frame(9).payload == frame.payload,
                "kind {}",
                frame.kind
            );
            for cut in 0..frame.payload.len() {
                let cut = Frame {
                    payload: frame.payload[..cut].to_vec(),
                    ..frame
                };
                assert!(Request::from_frame(&cut).is_err());
            }
        }
    }

    #[test]
    fn every_reply_survives_its_frame_and_no_cut_of_it_does() {
        let path = PathBuf::from("/x/y.so");
        let word = || "w".to_owned();
        let load_errors = [
            LoadError::Missing { path: path.clone() },
            LoadError::Unreadable {
                path: path.clone(),
                why: word(),
            },
            LoadError::NotElf {
                path: path.clone(),
                found: word(),
            },
            LoadError::ThirtyTwoBit { path: path.clone() },
            LoadError::WrongArchitecture {
                path: path.clone(),
                found: word(),
                expected: word(),
            },
            LoadError::JniBuild { path: path.clone() },
            LoadError::MissingSymbols {
                path: path.clone(),
                symbols: vec![word(), word()],
            },
            LoadError::Linker { path, why: word() },
        ];
        let chunk = MediaChunk {
            data: vec![0, 1],
            next_index: "Range:bytes=2-3".to_owned(),
            is_finished: false,
        };
        let replies = [
            Reply::Done,
            Reply::Page(b"{}".to_vec()),
            Reply::Decrypted(vec![Ok(vec![0]), Err(SdkCode::KeyUnparsable), Ok(vec![])]),
            Reply::MediaChunk(chunk),
            Reply::Failed(SdkCode::Unknown(10_012)),
            Reply::Refused,
        ];
        for reply in replies.into_iter().chain(load_errors.map(Reply::NotLoaded)) {
            let frame = reply.to_frame(3, 77);
            let (again, rss_bytes) =
                Reply::from_frame(&frame).unwrap_or_else(|_| panic!("kind {}", frame.kind));
            assert_eq!(rss_bytes, 77);
            assert!(
                again.to_frame(3, 77).payload == frame.payload,
                "kind {}",
                frame.kind
            );
            for cut in 0..frame.payload.len() {
                let cut = Frame {
                    payload: frame.payload[..cut].to_vec(),
                    ..frame
                };
                assert!(Reply::from_frame(&cut).is_err());
            }
        }
    }
}
