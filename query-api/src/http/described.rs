//! What the OpenAPI document says beyond what stands at each route: what every route can answer, the
//! forms that rows come in, examples, and the keys of metrics, from the catalogue under the rules in
//! force, since some metrics exist for the days that the rules name.

use std::collections::BTreeSet;

use huicun_engine::metrics::Report as Kind;
use huicun_engine::metrics::catalogue::of_report;
use huicun_engine::metrics::settings::Settings;
use serde_json::{Map, Value, json};

use super::format::{ARROW, NDJSON};
use super::problem::{CODES, PROBLEM_JSON};

/// Routes whose rows come as NDJSON and as an Arrow stream too.
pub(super) const STREAMED: [&str; 22] = [
    "/v1/search",
    "/v1/search/counts",
    "/v1/conversations",
    "/v1/conversations/{id}/messages",
    "/v1/kf/sessions",
    "/v1/kf/sessions/{id}/messages",
    "/v1/media",
    "/v1/dialogues",
    "/v1/timeouts",
    "/v1/contacts",
    "/v1/behaviours",
    "/v1/reports/employees",
    "/v1/reports/departments",
    "/v1/reports/guides",
    "/v1/reports/stores",
    "/v1/reports/customers",
    "/v1/reports/groups",
    "/v1/explain/{report}/{metric}",
    "/v1/ranking/{report}",
    "/v1/metrics",
    "/v1/ledger",
    "/v1/audit",
];
const STREAMED_POST: &str = "/v1/sql";

/// A request and its answer of each route, as a test has seen them (`cli/tests/it/api.rs`).
const EXAMPLES: &str = include_str!("examples.json");

/// Says of every route what holds for all, and gives examples.
pub fn completed(mut document: Value) -> Value {
    let examples: Map<String, Value> = serde_json::from_str(EXAMPLES).unwrap_or_default();
    let codes: Vec<&str> = CODES.iter().map(|(code, ..)| *code).collect();
    document["components"]["schemas"]["Problem"]["properties"]["code"]["enum"] = json!(codes);
    for (path, methods) in members(&mut document["paths"]) {
        for (method, operation) in members(methods) {
            for parameter in parameters(operation) {
                bound(path, parameter);
            }
            if operation.get("security").is_some() {
                problems(operation, method == "get");
            }
            let is_streamed = method == "get" && STREAMED.contains(&path.as_str());
            if is_streamed || path == STREAMED_POST {
                let content = &mut operation["responses"]["200"]["content"];
                content[NDJSON] = json!({"schema": {"type": "string"}});
                content[ARROW] = json!({"schema": {}});
            }
            let key = format!("{} {path}", method.to_uppercase());
            if let Some(example) = examples.get(&key) {
                exemplified(operation, example);
            }
        }
    }
    document
}

fn members(value: &mut Value) -> impl Iterator<Item = (&String, &mut Value)> {
    value.as_object_mut().into_iter().flatten()
}

fn parameters(operation: &mut Value) -> impl Iterator<Item = &mut Value> {
    let found = operation
        .get_mut("parameters")
        .and_then(Value::as_array_mut);
    found.into_iter().flatten()
}

/// The values of parameters that have few: of a route, or of any.
const VALUES: [(Option<&str>, &str, &[&str]); 7] = [
    (
        Some("/v1/search/counts"),
        "by",
        &["conversation", "employee", "department", "type", "day"],
    ),
    (Some("/v1/contacts"), "per", &["customer", "employee"]),
    (
        Some("/v1/reports/customers"),
        "per",
        &["company", "employee", "department"],
    ),
    (None, "by", &["day", "week", "month"]),
    (None, "order", &["newest", "relevance"]),
    (None, "as", &["original", "mp3", "wav"]),
    (None, "review", &["unreviewed", "confirmed", "false_alarm"]),
];

/// The bounds of parameters that mean the same everywhere; and that what stands in an address is
/// never null.
fn bound(path: &str, parameter: &mut Value) {
    match parameter["name"].as_str() {
        Some("limit") => {
            parameter["schema"] = json!({
                "type": "integer", "minimum": 0, "maximum": 1000, "default": 100,
            });
            parameter["description"] =
                json!("rows of the page, 1 to 1000; 0 for all, which streams (`Accept`) only have");
        }
        Some(name) if let Some(values) = values_of(path, name) => {
            let one = json!({"type": "string", "enum": values});
            parameter["schema"] = match parameter.pointer("/schema/items") {
                Some(_) => json!({"type": "array", "items": one}),
                None => one,
            };
        }
        Some("from" | "to") => parameter["schema"] = json!({"type": "string", "format": "date"}),
        _ => {
            let types = parameter.pointer_mut("/schema/type");
            if let Some(types) = types.and_then(Value::as_array_mut) {
                types.retain(|name| name != "null");
                if let [one] = types.as_slice() {
                    parameter["schema"]["type"] = one.clone();
                }
            }
        }
    }
}

fn values_of(path: &str, name: &str) -> Option<&'static [&'static str]> {
    let fits = |of: &Option<&str>| of.is_none_or(|of| of == path);
    let mut found = VALUES
        .iter()
        .filter(|(of, known, _)| *known == name && fits(of));
    found.next().map(|(.., values)| *values)
}

/// What every route with a function can answer.
fn problems(operation: &mut Value, is_get: bool) {
    let mut statuses = vec!["400", "401", "403", "503"];
    if operation.get("requestBody").is_some() {
        statuses.extend(["408", "413"]);
    }
    let json = operation.pointer("/responses/200/content/application~1json");
    let has_list = json.is_some();
    let Some(responses) = operation["responses"].as_object_mut() else {
        return;
    };
    if is_get && has_list {
        let same = json!({"description": "`If-None-Match` has the `ETag` of this answer"});
        responses.entry("304").or_insert(same);
    }
    let problem = json!({"$ref": "#/components/schemas/Problem"});
    for status in statuses {
        responses.entry(status).or_insert_with(
            || json!({"description": "", "content": {PROBLEM_JSON: {"schema": problem}}}),
        );
    }
    for (status, response) in responses {
        let told = CODES
            .iter()
            .filter(|(_, statuses, _)| statuses.contains(&status.as_str()));
        let told: Vec<String> = told
            .map(|(code, _, what)| format!("`{code}`: {what}"))
            .collect();
        let has_problem = response
            .pointer("/content/application~1problem+json")
            .is_some();
        if has_problem && !told.is_empty() {
            response["description"] = json!(told.join("; "));
        }
    }
}

fn exemplified(operation: &mut Value, example: &Value) {
    for parameter in parameters(operation) {
        let name = parameter["name"].as_str().unwrap_or_default().to_string();
        if let Some(value) = example["parameters"].get(&name) {
            parameter["example"] = value.clone();
        }
    }
    if let Some(body) = example.get("body") {
        let content = operation.pointer_mut("/requestBody/content");
        for (_, content) in content.into_iter().flat_map(members) {
            content["example"] = body.clone();
        }
    }
    if let (Some(status), Some(answer)) = (example["status"].as_u64(), example.get("answer")) {
        let kind = match answer.is_string() {
            true => "text~1plain",
            false => "application~1json",
        };
        let place = format!("/responses/{status}/content/{kind}");
        if let Some(content) = operation.pointer_mut(&place) {
            content["example"] = answer.clone();
        }
    }
}

/// Puts the reports and the keys of their metrics into a document.
pub fn with_metrics(mut document: Value, settings: &Settings) -> Value {
    let keys_of = |kind: Kind| -> Vec<String> {
        let metrics = of_report(kind, settings);
        metrics.iter().map(|metric| metric.json_key()).collect()
    };
    for kind in Kind::ALL {
        let path = format!("/v1/reports/{kind}");
        if let Some(parameter) = parameter_of(&mut document, &path, "metrics") {
            let one_of = json!({"type": "string", "enum": keys_of(kind)});
            parameter["schema"] = json!({"type": "array", "items": one_of});
            // As one text, joined with commas.
            parameter["style"] = json!("form");
            parameter["explode"] = json!(false);
        }
    }
    let names = Kind::ALL.map(Kind::as_str);
    let keys: BTreeSet<String> = Kind::ALL.into_iter().flat_map(keys_of).collect();
    for (path, name, values) in [
        ("/v1/explain/{report}/{metric}", "report", json!(names)),
        ("/v1/explain/{report}/{metric}", "metric", json!(keys)),
        (
            "/v1/ranking/{report}",
            "report",
            json!(["guides", "stores"]),
        ),
        ("/v1/metrics", "report", json!(names)),
    ] {
        if let Some(parameter) = parameter_of(&mut document, path, name) {
            parameter["schema"] = json!({"type": "string", "enum": values});
        }
    }
    document
}

fn parameter_of<'a>(document: &'a mut Value, path: &str, name: &str) -> Option<&'a mut Value> {
    let route = document.get_mut("paths")?.get_mut(path)?.get_mut("get")?;
    let parameters = route.get_mut("parameters")?.as_array_mut()?;
    parameters.iter_mut().find(|one| one["name"] == name)
}
