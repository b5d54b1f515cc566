//! One entry and its hash.

use aws_lc_rs::digest::{Context, SHA256};

use crate::access::Identity;

/// Bytes of a text of an entry; the rest is replaced by its length. A statement or a rules file is
/// shorter.
const TEXT_BYTES_MAX: usize = 64 * 1024;
/// What the hashes are about, and in which form.
const DOMAIN: &[u8] = b"huicun audit entry 1\n";

/// When an entry was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Before something was done: a change, or a question at the command line.
    Asked,
    /// When the answer was there, before it left.
    Answered,
    /// The question was given up before it had an answer: nothing left.
    Abandoned,
}

impl Phase {
    /// The stable word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Answered => "answered",
            Self::Abandoned => "abandoned",
        }
    }
}

/// What is to be recorded.
#[derive(Debug, Clone)]
pub struct Entry {
    /// UTC milliseconds.
    pub at_ms: i64,
    /// When it is written.
    pub phase: Phase,
    /// Who asks.
    pub caller: Identity,
    /// The employee for whom he acts.
    pub employee: Option<String>,
    /// From which address.
    pub peer: Option<String>,
    /// The request's id, as in the answer's header and in the log.
    pub request_id: Option<String>,
    /// The function that was asked for.
    pub function: String,
    /// The HTTP method, or `cli`.
    pub method: String,
    /// The route as the OpenAPI document has it, or the command.
    pub route: String,
    /// The path with its ids, as it came.
    pub path: Option<String>,
    /// The parameters, as a JSON array of pairs, or a command's arguments.
    pub query: Option<String>,
    /// What was sent: a statement or other short text, else its SHA-256 and length.
    pub body: Option<String>,
    /// The HTTP status of the answer.
    pub status: Option<u16>,
    /// The code of the problem, where there was one.
    pub code: Option<String>,
    /// Rows of the answer.
    pub n_rows: Option<u64>,
}

/// An entry as it stands in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// Its number, from 1 on without a gap.
    pub id: i64,
    /// UTC milliseconds.
    pub at_ms: i64,
    /// `asked`, `answered` or `abandoned`.
    pub phase: String,
    /// `token`, `one_time`, `jwt`, `local`.
    pub caller_kind: String,
    /// The token's id, the subject of the JWT, or the account's number.
    pub caller_id: String,
    /// The token's name, or the account's.
    pub caller_name: String,
    /// The employee for whom he acted.
    pub employee: Option<String>,
    /// From which address.
    pub peer: Option<String>,
    /// The request's id.
    pub request_id: Option<String>,
    /// The function.
    pub function: String,
    /// The HTTP method, or `cli`.
    pub method: String,
    /// The route or the command.
    pub route: String,
    /// The path with its ids.
    pub path: Option<String>,
    /// The parameters.
    pub query: Option<String>,
    /// What was sent.
    pub body: Option<String>,
    /// The HTTP status.
    pub status: Option<i64>,
    /// The code of the problem.
    pub code: Option<String>,
    /// Rows of the answer.
    pub n_rows: Option<i64>,
    /// The hash of the entry before; zeros for the first.
    pub previous: [u8; 32],
    /// SHA-256 over `previous` and everything above.
    pub hash: [u8; 32],
}

impl Recorded {
    /// The entry with its place in the chain.
    pub(super) fn new(entry: &Entry, id: i64, previous: [u8; 32]) -> Self {
        let optional = |text: &Option<String>| text.as_deref().map(cut);
        let mut made = Self {
            id,
            at_ms: entry.at_ms,
            phase: entry.phase.as_str().into(),
            caller_kind: entry.caller.kind.into(),
            caller_id: cut(&entry.caller.id),
            caller_name: cut(&entry.caller.name),
            employee: optional(&entry.employee),
            peer: optional(&entry.peer),
            request_id: optional(&entry.request_id),
            function: cut(&entry.function),
            method: cut(&entry.method),
            route: cut(&entry.route),
            path: optional(&entry.path),
            query: optional(&entry.query),
            body: optional(&entry.body),
            status: entry.status.map(i64::from),
            code: optional(&entry.code),
            n_rows: entry.n_rows.map(|n| i64::try_from(n).unwrap_or(i64::MAX)),
            previous,
            hash: [0; 32],
        };
        made.hash = made.hashed();
        made
    }

    /// The hash that it must have. Every value stands with its kind and its length, so that no two
    /// entries are hashed over the same bytes.
    pub(super) fn hashed(&self) -> [u8; 32] {
        let mut hash = Context::new(&SHA256);
        hash.update(DOMAIN);
        hash.update(&self.previous);
        let mut put = |value: Option<&[u8]>| match value {
            None => hash.update(b"n"),
            Some(bytes) => {
                hash.update(b"s");
                hash.update(&(bytes.len() as u64).to_be_bytes());
                hash.update(bytes);
            }
        };
        let number = |n: i64| n.to_be_bytes();
        put(Some(&number(self.id)));
        put(Some(&number(self.at_ms)));
        for text in [
            &self.phase,
            &self.caller_kind,
            &self.caller_id,
            &self.caller_name,
            &self.function,
            &self.method,
            &self.route,
        ] {
            put(Some(text.as_bytes()));
        }
        for text in [
            &self.employee,
            &self.peer,
            &self.request_id,
            &self.path,
            &self.query,
            &self.body,
            &self.code,
        ] {
            put(text.as_ref().map(String::as_bytes));
        }
        for n in [self.status, self.n_rows] {
            put(n.map(number).as_ref().map(<[u8; 8]>::as_slice));
        }
        let mut out = [0; 32];
        out.copy_from_slice(hash.finish().as_ref());
        out
    }
}

fn cut(text: &str) -> String {
    if text.len() <= TEXT_BYTES_MAX {
        return text.to_string();
    }
    let end = (0..=TEXT_BYTES_MAX)
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or_default();
    format!("{}… ({} bytes)", &text[..end], text.len())
}
