//! Reads the messages and finds the behaviours in them: today on asking, over all messages of the
//! days that are asked for; only what was found is held in memory.

use arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, TimeUnit, TimestampMicrosecondType};
use datafusion::error::DataFusionError;
use datafusion::prelude::{col, lit};
use datafusion::scalar::ScalarValue;
use futures::TryStreamExt;

use super::{BehaviourRow, Behaviours, Watched};
use crate::archive::{Home, TableError};
use crate::tables;

/// Why behaviours could not be found.
#[derive(Debug, thiserror::Error)]
pub enum BehavioursError {
    /// A table could not be opened.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The messages could not be read.
    #[error("cannot read the messages: {0}")]
    Read(#[from] DataFusionError),
}

const COLUMNS: [&str; 9] = [
    "msgid",
    "action",
    "msgtype",
    "msgtime",
    "pulled_at",
    "from_id",
    "to_ids",
    "room_id",
    "text",
];

/// The behaviours of messages sent in `from_ms..to_ms`, in no order.
pub async fn read(
    home: &Home,
    behaviours: &Behaviours<'_>,
    (from_ms, to_ms): (Option<i64>, Option<i64>),
) -> Result<Vec<BehaviourRow>, BehavioursError> {
    let mut found = Vec::new();
    if behaviours.is_idle() {
        return Ok(found);
    }
    let ctx = tables::open(home).await?.session().await?;
    let mut frame = ctx
        .table("messages")
        .await?
        .filter(col("status").eq(lit("ok")))?;
    let instant = |ms: i64| {
        let micros = Some(ms.saturating_mul(1000));
        lit(ScalarValue::TimestampMicrosecond(
            micros,
            Some("UTC".into()),
        ))
    };
    if let Some(from_ms) = from_ms {
        frame = frame.filter(col("msgtime").gt_eq(instant(from_ms)))?;
    }
    if let Some(to_ms) = to_ms {
        frame = frame.filter(col("msgtime").lt(instant(to_ms)))?;
    }
    let mut stream = frame.select_columns(&COLUMNS)?.execute_stream().await?;
    while let Some(batch) = stream.try_next().await? {
        scan(&batch, behaviours, &mut found)?;
    }
    Ok(found)
}

fn scan(
    batch: &RecordBatch,
    behaviours: &Behaviours<'_>,
    out: &mut Vec<BehaviourRow>,
) -> Result<(), DataFusionError> {
    let text = |name: &str| -> Result<StringArray, DataFusionError> {
        Ok(cast(batch, name, &DataType::Utf8)?
            .as_string::<i32>()
            .clone())
    };
    let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let instant = |name: &str| cast(batch, name, &utc);
    let (at, pulled) = (instant("msgtime")?, instant("pulled_at")?);
    let ms =
        |array: &ArrayRef, row| array.as_primitive::<TimestampMicrosecondType>().value(row) / 1000;
    let (msgid, action, msgtype) = (text("msgid")?, text("action")?, text("msgtype")?);
    let (from, room, body) = (text("from_id")?, text("room_id")?, text("text")?);
    let list = DataType::new_list(DataType::Utf8, true);
    let to = cast(batch, "to_ids", &list)?;
    let to = to.as_list::<i32>();
    let receivers: &StringArray = to.values().as_string();
    let mut of_message = Vec::new();
    for row in 0..batch.num_rows() {
        of_message.clear();
        let range = to.value_offsets()[row] as usize..to.value_offsets()[row + 1] as usize;
        of_message.extend(range.map(|place| receivers.value(place)));
        let message = Watched {
            msgid: msgid.value(row),
            action: action.value(row),
            msgtype: msgtype.value(row),
            at_ms: ms(&at, row),
            pulled_ms: ms(&pulled, row),
            from: from.value(row),
            to: &of_message,
            room: room.value(row),
            text: body.value(row),
        };
        behaviours.of_message(&message, out);
    }
    Ok(())
}

fn cast(batch: &RecordBatch, name: &str, kind: &DataType) -> Result<ArrayRef, DataFusionError> {
    let array = batch.column_by_name(name).ok_or_else(|| {
        DataFusionError::Internal(format!("column `{name}` was selected but is missing"))
    })?;
    Ok(arrow::compute::cast(array, kind)?)
}
