//! A report as people read it: the days, what its figures mean, all rows as one below the others,
//! and departments in the order of their tree.

use serde_json::Value;

use super::{About, Language};
use crate::queries::reports::Report;

/// What a report says of itself: its days, the rows that were kept back, what its figures mean.
pub fn described(answer: &Report, titles: (&str, &str), language: Language) -> About {
    let period = format!("{} – {}", answer.period.from, answer.period.to);
    let mut notes = vec![(language.pick("统计时段", "Period").into(), period)];
    notes.extend(withheld(answer, language));
    let definitions = answer.metrics.iter().map(|metric| match language {
        Language::Zh => (metric.zh.clone(), metric.definition_zh.clone()),
        Language::En => (metric.en.clone(), metric.definition.clone()),
    });
    About {
        title_zh: titles.0.into(),
        title_en: titles.1.into(),
        notes,
        definitions: definitions.collect(),
        ..About::default()
    }
}

/// How many units were kept back; nothing for who sees everything, as the operator does.
fn withheld(answer: &Report, language: Language) -> Option<(String, String)> {
    let name = |kind: &str| match kind {
        "departments" => language.pick("个部门", " departments"),
        "stores" => language.pick("个门店", " stores"),
        "company" => language.pick("行全公司", " row of the company"),
        _ => language.pick("个其他单位", " others"),
    };
    if answer.withheld.is_empty() {
        return None;
    }
    let parts = answer.withheld.iter();
    let parts: Vec<String> = parts
        .map(|(kind, n)| format!("{n}{}", name(kind)))
        .collect();
    let parts = parts.join(language.list_separator());
    let text = language.pick(
        "（只看得见其中一部分人）",
        " (not all of their people are in scope)",
    );
    let label = language.pick("未列出的行", "Rows kept back");
    Some((label.into(), format!("{parts}{text}")))
}

/// Puts the rows into the order for people, and what stands beside and below them into `about`:
/// levels in the tree, and the totals.
pub fn arrange(answer: &mut Report, about: &mut About, language: Language) {
    about.levels = in_tree_order(answer);
    let mut columns = answer.table.columns.iter();
    // The company is its own total.
    let Some(name) = columns.position(|column| column.key == "name") else {
        return;
    };
    about.totals = std::mem::take(&mut answer.totals);
    for row in &mut about.totals {
        row[0] = Value::from("");
        row[name] = language.pick("合计", "Total").into();
    }
}

/// Puts the rows of departments into the order of their tree, slices of one beside each other,
/// and gives each row's level. Other reports stay as they are.
fn in_tree_order(answer: &mut Report) -> Vec<u8> {
    let tree = std::mem::take(&mut answer.tree);
    let ids: Vec<String> = answer
        .table
        .rows
        .iter()
        .map(|row| row[0].as_str().unwrap_or_default().to_owned())
        .collect();
    let parent_of = |id: &str| -> Option<&str> {
        let at = ids.iter().position(|known| known == id)?;
        tree.get(at)?.1.as_deref()
    };
    // The path from the root; a parent without a row is left out, so that what is below stands
    // at the top.
    let path = |id: &str| -> Vec<String> {
        let mut path = vec![id.to_owned()];
        let mut at = id.to_owned();
        while let Some(parent) = parent_of(&at) {
            if path.iter().any(|seen| seen == parent) || !ids.iter().any(|i| i == parent) {
                break;
            }
            path.insert(0, parent.to_owned());
            at = parent.to_owned();
        }
        path
    };
    if tree.is_empty() {
        return Vec::new();
    }
    let mut order: Vec<(Vec<String>, usize)> = ids
        .iter()
        .enumerate()
        .map(|(at, id)| (path(id), at))
        .collect();
    order.sort();
    let mut rows: Vec<Option<Vec<Value>>> = std::mem::take(&mut answer.table.rows)
        .into_iter()
        .map(Some)
        .collect();
    answer.table.rows = order
        .iter()
        .filter_map(|(_, at)| rows[*at].take())
        .collect();
    order
        .iter()
        .map(|(path, _)| u8::try_from(path.len() - 1).unwrap_or(u8::MAX))
        .collect()
}
