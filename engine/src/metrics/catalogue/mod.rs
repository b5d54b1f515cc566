//! The one table of metrics: key, unit, names, definition, and how each is folded of measures.
//! Reports, headings, docs, the OpenAPI document and `huicun metrics` read it.
//!
//! Families such as `revisit_due_N` are one entry whose `{n}` is filled in from the rules or the
//! law's list.

use std::fmt;

use super::cell::Fold;
use super::report::Report;
use super::settings::Settings;

mod customer;
mod group;
mod guide;
mod room;
mod single;
mod store;

/// What a metric's number is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueUnit {
    /// A whole number of things.
    Count,
    /// Seconds; the JSON key ends in `_seconds`.
    Seconds,
    /// A fraction of 1.
    Ratio,
    /// A mean count.
    Number,
    /// Words.
    Text,
    /// An object of counts.
    Counts,
    /// True or false.
    Flag,
}

impl ValueUnit {
    /// Its name in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Seconds => "seconds",
            Self::Ratio => "fraction",
            Self::Number => "number",
            Self::Text => "text",
            Self::Counts => "counts",
            Self::Flag => "flag",
        }
    }
}

/// Which way a metric is to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// More is better.
    High,
    /// Less is better.
    Low,
    /// It only says how much there was.
    Neither,
}

impl Better {
    /// Its name in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Low => "low",
            Self::Neither => "neither",
        }
    }
}

/// Of how many metrics an entry is the pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Itself.
    One,
    /// One for each of [`MINUTES`].
    Minutes,
    /// One for each day of `revisit.days`.
    RevisitDays,
    /// Itself, where `reply.calendar` names a calendar.
    Working,
}

/// The minutes of `first_reply_within_Nm` (semantics 10.9).
pub const MINUTES: [u32; 5] = [1, 3, 5, 10, 30];

/// One line of the table.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// The law's key, `{n}` in a family.
    pub key: &'static str,
    /// What its number is.
    pub unit: ValueUnit,
    /// Section of the law.
    pub section: &'static str,
    /// How it is made of measures.
    pub fold: Fold,
    /// Whether the values of disjoint employees and slices may be added up.
    pub is_additive: bool,
    /// Which way it is to go.
    pub better: Better,
    /// The reports that have it.
    pub reports: &'static [Report],
    /// Of how many it is the pattern.
    pub family: Family,
    /// The manual's name.
    pub zh: &'static str,
    /// In English.
    pub en: &'static str,
    /// What it counts, in Chinese.
    pub definition_zh: &'static str,
    /// The same in English.
    pub definition: &'static str,
}

/// The table, in the order of columns.
pub fn entries() -> impl Iterator<Item = &'static Entry> {
    let tables = [
        single::ENTRIES,
        group::ENTRIES,
        guide::ENTRIES,
        store::ENTRIES,
        customer::ENTRIES,
        room::ENTRIES,
    ];
    tables.into_iter().flatten()
}

/// One metric, its family filled in.
#[derive(Debug, Clone)]
pub struct Metric {
    /// The law's key.
    pub key: String,
    /// How it is made of measures.
    pub fold: Fold,
    /// The manual's name.
    pub zh: String,
    /// In English.
    pub en: String,
    /// What it counts, in Chinese.
    pub definition_zh: String,
    /// The same in English.
    pub definition: String,
    /// Its line of the table.
    pub entry: &'static Entry,
}

impl Metric {
    /// The key in answers: durations end in `_seconds`.
    pub fn json_key(&self) -> String {
        match self.entry.unit {
            ValueUnit::Seconds => format!("{}_seconds", self.key),
            _ => self.key.clone(),
        }
    }

    /// What its number is.
    pub fn unit(&self) -> ValueUnit {
        self.entry.unit
    }

    fn of(entry: &'static Entry, n: Option<u32>, fold: Fold) -> Self {
        let filled = |text: &str| match n {
            Some(n) => text.replace("{n}", &n.to_string()),
            None => text.to_owned(),
        };
        Self {
            key: filled(entry.key),
            fold,
            zh: filled(entry.zh),
            en: filled(entry.en),
            definition_zh: filled(entry.definition_zh),
            definition: filled(entry.definition),
            entry,
        }
    }
}

/// The metrics of a report under some rules, in the order of its columns.
pub fn of_report(report: Report, settings: &Settings) -> Vec<Metric> {
    entries()
        .filter(|entry| entry.reports.contains(&report))
        .flat_map(|entry| expanded(entry, settings))
        .collect()
}

fn expanded(entry: &'static Entry, settings: &Settings) -> Vec<Metric> {
    let one = |n, fold| Metric::of(entry, n, fold);
    match entry.family {
        Family::One => vec![one(None, entry.fold)],
        Family::Working if settings.working.is_some() => vec![one(None, entry.fold)],
        Family::Working => Vec::new(),
        Family::Minutes => MINUTES
            .into_iter()
            .map(|n| {
                let fold = match entry.fold {
                    Fold::Within(measure, _) => Fold::Within(measure, n),
                    other => other,
                };
                one(Some(n), fold)
            })
            .collect(),
        Family::RevisitDays => {
            let days = settings.revisit.iter().flat_map(|r| &r.days);
            days.take(super::measure::REVISIT_DAYS_MAX)
                .enumerate()
                .map(|(place, n)| one(Some(*n), entry.fold.map(|m| m.of_revisit_day(place))))
                .collect()
        }
    }
}

/// A metric that a report does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownMetric {
    /// What was asked for.
    pub name: String,
    /// The report.
    pub report: Report,
    /// What it has.
    pub known: Vec<String>,
}

impl fmt::Display for UnknownMetric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "unknown metric `{}`; report {} has: {}",
            self.name,
            self.report,
            self.known.join(", ")
        )
    }
}

impl std::error::Error for UnknownMetric {}

/// The metrics that `names` pick from those of a report, in the order asked for; all when empty.
/// A duration may be asked for with `_seconds` or without; what is named twice comes once.
///
/// # Errors
/// The first name that the report does not have.
pub fn pick(
    report: Report,
    settings: &Settings,
    names: &[String],
) -> Result<Vec<Metric>, UnknownMetric> {
    let all = of_report(report, settings);
    if names.is_empty() {
        return Ok(all);
    }
    let mut picked: Vec<Metric> = Vec::with_capacity(names.len());
    for name in names {
        let found = all.iter().find(|m| m.key == *name || m.json_key() == *name);
        let Some(found) = found else {
            return Err(UnknownMetric {
                name: name.clone(),
                report,
                known: all.iter().map(|m| m.key.clone()).collect(),
            });
        };
        if !picked.iter().any(|metric| metric.key == found.key) {
            picked.push(found.clone());
        }
    }
    Ok(picked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::Rules;

    #[test]
    fn keys_are_unique_in_each_report_and_both_spellings_are_found() {
        let mut settings = Settings::of(&Rules::default());
        settings.working = Some(std::sync::Arc::new(|from, to| to - from));
        for report in Report::ALL {
            let metrics = of_report(report, &settings);
            let mut keys: Vec<_> = metrics.iter().map(|m| m.json_key()).collect();
            keys.sort_unstable();
            keys.dedup();
            assert_eq!(keys.len(), metrics.len(), "{report}");
            for metric in metrics {
                let names = [metric.key.clone(), metric.json_key()];
                let both = pick(report, &settings, &names).unwrap();
                assert_eq!(both.len(), 1, "{}", metric.key);
                let one = pick(report, &settings, &names[1..]).unwrap();
                assert_eq!(one[0].key, both[0].key);
            }
        }
        assert!(pick(Report::Employees, &settings, &["reply_average".into()]).is_err());
    }

    #[test]
    fn families_follow_the_rules() {
        let mut settings = Settings::of(&Rules::default());
        let has = |settings: &Settings, key: &str| {
            of_report(Report::Employees, settings)
                .iter()
                .any(|m| m.key == key)
        };
        assert!(has(&settings, "revisit_rate_7") && has(&settings, "reply_within_30m"));
        assert!(!has(&settings, "reply_avg_working"));
        settings.revisit = None;
        assert!(!has(&settings, "revisit_rate_7"));
    }
}
