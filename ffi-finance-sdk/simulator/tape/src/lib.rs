//! Tapes: a WeCom session archive on disk, sealed as WeCom seals it, for the
//! simulator library to serve.
//!
//! A tape is one folder: `tape.json` (what it is, and the credentials a caller must
//! give), `records/` (the sealed records, one JSON object a line, with an offset
//! index), `media/` (packed files) and `keys/` (the private keys, which belong to the
//! operator: nothing that plays the tape reads them).
//!
//! The cipher of `encrypt_chat_msg` is **not** WeCom's, which is not public: a tape
//! cannot be read by the real library, nor the real archive by the simulator. All that
//! surrounds it (RSA-2048 PKCS#1 v1.5, base64, field names, chunks) is as documented.
//!
//! This crate knows nothing of who plays a tape or who pulls from it.

mod cipher;
mod error;
mod format;
mod keys;
mod make;
mod media;
mod reader;
pub mod testing;
mod writer;

pub use cipher::{Code, KEY_TEXT_LEN, Sealed, decrypt, seal};
pub use error::TapeError;
pub use format::FORMAT_VERSION;
pub use keys::KeyPair;
pub use make::{MakeOptions, Summary, make_from_ndjson};
pub use media::{MEDIA_CHUNK_BYTES, MediaChunk, MediaEntry, MediaOptions};
pub use reader::Tape;
pub use writer::{Keys, TapeOptions, TapeWriter};
