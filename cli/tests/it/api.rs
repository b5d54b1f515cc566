//! The HTTP API beyond its questions: streams of rows, tags, saved searches, rules and reviews over
//! HTTP, the served documentation, and the examples in the OpenAPI document.

use std::collections::BTreeSet;
use std::io::Read;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::ipc::reader::StreamReader;
use huicun_query_api::http::problem::CODES;
use serde_json::{Value, json};

use crate::http::{company, served};
use crate::support::{Answer, Client, Installation, encoded, text_line, wait_until};

const NDJSON: &str = "Accept: application/x-ndjson\r\n";
const ARROW: &str = "Accept: application/vnd.apache.arrow.stream\r\n";
const AT: i64 = 1_727_712_000_000;

fn lines(answer: &Answer) -> Vec<Value> {
    let lines = answer.body.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn about(answer: &Answer) -> Value {
    serde_json::from_str(&answer.headers["x-huicun-about"]).unwrap()
}

#[test]
fn rows_stream_as_ndjson_as_the_command_line_writes_them() {
    let (run, _server, client) = served();
    for (path, arguments) in [
        ("/v1/search?limit=0", &["search", "", "--limit", "0"][..]),
        ("/v1/search?limit=3", &["search", "", "--limit", "3"]),
        (
            "/v1/conversations/wmanna%7Czhang/messages?limit=0",
            &["conversation", "wmanna|zhang"],
        ),
        (
            "/v1/conversations?limit=0",
            &["conversations", "--limit", "0"],
        ),
        (
            "/v1/search/counts?by=day",
            &["search", "", "--count-by", "day"],
        ),
        ("/v1/dialogues?limit=0", &["dialogues", "--limit", "0"]),
        ("/v1/timeouts?limit=0", &["timeouts", "--limit", "0"]),
        ("/v1/contacts?limit=0", &["contacts", "--limit", "0"]),
        ("/v1/ledger?limit=0", &["ledger", "--limit", "0"]),
        ("/v1/metrics", &["metrics"]),
        ("/v1/reports/employees", &["report", "employees"]),
        ("/v1/reports/customers", &["report", "customers"]),
        (
            "/v1/explain/employees/dialogues?limit=0",
            &["explain", "employees", "dialogues"],
        ),
    ] {
        let answer = client.get_with(path, NDJSON).ok();
        assert_eq!(
            answer.headers["content-type"], "application/x-ndjson",
            "{path}"
        );
        assert_eq!(answer.headers["cache-control"], "no-store", "{path}");
        assert!(
            about(&answer)["as_of"]["messages_version"].is_u64(),
            "{path}"
        );
        let rows = run.run(arguments).ok().rows();
        let without_now =
            |rows: Vec<Value>| -> Vec<Value> { rows.into_iter().map(without_waits).collect() };
        assert_eq!(without_now(lines(&answer)), without_now(rows), "{path}");
    }
    let sql = json!({"sql": "SELECT seq, text FROM messages ORDER BY seq"}).to_string();
    let mut asking = client.clone();
    asking.send_more(NDJSON);
    let answer = asking.send("POST", "/v1/sql", sql.as_bytes()).ok();
    assert_eq!(lines(&answer).len(), 12);
    assert!(!lines(&client.get_with("/v1/dialogues", NDJSON).ok()).is_empty());
}

/// A row without what grows while somebody waits.
fn without_waits(mut row: Value) -> Value {
    if let Some(row) = row.as_object_mut() {
        row.retain(|key, _| !key.contains("wait") && !key.contains("silent"));
    }
    row
}

#[test]
fn more_rows_than_a_page_stream_once_each_and_in_order() {
    let run = Installation::new();
    let lines_in: String = (1..=3_500)
        .map(|seq| text_line(seq, "zhang", "wmanna", AT + seq as i64 / 7, "很多消息"))
        .collect();
    run.run_with_input(&["import", "messages", "-"], lines_in.as_bytes())
        .ok();
    let token = run.token("all");
    let server = run.serve("serve");
    let client = server.client(&token);
    for path in ["/v1/search", "/v1/conversations/wmanna%7Czhang/messages"] {
        let answer = client.get_with(&format!("{path}?limit=0"), NDJSON).ok();
        assert_eq!(about(&answer)["total"], 3_500);
        let streamed = lines(&answer);
        assert_eq!(streamed.len(), 3_500);
        let paged = client.all(&format!("{path}?limit=1000"));
        assert_eq!(streamed, paged, "{path}");
        let answer = client.get_with(&format!("{path}?limit=0"), ARROW).ok();
        let batches = batches(&answer);
        let n_rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        assert_eq!(n_rows, 3_500);
    }
    // A page says where the next one begins, and all of the rest can be had from there.
    let page = client.get_with("/v1/search?limit=1000", NDJSON).ok();
    let next = about(&page)["next"].as_str().unwrap().to_string();
    let rest = client.get_with(&format!("/v1/search?limit=0&cursor={next}"), NDJSON);
    assert_eq!(lines(&rest.ok()).len(), 2_500);
}

fn batches(answer: &Answer) -> Vec<RecordBatch> {
    let kind = "application/vnd.apache.arrow.stream";
    assert_eq!(answer.headers["content-type"], kind);
    let reader = StreamReader::try_new(answer.bytes.as_slice(), None).unwrap();
    assert!(reader.schema().metadata()["huicun"].contains("as_of"));
    reader.collect::<Result<_, _>>().unwrap()
}

#[test]
fn every_list_reads_back_as_arrow() {
    let (_run, _server, client) = served();
    for path in [
        "/v1/search?q=%E9%80%80%E6%AC%BE&limit=0",
        "/v1/search/counts?by=type",
        "/v1/conversations?limit=0",
        "/v1/dialogues?limit=0",
        "/v1/timeouts?limit=0",
        "/v1/contacts?limit=0",
        "/v1/ledger?limit=0",
        "/v1/audit?limit=0",
        "/v1/metrics",
        "/v1/reports/employees",
        "/v1/reports/departments?by=day",
        "/v1/reports/guides",
        "/v1/reports/stores",
        "/v1/reports/customers",
        "/v1/reports/groups",
        "/v1/behaviours?limit=0",
        "/v1/media?limit=0",
        "/v1/kf/sessions?limit=0",
        "/v1/explain/employees/dialogues?limit=0",
    ] {
        let json = client.get(&path.replace("limit=0", "limit=1000")).ok();
        let n_rows: usize = batches(&client.get_with(path, ARROW).ok())
            .iter()
            .map(RecordBatch::num_rows)
            .sum();
        // The audit log has grown by its own question.
        let is_audit = path.starts_with("/v1/audit");
        assert!(n_rows == json.items().len() || is_audit, "{path}");
    }
}

#[test]
fn all_rows_at_once_there_are_in_streams_only() {
    let (_run, _server, client) = served();
    let refused = client.get("/v1/search?limit=0");
    assert_eq!(refused.problem(), (400, "parameter".into()));
    assert!(refused.body.contains("application/x-ndjson"));
    // What is wrong with a question is a problem in any form.
    for path in ["/v1/search?limit=0&from=never", "/v1/search?cursor=x"] {
        let refused = client.get_with(path, NDJSON);
        assert_eq!(refused.problem(), (400, "parameter".into()), "{path}");
    }
    let missing = client.get_with("/v1/conversations/nobody/messages?limit=0", ARROW);
    assert_eq!(missing.problem(), (404, "not_found".into()));
}

/// The entries about searches, newest first, once there are so many: the end of a stream is written
/// when its last row has left.
fn searches_in_the_log(client: &Client, n_wanted: usize) -> Vec<Value> {
    let mut log = Vec::new();
    wait_until(Duration::from_secs(20), "the audit log", || {
        let path = "/v1/audit?function=messages.search";
        log = client.get(path).ok().items();
        log.len() == n_wanted
    });
    log
}

#[test]
fn a_stream_is_in_the_audit_log_before_and_after_with_its_rows() {
    let (_run, _server, client) = served();
    client.get_with("/v1/search?limit=0", NDJSON).ok();
    let log = searches_in_the_log(&client, 2);
    let [after, before] = log.as_slice() else {
        panic!("{log:?}");
    };
    assert_eq!(
        (&before["phase"], &after["phase"]),
        (&json!("asked"), &json!("answered"))
    );
    assert_eq!(
        (&before["n_rows"], &after["n_rows"]),
        (&json!(null), &json!(12))
    );
    assert_eq!(before["request_id"], after["request_id"]);
}

#[test]
fn a_scope_holds_in_streams_too() {
    let (run, server, _) = served();
    let client = server.client(&run.token("employee:li"));
    let rows = lines(&client.get_with("/v1/search?limit=0", NDJSON).ok());
    let seqs: BTreeSet<i64> = rows
        .iter()
        .map(|row| row["seq"].as_i64().unwrap())
        .collect();
    assert_eq!(seqs, BTreeSet::from([3, 4, 30]));
}

#[test]
fn an_answer_that_is_known_already_is_not_sent_again() {
    let (run, server, client) = served();
    for path in [
        "/v1/search",
        "/v1/reports/employees",
        "/v1/metrics",
        "/v1/searches",
    ] {
        let first = client.get(path).ok();
        let tag = &first.headers["etag"];
        assert_eq!(first.headers["cache-control"], "private, no-cache");
        assert!(first.headers["vary"].contains("authorization"), "{first:?}");
        let again = client.get_with(path, &format!("If-None-Match: {tag}\r\n"));
        assert_eq!((again.status, again.body.as_str()), (304, ""), "{path}");
        assert_eq!(&again.headers["etag"], tag);
        let other = client.get_with(path, "If-None-Match: \"other\"\r\n").ok();
        assert_eq!(&other.headers["etag"], tag, "{path}");
    }
    let tag = client.get("/v1/search").ok().headers["etag"].clone();
    // Of another caller, and after a new message, it is another answer.
    let narrow = server.client(&run.token("employee:li"));
    assert_ne!(narrow.get("/v1/search").ok().headers["etag"], tag);
    let line = text_line(99, "wmanna", "zhang", AT, "后来的消息");
    run.run_with_input(&["import", "messages", "-"], line.as_bytes())
        .ok();
    client
        .get_with("/v1/search", &format!("If-None-Match: {tag}\r\n"))
        .ok();
    assert_eq!(
        client.get("/v1/search?limit=x").headers["cache-control"],
        "no-store"
    );
}

#[test]
fn rules_that_somebody_else_has_changed_are_not_overwritten() {
    let (_run, _server, client) = served();
    let put = |more: &str, minutes: u32| {
        let mut client = client.clone();
        client.send_more(more);
        let body = format!("[dialogue]\nsingle_gap_minutes = {minutes}\n");
        client.send("PUT", "/v1/rules", body.as_bytes())
    };
    let read = client.get("/v1/rules").ok();
    let tag = format!("If-Match: {}\r\n", read.headers["etag"]);
    let changed = put(&tag, 20).ok();
    assert_eq!(changed.json()["version"], 1);
    assert_ne!(changed.headers["etag"], read.headers["etag"]);
    assert_eq!(put(&tag, 25).problem(), (412, "precondition_failed".into()));
    assert_eq!(client.get("/v1/rules").ok().json()["version"], 1);
    assert_eq!(put("If-Match: *\r\n", 26).ok().json()["version"], 2);
    assert_eq!(put("", 27).ok().json()["version"], 3);
    let known = format!(
        "If-None-Match: {}\r\n",
        client.get("/v1/rules").headers["etag"]
    );
    assert_eq!(client.get_with("/v1/rules", &known).status, 304);
}

#[test]
fn rules_are_compared_and_their_versions_listed_over_http() {
    let (run, server, client) = served();
    let file = "[closing]\nphrases = [\"谢谢\"]\n";
    let diff = client.send("POST", "/v1/rules/diff", file.as_bytes()).ok();
    assert_eq!(diff.items()[0]["section"], "closing");
    assert!(diff.body.contains("+ phrases"), "{}", diff.body);
    assert!(client.get("/v1/rules/history").ok().items().is_empty());
    client.send("PUT", "/v1/rules", file.as_bytes()).ok();
    let listed = client.get("/v1/rules/history").ok().items();
    assert_eq!(listed, run.run(&["rules", "history"]).ok().rows());
    assert_eq!(listed[0]["sections"], json!(["closing"]));
    let of = |version: &str| client.get(&format!("/v1/rules/history/{version}"));
    assert_eq!(
        of("1").ok().json()["toml"],
        client.get("/v1/rules").ok().json()["toml"]
    );
    assert_ne!(of("0").ok().json()["toml"], of("1").ok().json()["toml"]);
    assert_eq!(of("9").problem(), (404, "not_found".into()));
    assert_eq!(of("x").problem(), (400, "parameter".into()));
    let wrong = client.send("POST", "/v1/rules/diff", b"[dialog]");
    assert_eq!(wrong.problem(), (400, "rules".into()));
    let narrow = server.client(&run.token("employee:li"));
    for path in ["/v1/rules/history", "/v1/rules/history/1"] {
        assert_eq!(narrow.get(path).problem(), (403, "forbidden".into()));
    }
}

#[test]
fn a_behaviour_is_reviewed_over_http_by_who_may_see_it() {
    let (run, server, client) = served();
    let rules = "[[sensitive.rule]]\nname = \"退款\"\nwords = \"退款\"\nclass = \"negative\"\nenabled = true\n\
                 [behaviour.sensitive_word]\nenabled = true\naudited = [\"employee\", \"customer\"]\n";
    let found = client.send("POST", "/v1/behaviours/backtest", rules.as_bytes());
    assert_eq!(found.ok().items().len(), 3);
    client.send("PUT", "/v1/rules", rules.as_bytes()).ok();
    assert!(client.get("/v1/behaviours").ok().items().is_empty());
    let days = json!({"from": "2024-10-01", "to": "2024-10-01"}).to_string();
    let done = client.send("POST", "/v1/behaviours/rescans", days.as_bytes());
    assert_eq!(
        (done.status, &done.json()["rules_version"]),
        (201, &json!(1))
    );
    let behaviours = client.get("/v1/behaviours").ok().items();
    let id = behaviours[0]["behaviour_id"].as_str().unwrap();
    let path = format!("/v1/behaviours/{}/reviews", encoded(id));
    let review = json!({"as": "confirmed", "remark": "核实"}).to_string();
    // Who cannot see the conversation cannot judge it, nor learn that it is there.
    let narrow = server.client(&run.token("employee:li"));
    let refused = narrow.send("POST", &path, review.as_bytes());
    assert_eq!(refused.problem(), (404, "not_found".into()));
    assert_eq!(narrow.get(&path).problem(), (404, "not_found".into()));
    let done = client.send("POST", &path, review.as_bytes());
    assert_eq!(
        (done.status, &done.json()["reviewer"]),
        (201, &json!("test"))
    );
    let listed = client.get(&path).ok().items();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed, run.run(&["behaviours", "reviews", id]).ok().rows());
    let confirmed = client.get("/v1/behaviours?review=confirmed").ok().items();
    assert_eq!(confirmed[0]["behaviour_id"], id);
    for wrong in [
        "{}",
        "{\"as\":\"maybe\"}",
        "{\"as\":\"confirmed\",\"x\":1}",
        "[",
    ] {
        let answer = client.send("POST", &path, wrong.as_bytes());
        assert_eq!(answer.problem(), (400, "parameter".into()), "{wrong}");
    }
    for wrong in [
        "{\"from\":\"2024-10-02\",\"to\":\"2024-10-01\"}",
        "{\"from\":\"x\",\"to\":\"y\"}",
    ] {
        let answer = client.send("POST", "/v1/behaviours/rescans", wrong.as_bytes());
        assert_eq!(answer.problem(), (400, "parameter".into()), "{wrong}");
    }
}

fn save(client: &Client, name: &str, search: Value) -> Answer {
    let body = json!({"name": name, "search": search}).to_string();
    client.send("POST", "/v1/searches", body.as_bytes())
}

#[test]
fn a_saved_search_gives_back_its_link_which_answers_the_search() {
    let (_run, _server, client) = served();
    let search = json!({
        "q": "退款 -周末", "from": "2024-10-01", "to": "2024-10-02", "employee": ["zhang", "wang"],
        "kind": ["single_external", "single_internal"], "order": "relevance", "limit": 2,
    });
    let saved = save(&client, "退款", search.clone());
    assert_eq!(saved.status, 201, "{saved:?}");
    let saved = saved.json();
    for (key, value) in search.as_object().unwrap() {
        assert_eq!(&saved["search"][key], value);
    }
    let link = saved["link"].as_str().unwrap();
    assert!(link.is_ascii());
    let by_link = client.get(link).ok();
    let by_hand = client.get(
        "/v1/search?q=%E9%80%80%E6%AC%BE%20-%E5%91%A8%E6%9C%AB&from=2024-10-01&to=2024-10-02\
         &employee=zhang&employee=wang&kind=single_external&kind=single_internal\
         &order=relevance&limit=2",
    );
    assert_eq!(by_link.items(), by_hand.ok().items());
    assert_eq!(by_link.items().len(), 2);
    let path = format!("/v1/searches/{}", saved["id"].as_str().unwrap());
    assert_eq!(client.get(&path).ok().json()["link"], link);
    let other = json!({"name": "发货", "search": {"q": "发货"}}).to_string();
    let changed = client.send("PUT", &path, other.as_bytes()).ok().json();
    assert_eq!(changed["name"], "发货");
    assert_eq!(
        client
            .get(changed["link"].as_str().unwrap())
            .ok()
            .items()
            .len(),
        2
    );
    assert_eq!(client.get("/v1/searches").ok().items().len(), 1);
    assert_eq!(client.send("DELETE", &path, b"").status, 204);
    assert_eq!(
        client.send("DELETE", &path, b"").problem(),
        (404, "not_found".into())
    );
    assert!(client.get("/v1/searches").ok().items().is_empty());
}

#[test]
fn anothers_saved_search_looks_as_if_it_were_not_there() {
    let (run, server, client) = served();
    let other = server.client(&run.token("all"));
    let id = save(&client, "mine", json!({"q": "退款"})).json()["id"].clone();
    let id = id.as_str().unwrap();
    assert!(other.get("/v1/searches").ok().items().is_empty());
    let body = json!({"name": "x", "search": {}}).to_string();
    for method in ["GET", "PUT", "DELETE"] {
        let ask = |id: &str| other.send(method, &format!("/v1/searches/{id}"), body.as_bytes());
        let (hidden, absent) = (ask(id), ask("0123456789abcdef0123456789abcdef"));
        assert_eq!(hidden.problem(), (404, "not_found".into()), "{method}");
        let shape = hidden.body.replace(id, "0123456789abcdef0123456789abcdef");
        assert_eq!(shape, absent.body, "{method}");
    }
    client.get(&format!("/v1/searches/{id}")).ok();
    // They are the employee's where somebody acts for one, whichever token he has.
    let create = [
        "token",
        "create",
        "--name",
        "t",
        "--scope",
        "self",
        "--employee",
        "li",
    ];
    let [one, two] = [(); 2].map(|()| {
        let token = run.run(&create).ok().stdout;
        server.client(token.trim())
    });
    save(&one, "li", json!({"q": "在"}));
    assert_eq!(two.get("/v1/searches").ok().items().len(), 1);
}

#[test]
fn the_command_line_saves_runs_and_deletes_and_lists_those_of_all() {
    let (run, _server, client) = served();
    save(&client, "over http", json!({"q": "发货"}));
    let arguments = ["--employee", "zhang", "--limit", "1"];
    let ran = run.run(&[&["searches", "save", "退款", "退款"][..], &arguments].concat());
    let link = ran.ok().stdout.trim().to_string();
    assert_eq!(client.get(&link).ok().items().len(), 1);
    let listed = run.run(&["searches", "list"]).ok().rows();
    assert_eq!(listed.len(), 2);
    let own = listed.iter().find(|row| row["owner"] == "local").unwrap();
    assert_eq!((&own["name"], &own["link"]), (&json!("退款"), &json!(link)));
    let id = own["id"].as_str().unwrap();
    let found = run.run(&["searches", "run", id]).ok().rows();
    let same = [&["search", "退款"][..], &arguments].concat();
    assert_eq!(found, run.run(&same).ok().rows());
    run.run(&["searches", "delete", id]).ok();
    for gone in ["run", "delete"] {
        assert_eq!(run.run(&["searches", gone, id]).status, 1);
    }
    for wrong in [
        &["x", "\"open"][..],
        &["x", "y", "--limit", "0"],
        &["", "y"],
    ] {
        let ran = run.run(&[&["searches", "save"][..], wrong].concat());
        assert_eq!(ran.status, 2, "{wrong:?}: {}", ran.stderr);
    }
}

#[test]
fn what_is_no_search_is_not_saved() {
    let (_run, _server, client) = served();
    for (name, search) in [
        ("", json!({})),
        ("  ", json!({})),
        ("a\u{1b}[31m", json!({})),
        (&"字".repeat(201), json!({})),
        ("x", json!({"q": "\"open"})),
        ("x", json!({"from": "2024-13-01"})),
        ("x", json!({"from": "2024-10-02", "to": "2024-10-01"})),
        ("x", json!({"kind": ["loud"]})),
        ("x", json!({"order": "best"})),
        ("x", json!({"limit": 0})),
        ("x", json!({"limit": 1001})),
        ("x", json!({"cursor": "abc"})),
        ("x", json!({"room": ["r".repeat(20_000)]})),
        ("x", json!({"shoe": 1})),
    ] {
        let refused = save(&client, name, search.clone());
        assert_eq!(
            refused.problem(),
            (400, "parameter".into()),
            "{name} {search}"
        );
    }
    assert!(client.get("/v1/searches").ok().items().is_empty());
}

#[test]
fn the_documentation_is_one_page_that_loads_nothing_from_elsewhere() {
    let (_run, server, _) = served();
    let stranger = server.client("");
    let page = stranger.get("/docs").ok();
    assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
    let policy = &page.headers["content-security-policy"];
    assert!(
        policy.starts_with("default-src 'none'") && !policy.contains("unsafe"),
        "{policy}"
    );
    assert!(page.body.contains("/v1/conversations/{id}/messages"));
    assert!(page.body.contains("<summary>example</summary>"));
    let style = stranger.get("/docs/style.css").ok();
    assert_eq!(style.headers["content-type"], "text/css; charset=utf-8");
    for path in ["/docs", "/docs/style.css", "/openapi.json"] {
        let tag = stranger.get(path).ok().headers["etag"].clone();
        let again = stranger.get_with(path, &format!("If-None-Match: {tag}\r\n"));
        assert_eq!((again.status, again.body.as_str()), (304, ""), "{path}");
    }
    assert_eq!(stranger.get("/docs/").status, 401);
    assert_eq!(stranger.get("/docs/..%2Fopenapi.json").status, 401);
}

#[test]
fn every_code_of_a_problem_is_in_the_guide_and_in_the_description() {
    let guide = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/guide/http.md");
    let guide = std::fs::read_to_string(guide).unwrap();
    for (code, statuses, _) in CODES {
        assert!(
            guide.contains(&format!("`{code}`")),
            "docs/guide/http.md lacks `{code}`"
        );
        assert!(!statuses.is_empty());
    }
    let (_run, server, _) = served();
    let document = server.client("").get("/openapi.json").ok().json();
    let codes = &document["components"]["schemas"]["Problem"]["properties"]["code"]["enum"];
    assert_eq!(codes.as_array().unwrap().len(), CODES.len());
}

#[test]
fn a_request_id_that_does_not_fit_a_log_is_replaced() {
    let (_run, _server, client) = served();
    let id_of = |id: &str| {
        let answer = client.get_with("/v1/search", &format!("X-Request-Id: {id}\r\n"));
        answer.ok().headers["x-request-id"].clone()
    };
    assert_eq!(id_of("order-7:a.b"), "order-7:a.b");
    let long = "a".repeat(5_000);
    for odd in ["a b", "\u{e9}", "a\tb", "", &long] {
        assert_eq!(id_of(odd).len(), 36, "{odd}");
    }
}

#[test]
fn a_stream_ends_when_its_token_is_revoked() {
    let run = company();
    let lines_in: String = (100..=60_000)
        .map(|seq| {
            text_line(
                seq,
                "zhang",
                "wmanna",
                AT + seq as i64,
                &"很长的消息".repeat(40),
            )
        })
        .collect();
    run.run_with_input(&["import", "messages", "-"], lines_in.as_bytes())
        .ok();
    let token = run.token("all");
    let server = run.serve("serve");
    let mut client = server.client(&token);
    client.send_more(NDJSON);
    // It is not read until the token is gone, so most of it is still to be asked for.
    let stalled = client.open("GET", "/v1/search?limit=0", 0);
    let other = server.client(&run.token("all"));
    searches_in_the_log(&other, 1);
    let listed = run.run(&["token", "list"]).ok().rows();
    run.run(&["token", "revoke", listed[0]["id"].as_str().unwrap()])
        .ok();
    let mut got = Vec::new();
    let mut stalled = stalled;
    let _ = stalled.read_to_end(&mut got);
    assert!(!got.ends_with(b"0\r\n\r\n"), "the stream came to its end");
    let log = searches_in_the_log(&other, 2);
    assert_eq!(log[0]["phase"], "abandoned", "{log:?}");
    assert!(log[0]["n_rows"].as_i64().unwrap() < 59_900, "{log:?}");
}
