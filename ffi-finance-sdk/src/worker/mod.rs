//! The SDK in a child process (wecom-sdk 14): `run` is the child, `WorkerClient` the parent.
//!
//! The two speak frames over the child's stdin and stdout (`wire`, `protocol`). Secrets
//! travel in frames, never in arguments or the environment. The child exits when its stdin
//! closes and dies with its parent; it leaves no core dump; it ignores the signals by which
//! a service is stopped, because only its parent knows when the work is done.

mod error;
mod process;
mod wire;

mod protocol;

mod serve;

mod child;
mod client;

pub use client::{DecryptOutcome, Limits, Session, WorkerClient, WorkerCommand};
pub use error::{CallError, Exit};
pub use serve::{ServeError, run, serve};
