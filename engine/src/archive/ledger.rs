//! The completeness ledger (账本): what of each source is in the archive, and what is not.
//!
//! Two accounts of the same thing, kept apart so that one checks the other: what the commits say
//! that they took in ([`account`]), and the rows that are really in the table ([`rows`]). Delivered
//! is archived, quarantined and deduplicated, per source, always; where the two accounts differ the
//! ledger says so.
//!
//! Everything here is derived from the `messages` table and its log, and followed commit by commit;
//! [`cache`] keeps it between runs. Only the folded account ([`folded`]) outlives log entries that
//! were vacuumed. Times without a pull and lost media are not known here.

mod account;
mod cache;
mod entry;
mod folded;
mod rows;

use std::collections::BTreeMap;

use aws_lc_rs::digest::{SHA256, digest};
use roaring::RoaringTreemap;

use super::delta::{Table, TableError};
use super::home::{Home, HomeError};

pub use account::Account;
pub use entry::Entry;
pub use folded::{deliveries_folded_to, fold};
pub use rows::{Missing, Parking, Rows, Why};

use account::Accounts;

/// Why the ledger could not be drawn up.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The table or its log could not be read.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The data directory refused.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// A file of the ledger's own could not be written.
    #[error("cannot write the ledger's file `{file}`: {why}")]
    Write {
        /// The file's name.
        file: &'static str,
        /// The store's words.
        why: String,
    },
}

/// One source's page of the ledger.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SourceLedger {
    /// What the commits say.
    pub account: Account,
    /// Seqs of records that came and were there already.
    deduplicated: RoaringTreemap,
    /// What the table holds.
    pub rows: Rows,
    /// Every stretch of seqs that has no readable message, with the reason.
    pub missing: Vec<Missing>,
}

impl SourceLedger {
    /// The lowest and the highest seq that ever came.
    pub fn seqs(&self) -> Option<(i64, i64)> {
        self.rows.seqs(&self.deduplicated)
    }

    /// Once all rows are read: makes it small, and looks for what is missing.
    fn settle(&mut self) {
        self.rows.tidy();
        self.missing = self.rows.missing(&self.deduplicated);
    }

    /// What is wrong with the account, if anything: a sum that does not add up, or rows that it
    /// does not explain.
    pub fn imbalance(&self) -> Option<String> {
        let account = &self.account;
        if !account.is_balanced() {
            return Some(format!(
                "delivered {} is not archived {} + quarantined {} + deduplicated {}",
                account.delivered, account.archived, account.quarantined, account.deduplicated
            ));
        }
        let (readable, quarantined) = (self.rows.n_readable, self.rows.n_quarantined);
        if (readable, quarantined) != (account.archived, account.quarantined) {
            return Some(format!(
                "the commits tell of {} archived and {} quarantined, the table holds {readable} \
                 and {quarantined}",
                account.archived, account.quarantined
            ));
        }
        None
    }
}

/// The ledger at one version of the table.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ledger {
    /// Version of `messages`.
    pub version: u64,
    /// SHA-256 of that version's log entry: tells a table that was restored and went another way.
    stamp: Option<[u8; 32]>,
    /// Commits whose account is lost: their log entries, or the files of a 0.1.0 commit, are gone.
    pub n_unread: u64,
    /// By source.
    pub sources: BTreeMap<String, SourceLedger>,
}

impl Ledger {
    /// The ledger of the table as it is: from the file of the last run and what came since, or from
    /// all rows. The file is written when that saves the next run much.
    pub async fn open(home: &Home, table: &Table) -> Result<Self, LedgerError> {
        let known = match cache::load(home) {
            Some(known) if known.version <= table.version() => {
                let stamp = stamp(table, known.version).await?;
                // An entry that was vacuumed cannot speak against the file.
                (stamp.is_none() || stamp == known.stamp).then_some(known)
            }
            _ => None,
        };
        let from = known.as_ref().map(|known| known.version);
        let ledger = match known {
            Some(known) => known.forward(home, table).await?,
            None => Self::build(home, table).await?,
        };
        if from.is_none_or(|from| ledger.version - from >= cache::VERSIONS_UNWRITTEN_MAX) {
            ledger.store(home).await;
        }
        Ok(ledger)
    }

    /// The ledger of `table`, which may be newer than this one.
    pub async fn forward(self, home: &Home, table: &Table) -> Result<Self, LedgerError> {
        if self.version == table.version() {
            return Ok(self);
        }
        match self.followed(table).await? {
            Some(ledger) => Ok(ledger),
            None => Self::build(home, table).await,
        }
    }

    /// Keeps it for the next run. Without room or right to write the next run reads all rows again,
    /// which is slower and no less right.
    pub async fn store(&self, home: &Home) {
        if let Err(error) = cache::store(home, self).await {
            tracing::warn!(%error, "the ledger's cache could not be written");
        }
    }

    /// Commit by commit; `None` where only a new reading of all rows tells the truth.
    async fn followed(mut self, table: &Table) -> Result<Option<Self>, LedgerError> {
        if self.version > table.version() {
            return Ok(None);
        }
        let mut accounts = self.accounts();
        for version in self.version + 1..=table.version() {
            let Some(bytes) = table.log_entry(version).await? else {
                return Ok(None);
            };
            let entry = parse(version, &bytes)?;
            if entry.changes_rows() {
                return Ok(None);
            }
            accounts.take(table, &entry).await;
            for file in &entry.added {
                // A file that a compaction replaced and a vacuum took: its rows are elsewhere.
                if self.read_rows(table, file).await.is_err() {
                    return Ok(None);
                }
            }
            self.stamp = Some(sha256(&bytes));
        }
        self.version = table.version();
        self.put_accounts(accounts);
        self.sources.values_mut().for_each(SourceLedger::settle);
        Ok(Some(self))
    }

    /// From the folded account, the log after it, and all rows.
    async fn build(home: &Home, table: &Table) -> Result<Self, LedgerError> {
        let accounts = folded::up_to_now(home, table).await?;
        let mut this = Self {
            version: table.version(),
            stamp: stamp(table, table.version()).await?,
            ..Self::default()
        };
        for file in table.files() {
            this.read_rows(table, &file).await?;
        }
        this.put_accounts(accounts);
        this.sources.values_mut().for_each(SourceLedger::settle);
        Ok(this)
    }

    async fn read_rows(&mut self, table: &Table, file: &str) -> Result<(), TableError> {
        for batch in table.read_file(file, &rows::COLUMNS).await? {
            rows::add_batch(&batch, &mut |source| {
                if !self.sources.contains_key(source) {
                    self.sources.insert(source.to_string(), Default::default());
                }
            });
            for (source, page) in &mut self.sources {
                page.rows.add(&batch, source);
            }
        }
        Ok(())
    }

    fn accounts(&self) -> Accounts {
        let mut accounts = Accounts {
            n_unread: self.n_unread,
            ..Accounts::default()
        };
        for (source, page) in &self.sources {
            let taken = accounts.of_source.entry(source.clone()).or_default();
            taken.account = page.account;
            taken.deduplicated = page.deduplicated.clone();
        }
        accounts
    }

    fn put_accounts(&mut self, accounts: Accounts) {
        self.n_unread = accounts.n_unread;
        for (source, taken) in accounts.of_source {
            let page = self.sources.entry(source).or_default();
            page.account = taken.account;
            page.deduplicated = taken.deduplicated;
        }
    }
}

/// What tells one version of a table from another of the same number; `None` when its entry is gone.
async fn stamp(table: &Table, version: u64) -> Result<Option<[u8; 32]>, TableError> {
    Ok(table.log_entry(version).await?.map(|bytes| sha256(&bytes)))
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, bytes).as_ref());
    out
}

fn parse(version: u64, bytes: &[u8]) -> Result<Entry, TableError> {
    Entry::parse(bytes).map_err(|source| TableError::File {
        table: super::messages::TABLE.into(),
        file: format!("_delta_log/{version:020}.json"),
        source: source.into(),
    })
}

#[cfg(test)]
mod tests;
