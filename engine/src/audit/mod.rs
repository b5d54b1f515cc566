//! The audit log (审计日志): who asked what of whose chats, from where, and what he got.
//!
//! One SQLite file, `audit.db`, WAL with `synchronous=FULL`. Each entry carries the hash of the one
//! before, so that one that is changed, taken out or put in breaks the chain at its place
//! ([`check`]); the seal over all rows ([`crate::state::seal`]) tells when the last ones were cut
//! off. An entry is on disk before the answer it is about leaves; where it cannot be written there
//! is no answer ([`AuditLog`]).
//!
//! It holds what was asked, the words searched for too, for that is its purpose, but never what
//! was answered, and no secret. huicun deletes nothing from it.

mod chain;
mod entry;
mod log;
mod read;
mod store;

pub use chain::check;
pub use entry::{Entry, Phase, Recorded};
pub use log::{AuditLog, record};
pub use read::{Filter, head, list};
pub use store::AuditError;
