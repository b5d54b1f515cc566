//! The employees report (manual 8.2.1): metrics per employee and slice.

use huicun_engine::access::Scope;
use huicun_engine::metrics::catalogue::{self, EMPLOYEES, Metric, Unit, Value as MetricValue};
use huicun_engine::metrics::employees::{Question, report};
use huicun_semantics::time::{By, Period};
use serde_json::{Value, json};

use super::archive::{Archive, AsOf, now_ms};
use super::error::QuestionError;
use crate::answer::{Column, ColumnKind, Table};

/// Rows of an answer: employees times slices. A year by day of 2,000 employees fits.
const ROWS_MAX: usize = 1_000_000;

/// What is asked.
#[derive(Debug, Clone, Default)]
pub struct ReportParams {
    /// First day.
    pub from: Option<String>,
    /// Last day.
    pub to: Option<String>,
    /// `day`, `week` or `month`.
    pub by: Option<String>,
    /// Metric keys; all when empty.
    pub metrics: Vec<String>,
    /// Only these employees.
    pub employees: Vec<String>,
    /// Only employees of these departments or below.
    pub departments: Vec<String>,
}

/// The report with what it says of itself.
pub struct Report {
    /// Columns and rows.
    pub table: Table,
    /// The days that it covers.
    pub period: Period,
    /// The metrics shown.
    pub metrics: Vec<&'static Metric>,
    /// From which versions.
    pub as_of: AsOf,
}

/// Counts the metrics.
pub async fn employees(
    scope: &Scope,
    archive: &Archive,
    params: &ReportParams,
) -> Result<Report, QuestionError> {
    let picked = catalogue::pick(&params.metrics)?;
    let by: Option<By> = params
        .by
        .as_deref()
        .map(str::parse)
        .transpose()
        .map_err(|e| QuestionError::Parameter(format!("{e}")))?;
    // Days are checked before anything is computed.
    archive.instants(params.from.as_deref(), params.to.as_deref())?;
    let facts = archive.facts().await?;
    let period = archive.period(params.from.as_deref(), params.to.as_deref(), &facts)?;
    let n_slices = match by {
        None => 1,
        // Counted without being made: a wide period has millions of days.
        Some(By::Day) => usize::try_from(period.n_days()).unwrap_or(usize::MAX),
        Some(by) => by.slices(&period).len(),
    };
    let n_rows = n_slices * facts.directory.employees.len().max(1);
    if n_rows > ROWS_MAX {
        return Err(QuestionError::Parameter(format!(
            "the report would have {n_rows} rows; at most {ROWS_MAX} are given, take a shorter period"
        )));
    }
    let question = Question {
        period,
        by,
        employees: params.employees.clone(),
        departments: params.departments.clone(),
        now_ms: now_ms(),
    };
    let (asker, counted) = (scope.clone(), std::sync::Arc::clone(&facts));
    let rows = tokio::task::spawn_blocking(move || report(&asker, &counted, &question))
        .await
        .map_err(|_| QuestionError::Interrupted)?;
    let rows = rows
        .into_iter()
        .map(|row| {
            let mut cells: Vec<Value> = vec![json!(row.userid), json!(row.name)];
            cells.extend(row.period.map(Value::from));
            cells.extend(picked.iter().map(|i| MetricValue::to_json(row.values[*i])));
            cells
        })
        .collect();
    let zone = archive.zone();
    let instants = (Some(period.start_ms(zone)), Some(period.end_ms(zone)));
    let as_of = archive
        .as_of_period(scope, facts.messages_version, &facts.directory, instants)
        .await;
    Ok(Report {
        table: Table {
            columns: columns(by.is_some(), &picked),
            rows,
        },
        period,
        metrics: picked.iter().map(|i| &EMPLOYEES[*i]).collect(),
        as_of,
    })
}

fn columns(is_sliced: bool, picked: &[usize]) -> Vec<Column> {
    let mut columns = vec![
        Column::new("userid", "员工 ID", "Employee", ColumnKind::Text),
        Column::new("name", "姓名", "Name", ColumnKind::Text),
    ];
    if is_sliced {
        columns.push(Column::new("period", "时段", "Period", ColumnKind::Text));
    }
    columns.extend(picked.iter().map(|i| {
        let metric = &EMPLOYEES[*i];
        let kind = match metric.unit {
            Unit::Count => ColumnKind::Integer,
            Unit::Seconds => ColumnKind::Seconds,
            Unit::Ratio => ColumnKind::Ratio,
            Unit::Number => ColumnKind::Number,
        };
        Column::new(&metric.json_key(), metric.zh, metric.en, kind)
    }));
    columns
}
