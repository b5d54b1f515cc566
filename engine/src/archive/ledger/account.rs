//! What the commits say that they took in, added up by source.

use std::collections::BTreeMap;

use arrow::array::AsArray;
use roaring::RoaringTreemap;
use serde::{Deserialize, Serialize};

use super::entry::Entry;
use crate::archive::delivery::Delivery;
use crate::archive::delta::{Table, TableError};
use crate::archive::message::Status;

/// Records of one source since its first commit. An import that brings nothing new makes no commit
/// and is not counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Records that came.
    pub delivered: u64,
    /// Readable messages.
    pub archived: u64,
    /// Records that are kept unread, today.
    pub quarantined: u64,
    /// Records that were there already.
    pub deduplicated: u64,
}

impl Account {
    /// The law: delivered is archived and quarantined and deduplicated.
    pub fn is_balanced(&self) -> bool {
        self.archived
            .checked_add(self.quarantined)
            .and_then(|n| n.checked_add(self.deduplicated))
            == Some(self.delivered)
    }
}

/// One source's account and the seqs that left no row.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Taken {
    pub(super) account: Account,
    pub(super) deduplicated: RoaringTreemap,
}

impl Taken {
    fn take(&mut self, delivery: &Delivery) {
        let account = &mut self.account;
        // What could be read after all was counted as quarantined when it came.
        let left = delivery.resolved + delivery.resolved_duplicates;
        account.delivered += delivery.delivered;
        account.archived += delivery.archived + delivery.resolved;
        account.quarantined = (account.quarantined + delivery.quarantined).saturating_sub(left);
        account.deduplicated += delivery.deduplicated + delivery.resolved_duplicates;
        for (first, last) in &delivery.deduplicated_seqs {
            if let (Ok(first), Ok(last)) = (u64::try_from(*first), u64::try_from(*last)) {
                self.deduplicated.insert_range(first..=last);
            }
        }
    }
}

/// All sources' accounts.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Accounts {
    pub(super) n_unread: u64,
    pub(super) of_source: BTreeMap<String, Taken>,
}

impl Accounts {
    /// Adds one commit. Those of 0.1.0 carry no account: what they added was delivered.
    pub(super) async fn take(&mut self, table: &Table, entry: &Entry) {
        for delivery in &entry.deliveries {
            let taken = self.of_source.entry(delivery.source.clone()).or_default();
            taken.take(delivery);
        }
        if !entry.deliveries.is_empty() {
            return;
        }
        for file in &entry.added {
            if let Err(error) = self.take_rows(table, file).await {
                tracing::warn!(%error, "the account of a commit of 0.1.0 is lost");
                self.n_unread += 1;
                return;
            }
        }
    }

    async fn take_rows(&mut self, table: &Table, file: &str) -> Result<(), TableError> {
        for batch in table.read_file(file, &["source", "status"]).await? {
            let (Some(source), Some(status)) = (
                batch.column_by_name("source"),
                batch.column_by_name("status"),
            ) else {
                continue;
            };
            let (source, status) = (source.as_string::<i32>(), status.as_string::<i32>());
            for row in 0..batch.num_rows() {
                let name = source.value(row);
                if !self.of_source.contains_key(name) {
                    self.of_source.insert(name.to_string(), Taken::default());
                }
                let Some(taken) = self.of_source.get_mut(name) else {
                    continue;
                };
                taken.account.delivered += 1;
                if status.value(row) == Status::Ok.as_str() {
                    taken.account.archived += 1;
                } else {
                    taken.account.quarantined += 1;
                }
            }
        }
        Ok(())
    }
}
