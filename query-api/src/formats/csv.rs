//! `csv`: RFC 4180 quoting, a header of keys, values as they are but for formulas.
//!
//! Text that a spreadsheet would run as a formula gets a leading `'` (reliability F47); numbers
//! never do. Lists are joined with `|` as in the feeds, null is empty. Lines end in LF and
//! there is no byte-order mark: for Excel there is `xlsx`.

use std::io::{self, Write};

use crate::answer::{Column, ColumnKind, Table};
use csv::{ErrorKind, Writer};
use serde_json::Value;

use super::Reader;
use super::cell::{looks_like_formula, plain, visible};

/// Header and rows.
pub fn write(table: &Table, reader: Reader, out: &mut impl Write) -> io::Result<()> {
    let mut rows = Rows::new(&table.columns, reader, out)?;
    for row in &table.rows {
        rows.add(&table.columns, row)?;
    }
    rows.finish()
}

/// Rows as they come, for answers that are not in memory whole.
pub struct Rows<W: Write> {
    writer: Writer<W>,
    reader: Reader,
}

impl<W: Write> Rows<W> {
    /// Writes the header.
    ///
    /// # Errors
    /// What `out` refuses.
    pub fn new(columns: &[Column], reader: Reader, out: W) -> io::Result<Self> {
        let mut writer = Writer::from_writer(out);
        let keys = columns.iter().map(|column| column.key.clone());
        write_record(&mut writer, reader, keys.map(neutral))?;
        Ok(Self { writer, reader })
    }

    /// Writes a row.
    ///
    /// # Errors
    /// What the place refuses.
    pub fn add(&mut self, columns: &[Column], row: &[Value]) -> io::Result<()> {
        let fields = columns.iter().zip(row);
        let fields = fields.map(|(column, value)| field(value, column.kind));
        write_record(&mut self.writer, self.reader, fields)
    }

    /// Writes what is left.
    ///
    /// # Errors
    /// What the place refuses.
    pub fn finish(mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

fn write_record(
    writer: &mut Writer<impl Write>,
    reader: Reader,
    fields: impl Iterator<Item = String>,
) -> io::Result<()> {
    let written = match reader {
        Reader::Program => writer.write_record(fields.map(String::into_bytes)),
        Reader::Terminal => {
            writer.write_record(fields.map(|text| visible(&text, &['\n', '\t']).into_owned()))
        }
    };
    // The conversion that the crate offers hides a broken pipe behind `Other`.
    written.map_err(|error| match error.into_kind() {
        ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    })
}

fn field(value: &Value, kind: ColumnKind) -> String {
    let text = plain(value, kind, "|");
    match value {
        Value::Number(_) => text,
        Value::String(_) if is_numeric(kind) && text.parse::<f64>().is_ok() => text,
        _ => neutral(text),
    }
}

fn is_numeric(kind: ColumnKind) -> bool {
    use ColumnKind::{Integer, Number, Ratio, Seconds};
    matches!(kind, Integer | Number | Seconds | Ratio)
}

fn neutral(text: String) -> String {
    if looks_like_formula(&text) {
        format!("'{text}")
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use crate::answer::Column;
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::testing;
    use super::*;

    fn csv_of(table: &Table, reader: Reader) -> String {
        let mut out = Vec::new();
        write(table, reader, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn one_cell(value: Value, kind: ColumnKind) -> String {
        let table = Table {
            columns: vec![Column::new("a", "甲", "A", kind)],
            rows: vec![vec![value]],
        };
        let text = csv_of(&table, Reader::Program);
        let mut read = csv::Reader::from_reader(text.as_bytes());
        let record = read.records().next().unwrap().unwrap();
        record[0].to_owned()
    }

    #[test]
    fn rows_are_written_under_their_keys() {
        let text = csv_of(&testing::table(), Reader::Program);
        assert_eq!(
            text.lines().collect::<Vec<_>>(),
            [
                "userid,messages,average,reply_seconds,ratio,at,active,tags,sources",
                r#"zhangsan,12,-1.5,90061.25,0.1234,2024-10-01T09:00:00.123+08:00,true,新客|重点,"{""扫码"":2}""#,
                "lisi,,,,,,,,",
            ]
        );
    }

    #[test]
    fn without_rows_there_is_still_a_header() {
        let mut table = testing::table();
        table.rows.clear();
        assert!(csv_of(&table, Reader::Program).starts_with("userid,messages,"));
    }

    #[test]
    fn text_that_starts_a_formula_is_neutralised_and_numbers_are_not() {
        for start in "=+-@\t\r\0＝＋－＠".chars() {
            let text = format!("{start}1+1");
            assert_eq!(one_cell(json!(text), ColumnKind::Text), format!("'{text}"));
            assert_eq!(
                one_cell(json!([text]), ColumnKind::TextList),
                format!("'{text}")
            );
        }
        assert_eq!(one_cell(json!(-5), ColumnKind::Integer), "-5");
        assert_eq!(one_cell(json!(-0.5), ColumnKind::Text), "-0.5");
        assert_eq!(one_cell(json!("-5.25"), ColumnKind::Number), "-5.25");
        assert_eq!(one_cell(json!("1-1"), ColumnKind::Text), "1-1");
    }

    #[test]
    fn a_key_that_starts_a_formula_is_neutralised_too() {
        let table = Table {
            columns: vec![Column::new("=x", "甲", "A", ColumnKind::Text)],
            rows: vec![],
        };
        assert_eq!(csv_of(&table, Reader::Program), "'=x\n");
    }

    #[test]
    fn a_terminal_sees_escapes_and_a_program_gets_every_byte() {
        let mut table = testing::table();
        table.rows[0][0] = json!("\u{1b}[2J甲");
        assert!(csv_of(&table, Reader::Terminal).contains("\\u{1b}[2J甲"));
        assert!(csv_of(&table, Reader::Program).contains("\u{1b}[2J甲"));
    }

    proptest! {
        #[test]
        fn any_text_reads_back_and_never_starts_a_formula(
            start in "[=+\\-@\t\r\u{0}＝＋－＠\"',\n]{0,3}",
            rest in any::<String>(),
        ) {
            let text = start + &rest;
            let read = one_cell(json!(text), ColumnKind::Text);
            prop_assert!(!looks_like_formula(&read));
            let expected = if looks_like_formula(&text) { format!("'{text}") } else { text };
            prop_assert_eq!(read, expected);
        }
    }
}
