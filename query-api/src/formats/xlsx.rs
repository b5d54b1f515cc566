//! `xlsx`: a workbook for people. The first sheet is the data, the second says what it is.
//!
//! Cells are typed: numbers, percent, hours, real dates (the wall time of the company's zone,
//! since a spreadsheet knows no zones), and text as strings, never formulas. A missing metric
//! is `-` as in the trade's reports, other missing values are empty cells.

use std::io::Write;
use std::path::Path;

use crate::answer::{Column, ColumnKind, Table};
use chrono::{DateTime, NaiveDate, NaiveDateTime};
use rust_xlsxwriter::{
    Color, DocProperties, ExcelDateTime, Format, FormatAlign, FormatBorder, Workbook, Worksheet,
    XlsxError,
};
use serde_json::Value;
use unicode_width::UnicodeWidthStr;

use super::cell::{hours, looks_like_formula, plain};
use super::{About, Fault, Language};

/// What Excel holds, beside the header row.
const ROWS_MAX: usize = 1_048_575;
const COLUMNS_MAX: usize = 16_384;
/// What Excel holds in a cell, in UTF-16 units.
const CELL_UNITS_MAX: usize = 32_767;
/// Excel keeps fifteen digits; a longer whole number is written as text.
const INTEGER_MAX: u64 = 1_000_000_000_000_000;
/// Column widths, in characters; long text is not worth scrolling past.
const WIDTH_MIN: usize = 8;
const WIDTH_MAX: usize = 60;
/// How many rows the widths are taken from: enough to fit, and cheap for a large answer.
const WIDTH_ROWS_MAX: usize = 10_000;
/// How deep Excel folds rows, and how far a name is indented.
const OUTLINE_LEVELS_MAX: usize = 7;
const INDENT_MAX: u8 = 15;
/// What the filter's button takes of a heading.
const FILTER_WIDTH: usize = 3;

/// The workbook.
pub fn write(
    table: &Table,
    about: &About,
    language: Language,
    out: &mut (impl Write + Send),
) -> Result<(), Fault> {
    write_sheets(
        &[(language.pick("数据", "Data"), table)],
        about,
        language,
        out,
    )
}

/// A workbook with a sheet for each named table; names are short and plain.
pub fn write_sheets(
    sheets: &[(&str, &Table)],
    about: &About,
    language: Language,
    out: &mut (impl Write + Send),
) -> Result<(), Fault> {
    let mut workbook = timeless()?;
    for (name, table) in sheets {
        check_size(table, about)?;
        let data = workbook.add_worksheet();
        data.set_name(*name)?;
        fill_data(data, table, about, language)?;
    }
    let info = workbook.add_worksheet();
    info.set_name(language.pick("说明", "About"))?;
    fill_about(info, about, language)?;
    save(&mut workbook, out)
}

/// A workbook that does not say when it was made: the same rows are the same bytes.
fn timeless() -> Result<Workbook, XlsxError> {
    let mut workbook = Workbook::new();
    let never = ExcelDateTime::from_ymd(2000, 1, 1)?;
    workbook.set_properties(&DocProperties::new().set_creation_datetime(&never));
    Ok(workbook)
}

fn save(workbook: &mut Workbook, out: &mut (impl Write + Send)) -> Result<(), Fault> {
    match workbook.save_to_writer(out) {
        Err(XlsxError::IoError(error)) => Err(Fault::Io(error)),
        Err(error) => Err(error.into()),
        Ok(()) => Ok(()),
    }
}

/// Rows as they come, for answers that are not in memory whole: a sheet in a file of its own until
/// the workbook is saved.
pub struct Rows {
    workbook: Workbook,
    columns: Vec<Column>,
    language: Language,
    looks: Looks,
    n_rows: usize,
}

impl Rows {
    /// Writes the headings; `spare` is the folder in which rows wait.
    ///
    /// # Errors
    /// The folder cannot be written to.
    pub fn new(columns: Vec<Column>, language: Language, spare: &Path) -> Result<Self, Fault> {
        let mut workbook = timeless()?;
        workbook.set_tempdir(spare)?;
        let looks = Looks::new();
        let sheet = workbook.add_worksheet_with_constant_memory();
        let sheet = sheet?;
        sheet.set_name(language.pick("数据", "Data"))?;
        for (at, column) in (0u16..).zip(&columns) {
            let heading = language.heading(column);
            sheet.set_column_width(at, streamed_width(column, heading) as f64)?;
            sheet.write_string_with_format(0, at, fitting(heading), &looks.heading)?;
        }
        sheet.set_freeze_panes(1, 0)?;
        Ok(Self {
            workbook,
            columns,
            language,
            looks,
            n_rows: 0,
        })
    }

    /// Writes rows.
    ///
    /// # Errors
    /// [`Fault::TooManyRows`] and what the file system refuses.
    pub fn add(&mut self, rows: &[Vec<Value>]) -> Result<(), Fault> {
        let n_rows = self.n_rows + rows.len();
        if n_rows > ROWS_MAX {
            return Err(Fault::TooManyRows {
                n_rows,
                n_rows_max: ROWS_MAX,
            });
        }
        let sheet = self.workbook.worksheet_from_index(0)?;
        for (row_at, row) in (self.n_rows as u32 + 1..).zip(rows) {
            for (at, (column, value)) in (0u16..).zip(self.columns.iter().zip(row)) {
                let content = content(value, column.kind, self.language);
                put(sheet, row_at, at, content, &self.looks)?;
            }
        }
        self.n_rows = n_rows;
        Ok(())
    }

    /// Writes the second sheet and saves the workbook.
    ///
    /// # Errors
    /// What the file system refuses.
    pub fn finish(mut self, about: &About, out: &mut (impl Write + Send)) -> Result<(), Fault> {
        if let Some(last) = self.columns.len().checked_sub(1) {
            let sheet = self.workbook.worksheet_from_index(0)?;
            sheet.autofilter(0, 0, self.n_rows as u32, last as u16)?;
        }
        let info = self.workbook.add_worksheet();
        info.set_name(self.language.pick("说明", "About"))?;
        fill_about(info, about, self.language)?;
        save(&mut self.workbook, out)
    }
}

/// The width of a column whose values are not known yet.
fn streamed_width(column: &Column, heading: &str) -> usize {
    let values = match (column.kind, column.key.as_str()) {
        (ColumnKind::Instant, _) => 23,
        (_, "text" | "name" | "file") => WIDTH_MAX,
        (ColumnKind::Text | ColumnKind::TextList | ColumnKind::Json, _) => 20,
        _ => 0,
    };
    (heading.width() + FILTER_WIDTH)
        .max(values)
        .clamp(WIDTH_MIN, WIDTH_MAX)
}

fn check_size(table: &Table, about: &About) -> Result<(), Fault> {
    let (n_rows, n_columns) = (table.rows.len() + about.totals.len(), table.columns.len());
    if n_rows > ROWS_MAX {
        return Err(Fault::TooManyRows {
            n_rows,
            n_rows_max: ROWS_MAX,
        });
    }
    if n_columns > COLUMNS_MAX {
        return Err(Fault::TooManyColumns {
            n_columns,
            n_columns_max: COLUMNS_MAX,
        });
    }
    Ok(())
}

/// The formats of cells, made once a sheet.
struct Looks {
    heading: Format,
    text: Format,
    /// Text that stays text when someone edits the cell.
    quoted: Format,
    number: Format,
    ratio: Format,
    seconds: Format,
    instant: Format,
    missing: Format,
}

impl Looks {
    fn new() -> Self {
        Self {
            heading: Format::new()
                .set_bold()
                .set_background_color(Color::RGB(0x00E8_EEF7))
                .set_border_bottom(FormatBorder::Thin),
            text: Format::new(),
            quoted: Format::new().set_quote_prefix(),
            number: Format::new(),
            ratio: Format::new().set_num_format("0.00%"),
            seconds: Format::new().set_num_format("[hh]:mm:ss"),
            instant: Format::new().set_num_format("yyyy-mm-dd hh:mm:ss.000"),
            missing: Format::new().set_align(FormatAlign::Right),
        }
    }
}

impl Looks {
    /// The same in bold, under a line.
    fn bold(self) -> Self {
        let bold = |format: Format| format.set_bold().set_border_top(FormatBorder::Thin);
        Self {
            heading: self.heading,
            text: bold(self.text),
            quoted: bold(self.quoted),
            number: bold(self.number),
            ratio: bold(self.ratio),
            seconds: bold(self.seconds),
            instant: bold(self.instant),
            missing: bold(self.missing),
        }
    }
}

/// What stands in a cell.
#[derive(Debug, PartialEq)]
enum Content {
    Empty,
    /// A metric without a value.
    Missing,
    Text(String),
    Boolean(bool),
    Number(f64),
    Ratio(f64),
    /// A part of a day.
    Seconds(f64),
    /// Days since Excel's epoch.
    Instant(f64),
}

fn content(value: &Value, kind: ColumnKind, language: Language) -> Content {
    let text = || Content::Text(plain(value, kind, language.list_separator()));
    match (kind, value.as_f64(), value) {
        (kind, _, Value::Null) if is_metric(kind) => Content::Missing,
        (_, _, Value::Null) => Content::Empty,
        (_, _, Value::Bool(state)) => Content::Boolean(*state),
        (ColumnKind::Ratio, Some(ratio), _) => Content::Ratio(ratio),
        // Excel shows a negative time as #####.
        (ColumnKind::Seconds, Some(seconds), _) if seconds < 0.0 => Content::Text(hours(seconds)),
        (ColumnKind::Seconds, Some(seconds), _) => Content::Seconds(seconds / 86_400.0),
        (ColumnKind::Number, Some(number), _) => Content::Number(number),
        (ColumnKind::Integer, Some(number), _) if number.abs() < INTEGER_MAX as f64 => {
            Content::Number(number)
        }
        (ColumnKind::Instant, _, Value::String(instant)) => match excel_days(instant) {
            Some(days) => Content::Instant(days),
            None => text(),
        },
        _ => text(),
    }
}

fn is_metric(kind: ColumnKind) -> bool {
    use ColumnKind::{Integer, Number, Ratio, Seconds};
    matches!(kind, Integer | Number | Seconds | Ratio)
}

/// The wall time that an RFC 3339 instant names, as Excel counts days. None outside the years
/// that Excel dates without its leap-year mistake of 1900.
fn excel_days(instant: &str) -> Option<f64> {
    let local: NaiveDateTime = DateTime::parse_from_rfc3339(instant).ok()?.naive_local();
    let first = NaiveDate::from_ymd_opt(1900, 3, 1)?;
    let last = NaiveDate::from_ymd_opt(9999, 12, 31)?;
    if !(first..=last).contains(&local.date()) {
        return None;
    }
    let epoch = NaiveDate::from_ymd_opt(1899, 12, 30)?.and_hms_opt(0, 0, 0)?;
    Some((local - epoch).num_milliseconds() as f64 / 86_400_000.0)
}

fn fill_data(
    sheet: &mut Worksheet,
    table: &Table,
    about: &About,
    language: Language,
) -> Result<(), XlsxError> {
    let looks = Looks::new();
    for (at, column) in (0u16..).zip(&table.columns) {
        let heading = language.heading(column);
        sheet.write_string_with_format(0, at, fitting(heading), &looks.heading)?;
        sheet.set_column_width(at, width(table, usize::from(at), column, language) as f64)?;
    }
    for (row_at, row) in (1u32..).zip(&table.rows) {
        for (at, (column, value)) in (0u16..).zip(table.columns.iter().zip(row)) {
            put(
                sheet,
                row_at,
                at,
                content(value, column.kind, language),
                &looks,
            )?;
        }
    }
    fill_totals(sheet, table, about, language)?;
    outline(sheet, table, about, &looks)?;
    sheet.set_freeze_panes(1, 0)?;
    if let Some(last) = table.columns.len().checked_sub(1) {
        sheet.autofilter(0, 0, table.rows.len() as u32, last as u16)?;
    }
    Ok(())
}

/// All rows as one, below the others and outside of the filter.
fn fill_totals(
    sheet: &mut Worksheet,
    table: &Table,
    about: &About,
    language: Language,
) -> Result<(), XlsxError> {
    let looks = Looks::new().bold();
    let first = table.rows.len() as u32 + 1;
    for (row_at, row) in (first..).zip(&about.totals) {
        for (at, (column, value)) in (0u16..).zip(table.columns.iter().zip(row)) {
            put(
                sheet,
                row_at,
                at,
                content(value, column.kind, language),
                &looks,
            )?;
        }
    }
    Ok(())
}

/// Rows of a tree: names indented, and grouped so that what is below can be folded away.
fn outline(
    sheet: &mut Worksheet,
    table: &Table,
    about: &About,
    looks: &Looks,
) -> Result<(), XlsxError> {
    let Some(name) = table.columns.iter().position(|c| c.key == "name") else {
        return Ok(());
    };
    let n_levels = usize::from(about.levels.iter().copied().max().unwrap_or(0));
    for level in 1..=n_levels.min(OUTLINE_LEVELS_MAX) {
        let is_below = |at: usize| usize::from(about.levels[at]) >= level;
        let mut at = 0;
        while at < about.levels.len() {
            let end = (at..about.levels.len())
                .find(|row| !is_below(*row))
                .unwrap_or(about.levels.len());
            if end > at {
                sheet.group_rows(at as u32 + 1, end as u32)?;
            }
            at = end + 1;
        }
    }
    sheet.group_symbols_above(n_levels > 0);
    for (at, level) in about
        .levels
        .iter()
        .enumerate()
        .filter(|(_, level)| **level > 0)
    {
        if let Some(Value::String(text)) = table.rows.get(at).and_then(|row| row.get(name)) {
            let look = if looks_like_formula(text) {
                &looks.quoted
            } else {
                &looks.text
            };
            let look = look.clone().set_indent((*level).min(INDENT_MAX));
            sheet.write_string_with_format(at as u32 + 1, name as u16, fitting(text), &look)?;
        }
    }
    Ok(())
}

fn put(
    sheet: &mut Worksheet,
    row: u32,
    column: u16,
    content: Content,
    looks: &Looks,
) -> Result<(), XlsxError> {
    match content {
        Content::Empty => return Ok(()),
        Content::Missing => sheet.write_string_with_format(row, column, "-", &looks.missing)?,
        Content::Text(text) if looks_like_formula(&text) => {
            sheet.write_string_with_format(row, column, fitting(&text), &looks.quoted)?
        }
        Content::Text(text) => {
            sheet.write_string_with_format(row, column, fitting(&text), &looks.text)?
        }
        Content::Boolean(state) => sheet.write_boolean(row, column, state)?,
        Content::Number(n) => sheet.write_number_with_format(row, column, n, &looks.number)?,
        Content::Ratio(n) => sheet.write_number_with_format(row, column, n, &looks.ratio)?,
        Content::Seconds(n) => sheet.write_number_with_format(row, column, n, &looks.seconds)?,
        Content::Instant(n) => sheet.write_number_with_format(row, column, n, &looks.instant)?,
    };
    Ok(())
}

/// Text cut, with …, to what a cell holds.
fn fitting(text: &str) -> String {
    // Never more UTF-16 units than bytes.
    if text.len() <= CELL_UNITS_MAX || text.encode_utf16().count() <= CELL_UNITS_MAX {
        return text.to_owned();
    }
    let mut n_units = 1;
    let kept = text.chars().take_while(|c| {
        n_units += c.len_utf16();
        n_units <= CELL_UNITS_MAX
    });
    kept.chain(['…']).collect()
}

fn width(table: &Table, at: usize, column: &Column, language: Language) -> usize {
    let heading = language.heading(column).width() + FILTER_WIDTH;
    let values = match column.kind {
        ColumnKind::Instant => 23,
        ColumnKind::Seconds | ColumnKind::Ratio => 9,
        kind => table
            .rows
            .iter()
            .take(WIDTH_ROWS_MAX)
            .filter_map(|row| row.get(at))
            .map(|value| longest_line(&plain(value, kind, language.list_separator())))
            .max()
            .unwrap_or(0),
    };
    heading.max(values + 1).clamp(WIDTH_MIN, WIDTH_MAX)
}

fn longest_line(text: &str) -> usize {
    // The widest column is soon reached; a long message need not be measured whole.
    let start: String = text.chars().take(4 * WIDTH_MAX).collect();
    start.lines().map(UnicodeWidthStr::width).max().unwrap_or(0)
}

fn fill_about(sheet: &mut Worksheet, about: &About, language: Language) -> Result<(), XlsxError> {
    let title = Format::new().set_bold().set_font_size(14);
    let label = Format::new().set_bold().set_align(FormatAlign::Top);
    let text = Format::new().set_text_wrap().set_align(FormatAlign::Top);
    sheet.set_column_width(0, 24)?;
    sheet.set_column_width(1, 90)?;
    let name = language.pick(&about.title_zh, &about.title_en);
    sheet.write_string_with_format(0, 0, fitting(name), &title)?;
    let mut row = 2;
    let mut write_pairs = |sheet: &mut Worksheet, pairs: &[(String, String)]| {
        for (left, right) in pairs {
            sheet.write_string_with_format(row, 0, fitting(left), &label)?;
            sheet.write_string_with_format(row, 1, fitting(right), &text)?;
            row += 1;
        }
        row += 1;
        Ok::<(), XlsxError>(())
    };
    write_pairs(sheet, &about.notes)?;
    if !about.definitions.is_empty() {
        let heading = (
            language.pick("列", "Column").to_owned(),
            language.pick("口径", "Definition").to_owned(),
        );
        let mut pairs = vec![heading];
        pairs.extend(about.definitions.iter().cloned());
        write_pairs(sheet, &pairs)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Read};

    use serde_json::json;

    use super::super::testing;
    use super::*;

    /// The parts of the workbook as XML text.
    fn parts(table: &Table, language: Language) -> impl FnMut(&str) -> String + use<> {
        let mut bytes = Vec::new();
        write(table, &testing::about(), language, &mut bytes).unwrap();
        let mut zip = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
        move |name| {
            let mut text = String::new();
            let mut part = zip.by_name(name).unwrap();
            part.read_to_string(&mut text).unwrap();
            text
        }
    }

    /// A cell's XML in the first sheet.
    fn cell(sheet: &str, place: &str) -> Option<String> {
        let start = sheet.find(&format!("<c r=\"{place}\""))?;
        let end = sheet[start..].find("</c>")?;
        Some(sheet[start..start + end].to_owned())
    }

    /// A cell's number.
    fn number(sheet: &str, place: &str) -> f64 {
        let cell = cell(sheet, place).unwrap();
        assert!(!cell.contains(" t="), "no number: {cell}");
        let (_, value) = cell.split_once("<v>").unwrap();
        value.trim_end_matches("</v>").parse().unwrap()
    }

    #[test]
    fn the_sheets_are_data_with_headings_then_notes_and_definitions() {
        let mut part = parts(&testing::table(), Language::Zh);
        let workbook = part("xl/workbook.xml");
        assert!(workbook.find("数据").unwrap() < workbook.find("说明").unwrap());
        let strings = part("xl/sharedStrings.xml");
        for text in ["首次响应", "员工报表", "2024-10-01", "首次响应的口径"] {
            assert!(strings.contains(text), "{text}: {strings}");
        }
        let mut part = parts(&testing::table(), Language::En);
        assert!(part("xl/workbook.xml").contains("\"About\""));
        assert!(part("xl/sharedStrings.xml").contains("First reply"));
    }

    #[test]
    fn totals_stand_below_the_rows_and_a_tree_folds() {
        let table = testing::table();
        let about = About {
            totals: vec![table.rows[0].clone()],
            levels: vec![0, 1],
            ..testing::about()
        };
        let mut bytes = Vec::new();
        write(&table, &about, Language::Zh, &mut bytes).unwrap();
        let mut zip = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
        let mut sheet = String::new();
        let mut part = zip.by_name("xl/worksheets/sheet1.xml").unwrap();
        part.read_to_string(&mut sheet).unwrap();
        assert_eq!(number(&sheet, "B4"), 12.0);
        let filter = sheet.split("<autoFilter").nth(1).unwrap();
        assert!(filter.contains("3\""), "the filter leaves the totals out");
    }

    #[test]
    fn the_header_is_frozen_and_filters() {
        let sheet = parts(&testing::table(), Language::Zh)("xl/worksheets/sheet1.xml");
        assert!(sheet.contains("state=\"frozen\""));
        assert!(sheet.contains("<autoFilter ref=\"A1:I3\""));
    }

    #[test]
    fn cells_are_typed() {
        let mut part = parts(&testing::table(), Language::Zh);
        let sheet = part("xl/worksheets/sheet1.xml");
        assert_eq!(number(&sheet, "B2"), 12.0);
        assert_eq!(number(&sheet, "C2"), -1.5);
        assert_eq!(number(&sheet, "D2"), 90_061.25 / 86_400.0);
        assert_eq!(number(&sheet, "E2"), 0.1234);
        let day = number(&sheet, "F2");
        assert_eq!(day.floor(), 45_566.0, "2024-10-01");
        let millis = (day.fract() * 86_400_000.0).round();
        assert_eq!(millis, 9.0 * 3_600_000.0 + 123.0, "09:00:00.123, local");
        assert!(cell(&sheet, "G2").unwrap().contains("t=\"b\""));
        let styles = part("xl/styles.xml");
        for format in ["[hh]:mm:ss", "\"0.00%\"", "yyyy-mm-dd hh:mm:ss.000"] {
            assert!(styles.contains(format), "{styles}");
        }
        assert!(part("xl/sharedStrings.xml").contains("新客、重点"));
    }

    #[test]
    fn a_missing_metric_is_a_dash_and_other_missing_values_are_empty() {
        let sheet = parts(&testing::table(), Language::Zh)("xl/worksheets/sheet1.xml");
        for metric in ["B3", "C3", "D3", "E3"] {
            assert!(cell(&sheet, metric).unwrap().contains("t=\"s\""));
        }
        for other in ["F3", "G3", "H3", "I3"] {
            assert_eq!(number_of_values(&sheet, other), 0);
        }
    }

    fn number_of_values(sheet: &str, place: &str) -> usize {
        cell(sheet, place).map_or(0, |cell| cell.matches("<v>").count())
    }

    #[test]
    fn text_is_never_a_formula() {
        let mut table = testing::table();
        table.rows = ["=1+1", "＝1", "@a", "-2", "{=1}"]
            .into_iter()
            .map(|text| {
                let mut row = table.rows[1].clone();
                row[0] = json!(text);
                row
            })
            .collect();
        let mut part = parts(&table, Language::Zh);
        let sheet = part("xl/worksheets/sheet1.xml");
        assert!(!sheet.contains("<f>") && !sheet.contains("<f "));
        assert!(cell(&sheet, "A2").unwrap().contains("t=\"s\""));
        assert!(part("xl/sharedStrings.xml").contains("<t>=1+1</t>"));
        assert!(part("xl/styles.xml").contains("quotePrefix=\"1\""));
    }

    #[test]
    fn without_rows_there_is_still_a_header() {
        let mut table = testing::table();
        table.rows.clear();
        let mut part = parts(&table, Language::Zh);
        assert!(part("xl/sharedStrings.xml").contains("首次响应"));
        assert!(cell(&part("xl/worksheets/sheet1.xml"), "A2").is_none());
    }

    #[test]
    fn too_many_rows_are_refused_with_a_way_out() {
        let table = Table {
            columns: vec![],
            rows: vec![vec![]; ROWS_MAX + 1],
        };
        let refused = write(&table, &About::default(), Language::Zh, &mut Vec::new());
        let text = refused.unwrap_err().to_string();
        assert!(
            text.contains("1048575") && text.contains("`parquet`"),
            "{text}"
        );
    }

    #[test]
    fn long_text_is_cut_to_what_a_cell_holds() {
        assert_eq!(fitting(&"a".repeat(32_767)).len(), 32_767);
        assert_eq!(fitting(&"甲".repeat(32_767)).chars().count(), 32_767);
        for long in ["a".repeat(32_768), "👍".repeat(20_000)] {
            let short = fitting(&long);
            assert!(short.ends_with('…'));
            let n_units = short.encode_utf16().count();
            assert!((32_766..=32_767).contains(&n_units), "{n_units}");
        }
    }

    #[test]
    fn numbers_too_long_for_excel_and_dates_before_its_own_stay_text() {
        let zh = Language::Zh;
        assert_eq!(
            content(&json!(9_007_199_254_740_993_u64), ColumnKind::Integer, zh),
            Content::Text("9007199254740993".into())
        );
        let old = "1900-02-28T00:00:00.000+08:00";
        assert_eq!(
            content(&json!(old), ColumnKind::Instant, zh),
            Content::Text(old.into())
        );
        assert_eq!(
            content(&json!(-5), ColumnKind::Seconds, zh),
            Content::Text("-00:00:05".into())
        );
    }
}
