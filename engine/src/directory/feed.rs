//! Reads directory rows from NDJSON, CSV and Parquet into Arrow batches, strictly: an unknown
//! column, a missing one or a value of another kind is an error that names file, line and column.
//! Nothing here changes anything.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Date32Builder, Float64Builder, Int64Builder, ListBuilder,
    RecordBatch, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::datatypes::{Date32Type, Field};
use serde_json::{Map, Value};

use super::schema::{self, Column, ColumnType, Need, TableSpec};

/// Why a feed was refused. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// The file's stem names no table.
    #[error(
        "`{file}`: there is no directory table `{table}` (there are {})",
        known_tables()
    )]
    UnknownTable {
        /// The file.
        file: String,
        /// Its stem.
        table: String,
    },
    /// The ending of the file's name is none of ours.
    #[error("`{0}`: expected a file that ends in `.ndjson`, `.csv` or `.parquet`")]
    UnknownEnding(String),
    /// The file cannot be read.
    #[error("cannot read `{file}`: {source}")]
    Read {
        /// The file.
        file: String,
        /// The reader's own words.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A column that the table does not have.
    #[error("{at}: unknown column `{column}` in table `{table}` (it has {known})")]
    UnknownColumn {
        /// File and line.
        at: String,
        /// The table.
        table: &'static str,
        /// The column.
        column: String,
        /// The columns that it has.
        known: String,
    },
    /// A column that must be there is not.
    #[error("{at}: column `{column}` of table `{table}` is missing")]
    MissingColumn {
        /// File and line.
        at: String,
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
    },
    /// A value of another kind.
    #[error("{at}: column `{column}` of table `{table}`: {problem}")]
    BadValue {
        /// File and line.
        at: String,
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// What was expected and found.
        problem: String,
    },
    /// A row that contradicts another, or itself.
    #[error("{at}: table `{table}`: {problem}")]
    Contradiction {
        /// File and line.
        at: String,
        /// The table.
        table: &'static str,
        /// What contradicts what.
        problem: String,
    },
    /// A line that is no row.
    #[error("{at}: {problem}")]
    BadLine {
        /// File and line.
        at: String,
        /// What is wrong.
        problem: String,
    },
}

fn known_tables() -> String {
    names(schema::TABLES.iter().map(|t| t.name))
}

fn names(list: impl Iterator<Item = &'static str>) -> String {
    list.map(|n| format!("`{n}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// Rows that were read, and where each of them stands.
#[derive(Debug, Clone)]
pub struct Feed {
    /// The table that they are for.
    pub spec: &'static TableSpec,
    /// The rows, with all columns of the table.
    pub rows: RecordBatch,
    name: String,
    unit: &'static str,
    places: Vec<u64>,
}

impl Feed {
    /// File and line of a row, as errors name it.
    pub fn at(&self, row: usize) -> String {
        at(&self.name, self.unit, self.places[row])
    }
}

fn at(name: &str, unit: &str, place: u64) -> String {
    format!("`{name}` {unit} {place}")
}

/// The rows of one file; its stem names the table.
pub fn read_file(path: &Path) -> Result<Feed, FeedError> {
    let file = path.display().to_string();
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let spec = schema::table(&stem).ok_or_else(|| FeedError::UnknownTable {
        file: file.clone(),
        table: stem.into_owned(),
    })?;
    let ending = path.extension().unwrap_or_default().to_string_lossy();
    let read = |source: std::io::Error| FeedError::Read {
        file: file.clone(),
        source: source.into(),
    };
    match ending.as_ref() {
        "ndjson" | "jsonl" => {
            let bytes = std::fs::read(path).map_err(read)?;
            read_ndjson(spec, &bytes, &file)
        }
        "csv" => {
            let bytes = std::fs::read(path).map_err(read)?;
            read_csv(spec, &bytes, &file)
        }
        "parquet" => read_parquet(spec, path, &file),
        _ => Err(FeedError::UnknownEnding(file)),
    }
}

/// The rows of NDJSON bytes; `name` is used in errors.
pub fn read_ndjson(spec: &'static TableSpec, bytes: &[u8], name: &str) -> Result<Feed, FeedError> {
    let mut rows = Rows::new(spec, name, "line");
    for (index, line) in bytes.split(|b| *b == b'\n').enumerate() {
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let place = index as u64 + 1;
        let row: Map<String, Value> =
            serde_json::from_slice(line).map_err(|e| FeedError::BadLine {
                at: at(name, "line", place),
                problem: format!(
                    "not a JSON object ({} at column {})",
                    classify(&e),
                    e.column()
                ),
            })?;
        rows.push(row, place)?;
    }
    Ok(rows.finish())
}

fn classify(error: &serde_json::Error) -> &'static str {
    match error.classify() {
        serde_json::error::Category::Eof => "it ends too early",
        serde_json::error::Category::Syntax => "bad syntax",
        _ => "another kind of value",
    }
}

fn read_csv(spec: &'static TableSpec, bytes: &[u8], name: &str) -> Result<Feed, FeedError> {
    // Spreadsheets write a byte order mark.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut reader = csv::Reader::from_reader(bytes);
    let bad = |e: csv::Error| FeedError::Read {
        file: name.to_string(),
        source: e.into(),
    };
    let header: Vec<String> = reader
        .headers()
        .map_err(bad)?
        .iter()
        .map(str::to_string)
        .collect();
    let mut rows = Rows::new(spec, name, "line");
    rows.check_names(header.iter(), 1)?;
    for record in reader.records() {
        let record = record.map_err(bad)?;
        let line = record.position().map_or(0, |p| p.line());
        let row: Map<String, Value> = header
            .iter()
            .zip(record.iter())
            .map(|(name, cell)| (name.clone(), csv_value(spec, name, cell)))
            .collect();
        rows.push(row, line)?;
    }
    Ok(rows.finish())
}

/// CSV has only text: lists are split here, the rest is understood by the column's own reader.
/// An empty cell is no value; of a list that must be there it is the empty one.
fn csv_value(spec: &TableSpec, column: &str, cell: &str) -> Value {
    let column = spec.columns.iter().find(|c| c.name == column);
    let list = column.filter(|c| c.kind == ColumnType::TextList);
    match (cell, list) {
        ("", Some(list)) if list.need == Need::Required => Value::Array(Vec::new()),
        ("", _) => Value::Null,
        (cell, Some(_)) => cell.split('|').map(Value::from).collect(),
        (cell, None) => Value::from(cell),
    }
}

fn read_parquet(spec: &'static TableSpec, path: &Path, name: &str) -> Result<Feed, FeedError> {
    let bad = |source: Box<dyn std::error::Error + Send + Sync>| FeedError::Read {
        file: name.to_string(),
        source,
    };
    let file = std::fs::File::open(path).map_err(|e| bad(e.into()))?;
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file)
        .and_then(|b| b.build())
        .map_err(|e| bad(e.into()))?;
    let mut rows = Rows::new(spec, name, "row");
    let mut n_before = 0;
    for batch in reader {
        let batch = batch.map_err(|e| bad(e.into()))?;
        let mut json = Vec::new();
        let mut writer = arrow::json::LineDelimitedWriter::new(&mut json);
        writer
            .write(&batch)
            .and_then(|()| writer.finish())
            .map_err(|e| bad(e.into()))?;
        for (index, line) in json
            .split(|b| *b == b'\n')
            .filter(|l| !l.is_empty())
            .enumerate()
        {
            let row = serde_json::from_slice(line).map_err(|e| bad(e.into()))?;
            rows.push(row, (n_before + index + 1) as u64)?;
        }
        n_before += batch.num_rows();
    }
    Ok(rows.finish())
}

/// One builder a column.
enum Cells {
    Text(StringBuilder),
    Integer(Int64Builder),
    Number(Float64Builder),
    Boolean(BooleanBuilder),
    TextList(ListBuilder<StringBuilder>),
    Instant(TimestampMicrosecondBuilder),
    Day(Date32Builder),
}

struct Rows {
    spec: &'static TableSpec,
    name: String,
    unit: &'static str,
    places: Vec<u64>,
    cells: Vec<Cells>,
    known: BTreeSet<&'static str>,
}

impl Rows {
    fn new(spec: &'static TableSpec, name: &str, unit: &'static str) -> Self {
        let cells = spec.columns.iter().map(|c| match c.kind {
            ColumnType::Text | ColumnType::Word(_) => Cells::Text(StringBuilder::new()),
            ColumnType::Integer => Cells::Integer(Int64Builder::new()),
            ColumnType::Number => Cells::Number(Float64Builder::new()),
            ColumnType::Boolean => Cells::Boolean(BooleanBuilder::new()),
            ColumnType::TextList => Cells::TextList(
                ListBuilder::new(StringBuilder::new()).with_field(Field::new(
                    "element",
                    arrow::datatypes::DataType::Utf8,
                    true,
                )),
            ),
            ColumnType::Instant => {
                Cells::Instant(TimestampMicrosecondBuilder::new().with_timezone("UTC"))
            }
            ColumnType::Day => Cells::Day(Date32Builder::new()),
        });
        Self {
            spec,
            name: name.to_string(),
            unit,
            places: Vec::new(),
            cells: cells.collect(),
            known: spec.columns.iter().map(|c| c.name).collect(),
        }
    }

    fn check_names<'a>(
        &self,
        mut given: impl Iterator<Item = &'a String>,
        place: u64,
    ) -> Result<(), FeedError> {
        match given.find(|name| !self.known.contains(name.as_str())) {
            None => Ok(()),
            Some(column) => Err(FeedError::UnknownColumn {
                at: at(&self.name, self.unit, place),
                table: self.spec.name,
                column: column.clone(),
                known: names(self.spec.columns.iter().map(|c| c.name)),
            }),
        }
    }

    fn push(&mut self, row: Map<String, Value>, place: u64) -> Result<(), FeedError> {
        self.check_names(row.keys(), place)?;
        let at = || at(&self.name, self.unit, place);
        for (column, cells) in self.spec.columns.iter().zip(&mut self.cells) {
            let value = row.get(column.name).filter(|v| !v.is_null());
            let given = value.is_some_and(|v| column.need != Need::Key || v.as_str() != Some(""));
            if !given && column.need != Need::Optional {
                return Err(FeedError::MissingColumn {
                    at: at(),
                    table: self.spec.name,
                    column: column.name,
                });
            }
            append(column, cells, value).map_err(|problem| FeedError::BadValue {
                at: at(),
                table: self.spec.name,
                column: column.name,
                problem,
            })?;
        }
        self.places.push(place);
        Ok(())
    }

    fn finish(self) -> Feed {
        let columns = self.cells.into_iter().map(|cells| -> ArrayRef {
            match cells {
                Cells::Text(mut b) => Arc::new(b.finish()),
                Cells::Integer(mut b) => Arc::new(b.finish()),
                Cells::Number(mut b) => Arc::new(b.finish()),
                Cells::Boolean(mut b) => Arc::new(b.finish()),
                Cells::TextList(mut b) => Arc::new(b.finish()),
                Cells::Instant(mut b) => Arc::new(b.finish()),
                Cells::Day(mut b) => Arc::new(b.finish()),
            }
        });
        Feed {
            spec: self.spec,
            rows: RecordBatch::try_new(self.spec.schema(), columns.collect())
                .expect("one cell of its column's type was appended per row"),
            name: self.name,
            unit: self.unit,
            places: self.places,
        }
    }
}

fn append(column: &Column, cells: &mut Cells, value: Option<&Value>) -> Result<(), String> {
    match cells {
        Cells::Text(b) => b.append_option(value.map(|v| text(column.kind, v)).transpose()?),
        Cells::Integer(b) => b.append_option(value.map(integer).transpose()?),
        Cells::Number(b) => b.append_option(value.map(number).transpose()?),
        Cells::Boolean(b) => b.append_option(value.map(boolean).transpose()?),
        Cells::Instant(b) => {
            let ms = value.map(instant_ms).transpose()?;
            b.append_option(ms.map(|ms| ms.saturating_mul(1000)));
        }
        Cells::Day(b) => b.append_option(value.map(day).transpose()?),
        Cells::TextList(b) => {
            for item in value.map(list).transpose()?.unwrap_or_default() {
                b.values().append_value(item);
            }
            b.append(value.is_some());
        }
    }
    Ok(())
}

fn unexpected(expected: impl Display, value: &Value) -> String {
    let found = match value {
        Value::String(s) if s.chars().count() <= 40 => format!("`{s}`"),
        Value::String(_) => "a long text".into(),
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "an object".into(),
        other => format!("`{other}`"),
    };
    format!("expected {expected}, found {found}")
}

fn text(kind: ColumnType, value: &Value) -> Result<String, String> {
    let text = match value {
        Value::String(s) => s.clone(),
        // Department ids are numbers in WeCom's own answers.
        Value::Number(n) => n.to_string(),
        other => return Err(unexpected("text", other)),
    };
    match kind {
        ColumnType::Word(words) if !words.contains(&text.as_str()) => Err(unexpected(
            format!("one of {}", names(words.iter().copied())),
            value,
        )),
        _ => Ok(text),
    }
}

fn list(value: &Value) -> Result<Vec<String>, String> {
    match value {
        Value::Array(items) => items.iter().map(|v| text(ColumnType::Text, v)).collect(),
        other => Err(unexpected("a list of texts", other)),
    }
}

fn integer(value: &Value) -> Result<i64, String> {
    match value {
        Value::Number(n) => n.as_i64(),
        Value::String(s) => s.trim().parse().ok(),
        _ => None,
    }
    .ok_or_else(|| unexpected("a whole number", value))
}

fn number(value: &Value) -> Result<f64, String> {
    match value {
        Value::Number(n) => n.as_f64(),
        Value::String(s) => s.trim().parse().ok().filter(|f: &f64| f.is_finite()),
        _ => None,
    }
    .ok_or_else(|| unexpected("a number", value))
}

fn boolean(value: &Value) -> Result<bool, String> {
    match value {
        Value::Bool(b) => Some(*b),
        Value::String(s) => match s.trim().to_ascii_lowercase().as_str() {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        },
        Value::Number(n) if n.as_i64() == Some(1) => Some(true),
        Value::Number(n) if n.as_i64() == Some(0) => Some(false),
        _ => None,
    }
    .ok_or_else(|| unexpected("true or false", value))
}

fn day(value: &Value) -> Result<i32, String> {
    value
        .as_str()
        .and_then(|s| chrono::NaiveDate::parse_from_str(s.trim(), "%Y-%m-%d").ok())
        .map(Date32Type::from_naive_date)
        .ok_or_else(|| unexpected("a day as YYYY-MM-DD", value))
}

/// RFC 3339, or Unix seconds or milliseconds (below 10^11 it is seconds: the year 5138), as a
/// number or a text of digits.
fn instant_ms(value: &Value) -> Result<i64, String> {
    let from_number = |n: i64| {
        if n.unsigned_abs() < 100_000_000_000 {
            n * 1000
        } else {
            n
        }
    };
    let ms = match value {
        Value::Number(n) => n.as_i64().map(from_number),
        Value::String(s) => {
            let s = s.trim();
            s.parse().ok().map(from_number).or_else(|| {
                chrono::DateTime::parse_from_rfc3339(s)
                    .ok()
                    .map(|t| t.timestamp_millis())
            })
        }
        _ => None,
    };
    // Years 1900 to 9999: what every reader of the table can show.
    ms.filter(|ms| (-2_208_988_800_000..253_402_300_800_000).contains(ms))
        .ok_or_else(|| unexpected("a time (RFC 3339, Unix seconds or milliseconds)", value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(table: &str, text: &str) -> Result<RecordBatch, FeedError> {
        let feed = read_ndjson(schema::table(table).unwrap(), text.as_bytes(), "t.ndjson")?;
        Ok(feed.rows)
    }

    #[test]
    fn an_unknown_column_is_named_with_its_line() {
        let text = "{\"id\":\"1\",\"name\":\"总部\"}\n{\"id\":\"2\",\"nam\":\"x\"}";
        let error = read("departments", text).unwrap_err().to_string();
        assert!(
            error.contains("line 2") && error.contains("`nam`"),
            "{error}"
        );
    }

    #[test]
    fn a_missing_required_column_is_named() {
        let error = read("employees", r#"{"userid":"a","name":"b"}"#)
            .unwrap_err()
            .to_string();
        assert!(error.contains("`departments`"), "{error}");
    }

    #[test]
    fn times_come_in_three_spellings() {
        for time in [
            "1700000000",
            "1700000000000",
            r#""2023-11-14T22:13:20Z""#,
            r#""1700000000""#,
        ] {
            let row = format!(r#"{{"userid":"a","external_userid":"wm","add_time":{time}}}"#);
            let batch = read("relations", &row).unwrap();
            let times = batch.column_by_name("add_time").unwrap();
            let times = arrow::array::AsArray::as_primitive::<
                arrow::datatypes::TimestampMicrosecondType,
            >(times);
            assert_eq!(times.value(0), 1_700_000_000_000_000, "{time}");
        }
    }

    #[test]
    fn an_absurd_time_is_refused() {
        for time in [r#""-9223372036854775808""#, "9223372036854775807"] {
            let row = format!(r#"{{"userid":"a","external_userid":"wm","add_time":{time}}}"#);
            assert!(read("relations", &row).is_err(), "{time}");
        }
    }

    #[test]
    fn csv_lists_are_joined_with_bars_and_empty_cells_are_missing() {
        let csv = "\u{feff}userid,name,departments,position\na,甲,1|2,\n";
        let spec = schema::table("employees").unwrap();
        let batch = read_csv(spec, csv.as_bytes(), "employees.csv")
            .unwrap()
            .rows;
        let lists = arrow::array::AsArray::as_list::<i32>(batch.column(2));
        assert_eq!(lists.value_length(0), 2);
        assert_eq!(batch.column(3).null_count(), 1);
    }

    #[test]
    fn a_bad_word_is_refused() {
        let row = r#"{"chat_id":"g","role":"boss","from_time":1,"userid":"a"}"#;
        let error = read("group_roles", row).unwrap_err().to_string();
        assert!(
            error.contains("`owner`") && error.contains("`boss`"),
            "{error}"
        );
    }
}
