//! A seal on every row of `media.db`: a hash over all its other columns, so that one flipped bit is
//! found. It guards against decay, not against somebody who can compute a hash.

use aws_lc_rs::digest::{Context, SHA256};
use rusqlite::types::Value;
use rusqlite::{Connection, Row, Statement};

/// Says what kind of seal this is; raised when the way of sealing changes.
const PREFIX: &[u8] = b"huicun media row 1\0";

/// The seal of a row: of its table's name and of all columns but `seal`.
fn seal_of(table: &str, columns: &[(String, Value)]) -> [u8; 32] {
    let mut hash = Context::new(&SHA256);
    let mut part = |tag: u8, bytes: &[u8]| {
        hash.update(&[tag]);
        hash.update(&(bytes.len() as u64).to_be_bytes());
        hash.update(bytes);
    };
    part(b'v', PREFIX);
    part(b't', table.as_bytes());
    for (name, value) in columns.iter().filter(|(name, _)| name != "seal") {
        part(b'c', name.as_bytes());
        match value {
            Value::Null => part(b'n', b""),
            Value::Integer(number) => part(b'i', &number.to_be_bytes()),
            Value::Real(number) => part(b'r', &number.to_bits().to_be_bytes()),
            Value::Text(text) => part(b's', text.as_bytes()),
            Value::Blob(bytes) => part(b'b', bytes),
        }
    }
    let mut seal = [0; 32];
    seal.copy_from_slice(hash.finish().as_ref());
    seal
}

fn columns_of(row: &Row<'_>, names: &[String]) -> rusqlite::Result<Vec<(String, Value)>> {
    let columns = names.iter().enumerate();
    columns
        .map(|(at, name)| Ok((name.clone(), row.get(at)?)))
        .collect()
}

fn names_of(statement: &Statement<'_>) -> Vec<String> {
    let names = statement.column_names();
    names.into_iter().map(String::from).collect()
}

/// Seals a row anew after a change.
pub(super) fn seal(
    connection: &Connection,
    table: &'static str,
    rowid: i64,
) -> rusqlite::Result<()> {
    let mut statement =
        connection.prepare_cached(&format!("SELECT * FROM {table} WHERE rowid = ?1"))?;
    let names = names_of(&statement);
    let seal = statement.query_row([rowid], |row| Ok(seal_of(table, &columns_of(row, &names)?)))?;
    connection
        .prepare_cached(&format!("UPDATE {table} SET seal = ?2 WHERE rowid = ?1"))?
        .execute((rowid, &seal[..]))?;
    Ok(())
}

/// The rows of a table whose seal is not theirs.
pub(super) fn broken(connection: &Connection, table: &'static str) -> rusqlite::Result<Vec<i64>> {
    let mut statement = connection.prepare(&format!("SELECT rowid AS seal, * FROM {table}"))?;
    // The row's number comes first under a name that is left out of the hash.
    let names = names_of(&statement);
    let mut rows = statement.query(())?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let columns = columns_of(row, &names)?;
        let kept = columns.iter().skip(1).find(|(name, _)| name == "seal");
        let is_whole = matches!(kept, Some((_, Value::Blob(kept)))
            if kept[..] == seal_of(table, &columns[1..])[..]);
        if !is_whole {
            found.push(row.get(0)?);
        }
    }
    Ok(found)
}
