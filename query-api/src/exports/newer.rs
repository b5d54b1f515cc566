//! Which messages came into the archive after a version, so that an export can leave them out:
//! those of the files that later commits added. The index has no versions; it only grows.

use std::collections::HashSet;

use arrow::array::AsArray;
use arrow::datatypes::DataType;
use huicun_engine::archive::{Home, TableError, messages};
use huicun_indexer::index::search::tie;

use super::error::ExportError;
use crate::queries::QuestionError;

/// Eight bytes a message; empty where nothing came since.
pub(super) struct Newer {
    as_of: u64,
    covered: u64,
    ties: HashSet<u64>,
}

impl Newer {
    pub(super) fn than(as_of: u64) -> Self {
        Self {
            as_of,
            covered: as_of,
            ties: HashSet::new(),
        }
    }

    /// Learns of what has come until now. After a search has been asked this covers all that the
    /// search can have found, for the index never runs ahead of the table.
    pub(super) async fn follow(&mut self, home: &Home) -> Result<(), ExportError> {
        if messages::newest_version(home).is_none_or(|newest| newest <= self.covered) {
            return Ok(());
        }
        let Some(table) = messages::open(home).await? else {
            return Ok(());
        };
        let as_of = self.as_of;
        let gone = |error| match error {
            // A file that was compacted away is kept for a week, like the log's entries.
            TableError::LogGone { .. } | TableError::File { .. } => ExportError::TooOld(as_of),
            other => ExportError::from(other),
        };
        for (_, files) in table.files_added_after(self.covered).await.map_err(gone)? {
            for file in files {
                let columns = ["source", "msgid", "status"];
                for batch in table.read_file(&file, &columns).await.map_err(gone)? {
                    self.add(&batch)?;
                }
            }
        }
        self.covered = table.version();
        Ok(())
    }

    fn add(&mut self, batch: &arrow::array::RecordBatch) -> Result<(), ExportError> {
        let text = |name: &str| {
            let column = batch
                .column_by_name(name)
                .ok_or(QuestionError::Interrupted)?;
            arrow::compute::cast(column, &DataType::Utf8).map_err(|_| QuestionError::Interrupted)
        };
        let (source, msgid, status) = (text("source")?, text("msgid")?, text("status")?);
        let (source, msgid) = (source.as_string::<i32>(), msgid.as_string::<i32>());
        for (row, status) in status.as_string::<i32>().iter().enumerate() {
            // A quarantined copy of a message says nothing of the message itself.
            if status == Some("ok") {
                self.ties.insert(tie(source.value(row), msgid.value(row)));
            }
        }
        Ok(())
    }

    pub(super) fn has(&self, source: &str, msgid: &str) -> bool {
        !self.ties.is_empty() && self.ties.contains(&tie(source, msgid))
    }
}
