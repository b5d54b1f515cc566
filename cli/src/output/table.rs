//! `table`: for people at a terminal.
//!
//! Percent, hours and headings in the reader's language; null is `-`. Nothing in a cell can
//! move the cursor: controls are escaped and a line feed is shown as ⏎. Long text is cut: text
//! columns shrink, the widest first, until the table fits; an answer too wide even then is
//! written one block a row. Values exactly as they are: `--format ndjson`.

use std::io::{self, Write};

use comfy_table::{CellAlignment, presets};
use huicun_query_api::answer::{ColumnKind, Table};
use serde_json::Value;
use unicode_width::UnicodeWidthStr;

use super::Language;
use huicun_query_api::formats::cell::{hours, plain, visible};

/// The widest a cell gets, in terminal columns: long ids of a group's members fit, a long
/// message does not push its neighbours off the screen.
const CELL_WIDTH_MAX: usize = 80;
/// The narrowest a text column is shrunk to before the answer is written one block a row.
const CELL_WIDTH_MIN: usize = 16;
/// What a border takes: ` x ┆` a column and one at the start.
const BORDER_WIDTH: usize = 3;

/// The terminal's width, when stdout is one.
pub(super) fn terminal_width() -> Option<usize> {
    comfy_table::Table::new().width().map(usize::from)
}

/// The rows under their headings, or one block a row where `width_max` is too narrow for that.
pub(super) fn write(
    table: &Table,
    language: Language,
    width_max: Option<usize>,
    out: &mut impl Write,
) -> io::Result<()> {
    let headings: Vec<String> = table
        .columns
        .iter()
        .map(|column| shown(language.heading(column)))
        .collect();
    let rows: Vec<Vec<String>> = table
        .rows
        .iter()
        .map(|row| cells(table, row, language))
        .collect();
    match widths(table, &headings, &rows, width_max) {
        Some(widths) => write_grid(table, &headings, &rows, &widths, out),
        None => write_blocks(&headings, &rows, width_max, out),
    }
}

fn cells(table: &Table, row: &[Value], language: Language) -> Vec<String> {
    let columns = table.columns.iter().zip(row);
    columns
        .map(|(column, value)| shown(&dressed(value, column.kind, language)))
        .collect()
}

/// A value as a person reads it: percent, hours, few decimals.
pub fn dressed(value: &Value, kind: ColumnKind, language: Language) -> String {
    match (kind, value.as_f64(), value) {
        (_, _, Value::Null) => "-".into(),
        (ColumnKind::Ratio, Some(ratio), _) => percent(ratio),
        (ColumnKind::Seconds, Some(seconds), _) => hours(seconds),
        (ColumnKind::Number, Some(number), _) if !value.is_i64() && !value.is_u64() => {
            short_number(number)
        }
        (ColumnKind::Boolean, _, Value::Bool(true)) => language.pick("是", "yes").into(),
        (ColumnKind::Boolean, _, Value::Bool(false)) => language.pick("否", "no").into(),
        _ => plain(value, kind, language.list_separator()),
    }
}

fn percent(ratio: f64) -> String {
    let text = format!("{:.2}%", ratio * 100.0);
    if text == "-0.00%" {
        return "0.00%".into();
    }
    text
}

/// At most four decimals, none of them a trailing zero.
fn short_number(number: f64) -> String {
    let text = format!("{number:.4}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" {
        return "0".into();
    }
    text.into()
}

/// Text as it may stand in a cell: one line, nothing that a terminal obeys, not too long.
fn shown(text: &str) -> String {
    // No cell shows more than this many characters; a long message is not worth escaping whole.
    let start: String = text.chars().take(2 * CELL_WIDTH_MAX).collect();
    let is_cut = start.len() < text.len();
    let one_line = start.replace("\r\n", "⏎").replace('\n', "⏎");
    let mut safe = visible(&one_line, &[]).into_owned();
    if is_cut {
        safe.push('…');
    }
    cut(&safe, CELL_WIDTH_MAX)
}

/// Text cut to a width in terminal columns, ending in … if anything was cut.
fn cut(text: &str, width_max: usize) -> String {
    if text.width() <= width_max {
        return text.to_owned();
    }
    let fits = |end: &usize| text[..*end].width() < width_max;
    let ends = text.char_indices().map(|(at, c)| at + c.len_utf8());
    let end = ends.take_while(fits).last().unwrap_or(0);
    format!("{}…", &text[..end])
}

/// The width of each column so that the grid fits, or none if it cannot.
fn widths(
    table: &Table,
    headings: &[String],
    rows: &[Vec<String>],
    width_max: Option<usize>,
) -> Option<Vec<usize>> {
    let mut widths: Vec<usize> = headings.iter().map(|heading| heading.width()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.width());
        }
    }
    let Some(width_max) = width_max else {
        return Some(widths);
    };
    let borders = BORDER_WIDTH * widths.len() + 1;
    let mut excess = (widths.iter().sum::<usize>() + borders).saturating_sub(width_max);
    while excess > 0 {
        let columns = table.columns.iter().zip(widths.iter_mut());
        let widest = columns
            .filter(|(column, width)| shrinks(column.kind) && **width > CELL_WIDTH_MIN)
            .max_by_key(|(_, width)| **width);
        let (_, width) = widest?;
        *width -= 1;
        excess -= 1;
    }
    Some(widths)
}

fn shrinks(kind: ColumnKind) -> bool {
    matches!(
        kind,
        ColumnKind::Text | ColumnKind::TextList | ColumnKind::Json
    )
}

fn write_grid(
    table: &Table,
    headings: &[String],
    rows: &[Vec<String>],
    widths: &[usize],
    out: &mut impl Write,
) -> io::Result<()> {
    let fitted = |cells: &[String]| -> Vec<String> {
        let cells = cells.iter().zip(widths);
        cells.map(|(text, width)| cut(text, *width)).collect()
    };
    let mut grid = comfy_table::Table::new();
    grid.load_preset(presets::UTF8_FULL_CONDENSED);
    grid.set_header(fitted(headings));
    grid.add_rows(rows.iter().map(|row| fitted(row)));
    for (shown, column) in grid.column_iter_mut().zip(&table.columns) {
        use ColumnKind::{Integer, Number, Ratio, Seconds};
        if matches!(column.kind, Integer | Number | Seconds | Ratio) {
            shown.set_cell_alignment(CellAlignment::Right);
        }
    }
    writeln!(out, "{grid}")
}

/// Each row as a block of headings and values, as a wide answer is shown on a narrow screen.
fn write_blocks(
    headings: &[String],
    rows: &[Vec<String>],
    width_max: Option<usize>,
    out: &mut impl Write,
) -> io::Result<()> {
    let label = headings.iter().map(|h| h.width()).max().unwrap_or(0);
    let room = width_max.map_or(CELL_WIDTH_MAX, |width| width.saturating_sub(label + 2));
    for (i, row) in rows.iter().enumerate() {
        writeln!(out, "──[ {} ]──", i + 1)?;
        for (heading, value) in headings.iter().zip(row) {
            let pad = " ".repeat(label - heading.width() + 2);
            writeln!(
                out,
                "{heading}{pad}{}",
                cut(value, room.max(CELL_WIDTH_MIN))
            )?;
        }
    }
    if rows.is_empty() {
        writeln!(out, "{}", headings.join("  "))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::sample;
    use super::*;

    fn drawn(table: &Table, language: Language, width_max: Option<usize>) -> String {
        let mut out = Vec::new();
        write(table, language, width_max, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn values_are_dressed_for_people_under_chinese_headings() {
        insta::assert_snapshot!(drawn(&sample::table(), Language::Zh, None), @r#"
        ┌──────────┬────────┬──────┬──────────┬────────┬───────────────────────────────┬──────┬────────────┬────────────┐
        │ 员工     ┆ 消息数 ┆ 平均 ┆ 首次响应 ┆   占比 ┆ 时间                          ┆ 活跃 ┆ 标签       ┆ 来源       │
        ╞══════════╪════════╪══════╪══════════╪════════╪═══════════════════════════════╪══════╪════════════╪════════════╡
        │ zhangsan ┆     12 ┆ -1.5 ┆ 25:01:01 ┆ 12.34% ┆ 2024-10-01T09:00:00.123+08:00 ┆ 是   ┆ 新客、重点 ┆ {"扫码":2} │
        │ lisi     ┆      - ┆    - ┆        - ┆      - ┆ -                             ┆ -    ┆            ┆ -          │
        └──────────┴────────┴──────┴──────────┴────────┴───────────────────────────────┴──────┴────────────┴────────────┘
        "#);
    }

    #[test]
    fn english_headings_come_with_english_yes_and_commas() {
        let text = drawn(&sample::table(), Language::En, None);
        for expected in ["First reply", " yes ", " 新客, 重点 "] {
            assert!(text.contains(expected), "{text}");
        }
    }

    #[test]
    fn without_rows_the_headings_are_still_there() {
        let mut table = sample::table();
        table.rows.clear();
        for width_max in [None, Some(40)] {
            assert!(drawn(&table, Language::Zh, width_max).contains("首次响应"));
        }
    }

    #[test]
    fn terminal_escapes_do_not_pass_and_line_feeds_are_marked() {
        let mut table = sample::table();
        table.columns[0].zh = "员工\u{1b}[31m".into();
        table.rows[0][0] = json!("a\u{1b}]0;x\u{7}\u{9b}2J\r\nb\nc\td");
        let text = drawn(&table, Language::Zh, None);
        assert!(
            text.contains("a\\u{1b}]0;x\\u{7}\\u{9b}2J⏎b⏎c\\td"),
            "{text}"
        );
        assert!(!text.replace('\n', "").chars().any(char::is_control));
    }

    #[test]
    fn every_line_is_as_wide_as_the_others_with_chinese_and_emoji() {
        let mut table = sample::table();
        table.rows[0][0] = json!("张三👍👨\u{200d}👩\u{200d}👧，您好");
        let text = drawn(&table, Language::Zh, None);
        let widths: Vec<usize> = text.lines().map(|line| line.width()).collect();
        assert!(
            widths.iter().all(|width| *width == widths[0]),
            "{widths:?}\n{text}"
        );
    }

    #[test]
    fn long_text_shrinks_until_the_table_fits_the_terminal() {
        let mut table = sample::table();
        table.rows[0][0] = json!("很长的消息".repeat(500));
        let text = drawn(&table, Language::Zh, Some(170));
        assert!(text.contains('…'));
        assert!(text.lines().all(|line| line.width() <= 170), "{text}");
        assert!(text.starts_with('┌'));
    }

    #[test]
    fn an_answer_too_wide_for_the_terminal_is_written_one_block_a_row() {
        let text = drawn(&sample::table(), Language::Zh, Some(60));
        assert!(
            text.starts_with("──[ 1 ]──\n员工      zhangsan\n"),
            "{text}"
        );
        assert!(text.lines().all(|line| line.width() <= 60), "{text}");
    }

    #[test]
    fn numbers_keep_at_most_four_decimals() {
        assert_eq!(short_number(10.0 / 3.0), "3.3333");
        assert_eq!(short_number(2.50), "2.5");
        assert_eq!(short_number(-0.000_01), "0");
        assert_eq!(percent(0.5), "50.00%");
        assert_eq!(percent(-0.000_001), "0.00%");
    }

    #[test]
    fn a_cut_never_splits_a_wide_character_nor_passes_its_width() {
        assert_eq!(cut("一二三四", 8), "一二三四");
        assert_eq!(cut("一二三四", 7), "一二三…");
        assert_eq!(cut("一二三四", 6), "一二…");
    }
}
