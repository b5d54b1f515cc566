//! `json` and `ndjson`: objects with their keys in the columns' order, values as they are.
//!
//! Objects are written key by key: a `serde_json` map may be built to sort its keys.

use std::io::{self, Write};

use crate::answer::Table;
use serde_json::Value;

use super::cell::json_text;

/// One array, one row a line.
pub fn write_array(table: &Table, out: &mut impl Write) -> io::Result<()> {
    let keys = keys(table);
    out.write_all(b"[")?;
    for (i, row) in table.rows.iter().enumerate() {
        out.write_all(if i == 0 { b"\n  " } else { b",\n  " })?;
        write_object(&keys, row, out)?;
    }
    let end: &[u8] = if table.rows.is_empty() {
        b"]\n"
    } else {
        b"\n]\n"
    };
    out.write_all(end)
}

/// One object a line.
pub fn write_lines(table: &Table, out: &mut impl Write) -> io::Result<()> {
    let keys = keys(table);
    for row in &table.rows {
        write_object(&keys, row, out)?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

/// The keys, quoted and escaped once for all rows.
fn keys(table: &Table) -> Vec<String> {
    table
        .columns
        .iter()
        .map(|column| json_text(&Value::from(column.key.as_str())))
        .collect()
}

fn write_object(keys: &[String], row: &[Value], out: &mut impl Write) -> io::Result<()> {
    out.write_all(b"{")?;
    for (i, (key, value)) in keys.iter().zip(row).enumerate() {
        let comma = if i == 0 { "" } else { "," };
        write!(out, "{comma}{key}:{}", json_text(value))?;
    }
    out.write_all(b"}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing;
    use super::*;

    fn lines(table: &Table) -> String {
        let mut out = Vec::new();
        write_lines(table, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn array(table: &Table) -> String {
        let mut out = Vec::new();
        write_array(table, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn keys_come_in_column_order_with_null_for_missing_values() {
        let second = lines(&testing::table()).lines().nth(1).unwrap().to_owned();
        assert_eq!(
            second,
            r#"{"userid":"lisi","messages":null,"average":null,"reply_seconds":null,"ratio":null,"at":null,"active":null,"tags":[],"sources":null}"#
        );
    }

    #[test]
    fn each_line_is_the_row_as_an_object() {
        let table = testing::table();
        let read: Vec<Value> = lines(&table)
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(read, table.objects());
    }

    #[test]
    fn an_array_holds_one_row_a_line() {
        let table = testing::table();
        let text = array(&table);
        assert_eq!(text.lines().count(), table.rows.len() + 2);
        let read: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read, Value::Array(table.objects()));
    }

    #[test]
    fn without_rows_the_array_is_empty_and_there_are_no_lines() {
        let mut table = testing::table();
        table.rows.clear();
        assert_eq!(array(&table), "[]\n");
        assert_eq!(lines(&table), "");
    }

    #[test]
    fn message_text_cannot_break_a_line_or_reach_the_terminal() {
        let mut table = testing::table();
        table.rows.truncate(1);
        table.rows[0][0] = json!("a\nb\u{1b}]0;x\u{7}\u{9b}2J");
        let text = lines(&table);
        assert_eq!(text.matches('\n').count(), 1);
        assert!(!text.trim_end().chars().any(char::is_control));
    }
}
