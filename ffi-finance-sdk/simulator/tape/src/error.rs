//! What can be wrong with a tape folder or with what is being taped.
//!
//! No message text and no key appears in any of these.

use std::io;
use std::path::{Path, PathBuf};

/// Why a tape could not be written or read. None is cured by trying again.
#[derive(Debug, thiserror::Error)]
pub enum TapeError {
    /// There is no such folder.
    #[error("no tape at `{}`: the folder does not exist", path.display())]
    Missing {
        /// The folder asked for.
        path: PathBuf,
    },
    /// The folder exists and is not a tape.
    #[error("`{}` is not a tape: {why}", path.display())]
    Foreign {
        /// The folder asked for.
        path: PathBuf,
        /// What gave it away.
        why: &'static str,
    },
    /// The tape was never finished: its writer stopped before the end.
    #[error("the tape at `{}` was never finished (records but no `tape.json`)", path.display())]
    Unfinished {
        /// The folder asked for.
        path: PathBuf,
    },
    /// The tape was written by a newer version.
    #[error("the tape at `{}` has format {found}; this build reads up to {known}", path.display())]
    NewerFormat {
        /// The folder asked for.
        path: PathBuf,
        /// The format it has.
        found: u32,
        /// The newest format this build reads.
        known: u32,
    },
    /// A file of the tape is shorter or longer than the tape says.
    #[error("`{}` is truncated: expected {expected} bytes, found {found}", path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Bytes that `tape.json` tells of.
        expected: u64,
        /// Bytes there are.
        found: u64,
    },
    /// A file of the tape has the right size and the wrong content.
    #[error("`{}` is damaged: {why}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        why: String,
    },
    /// A new tape was asked for where there are files already.
    #[error("`{}` is not empty; a tape wants a new folder", path.display())]
    NotEmpty {
        /// The folder asked for.
        path: PathBuf,
    },
    /// A record does not come after the one before it.
    #[error("seq {seq} does not come after seq {last}")]
    SeqNotAscending {
        /// The seq of the record.
        seq: u64,
        /// The seq before it.
        last: u64,
    },
    /// Two lines claim the same seq.
    #[error("line {line}: seq {seq} was taken by line {first_line}")]
    DuplicateSeq {
        /// The later line, counted from 1.
        line: u64,
        /// The seq.
        seq: u64,
        /// The earlier line.
        first_line: u64,
    },
    /// A line of the input is not a message.
    #[error("line {line}: {why}")]
    Line {
        /// The line, counted from 1.
        line: u64,
        /// What was expected and found, without the content.
        why: String,
    },
    /// The tape has no key pair of this version.
    #[error("no key pair for publickey_ver {version}")]
    UnknownKeyVersion {
        /// The version asked for.
        version: u32,
    },
    /// A private key could not be read.
    #[error("private key of publickey_ver {version} is not an RSA-2048 key in PKCS#8 PEM")]
    BadKey {
        /// The version it was given for.
        version: u32,
    },
    /// The cryptographic library refused.
    #[error("{doing} failed in the cryptographic library")]
    Crypto {
        /// What was being done.
        doing: &'static str,
    },
    /// The operating system refused.
    #[error("cannot {doing} `{}`: {source}", path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// Puts the operation and the path to an I/O error.
pub(crate) fn io_at<'a>(
    doing: &'static str,
    path: &'a Path,
) -> impl FnOnce(io::Error) -> TapeError + 'a {
    move |source| TapeError::Io {
        doing,
        path: path.to_owned(),
        source,
    }
}
