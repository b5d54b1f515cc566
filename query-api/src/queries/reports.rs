//! The reports (manual 8): metrics per unit and slice. One function for all of them.
//!
//! Who sees what: an employee's row needs that employee in scope. A department's or store's row
//! needs everybody in scope whom it ever had up to the end of the period or now, the company's row
//! the scope `all`; a row outside the scope is left out, as if it were not there. That some were
//! kept back whose people the caller sees in part is said, not which. The totals row is of the
//! rows that are given.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{Days, NaiveDate};
use huicun_engine::access::Scope;
use huicun_engine::jobs::Facts;
use huicun_engine::metrics::catalogue::{self, Metric, ValueUnit};
use huicun_engine::metrics::question::Question;
use huicun_engine::metrics::report::{Answer, Inputs, Report as Kind, ReportError, Row, count};
use huicun_engine::metrics::settings::Settings;
use huicun_engine::metrics::tables::FromTables;
use huicun_engine::metrics::unit::Per;
use huicun_semantics::time::{By, Period};
use serde_json::{Value, json};

use super::archive::{Archive, AsOf, now_ms};
use super::error::QuestionError;
use crate::answer::{Column, ColumnKind, Table};

/// Rows of an answer at the command line: units times slices. A year by day of 2,000 employees
/// fits.
const ROWS_MAX: usize = 1_000_000;
/// The same over HTTP, where the whole answer is held as JSON and others wait for their share of
/// memory: a year by day of 270 employees fits.
pub const HTTP_ROWS_MAX: usize = 100_000;
/// Days of a period over HTTP: two hundred years. Each month costs a little whether anything is in it
/// or not, and thousands of years of them would keep a core for minutes.
const HTTP_DAYS_MAX: i64 = 73_050;

/// Told after each stretch of days: how many of all are done.
pub type Progress = Arc<dyn Fn(usize, usize) + Send + Sync>;

/// What is asked.
#[derive(Clone, Default)]
pub struct ReportParams {
    /// First day.
    pub from: Option<String>,
    /// Last day.
    pub to: Option<String>,
    /// `day`, `week` or `month`.
    pub by: Option<String>,
    /// Metric keys; all when empty.
    pub metrics: Vec<String>,
    /// Only these employees, or units in which one of them was.
    pub employees: Vec<String>,
    /// Only employees of these departments or below; of departments these and those below.
    pub departments: Vec<String>,
    /// Only these stores, or employees who were in one of them.
    pub stores: Vec<String>,
    /// Only these groups.
    pub groups: Vec<String>,
    /// What rows are about, where the report has a choice: `company`, `employee`, `department`.
    pub per: Option<String>,
    /// Rows that are given at most: units times slices.
    pub rows_max: Option<usize>,
    /// Who wants to know how far it is.
    pub progress: Option<Progress>,
}

/// The report with what it says of itself.
pub struct Report {
    /// Columns and rows.
    pub table: Table,
    /// All rows as one unit, a row per slice, with the table's columns.
    pub totals: Vec<Vec<Value>>,
    /// How deep each row stands in the tree of departments, and under which id; empty where rows
    /// are no tree.
    pub tree: Vec<(u8, Option<String>)>,
    /// The days that it covers.
    pub period: Period,
    /// The metrics shown.
    pub metrics: Vec<Metric>,
    /// How many units were kept back, by kind: those that the question asks for and whose people
    /// the caller sees in part. Empty for who sees everything.
    pub withheld: BTreeMap<&'static str, u64>,
    /// From which versions.
    pub as_of: AsOf,
}

/// A question that was understood, with what it is asked of.
pub(super) struct Asked {
    pub facts: Arc<Facts>,
    pub settings: Settings,
    pub question: Question,
    pub per: Per,
}

/// Understands a question.
pub(super) async fn ask(
    kind: Kind,
    archive: &Archive,
    params: &ReportParams,
) -> Result<Asked, QuestionError> {
    let by: Option<By> = params
        .by
        .as_deref()
        .map(str::parse)
        .transpose()
        .map_err(|e| QuestionError::Parameter(format!("{e}")))?;
    let per = per(kind, params.per.as_deref())?;
    filters_fit(kind, per, params)?;
    // Days are checked before anything is computed.
    archive.instants(params.from.as_deref(), params.to.as_deref())?;
    let facts = archive.facts().await?;
    let settings = Settings::of(&facts.rules);
    let period = match (kind, &params.from, &params.to) {
        (Kind::Groups, None, None) => window(&settings, settings.zone.day_of(now_ms())),
        (_, from, to) => archive.period(from.as_deref(), to.as_deref(), &facts)?,
    };
    if params.rows_max.is_some() && period.n_days() > HTTP_DAYS_MAX {
        return Err(QuestionError::Parameter(format!(
            "the period has {} days; at most {HTTP_DAYS_MAX} are allowed",
            period.n_days()
        )));
    }
    let rows_max = params.rows_max.unwrap_or(ROWS_MAX);
    slices_fit(&period, by, rows_max)?;
    Ok(Asked {
        settings,
        question: Question {
            by,
            employees: params.employees.clone(),
            departments: params.departments.clone(),
            stores: params.stores.clone(),
            groups: params.groups.clone(),
            rows_max,
            ..Question::over(period, now_ms())
        },
        per,
        facts,
    })
}

/// The last days of `[group_activity]`, today among them.
fn window(settings: &Settings, today: NaiveDate) -> Period {
    let days = settings.group_activity.window_days.saturating_sub(1);
    let from = today.checked_sub_days(Days::new(u64::from(days)));
    Period {
        from: from.unwrap_or(today),
        to: today,
    }
}

/// What rows are about.
pub(super) fn per(kind: Kind, asked: Option<&str>) -> Result<Per, QuestionError> {
    let wrong = |expected: &str| {
        QuestionError::Parameter(format!("`per` of report {kind}: expected {expected}"))
    };
    match (kind, asked) {
        (_, None) => Ok(kind.per()),
        (Kind::Customers, Some("company")) => Ok(Per::Company),
        (Kind::Customers, Some("employee")) => Ok(Per::Employee),
        (Kind::Customers, Some("department")) => Ok(Per::Department),
        (Kind::Customers, Some(_)) => Err(wrong("`company`, `employee` or `department`")),
        (Kind::Stores, Some("store")) => Ok(Per::Store),
        (Kind::Stores, Some("department")) => Ok(Per::Department),
        (Kind::Stores, Some(_)) => Err(wrong("`store` or `department`")),
        (_, Some(_)) => Err(wrong("none: its rows are always the same")),
    }
}

/// Refuses filters that the rows do not have: to pass them over would widen the answer.
fn filters_fit(kind: Kind, per: Per, params: &ReportParams) -> Result<(), QuestionError> {
    let has: &[&str] = match per {
        Per::Employee | Per::Store => &["employee", "department", "store"],
        Per::Department => &["employee", "department"],
        Per::Group => &["employee", "department", "group"],
        Per::Company => &[],
    };
    let given = [
        ("employee", &params.employees),
        ("department", &params.departments),
        ("store", &params.stores),
        ("group", &params.groups),
    ];
    let lacks = given
        .into_iter()
        .find(|(name, ids)| !ids.is_empty() && !has.contains(name));
    let Some((name, _)) = lacks else {
        return Ok(());
    };
    let has = match has {
        [] => "its only row is the company's, which has no filters".to_owned(),
        has => {
            let has: Vec<String> = has.iter().map(|name| format!("`{name}`")).collect();
            format!("it has {}", has.join(", "))
        }
    };
    Err(QuestionError::Parameter(format!(
        "report {kind} has no filter `{name}`: {has}"
    )))
}

/// Refuses a period with more slices than rows may be, before they are made: the widest has
/// millions of days.
fn slices_fit(period: &Period, by: Option<By>, rows_max: usize) -> Result<(), QuestionError> {
    let n_days = usize::try_from(period.n_days()).unwrap_or(usize::MAX);
    let n_slices = match by {
        None => 1,
        Some(By::Day) => n_days,
        // A month has 28 days at least; the first and the last may be cut.
        Some(By::Week) => n_days / 7 + 2,
        Some(By::Month) => n_days / 28 + 2,
    };
    match n_slices <= rows_max {
        true => Ok(()),
        false => Err(ReportError::TooManyRows {
            n_rows: n_slices,
            n_rows_max: rows_max,
        }
        .into()),
    }
}

/// What units of a kind are called where some were kept back.
fn kind_of(per: Per) -> &'static str {
    match per {
        Per::Employee => "employees",
        Per::Department => "departments",
        Per::Store => "stores",
        Per::Company => "company",
        Per::Group => "groups",
    }
}

/// Counts the metrics of a report.
pub async fn report(
    scope: &Scope,
    kind: Kind,
    archive: &Archive,
    params: &ReportParams,
) -> Result<Report, QuestionError> {
    // Names are checked before anything is computed.
    let settings = Settings::of(&archive.rules()?);
    catalogue::pick(kind, &settings, &params.metrics)?;
    let asked = ask(kind, archive, params).await?;
    let metrics = catalogue::pick(kind, &asked.settings, &params.metrics)?;
    let (facts, period, by) = (
        Arc::clone(&asked.facts),
        asked.question.period,
        asked.question.by,
    );
    let per = asked.per;
    let (asker, picked, progress) = (scope.clone(), metrics.clone(), params.progress.clone());
    let confirmed = super::behaviours::confirmed(archive, &asked.facts).await?;
    let zone = asked.settings.zone;
    let counted = tokio::task::spawn_blocking(move || {
        let inputs = Inputs {
            directory: &asked.facts.directory,
            settings: &asked.settings,
            source: &FromTables {
                facts: &asked.facts,
                now_ms: asked.question.now_ms,
                confirmed,
                zone,
            },
            progress: &|done, all| {
                if let Some(progress) = &progress {
                    progress(done, all);
                }
            },
        };
        count(kind, per, &asker, &asked.question, &picked, &inputs)
    })
    .await
    .map_err(|_| QuestionError::Interrupted)??;
    let instants = (Some(period.start_ms(zone)), Some(period.end_ms(zone)));
    let as_of = archive
        .as_of_period(scope, facts.messages_version, &facts.directory, instants)
        .await;
    Ok(Report {
        tree: tree(per, &counted, &facts),
        totals: counted.totals.iter().map(|r| cells(per, r)).collect(),
        table: Table {
            columns: columns(per, by.is_some(), &metrics),
            rows: counted.rows.iter().map(|r| cells(per, r)).collect(),
        },
        period,
        metrics,
        withheld: (counted.n_withheld > 0)
            .then(|| (kind_of(per), counted.n_withheld))
            .into_iter()
            .collect(),
        as_of,
    })
}

fn cells(per: Per, row: &Row) -> Vec<Value> {
    let mut cells = match per {
        Per::Company => Vec::new(),
        _ => vec![json!(row.unit.id), json!(row.unit.name)],
    };
    cells.extend(row.period.clone().map(Value::from));
    cells.extend(row.values.iter().map(|value| value.to_json()));
    cells
}

fn tree(per: Per, counted: &Answer, facts: &Facts) -> Vec<(u8, Option<String>)> {
    if per != Per::Department {
        return Vec::new();
    }
    let parent = |id: &str| {
        let department = facts.directory.departments.get(id);
        department.and_then(|(_, parent)| parent.clone())
    };
    let rows = counted.rows.iter();
    rows.map(|row| (row.unit.level, parent(&row.unit.id)))
        .collect()
}

fn columns(per: Per, is_sliced: bool, metrics: &[Metric]) -> Vec<Column> {
    let text = |key: &str, zh: &str, en: &str| Column::new(key, zh, en, ColumnKind::Text);
    let mut columns = match per {
        Per::Employee => vec![
            text("userid", "员工 ID", "Employee"),
            text("name", "姓名", "Name"),
        ],
        Per::Department => vec![
            text("department_id", "部门 ID", "Department"),
            text("name", "部门", "Name"),
        ],
        Per::Store => vec![
            text("store_id", "门店 ID", "Store"),
            text("name", "门店", "Name"),
        ],
        Per::Group => vec![
            text("chat_id", "群 ID", "Group"),
            text("name", "群名", "Name"),
        ],
        Per::Company => Vec::new(),
    };
    if is_sliced {
        columns.push(text("period", "时段", "Period"));
    }
    columns.extend(metrics.iter().map(column_of));
    columns
}

/// The column of a metric.
pub(super) fn column_of(metric: &Metric) -> Column {
    let kind = match metric.unit() {
        ValueUnit::Count => ColumnKind::Integer,
        ValueUnit::Seconds => ColumnKind::Seconds,
        ValueUnit::Ratio => ColumnKind::Ratio,
        ValueUnit::Number => ColumnKind::Number,
        ValueUnit::Text => ColumnKind::Text,
        ValueUnit::Counts => ColumnKind::Json,
        ValueUnit::Flag => ColumnKind::Boolean,
    };
    Column::new(&metric.json_key(), &metric.zh, &metric.en, kind)
}

/// The catalogue of metrics as a table: of one report, or of all.
pub fn metrics(report: Option<Kind>, settings: &Settings) -> Table {
    let text = |key: &str, zh: &str, en: &str| Column::new(key, zh, en, ColumnKind::Text);
    let columns = vec![
        text("report", "报表", "Report"),
        text("key", "指标", "Key"),
        text("unit", "单位", "Unit"),
        text("zh", "中文名", "Chinese"),
        text("en", "英文名", "English"),
        text("section", "章节", "Section"),
        Column::new("additive", "可加", "Additive", ColumnKind::Boolean),
        text("better", "越好", "Better"),
        text("definition_zh", "口径", "Definition, Chinese"),
        text("definition", "口径（英文）", "Definition"),
    ];
    let reports = Kind::ALL
        .into_iter()
        .filter(|kind| report.is_none_or(|wanted| wanted == *kind));
    let rows = reports
        .flat_map(|kind| {
            catalogue::of_report(kind, settings)
                .into_iter()
                .map(move |m| {
                    vec![
                        json!(kind.as_str()),
                        json!(m.json_key()),
                        json!(m.unit().as_str()),
                        json!(m.zh),
                        json!(m.en),
                        json!(m.entry.section),
                        json!(m.entry.is_additive),
                        json!(m.entry.better.as_str()),
                        json!(m.definition_zh),
                        json!(m.definition),
                    ]
                })
        })
        .collect();
    Table { columns, rows }
}
