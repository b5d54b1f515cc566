//! Texts of single messages, for answers that show them beside figures: of some messages by their
//! ids, and of what was said in one room. Files of other days are not read.

use std::collections::HashMap;

use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, TimeUnit, TimestampMicrosecondType};
use datafusion::error::DataFusionError;
use datafusion::prelude::{DataFrame, Expr, col, lit};
use datafusion::scalar::ScalarValue;
use futures::TryStreamExt;

use super::derive::DeriveError;
use crate::archive::Home;
use crate::tables;

/// Milliseconds that make two stretches of time one: a day between two messages costs less than
/// another condition on every file.
const STRETCH_GAP_MS: i64 = 86_400_000;
/// Conditions on time in one question; more are one from the first to the last instant.
const STRETCHES_MAX: usize = 64;
/// Ids that are given to the reader as a condition; of more every row is looked at here.
const IDS_MAX: usize = 4096;

/// A message of a room.
#[derive(Debug, Clone, Copy)]
pub struct RoomMessage<'a> {
    /// `send`, `recall`, ...
    pub action: &'a str,
    /// WeCom's type.
    pub msgtype: &'a str,
    /// Who sent it.
    pub from: &'a str,
    /// When, UTC milliseconds.
    pub at_ms: i64,
}

/// The texts of messages by msgid, read in one pass; each is given with the instant at which it was
/// sent (UTC milliseconds). A message that is not there has none.
///
/// # Errors
/// A table that cannot be read.
pub async fn texts_by_id(
    home: &Home,
    messages: &[(&str, i64)],
) -> Result<HashMap<String, String>, DeriveError> {
    let mut found = HashMap::with_capacity(messages.len());
    let sent: HashMap<&str, i64> = messages.iter().copied().collect();
    if sent.is_empty() {
        return Ok(found);
    }
    let stretches = stretches(sent.values().copied().collect());
    let mut frame = readable(home).await?;
    if let Some(time) = stretches.into_iter().map(within).reduce(Expr::or) {
        frame = frame.filter(time)?;
    }
    if sent.len() <= IDS_MAX {
        let ids = sent.keys().map(|id| lit(*id)).collect();
        frame = frame.filter(col("msgid").in_list(ids, false))?;
    }
    let frame = frame.select_columns(&["msgid", "msgtime", "text"])?;
    let mut stream = frame.execute_stream().await?;
    while let Some(batch) = stream.try_next().await? {
        let (ids, at, texts) = (
            strings(&batch, "msgid")?,
            instants(&batch, "msgtime")?,
            strings(&batch, "text")?,
        );
        let (ids, texts) = (ids.as_string::<i32>(), texts.as_string::<i32>());
        let at = at.as_primitive::<TimestampMicrosecondType>();
        for row in 0..batch.num_rows() {
            if sent.get(ids.value(row)) == Some(&(at.value(row) / 1000)) {
                found.insert(ids.value(row).to_string(), texts.value(row).to_string());
            }
        }
    }
    Ok(found)
}

/// The texts of those messages of a room, sent from one instant up to and including another (UTC
/// milliseconds), that `is_wanted` picks; handed on batch by batch.
///
/// # Errors
/// A table that cannot be read.
pub async fn texts_of_room(
    home: &Home,
    room: &str,
    stretch: (i64, i64),
    is_wanted: impl Fn(RoomMessage<'_>) -> bool,
    mut take: impl FnMut(Vec<String>),
) -> Result<(), DeriveError> {
    let frame = readable(home)
        .await?
        .filter(col("room_id").eq(lit(room)).and(within(stretch)))?
        .select_columns(&["action", "msgtype", "from_id", "msgtime", "text"])?;
    let mut stream = frame.execute_stream().await?;
    while let Some(batch) = stream.try_next().await? {
        let (action, msgtype) = (strings(&batch, "action")?, strings(&batch, "msgtype")?);
        let (from, at) = (strings(&batch, "from_id")?, instants(&batch, "msgtime")?);
        let texts = strings(&batch, "text")?;
        let message = |row| RoomMessage {
            action: action.as_string::<i32>().value(row),
            msgtype: msgtype.as_string::<i32>().value(row),
            from: from.as_string::<i32>().value(row),
            at_ms: at.as_primitive::<TimestampMicrosecondType>().value(row) / 1000,
        };
        let wanted = (0..batch.num_rows()).filter(|row| is_wanted(message(*row)));
        let texts = texts.as_string::<i32>();
        take(wanted.map(|row| texts.value(row).to_string()).collect());
    }
    Ok(())
}

/// A message that takes another one back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recall {
    /// Its source.
    pub source: String,
    /// Its id.
    pub msgid: String,
    /// The message that it takes back.
    pub revokes: String,
}

/// The recalls (撤回) of a conversation.
///
/// # Errors
/// A table that cannot be read.
pub async fn recalls_of(home: &Home, conversation: &str) -> Result<Vec<Recall>, DeriveError> {
    let frame = readable(home)
        .await?
        .filter(col("conversation_id").eq(lit(conversation)))?
        .filter(col("revokes_msgid").is_not_null())?
        .select_columns(&["source", "msgid", "revokes_msgid"])?;
    let mut found = Vec::new();
    let mut stream = frame.execute_stream().await?;
    while let Some(batch) = stream.try_next().await? {
        let (source, msgid) = (strings(&batch, "source")?, strings(&batch, "msgid")?);
        let revokes = strings(&batch, "revokes_msgid")?;
        let (source, msgid) = (source.as_string::<i32>(), msgid.as_string::<i32>());
        let revokes = revokes.as_string::<i32>();
        found.extend((0..batch.num_rows()).map(|row| Recall {
            source: source.value(row).to_string(),
            msgid: msgid.value(row).to_string(),
            revokes: revokes.value(row).to_string(),
        }));
    }
    Ok(found)
}

async fn readable(home: &Home) -> Result<DataFrame, DeriveError> {
    let ctx = tables::open(home).await?.session().await?;
    let messages = ctx.table("messages").await?;
    Ok(messages.filter(col("status").eq(lit("ok")))?)
}

/// From one instant up to and including another.
fn within((from_ms, to_ms): (i64, i64)) -> Expr {
    let at = |ms: i64| {
        lit(ScalarValue::TimestampMicrosecond(
            Some(ms.saturating_mul(1000)),
            Some("UTC".into()),
        ))
    };
    let from = col("msgtime").gt_eq(at(from_ms));
    from.and(col("msgtime").lt(at(to_ms.saturating_add(1))))
}

/// Few stretches of time that hold all instants, both ends included.
fn stretches(mut instants: Vec<i64>) -> Vec<(i64, i64)> {
    instants.sort_unstable();
    let near = |a: &i64, b: &i64| b.saturating_sub(*a) <= STRETCH_GAP_MS;
    let ends = |part: &[i64]| Some((*part.first()?, *part.last()?));
    let found: Vec<(i64, i64)> = instants.chunk_by(near).filter_map(ends).collect();
    match found.len() {
        0..=STRETCHES_MAX => found,
        _ => ends(&instants).into_iter().collect(),
    }
}

fn strings(batch: &RecordBatch, name: &str) -> Result<ArrayRef, DataFusionError> {
    cast(batch, name, &DataType::Utf8)
}

fn instants(batch: &RecordBatch, name: &str) -> Result<ArrayRef, DataFusionError> {
    let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    cast(batch, name, &utc)
}

fn cast(batch: &RecordBatch, name: &str, kind: &DataType) -> Result<ArrayRef, DataFusionError> {
    let array = batch.column_by_name(name).ok_or_else(|| {
        DataFusionError::Internal(format!("column `{name}` was selected but is missing"))
    })?;
    Ok(arrow::compute::cast(array, kind)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_that_lie_near_are_one_stretch_and_many_stretches_are_one() {
        let day = STRETCH_GAP_MS;
        assert_eq!(stretches(vec![]), []);
        assert_eq!(
            stretches(vec![5 * day, 0, day, 5 * day]),
            [(0, day), (5 * day, 5 * day)]
        );
        let far: Vec<i64> = (0..100).map(|n| n * 2 * day).collect();
        assert_eq!(stretches(far), [(0, 198 * day)]);
    }
}
