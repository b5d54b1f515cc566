//! Every figure opens (semantics 10.9): for every metric of every report, the facts that `explain`
//! lists make the cell that the report shows.

use serde_json::Value;

use crate::support::{Client, Installation, encoded, text_line};

/// A made-up company of a few people over two weeks.
fn demo() -> Installation {
    let run = Installation::new();
    let folder = run.path("company");
    let folder = folder.to_str().unwrap();
    let sizes = ["--messages", "200", "--employees", "5", "--days", "4"];
    run.run(&[&["demo", "make", folder][..], &sizes].concat())
        .ok();
    let directory = format!("{folder}/directory");
    run.run(&["import", "directory", &directory]).ok();
    let messages = format!("{folder}/messages.ndjson");
    run.run(&["import", "messages", &messages]).ok();
    run
}

/// Asks the report, then explains one cell of its first row in `step`, from the `first` on.
fn assert_opens(
    client: &Client,
    report: &str,
    query: &str,
    (id, parameter): (&str, &str),
    (first, step): (usize, usize),
) {
    let path = format!("/v1/reports/{report}?{query}");
    let row = &client.get(&path).ok().items()[0];
    let unit = encoded(row[id].as_str().unwrap());
    let cells = row.as_object().unwrap().iter();
    let cells = cells.filter(|(key, _)| *key != id && *key != "name");
    for (metric, value) in cells.skip(first).step_by(step) {
        let cell = format!("{query}&{parameter}={unit}&limit=1");
        let path = format!("/v1/explain/{report}/{metric}?{cell}");
        let explained = client.get(&path).ok().json();
        assert_eq!(&explained["value"], value, "{path}");
        assert_eq!(explained["unit"], row[id], "{path}");
    }
}

/// Over HTTP, with its messages, every metric once, in a row of every report. Employees and
/// departments have the same metrics, so each takes half of them. Every cell of small companies
/// is opened without HTTP by `crate::golden`, which takes far less time.
#[test]
fn every_metric_opens_over_http() {
    let run = demo();
    let token = run.token("all");
    let server = run.serve("serve");
    let client = server.client(&token);
    for (report, query, unit, which) in [
        ("employees", "", ("userid", "employee"), (0, 2)),
        ("departments", "", ("department_id", "department"), (1, 2)),
        ("guides", "", ("userid", "employee"), (0, 1)),
        ("stores", "", ("store_id", "store"), (0, 1)),
        ("customers", "per=employee", ("userid", "employee"), (0, 1)),
        ("groups", "", ("chat_id", "group"), (0, 1)),
    ] {
        assert_opens(&client, report, query, unit, which);
    }
}

/// The row of all, of the report that has no other.
#[test]
fn the_companys_row_of_customers_opens() {
    let run = demo();
    let list = |metric: &str| run.run(&["explain", "customers", metric]).ok();
    let report = run
        .run(&["report", "customers", "--metrics", "customers"])
        .ok();
    let n_customers = report.rows()[0]["customers"].as_u64().unwrap();
    assert!(n_customers > 0);
    let rows = list("customers").rows();
    let customers: std::collections::BTreeSet<String> = rows
        .iter()
        .flat_map(|row| row["people"].as_array().unwrap().iter())
        .filter_map(Value::as_str)
        .filter(|id| id.starts_with("wm") || id.starts_with("wo"))
        .map(String::from)
        .collect();
    assert_eq!(customers.len() as u64, n_customers, "{}", rows[0]);
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
    // An id of a store may be one of a department too.
    refused(
        &["explain", "departments", "dialogues", "--store", "1"],
        "`store` names no row of report departments: expected `department`",
    );
    refused(
        &["explain", "customers", "customers", "--employee", "e1"],
        "expected none",
    );
}

/// ann answers wm1 after one and after four minutes, revisits him by a follow-up, and sends a word
/// that is watched.
fn watched() -> Installation {
    let run = Installation::new();
    let rules = "[[sensitive.rule]]\nname = \"飞单\"\nwords = \"加我微信\"\nenabled = true\n\
        [behaviour.sensitive_word]\nenabled = true\n";
    let rules = run.write("rules.toml", rules);
    run.run(&["rules", "apply", rules.to_str().unwrap()]).ok();
    for (table, row) in [
        (
            "employees",
            r#"{"userid":"ann","name":"安","departments":[]}"#,
        ),
        (
            "relations",
            r#"{"userid":"ann","external_userid":"wm1","add_time":"2024-10-01T09:00:00+08:00"}"#,
        ),
        (
            "followups",
            r#"{"id":"f7","userid":"ann","target_type":"customer","target_id":"wm1","time":"2024-10-02T09:00:00+08:00"}"#,
        ),
    ] {
        run.write(&format!("directory/{table}.ndjson"), row);
    }
    let folder = run.path("directory");
    run.run(&["import", "directory", folder.to_str().unwrap()])
        .ok();
    let minute = |n: i64| 1_727_748_000_000 + n * 60_000;
    let lines = [
        text_line(1, "wm1", "ann", minute(0), "在吗"),
        text_line(2, "ann", "wm1", minute(1), "在"),
        text_line(3, "wm1", "ann", minute(2), "多少钱"),
        text_line(4, "ann", "wm1", minute(6), "加我微信"),
    ];
    let file = run.write("messages.ndjson", &lines.concat());
    run.run(&["import", "messages", file.to_str().unwrap()])
        .ok();
    run
}

#[test]
fn what_was_in_time_is_told_with_how_long_it_took() {
    let run = watched();
    let rows = run
        .run(&["explain", "employees", "reply_within_3m"])
        .ok()
        .rows();
    let told: Vec<(f64, f64, f64)> = rows
        .iter()
        .map(|row| ["numerator", "denominator", "seconds"].map(|key| row[key].as_f64().unwrap()))
        .map(|[above, below, seconds]| (above, below, seconds))
        .collect();
    assert_eq!(told, [(1.0, 1.0, 60.0), (0.0, 1.0, 240.0)]);
}

#[test]
fn a_violation_names_its_message_and_a_revisit_its_follow_up() {
    let run = watched();
    let found = run.run(&["behaviours"]).ok().rows();
    let id = found[0]["behaviour_id"].as_str().unwrap();
    let review = [
        "behaviours",
        "review",
        id,
        "--as",
        "confirmed",
        "--reviewer",
        "li",
    ];
    run.run(&review).ok();
    let list = |metric: &str| run.run(&["explain", "employees", metric]).ok().rows();
    let violations = list("violations_confirmed");
    assert_eq!(violations.len(), 1);
    assert_eq!(violations[0]["message_ids"][0], found[0]["msgid"]);
    let revisits = list("revisit_done_2");
    assert_eq!(revisits.len(), 1);
    assert_eq!(revisits[0]["id"], "f7");
    // What is counted once adds up to the cell, however often it comes.
    let customers = list("customers_new");
    let sum: f64 = customers
        .iter()
        .map(|row| row["numerator"].as_f64().unwrap())
        .sum();
    assert_eq!(sum, 1.0);
}
