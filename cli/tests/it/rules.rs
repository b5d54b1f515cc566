//! Rules and behaviours through the binary and HTTP: applied, compared, listed, reviewed.

use serde_json::json;

use crate::support::{Installation, text_line};

const AT_MS: i64 = 1_727_712_000_000;

const WATCHED: &str = "[[sensitive.rule]]\nname = \"飞单\"\nwords = \"加我微信\"\nenabled = true\n\
    [behaviour.sensitive_word]\nenabled = true\n";

fn ids(run: &Installation) -> Vec<String> {
    let rows = run.run(&["behaviours"]).ok().rows();
    let id = |row: &serde_json::Value| row["msgid"].as_str().unwrap_or("-").to_string();
    rows.iter().map(id).collect()
}

#[test]
fn rules_hold_for_what_comes_in_later_and_a_rescan_reaches_back() {
    let run = Installation::new();
    let messages = run.write(
        "a.ndjson",
        &text_line(1, "zhang", "wmanna", AT_MS, "请加我微信"),
    );
    let rules = run.write("rules.toml", WATCHED);
    let (messages, rules) = (messages.to_str().unwrap(), rules.to_str().unwrap());
    run.run(&["import", "messages", messages]).ok();
    let tested = run.run(&["behaviours", "backtest", rules]).ok().rows();
    assert_eq!(tested[0]["rules"], json!(["飞单"]));
    run.run(&["rules", "apply", rules]).ok();
    assert!(ids(&run).is_empty());
    let later = run.write(
        "b.ndjson",
        &text_line(2, "zhang", "wmanna", AT_MS, "还是加我微信"),
    );
    run.run(&["import", "messages", later.to_str().unwrap()])
        .ok();
    assert_eq!(ids(&run).len(), 1);
    run.run(&[
        "behaviours",
        "rescan",
        "--from",
        "2024-09-30",
        "--to",
        "2024-10-01",
    ])
    .ok();
    let rows = run.run(&["behaviours"]).ok().rows();
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0]["review"], "unreviewed");
    let id = rows[0]["behaviour_id"].as_str().unwrap();
    run.run(&[
        "behaviours",
        "review",
        id,
        "--as",
        "confirmed",
        "--reviewer",
        "li",
    ])
    .ok();
    let confirmed = || {
        let asked = ["report", "employees", "--metrics", "violations_confirmed"];
        run.run(&asked).ok().rows()[0]["violations_confirmed"].clone()
    };
    assert_eq!(confirmed(), json!(1));
    run.run(&[
        "behaviours",
        "review",
        id,
        "--as",
        "false_alarm",
        "--remark",
        "玩笑",
    ])
    .ok();
    assert_eq!(confirmed(), json!(0));
    let history = run.run(&["behaviours", "reviews", id]).ok().rows();
    assert_eq!(
        (&history[0]["review"], &history[0]["reviewer"]),
        (&json!("confirmed"), &json!("li"))
    );
    let alarms = run
        .run(&["behaviours", "--review", "false_alarm"])
        .ok()
        .rows();
    assert_eq!(alarms.len(), 1);
    let by_rule = run.run(&["behaviours", "--by-rule"]).ok().rows();
    assert_eq!(
        (&by_rule[0]["hits"], &by_rule[0]["false_alarms"]),
        (&json!(2), &json!(1))
    );
}

#[test]
fn versions_are_compared_listed_and_printed_and_holidays_taken_over() {
    let run = Installation::new();
    let office = "[[calendar]]\nname = \"office\"\nweekly = { mon = [\"09:00-18:00\"] }\n";
    let office = run.write("office.toml", office);
    let office = office.to_str().unwrap();
    let diff = run.run(&["rules", "diff", office]).ok().stdout;
    assert!(
        diff.contains("# calendar: ") && diff.contains("+ name = \"office\""),
        "{diff}"
    );
    run.run(&["rules", "apply", office]).ok();
    let told = run
        .run(&[
            "rules",
            "holidays",
            "--calendar",
            "office",
            "--year",
            "2024",
        ])
        .ok()
        .stderr;
    assert!(told.contains("0 replaced, 0 left"), "{told}");
    let shown = run.run(&["rules", "show"]).ok().stdout;
    assert!(
        shown.contains("{ date = \"2024-10-12\", as = \"mon\", note = \"国庆节\" }"),
        "{shown}"
    );
    assert!(
        !run.run(&["rules", "show", "--version", "1"])
            .ok()
            .stdout
            .contains("国庆节")
    );
    let history = run.run(&["rules", "history"]).ok().rows();
    assert_eq!(history.len(), 2);
    assert_eq!(history[1]["sections"], json!(["calendar"]));
    assert!(
        run.run(&["rules", "holidays", "--year", "2024"])
            .ok()
            .rows()
            .len()
            > 30
    );
}

#[test]
fn a_server_takes_rules_and_a_narrow_token_does_not_give_them() {
    let run = Installation::new();
    let messages = run.write(
        "a.ndjson",
        &text_line(1, "zhang", "wmanna", AT_MS, "加我微信"),
    );
    run.run(&["import", "messages", messages.to_str().unwrap()])
        .ok();
    let (all, narrow) = (run.token("all"), run.token("employee:zhang"));
    let server = run.serve("serve");
    let (all, narrow) = (server.client(&all), server.client(&narrow));
    assert_eq!(narrow.get("/v1/rules").problem().0, 403);
    let (status, code) = all.send("PUT", "/v1/rules", b"[dialogue]\nx = 1").problem();
    assert_eq!((status, code.as_str()), (400, "rules"));
    let put = all.send("PUT", "/v1/rules", WATCHED.as_bytes()).ok().json();
    assert_eq!(put["version"], 1);
    assert_eq!(all.get("/v1/rules").ok().json()["toml"], put["toml"]);
    run.run(&[
        "behaviours",
        "rescan",
        "--from",
        "2024-01-01",
        "--to",
        "2024-12-31",
    ])
    .ok();
    assert_eq!(all.get("/v1/behaviours").ok().items().len(), 1);
    assert_eq!(narrow.get("/v1/behaviours").ok().items().len(), 0);
}
