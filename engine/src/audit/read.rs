//! Reading the audit log, newest first.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, OptionalExtension, Row};

use super::entry::Recorded;
use super::store::AuditError;

/// Which entries; the default are all.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// From this instant on, UTC milliseconds.
    pub from_ms: Option<i64>,
    /// Before this instant.
    pub to_ms: Option<i64>,
    /// Of callers with this id or name, or acting for this employee; any if empty.
    pub callers: Vec<String>,
    /// With one of these functions; any if empty.
    pub functions: Vec<String>,
    /// Before this entry.
    pub before: Option<i64>,
    /// At most this many; 0 is all.
    pub limit: usize,
}

/// The columns in the order of [`read`].
pub(super) const COLUMNS: &str = "id, at, phase, caller_kind, caller_id, caller_name, employee, \
     peer, request_id, function, method, route, path, query, body, status, code, n_rows, \
     previous, hash";

pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Recorded> {
    Ok(Recorded {
        id: row.get(0)?,
        at_ms: row.get(1)?,
        phase: row.get(2)?,
        caller_kind: row.get(3)?,
        caller_id: row.get(4)?,
        caller_name: row.get(5)?,
        employee: row.get(6)?,
        peer: row.get(7)?,
        request_id: row.get(8)?,
        function: row.get(9)?,
        method: row.get(10)?,
        route: row.get(11)?,
        path: row.get(12)?,
        query: row.get(13)?,
        body: row.get(14)?,
        status: row.get(15)?,
        code: row.get(16)?,
        n_rows: row.get(17)?,
        previous: row.get(18)?,
        hash: row.get(19)?,
    })
}

/// Opens an existing log; `None` where nothing was recorded yet.
pub(super) fn open(path: &Path) -> Result<Option<Connection>, AuditError> {
    if !path.exists() {
        return Ok(None);
    }
    // A read-only connection cannot use a WAL that nobody has open.
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.busy_timeout(crate::archive::sqlite::PATIENCE)?;
    // Whoever made the file may have found the disk full before its first table.
    let is_begun: bool =
        connection.query_row("SELECT EXISTS (SELECT 1 FROM sqlite_schema)", (), |row| {
            row.get(0)
        })?;
    Ok(is_begun.then_some(connection))
}

/// The entries that a filter lets through, newest first.
pub fn list(path: &Path, filter: &Filter) -> Result<Vec<Recorded>, AuditError> {
    let Some(connection) = open(path)? else {
        return Ok(Vec::new());
    };
    let marks = |n: usize| vec!["?"; n].join(", ");
    let mut conditions = vec!["1".to_string()];
    let mut values: Vec<rusqlite::types::Value> = Vec::new();
    for (condition, value) in [
        ("at >= ?", filter.from_ms),
        ("at < ?", filter.to_ms),
        ("id < ?", filter.before),
    ] {
        if let Some(value) = value {
            conditions.push(condition.into());
            values.push(value.into());
        }
    }
    if !filter.callers.is_empty() {
        let list = marks(filter.callers.len());
        let columns = ["caller_id", "caller_name", "employee"];
        let any = columns.map(|column| format!("{column} IN ({list})"));
        conditions.push(format!("({})", any.join(" OR ")));
        for _ in columns {
            values.extend(filter.callers.iter().map(|id| id.clone().into()));
        }
    }
    if !filter.functions.is_empty() {
        conditions.push(format!("function IN ({})", marks(filter.functions.len())));
        values.extend(filter.functions.iter().map(|name| name.clone().into()));
    }
    let limit = match filter.limit {
        0 => -1,
        n => i64::try_from(n).unwrap_or(i64::MAX),
    };
    let sql = format!(
        "SELECT {COLUMNS} FROM entries WHERE {} ORDER BY id DESC LIMIT {limit}",
        conditions.join(" AND ")
    );
    let mut statement = connection.prepare(&sql)?;
    let found = statement.query_map(rusqlite::params_from_iter(values), read)?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// Number and hash of the newest entry: noted elsewhere, it proves later that nothing before it
/// was changed, whoever could write the file.
pub fn head(path: &Path) -> Result<Option<(i64, [u8; 32])>, AuditError> {
    let Some(connection) = open(path)? else {
        return Ok(None);
    };
    let sql = "SELECT id, hash FROM entries ORDER BY id DESC LIMIT 1";
    let found = connection.query_row(sql, (), |row| Ok((row.get(0)?, row.get(1)?)));
    Ok(found.optional()?)
}
