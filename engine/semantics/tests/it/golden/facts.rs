//! Golden cases of words, directory facts, lively groups and rankings (semantics 8, 9, 10.6-10.8).

use chrono::DateTime;
use huicun_semantics::activity::{
    Condition, DEFAULT_ACTIVITY, DEFAULT_SPEECH, Measured, Op, Threshold, activity_ratio,
    is_active_customer, is_active_group, speech_ratio,
};
use huicun_semantics::interval::{
    Held, Interval, first_adder_by, first_joining_by, owner_at, responsible_at, silent_days,
};
use huicun_semantics::ranking::{n_within, places};
use huicun_semantics::words::{WordMatch, WordRule, Words, parse_words};
use serde_json::{Value, json};

use super::text;

pub(super) fn words(case: &Value) -> Value {
    if text(case, "op") == "split" {
        return json!(parse_words(text(case, "words")));
    }
    let one = [case.clone()];
    let written = case["rules"].as_array().map_or(&one[..], Vec::as_slice);
    let match_ = |rule: &Value| match &rule["match"] {
        Value::Null => WordMatch::default(),
        named => serde_json::from_value(named.clone()).unwrap(),
    };
    let lists: Vec<Vec<String>> = written
        .iter()
        .map(|rule| parse_words(text(rule, "words")))
        .collect();
    let rules: Vec<WordRule<'_>> = written
        .iter()
        .zip(&lists)
        .map(|(rule, words)| WordRule {
            words,
            match_: match_(rule),
        })
        .collect();
    let hits = Words::new(&rules).hits(text(case, "text")).into_iter();
    hits.map(|hit| {
        let word = &lists[hit.rule][hit.word];
        json!(format!("{} {word} {}..{}", hit.rule, hit.start, hit.end))
    })
    .collect()
}

/// Names as numbers in the order in which they come: not the order of their bytes.
#[derive(Default)]
struct Names(Vec<String>);

impl Names {
    fn number(&mut self, name: &Value) -> u32 {
        let name = name.as_str().unwrap();
        let at = self.0.iter().position(|other| other == name);
        let at = at.unwrap_or_else(|| {
            self.0.push(name.to_owned());
            self.0.len() - 1
        });
        at as u32
    }

    fn name(&self, number: u32) -> &str {
        &self.0[number as usize]
    }

    fn held(&mut self, list: &Value) -> Vec<Held> {
        let list = list.as_array().into_iter().flatten();
        list.map(|held| {
            let interval = Interval {
                from_ms: held[1].as_i64(),
                to_ms: held[2].as_i64(),
            };
            (self.number(&held[0]), interval)
        })
        .collect()
    }
}

pub(super) fn directory(case: &Value) -> Value {
    let mut names = Names::default();
    let at_ms = || case["at"].as_i64().unwrap();
    let instant = |key| {
        DateTime::parse_from_rfc3339(text(case, key))
            .unwrap()
            .timestamp_millis()
    };
    let found = match text(case, "op") {
        "first_adder" => {
            let relations: Vec<_> = names
                .held(&case["relations"])
                .into_iter()
                .map(|(user, held)| (user, held.from_ms.unwrap(), held.to_ms))
                .collect();
            first_adder_by(&relations, at_ms(), |user| names.name(user))
        }
        "owner" | "responsible" => {
            let table = case["table"]
                .is_string()
                .then(|| names.number(&case["table"]));
            let (owners, responsibles) = (
                names.held(&case["owners"]),
                names.held(&case["responsibles"]),
            );
            match text(case, "op") {
                "owner" => owner_at(&owners, table, at_ms()),
                _ => responsible_at(&responsibles, &owners, table, at_ms()),
            }
        }
        "first_joining" => {
            let joinings: Vec<_> = names
                .held(&case["joinings"])
                .into_iter()
                .map(|(group, held)| (group, held.from_ms))
                .collect();
            let first = first_joining_by(&joinings, |group| names.name(group));
            return json!(first.map(|(group, joined_ms)| json!([names.name(group), joined_ms])));
        }
        "silent" => return json!(silent_days(instant("last"), instant("at"))),
        other => panic!("unknown op `{other}`"),
    };
    json!(found.map(|user| names.name(user)))
}

pub(super) fn group_activity(case: &Value) -> Value {
    let op = |written: &Value| serde_json::from_value::<Op>(written.clone()).unwrap();
    let n = |key: &str| case[key].as_u64().unwrap();
    match text(case, "op") {
        "customer" => {
            let conditions = case["conditions"].as_array().into_iter().flatten();
            let conditions: Vec<Condition> = conditions
                .map(|written| Condition {
                    measure: serde_json::from_value(written[0].clone()).unwrap(),
                    op: op(&written[1]),
                    value: written[2].as_f64().unwrap(),
                })
                .collect();
            let did = |key: &str| case["did"][key].as_u64().unwrap_or(0);
            let did = Measured {
                messages: did("messages"),
                material_views: did("material_views"),
                material_shares: did("material_shares"),
                material_dwell_seconds: case["did"]["material_dwell_seconds"]
                    .as_f64()
                    .unwrap_or(0.0),
                orders: did("orders"),
            };
            json!(is_active_customer(&conditions, &did))
        }
        "group" => {
            let activity = activity_ratio(n("active_customers"), n("members"));
            let speech = speech_ratio(n("messages"), n("days"), n("members"));
            let given = |key: &str| {
                let written = case["thresholds"].get(key)?;
                Some(Threshold {
                    op: op(&written[0]),
                    value: written[1].as_f64().unwrap(),
                })
            };
            let mut thresholds = Vec::new();
            if case["thresholds"].is_object() {
                thresholds.extend(given("activity").map(|threshold| (threshold, activity)));
                thresholds.extend(given("speech").map(|threshold| (threshold, speech)));
            } else {
                thresholds = vec![(DEFAULT_ACTIVITY, activity), (DEFAULT_SPEECH, speech)];
            }
            let rounded =
                |ratio: Option<f64>| ratio.map(|ratio| (ratio * 10_000.0).round() / 10_000.0);
            json!([
                rounded(activity),
                rounded(speech),
                is_active_group(&thresholds)
            ])
        }
        other => panic!("unknown op `{other}`"),
    }
}

pub(super) fn ranking(case: &Value) -> Value {
    let rows: Vec<Vec<i64>> = case["values"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| match row.as_array() {
            Some(values) => values.iter().map(|value| value.as_i64().unwrap()).collect(),
            None => vec![row.as_i64().unwrap()],
        })
        .collect();
    let places = places(&rows, |a, b| b.cmp(a));
    let top = case["top"].as_u64().unwrap() as u32;
    json!({"places": places, "shown": n_within(&places, top)})
}
