//! `report`, `explain` and `metrics`: figures, what makes them, and what they are called.

use std::io::IsTerminal;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use huicun_engine::access::Scope;
use huicun_engine::archive::Home;
use huicun_engine::metrics::Report as Kind;
use huicun_engine::metrics::settings::Settings;
use huicun_engine::metrics::unit::Per;
use huicun_engine::rules::Rules;
use huicun_engine::state::State;
use huicun_query_api::formats::report::{arrange, described};
use huicun_query_api::queries::explain::{ExplainParams, Explanation, explain as ask_explain};
use huicun_query_api::queries::ranking::{RankingParams, ranking as ask_ranking};
use huicun_query_api::queries::reports::{
    Progress, Report as Answer, ReportParams, metrics as list_metrics, report as ask_report,
};

use super::ask::{about, say_holes, target, with_as_of, write};
use super::{open_archive, open_figures};
use crate::arguments::{ExplainArguments, MetricsArguments, Ranking, Report, ReportArguments};
use crate::failure::Failure;
use crate::output::{About, Format, Language, Target, dressed};

/// A report that takes longer than this shows how far it is.
const PATIENCE: Duration = Duration::from_millis(300);

pub async fn report(data: &Path, report: Report) -> Result<(), Failure> {
    let (kind, options) = match report {
        Report::Employees(options) => (Kind::Employees, options),
        Report::Departments(options) => (Kind::Departments, options),
        Report::Guides(options) => (Kind::Guides, options),
        Report::Stores(options) => (Kind::Stores, options),
        Report::Customers(options) => (Kind::Customers, options),
        Report::Groups(options) => (Kind::Groups, options),
    };
    let target = target(&options.out)?;
    let archive = open_figures(data)?;
    let (bar, progress) = progress();
    let params = params_of(options, Some(progress));
    let answer = ask_report(&Scope::local_operator(), kind, &archive, &params).await;
    bar.finish_and_clear();
    let mut answer = answer?;
    say_holes(&answer.as_of, target.language);
    let about = about_of(kind.titles(), &mut answer, &target);
    write(&answer.table, &about, &target)
}

pub async fn ranking(data: &Path, ranking: Ranking) -> Result<(), Failure> {
    let (kind, options) = match ranking {
        Ranking::Guides(options) => (Kind::Guides, options),
        Ranking::Stores(options) => (Kind::Stores, options),
    };
    let target = target(&options.out)?;
    let archive = open_figures(data)?;
    let (bar, progress) = progress();
    let params = RankingParams {
        metrics: options.metric,
        top: options.top,
        report: ReportParams {
            from: options.days.from,
            to: options.days.to,
            employees: options.employee,
            departments: options.department,
            stores: options.store,
            progress: Some(progress),
            ..ReportParams::default()
        },
    };
    let answer = ask_ranking(&Scope::local_operator(), kind, &archive, &params).await;
    bar.finish_and_clear();
    let mut answer = answer?;
    say_holes(&answer.as_of, target.language);
    let titles = match kind {
        Kind::Stores => ("门店排名", "Ranking of stores"),
        _ => ("导购排名", "Ranking of guides"),
    };
    let about = about_of(titles, &mut answer, &target);
    write(&answer.table, &about, &target)
}

fn params_of(options: ReportArguments, progress: Option<Progress>) -> ReportParams {
    ReportParams {
        from: options.days.from,
        to: options.days.to,
        by: options.by,
        metrics: options.metrics,
        employees: options.employee,
        departments: options.department,
        stores: options.store,
        groups: options.group,
        per: options.per,
        rows_max: None,
        progress,
    }
}

/// A bar on a terminal, shown when the report takes long; stretches of a month are its steps.
fn progress() -> (indicatif::ProgressBar, Progress) {
    let bar = if std::io::stderr().is_terminal() {
        indicatif::ProgressBar::new(1)
    } else {
        indicatif::ProgressBar::hidden()
    };
    let style = indicatif::ProgressStyle::with_template("{bar:40} {pos}/{len} {eta}")
        .unwrap_or_else(|_| indicatif::ProgressStyle::default_bar());
    bar.set_style(style);
    let shown = bar.clone();
    let progress: Progress = Arc::new(move |done, all| {
        shown.set_length(all as u64);
        if shown.elapsed() >= PATIENCE {
            shown.set_position(done as u64);
        }
    });
    (bar, progress)
}

/// What the second sheet says, and how people see the rows: totals, and departments as a tree.
fn about_of(titles: (&str, &str), answer: &mut Answer, target: &Target) -> About {
    let about = described(answer, titles, target.language);
    let mut about = with_as_of(about, &answer.as_of, target.language);
    if is_for_people(target) {
        arrange(answer, &mut about, target.language);
    }
    about
}

/// Whether a format is for people: rows may then stand in the order of the tree.
fn is_for_people(target: &Target) -> bool {
    let by_ending = |ending: &str| {
        let file = target.file.as_ref().and_then(|f| f.extension());
        file.is_some_and(|found| found.eq_ignore_ascii_case(ending))
    };
    match target.format {
        Some(format) => matches!(format, Format::Table | Format::Xlsx),
        None if target.file.is_some() => by_ending("xlsx") || by_ending("txt"),
        None => std::io::stdout().is_terminal(),
    }
}

pub async fn explain(data: &Path, options: ExplainArguments) -> Result<(), Failure> {
    let target = target(&options.out)?;
    let kind: Kind =
        options
            .report
            .parse()
            .map_err(|e: huicun_engine::metrics::report::UnknownReport| {
                Failure::usage(e.to_string())
            })?;
    let archive = open_archive(data).await?;
    let units = [
        (Per::Employee, options.employee),
        (Per::Department, options.department),
        (Per::Store, options.store),
        (Per::Group, options.group),
    ];
    let unit = units
        .into_iter()
        .find_map(|(per, id)| id.map(|id| (per, id)));
    let params = ExplainParams {
        report: ReportParams {
            from: options.days.from,
            to: options.days.to,
            by: options.by,
            per: options.per,
            ..ReportParams::default()
        },
        metric: options.metric,
        unit,
        slice: options.slice,
        limit: options.limit,
        cursor: None,
    };
    let answer = ask_explain(&Scope::local_operator(), kind, &archive, &params).await?;
    eprintln!(
        "{}: {} ({} facts)",
        answer.metric, answer.value, answer.total
    );
    say_holes(&answer.as_of, target.language);
    let (zh, en) = kind.titles();
    let mut about = about(&format!("{zh}明细"), &format!("{en}, explained"));
    about.notes = notes_of(&answer, target.language);
    let mut about = with_as_of(about, &answer.as_of, target.language);
    about.definitions.push(match target.language {
        Language::Zh => (answer.metric.clone(), answer.definition_zh.clone()),
        Language::En => (answer.metric.clone(), answer.definition.clone()),
    });
    write(&answer.table(), &about, &target)
}

/// Which cell it is, and what it comes to, as a person reads it.
fn notes_of(answer: &Explanation, language: Language) -> Vec<(String, String)> {
    let unit = match (&answer.unit, &answer.name) {
        (None, _) => language.pick("合计", "Total").to_owned(),
        (Some(id), None) => id.clone(),
        (Some(id), Some(name)) => format!("{name} ({id})"),
    };
    let [from, to] = &answer.days;
    let period = match &answer.period {
        None => format!("{from} – {to}"),
        Some(label) => format!("{label}（{from} – {to}）"),
    };
    let value = dressed(&answer.value, answer.value_kind, language);
    [
        (language.pick("行", "Row"), unit),
        (language.pick("统计时段", "Period"), period),
        (language.pick("由明细重算的值", "Value recomputed"), value),
    ]
    .map(|(label, text)| (label.to_owned(), text))
    .to_vec()
}

/// The catalogue; with an archive's rules where there is one, else with the defaults.
pub fn metrics(data: &Path, options: MetricsArguments) -> Result<(), Failure> {
    let target = target(&options.out)?;
    let kind = options
        .report
        .map(|name| name.parse::<Kind>())
        .transpose()
        .map_err(|e| Failure::usage(e.to_string()))?;
    let rules = match Home::open(data) {
        Ok(home) => State::open(&home.state())?.rules()?.1,
        Err(_) => Rules::default(),
    };
    let table = list_metrics(kind, &Settings::of(&rules));
    write(&table, &about("指标目录", "Metrics"), &target)
}
