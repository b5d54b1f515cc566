//! What is known of a medium, as plain values. File ids and names are a customer's: no `Debug`
//! here shows them.

use std::fmt;

/// What became of a medium.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// Not begun.
    Pending,
    /// Begun; what came so far is kept, and it goes on from there.
    Fetching,
    /// In the store.
    Stored,
    /// Gone for good, or given up; the reason says which.
    Lost,
}

impl Status {
    /// All of them, in the order of a medium's life.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Fetching, Self::Stored, Self::Lost];

    /// The word in the database and in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Fetching => "fetching",
            Self::Stored => "stored",
            Self::Lost => "lost",
        }
    }
}

impl std::str::FromStr for Status {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|status| status.as_str() == text);
        known.ok_or_else(|| {
            format!("unknown status `{text}`: expected pending, fetching, stored or lost")
        })
    }
}

/// A medium as a message names it.
#[derive(Clone, PartialEq, Eq)]
pub struct Named {
    /// The corp (or the name given to an import) of the message.
    pub source: String,
    /// WeCom's number of the message.
    pub seq: i64,
    /// WeCom's id of the message.
    pub msgid: String,
    /// 0 for the message's own file, from 1 on for those of its items, in order.
    pub item: u32,
    /// When the message was sent, UTC milliseconds; 0 where WeCom says 0.
    pub at_ms: i64,
    /// Since when WeCom keeps the file: when the message was sent, or else archived.
    pub since_ms: i64,
    /// WeCom's name of the type: `image`, `voice`, ...
    pub kind: String,
    /// The file's name.
    pub name: Option<String>,
    /// Playing time.
    pub seconds: Option<i64>,
    /// `sdkfileid`, the ticket for fetching it.
    pub file_id: String,
    /// MD5 in hex as the message gives it.
    pub md5: Option<String>,
    /// Bytes as the message gives them.
    pub size: Option<i64>,
}

impl fmt::Debug for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Named")
            .field("seq", &self.seq)
            .field("item", &self.item)
            .field("kind", &self.kind)
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

/// A medium that is to be fetched, and how far that has come.
#[derive(Clone, PartialEq, Eq)]
pub struct Job {
    /// Its number in `media.db`.
    pub id: i64,
    /// Whose it is.
    pub source: String,
    /// The ticket.
    pub file_id: String,
    /// When its first message was sent: WeCom keeps it some five days from then.
    pub first_at_ms: i64,
    /// Expected MD5 in hex, if any.
    pub md5: Option<String>,
    /// Expected bytes, if any.
    pub size: Option<i64>,
    /// What to ask for next; empty at the start.
    pub next_index: String,
    /// Bytes that are safely on disk.
    pub n_bytes: u64,
    /// Failures since the last chunk that came.
    pub n_attempts: u32,
    /// Workers that it cost.
    pub n_crashes: u32,
    /// Times that it came whole but not as the message says.
    pub n_mismatches: u32,
    /// What the last failure was called.
    pub last_error: Option<String>,
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job")
            .field("id", &self.id)
            .field("n_bytes", &self.n_bytes)
            .field("n_attempts", &self.n_attempts)
            .finish_non_exhaustive()
    }
}

/// A failure that is tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Again {
    /// Not before this moment, UTC milliseconds.
    pub at_ms: i64,
    /// What it is called, one stable word.
    pub error: String,
    /// What came so far is of no use.
    pub from_start: bool,
    /// Failures so far.
    pub n_attempts: u32,
    /// Workers lost so far.
    pub n_crashes: u32,
    /// Mismatches so far.
    pub n_mismatches: u32,
}

/// A medium that is in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// SHA-256 of the bytes: the file's name.
    pub sha256: [u8; 32],
    /// Bytes.
    pub size: u64,
    /// `md5_mismatch`, `size_mismatch`, joined with commas; empty when it is as the message says.
    pub flags: String,
}

/// A medium in a list: one row for each message that shows it.
#[derive(Clone)]
pub struct Listed {
    /// Whose message.
    pub source: String,
    /// WeCom's number of the message.
    pub seq: i64,
    /// WeCom's id of the message.
    pub msgid: String,
    /// 0 for the message's own file, from 1 on for those of its items.
    pub item: u32,
    /// When it was sent, UTC milliseconds.
    pub at_ms: i64,
    /// WeCom's name of the type.
    pub kind: String,
    /// The file's name.
    pub name: Option<String>,
    /// Playing time.
    pub seconds: Option<i64>,
    /// Bytes as the message says; of a stored file, its own.
    pub size: Option<i64>,
    /// What became of it.
    pub status: Status,
    /// Why it is lost, one stable word.
    pub reason: Option<String>,
    /// Bytes fetched so far.
    pub n_bytes: u64,
    /// Failures since the last chunk that came.
    pub n_attempts: u32,
    /// The next attempt, UTC milliseconds; 0 for as soon as possible.
    pub next_attempt_at_ms: i64,
    /// What the last failure was called.
    pub last_error: Option<String>,
    /// SHA-256, of a stored file.
    pub sha256: Option<[u8; 32]>,
    /// See [`Stored::flags`].
    pub flags: String,
    /// The last change, UTC milliseconds.
    pub changed_at_ms: i64,
    /// Its place in the list, for the next page.
    pub rowid: i64,
}

impl fmt::Debug for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listed")
            .field("seq", &self.seq)
            .field("item", &self.item)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// Which media a list or a retry is about; empty is all.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Of this source.
    pub source: Option<String>,
    /// In one of these states.
    pub status: Vec<Status>,
    /// Of the message with this number.
    pub seq: Option<i64>,
    /// Of the message with this id.
    pub msgid: Option<String>,
    /// At most this many; 0 is all.
    pub limit: usize,
    /// After the row with this [`Listed::rowid`].
    pub after: i64,
}

/// How many media of a source are in one state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    /// The source.
    pub source: String,
    /// The state.
    pub status: Status,
    /// Why, of lost ones.
    pub reason: Option<String>,
    /// Media (not messages: a forwarded file counts once).
    pub n_media: u64,
    /// Bytes that their messages name.
    pub n_bytes_expected: u64,
    /// Bytes that are here.
    pub n_bytes: u64,
    /// When the oldest of them was sent, UTC milliseconds.
    pub oldest_at_ms: i64,
}

/// A stored file as the database knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// Its number.
    pub id: i64,
    /// SHA-256, which a stored file always has.
    pub sha256: Option<[u8; 32]>,
    /// Bytes.
    pub size: u64,
}
