//! Stage 3: decrypts in the worker and parses.

use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex};

use huicun_ffi_finance_sdk::worker::{CallError, DecryptOutcome, WorkerClient};

use super::{Pull, PullError, Stop, lock};
use crate::ingest::pace::back_off;
use crate::ingest::pages::{Batch, OpenedPage, to_batch};
use crate::ingest::status::Stage;

impl Pull {
    pub(super) fn decrypt(
        &self,
        client: &Mutex<WorkerClient>,
        stop: &Stop,
        source: &Arc<str>,
        pages: Receiver<OpenedPage>,
        batches: tokio::sync::mpsc::Sender<Batch>,
    ) -> Result<(), PullError> {
        for page in pages {
            self.status.leave(Stage::Opened);
            let items = page.items();
            let attempts = self.settings.attempts_once;
            let outcomes = decrypt_patiently(client, stop, attempts, &items).map_err(|error| {
                stop.stop();
                self.call_error(error)
            })?;
            let batch = to_batch(page, outcomes, source);
            self.status.enter(Stage::Parsed);
            if batches.blocking_send(batch).is_err() {
                break;
            }
        }
        Ok(())
    }
}

/// Decryption is local: a worker that cannot be had is waited for, as the network is.
pub(in crate::ingest) fn decrypt_patiently(
    client: &Mutex<WorkerClient>,
    stop: &Stop,
    attempts_max: u32,
    items: &[(String, String)],
) -> Result<Vec<DecryptOutcome>, CallError> {
    let mut n_failures = 0;
    loop {
        let outcomes = lock(client).decrypt_isolating(items);
        match outcomes {
            Ok(outcomes) => return Ok(outcomes),
            // Too many records that kill the worker for one search: halves get further.
            Err(CallError::TooManyLosses { .. }) if items.len() > 1 => {
                let (first, second) = items.split_at(items.len() / 2);
                let mut outcomes = decrypt_patiently(client, stop, attempts_max, first)?;
                outcomes.extend(decrypt_patiently(client, stop, attempts_max, second)?);
                return Ok(outcomes);
            }
            Err(error) => {
                n_failures += 1;
                if n_failures >= attempts_max || stop.is_stopped() {
                    return Err(error);
                }
                tracing::warn!(%error, attempt = n_failures, "the SDK worker cannot decrypt");
                stop.sleep(back_off(n_failures));
            }
        }
    }
}
