//! The messages of an export, batch by batch: what the index finds, less what came after `as_of`,
//! with recalls and the state of files. Neither a batch's size nor a caller's scope is a bound on
//! the whole.

use std::collections::HashMap;
use std::sync::Arc;

use huicun_engine::access::Scope;
use huicun_engine::directory::Directory;
use huicun_engine::jobs::texts::recalls_of;
use huicun_engine::media::Listed;
use huicun_engine::media::store::hex;
use huicun_indexer::index::{Hit, Question};
use huicun_semantics::time::Zone;
use serde::Serialize;
use serde_json::{Value, json};

use super::error::ExportError;
use super::newer::Newer;
use crate::answer::{Column, ColumnKind};
use crate::queries::media::MediaAccess;
use crate::queries::messages::{MessageItem, columns};
use crate::queries::{Archive, QuestionError};

/// Messages of a batch; the scope is asked anew for each.
const BATCH_ROWS: usize = 10_000;

/// The hits of a question, in its order.
pub(super) struct Batches<'a> {
    archive: &'a Archive,
    /// The one directory that all of them are seen with.
    pub(super) directory: Arc<Directory>,
    /// The one zone that their times are told in: the rules may change meanwhile.
    pub(super) zone: Zone,
    question: Question,
    as_of: u64,
    newer: Newer,
    is_at_end: bool,
}

/// Some hits.
pub(super) struct Batch {
    pub(super) hits: Vec<Hit>,
    /// Matches of the whole question, with what came since `as_of`.
    pub(super) n_total: u64,
}

impl<'a> Batches<'a> {
    pub(super) async fn new(
        archive: &'a Archive,
        question: &Question,
        as_of: u64,
    ) -> Result<Self, ExportError> {
        Ok(Self {
            archive,
            directory: archive.directory().await?,
            zone: archive.zone(),
            question: Question {
                limit: BATCH_ROWS,
                after: None,
                ..question.clone()
            },
            as_of,
            newer: Newer::than(as_of),
            is_at_end: false,
        })
    }

    /// The next ones that the scope may see; `None` at the end.
    pub(super) async fn next(&mut self, scope: &Scope) -> Result<Option<Batch>, ExportError> {
        if self.is_at_end {
            return Ok(None);
        }
        if self.archive.directory().await?.versions != self.directory.versions {
            return Err(ExportError::Changed);
        }
        let Some(index) = self.archive.search()? else {
            self.is_at_end = true;
            return match self.as_of {
                0 => Ok(None),
                as_of => Err(ExportError::Behind(as_of)),
            };
        };
        let (asker, directory) = (scope.clone(), Arc::clone(&self.directory));
        let question = self.question.clone();
        let found =
            tokio::task::spawn_blocking(move || index.search(&asker, &directory, &question))
                .await
                .map_err(|_| QuestionError::Interrupted)?
                .map_err(QuestionError::from)?;
        if found.messages_version < self.as_of {
            return Err(ExportError::Behind(self.as_of));
        }
        self.newer.follow(self.archive.home()).await?;
        self.question.after = found.hits.last().map(Hit::place);
        self.is_at_end = !found.has_more;
        let mut hits = found.hits;
        hits.retain(|hit| !self.newer.has(&hit.message.source, &hit.message.msgid));
        Ok(Some(Batch {
            hits,
            n_total: found.n_total,
        }))
    }

    /// Which messages of the conversation were taken back, by (source, msgid), with the msgid of
    /// the recall.
    pub(super) async fn recalls(&mut self) -> Result<Recalls, ExportError> {
        let Some(conversation) = &self.question.conversation else {
            return Ok(Recalls::default());
        };
        let all = recalls_of(self.archive.home(), conversation)
            .await
            .map_err(QuestionError::from)?;
        // After they were read: what was read may have come a moment ago.
        self.newer.follow(self.archive.home()).await?;
        let known = all
            .into_iter()
            .filter(|recall| !self.newer.has(&recall.source, &recall.msgid));
        Ok(Recalls(
            known
                .map(|recall| ((recall.source, recall.revokes), recall.msgid))
                .collect(),
        ))
    }
}

/// Recalls (撤回) by the message that they take back.
#[derive(Default)]
pub(super) struct Recalls(HashMap<(String, String), String>);

/// A file of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct MediaState {
    /// 0 for the message's own, from 1 on for those of its items.
    pub(super) item: u32,
    pub(super) name: Option<String>,
    pub(super) bytes: Option<i64>,
    /// `stored`, `pending`, `fetching` or `lost`.
    pub(super) status: &'static str,
    /// Why it is lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sha256: Option<String>,
}

/// A message as it is exported.
pub(super) struct Message {
    pub(super) item: MessageItem,
    pub(super) recalled_by: Option<String>,
    pub(super) media: Vec<Listed>,
}

impl Message {
    pub(super) fn media_states(&self) -> Vec<MediaState> {
        let states = self.media.iter().map(|listed| MediaState {
            item: listed.item,
            name: listed.name.clone(),
            bytes: listed.size,
            status: listed.status.as_str(),
            reason: listed.reason.clone(),
            sha256: listed.sha256.map(|hash| hex(&hash)),
        });
        states.collect()
    }

    /// Its values in the order of [`message_columns`].
    pub(super) fn into_row(self) -> Vec<Value> {
        let media = match self.media_states() {
            none if none.is_empty() => Value::Null,
            states => json!(states),
        };
        let mut row = self.item.row();
        row.extend([json!(self.recalled_by), media]);
        row
    }
}

/// The columns of exported messages.
pub(super) fn message_columns() -> Vec<Column> {
    let mut all = columns(false);
    all.push(Column::new(
        "recalled_by",
        "撤回消息",
        "Recalled by",
        ColumnKind::Text,
    ));
    all.push(Column::new("media", "媒体文件", "Media", ColumnKind::Json));
    all
}

/// The hits with what else is known of them.
pub(super) fn messages(
    zone: Zone,
    access: &MediaAccess,
    recalls: &Recalls,
    hits: Vec<Hit>,
) -> Result<Vec<Message>, ExportError> {
    let catalogue = access.catalogue()?;
    let mut made = Vec::with_capacity(hits.len());
    for hit in hits {
        let media = match &catalogue {
            // A text has no file.
            Some(catalogue) if hit.message.msgtype != "text" => {
                let mut listed = catalogue
                    .of_message(&hit.message.msgid)
                    .map_err(QuestionError::from)?;
                listed.retain(|listed| listed.source == hit.message.source);
                listed
            }
            _ => Vec::new(),
        };
        let key = (hit.message.source.clone(), hit.message.msgid.clone());
        made.push(Message {
            recalled_by: recalls.0.get(&key).cloned(),
            item: MessageItem::of_hit(hit, zone, false),
            media,
        });
    }
    Ok(made)
}
