//! The seal of a SQLite database: a sum over the hashes of all its rows, kept by triggers in the
//! same transaction as every change, and a hash of its schema.
//!
//! SQLite's own check sees a broken structure, not a flipped bit inside a value; together they see
//! both. Any database of ours can be sealed: [`install`] on every connection, [`check`] to verify.
//! Bytes that SQLite itself ignores (free pages, gaps inside of pages, counters of its header)
//! hold nothing and are under no seal.

use std::path::Path;

use aws_lc_rs::digest::{Context, SHA256};
use rusqlite::functions::FunctionFlags;
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, OpenFlags, OptionalExtension, Result, TransactionBehavior};

use crate::archive::seal::Sum;

/// The function that the triggers call.
const FUNCTION: &str = "huicun_seal";

/// Registers the function of the triggers on a connection, and makes seal and triggers where they
/// are missing or the schema has changed since. Must be called before the first change.
pub fn install(connection: &mut Connection) -> Result<()> {
    register(connection)?;
    // Without it a REPLACE deletes rows behind the triggers' back.
    connection.pragma_update(None, "recursive_triggers", true)?;
    if is_installed(connection)? {
        return Ok(());
    }
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    tx.execute_batch(
        "CREATE TABLE IF NOT EXISTS seal (
            id INTEGER PRIMARY KEY CHECK (id = 1),
            rows_sum BLOB NOT NULL,
            schema_sha256 BLOB NOT NULL
        ) STRICT;",
    )?;
    for name in names(&tx, "trigger", "seal!_%")? {
        tx.execute_batch(&format!("DROP TRIGGER {}", quoted(&name)))?;
    }
    for table in sealed_tables(&tx)? {
        tx.execute_batch(&triggers(&table, &columns(&tx, &table)?))?;
    }
    tx.execute(
        "INSERT OR REPLACE INTO seal (id, rows_sum, schema_sha256) VALUES (1, ?1, ?2)",
        (sum_of(&tx)?.to_bytes(), schema_hash(&tx)?),
    )?;
    tx.commit()
}

/// As [`install`] for a database that has no seal yet; one that is there stays as it is, also where
/// it does not fit the rows or the tables: what somebody has changed is not sealed anew.
pub fn install_once(connection: &mut Connection) -> Result<()> {
    if names(connection, "table", "seal")?.is_empty() {
        return install(connection);
    }
    register(connection)?;
    connection.pragma_update(None, "recursive_triggers", true)
}

/// What is wrong with the database at `path`; nothing when it is whole.
pub fn check(path: &Path) -> Vec<String> {
    match faults(path) {
        Ok(faults) => faults,
        Err(error) => vec![error.to_string()],
    }
}

fn faults(path: &Path) -> Result<Vec<String>> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.busy_timeout(crate::archive::sqlite::PATIENCE)?;
    // One transaction: rows and seal of one moment, whoever writes meanwhile.
    let view = connection.unchecked_transaction()?;
    let mut statement = view.prepare("PRAGMA integrity_check(10)")?;
    let told: Vec<String> = statement
        .query_map((), |row| row.get(0))?
        .collect::<Result<_>>()?;
    let mut faults: Vec<String> = told.into_iter().filter(|line| line != "ok").collect();
    let has_seal = !names(&view, "table", "seal")?.is_empty();
    if !has_seal {
        // Made when the disk had room for no more. What never had a row has nothing to seal.
        if has_no_row(&view)? {
            return Ok(faults);
        }
        faults.push("its seal is gone".into());
        return Ok(faults);
    }
    let stored: Option<(Vec<u8>, Vec<u8>)> = view
        .query_row("SELECT rows_sum, schema_sha256 FROM seal", (), |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    let Some((rows, schema)) = stored else {
        faults.push("its seal is gone".into());
        return Ok(faults);
    };
    if rows != sum_of(&view)?.to_bytes() {
        faults.push("its rows are not those that were written".into());
    }
    if schema != schema_hash(&view)? {
        faults.push("its tables or triggers are not those that were made".into());
    }
    Ok(faults)
}

fn register(connection: &Connection) -> Result<()> {
    // Without the mark a database that is marked untrusted would refuse it in triggers.
    let flags = FunctionFlags::SQLITE_UTF8
        | FunctionFlags::SQLITE_DETERMINISTIC
        | FunctionFlags::SQLITE_INNOCUOUS;
    connection.create_scalar_function(FUNCTION, -1, flags, |call| {
        let bad = |what: &str| rusqlite::Error::UserFunctionError(what.into());
        let stored = call.get_raw(0).as_blob().ok();
        let stored: &[u8; 32] = stored
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or_else(|| bad("the seal is damaged"))?;
        let mut sum = Sum::from_bytes(stored);
        let table = call.get_raw(2).as_str().map_err(|_| bad("no table"))?;
        let hash = row_hash(table, (3..call.len()).map(|at| call.get_raw(at)));
        match call.get::<i64>(1)? {
            1 => sum.add(&hash),
            _ => sum.remove(&hash),
        }
        Ok(sum.to_bytes().to_vec())
    })
}

fn row_hash<'a>(table: &str, values: impl Iterator<Item = ValueRef<'a>>) -> [u8; 32] {
    let mut hash = Context::new(&SHA256);
    let mut put = |kind: u8, bytes: &[u8]| {
        hash.update(&[kind]);
        hash.update(&(bytes.len() as u64).to_be_bytes());
        hash.update(bytes);
    };
    put(b't', table.as_bytes());
    for value in values {
        match value {
            ValueRef::Null => put(b'n', b""),
            ValueRef::Integer(number) => put(b'i', &number.to_be_bytes()),
            ValueRef::Real(number) => put(b'r', &number.to_bits().to_be_bytes()),
            ValueRef::Text(bytes) => put(b's', bytes),
            ValueRef::Blob(bytes) => put(b'b', bytes),
        }
    }
    let mut out = [0; 32];
    out.copy_from_slice(hash.finish().as_ref());
    out
}

fn sum_of(connection: &Connection) -> Result<Sum> {
    let mut sum = Sum::default();
    for table in sealed_tables(connection)? {
        let columns = columns(connection, &table)?.join(", ");
        let mut statement =
            connection.prepare(&format!("SELECT {columns} FROM {}", quoted(&table)))?;
        let n_columns = statement.column_count();
        let mut rows = statement.query(())?;
        while let Some(row) = rows.next()? {
            let values: Vec<ValueRef<'_>> = (0..n_columns)
                .map(|at| row.get_ref(at))
                .collect::<Result<_>>()?;
            sum.add(&row_hash(&table, values.into_iter()));
        }
    }
    Ok(sum)
}

/// SHA-256 over everything in the schema and the number of its version.
fn schema_hash(connection: &Connection) -> Result<Vec<u8>> {
    let mut sum = Sum::default();
    let mut statement =
        connection.prepare("SELECT type, name, tbl_name, sql FROM sqlite_schema")?;
    let mut rows = statement.query(())?;
    while let Some(row) = rows.next()? {
        let values: Vec<Value> = (0..4).map(|at| row.get(at)).collect::<Result<_>>()?;
        sum.add(&row_hash(
            "sqlite_schema",
            values.iter().map(ValueRef::from),
        ));
    }
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    sum.add(&row_hash(
        "user_version",
        std::iter::once(ValueRef::Integer(version)),
    ));
    Ok(sum.to_bytes().to_vec())
}

/// Whether seal and triggers are those of the schema as it is now.
fn is_installed(connection: &Connection) -> Result<bool> {
    if names(connection, "table", "seal")?.is_empty() {
        return Ok(false);
    }
    let stored: Option<Vec<u8>> = connection
        .query_row("SELECT schema_sha256 FROM seal", (), |row| row.get(0))
        .optional()?;
    Ok(stored.is_some_and(|stored| schema_hash(connection).is_ok_and(|now| now == stored)))
}

fn names(connection: &Connection, kind: &str, like: &str) -> Result<Vec<String>> {
    let mut statement = connection.prepare(
        "SELECT name FROM sqlite_schema WHERE type = ?1 AND name LIKE ?2 ESCAPE '!' ORDER BY name",
    )?;
    let found = statement.query_map((kind, like), |row| row.get(0))?;
    found.collect()
}

fn sealed_tables(connection: &Connection) -> Result<Vec<String>> {
    let mut tables = names(connection, "table", "%")?;
    tables.retain(|name| name != "seal" && !name.starts_with("sqlite_"));
    Ok(tables)
}

fn has_no_row(connection: &Connection) -> Result<bool> {
    for table in sealed_tables(connection)? {
        let sql = format!("SELECT EXISTS (SELECT 1 FROM {})", quoted(&table));
        if connection.query_row(&sql, (), |row| row.get(0))? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn columns(connection: &Connection, table: &str) -> Result<Vec<String>> {
    let mut statement = connection.prepare("SELECT name FROM pragma_table_info(?1)")?;
    let found = statement.query_map((table,), |row| row.get::<_, String>(0))?;
    found.map(|name| name.map(|name| quoted(&name))).collect()
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn triggers(table: &str, columns: &[String]) -> String {
    let values = |which: &str| -> String {
        let columns = columns.iter().map(|column| format!(", {which}.{column}"));
        columns.collect()
    };
    let (old, new) = (values("OLD"), values("NEW"));
    let (text, name) = (table.replace('\'', "''"), quoted(table));
    let made = |event: &str, sum: String| {
        let trigger = quoted(&format!("seal_{table}_{}", event.to_ascii_lowercase()));
        format!(
            "CREATE TRIGGER {trigger} AFTER {event} ON {name} BEGIN \
             UPDATE seal SET rows_sum = {sum}; END;\n"
        )
    };
    let add = |sum: &str| format!("{FUNCTION}({sum}, 1, '{text}'{new})");
    let remove = |sum: &str| format!("{FUNCTION}({sum}, -1, '{text}'{old})");
    [
        made("INSERT", add("rows_sum")),
        made("DELETE", remove("rows_sum")),
        made("UPDATE", add(&remove("rows_sum"))),
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(dir: &tempfile::TempDir) -> (std::path::PathBuf, Connection) {
        let path = dir.path().join("x.db");
        let mut db = Connection::open(&path).unwrap();
        db.execute_batch(
            "CREATE TABLE a (id TEXT PRIMARY KEY, n INTEGER, x BLOB) STRICT;
             CREATE TABLE \"b c\" (id INTEGER PRIMARY KEY, t TEXT) STRICT;",
        )
        .unwrap();
        install(&mut db).unwrap();
        (path, db)
    }

    #[test]
    fn every_way_to_change_rows_keeps_the_seal() {
        let dir = tempfile::tempdir().unwrap();
        let (path, mut db) = made(&dir);
        db.execute_batch(
            "INSERT INTO a VALUES ('x', 1, x'00ff'), ('y', NULL, NULL);
             INSERT INTO \"b c\" (t) VALUES ('你好'), ('it''s');
             UPDATE a SET n = 7;
             INSERT OR REPLACE INTO a VALUES ('x', 9, NULL);
             INSERT INTO a VALUES ('y', 1, NULL) ON CONFLICT (id) DO UPDATE SET n = 3;
             DELETE FROM \"b c\" WHERE id = 1;",
        )
        .unwrap();
        assert_eq!(check(&path), [""; 0]);
        db.execute_batch("ALTER TABLE a ADD COLUMN later TEXT")
            .unwrap();
        assert_ne!(check(&path), [""; 0]);
        install(&mut db).unwrap();
        db.execute("UPDATE a SET later = 'z'", ()).unwrap();
        assert_eq!(check(&path), [""; 0]);
    }

    #[test]
    fn a_row_changed_behind_the_triggers_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let (path, db) = made(&dir);
        db.execute("INSERT INTO a VALUES ('x', 1, NULL)", ())
            .unwrap();
        db.execute_batch("DROP TRIGGER seal_a_update; UPDATE a SET n = 2")
            .unwrap();
        let found = check(&path);
        assert_eq!(found.len(), 2, "{found:?}");
    }
}
