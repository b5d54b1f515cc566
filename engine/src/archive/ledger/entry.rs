//! One log entry of the `messages` table, as far as the ledger reads it.

use serde::Deserialize;
use serde_json::Value;

use crate::archive::delivery::{Delivery, INFO_KEY};

/// What a commit did.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Entry {
    /// Files with rows that are new.
    pub added: Vec<String>,
    /// Whether rows went: not by a compaction, which only moves them.
    pub removes_rows: bool,
    /// Whether files went, for whatever reason.
    pub removes_files: bool,
    /// What it took in, by source; none for a commit of 0.1.0, and for one that moves nothing.
    pub deliveries: Vec<Delivery>,
}

impl Entry {
    /// Reads the lines of a log entry.
    ///
    /// # Errors
    /// A line that is no JSON of Delta's, or an account that is none of ours.
    pub fn parse(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        let mut entry = Self::default();
        for line in bytes.split(|b| *b == b'\n').filter(|l| !l.is_empty()) {
            let line: Line = serde_json::from_slice(line)?;
            if let Some(add) = line.add.filter(|add| add.data_change) {
                entry.added.extend(add.path);
            }
            if let Some(remove) = line.remove {
                entry.removes_files = true;
                entry.removes_rows |= remove.data_change;
            }
            let told = line.commit_info.and_then(|mut info| match &mut info {
                Value::Object(fields) => fields.remove(INFO_KEY),
                _ => None,
            });
            match told {
                Some(Value::Array(several)) => {
                    for one in several {
                        entry.deliveries.push(serde_json::from_value(one)?);
                    }
                }
                Some(one) => entry.deliveries.push(serde_json::from_value(one)?),
                None => {}
            }
        }
        Ok(entry)
    }

    /// Whether rows went or changed, which only a retry of the quarantine makes (and tells in an
    /// account, as a compaction does not): what the commit adds is then not the whole story.
    pub(super) fn changes_rows(&self) -> bool {
        self.removes_rows || (self.removes_files && !self.deliveries.is_empty())
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    add: Option<File>,
    remove: Option<File>,
    commit_info: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    path: Option<String>,
    data_change: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compaction_adds_and_removes_nothing() {
        let entry = Entry::parse(
            b"{\"add\":{\"path\":\"a\",\"dataChange\":false}}\n{\"remove\":{\"path\":\"b\",\"dataChange\":false}}\n",
        );
        let entry = entry.unwrap();
        assert!(entry.added.is_empty() && !entry.changes_rows());
    }

    #[test]
    fn the_account_is_found_among_delta_s_own_words() {
        let text = "{\"commitInfo\":{\"operation\":\"WRITE\",\"huicunDelivery\":{\"source\":\"corp\",\
                    \"delivered\":3,\"archived\":1,\"quarantined\":0,\"deduplicated\":2,\
                    \"deduplicated_seqs\":[[4,5]]}}}\n{\"add\":{\"path\":\"a\",\"dataChange\":true}}";
        let entry = Entry::parse(text.as_bytes()).unwrap();
        assert_eq!(entry.added, ["a"]);
        assert_eq!(entry.deliveries[0].deduplicated_seqs, [(4, 5)]);
    }
}
