//! The messages of one conversation, as they were said (manual 7.1.4).

use huicun_engine::access::Scope;
use huicun_indexer::index::{After, Order, Question};

use super::archive::Archive;
use super::error::QuestionError;
use super::search::{MessagePage, after, ask, ask_with_place, token};

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
    /// The token of the page after: the page ends there.
    pub before: Option<String>,
    /// The seq of a message in whose middle the page stands.
    pub around: Option<i64>,
}

/// Lists a conversation's messages, oldest first.
///
/// # Errors
/// [`QuestionError::NotFound`] for a conversation without messages and for one outside the scope,
/// and for a message that is not in it.
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
    let ways = [
        params.cursor.is_some(),
        params.before.is_some(),
        params.around.is_some(),
    ];
    if ways.into_iter().filter(|is_given| *is_given).count() > 1 {
        let told = "give one of `cursor`, `before` and `around`";
        return Err(QuestionError::Parameter(told.into()));
    }
    let question = Question {
        conversation: Some(id.clone()),
        from_ms,
        to_ms,
        limit: params.limit,
        after: params.cursor.as_deref().map(after).transpose()?,
        order: Order::OldestFirst,
        ..Question::default()
    };
    let page = if let Some(seq) = params.around {
        if (1..3).contains(&params.limit) {
            let told = "`around` needs a `limit` of at least 3: one message on each side";
            return Err(QuestionError::Parameter(told.into()));
        }
        around(scope, archive, question, seq).await?
    } else if let Some(before) = &params.before {
        let end = after(before)?;
        earlier(scope, archive, question, end).await?
    } else {
        ask(scope, archive, question, false).await?
    };
    if page.total == 0 && from_ms.is_none() && to_ms.is_none() {
        return Err(QuestionError::NotFound {
            what: "conversation",
            id,
        });
    }
    Ok(page)
}

/// The page that ends before a place.
async fn earlier(
    scope: &Scope,
    archive: &Archive,
    question: Question,
    end: After,
) -> Result<MessagePage, QuestionError> {
    let question = Question {
        after: Some(end),
        order: Order::NewestFirst,
        ..question
    };
    let (mut page, latest) = ask_with_place(scope, archive, question, false).await?;
    page.items.reverse();
    page.previous = page.next.take();
    page.next = latest.map(token);
    Ok(page)
}

/// The page in whose middle a message stands.
async fn around(
    scope: &Scope,
    archive: &Archive,
    question: Question,
    seq: i64,
) -> Result<MessagePage, QuestionError> {
    let one = Question {
        seq: Some(seq),
        limit: 1,
        ..question.clone()
    };
    let (middle, place) = ask_with_place(scope, archive, one, false).await?;
    let place = place.ok_or_else(|| QuestionError::NotFound {
        what: "message of the conversation, by its seq",
        id: seq.to_string(),
    })?;
    // 0 is all.
    let limit = question.limit.saturating_sub(1);
    let before = Question {
        limit: limit / 2,
        ..question.clone()
    };
    let before = earlier(scope, archive, before, place).await?;
    let later = Question {
        after: Some(place),
        limit: limit - limit / 2,
        ..question
    };
    let mut page = ask(scope, archive, later, false).await?;
    let later = std::mem::replace(&mut page.items, before.items);
    page.items.extend(middle.items);
    page.items.extend(later);
    page.previous = before.previous;
    Ok(page)
}
