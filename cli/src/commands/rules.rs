//! `huicun rules`: the rules as a file, what a file would change, and the versions.

use std::path::Path;

use huicun_engine::archive::Home;
use huicun_engine::directory::Directory;
use huicun_engine::rules::calendar::DayName;
use huicun_engine::rules::diff::Line;
use huicun_engine::rules::{Rules, holidays};
use huicun_engine::state::{State, StateError};
use huicun_query_api::answer::{Column, ColumnKind, Table};
use serde_json::json;

use super::ask::{about, target};
use crate::arguments::{Out, RulesCommand};
use crate::failure::Failure;
use crate::output;

pub async fn rules(data: &Path, what: RulesCommand) -> Result<(), Failure> {
    match what {
        RulesCommand::Show { version } => show(data, version),
        RulesCommand::Apply { file } => {
            let text = read(&file)?;
            // Wrong rules make no data directory.
            if !data.exists() {
                replaced(&Rules::default(), &text)?;
            }
            apply(&Home::open_or_create(data)?, &text).await
        }
        RulesCommand::Diff { file } => diff(data, &read(&file)?),
        RulesCommand::History { out } => history(data, &out),
        RulesCommand::Holidays {
            calendar,
            year,
            as_,
            replace,
            out,
        } => {
            let mut days = holidays::days();
            days.retain(|day| year.is_empty() || year.contains(&chrono::Datelike::year(&day.date)));
            if days.is_empty() {
                return Err(Failure::usage("holidays are known for 2019 to 2026"));
            }
            let Some(calendar) = calendar else {
                return list_holidays(&days, &out);
            };
            let existing = match replace {
                true => holidays::Existing::Replace,
                false => holidays::Existing::Keep,
            };
            take_over(data, &calendar, &days, as_.as_deref(), existing).await
        }
    }
}

fn read(file: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(file)
        .map_err(|e| Failure::failed(format!("cannot read `{}`: {e}", file.display())))
}

fn replaced(rules: &Rules, text: &str) -> Result<Rules, Failure> {
    Ok(rules
        .replaced_by(text)
        .map_err(|e| StateError::BadRules(e.to_string()))?)
}

fn show(data: &Path, version: Option<i64>) -> Result<(), Failure> {
    let state = State::open(&Home::open(data)?.state())?;
    let rules = match version {
        None => state.rules()?.1,
        Some(0) => Rules::default(),
        Some(version) => {
            let mut all = state.rule_versions()?.into_iter();
            let found = all.find(|v| v.version == version);
            found
                .ok_or_else(|| {
                    Failure::failed(format!("there is no version {version} of the rules"))
                        .hint("huicun rules history lists them")
                })?
                .rules
        }
    };
    said(&rules.to_toml())
}

async fn apply(home: &Home, text: &str) -> Result<(), Failure> {
    let now = chrono::Utc::now().timestamp_millis();
    let state = State::open(&home.state())?;
    let version = state.apply_rules_as(text, now, account().as_deref())?;
    let (_, rules) = state.rules()?;
    let directory = Directory::load(home).await?;
    let warnings = rules.warnings(
        |id| directory.employees.contains_key(id),
        |id| directory.departments.contains_key(id),
    );
    for warning in warnings {
        eprintln!("warning: {warning}");
    }
    eprintln!("rules version {version} is in force");
    Ok(())
}

/// Who runs this, as the system calls him.
pub(super) fn account() -> Option<String> {
    let name = std::env::var("USER").or_else(|_| std::env::var("LOGNAME"));
    name.ok().filter(|name| !name.is_empty())
}

fn diff(data: &Path, text: &str) -> Result<(), Failure> {
    let current = match data.exists() {
        true => State::open(&Home::open(data)?.state())?.rules()?.1,
        false => Rules::default(),
    };
    let changes = current.changes_to(&replaced(&current, text)?);
    if changes.is_empty() {
        eprintln!("nothing would change");
    }
    let mut told = String::new();
    for change in &changes {
        told += &format!("# {}: {}\n", change.section, change.recomputed.told());
        for line in change.lines() {
            told += &match line {
                Line::Same(line) => format!("  {line}\n"),
                Line::Gone(line) => format!("- {line}\n"),
                Line::New(line) => format!("+ {line}\n"),
            };
        }
    }
    said(&told)
}

fn said(text: &str) -> Result<(), Failure> {
    output::text(text).map_err(|e| Failure::failed(format!("cannot write the answer: {e}")))
}

fn history(data: &Path, out: &Out) -> Result<(), Failure> {
    let target = target(out)?;
    let state = State::open(&Home::open(data)?.state())?;
    let zone = state.rules()?.1.zone()?;
    let mut before = Rules::default();
    let mut rows = Vec::new();
    for version in state.rule_versions()? {
        let changes = before.changes_to(&version.rules);
        let sections: Vec<String> = changes.into_iter().map(|change| change.section).collect();
        rows.push(vec![
            json!(version.version),
            json!(zone.rfc3339_ms(version.applied_ms)),
            json!(version.applied_by),
            json!(sections),
        ]);
        before = version.rules;
    }
    let columns = vec![
        Column::new("version", "版本", "Version", ColumnKind::Integer),
        Column::new("applied_at", "生效时间", "Applied", ColumnKind::Instant),
        Column::new("applied_by", "操作人", "By", ColumnKind::Text),
        Column::new("sections", "变更部分", "Sections", ColumnKind::TextList),
    ];
    let about = about("规则版本", "Versions of the rules");
    Ok(output::write(&Table { columns, rows }, &about, &target)?)
}

fn list_holidays(days: &[holidays::Holiday], out: &Out) -> Result<(), Failure> {
    let target = target(out)?;
    let kind = |is_off| if is_off { "off" } else { "work" };
    let rows = days
        .iter()
        .map(|day| {
            let date = day.date.format("%Y-%m-%d").to_string();
            vec![json!(date), json!(day.name), json!(kind(day.is_off))]
        })
        .collect();
    let columns = vec![
        Column::new("date", "日期", "Date", ColumnKind::Text),
        Column::new("name", "节日", "Holiday", ColumnKind::Text),
        Column::new("status", "状态", "Status", ColumnKind::Text),
    ];
    let about = about("节假日与调休", "Holidays and make-up days");
    Ok(output::write(&Table { columns, rows }, &about, &target)?)
}

async fn take_over(
    data: &Path,
    name: &str,
    days: &[holidays::Holiday],
    as_: Option<&str>,
    existing: holidays::Existing,
) -> Result<(), Failure> {
    let home = Home::open(data)?;
    let mut rules = State::open(&home.state())?.rules()?.1;
    let Some(calendar) = rules.calendar.iter_mut().find(|c| c.name == name) else {
        return Err(Failure::failed(format!("there is no calendar `{name}`"))
            .hint("define it with a `[[calendar]]` section and `huicun rules apply`"));
    };
    let as_ = match as_ {
        Some(word) => DayName::parse(word).ok_or_else(|| {
            Failure::usage(format!("`{word}` is no day; expected `mon` to `sun`"))
        })?,
        None => calendar.make_up_as().ok_or_else(|| {
            Failure::failed(format!(
                "the calendar `{name}` has no hours on any day of the week"
            ))
        })?,
    };
    let done = holidays::take_over(calendar, days, as_, existing);
    let sections = rules.sections();
    let text = sections.iter().find(|(section, _)| section == "calendar");
    let text = text.map(|(_, text)| text.as_str()).unwrap_or_default();
    apply(&home, text).await?;
    eprintln!(
        "calendar `{name}`: {} exceptions added, {} replaced, {} left as they were",
        done.n_added, done.n_replaced, done.n_kept
    );
    Ok(())
}
