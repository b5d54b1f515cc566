//! What a pull has done so far: numbers that its stages raise and that progress lines, `/readyz`
//! and `/metrics` read. Of this process only; what lasts is in the archive.

use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, PoisonError};

/// What a pull has done so far; read by progress lines, `/readyz` and `/metrics`.
#[derive(Debug, Default)]
pub struct Status {
    /// Records that WeCom delivered.
    pub n_delivered: AtomicU64,
    /// Messages archived.
    pub n_archived: AtomicU64,
    /// Records quarantined.
    pub n_quarantined: AtomicU64,
    /// Records that were already there.
    pub n_duplicates: AtomicU64,
    /// Commits made.
    pub n_commits: AtomicU64,
    /// The cursor.
    pub cursor: AtomicU64,
    /// UTC milliseconds of the last answer of WeCom without an error; 0 before the first.
    pub answered_at_ms: AtomicU64,
    /// Whether the last answer said that there is nothing more.
    pub is_caught_up: AtomicBool,
    /// The last error, with its advice.
    pub last_error: Mutex<Option<String>>,
}

impl Status {
    /// Shows an error until WeCom answers again.
    pub fn set_error(&self, error: String) {
        *self
            .last_error
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(error);
    }
}

/// The pull of one company, as it is watched.
#[derive(Debug, Clone)]
pub struct Watched {
    /// The company.
    pub corpid: String,
    /// What its pull has done so far.
    pub status: Arc<Status>,
}
