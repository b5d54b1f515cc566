//! `parquet`: typed columns under the JSON keys, zstd.
//!
//! Instants are milliseconds in UTC, durations seconds, ratios fractions of 1. The headings in
//! both languages travel as metadata of each field. A value that is not what its column
//! promises is an error: a program that reads this file must not find a silent null.

use std::io::Write;
use std::sync::Arc;

use crate::answer::{Column, ColumnKind, Table};
use arrow::array::{
    ArrayRef, BooleanBuilder, Float64Builder, Int64Builder, ListBuilder, RecordBatch,
    StringBuilder, TimestampMillisecondBuilder,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use chrono::DateTime;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use serde_json::Value;

use super::Fault;
use super::cell::{json_text, plain};

/// Rows turned into Arrow arrays at a time, so that the answer is not in memory twice.
const BATCH_ROWS: usize = 65_536;
const UTC: &str = "UTC";

/// The whole file; its schema is there even without rows.
pub fn write(table: &Table, out: &mut (impl Write + Send)) -> Result<(), Fault> {
    let schema = schema(table);
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .build();
    let mut writer = ArrowWriter::try_new(out, schema.clone(), Some(properties))?;
    // A batch cannot be made of no columns; then there is nothing to write either.
    if !table.columns.is_empty() {
        for (i, rows) in table.rows.chunks(BATCH_ROWS).enumerate() {
            writer.write(&batch(table, &schema, rows, i * BATCH_ROWS)?)?;
        }
    }
    writer.close()?;
    Ok(())
}

fn schema(table: &Table) -> SchemaRef {
    let field = |column: &Column| {
        let headings = [("heading_zh", &column.zh), ("heading_en", &column.en)];
        Field::new(&column.key, data_type(column.kind), true).with_metadata(
            headings
                .map(|(name, text)| (name.to_owned(), text.clone()))
                .into(),
        )
    };
    Arc::new(Schema::new(
        table.columns.iter().map(field).collect::<Vec<_>>(),
    ))
}

fn data_type(kind: ColumnKind) -> DataType {
    match kind {
        ColumnKind::Text | ColumnKind::Json => DataType::Utf8,
        ColumnKind::Integer => DataType::Int64,
        ColumnKind::Number | ColumnKind::Seconds | ColumnKind::Ratio => DataType::Float64,
        ColumnKind::Instant => DataType::Timestamp(TimeUnit::Millisecond, Some(UTC.into())),
        ColumnKind::Boolean => DataType::Boolean,
        ColumnKind::TextList => DataType::new_list(DataType::Utf8, true),
    }
}

fn batch(
    table: &Table,
    schema: &SchemaRef,
    rows: &[Vec<Value>],
    n_before: usize,
) -> Result<RecordBatch, Fault> {
    let columns = table.columns.iter().enumerate();
    let arrays: Result<Vec<ArrayRef>, Fault> = columns
        .map(|(at, column)| array(column, &Cells { rows, at, n_before }))
        .collect();
    Ok(RecordBatch::try_new(schema.clone(), arrays?)?)
}

/// One column's values in a run of rows.
struct Cells<'a> {
    rows: &'a [Vec<Value>],
    at: usize,
    n_before: usize,
}

impl Cells<'_> {
    /// Gives each value, none for null, to `append`, which says whether it could take it.
    fn each<'a>(
        &'a self,
        column: &Column,
        expected: &'static str,
        mut append: impl FnMut(Option<&'a Value>) -> Option<()>,
    ) -> Result<(), Fault> {
        for (i, row) in self.rows.iter().enumerate() {
            let value = row.get(self.at).filter(|value| !value.is_null());
            append(value).ok_or_else(|| Fault::Mismatch {
                row: self.n_before + i + 1,
                key: column.key.clone(),
                expected,
                found: json_type(value),
            })?;
        }
        Ok(())
    }
}

fn array(column: &Column, cells: &Cells<'_>) -> Result<ArrayRef, Fault> {
    match column.kind {
        ColumnKind::Text => texts(column, cells, |v| plain(v, ColumnKind::Text, "|")),
        ColumnKind::Json => texts(column, cells, json_text),
        ColumnKind::Integer => integers(column, cells),
        ColumnKind::Number | ColumnKind::Seconds | ColumnKind::Ratio => numbers(column, cells),
        ColumnKind::Instant => instants(column, cells),
        ColumnKind::Boolean => booleans(column, cells),
        ColumnKind::TextList => lists(column, cells),
    }
}

fn texts(
    column: &Column,
    cells: &Cells<'_>,
    text: impl Fn(&Value) -> String,
) -> Result<ArrayRef, Fault> {
    let mut builder = StringBuilder::new();
    cells.each(column, "text", |value| {
        builder.append_option(value.map(&text));
        Some(())
    })?;
    Ok(Arc::new(builder.finish()))
}

fn integers(column: &Column, cells: &Cells<'_>) -> Result<ArrayRef, Fault> {
    let mut builder = Int64Builder::new();
    cells.each(column, "a whole number of 64 bits", |value| {
        let number = match value {
            Some(value) => Some(whole(value)?),
            None => None,
        };
        builder.append_option(number);
        Some(())
    })?;
    Ok(Arc::new(builder.finish()))
}

/// A whole number; one with a fraction of zero is one too.
fn whole(value: &Value) -> Option<i64> {
    // Up to here a float still tells whole numbers apart.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    value.as_i64().or_else(|| {
        let number = value.as_f64().filter(|_| value.is_f64())?;
        (number.fract() == 0.0 && number.abs() <= EXACT).then_some(number as i64)
    })
}

fn numbers(column: &Column, cells: &Cells<'_>) -> Result<ArrayRef, Fault> {
    let mut builder = Float64Builder::new();
    cells.each(column, "a number", |value| {
        let number = match value {
            Some(value) => Some(value.as_f64()?),
            None => None,
        };
        builder.append_option(number);
        Some(())
    })?;
    Ok(Arc::new(builder.finish()))
}

fn instants(column: &Column, cells: &Cells<'_>) -> Result<ArrayRef, Fault> {
    let mut builder = TimestampMillisecondBuilder::new().with_timezone(UTC);
    cells.each(column, "an RFC 3339 instant", |value| {
        let millis = match value {
            Some(value) => Some(
                DateTime::parse_from_rfc3339(value.as_str()?)
                    .ok()?
                    .timestamp_millis(),
            ),
            None => None,
        };
        builder.append_option(millis);
        Some(())
    })?;
    Ok(Arc::new(builder.finish()))
}

fn booleans(column: &Column, cells: &Cells<'_>) -> Result<ArrayRef, Fault> {
    let mut builder = BooleanBuilder::new();
    cells.each(column, "true or false", |value| {
        let state = match value {
            Some(value) => Some(value.as_bool()?),
            None => None,
        };
        builder.append_option(state);
        Some(())
    })?;
    Ok(Arc::new(builder.finish()))
}

fn lists(column: &Column, cells: &Cells<'_>) -> Result<ArrayRef, Fault> {
    let mut builder = ListBuilder::new(StringBuilder::new());
    cells.each(column, "a list", |value| {
        let Some(value) = value else {
            builder.append_null();
            return Some(());
        };
        for item in value.as_array()? {
            let text = (!item.is_null()).then(|| plain(item, ColumnKind::Text, "|"));
            builder.values().append_option(text);
        }
        builder.append(true);
        Some(())
    })?;
    Ok(Arc::new(builder.finish()))
}

fn json_type(value: Option<&Value>) -> &'static str {
    match value {
        None | Some(Value::Null) => "null",
        Some(Value::Bool(_)) => "a boolean",
        Some(Value::Number(_)) => "another number",
        Some(Value::String(_)) => "other text",
        Some(Value::Array(_)) => "a list",
        Some(Value::Object(_)) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, AsArray};
    use arrow::datatypes::{Float64Type, Int64Type, TimestampMillisecondType};
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    use serde_json::json;

    use super::super::testing;
    use super::*;

    fn read_back(table: &Table) -> (SchemaRef, Vec<RecordBatch>) {
        let mut bytes = Vec::new();
        write(table, &mut bytes).unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(bytes)).unwrap();
        let schema = reader.schema().clone();
        let batches = reader.build().unwrap().collect::<Result<_, _>>().unwrap();
        (schema, batches)
    }

    #[test]
    fn values_read_back_typed_under_their_keys() {
        let (schema, batches) = read_back(&testing::table());
        let read = &batches[0];
        assert_eq!(schema.field(0).name(), "userid");
        assert_eq!(schema.field(3).metadata()["heading_zh"], "首次响应");
        assert_eq!(read.column(0).as_string::<i32>().value(0), "zhangsan");
        assert_eq!(read.column(1).as_primitive::<Int64Type>().value(0), 12);
        let float = |at: usize| read.column(at).as_primitive::<Float64Type>().value(0);
        assert_eq!((float(2), float(3), float(4)), (-1.5, 90_061.25, 0.1234));
        let at = read.column(5).as_primitive::<TimestampMillisecondType>();
        assert_eq!(at.value(0), 1_727_744_400_123);
        assert_eq!(at.timezone(), Some("UTC"));
        assert!(read.column(6).as_boolean().value(0));
        let tags = read.column(7).as_list::<i32>().value(0);
        assert_eq!(tags.as_string::<i32>().value(1), "重点");
        assert_eq!(read.column(8).as_string::<i32>().value(0), r#"{"扫码":2}"#);
    }

    #[test]
    fn missing_values_are_null_and_an_empty_list_is_a_list() {
        let (_, batches) = read_back(&testing::table());
        for at in [1, 2, 3, 4, 5, 6, 8] {
            assert!(batches[0].column(at).is_null(1), "column {at}");
        }
        assert_eq!(batches[0].column(7).as_list::<i32>().value_length(1), 0);
    }

    #[test]
    fn without_rows_there_is_still_a_schema() {
        let mut table = testing::table();
        table.rows.clear();
        let (schema, batches) = read_back(&table);
        assert_eq!(schema.fields().len(), table.columns.len());
        assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 0);
    }

    #[test]
    fn a_value_that_breaks_its_columns_promise_is_refused_by_place_not_by_content() {
        for (at, wrong) in [
            (1, json!("秘密")),
            (1, json!(1.5)),
            (1, json!(u64::MAX)),
            (4, json!("秘密")),
            (5, json!("秘密")),
            (6, json!(1)),
            (7, json!("秘密")),
        ] {
            let mut table = testing::table();
            table.rows[1][at] = wrong;
            let text = write(&table, &mut Vec::new()).unwrap_err().to_string();
            let key = &table.columns[at].key;
            assert!(text.contains(&format!("row 2, column `{key}`")), "{text}");
            assert!(!text.contains("秘密"), "{text}");
        }
    }

    #[test]
    fn a_whole_number_with_a_fraction_of_zero_is_whole() {
        assert_eq!(whole(&json!(5.0)), Some(5));
        assert_eq!(whole(&json!(i64::MIN)), Some(i64::MIN));
        assert_eq!(whole(&json!(1e17)), None);
    }

    #[test]
    fn rows_past_one_batch_are_all_there() {
        let mut table = testing::table();
        let row = table.rows[0].clone();
        table.rows = vec![row; BATCH_ROWS + 1];
        let (_, batches) = read_back(&table);
        let n_rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        assert_eq!(n_rows, BATCH_ROWS + 1);
    }
}
