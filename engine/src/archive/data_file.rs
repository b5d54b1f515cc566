//! One data file of a table on its way to disk: rows cut by day, packed as Parquet, and the
//! statistics that stand in the log. Min/max are written for the columns of
//! [`Layout::statistics`] only, because Delta's log keeps them in plain text.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{Date32Type, Schema};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};

use super::delta::Layout;

/// Rows of a row group: small enough to decode a slice of a day without the whole day.
const ROW_GROUP_ROWS_MAX: usize = 64 * 1024;

/// How a data file is named, so that a folder's listing tells what still wants compaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileKind {
    /// As rows came.
    Part,
    /// Rows of a day, sorted for reading.
    Sorted,
}

impl FileKind {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Part => "part",
            Self::Sorted => "sorted",
        }
    }
}

/// What comes in is packed quickly; what a compaction writes stays for years.
pub(super) fn writer_properties(layout: &Layout, kind: FileKind) -> WriterProperties {
    let level = match kind {
        FileKind::Part => 1,
        FileKind::Sorted => 3,
    };
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(
            ZstdLevel::try_new(level).expect("1 and 3 are zstd levels"),
        ))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS_MAX))
        .set_statistics_enabled(EnabledStatistics::None)
        .set_created_by(format!("huicun {}", env!("CARGO_PKG_VERSION")));
    for column in layout.statistics {
        properties = properties
            .set_column_statistics_enabled(ColumnPath::from(*column), EnabledStatistics::Page);
    }
    // A dictionary of values that hardly repeat costs a hash a row, and is thrown away.
    for column in layout.unique {
        properties = properties.set_column_dictionary_enabled(ColumnPath::from(*column), false);
    }
    properties.build()
}

pub(super) fn encode(
    rows: &[RecordBatch],
    properties: WriterProperties,
) -> Result<Vec<u8>, parquet::errors::ParquetError> {
    let n_bytes: usize = rows.iter().map(RecordBatch::get_array_memory_size).sum();
    let schema = rows
        .first()
        .map_or_else(|| Arc::new(Schema::empty()), |b| b.schema());
    let mut bytes = Vec::with_capacity(n_bytes / 4 + 4096);
    let mut writer = ArrowWriter::try_new(&mut bytes, schema, Some(properties))?;
    for batch in rows {
        writer.write(batch)?;
    }
    writer.close()?;
    Ok(bytes)
}

/// The rows of each day, without the day column, in ascending days.
pub(crate) fn split_by_day(
    batch: &RecordBatch,
    column: &str,
) -> Vec<(Option<chrono::NaiveDate>, RecordBatch)> {
    let index = batch
        .schema()
        .index_of(column)
        .expect("the layout names a column of its own schema");
    let days = batch.column(index).as_primitive::<Date32Type>().clone();
    let mut rest = batch.clone();
    rest.remove_column(index);
    let mut rows_of_day: std::collections::BTreeMap<i32, Vec<u32>> = Default::default();
    for (row, day) in days.values().iter().enumerate() {
        rows_of_day.entry(*day).or_default().push(row as u32);
    }
    if rows_of_day.len() == 1 {
        let day = Date32Type::to_naive_date_opt(days.value(0));
        return vec![(day, rest)];
    }
    rows_of_day
        .into_par_iter()
        .map(|(day, rows)| {
            let rows = arrow::array::UInt32Array::from(rows);
            let part = arrow::compute::take_record_batch(&rest, &rows)
                .expect("row numbers come from this batch");
            (Date32Type::to_naive_date_opt(day), part)
        })
        .collect()
}

/// Delta's per-file statistics as JSON: the row count, and min/max/nulls of `columns`.
pub(super) fn statistics(rows: &[RecordBatch], columns: &[&str]) -> String {
    use serde_json::{Map, Value, json};
    let (mut min, mut max, mut nulls) = (Map::new(), Map::new(), Map::new());
    for name in columns {
        let arrays: Vec<&ArrayRef> = rows.iter().filter_map(|b| b.column_by_name(name)).collect();
        let n_nulls: usize = arrays.iter().map(|a| a.null_count()).sum();
        nulls.insert((*name).into(), json!(n_nulls));
        let Some((low, high)) = bounds(&arrays) else {
            continue;
        };
        min.insert((*name).into(), low);
        max.insert((*name).into(), high);
    }
    let n_rows: usize = rows.iter().map(RecordBatch::num_rows).sum();
    Value::Object(Map::from_iter([
        ("numRecords".to_string(), json!(n_rows)),
        ("minValues".to_string(), Value::Object(min)),
        ("maxValues".to_string(), Value::Object(max)),
        ("nullCount".to_string(), Value::Object(nulls)),
    ]))
    .to_string()
}

fn bounds(arrays: &[&ArrayRef]) -> Option<(serde_json::Value, serde_json::Value)> {
    use arrow::compute::{max, min};
    use arrow::datatypes::{DataType, Int64Type, TimeUnit, TimestampMicrosecondType};
    let ends = |of: &dyn Fn(&ArrayRef) -> Option<(i64, i64)>| {
        let ends = arrays.iter().filter_map(|array| of(array));
        ends.reduce(|(low, high), (a, b)| (low.min(a), high.max(b)))
    };
    match arrays.first()?.data_type() {
        DataType::Int64 => {
            let (low, high) = ends(&|array| {
                let array = array.as_primitive::<Int64Type>();
                Some((min(array)?, max(array)?))
            })?;
            Some((low.into(), high.into()))
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            let (low, high) = ends(&|array| {
                let array = array.as_primitive::<TimestampMicrosecondType>();
                Some((min(array)?, max(array)?))
            })?;
            // Delta's statistics have milliseconds; ours are whole ones already.
            let show = |us: i64| {
                chrono::DateTime::from_timestamp_micros(us)
                    .map(|t| t.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string().into())
            };
            Some((show(low)?, show(high)?))
        }
        _ => None,
    }
}
