//! The account of the commits up to a version, in a file of its own, so that their log entries may
//! be vacuumed. This file is the truth for them: it is written under a lock, synced, replaced in one
//! step, and carries a checksum.

use std::time::Duration;

use object_store::ObjectStoreExt;
use object_store::path::Path;
use roaring::RoaringTreemap;
use serde::{Deserialize, Serialize};

use super::account::{Account, Accounts, Taken};
use super::rows::runs;
use super::{LedgerError, parse, sha256, stamp};
use crate::archive::delta::{Table, TableError};
use crate::archive::fsync_store::FsyncStore;
use crate::archive::home::Home;

const FILE: &str = "ledger/account.json";
const FORMAT: u32 = 1;
/// How long a fold waits for another.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, Serialize, Deserialize)]
struct Folded {
    format: u32,
    /// The last version whose commit is in.
    folded_to: u64,
    /// Its log entry's SHA-256 in hex: tells a table that was restored and went another way.
    entry_sha256: Option<String>,
    n_unread: u64,
    sources: std::collections::BTreeMap<String, FoldedSource>,
}

#[derive(Debug, Serialize, Deserialize)]
struct FoldedSource {
    #[serde(flatten)]
    account: Account,
    /// Both ends included.
    deduplicated_seqs: Vec<(u64, u64)>,
}

/// The version up to which commits are folded: log entries up to it may go. `None` when none are,
/// or the file is damaged; then none may go.
pub fn deliveries_folded_to(home: &Home) -> Option<u64> {
    read(home).map(|folded| folded.folded_to)
}

/// Folds the account of every commit up to `table`'s version, durably; returns that version.
///
/// # Errors
/// What was folded before stays as it was.
pub async fn fold(home: &Home, table: &Table) -> Result<u64, LedgerError> {
    let patient = home.clone();
    let lock = tokio::task::spawn_blocking(move || patient.lock_ledger("huicun (fold)", PATIENCE));
    let _lock = lock.await.map_err(|e| write_error(&e))??;
    // Read under the lock: a slower fold must not put an older account over a newer one.
    let known = read_for(home, table).await?;
    if let Some(known) = &known
        && known.folded_to >= table.version()
    {
        return Ok(known.folded_to);
    }
    let accounts = follow(known, table).await?;
    let body = Folded {
        format: FORMAT,
        folded_to: table.version(),
        entry_sha256: stamp(table, table.version()).await?.map(|s| hex(&s)),
        n_unread: accounts.n_unread,
        sources: accounts
            .of_source
            .into_iter()
            .map(|(source, taken)| {
                let folded = FoldedSource {
                    account: taken.account,
                    deduplicated_seqs: runs(&taken.deduplicated).collect(),
                };
                (source, folded)
            })
            .collect(),
    };
    let mut text = serde_json::to_string(&body).expect("an account is plain data");
    text = format!("{text}\n{}\n", hex(&sha256(text.as_bytes())));
    let place = Path::from_absolute_path(home.root().join(FILE)).map_err(|e| write_error(&e))?;
    FsyncStore::new()
        .put(&place, text.into_bytes().into())
        .await
        .map_err(|e| write_error(&e))?;
    Ok(table.version())
}

/// The account of every commit up to `table`'s version, folded or not.
pub(super) async fn up_to_now(home: &Home, table: &Table) -> Result<Accounts, LedgerError> {
    let known = read_for(home, table).await?;
    Ok(follow(known, table).await?)
}

async fn follow(known: Option<Folded>, table: &Table) -> Result<Accounts, TableError> {
    let next = known.as_ref().map_or(0, |folded| folded.folded_to + 1);
    let mut accounts = known.map(Accounts::from).unwrap_or_default();
    for version in next..=table.version() {
        match table.log_entry(version).await? {
            Some(bytes) => {
                let entry = parse(version, &bytes)?;
                accounts.take(table, &entry).await;
            }
            None => accounts.n_unread += 1,
        }
    }
    Ok(accounts)
}

/// What is folded of this very table; `None` where the file is another history's.
async fn read_for(home: &Home, table: &Table) -> Result<Option<Folded>, TableError> {
    let Some(folded) = read(home) else {
        return Ok(None);
    };
    if folded.folded_to > table.version() {
        return Ok(None);
    }
    let stamp = stamp(table, folded.folded_to).await?.map(|s| hex(&s));
    let is_same = stamp.is_none() || stamp == folded.entry_sha256;
    Ok(is_same.then_some(folded))
}

fn read(home: &Home) -> Option<Folded> {
    let text = std::fs::read_to_string(home.root().join(FILE)).ok()?;
    let parsed = text
        .split_once('\n')
        .filter(|(body, sum)| sum.trim_end() == hex(&sha256(body.as_bytes())))
        .and_then(|(body, _)| serde_json::from_str::<Folded>(body).ok())
        .filter(|folded| folded.format == FORMAT);
    if parsed.is_none() {
        tracing::error!("`{FILE}` in the data directory is damaged; restore it from a backup");
    }
    parsed
}

impl From<Folded> for Accounts {
    fn from(folded: Folded) -> Self {
        let of_source = folded
            .sources
            .into_iter()
            .map(|(source, folded)| {
                let mut deduplicated = RoaringTreemap::new();
                for (first, last) in folded.deduplicated_seqs {
                    deduplicated.insert_range(first..=last);
                }
                let account = folded.account;
                (
                    source,
                    Taken {
                        account,
                        deduplicated,
                    },
                )
            })
            .collect();
        Self {
            n_unread: folded.n_unread,
            of_source,
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn write_error(error: &dyn std::error::Error) -> LedgerError {
    LedgerError::Write {
        file: FILE,
        why: error.to_string(),
    }
}
