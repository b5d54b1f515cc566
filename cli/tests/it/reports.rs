//! Reports as they are asked for: which days, which rows, which filters, and who may see them.

use serde_json::{Value, json};

use crate::support::{Installation, text_line};

/// 2024-10-02 23:55 in Shanghai.
const LATE: i64 = 1_727_884_500_000;

const RULES: &str =
    "[[timeout.rule]]\nname = \"default\"\nlevels = [{ after_minutes = 10, notify = [] }]\n";

/// ann left department d1 to bob, who is alone in it since; s1 is bob's store, s2 has a member
/// whom the directory does not know. ann added wm1 on 30 September, who wrote late on 2 October
/// and was never answered.
fn company() -> Installation {
    let run = Installation::new();
    let rules = run.write("rules.toml", RULES);
    run.run(&["rules", "apply", rules.to_str().unwrap()]).ok();
    let tables = [
        (
            "departments",
            "{\"id\":\"d1\",\"name\":\"甲\"}\n{\"id\":\"d2\",\"name\":\"乙\"}\n",
        ),
        (
            "employees",
            "{\"userid\":\"ann\",\"name\":\"安\",\"departments\":[\"d2\"]}\n\
             {\"userid\":\"bob\",\"name\":\"鲍\",\"departments\":[\"d1\"]}\n",
        ),
        (
            "department_members",
            "{\"userid\":\"ann\",\"department_id\":\"d1\",\"from_time\":1600000000,\"to_time\":1700000000}\n\
             {\"userid\":\"ann\",\"department_id\":\"d2\",\"from_time\":1700000000}\n",
        ),
        (
            "stores",
            "{\"store_id\":\"s1\",\"name\":\"一\",\"members\":[\"bob\"]}\n\
             {\"store_id\":\"s2\",\"name\":\"二\",\"members\":[\"bob\",\"ghost\"]}\n",
        ),
        (
            "relations",
            "{\"userid\":\"ann\",\"external_userid\":\"wm1\",\"add_time\":\"2024-09-30T12:00:00+08:00\"}\n",
        ),
    ];
    for (table, rows) in tables {
        run.write(&format!("directory/{table}.ndjson"), rows);
    }
    let folder = run.path("directory");
    run.run(&["import", "directory", folder.to_str().unwrap()])
        .ok();
    let lines = text_line(1, "wm1", "ann", LATE, "在吗");
    let file = run.write("messages.ndjson", &lines);
    run.run(&["import", "messages", file.to_str().unwrap()])
        .ok();
    run
}

#[test]
fn without_a_period_a_report_covers_the_first_message_to_the_last_of_anything() {
    let run = company();
    let token = run.token("all");
    let server = run.serve("serve");
    let client = server.client(&token);
    let report = client.get("/v1/reports/employees").ok().json();
    // From the message, not the relation, to the timeout, which fired after midnight.
    assert_eq!(report["period"], json!(["2024-10-02", "2024-10-03"]));
    assert_eq!(report["totals"][0]["customers_new"], 0);
    let timeouts = run.run(&["timeouts"]).ok().rows();
    assert_eq!(report["totals"][0]["timeouts"], timeouts.len());
    assert_eq!(timeouts.len(), 1);
    let path = "/v1/reports/employees?from=2024-10-02&to=2024-10-02";
    let report = client.get(path).ok().json();
    assert_eq!(report["period"], json!(["2024-10-02", "2024-10-02"]));
    assert_eq!(report["totals"][0]["timeouts"], 0);
    let ranking = client.get("/v1/ranking/guides?metric=friends").ok().json();
    assert_eq!(ranking["period"], json!(["2024-10-02", "2024-10-03"]));
}

#[test]
fn without_messages_the_directory_gives_the_period() {
    let run = Installation::new();
    let relation =
        r#"{"userid":"ann","external_userid":"wm1","add_time":"2024-09-30T12:00:00+08:00"}"#;
    let file = run.write("relations.ndjson", relation);
    run.run(&["import", "directory", file.to_str().unwrap()])
        .ok();
    let rows = run.run(&["report", "guides", "--by", "day"]).ok().rows();
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!(rows[0]["period"], "2024-09-30");
    assert_eq!(rows[0]["friends_new"], 1);
}

#[test]
fn a_filter_that_a_report_lacks_is_refused_with_those_it_has() {
    let run = company();
    for (arguments, has) in [
        (
            &["report", "departments", "--store", "s1"][..],
            "`employee`, `department`",
        ),
        (&["report", "employees", "--group", "g"][..], "`store`"),
        (&["report", "groups", "--store", "s1"][..], "`group`"),
        (
            &["report", "customers", "--employee", "ann"][..],
            "no filters",
        ),
        (
            &["report", "stores", "--per", "department", "--store", "s1"][..],
            "`department`",
        ),
    ] {
        let ran = run.run(arguments);
        assert_eq!(ran.status, 2, "{arguments:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(has), "{}", ran.stderr);
    }
    let of_store = |report: &str, store: &str| -> Vec<Value> {
        let arguments = ["report", report, "--store", store];
        let rows = run.run(&arguments).ok().rows();
        rows.into_iter().map(|row| row["userid"].clone()).collect()
    };
    assert_eq!(of_store("employees", "s1"), [json!("bob")]);
    assert_eq!(of_store("guides", "s2"), [json!("bob")]);
    assert!(of_store("guides", "nowhere").is_empty());
}

#[test]
fn rows_that_are_kept_back_are_counted_and_nothing_is_the_total_of_no_rows() {
    let run = company();
    let (all, bob) = (run.token("all"), run.token("employee:bob"));
    let server = run.serve("serve");
    let (all, bob) = (server.client(&all), server.client(&bob));
    // d1 was ann's too, long before the period.
    let report = bob.get("/v1/reports/departments").ok().json();
    assert_eq!(report["items"], json!([]));
    assert_eq!(report["totals"], json!([]));
    assert_eq!(report["withheld"], json!({"departments": 1}));
    let refused = |path: &str| assert_eq!(bob.get(path).problem().0, 404, "{path}");
    refused("/v1/explain/departments/dialogues");
    refused("/v1/explain/departments/dialogues?department=d1");
    refused("/v1/explain/employees/dialogues?employee=ann");
    let stores = bob.get("/v1/reports/stores").ok().json();
    assert_eq!(stores["items"][0]["store_id"], "s1");
    assert_eq!(stores["items"].as_array().unwrap().len(), 1);
    assert_eq!(stores["withheld"], json!({"stores": 1}));
    let company = bob.get("/v1/reports/customers").ok().json();
    assert_eq!(company["withheld"], json!({"company": 1}));
    for path in ["departments", "stores", "customers", "employees"] {
        let report = all.get(&format!("/v1/reports/{path}")).ok().json();
        assert_eq!(report["withheld"], json!({}), "{path}");
        assert_eq!(report["totals"].as_array().unwrap().len(), 1, "{path}");
    }
    // An id that nothing knows has no row and no cell.
    let path = "/v1/explain/employees/dialogues?employee=nobody";
    assert_eq!(all.get(path).problem().0, 404);
}

#[test]
fn a_metric_named_twice_is_one_column_and_ranks_nothing_twice() {
    let run = company();
    let twice = "timeouts,reply_avg,reply_avg_seconds,timeouts";
    let rows = run.run(&["report", "employees", "--metrics", twice]).ok();
    let keys: Vec<String> = rows.rows()[0]
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect();
    assert_eq!(keys.len(), 4, "{keys:?}");
    let ran = run.run(&[
        "ranking",
        "guides",
        "--metric",
        "friends:1",
        "--metric",
        "friends",
    ]);
    assert_eq!(ran.status, 2);
    assert!(ran.stderr.contains("once"), "{}", ran.stderr);
}

#[test]
fn an_answer_that_is_too_large_is_refused_with_a_way_out() {
    let run = company();
    let token = run.token("all");
    let server = run.serve("serve");
    let client = server.client(&token);
    let path = "/v1/reports/employees?by=day&from=2024-01-01&metrics=timeouts";
    // 60,000 days of two employees are more than HTTP gives, and not more than a file takes.
    let refused = client.get(&format!("{path}&to=2188-01-01"));
    assert_eq!(refused.problem(), (400, "parameter".into()));
    assert!(refused.body.contains("shorter period"), "{}", refused.body);
    // One employee alone fits.
    client
        .get(&format!("{path}&to=2188-01-01&employee=bob"))
        .ok();
    let widest = "/v1/explain/employees/timeouts?by=day&from=0001-01-01&to=9999-12-31";
    assert_eq!(client.get(widest).problem().0, 400);
}

#[test]
fn a_running_server_takes_a_new_time_zone() {
    let run = company();
    let token = run.token("all");
    let server = run.serve("serve");
    let client = server.client(&token);
    let asked_at = |path: &str| {
        let answer = client.get(path).ok().json();
        answer["as_of"]["asked_at"].as_str().unwrap().to_owned()
    };
    for path in ["/v1/reports/employees", "/v1/search?q=x", "/v1/dialogues"] {
        assert!(asked_at(path).ends_with("+08:00"), "{path}");
    }
    client
        .send("PUT", "/v1/rules", b"timezone = \"UTC\"\n")
        .ok();
    for path in ["/v1/reports/employees", "/v1/search?q=x", "/v1/dialogues"] {
        let at = asked_at(path);
        assert!(at.ends_with("+00:00") || at.ends_with('Z'), "{path}: {at}");
    }
    // 23:55 in Shanghai is the afternoon of the same day; the timeout fires on it as well.
    let report = client.get("/v1/reports/employees").ok().json();
    assert_eq!(report["period"], json!(["2024-10-02", "2024-10-02"]));
}

#[test]
fn the_description_lists_the_metrics_of_the_rules_in_force() {
    let run = company();
    let token = run.token("all");
    let server = run.serve("serve");
    let client = server.client(&token);
    client
        .send(
            "PUT",
            "/v1/rules",
            b"[revisit]\nenabled = true\ndays = [2, 9]\n",
        )
        .ok();
    let document = server.client("").get("/openapi.json").ok().json();
    let schema = |path: &str, name: &str| {
        let parameters = document["paths"][path]["get"]["parameters"].as_array();
        let mut named = parameters.unwrap().iter().filter(|one| one["name"] == name);
        named.next().unwrap()["schema"].clone()
    };
    let keys = schema("/v1/reports/employees", "metrics")["items"]["enum"].clone();
    let listed = client.get("/v1/metrics?report=employees").ok().items();
    let listed: Vec<&Value> = listed.iter().map(|metric| &metric["key"]).collect();
    assert_eq!(json!(listed), keys);
    assert!(listed.contains(&&json!("revisit_rate_9")));
    let explained = schema("/v1/explain/{report}/{metric}", "metric")["enum"].clone();
    for key in [
        "reply_avg_seconds",
        "group_activity",
        "customers_new_change",
    ] {
        assert!(explained.as_array().unwrap().contains(&json!(key)), "{key}");
    }
}
