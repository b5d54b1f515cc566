//! The routes of reports, of what makes their cells, and of the catalogue of metrics.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use huicun_engine::metrics::Report as Kind;
use huicun_engine::metrics::settings::Settings;
use huicun_engine::metrics::unit::Per;
use huicun_semantics::time::Period;
use serde::Serialize;
use serde_json::{Value, json};

use super::auth::Caller;
use super::format::Format;
use super::listed::{Asking, Rows, about, pages, whole};
use super::params::Params;
use super::problem::Problem;
use super::server::Api;
use crate::answer::Table;
use crate::queries::QuestionError;
use crate::queries::archive::AsOf;
use crate::queries::explain::{ExplainParams, Explanation, explain as ask_explain};
use crate::queries::ranking::{RankingParams, ranking as ask_ranking};
use crate::queries::reports::{
    HTTP_ROWS_MAX, Report, ReportParams, metrics as list_metrics, report,
};

/// Rows of a report.
#[derive(Serialize, utoipa::ToSchema)]
pub struct ReportRows {
    /// The rows, by id, then period; their keys are those of `/v1/metrics`.
    #[schema(value_type = Vec<Object>)]
    items: Vec<Value>,
    /// All rows as one unit, recomputed from their facts: one row, or one a period; none where
    /// there are no rows.
    #[schema(value_type = Vec<Object>)]
    totals: Vec<Value>,
    /// The days that the report covers, both included: first and last, YYYY-MM-DD.
    period: [String; 2],
    /// How many units were kept back, by kind (`departments`, `stores`, `company`): those of whose
    /// people the caller sees some but not all. Empty for who sees everything.
    withheld: BTreeMap<&'static str, u64>,
    /// Always null: these answers are whole.
    next: Option<String>,
    /// From which versions the answer was made.
    as_of: AsOf,
}

/// The catalogue of metrics.
#[derive(Serialize, utoipa::ToSchema)]
pub struct MetricRows {
    /// The metrics, by report, in the order of columns.
    #[schema(value_type = Vec<Object>)]
    items: Vec<Value>,
    /// Always null: the answer is whole.
    next: Option<String>,
    /// From which versions the answer was made.
    as_of: AsOf,
}

/// Parameters of every report.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(
    dead_code,
    reason = "describes the parameters, which are read one by one"
)]
pub struct ReportQuery {
    /// first day, YYYY-MM-DD
    from: Option<String>,
    /// last day, YYYY-MM-DD
    to: Option<String>,
    /// day, week or month
    by: Option<String>,
    /// keys joined with commas; all if missing. `/v1/metrics` lists them
    metrics: Option<String>,
    /// only this employee, or units in which he was; repeatable
    employee: Option<Vec<String>>,
    /// with everything below; repeatable
    department: Option<Vec<String>>,
    /// only this store, or employees who were in it in the period; repeatable
    store: Option<Vec<String>>,
    /// only this group; repeatable
    group: Option<Vec<String>>,
    /// what rows are about in report customers: company, employee or department
    per: Option<String>,
}

fn taken(params: &mut Params) -> Result<ReportParams, Problem> {
    let metrics = params.one("metrics")?.unwrap_or_default();
    Ok(ReportParams {
        from: params.one("from")?,
        to: params.one("to")?,
        by: params.one("by")?,
        metrics: metrics
            .split(',')
            .map(str::trim)
            .filter(|m| !m.is_empty())
            .map(String::from)
            .collect(),
        employees: params.list("employee"),
        departments: params.list("department"),
        stores: params.list("store"),
        groups: params.list("group"),
        per: params.one("per")?,
        rows_max: Some(HTTP_ROWS_MAX),
        progress: None,
    })
}

fn days(period: &Period) -> [String; 2] {
    [period.from, period.to].map(|day| day.format("%Y-%m-%d").to_string())
}

async fn answered(
    kind: Kind,
    api: &Api,
    caller: &Caller,
    format: Format,
    mut params: Params,
) -> Result<Response, Problem> {
    let question = taken(&mut params)?;
    params.end()?;
    let found = report(&caller.scope, kind, &api.archive, &question).await?;
    if format != Format::Json {
        return streamed(format, found);
    }
    let totals = Table {
        columns: found.table.columns.clone(),
        rows: found.totals,
    };
    let document = ReportRows {
        items: found.table.objects(),
        totals: totals.objects(),
        period: days(&found.period),
        withheld: found.withheld,
        next: None,
        as_of: found.as_of,
    };
    Ok(Json(document).into_response())
}

/// The rows of a report or ranking. Totals are rows of their own, which JSON has.
fn streamed(format: Format, found: Report) -> Result<Response, Problem> {
    let mut about = about(&found.as_of);
    about.insert("period".into(), json!(days(&found.period)));
    about.insert("withheld".into(), json!(found.withheld));
    whole(format, found.table, about)
}

/// Metrics per employee (10.1, 10.2), and per day, week or month with `by`.
#[utoipa::path(get, path = "/v1/reports/employees", tag = "figures", params(ReportQuery), responses(
    (status = 200, body = ReportRows),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
), security(("token" = [])))]
pub async fn report_employees(
    State(api): State<Arc<Api>>,
    caller: Caller,
    format: Format,
    params: Params,
) -> Result<Response, Problem> {
    answered(Kind::Employees, &api, &caller, format, params).await
}

/// The same metrics per department, with everything below.
#[utoipa::path(get, path = "/v1/reports/departments", tag = "figures", params(ReportQuery), responses(
    (status = 200, body = ReportRows),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
), security(("token" = [])))]
pub async fn report_departments(
    State(api): State<Arc<Api>>,
    caller: Caller,
    format: Format,
    params: Params,
) -> Result<Response, Problem> {
    answered(Kind::Departments, &api, &caller, format, params).await
}

/// Metrics of shopping guides per employee (10.3).
#[utoipa::path(get, path = "/v1/reports/guides", tag = "figures", params(ReportQuery), responses(
    (status = 200, body = ReportRows),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
), security(("token" = [])))]
pub async fn report_guides(
    State(api): State<Arc<Api>>,
    caller: Caller,
    format: Format,
    params: Params,
) -> Result<Response, Problem> {
    answered(Kind::Guides, &api, &caller, format, params).await
}

/// Metrics per store (10.4).
#[utoipa::path(get, path = "/v1/reports/stores", tag = "figures", params(ReportQuery), responses(
    (status = 200, body = ReportRows),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
), security(("token" = [])))]
pub async fn report_stores(
    State(api): State<Arc<Api>>,
    caller: Caller,
    format: Format,
    params: Params,
) -> Result<Response, Problem> {
    answered(Kind::Stores, &api, &caller, format, params).await
}

/// Metrics of customers for the company, or with `per` by employee or department (10.5).
#[utoipa::path(get, path = "/v1/reports/customers", tag = "figures", params(ReportQuery), responses(
    (status = 200, body = ReportRows),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
), security(("token" = [])))]
pub async fn report_customers(
    State(api): State<Arc<Api>>,
    caller: Caller,
    format: Format,
    params: Params,
) -> Result<Response, Problem> {
    answered(Kind::Customers, &api, &caller, format, params).await
}

/// Activity of groups (10.6).
#[utoipa::path(get, path = "/v1/reports/groups", tag = "figures", params(ReportQuery), responses(
    (status = 200, body = ReportRows),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
), security(("token" = [])))]
pub async fn report_groups(
    State(api): State<Arc<Api>>,
    caller: Caller,
    format: Format,
    params: Params,
) -> Result<Response, Problem> {
    answered(Kind::Groups, &api, &caller, format, params).await
}

/// What makes one cell of a report: its facts with their messages, and the cell recomputed from
/// them. The row is named with `employee`, `department`, `store` or `group`; the totals row if none is.
#[utoipa::path(get, path = "/v1/explain/{report}/{metric}", tag = "figures", params(
    ("report" = String, Path, description = "employees, departments, guides, stores, customers, groups"),
    ("metric" = String, Path, description = "a key of /v1/metrics"),
    ("from" = Option<String>, Query, description = "first day, YYYY-MM-DD"),
    ("to" = Option<String>, Query, description = "last day, YYYY-MM-DD"),
    ("by" = Option<String>, Query, description = "day, week or month"),
    ("slice" = Option<String>, Query, description = "label of the slice, with `by`; the first if missing"),
    ("employee" = Option<String>, Query, description = "the row of this employee"),
    ("department" = Option<String>, Query, description = "the row of this department"),
    ("store" = Option<String>, Query, description = "the row of this store"),
    ("group" = Option<String>, Query, description = "the row of this group"),
    ("per" = Option<String>, Query, description = "as the report's"),
    ("limit" = Option<usize>, Query, description = "facts of the page, 1 to 1000; 100 if missing"),
    ("cursor" = Option<String>, Query, description = "`next` of the page before"),
), responses(
    (status = 200, body = Explanation),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
    (status = 404, body = Problem, content_type = "application/problem+json"),
), security(("token" = [])))]
pub async fn explain(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path((kind, metric)): Path<(String, String)>,
    format: Format,
    mut params: Params,
) -> Result<Response, Problem> {
    let wanted = params.page(format)?;
    let kind: Kind = kind.parse().map_err(|_| QuestionError::NotFound {
        what: "report",
        id: kind,
    })?;
    let mut units = Vec::new();
    for (name, per) in [
        ("employee", Per::Employee),
        ("department", Per::Department),
        ("store", Per::Store),
        ("group", Per::Group),
    ] {
        units.extend(params.one(name)?.map(|id| (per, id)));
    }
    if units.len() > 1 {
        let detail = "give one of `employee`, `department`, `store` and `group`";
        return Err(Problem::parameter(detail));
    }
    let question = ExplainParams {
        unit: units.pop(),
        slice: params.one("slice")?,
        report: taken(&mut params)?,
        metric,
        ..ExplainParams::default()
    };
    params.end()?;
    let ask: Asking<Explanation> = Box::new(move |limit, cursor| {
        let (api, caller) = (Arc::clone(&api), caller.clone());
        let question = ExplainParams {
            limit,
            cursor,
            ..question.clone()
        };
        Box::pin(async move {
            caller.check_still_admitted(&api)?;
            ask_explain(&caller.scope, kind, &api.archive, &question).await
        })
    });
    pages(wanted, ask).await
}

impl Rows for Explanation {
    fn json(self) -> impl Serialize + Send {
        self
    }

    fn table(self) -> Table {
        Self::table(&self)
    }

    fn next(&self) -> Option<&str> {
        self.next.as_deref()
    }

    fn as_of(&self) -> &AsOf {
        &self.as_of
    }

    fn total(&self) -> Option<u64> {
        Some(self.total)
    }
}

/// The catalogue of metrics: keys, names, units and definitions of every report.
#[utoipa::path(get, path = "/v1/metrics", tag = "figures", params(
    ("report" = Option<String>, Query, description = "only of this report"),
), responses(
    (status = 200, body = MetricRows),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
), security(("token" = [])))]
pub async fn metrics(
    State(api): State<Arc<Api>>,
    _caller: Caller,
    format: Format,
    mut params: Params,
) -> Result<Response, Problem> {
    let kind = params.one("report")?;
    params.end()?;
    let kind = kind
        .map(|name| name.parse::<Kind>())
        .transpose()
        .map_err(|e| Problem::parameter(e.to_string()))?;
    let settings = Settings::of(&api.archive.rules()?);
    let (table, as_of) = (list_metrics(kind, &settings), api.archive.as_of_now());
    if format != Format::Json {
        return whole(format, table, about(&as_of));
    }
    let document = MetricRows {
        items: table.objects(),
        next: None,
        as_of,
    };
    Ok(Json(document).into_response())
}

/// The best guides or stores by metrics of their report, in the order of precedence (10.8).
#[utoipa::path(get, path = "/v1/ranking/{report}", tag = "figures", params(
    ("report" = String, Path, description = "guides or stores"),
    ("metric" = Vec<String>, Query, description = "`key` or `key:min`, in the order of precedence; repeatable"),
    ("top" = Option<u32>, Query, description = "how many places; all if missing"),
    ("from" = Option<String>, Query, description = "first day, YYYY-MM-DD"),
    ("to" = Option<String>, Query, description = "last day, YYYY-MM-DD"),
    ("employee" = Option<Vec<String>>, Query, description = "only this employee, or units in which he was; repeatable"),
    ("department" = Option<Vec<String>>, Query, description = "with everything below; repeatable"),
    ("store" = Option<Vec<String>>, Query, description = "only this store, or guides who were in it; repeatable"),
), responses(
    (status = 200, body = RankedRows),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
), security(("token" = [])))]
pub async fn ranking(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(name): Path<String>,
    format: Format,
    mut params: Params,
) -> Result<Response, Problem> {
    let kind: Kind = name
        .parse()
        .map_err(|e| Problem::parameter(format!("{e}")))?;
    let top = params.one("top")?;
    let question = RankingParams {
        metrics: params.list("metric"),
        top: top
            .map(|text| text.parse())
            .transpose()
            .map_err(|_| Problem::parameter("`top` is no number of places"))?,
        report: ReportParams {
            from: params.one("from")?,
            to: params.one("to")?,
            employees: params.list("employee"),
            departments: params.list("department"),
            stores: params.list("store"),
            rows_max: Some(HTTP_ROWS_MAX),
            ..ReportParams::default()
        },
    };
    params.end()?;
    let found = ask_ranking(&caller.scope, kind, &api.archive, &question).await?;
    if format != Format::Json {
        return streamed(format, found);
    }
    let document = RankedRows {
        items: found.table.objects(),
        period: days(&found.period),
        withheld: found.withheld,
        next: None,
        as_of: found.as_of,
    };
    Ok(Json(document).into_response())
}

/// Rows of a ranking.
#[derive(Serialize, utoipa::ToSchema)]
pub struct RankedRows {
    /// The rows with their `place`, best first.
    #[schema(value_type = Vec<Object>)]
    items: Vec<Value>,
    /// The days that it covers, both included: first and last, YYYY-MM-DD.
    period: [String; 2],
    /// As in a report.
    withheld: BTreeMap<&'static str, u64>,
    /// Always null: these answers are whole.
    next: Option<String>,
    /// From which versions the answer was made.
    as_of: AsOf,
}
