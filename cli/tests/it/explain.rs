//! Every figure opens (semantics 10.9): for every metric of every report, the facts that `explain`
//! lists make the cell that the report shows.

use serde_json::Value;

use crate::support::{Client, Installation, encoded};

/// A made-up company of a few people over two weeks.
fn demo() -> Installation {
    let run = Installation::new();
    let folder = run.path("company");
    let folder = folder.to_str().unwrap();
    let sizes = ["--messages", "500", "--employees", "6", "--days", "6"];
    run.run(&[&["demo", "make", folder][..], &sizes].concat())
        .ok();
    let directory = format!("{folder}/directory");
    run.run(&["import", "directory", &directory]).ok();
    let messages = format!("{folder}/messages.ndjson");
    run.run(&["import", "messages", &messages]).ok();
    run
}

/// Asks the report, then explains every cell of its totals and of the rows of `named`.
fn assert_opens(client: &Client, report: &str, id: &str, named: usize) {
    let answer = client.get(&format!("/v1/reports/{report}")).ok().json();
    let mut rows: Vec<(Option<String>, &Value)> = vec![(None, &answer["totals"][0])];
    for row in answer["items"].as_array().unwrap().iter().take(named) {
        rows.push((row[id].as_str().map(String::from), row));
    }
    let parameter = match id {
        "userid" => "employee",
        "department_id" => "department",
        "chat_id" => "group",
        _ => "store",
    };
    for (unit, row) in rows {
        for (metric, value) in row.as_object().unwrap() {
            if metric == id || metric == "name" {
                continue;
            }
            let unit = unit
                .iter()
                .map(|unit| format!("&{parameter}={}", encoded(unit)));
            let path = format!(
                "/v1/explain/{report}/{metric}?limit=1{}",
                unit.collect::<String>()
            );
            let explained = client.get(&path).ok().json();
            assert_eq!(&explained["value"], value, "{path}");
        }
    }
}

#[test]
fn every_cell_of_every_report_opens() {
    let run = demo();
    let token = run.token("all");
    let server = run.serve("serve");
    let client = server.client(&token);
    for (report, id) in [
        ("employees", "userid"),
        ("departments", "department_id"),
        ("guides", "userid"),
        ("stores", "store_id"),
        ("groups", "chat_id"),
    ] {
        assert_opens(&client, report, id, 1);
    }
}

#[test]
fn a_ratio_opens_to_its_dialogues_with_their_messages() {
    let run = demo();
    let list = |metric: &str| {
        let arguments = ["explain", "employees", metric];
        run.run(&arguments).ok().rows()
    };
    let rate = list("reply_rate");
    let replied = rate.iter().filter(|row| row["numerator"] == 1.0).count();
    let opened = rate.iter().filter(|row| row["denominator"] == 1.0).count();
    assert!(0 < replied && replied <= opened, "{replied} of {opened}");
    for row in &rate {
        assert_eq!(row["kind"], "dialogue");
        let ids = row["message_ids"].as_array().unwrap();
        assert!(!ids.is_empty(), "{row}");
    }
    // A message stands behind one dialogue of its conversation.
    let n_messages: usize = list("messages_avg")
        .iter()
        .map(|row| {
            let ids = row["message_ids"].as_array().unwrap().len();
            assert_eq!(row["numerator"], ids as f64, "{row}");
            ids
        })
        .sum();
    assert!(n_messages > 0);
}

#[test]
fn a_cell_that_is_not_there_is_not_explained() {
    let run = demo();
    let refused = |arguments: &[&str], word: &str| {
        let ran = run.run(arguments);
        assert_ne!(ran.status, 0, "{arguments:?}");
        assert!(ran.stderr.contains(word), "{}", ran.stderr);
    };
    refused(&["explain", "cats", "dialogues"], "`cats`");
    refused(&["explain", "employees", "happiness"], "`happiness`");
    refused(
        &["explain", "departments", "dialogues", "--department", "no"],
        "`no`",
    );
}
