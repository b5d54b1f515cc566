//! Messages as behaviours look at them, read from a batch; and a reading of all messages of some
//! days for rules that are only tried (`behaviours backtest`). Only what was found is held.

use arrow::array::{
    ArrayRef, AsArray, ListArray, RecordBatch, StringArray, TimestampMicrosecondArray,
};
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

/// The columns that [`Messages`] needs.
pub const COLUMNS: [&str; 9] = [
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
    let messages = Messages::of(batch)?;
    let mut to = Vec::new();
    for row in 0..batch.num_rows() {
        to.clear();
        messages.receivers(row, &mut to);
        behaviours.of_message(&messages.get(row, &to), out);
    }
    Ok(())
}

/// The messages of a batch.
pub struct Messages {
    msgid: StringArray,
    action: StringArray,
    msgtype: StringArray,
    at: TimestampMicrosecondArray,
    pulled: TimestampMicrosecondArray,
    from: StringArray,
    room: StringArray,
    text: StringArray,
    to: ListArray,
    receivers: StringArray,
}

impl Messages {
    /// Takes a batch that has [`COLUMNS`], and maybe more.
    ///
    /// # Errors
    /// A column that is missing or of another type.
    pub fn of(batch: &RecordBatch) -> Result<Self, DataFusionError> {
        let text = |name: &str| -> Result<StringArray, DataFusionError> {
            Ok(cast(batch, name, &DataType::Utf8)?
                .as_string::<i32>()
                .clone())
        };
        let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let instant = |name: &str| -> Result<TimestampMicrosecondArray, DataFusionError> {
            Ok(cast(batch, name, &utc)?
                .as_primitive::<TimestampMicrosecondType>()
                .clone())
        };
        let to = cast(batch, "to_ids", &DataType::new_list(DataType::Utf8, true))?;
        let to = to.as_list::<i32>().clone();
        Ok(Self {
            msgid: text("msgid")?,
            action: text("action")?,
            msgtype: text("msgtype")?,
            at: instant("msgtime")?,
            pulled: instant("pulled_at")?,
            from: text("from_id")?,
            room: text("room_id")?,
            text: text("text")?,
            receivers: to.values().as_string::<i32>().clone(),
            to,
        })
    }

    /// Appends the receivers of a row.
    pub fn receivers<'a>(&'a self, row: usize, to: &mut Vec<&'a str>) {
        let ends = self.to.value_offsets();
        let range = ends[row] as usize..ends[row + 1] as usize;
        to.extend(range.map(|place| self.receivers.value(place)));
    }

    /// When a row was archived, UTC milliseconds.
    pub fn pulled_ms(&self, row: usize) -> i64 {
        self.pulled.value(row) / 1000
    }

    /// A row, with its [`Messages::receivers`].
    pub fn get<'a>(&'a self, row: usize, to: &'a [&'a str]) -> Watched<'a> {
        Watched {
            msgid: self.msgid.value(row),
            action: self.action.value(row),
            msgtype: self.msgtype.value(row),
            at_ms: self.at.value(row) / 1000,
            pulled_ms: self.pulled_ms(row),
            from: self.from.value(row),
            to,
            room: self.room.value(row),
            text: self.text.value(row),
        }
    }
}

fn cast(batch: &RecordBatch, name: &str, kind: &DataType) -> Result<ArrayRef, DataFusionError> {
    let array = batch.column_by_name(name).ok_or_else(|| {
        DataFusionError::Internal(format!("column `{name}` was selected but is missing"))
    })?;
    Ok(arrow::compute::cast(array, kind)?)
}
