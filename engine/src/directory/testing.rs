//! Directories of a few NDJSON rows, for tests.

use std::collections::HashMap;

use super::feed::read_ndjson;
use super::schema::table;
use super::view::Directory;

/// The view of `(table, rows as NDJSON)`.
pub fn directory_of(tables: &[(&'static str, &str)]) -> Directory {
    let mut read = HashMap::new();
    for (name, rows) in tables {
        let spec = table(name).unwrap();
        let feed = read_ndjson(spec, rows.as_bytes(), "test").unwrap();
        read.insert(*name, feed.rows);
    }
    Directory::from_tables(read)
}
