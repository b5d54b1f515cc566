//! Read-only SQL. Who does not see everything has tables of the visible rows only
//! (`engine/src/tables/barrier.rs`), so that no expression of his, failing or not, ever looks at
//! another.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::{DataType, Field};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use huicun_engine::access::Scope;
use huicun_engine::jobs::derive::sql as derived;
use huicun_engine::jobs::{Facts, columns};
use huicun_engine::tables::{self, Budget, Tables, Visible};
use huicun_semantics::time::Zone;
use serde_json::Value;

use super::archive::{Archive, AsOf};
use super::error::QuestionError;
use crate::answer::{Column, ColumnKind, Table};

/// Time of a statement where nobody says otherwise.
pub const TIME_MAX: Duration = Duration::from_secs(60);

/// What an answer over HTTP may take.
pub const HTTP_BUDGET: Budget = Budget {
    // As Arrow holds it; its JSON takes several times as much.
    bytes_max: 128 << 20,
    rows_max: Some(1_000_000),
    time_max: Some(TIME_MAX),
};

/// Runs one SELECT within a budget. Bringing the tables forward takes none of its time.
pub async fn sql(
    scope: &Scope,
    archive: &Archive,
    statement: &str,
    budget: Budget,
) -> Result<(Table, AsOf), QuestionError> {
    // What is refused changes nothing, the derived tables neither.
    let asked = tables::check(statement)?;
    let tables = tables::open_asked(archive.home(), &asked).await?;
    // Who asks for messages only does not wait for figures.
    let facts = match asked.iter().any(|name| derived::is_derived(name)) {
        true => Some(archive.facts().await?),
        false => None,
    };
    let visible = visible(scope, archive, &tables, facts.as_deref(), &asked).await?;
    let ctx = match &visible {
        Some(visible) => tables.session_of(visible).await?,
        None => tables.session().await?,
    };
    if let Some(facts) = &facts {
        let reviews = archive.state()?.behaviour_reviews()?;
        match &visible {
            Some(visible) => {
                let snapshot = &facts.snapshot;
                snapshot
                    .register_visible(&ctx, &reviews, &asked, visible)
                    .await?;
            }
            None => facts.snapshot.register(&ctx, &reviews, &asked).await?,
        }
    }
    if asked.iter().any(|name| name == columns::TABLE) {
        columns::register(&ctx).await?;
    }
    let (schema, batches) = match visible {
        Some(_) => tables::query_guarded(&ctx, statement, budget).await?,
        None => tables::query(&ctx, statement, budget).await?,
    };
    let columns = schema
        .fields()
        .iter()
        .map(|field| Column::new(field.name(), field.name(), field.name(), kind(field)))
        .collect();
    let mut rows = Vec::new();
    for batch in &batches {
        for row in 0..batch.num_rows() {
            rows.push(cells(batch, row, archive.zone())?);
        }
    }
    let directory = archive.directory().await?;
    let as_of = archive.as_of(tables.messages_version(), &directory);
    Ok((Table { columns, rows }, as_of))
}

/// What of the tables asked for is visible; none for a scope that sees everything. Rooms are seen
/// as in a search and in the lists of figures: whole where somebody in scope ever spoke or
/// received, by what the index or the derived tables know.
async fn visible(
    scope: &Scope,
    archive: &Archive,
    tables: &Tables,
    facts: Option<&Facts>,
    asked: &[String],
) -> Result<Option<Arc<Visible>>, QuestionError> {
    let Some(people) = scope.employees() else {
        return Ok(None);
    };
    let mut rooms: HashSet<String> = match archive.search()? {
        Some(index) => index.rooms_of(people)?,
        None => HashSet::new(),
    };
    if let Some(facts) = facts {
        let known = facts.snapshot.room_people().await?.into_iter();
        let seen = known.filter(|(_, those)| those.iter().any(|id| people.contains(id)));
        rooms.extend(seen.map(|(room, _)| room));
    }
    let directory = archive.directory().await?;
    let visible = Visible::new(scope, &directory, rooms);
    Ok(match visible {
        Some(visible) if asked.iter().any(|name| name == "kf_messages") => {
            let sessions = tables.sessions_of(people).await?;
            Some(Arc::new(visible.with_sessions(sessions)))
        }
        visible => visible.map(Arc::new),
    })
}

fn kind(field: &Field) -> ColumnKind {
    match field.data_type() {
        t if t.is_integer() => ColumnKind::Integer,
        t if t.is_numeric() => ColumnKind::Number,
        DataType::Boolean => ColumnKind::Boolean,
        DataType::Timestamp(_, Some(_)) => ColumnKind::Instant,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => ColumnKind::Text,
        DataType::Date32 | DataType::Date64 => ColumnKind::Text,
        _ => ColumnKind::Json,
    }
}

fn cells(batch: &RecordBatch, row: usize, zone: Zone) -> Result<Vec<Value>, QuestionError> {
    batch
        .columns()
        .iter()
        .map(|array| {
            cell(array.as_ref(), row, zone)
                .map_err(|e| QuestionError::Sql(datafusion::error::DataFusionError::from(e).into()))
        })
        .collect()
}

/// An Arrow value as JSON: numbers as numbers, zoned instants in the company's zone, lists as
/// lists, everything else as Arrow shows it.
fn cell(array: &dyn Array, row: usize, zone: Zone) -> Result<Value, arrow::error::ArrowError> {
    use arrow::array::AsArray;
    use arrow::datatypes::{
        Float64Type, Int64Type, TimeUnit, TimestampMillisecondType, UInt64Type,
    };
    if array.is_null(row) {
        return Ok(Value::Null);
    }
    let one = array.slice(row, 1);
    Ok(match array.data_type() {
        DataType::Boolean => one.as_boolean().value(0).into(),
        DataType::UInt64 => one.as_primitive::<UInt64Type>().value(0).into(),
        t if t.is_integer() => {
            let number = arrow::compute::cast(&one, &DataType::Int64)?;
            number.as_primitive::<Int64Type>().value(0).into()
        }
        DataType::Float16 | DataType::Float32 | DataType::Float64 => {
            let number = arrow::compute::cast(&one, &DataType::Float64)?;
            let number = number.as_primitive::<Float64Type>().value(0);
            serde_json::Number::from_f64(number).map_or(Value::Null, Value::Number)
        }
        DataType::Timestamp(_, Some(_)) => {
            let utc = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
            let ms = arrow::compute::cast(&one, &utc)?;
            zone.rfc3339_ms(ms.as_primitive::<TimestampMillisecondType>().value(0))
                .into()
        }
        DataType::List(_) | DataType::LargeList(_) | DataType::ListView(_) => {
            let list = arrow::compute::cast(
                &one,
                &DataType::List(std::sync::Arc::new(Field::new(
                    "element",
                    element_type(array.data_type()),
                    true,
                ))),
            )?;
            let values = list.as_list::<i32>().value(0);
            let items: Result<Vec<Value>, _> = (0..values.len())
                .map(|i| cell(values.as_ref(), i, zone))
                .collect();
            Value::Array(items?)
        }
        _ => {
            let options = FormatOptions::default();
            ArrayFormatter::try_new(one.as_ref(), &options)?
                .value(0)
                .to_string()
                .into()
        }
    })
}

fn element_type(list: &DataType) -> DataType {
    match list {
        DataType::List(field) | DataType::LargeList(field) | DataType::ListView(field) => {
            field.data_type().clone()
        }
        other => other.clone(),
    }
}
