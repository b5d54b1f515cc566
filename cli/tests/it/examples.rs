//! The examples in the OpenAPI document are requests to a demo company and what it answered. Where
//! an answer has another shape than the one that is kept, the file is written anew and the test
//! fails once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::support::{Client, Installation, encoded};

/// Rows of a list, bytes of a text and keys of a row that an example shows.
const ROWS_SHOWN: usize = 1;
const CHARACTERS_SHOWN: usize = 400;
const KEYS_SHOWN: usize = 12;
const NUMBERS_SHOWN: usize = 3;

/// The company that `scripts/schemathesis.sh` makes too, so that the ids of examples are there.
fn demo_company() -> Installation {
    let run = Installation::new();
    let folder = run.path("company");
    let folder = folder.to_str().unwrap();
    let size = ["--messages", "3000", "--employees", "24", "--days", "10"];
    run.run(&[&["demo", "make", folder][..], &size].concat())
        .ok();
    let directory = format!("{folder}/directory");
    run.run(&["import", "directory", &directory]).ok();
    let messages = format!("{folder}/messages.ndjson");
    run.run(&["import", "messages", &messages]).ok();
    run
}

/// Asks and keeps what came.
struct Asking {
    client: Client,
    kept: BTreeMap<String, Value>,
}

impl Asking {
    /// One request of an operation; `parameters` are put where the path names them, else into the
    /// query.
    fn ask(&mut self, operation: &str, parameters: Value, body: Option<Value>) -> Value {
        let (method, route) = operation.split_once(' ').unwrap();
        let (mut path, mut query) = (route.to_string(), Vec::new());
        for (name, value) in parameters.as_object().unwrap() {
            let place = format!("{{{name}}}");
            let values = match value {
                Value::Array(values) => values.clone(),
                one => vec![one.clone()],
            };
            let text = |value: &Value| encoded(value.as_str().unwrap_or(&value.to_string()));
            match path.contains(&place) {
                true => path = path.replace(&place, &text(value)),
                false if name.starts_with("metrics") => {
                    let keys: Vec<String> = values.iter().map(text).collect();
                    query.push(format!("{name}={}", keys.join(",")));
                }
                false => query.extend(values.iter().map(|v| format!("{name}={}", text(v)))),
            }
        }
        if !query.is_empty() {
            path = format!("{path}?{}", query.join("&"));
        }
        let sent = match &body {
            None => Vec::new(),
            Some(Value::String(text)) => text.clone().into_bytes(),
            Some(other) => other.to_string().into_bytes(),
        };
        let answer = self.client.send(method, &path, &sent);
        assert!(
            (200..300).contains(&answer.status),
            "{operation}: {answer:?}"
        );
        let told = serde_json::from_str(&answer.body);
        let told = told.unwrap_or_else(|_| Value::String(answer.body.clone()));
        let mut example = json!({"parameters": parameters, "status": answer.status});
        if let Some(body) = body {
            example["body"] = body;
        }
        if answer.status != 204 {
            example["answer"] = shown(told.clone());
        }
        self.kept.insert(operation.to_string(), example);
        told
    }

    fn get(&mut self, route: &str, parameters: Value) -> Value {
        self.ask(&format!("GET {route}"), parameters, None)
    }
}

/// An answer as an example shows it: the first rows, no long texts, no secrets.
fn shown(value: Value) -> Value {
    match value {
        Value::Array(mut items) => {
            items.truncate(ROWS_SHOWN);
            items.into_iter().map(shown).collect()
        }
        Value::Object(members) => {
            // Of a table of numbers, such as versions, a few tell what it is.
            let is_table = members.values().all(Value::is_number);
            let n_shown = match members.len() {
                n if is_table && n > NUMBERS_SHOWN => NUMBERS_SHOWN,
                n if n > 3 * KEYS_SHOWN => KEYS_SHOWN,
                n => n,
            };
            let members = members.into_iter().take(n_shown);
            Value::Object(members.map(|(key, value)| (key, shown(value))).collect())
        }
        Value::String(text) if text.starts_with("hct_") => {
            json!("hct_0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef")
        }
        Value::String(text) => text
            .chars()
            .take(CHARACTERS_SHOWN)
            .collect::<String>()
            .into(),
        other => other,
    }
}

/// What an answer is made of: keys and the kinds of their values; null is any kind.
fn is_alike(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Null, _) | (_, Value::Null) => true,
        (Value::Object(one), Value::Object(other)) => {
            let keys = |of: &Map<String, Value>| of.keys().cloned().collect::<Vec<_>>();
            // Counts by day or source have the keys that there are.
            let is_table = |of: &Map<String, Value>| of.values().all(Value::is_number);
            (is_table(one) && is_table(other))
                || keys(one) == keys(other)
                    && one.iter().all(|(key, value)| is_alike(value, &other[key]))
        }
        (Value::Array(one), Value::Array(other)) => one
            .iter()
            .zip(other)
            .all(|(one, other)| is_alike(one, other)),
        (one, other) => std::mem::discriminant(one) == std::mem::discriminant(other),
    }
}

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../query-api/src/http/examples.json")
}

#[test]
fn the_examples_of_the_description_are_what_a_server_answers() {
    let run = demo_company();
    let create = ["token", "create", "--name", "bi"];
    let functions: Vec<String> = huicun_engine::access::Function::ALL
        .map(|function| format!("--function={}", function.as_str()))
        .to_vec();
    let functions: Vec<&str> = functions.iter().map(String::as_str).collect();
    let token = run.run(&[&create[..], &functions].concat()).ok().stdout;
    let server = run.serve("serve");
    let client = server.client(token.trim());
    let document = client.get("/openapi.json").ok().json();
    let mut asking = Asking {
        client,
        kept: BTreeMap::new(),
    };
    ask_everything(&mut asking);
    // What answers something that is neither a page nor for machines has its own documentation.
    let without = [
        "GET /metrics",
        "GET /v1/media/{msgid}",
        "GET /v1/exports/{id}/file",
        "GET /v1/wecom/callback",
        "POST /v1/wecom/callback",
    ];
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            let operation = format!("{} {path}", method.to_uppercase());
            let has_example = asking.kept.contains_key(&operation);
            assert!(
                has_example || without.contains(&operation.as_str()),
                "{operation} has no example; ask for it here"
            );
        }
    }
    let known: Value = serde_json::from_str(&std::fs::read_to_string(file()).unwrap()).unwrap();
    let fresh = json!(asking.kept);
    let is_same = known.as_object().unwrap().len() == asking.kept.len()
        && asking.kept.iter().all(|(operation, example)| {
            let known = &known[operation];
            known["parameters"].is_object()
                && known.get("body") == example.get("body")
                && known["status"] == example["status"]
                && known.get("answer").is_some() == example.get("answer").is_some()
                && is_alike(&known["answer"], &example["answer"])
        });
    if !is_same {
        let text = serde_json::to_string_pretty(&fresh).unwrap();
        std::fs::write(file(), text + "\n").unwrap();
        panic!("query-api/src/http/examples.json had other answers; it is now written anew");
    }
}

fn ask_everything(asking: &mut Asking) {
    let text = |value: &Value| value.as_str().unwrap().to_string();
    asking.get("/healthz", json!({}));
    asking.get("/readyz", json!({}));
    let found = asking.get(
        "/v1/search",
        json!({"q": "发货", "kind": "single_external", "limit": 1}),
    );
    let conversation = text(&found["items"][0]["conversation"]);
    let day = text(&found["items"][0]["at"])[..10].to_string();
    asking.get("/v1/search/counts", json!({"by": "employee", "q": "发货"}));
    asking.get("/v1/conversations", json!({"q": "发货", "limit": 1}));
    asking.get(
        "/v1/conversations/{id}/messages",
        json!({"id": conversation, "limit": 1}),
    );
    let saved = json!({"name": "发货", "search": {"q": "发货", "kind": ["single_external"], "order": "relevance"}});
    let saved_id = asking.ask("POST /v1/searches", json!({}), Some(saved.clone()))["id"].clone();
    asking.get("/v1/searches", json!({}));
    asking.get("/v1/searches/{id}", json!({"id": saved_id}));
    asking.ask(
        "PUT /v1/searches/{id}",
        json!({"id": saved_id}),
        Some(saved),
    );
    asking.ask("DELETE /v1/searches/{id}", json!({"id": saved_id}), None);
    let export = json!({"what": "search", "format": "ndjson", "q": "发货"});
    let export = asking.ask("POST /v1/exports", json!({}), Some(export))["id"].clone();
    asking.get("/v1/exports", json!({}));
    asking.get("/v1/exports/{id}", json!({"id": export}));
    asking.ask("POST /v1/exports/{id}/cancel", json!({"id": export}), None);
    asking.get("/v1/dialogues", json!({"from": day, "to": day, "limit": 1}));
    asking.get("/v1/timeouts", json!({"limit": 1}));
    asking.get("/v1/contacts", json!({"per": "customer", "limit": 1}));
    for (report, metrics) in [
        ("employees", json!(["dialogues", "reply_rate"])),
        ("departments", json!(["dialogues", "reply_rate"])),
        ("guides", json!(["friends_new"])),
        ("stores", json!(["friends_new"])),
        ("customers", json!(["customers_new"])),
        ("groups", json!(["members"])),
    ] {
        let route = format!("/v1/reports/{report}");
        let report = asking.get(&route, json!({"metrics": metrics}));
        if route.ends_with("groups") {
            let id = text(&report["items"][0]["chat_id"]);
            asking.get("/v1/groups/{id}/portrait", json!({"id": id}));
        }
    }
    let metric = json!({"report": "employees", "metric": "dialogues", "limit": 1});
    asking.get("/v1/explain/{report}/{metric}", metric);
    let best = json!({"report": "guides", "metric": ["friends_new"], "top": 3});
    asking.get("/v1/ranking/{report}", best);
    asking.get("/v1/metrics", json!({"report": "employees"}));
    let rules = "[[sensitive.rule]]\nname = \"发货\"\nwords = \"发货\"\nclass = \"negative\"\nenabled = true\n\n\
                 [behaviour.sensitive_word]\nenabled = true\naudited = [\"employee\", \"customer\"]\n";
    let days = json!({"from": "2024-01-01", "to": "2030-12-31"});
    asking.ask("POST /v1/rules/diff", json!({}), Some(json!(rules)));
    asking.ask(
        "POST /v1/behaviours/backtest",
        days.clone(),
        Some(json!(rules)),
    );
    asking.ask("PUT /v1/rules", json!({}), Some(json!(rules)));
    asking.get("/v1/rules", json!({}));
    asking.get("/v1/rules/history", json!({}));
    asking.get("/v1/rules/history/{version}", json!({"version": 1}));
    asking.ask("POST /v1/behaviours/rescans", json!({}), Some(days));
    let behaviours = asking.get(
        "/v1/behaviours",
        json!({"kind": "sensitive_word", "limit": 1}),
    );
    let id = text(&behaviours["items"][0]["behaviour_id"]);
    let review = json!({"as": "false_alarm", "remark": "正常沟通"});
    asking.ask(
        "POST /v1/behaviours/{id}/reviews",
        json!({"id": id}),
        Some(review),
    );
    asking.get("/v1/behaviours/{id}/reviews", json!({"id": id}));
    let sql = json!({"sql": "SELECT msgtype, count(*) AS n FROM messages GROUP BY msgtype ORDER BY n DESC"});
    asking.ask("POST /v1/sql", json!({}), Some(sql));
    let rows = "{\"userid\":\"new1\",\"name\":\"新人\",\"departments\":[]}\n";
    let table = json!({"table": "employees"});
    asking.ask("PUT /v1/directory/{table}", table, Some(json!(rows)));
    asking.get("/v1/ledger", json!({"limit": 1}));
    asking.get("/v1/media", json!({"limit": 1}));
    let sessions = asking.get("/v1/kf/sessions", json!({"limit": 1}));
    let id = text(&sessions["items"][0]["session_id"]);
    asking.get("/v1/kf/sessions/{id}/messages", json!({"id": id}));
    let wanted = json!({"name": "manager", "employee": "new1", "expires_days": 90, "roles": [
        {"functions": ["messages.search", "messages.read"], "scope": "self"}]});
    let id = asking.ask("POST /v1/tokens", json!({}), Some(wanted))["id"].clone();
    asking.get("/v1/tokens", json!({}));
    asking.ask("DELETE /v1/tokens/{id}", json!({"id": id}), None);
    asking.get("/v1/audit", json!({"limit": 1}));
}
