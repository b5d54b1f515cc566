//! Rows as bytes, some at a time: NDJSON lines or Arrow record batches.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, ListBuilder, RecordBatch, RecordBatchOptions,
    StringArray, StringBuilder, TimestampMillisecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;
use serde_json::Value;

use crate::answer::{Column, ColumnKind};

/// What an Arrow stream's metadata calls what is said of its rows.
const ABOUT_KEY: &str = "huicun";
const UTC: &str = "UTC";

/// Why rows could not be written.
#[derive(Debug, thiserror::Error)]
pub(super) enum EncodeError {
    #[error("column `{key}` has a value that is no {kind:?}")]
    Mismatch { key: String, kind: ColumnKind },
    #[error(transparent)]
    Arrow(#[from] ArrowError),
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

/// Turns rows into bytes.
pub(super) enum Encoder {
    Ndjson {
        columns: Vec<Column>,
    },
    Arrow {
        columns: Vec<Column>,
        schema: SchemaRef,
        writer: Box<StreamWriter<Vec<u8>>>,
    },
}

impl Encoder {
    pub(super) fn ndjson(columns: Vec<Column>) -> Self {
        Self::Ndjson { columns }
    }

    /// An Arrow stream whose schema carries `about`.
    pub(super) fn arrow(columns: Vec<Column>, about: &Value) -> Result<Self, EncodeError> {
        let schema = schema(&columns, about);
        let writer = Box::new(StreamWriter::try_new(Vec::new(), &schema)?);
        Ok(Self::Arrow {
            columns,
            schema,
            writer,
        })
    }

    /// The bytes of some rows.
    pub(super) fn rows(&mut self, rows: &[Vec<Value>]) -> Result<Vec<u8>, EncodeError> {
        match self {
            Self::Ndjson { columns } => {
                let mut out = Vec::new();
                for row in rows {
                    line(columns, row, &mut out)?;
                }
                Ok(out)
            }
            Self::Arrow {
                columns,
                schema,
                writer,
            } => {
                writer.write(&batch(columns, schema, rows)?)?;
                Ok(std::mem::take(writer.get_mut()))
            }
        }
    }

    /// What comes after the last row: an Arrow stream says that it is whole.
    pub(super) fn end(&mut self) -> Result<Vec<u8>, EncodeError> {
        match self {
            Self::Ndjson { .. } => Ok(Vec::new()),
            Self::Arrow { writer, .. } => {
                writer.finish()?;
                Ok(std::mem::take(writer.get_mut()))
            }
        }
    }
}

fn line(columns: &[Column], row: &[Value], out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
    out.push(b'{');
    for (nth, (column, value)) in columns.iter().zip(row).enumerate() {
        if nth > 0 {
            out.push(b',');
        }
        serde_json::to_writer(&mut *out, &column.key)?;
        out.push(b':');
        serde_json::to_writer(&mut *out, value)?;
    }
    out.extend_from_slice(b"}\n");
    Ok(())
}

/// Typed columns under the JSON keys, as the Parquet files of the command line have them.
fn schema(columns: &[Column], about: &Value) -> SchemaRef {
    let field = |column: &Column| {
        let headings = [("heading_zh", &column.zh), ("heading_en", &column.en)];
        let headings = headings.map(|(name, text)| (name.to_owned(), text.clone()));
        Field::new(&column.key, data_type(column.kind), true).with_metadata(headings.into())
    };
    let fields: Vec<Field> = columns.iter().map(field).collect();
    let about = HashMap::from([(ABOUT_KEY.to_owned(), about.to_string())]);
    Arc::new(Schema::new_with_metadata(fields, about))
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
    columns: &[Column],
    schema: &SchemaRef,
    rows: &[Vec<Value>],
) -> Result<RecordBatch, EncodeError> {
    let arrays = columns.iter().enumerate().map(|(at, column)| {
        let cells = rows
            .iter()
            .map(move |row| row.get(at).filter(|value| !value.is_null()));
        array(column.kind, cells).ok_or_else(|| EncodeError::Mismatch {
            key: column.key.clone(),
            kind: column.kind,
        })
    });
    let arrays: Result<Vec<ArrayRef>, EncodeError> = arrays.collect();
    // Without columns the number of rows is told apart.
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    Ok(RecordBatch::try_new_with_options(
        Arc::clone(schema),
        arrays?,
        &options,
    )?)
}

/// One column; none where a value is not what the column promises, for a reader must not find a
/// silent null.
fn array<'a>(kind: ColumnKind, cells: impl Iterator<Item = Option<&'a Value>>) -> Option<ArrayRef> {
    /// Every cell that has a value must have one of the wanted kind.
    fn each<'a, T, C: FromIterator<Option<T>>>(
        cells: impl Iterator<Item = Option<&'a Value>>,
        wanted: impl Fn(&'a Value) -> Option<T>,
    ) -> Option<C> {
        let found = cells.map(|cell| cell.map_or(Some(None), |value| wanted(value).map(Some)));
        found.collect::<Option<C>>()
    }
    Some(match kind {
        ColumnKind::Text => Arc::new(each::<_, StringArray>(cells, |v| Some(text(v)))?),
        ColumnKind::Json => Arc::new(each::<_, StringArray>(cells, |v| Some(v.to_string()))?),
        ColumnKind::Integer => Arc::new(each::<_, Int64Array>(cells, Value::as_i64)?),
        ColumnKind::Number | ColumnKind::Seconds | ColumnKind::Ratio => {
            Arc::new(each::<_, Float64Array>(cells, Value::as_f64)?)
        }
        ColumnKind::Instant => {
            let instants: TimestampMillisecondArray = each(cells, instant)?;
            Arc::new(instants.with_timezone(UTC))
        }
        ColumnKind::Boolean => Arc::new(each::<_, BooleanArray>(cells, Value::as_bool)?),
        ColumnKind::TextList => {
            let mut lists = ListBuilder::new(StringBuilder::new());
            for cell in cells {
                let items = match cell {
                    None => None,
                    Some(value) => Some(value.as_array()?),
                };
                for item in items.into_iter().flatten() {
                    lists
                        .values()
                        .append_option((!item.is_null()).then(|| text(item)));
                }
                lists.append(items.is_some());
            }
            Arc::new(lists.finish())
        }
    })
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), String::from)
}

fn instant(value: &Value) -> Option<i64> {
    let instant = chrono::DateTime::parse_from_rfc3339(value.as_str()?).ok()?;
    Some(instant.timestamp_millis())
}

#[cfg(test)]
mod tests {
    use arrow::array::AsArray;
    use arrow::datatypes::{Int64Type, TimestampMillisecondType};
    use arrow::ipc::reader::StreamReader;
    use serde_json::json;

    use super::*;

    fn columns() -> Vec<Column> {
        vec![
            Column::new("n", "数", "N", ColumnKind::Integer),
            Column::new("at", "时间", "At", ColumnKind::Instant),
            Column::new("names", "名", "Names", ColumnKind::TextList),
            Column::new("more", "其他", "More", ColumnKind::Json),
        ]
    }

    fn rows() -> Vec<Vec<Value>> {
        vec![
            vec![
                json!(1),
                json!("2024-10-01T08:00:00.000+08:00"),
                json!(["a", "b"]),
                json!({"x": 1}),
            ],
            vec![json!(null), json!(null), json!(null), json!(null)],
        ]
    }

    #[test]
    fn lines_have_the_columns_in_their_order() {
        let bytes = Encoder::ndjson(columns()).rows(&rows()).unwrap();
        assert_eq!(
            String::from_utf8(bytes).unwrap(),
            "{\"n\":1,\"at\":\"2024-10-01T08:00:00.000+08:00\",\"names\":[\"a\",\"b\"],\"more\":{\"x\":1}}\n\
             {\"n\":null,\"at\":null,\"names\":null,\"more\":null}\n"
        );
    }

    #[test]
    fn an_arrow_stream_reads_back_with_types_and_what_is_said_of_it() {
        let mut encoder = Encoder::arrow(columns(), &json!({"total": 4})).unwrap();
        let mut bytes = encoder.rows(&rows()).unwrap();
        bytes.extend(encoder.rows(&rows()).unwrap());
        bytes.extend(encoder.end().unwrap());
        let reader = StreamReader::try_new(bytes.as_slice(), None).unwrap();
        assert_eq!(reader.schema().metadata()[ABOUT_KEY], "{\"total\":4}");
        let batches: Vec<RecordBatch> = reader.collect::<Result<_, _>>().unwrap();
        assert_eq!(batches.len(), 2);
        let batch = &batches[1];
        assert_eq!(
            batch
                .column(0)
                .as_primitive::<Int64Type>()
                .iter()
                .collect::<Vec<_>>(),
            [Some(1), None]
        );
        let at = batch.column(1).as_primitive::<TimestampMillisecondType>();
        assert_eq!(at.value(0), 1_727_740_800_000);
        assert_eq!(batch.column(2).as_list::<i32>().value(0).len(), 2);
        assert_eq!(batch.column(3).as_string::<i32>().value(0), "{\"x\":1}");
    }

    #[test]
    fn an_empty_arrow_stream_still_has_its_schema() {
        let mut encoder = Encoder::arrow(columns(), &json!({})).unwrap();
        let bytes = encoder.end().unwrap();
        let mut reader = StreamReader::try_new(bytes.as_slice(), None).unwrap();
        assert_eq!(reader.schema().fields().len(), 4);
        assert!(reader.next().is_none());
    }

    #[test]
    fn a_value_that_is_not_what_its_column_promises_is_an_error() {
        let mut encoder = Encoder::arrow(columns(), &json!({})).unwrap();
        let mut wrong = rows();
        wrong[0][0] = json!("one");
        let told = encoder.rows(&wrong).unwrap_err().to_string();
        assert!(told.contains("`n`"), "{told}");
    }
}
