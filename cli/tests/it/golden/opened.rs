//! Every golden figure opens (semantics 10.9): the parts that `explain` lists make the cell.
//!
//! Asked in this process, without the messages behind each part: what HTTP and the messages add
//! is asked of fewer cells (`crate::explain`), because it takes far longer.

use std::collections::BTreeSet;

use huicun_engine::access::Scope;
use huicun_engine::archive::Home;
use huicun_engine::metrics::Report;
use huicun_engine::metrics::catalogue;
use huicun_engine::metrics::question::Question;
use huicun_engine::metrics::report::{CellOf, Inputs, count, explain};
use huicun_engine::metrics::settings::Settings;
use huicun_engine::metrics::tables::FromTables;
use huicun_engine::metrics::unit::Per;
use huicun_engine::state::State;
use huicun_query_api::queries::archive::{Archive, now_ms};
use huicun_semantics::time::Period;
use serde_json::{Map, Value};

use crate::support::Installation;

/// Opens each cell that has an expected figure, and the totals row's; says which do not give the
/// report's own value.
pub fn differences(
    run: &Installation,
    arguments: &[&str],
    expected: &Map<String, Value>,
) -> Vec<String> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let home = Home::open(&run.data()).unwrap();
    let rules = State::open(&home.state()).unwrap().rules().unwrap().1;
    let archive = Archive::open(home, rules).unwrap();
    let facts = runtime.block_on(archive.facts()).unwrap();
    let (report, per, question) = question_of(arguments);
    let settings = Settings::of(&facts.rules);
    let figures = expected.values().flat_map(|row| row.as_object().unwrap());
    let keys: BTreeSet<String> = figures.map(|(key, _)| key.clone()).collect();
    let keys: Vec<String> = keys.into_iter().filter(|key| key != "name").collect();
    let metrics = catalogue::pick(report, &settings, &keys).unwrap();
    let inputs = Inputs {
        directory: &facts.directory,
        settings: &settings,
        source: &FromTables {
            facts: &facts,
            now_ms: question.now_ms,
            confirmed: archive.state().unwrap().confirmed_behaviours().unwrap(),
            zone: archive.zone(),
        },
        progress: &|_, _| {},
    };
    // The tables are waited for in the runtime that the thread is in.
    let _entered = runtime.enter();
    let scope = Scope::local_operator();
    let answer = count(report, per, &scope, &question, &metrics, &inputs).unwrap();
    let mut wrong = Vec::new();
    for row in answer.rows.iter().chain(&answer.totals) {
        for (metric, value) in metrics.iter().zip(&row.values) {
            let cell = CellOf {
                unit: Some(row.unit.id.clone()).filter(|id| !id.is_empty()),
                slice: row.period.clone(),
            };
            let opened = explain(report, per, &scope, &question, metric, &cell, &inputs);
            let opened = opened.unwrap().map(|explained| explained.value);
            if opened.as_ref() != Some(value) {
                let key = &metric.key;
                wrong.push(format!(
                    "{cell:?} `{key}` opens to {opened:?}, not {value:?}"
                ));
            }
        }
    }
    wrong
}

fn question_of(arguments: &[&str]) -> (Report, Per, Question) {
    let flag = |name: &str| {
        let at = arguments.iter().position(|one| *one == name)?;
        Some(arguments[at + 1])
    };
    let report: Report = arguments[1].parse().unwrap();
    let per = match flag("--per") {
        None => report.per(),
        Some("employee") => Per::Employee,
        Some("department") => Per::Department,
        Some(other) => panic!("`{other}`"),
    };
    let period = Period::parse(flag("--from").unwrap(), flag("--to").unwrap()).unwrap();
    let mut question = Question::over(period, now_ms());
    question.by = flag("--by").map(|by| by.parse().unwrap());
    question.employees = flag("--employee").into_iter().map(String::from).collect();
    (report, per, question)
}
