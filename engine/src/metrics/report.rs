//! The reports: one traversal of the facts for each, whose amounts a report adds up and `explain`
//! writes down.

use std::fmt;
use std::str::FromStr;

use huicun_semantics::time::Period;

use super::catalogue::Metric;
use super::cell::Value;
use super::context::Context;
use super::friends::Walk;
use super::groups::{self, Said};
use super::question::{Question, Slices, stretches};
use super::settings::Settings;
use super::sink::{Part, Parts, Sink, Spot, Sums};
use super::source::{FactSource, SourceError};
use super::unit::{Per, TOTAL, Unit, Units};
use super::{directory_facts, rooms, singles};
use crate::access::Scope;
use crate::directory::Directory;
use crate::jobs::period::{Names, Pairs, Wanted};

/// A report of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Report {
    /// Sections 10.1, 10.2 and 10.9, per employee.
    Employees,
    /// The same per department.
    Departments,
    /// Section 10.3.
    Guides,
    /// Section 10.4.
    Stores,
    /// Section 10.5.
    Customers,
    /// Section 10.6.
    Groups,
}

/// No report of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no report `{0}`; there are employees, departments, guides, stores, customers, groups"
)]
pub struct UnknownReport(pub String);

impl FromStr for Report {
    type Err = UnknownReport;

    fn from_str(name: &str) -> Result<Self, UnknownReport> {
        Self::ALL
            .into_iter()
            .find(|report| report.as_str() == name)
            .ok_or_else(|| UnknownReport(name.to_owned()))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Report {
    /// All reports.
    pub const ALL: [Self; 6] = [
        Self::Employees,
        Self::Departments,
        Self::Guides,
        Self::Stores,
        Self::Customers,
        Self::Groups,
    ];

    /// Its name in commands and routes.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Employees => "employees",
            Self::Departments => "departments",
            Self::Guides => "guides",
            Self::Stores => "stores",
            Self::Customers => "customers",
            Self::Groups => "groups",
        }
    }

    /// Its titles, Chinese and English.
    pub fn titles(self) -> (&'static str, &'static str) {
        match self {
            Self::Employees => ("员工沟通分析", "Employees"),
            Self::Departments => ("部门沟通分析", "Departments"),
            Self::Guides => ("导购分析", "Guides"),
            Self::Stores => ("门店分析", "Stores"),
            Self::Customers => ("客户分析", "Customers"),
            Self::Groups => ("群分析", "Groups"),
        }
    }

    /// What its rows are about, where the question does not say.
    pub fn per(self) -> Per {
        match self {
            Self::Employees | Self::Guides => Per::Employee,
            Self::Departments => Per::Department,
            Self::Stores => Per::Store,
            Self::Customers => Per::Company,
            Self::Groups => Per::Group,
        }
    }
}

/// What a report is made from.
pub struct Inputs<'a> {
    /// The directory.
    pub directory: &'a Directory,
    /// What of the rules it needs.
    pub settings: &'a Settings,
    /// Where facts come from.
    pub source: &'a dyn FactSource,
    /// Told after each stretch: how many of all are done.
    pub progress: &'a (dyn Fn(usize, usize) + Sync),
}

/// One unit in one slice.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The unit.
    pub unit: Unit,
    /// The slice's label with `by`.
    pub period: Option<String>,
    /// One value per metric asked for.
    pub values: Vec<Value>,
}

/// A report's answer.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Answer {
    /// By id, then slice.
    pub rows: Vec<Row>,
    /// All listed units as one, a row per slice; none where there are no rows.
    pub totals: Vec<Row>,
    /// How many units were kept back, because the scope sees some of their people but not all.
    pub n_withheld: u64,
}

/// Why a report is not given.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// Its facts cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// It is too large: ask for less.
    #[error("the report would have {n_rows} rows; at most {n_rows_max} are given")]
    TooManyRows {
        /// Units times slices.
        n_rows: usize,
        /// What the question allows.
        n_rows_max: usize,
    },
}

/// Counts a report.
///
/// # Errors
/// Facts that cannot be read, and more rows than the question allows.
pub fn count(
    report: Report,
    per: Per,
    scope: &Scope,
    question: &Question,
    metrics: &[Metric],
    inputs: &Inputs<'_>,
) -> Result<Answer, ReportError> {
    let slices = Slices::of(question, inputs.settings.zone);
    let mut units = Units::new(per, scope, question, inputs.directory, inputs.settings.zone);
    let mut sums = Sums::new(metrics.iter().map(|m| m.fold), slices.len());
    let mut names = Names::over(&inputs.directory.ids);
    list(
        report, scope, question, inputs, &slices, &mut names, &mut units,
    )?;
    check_size(question, &slices, &units)?;
    traverse(
        report, question, &slices, inputs, &mut names, &mut units, &mut sums,
    )?;
    // Facts may have brought in more.
    check_size(question, &slices, &units)?;
    let sums = sums.finished();
    let row = |number: u32, slice: u32| Row {
        unit: units.unit(number).clone(),
        period: slices.all[slice as usize].label.clone(),
        values: metrics
            .iter()
            .map(|metric| {
                sums.value(
                    Spot {
                        unit: number,
                        slice,
                    },
                    metric.fold,
                )
            })
            .collect(),
    };
    let all = |number: u32| (0..slices.len()).map(move |slice| (number, slice));
    let listed = units.listed();
    let total = (!listed.is_empty()).then_some(TOTAL);
    let rows_of = |(number, slice): (u32, u32)| row(number, slice);
    Ok(Answer {
        totals: total.into_iter().flat_map(all).map(rows_of).collect(),
        rows: listed.into_iter().flat_map(all).map(rows_of).collect(),
        n_withheld: units.n_withheld(),
    })
}

fn check_size(question: &Question, slices: &Slices, units: &Units<'_>) -> Result<(), ReportError> {
    let n_slices = usize::try_from(slices.len()).unwrap_or(usize::MAX);
    let n_rows = units.n_listed().saturating_mul(n_slices);
    match n_rows <= question.rows_max {
        true => Ok(()),
        false => Err(ReportError::TooManyRows {
            n_rows,
            n_rows_max: question.rows_max,
        }),
    }
}

/// Which cell of a report is to be explained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CellOf {
    /// The unit's id; the totals row if missing.
    pub unit: Option<String>,
    /// The slice's label; the first slice if missing.
    pub slice: Option<String>,
}

/// A cell with what it is made of.
pub struct Explained {
    /// The cell, folded from the parts alone.
    pub value: Value,
    /// The parts in the order in which the report adds them.
    pub parts: Vec<Part>,
    /// The names that the facts' numbers belong to.
    pub names: Names,
    /// The unit.
    pub unit: Unit,
    /// The slice's label.
    pub period: Option<String>,
    /// The slice's days.
    pub days: Period,
}

/// Explains one cell: the same traversal as [`count`], written down. None where the report has no
/// such cell for this caller.
///
/// # Errors
/// Facts that cannot be read.
pub fn explain(
    report: Report,
    per: Per,
    scope: &Scope,
    question: &Question,
    metric: &Metric,
    cell: &CellOf,
    inputs: &Inputs<'_>,
) -> Result<Option<Explained>, SourceError> {
    let slices = Slices::of(question, inputs.settings.zone);
    let slice = match &cell.slice {
        None => Some(0),
        Some(label) => slices
            .numbered()
            .find(|(_, slice)| slice.label.as_ref() == Some(label))
            .map(|(number, _)| number),
    };
    let Some(slice) = slice else {
        return Ok(None);
    };
    let mut units = Units::new(per, scope, question, inputs.directory, inputs.settings.zone);
    let mut names = Names::over(&inputs.directory.ids);
    list(
        report, scope, question, inputs, &slices, &mut names, &mut units,
    )?;
    // A unit that only its facts bring into the report has no number yet.
    let unit = match &cell.unit {
        None => Some(TOTAL),
        Some(id) => units.number_or_expected(id),
    };
    let Some(unit) = unit else {
        return Ok(None);
    };
    let mut parts = Parts::new(metric.fold, move |spot| spot == Spot { unit, slice });
    traverse(
        report, question, &slices, inputs, &mut names, &mut units, &mut parts,
    )?;
    // As in the report: no row without facts for an id that only they would bring in, no totals
    // without rows.
    let is_there = match unit {
        TOTAL => units.n_listed() > 0,
        unit => units.unit(unit).is_listed,
    };
    if !is_there {
        return Ok(None);
    }
    Ok(Some(Explained {
        value: parts.value(),
        parts: parts.parts,
        names,
        unit: units.unit(unit).clone(),
        period: slices.all[slice as usize].label.clone(),
        days: slices.all[slice as usize].days,
    }))
}

/// Reads what customers said in external groups, stretch by stretch.
fn read_said(
    question: &Question,
    context: &Context<'_>,
    inputs: &Inputs<'_>,
    names: &mut Names,
    said: &mut Said,
) -> Result<(), SourceError> {
    let stretches = stretches(&question.period);
    for (at, days) in stretches.iter().enumerate() {
        let facts = inputs.source.stretch(*days, Wanted::Said, names)?;
        said.add(context, &facts);
        (inputs.progress)(at + 1, stretches.len());
    }
    Ok(())
}

/// Lists the units that only a report as a whole can tell.
fn list(
    report: Report,
    scope: &Scope,
    question: &Question,
    inputs: &Inputs<'_>,
    slices: &Slices,
    names: &mut Names,
    units: &mut Units<'_>,
) -> Result<(), SourceError> {
    match report {
        Report::Guides => units.only_guides(),
        Report::Groups => {
            let context = Context::new(inputs, question, slices, names)?;
            units.list_groups(groups::listed(scope, question, &context, names));
        }
        Report::Employees | Report::Departments | Report::Stores | Report::Customers => {}
    }
    Ok(())
}

/// Walks all facts of the question once and puts what they amount to into the sink.
fn traverse(
    report: Report,
    question: &Question,
    slices: &Slices,
    inputs: &Inputs<'_>,
    names: &mut Names,
    units: &mut Units<'_>,
    sink: &mut impl Sink,
) -> Result<(), SourceError> {
    let context = Context::new(inputs, question, slices, names)?;
    match report {
        Report::Employees | Report::Departments => {
            let stretches = stretches(&question.period);
            let wanted = match sink.shows_facts() {
                true => Wanted::Shown,
                false if directory_facts::wants_pairs(&context, units, sink) => {
                    Wanted::Summed(Pairs::Told)
                }
                false => Wanted::Summed(Pairs::Untold),
            };
            for (at, days) in stretches.iter().enumerate() {
                let facts = inputs.source.stretch(*days, wanted, names)?;
                singles::put(&context, &facts, names, units, sink);
                rooms::put(&context, &facts, names, units, sink);
                directory_facts::put(&context, &facts, *days, names, units, sink);
                (inputs.progress)(at + 1, stretches.len());
            }
            directory_facts::put_ends(&context, names, units, sink);
            if sink.wants(super::Measure::OpenWaits) || sink.wants(super::Measure::GroupOpenWaits) {
                let at_ms: Vec<i64> = slices.all.iter().map(|slice| slice.as_of_ms).collect();
                let timers = inputs.source.timers(&at_ms, wanted, names)?;
                for (slice, as_of_ms) in (0..).zip(at_ms) {
                    rooms::put_waits(&context, (slice, as_of_ms), &timers, names, units, sink);
                }
            }
        }
        Report::Guides | Report::Stores | Report::Customers => {
            let mut said = Said::default();
            if sink.wants(super::Measure::GroupActivity) {
                read_said(question, &context, inputs, names, &mut said)?;
            }
            let mut walk = Walk::new(&context, names, units, sink);
            // First what brings in rows, then what stands beside them.
            walk.put_happened();
            walk.put_tasks();
            walk.put_friend_requests();
            walk.put_followups();
            walk.put_added_before();
            walk.put_friend_requests_before();
            walk.put_ends();
            walk.put_people();
            walk.put_owned_activity(&said);
        }
        Report::Groups => {
            let mut said = Said::default();
            read_said(question, &context, inputs, names, &mut said)?;
            Walk::new(&context, names, units, sink).put_groups(&said);
        }
    }
    Ok(())
}
