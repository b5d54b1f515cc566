//! The messages of one conversation, as they were said (manual 7.1.4).

use huicun_engine::access::Scope;
use huicun_indexer::index::{Order, Question};

use super::archive::Archive;
use super::error::QuestionError;
use super::search::{MessagePage, after, ask};

/// What is asked.
#[derive(Debug, Clone, Default)]
pub struct ConversationParams {
    /// The room id, or `a|b`; the pair may come in either order.
    pub id: String,
    /// First day.
    pub from: Option<String>,
    /// Last day.
    pub to: Option<String>,
    /// Messages of a page; 0 is all.
    pub limit: usize,
    /// The token of the page before.
    pub cursor: Option<String>,
}

/// Lists a conversation's messages, oldest first.
///
/// # Errors
/// [`QuestionError::NotFound`] for a conversation without messages and for one outside the scope.
pub async fn conversation(
    scope: &Scope,
    archive: &Archive,
    params: &ConversationParams,
) -> Result<MessagePage, QuestionError> {
    let (from_ms, to_ms) = archive.instants(params.from.as_deref(), params.to.as_deref())?;
    let id = match params.id.split_once('|') {
        Some((a, b)) => huicun_semantics::conversation::pair_id(a, b),
        None => params.id.clone(),
    };
    let question = Question {
        conversation: Some(id.clone()),
        from_ms,
        to_ms,
        limit: params.limit,
        after: params.cursor.as_deref().map(after).transpose()?,
        order: Order::OldestFirst,
        ..Question::default()
    };
    let page = ask(scope, archive, question, false).await?;
    if page.total == 0 && from_ms.is_none() && to_ms.is_none() {
        return Err(QuestionError::NotFound {
            what: "conversation",
            id,
        });
    }
    Ok(page)
}
