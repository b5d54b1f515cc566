//! What every question answers with: named columns and rows of JSON values. The CLI's formats
//! and the HTTP answers are made of it, so that they cannot differ.

use serde_json::{Map, Value};

/// What a column's values are, for headings, spreadsheets and Parquet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnKind {
    /// Text, ids.
    Text,
    /// A whole number.
    Integer,
    /// A number with a fraction.
    Number,
    /// Seconds, with milliseconds as fraction; `HH:MM:SS` in spreadsheets.
    Seconds,
    /// A fraction of 1; percent in spreadsheets and tables.
    Ratio,
    /// An instant, RFC 3339 with milliseconds in the company's zone.
    Instant,
    /// true or false.
    Boolean,
    /// A list of texts.
    TextList,
    /// Anything else, shown as JSON.
    Json,
}

/// One column of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// The JSON key.
    pub key: String,
    /// The Chinese heading.
    pub zh: String,
    /// The English heading.
    pub en: String,
    /// What its values are.
    pub kind: ColumnKind,
}

impl Column {
    /// A column.
    pub fn new(key: &str, zh: &str, en: &str, kind: ColumnKind) -> Self {
        Self {
            key: key.into(),
            zh: zh.into(),
            en: en.into(),
            kind,
        }
    }
}

/// An answer: each row has one value a column.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Table {
    /// The columns, in order.
    pub columns: Vec<Column>,
    /// The rows, in the order of the question.
    pub rows: Vec<Vec<Value>>,
}

impl Table {
    /// A row as a JSON object.
    pub fn object(&self, row: &[Value]) -> Map<String, Value> {
        self.columns
            .iter()
            .zip(row)
            .map(|(column, value)| (column.key.clone(), value.clone()))
            .collect()
    }

    /// All rows as JSON objects.
    pub fn objects(&self) -> Vec<Value> {
        self.rows
            .iter()
            .map(|row| Value::Object(self.object(row)))
            .collect()
    }
}
