//! Answers leave the program here: one table, six formats, to stdout or to a file.
//!
//! Every format is made of the same `answer::Table`, so they cannot differ in content, only in
//! dress: `json`, `ndjson`, `csv` and `parquet` are for programs and keep values as they are;
//! `table` and `xlsx` are for people and show percent, hours and headings in their language.
//! A file is written beside its place and renamed, so a failed write leaves no half file.
//! Nothing here asks a question or prints progress (contract, 'Answers out').

use std::fmt;
use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use huicun_query_api::answer::Table;
use serde_json::Value;

mod destination;
mod parts;
mod table;

#[cfg(test)]
use huicun_query_api::formats::testing as sample;
pub use huicun_query_api::formats::{About, Fault, Language};
use huicun_query_api::formats::{Reader, csv, json, parquet, xlsx};
pub use parts::{Part, write_parts};
pub use table::dressed;

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Columns for reading on a terminal.
    Table,
    /// One JSON array.
    Json,
    /// One JSON object a line.
    Ndjson,
    /// Comma-separated values, safe to open in a spreadsheet.
    Csv,
    /// An Excel workbook; needs `-o FILE`.
    Xlsx,
    /// A Parquet file; needs `-o FILE`.
    Parquet,
}

impl Format {
    fn needs_file(self) -> bool {
        matches!(self, Self::Xlsx | Self::Parquet)
    }

    /// The format that a file's ending names.
    fn of_file(file: &Path) -> Option<Self> {
        let ending = file.extension()?.to_str()?.to_ascii_lowercase();
        Some(match ending.as_str() {
            "txt" => Self::Table,
            "json" => Self::Json,
            "ndjson" | "jsonl" => Self::Ndjson,
            "csv" => Self::Csv,
            "xlsx" => Self::Xlsx,
            "parquet" => Self::Parquet,
            _ => return None,
        })
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Table => "table",
            Self::Json => "json",
            Self::Ndjson => "ndjson",
            Self::Csv => "csv",
            Self::Xlsx => "xlsx",
            Self::Parquet => "parquet",
        })
    }
}

/// Where an answer goes and how it is dressed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Target {
    /// As the user asked. Left out: by the file's ending; without a file `table` on a
    /// terminal, else `ndjson`.
    pub format: Option<Format>,
    /// `-o FILE`; none, or `-`, is stdout.
    pub file: Option<PathBuf>,
    /// The language of headings.
    pub language: Language,
}

/// Why an answer was not written.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// A format that is no text was asked for on stdout.
    #[error("format `{0}` is written to a file only: give `-o FILE`")]
    NeedsFile(Format),
    /// No format was given and the file's ending names none.
    #[error(
        "the ending of `{}` names no format: give `--format table|json|ndjson|csv|xlsx|parquet`",
        .0.display()
    )]
    UnknownEnding(PathBuf),
    /// The answer could not be written to its place.
    #[error("cannot write the answer to {place}")]
    Write {
        /// The file, or stdout.
        place: String,
        /// What went wrong.
        source: Fault,
    },
}

impl OutputError {
    /// Whether the command was used wrongly (exit status 2) rather than failed (1).
    pub fn is_usage(&self) -> bool {
        !matches!(self, Self::Write { .. })
    }
}

/// Writes a text to stdout as it is. Whoever stops reading has read enough.
pub fn text(text: &str) -> io::Result<()> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Writes an answer in the format and to the place that `target` names. A reader that closes
/// its pipe early (`| head`) is not an error.
///
/// # Errors
/// `NeedsFile` and `UnknownEnding` are wrong usage, found before anything is written; `Write`
/// leaves an existing file as it was.
pub fn write(table: &Table, about: &About, target: &Target) -> Result<(), OutputError> {
    debug_assert!(
        table.rows.iter().all(|r| r.len() == table.columns.len()),
        "each row has one value a column"
    );
    let (language, on_terminal) = (target.language, io::stdout().is_terminal());
    let format = format_of(target, on_terminal)?;
    placed(
        target,
        |out| to_file(table, about, format, language, out),
        || to_stdout(table, about, format, language, on_terminal),
    )
}

/// Writes to the target's file, or to stdout.
fn placed(
    target: &Target,
    to_file: impl FnOnce(&mut File) -> Result<(), Fault>,
    to_stdout: impl FnOnce() -> Result<(), Fault>,
) -> Result<(), OutputError> {
    let (place, outcome) = match file_of(target) {
        Some(file) => (
            format!("`{}`", file.display()),
            destination::replace(file, to_file),
        ),
        None => ("stdout".to_owned(), to_stdout()),
    };
    match outcome {
        Err(fault) if fault.is_broken_pipe() => Ok(()),
        Err(source) => Err(OutputError::Write { place, source }),
        Ok(()) => Ok(()),
    }
}

/// Writes bytes that are no table, those of a media file, to the place of an answer; `-` is stdout.
///
/// # Errors
/// `Write` leaves an existing file as it was.
pub fn copy(input: &mut impl io::Read, file: &Path) -> Result<(), OutputError> {
    let (place, outcome) = if file == Path::new("-") {
        let mut out = io::stdout().lock();
        let copied = io::copy(input, &mut out).and_then(|_| out.flush());
        ("stdout".to_owned(), copied.map_err(Fault::from))
    } else {
        let copied = destination::replace(file, |out| Ok(io::copy(input, out).map(|_| ())?));
        (format!("`{}`", file.display()), copied)
    };
    match outcome {
        Err(fault) if fault.is_broken_pipe() => Ok(()),
        Err(source) => Err(OutputError::Write { place, source }),
        Ok(()) => Ok(()),
    }
}

/// Fills a file that takes its place only when that has gone well.
///
/// # Errors
/// `Write` leaves an existing file as it was.
pub fn fill(
    file: &Path,
    fill: impl FnOnce(&mut File) -> Result<(), Fault>,
) -> Result<(), OutputError> {
    let place = || format!("`{}`", file.display());
    destination::replace(file, fill).map_err(|source| OutputError::Write {
        place: place(),
        source,
    })
}

/// The wrong-usage checks of [`write`], to be made before a long question is asked.
///
/// # Errors
/// `NeedsFile`, `UnknownEnding`.
pub fn check(target: &Target) -> Result<(), OutputError> {
    format(target).map(|_| ())
}

/// The format in which [`write`] would write.
///
/// # Errors
/// As [`check`].
pub fn format(target: &Target) -> Result<Format, OutputError> {
    format_of(target, io::stdout().is_terminal())
}

fn file_of(target: &Target) -> Option<&Path> {
    target
        .file
        .as_deref()
        .filter(|file| *file != Path::new("-"))
}

fn format_of(target: &Target, on_terminal: bool) -> Result<Format, OutputError> {
    match (target.format, file_of(target)) {
        (Some(format), None) if format.needs_file() => Err(OutputError::NeedsFile(format)),
        (Some(format), _) => Ok(format),
        (None, Some(file)) => {
            Format::of_file(file).ok_or_else(|| OutputError::UnknownEnding(file.to_owned()))
        }
        (None, None) if on_terminal => Ok(Format::Table),
        (None, None) => Ok(Format::Ndjson),
    }
}

/// The table as people read it: names of a tree indented, the totals below.
fn for_people(table: &Table, about: &About) -> Table {
    let mut shown = table.clone();
    let name = table.columns.iter().position(|column| column.key == "name");
    for (row, level) in shown.rows.iter_mut().zip(&about.levels) {
        if let Some(Value::String(name)) = name.and_then(|at| row.get_mut(at)) {
            name.insert_str(0, &"\u{3000}".repeat(usize::from(*level)));
        }
    }
    shown.rows.extend(about.totals.iter().cloned());
    shown
}

fn to_stdout(
    table: &Table,
    about: &About,
    format: Format,
    language: Language,
    on_terminal: bool,
) -> Result<(), Fault> {
    let (reader, n_columns) = if on_terminal {
        (Reader::Terminal, table::terminal_width())
    } else {
        (Reader::Program, None)
    };
    let mut out = BufWriter::new(io::stdout().lock());
    let written = match format {
        Format::Table => table::write(&for_people(table, about), language, n_columns, &mut out),
        Format::Json => json::write_array(table, &mut out),
        Format::Ndjson => json::write_lines(table, &mut out),
        Format::Csv => csv::write(table, reader, &mut out),
        Format::Xlsx | Format::Parquet => unreachable!("`format_of` lets these pass with a file"),
    }
    .and_then(|()| out.flush());
    if written.is_err() {
        // Dropping the buffer would try once more to write into what has just failed.
        let _ = out.into_parts();
    }
    Ok(written?)
}

fn to_file(
    table: &Table,
    about: &About,
    format: Format,
    language: Language,
    file: &mut File,
) -> Result<(), Fault> {
    let mut out = BufWriter::new(file);
    match format {
        Format::Table => table::write(&for_people(table, about), language, None, &mut out)?,
        Format::Json => json::write_array(table, &mut out)?,
        Format::Ndjson => json::write_lines(table, &mut out)?,
        Format::Csv => csv::write(table, Reader::Program, &mut out)?,
        Format::Xlsx => xlsx::write(table, about, language, &mut out)?,
        Format::Parquet => parquet::write(table, &mut out)?,
    }
    out.flush()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(format: Option<Format>, file: Option<&str>) -> Target {
        Target {
            format,
            file: file.map(PathBuf::from),
            language: Language::Zh,
        }
    }

    fn chosen(format: Option<Format>, file: Option<&str>, on_terminal: bool) -> Format {
        format_of(&target(format, file), on_terminal).unwrap()
    }

    #[test]
    fn a_terminal_gets_a_table_and_a_pipe_gets_ndjson() {
        assert_eq!(chosen(None, None, true), Format::Table);
        assert_eq!(chosen(None, None, false), Format::Ndjson);
        assert_eq!(chosen(None, Some("-"), false), Format::Ndjson);
        assert_eq!(chosen(Some(Format::Json), None, true), Format::Json);
    }

    #[test]
    fn a_file_ending_names_the_format_unless_one_is_given() {
        assert_eq!(chosen(None, Some("a.XLSX"), true), Format::Xlsx);
        assert_eq!(chosen(None, Some("a.b.jsonl"), true), Format::Ndjson);
        assert_eq!(chosen(Some(Format::Csv), Some("a.txt"), true), Format::Csv);
    }

    #[test]
    fn every_format_name_is_the_ending_of_its_files() {
        for format in [
            Format::Json,
            Format::Ndjson,
            Format::Csv,
            Format::Xlsx,
            Format::Parquet,
        ] {
            assert_eq!(
                Format::of_file(Path::new(&format!("a.{format}"))),
                Some(format)
            );
        }
    }

    #[test]
    fn the_command_line_names_are_those_of_the_contract() {
        for format in Format::value_variants() {
            let name = format.to_possible_value().unwrap();
            assert_eq!(name.get_name(), format.to_string());
        }
    }

    #[test]
    fn xlsx_and_parquet_without_a_file_are_wrong_usage() {
        for format in [Format::Xlsx, Format::Parquet] {
            for file in [None, Some("-")] {
                let error = write(
                    &sample::table(),
                    &About::default(),
                    &target(Some(format), file),
                )
                .unwrap_err();
                assert!(error.is_usage());
                assert!(error.to_string().contains("-o FILE"), "{error}");
            }
        }
    }

    #[test]
    fn an_ending_that_names_no_format_is_wrong_usage() {
        let error = check(&target(None, Some("answer.doc"))).unwrap_err();
        assert!(error.is_usage());
        assert!(error.to_string().contains("`answer.doc`"), "{error}");
    }

    #[test]
    fn a_file_that_cannot_be_written_is_a_failure_that_names_it() {
        let error = write(
            &sample::table(),
            &About::default(),
            &target(None, Some("no-such-folder/answer.csv")),
        )
        .unwrap_err();
        assert!(!error.is_usage());
        assert!(error.to_string().contains("`no-such-folder/answer.csv`"));
    }

    #[test]
    fn every_format_is_written_to_its_file_even_without_rows() {
        let folder = tempfile::tempdir().unwrap();
        let mut empty = sample::table();
        empty.rows.clear();
        for table in [sample::table(), empty] {
            for ending in ["txt", "json", "ndjson", "csv", "xlsx", "parquet"] {
                let target = Target {
                    file: Some(folder.path().join(format!("a.{ending}"))),
                    ..Target::default()
                };
                write(&table, &sample::about(), &target).unwrap();
            }
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 6);
        assert_eq!(
            std::fs::read_to_string(folder.path().join("a.ndjson")).unwrap(),
            ""
        );
    }

    #[test]
    fn a_refused_answer_leaves_the_old_file_and_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.parquet");
        std::fs::write(&file, "old").unwrap();
        let mut table = sample::table();
        table.rows[0][1] = serde_json::json!("not a number");
        let target = Target {
            file: Some(file.clone()),
            ..Target::default()
        };
        assert!(write(&table, &sample::about(), &target).is_err());
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "old");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
