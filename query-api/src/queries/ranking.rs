//! Rankings (semantics 10.8, manual 5.4.3): the rows of a report in the order of some metrics, best
//! first, those that qualify, on the first places.
//!
//! Equal values share a place and the next value takes the next number: 1, 2, 3, 3, 3, 4. Rows of
//! one place stand in the order of their ids.

use std::cmp::Ordering;

use huicun_engine::access::Scope;
use huicun_engine::metrics::Report as Kind;
use huicun_engine::metrics::catalogue::{self, ValueUnit};
use huicun_engine::metrics::settings::Settings;
use huicun_semantics::ranking::{n_within, places};
use serde_json::{Value, json};

use super::archive::Archive;
use super::error::QuestionError;
use super::reports::{Report, ReportParams, report};
use crate::answer::{Column, ColumnKind};

/// A metric of a ranking, and what qualifies.
#[derive(Debug, Clone, PartialEq)]
pub struct Criterion {
    /// The metric's key.
    pub metric: String,
    /// The least that qualifies; anything if missing.
    pub min: Option<f64>,
}

impl std::str::FromStr for Criterion {
    type Err = String;

    /// `key` or `key:min`.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("`{text}`: expected a metric's key, or `key:min`, such as friends_new:5");
        let (metric, min) = match text.split_once(':') {
            None => (text, None),
            Some((metric, min)) => {
                let min: Option<f64> = min.parse().ok().filter(|min: &f64| min.is_finite());
                (metric, Some(min.ok_or_else(wrong)?))
            }
        };
        match metric {
            "" => Err(wrong()),
            metric => Ok(Self {
                metric: metric.into(),
                min,
            }),
        }
    }
}

/// What is asked.
#[derive(Clone, Default)]
pub struct RankingParams {
    /// Period and filters; its metrics are those of the criteria.
    pub report: ReportParams,
    /// In the order of precedence; `key` or `key:min`.
    pub metrics: Vec<String>,
    /// How many places; all if missing.
    pub top: Option<u32>,
}

/// Ranks the rows of a report.
///
/// # Errors
/// A report that is not ranked, no metric, one that is unknown, no number or named twice.
pub async fn ranking(
    scope: &Scope,
    kind: Kind,
    archive: &Archive,
    params: &RankingParams,
) -> Result<Report, QuestionError> {
    if !matches!(kind, Kind::Guides | Kind::Stores) {
        return Err(QuestionError::Parameter(format!(
            "there is a ranking of guides and of stores, none of {kind}"
        )));
    }
    if params.metrics.is_empty() {
        return Err(QuestionError::Parameter(
            "a ranking needs at least one `metric`".into(),
        ));
    }
    let criteria: Vec<Criterion> = params
        .metrics
        .iter()
        .map(|text| text.parse())
        .collect::<Result<_, _>>()
        .map_err(QuestionError::Parameter)?;
    let question = ReportParams {
        by: None,
        metrics: criteria.iter().map(|c| c.metric.clone()).collect(),
        ..params.report.clone()
    };
    let known = catalogue::pick(kind, &Settings::of(&archive.rules()?), &question.metrics)?;
    if known.len() < criteria.len() {
        return Err(QuestionError::Parameter(
            "a ranking names each metric once: the second time would decide nothing".into(),
        ));
    }
    let mut found = report(scope, kind, archive, &question).await?;
    let is_number = |unit| !matches!(unit, ValueUnit::Text | ValueUnit::Counts | ValueUnit::Flag);
    if let Some(metric) = found.metrics.iter().find(|m| !is_number(m.unit())) {
        return Err(QuestionError::Parameter(format!(
            "metric `{}` is no number and ranks nothing",
            metric.key
        )));
    }
    let rows = std::mem::take(&mut found.table.rows);
    found.table.rows = ranked(rows, &criteria, params.top);
    let place = Column::new("place", "名次", "Place", ColumnKind::Integer);
    found.table.columns.insert(0, place);
    // Totals are of rows that do not qualify, too.
    found.totals.clear();
    Ok(found)
}

/// Id and name stand before the metrics.
const HEAD: usize = 2;

fn ranked(mut rows: Vec<Vec<Value>>, criteria: &[Criterion], top: Option<u32>) -> Vec<Vec<Value>> {
    rows.retain(|row| {
        let values = row[HEAD..].iter().zip(criteria);
        values
            .filter_map(|(value, criterion)| criterion.min.map(|min| (value, min)))
            .all(|(value, min)| value.as_f64().is_some_and(|value| value >= min))
    });
    let better = |a: &Vec<Value>, b: &Vec<Value>| {
        let pairs = a[HEAD..].iter().zip(&b[HEAD..]);
        let orders = pairs.map(|(a, b)| compare(a.as_f64(), b.as_f64()));
        orders.fold(Ordering::Equal, Ordering::then)
    };
    // Stable: rows came by id.
    rows.sort_by(better);
    let places = places(&rows, better);
    let n = top.map_or(rows.len(), |top| n_within(&places, top));
    let with_place = |(mut row, place): (Vec<Value>, u32)| {
        row.insert(0, json!(place));
        row
    };
    rows.into_iter()
        .zip(places)
        .take(n)
        .map(with_place)
        .collect()
}

/// The higher value comes first, none last.
fn compare(a: Option<f64>, b: Option<f64>) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) => b.total_cmp(&a),
        (a, b) => b.is_some().cmp(&a.is_some()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: &str, values: &[Option<f64>]) -> Vec<Value> {
        let mut row = vec![json!(id), Value::Null];
        row.extend(values.iter().map(|value| json!(value)));
        row
    }

    fn places_of(criteria: &[&str], top: Option<u32>) -> Vec<(u64, String)> {
        let rows = vec![
            row("a", &[Some(5.0), Some(1.0)]),
            row("b", &[Some(7.0), None]),
            row("c", &[Some(5.0), Some(2.0)]),
            row("d", &[Some(5.0), Some(1.0)]),
            row("e", &[Some(4.0), Some(9.0)]),
            row("f", &[Some(7.0), Some(0.0)]),
        ];
        let criteria: Vec<Criterion> = criteria.iter().map(|c| c.parse().unwrap()).collect();
        let rows = rows
            .into_iter()
            .map(|row| row[..HEAD + criteria.len()].to_vec());
        ranked(rows.collect(), &criteria, top)
            .into_iter()
            .map(|row| (row[0].as_u64().unwrap(), row[1].as_str().unwrap().into()))
            .collect()
    }

    fn told(found: &[(u64, String)]) -> String {
        let places: Vec<String> = found
            .iter()
            .map(|(place, id)| format!("{place}{id}"))
            .collect();
        places.join(" ")
    }

    #[test]
    fn equal_values_share_a_place_and_the_next_takes_the_next_number() {
        assert_eq!(told(&places_of(&["m"], None)), "1b 1f 2a 2c 2d 3e");
        assert_eq!(told(&places_of(&["m", "n"], None)), "1f 2b 3c 4a 4d 5e");
        assert_eq!(told(&places_of(&["m"], Some(2))), "1b 1f 2a 2c 2d");
        assert_eq!(told(&places_of(&["m"], Some(0))), "");
    }

    #[test]
    fn who_has_too_little_or_nothing_does_not_qualify() {
        assert_eq!(told(&places_of(&["m:5", "n:1"], None)), "1c 2a 2d");
        assert_eq!(told(&places_of(&["m:5.5", "n"], None)), "1f 2b");
    }

    #[test]
    fn a_criterion_that_is_none_is_told() {
        for text in ["", ":5", "m:", "m:x", "m:inf"] {
            assert!(text.parse::<Criterion>().is_err(), "{text}");
        }
    }
}
