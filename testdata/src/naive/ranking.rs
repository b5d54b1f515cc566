//! Rankings of guides and stores (semantics 10.8).

use std::cmp::Ordering;

use serde_json::{Map, Value, json};

use super::company::Company;

impl Company {
    /// The rows of `huicun ranking guides`: metrics in order of precedence, each with the least value that
    /// qualifies, if any; the first `top` places.
    ///
    /// # Panics
    /// If a day is not written YYYY-MM-DD.
    pub fn ranking_guides(
        &self,
        from: &str,
        to: &str,
        metrics: &[(&str, Option<f64>)],
        top: usize,
    ) -> Vec<Value> {
        ranked(self.report_guides(from, to, None), "userid", metrics, top)
    }

    /// The same of stores.
    ///
    /// # Panics
    /// As the guides'.
    pub fn ranking_stores(
        &self,
        from: &str,
        to: &str,
        metrics: &[(&str, Option<f64>)],
        top: usize,
    ) -> Vec<Value> {
        ranked(self.report_stores(from, to, None), "store_id", metrics, top)
    }
}

/// Choices: more is better; null is below every number and reaches no least value; rows of one place
/// are in the order of their ids.
fn ranked(
    mut rows: Vec<Value>,
    id: &str,
    metrics: &[(&str, Option<f64>)],
    top: usize,
) -> Vec<Value> {
    let qualifies = |row: &Value| {
        let mut metrics = metrics.iter();
        metrics.all(|(key, least)| {
            least.is_none_or(|least| row[*key].as_f64().is_some_and(|value| value >= least))
        })
    };
    let compare = |a: &Value, b: &Value| {
        for (key, _) in metrics {
            let value = |row: &Value| row[*key].as_f64().unwrap_or(f64::NEG_INFINITY);
            let order = value(b).total_cmp(&value(a));
            if order != Ordering::Equal {
                return order;
            }
        }
        Ordering::Equal
    };
    rows.retain(qualifies);
    rows.sort_by(compare); // stable: they came in the order of their ids
    let mut places: Vec<Value> = Vec::new();
    let mut place = 0;
    for (index, row) in rows.iter().enumerate() {
        if index == 0 || compare(&rows[index - 1], row) != Ordering::Equal {
            place += 1;
        }
        if place > top {
            break;
        }
        let mut shown = Map::new();
        shown.insert("place".into(), json!(place));
        for key in [id, "name"]
            .into_iter()
            .chain(metrics.iter().map(|(key, _)| *key))
        {
            shown.insert(key.to_owned(), row[key].clone());
        }
        places.push(Value::Object(shown));
    }
    places
}
