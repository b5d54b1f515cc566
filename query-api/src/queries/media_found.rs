//! The files of messages that a search finds: the list of sound, pictures and files of a chat
//! (manual 7.1.4), by time, kind of conversation and sender (发起者), newest first. Each is visible
//! when its message is, for the list is made of visible messages.

use std::sync::Arc;

use huicun_engine::access::Scope;
use huicun_engine::media::{Catalogue, Filter as Wanted, Listed};
use huicun_indexer::index::query::{Filter, Operator};
use huicun_indexer::index::{After, Hit, Question};

use super::archive::Archive;
use super::error::QuestionError;
use super::page::Place;
use super::search::{SearchParams, question};

/// Types of messages that carry files.
pub const MEDIA_TYPES: [&str; 7] = [
    "image",
    "voice",
    "video",
    "emotion",
    "file",
    "mixed",
    "chatrecord",
];
/// Messages that are looked at together.
const BATCH_MESSAGES: usize = 1000;

/// Which messages a list is of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MessageFilter {
    /// First day.
    pub from: Option<String>,
    /// Last day.
    pub to: Option<String>,
    /// Of one of these WeCom types.
    pub types: Vec<String>,
    /// In a conversation of one of these kinds.
    pub kinds: Vec<String>,
    /// Sent by one of these, by id or name.
    pub senders: Vec<String>,
}

impl MessageFilter {
    /// The question that finds the messages.
    pub(super) fn question(&self, archive: &Archive) -> Result<Question, QuestionError> {
        let params = SearchParams {
            from: self.from.clone(),
            to: self.to.clone(),
            kinds: self.kinds.clone(),
            types: match self.types.is_empty() {
                true => MEDIA_TYPES.map(String::from).to_vec(),
                false => self.types.clone(),
            },
            limit: BATCH_MESSAGES,
            ..SearchParams::default()
        };
        let mut question = question(archive, &params)?;
        if !self.senders.is_empty() {
            question.query.filters.push(Filter {
                on: Operator::From,
                any_of: self.senders.clone(),
                is_negated: false,
            });
        }
        Ok(question)
    }
}

/// A file with the message that shows it.
pub(super) struct Found {
    pub(super) listed: Listed,
    pub(super) conversation: Option<String>,
    pub(super) kind: &'static str,
    pub(super) from: String,
}

/// Where a page begins: behind a message, of the next one behind so many files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Start {
    after: Option<After>,
    n_files: usize,
}

impl Start {
    fn to_token(self) -> String {
        let (first, second, tie) = match self.after {
            Some(after) => (after.at_ms, after.seq, after.tie.to_string()),
            None => (0, 0, String::new()),
        };
        let text = format!("{tie}.{}", self.n_files);
        Place {
            first,
            second,
            text,
        }
        .to_token()
    }

    fn of_token(token: &str) -> Result<Self, QuestionError> {
        let place = Place::of_token(token)?;
        let (tie, n_files) = place.text.split_once('.').ok_or_else(Place::unknown)?;
        let after = match tie {
            "" => None,
            tie => Some(After {
                n_found: 0,
                at_ms: place.first,
                seq: place.second,
                tie: tie.parse().map_err(|_| Place::unknown())?,
            }),
        };
        Ok(Self {
            after,
            n_files: n_files.parse().map_err(|_| Place::unknown())?,
        })
    }
}

/// The files of a page, and the token of the next one.
pub(super) async fn found(
    scope: &Scope,
    archive: &Archive,
    catalogue: Option<Arc<Catalogue>>,
    wanted: &Wanted,
    filter: &MessageFilter,
    cursor: Option<&str>,
) -> Result<(Vec<Found>, Option<String>), QuestionError> {
    let mut question = filter.question(archive)?;
    let mut from = cursor.map(Start::of_token).transpose()?.unwrap_or_default();
    let (directory, index) = (archive.directory().await?, archive.search()?);
    let (Some(index), Some(catalogue)) = (index, catalogue) else {
        return Ok((Vec::new(), None));
    };
    let (scope, wanted) = (scope.clone(), wanted.clone());
    tokio::task::spawn_blocking(move || {
        let mut files = Vec::new();
        loop {
            question.after = from.after;
            let found = index.search(&scope, &directory, &question)?;
            for hit in found.hits {
                let place = hit.place();
                let of_message = of_hit(&catalogue, &wanted, hit)?;
                for (nth, file) in of_message.into_iter().enumerate().skip(from.n_files) {
                    if wanted.limit > 0 && files.len() == wanted.limit {
                        let next = Start {
                            n_files: nth,
                            ..from
                        };
                        return Ok((files, Some(next.to_token())));
                    }
                    files.push(file);
                }
                from = Start {
                    after: Some(place),
                    n_files: 0,
                };
            }
            if !found.has_more {
                return Ok((files, None));
            }
        }
    })
    .await
    .map_err(|_| QuestionError::Interrupted)?
}

/// The wanted files of a message.
fn of_hit(catalogue: &Catalogue, wanted: &Wanted, hit: Hit) -> Result<Vec<Found>, QuestionError> {
    let message = hit.message;
    let mut listed = catalogue.of_message(&message.msgid)?;
    listed.retain(|listed| {
        listed.source == message.source
            && wanted.source.as_ref().is_none_or(|s| *s == listed.source)
            && (wanted.status.is_empty() || wanted.status.contains(&listed.status))
    });
    let shown = listed.into_iter().map(|listed| Found {
        listed,
        conversation: hit.conversation.clone(),
        kind: hit.kind.as_str(),
        from: message.from.clone(),
    });
    Ok(shown.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_goes_on_in_the_middle_of_a_message() {
        let after = After {
            n_found: 0,
            at_ms: 5,
            seq: 7,
            tie: u64::MAX,
        };
        for from in [
            Start::default(),
            Start {
                after: None,
                n_files: 3,
            },
            Start {
                after: Some(after),
                n_files: 1,
            },
        ] {
            assert_eq!(Start::of_token(&from.to_token()).unwrap(), from);
        }
        assert!(Start::of_token("x").is_err());
    }
}
