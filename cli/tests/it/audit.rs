//! The audit log: nothing is answered that is not in it, and nothing in it can be changed unseen.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::http::served;
use crate::support::{Client, Installation, encoded, wait_until};

fn audit(run: &Installation, more: &[&str]) -> Vec<Value> {
    let arguments = [&["audit", "--limit", "0"], more].concat();
    run.run(&arguments).ok().rows()
}

/// What over HTTP was answered with what, oldest first.
fn answered(run: &Installation) -> Vec<Value> {
    let mut entries = audit(run, &[]);
    entries.retain(|e| e["phase"] == "answered");
    entries.reverse();
    entries
}

#[test]
fn every_kind_of_route_is_recorded_with_what_was_asked() {
    let (run, server, client) = served();
    let sql = "SELECT count(*) FROM messages WHERE msgid <> '秘密'";
    let body = json!({ "sql": sql }).to_string();
    let row = "{\"userid\":\"zhang\",\"name\":\"张三丰\",\"departments\":[\"11\"]}\n";
    let q = format!("/v1/search?q={}&limit=2", encoded("退款"));
    for (method, path, body) in [
        ("GET", q.as_str(), ""),
        ("GET", "/v1/conversations/wmanna%7Czhang/messages", ""),
        ("GET", "/v1/reports/employees", ""),
        ("GET", "/v1/explain/employees/dialogues", ""),
        ("GET", "/v1/dialogues", ""),
        ("GET", "/v1/behaviours", ""),
        ("GET", "/v1/media", ""),
        ("GET", "/v1/media/m1", ""),
        ("POST", "/v1/sql", body.as_str()),
        ("PUT", "/v1/rules", "[reply]\nfrom = \"last\"\n"),
        ("PUT", "/v1/directory/employees", row),
        ("GET", "/v1/ledger", ""),
        ("GET", "/v1/tokens", ""),
        ("GET", "/v1/audit", ""),
        ("GET", "/metrics", ""),
        ("GET", "/healthz", ""),
    ] {
        client.send(method, path, body.as_bytes());
    }
    server.client("hct_0").get("/v1/search");
    let found = answered(&run);
    let told: Vec<(&str, Option<u64>, Option<u64>)> = found
        .iter()
        .map(|e| {
            let function = e["function"].as_str().unwrap();
            (function, e["status"].as_u64(), e["n_rows"].as_u64())
        })
        .collect();
    assert_eq!(
        told,
        [
            ("messages.search", Some(200), Some(2)),
            ("messages.read", Some(200), Some(2)),
            ("figures.read", Some(200), Some(4)),
            ("figures.read", Some(200), told[3].2),
            ("figures.read", Some(200), told[4].2),
            ("behaviours.read", Some(200), told[5].2),
            ("media.read", Some(200), Some(0)),
            ("media.read", Some(404), None),
            ("sql", Some(200), Some(1)),
            ("rules.write", Some(200), None),
            ("directory.write", Some(200), None),
            ("ledger.read", Some(200), told[11].2),
            ("tokens.manage", Some(403), None),
            ("audit.read", Some(200), told[13].2),
        ]
    );
    assert_eq!(found[0]["query"], r#"[["q","退款"],["limit","2"]]"#);
    assert_eq!(found[0]["route"], "/v1/search");
    assert_eq!(found[0]["caller_kind"], "token");
    assert_eq!(found[0]["caller_name"], "test");
    assert!(found[0]["peer"].as_str().unwrap().starts_with("127.0.0.1:"));
    assert!(found[0]["request_id"].as_str().unwrap().len() > 10);
    assert_eq!(
        found[1]["path"],
        "/v1/conversations/wmanna%7Czhang/messages"
    );
    assert_eq!(found[8]["body"], body);
    assert_eq!(found[9]["body"], "[reply]\nfrom = \"last\"\n");
    assert!(!found[10]["body"].as_str().unwrap().contains("张三丰"));
    assert_eq!(found[12]["code"], "forbidden");
    // A change is there before it is made, too.
    let asked: Vec<Value> = audit(&run, &[])
        .into_iter()
        .filter(|e| e["phase"] == "asked" && e["method"] == "PUT")
        .collect();
    assert_eq!(asked.len(), 2);
    run.run(&["verify"]).ok();
}

#[test]
fn the_log_is_paged_and_filtered_over_http_and_reading_it_is_recorded() {
    let (run, _server, client) = served();
    for q in ["a", "b", "c"] {
        client.get(&format!("/v1/search?q={q}")).ok();
    }
    client.get("/v1/dialogues").ok();
    let rows = client.all("/v1/audit?function=messages.search&limit=2");
    let queries: Vec<&str> = rows.iter().map(|r| r["query"].as_str().unwrap()).collect();
    assert_eq!(
        queries,
        [r#"[["q","c"]]"#, r#"[["q","b"]]"#, r#"[["q","a"]]"#]
    );
    assert_eq!(client.all("/v1/audit?function=audit.read&limit=9").len(), 2);
    assert!(client.all("/v1/audit?caller=nobody&limit=9").is_empty());
    assert!(!client.all("/v1/audit?caller=test&limit=900").is_empty());
    assert!(client.all("/v1/audit?to=2020-01-01&limit=9").is_empty());
    let wrong = client.get("/v1/audit?function=searching");
    assert_eq!(wrong.problem(), (400, "parameter".into()));
    let head = client.get("/v1/audit?limit=1").ok().json()["head"].clone();
    let (id, hash) = head.as_str().unwrap().split_once(':').unwrap();
    let newest = &audit(&run, &["--function", "audit.read"])[1];
    assert_eq!(
        newest["id"].as_u64().unwrap(),
        id.parse::<u64>().unwrap() + 1
    );
    assert_eq!(hash.len(), 64);
}

#[test]
fn a_narrow_scope_does_not_read_what_others_asked() {
    let (run, server, _) = served();
    let client = server.client(&run.token("department:1"));
    assert_eq!(client.get("/v1/audit").problem(), (403, "forbidden".into()));
}

#[test]
fn what_the_operator_reads_at_the_command_line_is_recorded() {
    let (run, _server, _) = served();
    run.run(&["search", "退款"]).ok();
    run.run(&["sql", "SELECT 1"]).ok();
    run.run(&["metrics"]).ok();
    let found = audit(&run, &[]);
    let commands: Vec<&str> = found.iter().map(|e| e["route"].as_str().unwrap()).collect();
    assert_eq!(commands[..3], ["audit", "sql", "search"]);
    assert_eq!(found[2]["caller_kind"], "local");
    assert!(found[2]["query"].as_str().unwrap().contains("\"退款\""));
    run.run(&["verify"]).ok();
}

#[test]
fn without_a_record_there_is_no_answer() {
    let (run, server, client) = served();
    client.get("/v1/search").ok();
    let log = run.data().join("audit.db");
    let away = run.data().join("audit.away");
    std::fs::rename(&log, &away).unwrap();
    std::fs::create_dir(&log).unwrap();
    let put = "{\"userid\":\"zhang\",\"name\":\"换了\",\"departments\":[\"11\"]}\n";
    for (method, path, body) in [
        ("GET", "/v1/search", ""),
        ("GET", "/v1/conversations/wmanna%7Czhang/messages", ""),
        (
            "POST",
            "/v1/sql",
            "{\"sql\":\"SELECT content FROM messages\"}",
        ),
        ("GET", "/v1/reports/employees", ""),
        ("GET", "/v1/audit", ""),
        ("PUT", "/v1/directory/employees", put),
    ] {
        let answer = client.send(method, path, body.as_bytes());
        let expected = (503, "audit_unavailable".to_string());
        assert_eq!(answer.problem(), expected, "{method} {path}");
        for word in ["退款", "zhang", "items"] {
            assert!(!answer.body.contains(word), "{path}: {}", answer.body);
        }
    }
    let ready = server.client("").get("/readyz").json();
    let problems = ready["problems"].as_array().unwrap();
    assert!(problems.contains(&json!("audit_unavailable")), "{ready}");
    std::fs::remove_dir(&log).unwrap();
    std::fs::rename(&away, &log).unwrap();
    // What could not be recorded was not changed either.
    let rows = client.get("/v1/reports/employees").ok().items();
    assert!(rows.iter().all(|row| row["name"] != "换了"));
}

#[test]
fn a_record_that_is_changed_is_found_by_verify() {
    let (run, mut server, client) = served();
    for q in ["aaaa", "bbbb", "cccc"] {
        client.get(&format!("/v1/search?q={q}")).ok();
    }
    let second = audit(&run, &["--function", "messages.search"])[1]["id"].clone();
    // What waits in the WAL gets into the file when nothing comes for a second.
    let wal = run.data().join("audit.db-wal");
    wait_until(Duration::from_secs(20), "an empty WAL", || {
        std::fs::metadata(&wal).is_ok_and(|wal| wal.len() == 0)
    });
    server.running.terminate();
    server.running.wait(Duration::from_secs(10));
    let file = run.data().join("audit.db");
    let mut bytes = std::fs::read(&file).unwrap();
    let at = bytes.windows(4).position(|window| window == b"bbbb");
    let at = at.unwrap();
    bytes[at] = b'd';
    std::fs::write(&file, bytes).unwrap();
    let ran = run.run(&["verify", "--format", "ndjson"]);
    assert_eq!(ran.status, 1, "{}", ran.stdout);
    let told: Vec<(Value, Value)> = ran
        .rows()
        .into_iter()
        .map(|row| (row["kind"].clone(), row["detail"].clone()))
        .collect();
    let expected = json!(format!("entry {second} is not as it was written"));
    assert!(
        told.contains(&(json!("audit_broken"), expected)),
        "{told:?}"
    );
    assert!(
        told.iter().any(|(kind, _)| kind == "state_damaged"),
        "{told:?}"
    );
}

/// Asks on, with a number of its own in every query, until the server is gone.
fn ask_on(client: &Client, n: usize, n_answers: &AtomicUsize) -> Vec<String> {
    let mut answered = Vec::new();
    for round in 0.. {
        let q = format!("x{n}y{round}");
        match client.try_get(&format!("/v1/search?q={q}")) {
            Some(200) => {
                answered.push(q);
                n_answers.fetch_add(1, Ordering::Relaxed);
            }
            _ => break,
        }
    }
    answered
}

#[test]
fn every_answer_that_arrived_before_a_kill_is_recorded() {
    let run = crate::http::company();
    let token = run.token("all");
    let mut received = BTreeSet::new();
    for round in 0..20 {
        let mut server = run.serve("serve");
        let client = server.client(&token);
        let n_answers = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            let askers: Vec<_> = (0..4)
                .map(|n| {
                    let (client, n_answers) = (&client, &n_answers);
                    scope.spawn(move || ask_on(client, round * 10 + n, n_answers))
                })
                .collect();
            wait_until(Duration::from_secs(60), "answers", || {
                n_answers.load(Ordering::Relaxed) > 3 * round
            });
            server.running.kill();
            for asker in askers {
                received.extend(asker.join().unwrap());
            }
        });
    }
    assert!(received.len() > 500, "only {} answers", received.len());
    let recorded: BTreeSet<String> = audit(&run, &["--function", "messages.search"])
        .iter()
        .filter(|e| e["phase"] == "answered")
        .map(|e| {
            let pairs: Vec<(String, String)> =
                serde_json::from_str(e["query"].as_str().unwrap()).unwrap();
            pairs[0].1.clone()
        })
        .collect();
    let missing: Vec<&String> = received.difference(&recorded).collect();
    assert!(missing.is_empty(), "{missing:?}");
    run.run(&["verify"]).ok();
}
