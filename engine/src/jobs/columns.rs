//! `table_columns`: the tables and columns that SQL sees, each with what it means in Chinese and
//! English. `columns.txt` and the schema of the derived tables are the one source: SQL shows it, and
//! a test holds the reference pages to it.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, StringArray};
use arrow::datatypes::DataType;
use datafusion::datasource::MemTable;
use datafusion::datasource::empty::EmptyTable;
use datafusion::error::DataFusionError;
use datafusion::prelude::SessionContext;

use super::derive::{schema, sql};
use crate::archive::{TableError, message, messages};
use crate::directory;

/// Its name in SQL.
pub const TABLE: &str = "table_columns";

/// One column of a table or view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// The table or view.
    pub table: String,
    /// Its name.
    pub name: String,
    /// Its type, as the reference pages write it.
    pub kind: String,
    /// Whether it may be null.
    pub nullable: bool,
    /// What it means, in Chinese; empty where nobody wrote it down.
    pub zh: String,
    /// The same in English.
    pub en: String,
}

/// Chinese and English; the English may be empty.
type Comment = (&'static str, &'static str);

static COMMENTS: LazyLock<HashMap<(&str, &str), Comment>> = LazyLock::new(|| {
    let mut comments = HashMap::new();
    let mut table = "";
    for line in include_str!("columns.txt").lines() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some((name, rest)) = line.strip_prefix('[').and_then(|l| l.split_once("] ")) {
            table = name;
            comments.insert((table, ""), rest.split_once(" | ").unwrap_or((rest, "")));
            continue;
        }
        if let Some((column, rest)) = line.split_once(" | ") {
            let comment = rest.split_once(" | ").unwrap_or((rest, ""));
            comments.insert((table, column), comment);
        }
    }
    comments
});

/// What is written down of a column, in Chinese and English.
fn comment(table: &str, column: &str) -> (String, String) {
    // A view of the same columns.
    let of = match table {
        sql::TIMEOUTS_AND_COMING => schema::TIMEOUTS,
        other => other,
    };
    let (zh, en) = COMMENTS.get(&(of, column)).copied().unwrap_or_default();
    if !en.is_empty() {
        return (zh.into(), en.into());
    }
    let derived = schema::TABLES.iter().find(|table| table.name == of);
    let en = derived
        .and_then(|table| table.columns().find(|(name, _)| *name == column))
        .map_or("", |(_, en)| en);
    (zh.into(), en.into())
}

fn told(kind: &DataType) -> String {
    match kind {
        DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 => "string".into(),
        DataType::Int64 => "int64".into(),
        DataType::Int32 => "int32".into(),
        DataType::Float64 => "float64".into(),
        DataType::Boolean => "boolean".into(),
        DataType::Date32 => "date".into(),
        DataType::Binary | DataType::BinaryView | DataType::LargeBinary => "binary".into(),
        DataType::Timestamp(..) => "timestamp (µs, UTC)".into(),
        DataType::List(field) | DataType::LargeList(field) => match field.data_type() {
            DataType::Timestamp(..) => "list of timestamp".into(),
            other => format!("list of {}", told(other)),
        },
        other => other.to_string(),
    }
}

/// All tables and views with their columns: `messages`, the directory, the derived ones.
///
/// # Errors
/// A view that cannot be planned, which a test rules out.
pub async fn all() -> Result<Vec<Column>, TableError> {
    let ctx = SessionContext::new();
    let mut names: Vec<String> = vec![messages::TABLE.into()];
    let empty = |schema| Arc::new(EmptyTable::new(schema));
    ctx.register_table(messages::TABLE, empty(message::SCHEMA.clone()))
        .map_err(failed)?;
    for spec in directory::schema::TABLES {
        ctx.register_table(spec.name, empty(spec.schema()))
            .map_err(failed)?;
        names.push(spec.name.into());
    }
    sql::register_empty(&ctx).await?;
    ctx.register_batch(TABLE, batch(&[]).map_err(failed)?)
        .map_err(failed)?;
    let known: Vec<String> = ctx
        .catalog("datafusion")
        .and_then(|catalog| catalog.schema("public"))
        .map_or_else(Vec::new, |schema| schema.table_names());
    let mut more: Vec<String> = known.into_iter().filter(|n| !names.contains(n)).collect();
    more.sort_unstable();
    names.extend(more);
    let mut columns = Vec::new();
    for table in names {
        let schema = ctx
            .table_provider(table.as_str())
            .await
            .map_err(failed)?
            .schema();
        for field in schema.fields() {
            let (zh, en) = comment(&table, field.name());
            columns.push(Column {
                table: table.clone(),
                name: field.name().clone(),
                kind: told(field.data_type()),
                nullable: field.is_nullable(),
                zh,
                en,
            });
        }
    }
    Ok(columns)
}

/// Lets a session see `table_columns`.
///
/// # Errors
/// As [`all`].
pub async fn register(ctx: &SessionContext) -> Result<(), TableError> {
    let rows = batch(&all().await?).map_err(failed)?;
    let table = MemTable::try_new(rows.schema(), vec![vec![rows]]).map_err(failed)?;
    ctx.register_table(TABLE, Arc::new(table))
        .map(drop)
        .map_err(failed)
}

fn batch(columns: &[Column]) -> Result<RecordBatch, DataFusionError> {
    let texts = |of: fn(&Column) -> &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(columns.iter().map(of)))
    };
    let nullable: BooleanArray = columns.iter().map(|c| Some(c.nullable)).collect();
    Ok(RecordBatch::try_from_iter_with_nullable([
        ("table_name", texts(|c| &c.table), false),
        ("column_name", texts(|c| &c.name), false),
        ("type", texts(|c| &c.kind), false),
        ("nullable", Arc::new(nullable) as ArrayRef, false),
        ("comment_zh", texts(|c| &c.zh), false),
        ("comment_en", texts(|c| &c.en), false),
    ])?)
}

fn failed(source: DataFusionError) -> TableError {
    TableError::File {
        table: TABLE.into(),
        file: "its registration".into(),
        source: source.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_column_that_sql_sees_is_explained_in_both_languages() {
        let columns = all().await.unwrap();
        for table in ["messages", "orders", "behaviours", "replies", TABLE] {
            assert!(columns.iter().any(|c| c.table == table), "{table}");
        }
        let bare: Vec<String> = columns
            .iter()
            .filter(|c| c.zh.is_empty() || c.en.is_empty())
            .map(|c| format!("{}.{}", c.table, c.name))
            .collect();
        assert!(bare.is_empty(), "{bare:?}");
    }

    #[tokio::test]
    async fn nothing_is_explained_that_sql_does_not_see() {
        let columns = all().await.unwrap();
        for (table, column) in COMMENTS.keys() {
            let is_seen =
                |c: &&Column| c.table == *table && (column.is_empty() || c.name == *column);
            assert!(columns.iter().any(|c| is_seen(&c)), "{table}.{column}");
        }
    }
}
