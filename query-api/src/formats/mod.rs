//! How a table is written for programs and for spreadsheets. The CLI's answers and exports over HTTP
//! are made by the same code, so that they cannot differ.

use std::io;

use serde_json::Value;

use crate::answer::Column;

pub mod cell;
pub mod csv;
pub mod json;
pub mod parquet;
pub mod report;
#[doc(hidden)]
pub mod testing;
pub mod xlsx;

/// The language of headings; values are never translated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Language {
    /// Chinese.
    #[default]
    Zh,
    /// English.
    En,
}

impl Language {
    /// The Chinese or the English text.
    pub fn pick<'a>(self, zh: &'a str, en: &'a str) -> &'a str {
        match self {
            Self::Zh => zh,
            Self::En => en,
        }
    }

    /// A column's heading.
    pub fn heading(self, column: &Column) -> &str {
        self.pick(&column.zh, &column.en)
    }

    /// What stands between the items of a list that a person reads.
    pub fn list_separator(self) -> &'static str {
        self.pick("、", ", ")
    }
}

/// What an answer is about, for formats that have room to say it (the workbook's second sheet).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct About {
    /// The Chinese title.
    pub title_zh: String,
    /// The English title.
    pub title_en: String,
    /// Labels and values: period, as of, coverage.
    pub notes: Vec<(String, String)>,
    /// Headings and what they count.
    pub definitions: Vec<(String, String)>,
    /// Rows below the others, in formats for people: all rows as one.
    pub totals: Vec<Vec<Value>>,
    /// How deep each row stands in a tree, in formats for people; empty where rows are no tree.
    pub levels: Vec<u8>,
}

/// Who reads the bytes: a terminal obeys escape sequences, a program wants every byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// Somebody at a terminal.
    Terminal,
    /// A program, or a file.
    Program,
}

/// What went wrong while writing. None of these goes away by trying again, but for a full disk.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The file system or the pipe refused.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// More rows than a spreadsheet can hold.
    #[error(
        "an xlsx sheet holds {n_rows_max} rows, the answer has {n_rows}: use `csv` or `parquet`"
    )]
    TooManyRows {
        /// What the answer has.
        n_rows: usize,
        /// What a sheet holds beside the header.
        n_rows_max: usize,
    },
    /// More columns than a spreadsheet can hold.
    #[error(
        "an xlsx sheet holds {n_columns_max} columns, the answer has {n_columns}: use `csv` or `parquet`"
    )]
    TooManyColumns {
        /// What the answer has.
        n_columns: usize,
        /// What a sheet holds.
        n_columns_max: usize,
    },
    /// A value that is not what its column promises; the value itself is never shown.
    #[error("row {row}, column `{key}`: expected {expected}, found {found}")]
    Mismatch {
        /// The row, counted from 1.
        row: usize,
        /// The column's key.
        key: String,
        /// What the column holds.
        expected: &'static str,
        /// What was there.
        found: &'static str,
    },
    /// The workbook could not be made.
    #[error("cannot make the workbook")]
    Xlsx(#[from] rust_xlsxwriter::XlsxError),
    /// The columns could not be built.
    #[error("cannot build the columns")]
    Arrow(#[from] arrow::error::ArrowError),
    /// The Parquet file could not be encoded.
    #[error("cannot encode parquet")]
    Parquet(#[from] ::parquet::errors::ParquetError),
}

impl Fault {
    /// Whether whoever read has stopped reading.
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Io(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}
