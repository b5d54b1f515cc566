//! WeCom's session archive SDK, behind a wall: the only `unsafe` of the product.
//!
//! The real library is a closed `.so` that aborts the process on a damaged record and
//! segfaults on misuse (wecom-sdk 14). So it is loaded in a child process only: the child
//! runs [`worker::run`], the parent holds a [`worker::WorkerClient`]. A crash, a hang or a
//! swollen child costs a restart, never the parent.
//!
//! What this crate promises: every object of the library has one owner and is freed once;
//! every answer is copied out at once, by its length; no secret, key or message text appears
//! in an error, a `Debug` or a process listing; nothing panics on what the library or the
//! child says. What it leaves to others: private keys and RSA, the cursor, retries and their
//! pace, and all of a message's JSON beyond the page's envelope.
//!
//! It imports none of our other crates.

pub mod code;
pub mod page;

mod library;

mod buffers;
mod handle;

pub mod worker;

pub use buffers::CONTENT_BYTES_MAX;
pub use code::{ApiCode, SdkCode};
pub use handle::{MediaChunk, Network, Sdk, decrypt};
pub use library::{Library, LoadError, inspect};
pub use page::{ApiError, DamagedRecord, Page, PageError, SealedRecord, parse_page};
