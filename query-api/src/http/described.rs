//! What the OpenAPI document says of metrics: their keys, from the catalogue under the rules in
//! force, since some metrics exist for the days that the rules name. The rest of the document is
//! made when the program is built.

use std::collections::BTreeSet;

use huicun_engine::metrics::Report as Kind;
use huicun_engine::metrics::catalogue::of_report;
use huicun_engine::metrics::settings::Settings;
use serde_json::{Value, json};

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
