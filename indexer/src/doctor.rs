//! `huicun doctor`: looks at the whole installation, one finding a check, with what to do next.
//!
//! Every check stands alone: what is broken, missing or locked is a finding, never an error, and
//! the others go on. Nothing is changed but for a file that is written, synced and taken away
//! again; WeCom is asked only when that is wanted. No finding holds a secret, a key or message text.

mod archive;
mod config;
mod finding;
mod host;
mod library;

use std::path::PathBuf;

use huicun_ffi_finance_sdk::worker::WorkerCommand;

pub use finding::{Finding, Verdict, Words};

use crate::ingest::config::{Config, Corp};

/// What is looked at.
pub struct Patient {
    /// The data directory.
    pub data: PathBuf,
    /// The configuration file.
    pub config: PathBuf,
    /// How the SDK's worker is started.
    pub worker: WorkerCommand,
    /// Whether WeCom is asked, once for each company.
    pub calls_wecom: bool,
    /// UTC milliseconds.
    pub now_ms: i64,
}

/// Looks at everything.
pub async fn examine(patient: &Patient) -> Vec<Finding> {
    let mut found = Vec::new();
    let config = config::read(patient, &mut found);
    let corps: &[Corp] = config.as_ref().map_or(&[], |config: &Config| &config.corp);
    host::look(patient, &mut found);
    let seen = archive::look(patient, corps, &mut found).await;
    for corp in corps {
        config::look(patient, corp, &seen, &mut found);
        let settings = config.as_ref().map(|config| &config.pull);
        let session = library::look(patient, corp, settings, &mut found);
        if let Some(client) = session {
            library::call(patient, corp, client, &seen, &mut found);
        }
    }
    found
}
