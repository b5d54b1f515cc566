//! The answers of the binary equal those of the naive model: on random companies full of edge
//! cases, and on real chats where this machine has them.

use std::collections::BTreeMap;
use std::path::Path;

use huicun_testdata::naive::{Company, Filters, random_company, random_rules};
use serde_json::{Map, Value};

use crate::support::{Installation, real_data};

/// The behaviours of a period, in an order that does not look at their ids.
fn check_behaviours(run: &Installation, company: &Company, (from, to): (&str, &str)) {
    let in_order = |mut rows: Vec<Value>| {
        for row in &mut rows {
            for key in ["rules", "words"] {
                let mut list: Vec<String> = serde_json::from_value(row[key].clone()).unwrap();
                list.sort();
                row[key] = list.into();
            }
        }
        rows.sort_by_key(|row| {
            ["at", "msgid", "kind", "conversation"].map(|key| row[key].to_string())
        });
        rows
    };
    let ours = run.run(&["behaviours", "--from", from, "--to", to]);
    let ours = in_order(ours.ok().rows());
    let naive = in_order(company.behaviours(from, to));
    assert_same_rows("behaviours", &ours, &naive);
}

/// Confirms some behaviours of messages in both.
fn confirm_some(run: &Installation, company: &mut Company) {
    for row in run
        .run(&["behaviours"])
        .ok()
        .rows()
        .iter()
        .step_by(7)
        .take(6)
    {
        let (Some(msgid), Some(kind)) = (row["msgid"].as_str(), row["kind"].as_str()) else {
            continue;
        };
        let id = row["behaviour_id"].as_str().unwrap();
        run.run(&["behaviours", "review", id, "--as", "confirmed"])
            .ok();
        company.confirm_behaviour(kind, msgid);
    }
}

/// Equal up to the last bits of sums taken in another order.
fn same(ours: &Value, naive: &Value) -> bool {
    match (ours, naive) {
        (Value::Number(a), Value::Number(b)) => {
            let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1.0)
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        _ => ours == naive,
    }
}

/// Compares the keys that the naive row has.
#[track_caller]
fn assert_same_rows(what: &str, ours: &[Value], naive: &[Value]) {
    for (index, (ours, naive)) in ours.iter().zip(naive).enumerate() {
        for (key, expected) in naive.as_object().unwrap() {
            let found = ours.get(key).unwrap_or(&Value::Null);
            assert!(
                same(found, expected),
                "{what}, row {index}, `{key}`: found {found}, expected {expected}\n{ours}\n{naive}"
            );
        }
    }
    assert_eq!(ours.len(), naive.len(), "{what}: number of rows");
}

const EVERY: [Option<&str>; 4] = [None, Some("day"), Some("week"), Some("month")];

pub(crate) fn check_lists(
    run: &Installation,
    company: &Company,
    (from, to): (&str, &str),
    slices: &[Option<&str>],
) {
    let dialogues = run
        .run(&["dialogues", "--from", from, "--to", to])
        .ok()
        .rows();
    assert_same_rows("dialogues", &dialogues, &company.dialogues(from, to));
    let timeouts = run
        .run(&["timeouts", "--from", from, "--to", to])
        .ok()
        .rows();
    assert_same_rows("timeouts", &timeouts, &company.timeouts(from, to));
    for per in ["customer", "employee"] {
        let contacts = ["contacts", "--per", per, "--from", from, "--to", to];
        let naive = match per {
            "customer" => company.contacts_per_customer(from, to),
            _ => company.contacts_per_pair(from, to),
        };
        let what = format!("contacts per {per}");
        assert_same_rows(&what, &run.run(&contacts).ok().rows(), &naive);
    }
    for by in slices.iter().copied() {
        let mut arguments = vec!["report", "employees", "--from", from, "--to", to];
        arguments.extend(by.map(|by| ["--by", by]).into_iter().flatten());
        let ours = run.run(&arguments).ok().rows();
        let naive = company.report_employees(from, to, by);
        let listed: Vec<&str> = naive
            .iter()
            .filter_map(|row| row["userid"].as_str())
            .collect();
        // Ids that only later metrics know may be listed by the engine; never the reverse.
        let ours: Vec<Value> = ours
            .into_iter()
            .filter(|row| {
                let userid = row["userid"].as_str().unwrap();
                listed.contains(&userid) || !row["name"].is_null() || has_facts(row)
            })
            .collect();
        assert_same_rows(&format!("report by {by:?}"), &ours, &naive);
    }
}

/// The reports of units, cell by cell; every report that differs is named.
pub(crate) fn check_units(run: &Installation, company: &Company, (from, to): (&str, &str)) {
    type Naive = fn(&Company, &str, &str, Option<&str>) -> Vec<Value>;
    let reports: [(&str, Naive); 5] = [
        ("departments", Company::report_departments),
        ("guides", Company::report_guides),
        ("stores", Company::report_stores),
        ("customers", Company::report_customers),
        ("groups", Company::report_groups),
    ];
    let mut wrong = Vec::new();
    for (name, naive) in reports {
        for by in [None, Some("week")] {
            let mut arguments = vec!["report", name, "--from", from, "--to", to];
            arguments.extend(by.map(|by| ["--by", by]).into_iter().flatten());
            let ours = run.run(&arguments).ok().rows();
            let naive = naive(company, from, to, by);
            wrong.extend(differences(&format!("{name} by {by:?}"), &ours, &naive));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Rankings of guides and stores, by one metric and by several, with and without a least value.
fn check_rankings(run: &Installation, company: &Company, (from, to): (&str, &str)) {
    type Criteria = &'static [(&'static str, Option<f64>)];
    let rankings: [(Criteria, usize); 4] = [
        (&[("friends_new", None)], usize::MAX),
        (&[("friends", Some(2.0)), ("groups_owner", None)], 2),
        (&[("friends_in_groups_rate", None), ("friends", None)], 3),
        (&[("friends", None), ("group_people", Some(1.0))], 1),
    ];
    for (metrics, top) in rankings {
        for name in ["guides", "stores"] {
            let is_of_guides = metrics.iter().any(|(key, _)| *key == "groups_owner");
            if name == "stores" && is_of_guides {
                continue;
            }
            let mut arguments = vec!["ranking", name, "--from", from, "--to", to];
            let criteria: Vec<String> = metrics
                .iter()
                .map(|(key, least)| match least {
                    Some(least) => format!("{key}:{least}"),
                    None => (*key).to_string(),
                })
                .collect();
            arguments.extend(criteria.iter().flat_map(|one| ["--metric", one]));
            let places = top.to_string();
            if top != usize::MAX {
                arguments.extend(["--top", &places]);
            }
            let naive = match name {
                "guides" => company.ranking_guides(from, to, metrics, top),
                _ => company.ranking_stores(from, to, metrics, top),
            };
            let ours = run.run(&arguments).ok().rows();
            assert_same_rows(&format!("ranking {name} by {criteria:?}"), &ours, &naive);
        }
    }
}

/// The first difference of each key, and of the number of rows.
fn differences(what: &str, ours: &[Value], naive: &[Value]) -> Vec<String> {
    let mut found = Vec::new();
    let mut keys = std::collections::BTreeSet::new();
    if ours.len() != naive.len() {
        found.push(format!(
            "{what}: {} rows, expected {}",
            ours.len(),
            naive.len()
        ));
        return found;
    }
    for (index, (ours, naive)) in ours.iter().zip(naive).enumerate() {
        for (key, expected) in naive.as_object().unwrap() {
            let value = ours.get(key).unwrap_or(&Value::Null);
            if !same(value, expected) && keys.insert(key.clone()) {
                found.push(format!(
                    "{what}, row {index}, `{key}`: {value}, expected {expected}"
                ));
            }
        }
    }
    found
}

fn has_facts(row: &Value) -> bool {
    let is_fact = |(key, value): (&String, &Value)| {
        !matches!(key.as_str(), "userid" | "name" | "period")
            && value.as_f64().is_some_and(|n| n != 0.0)
    };
    row.as_object().unwrap().iter().any(is_fact)
}

fn check_search(run: &Installation, company: &Company, literals: &[&str]) {
    for literal in literals {
        // Quoted, so that what the query language means by its characters does not matter.
        let quoted = format!("\"{}\"", literal.replace('\\', "\\\\").replace('"', "\\\""));
        let ours = run.run(&["search", &quoted, "--limit", "0"]).ok().rows();
        let naive = company.search(&[literal], &Filters::default());
        assert_same_rows(&format!("search {literal:?}"), &ours, &naive);
    }
}

/// What is left out by `-` is exactly the rest.
fn check_negation(run: &Installation, company: &Company, word: &str) {
    let every = company.search(&[], &Filters::default());
    let with: Vec<String> = company
        .search(&[word], &Filters::default())
        .iter()
        .map(|row| row["msgid"].to_string())
        .collect();
    let without: Vec<Value> = every
        .into_iter()
        .filter(|row| !with.contains(&row["msgid"].to_string()))
        .collect();
    let query = format!("-\"{word}\"");
    let ours = run.run(&["search", &query, "--limit", "0"]).ok().rows();
    assert_same_rows(&format!("search {query}"), &ours, &without);
}

pub(crate) fn import(run: &Installation, lines: &[String], directory: &[(String, Value)]) {
    let mut tables: BTreeMap<&str, String> = BTreeMap::new();
    for (table, row) in directory {
        let text = tables.entry(table).or_default();
        text.push_str(&format!("{row}\n"));
    }
    for (table, text) in &tables {
        run.write(&format!("directory/{table}.ndjson"), text);
    }
    if !directory.is_empty() {
        let folder = run.path("directory");
        run.run(&["import", "directory", folder.to_str().unwrap()])
            .ok();
    }
    let file = run.write("messages.ndjson", &(lines.join("\n") + "\n"));
    run.run(&["import", "messages", file.to_str().unwrap()])
        .ok();
}

#[test]
fn random_companies_are_answered_as_the_naive_model_does() {
    for seed in 0..8 {
        let (lines, directory) = random_company(seed);
        let rules = random_rules(seed);
        let mut company = Company::new();
        *company.rules() = rules.clone();
        company.begin_import();
        lines.iter().for_each(|line| company.add_message_line(line));
        for (table, row) in &directory {
            company.add_directory_row(table, row);
        }
        let run = Installation::new();
        let file = run.write("rules.toml", &rules.to_toml());
        run.run(&["rules", "apply", file.to_str().unwrap()]).ok();
        import(&run, &lines, &directory);
        let everything = company.search(&[], &Filters::default());
        let first = everything.last().unwrap()["at"].as_str().unwrap()[..10].to_string();
        let last = everything[0]["at"].as_str().unwrap()[..10].to_string();
        println!(
            "seed {seed}: {} messages, {first} to {last}",
            everything.len()
        );
        let from = if first.as_str() < "2000" {
            "2024-01-01"
        } else {
            &first
        };
        check_behaviours(&run, &company, (from, &last));
        confirm_some(&run, &mut company);
        check_behaviours(&run, &company, (from, &last));
        check_lists(&run, &company, (from, &last), &EVERY);
        check_units(&run, &company, (from, &last));
        check_rankings(&run, &company, (from, &last));
        let words: Vec<String> = everything
            .iter()
            .step_by(7)
            .filter_map(|row| row["text"].as_str())
            .filter(|text| !text.is_empty())
            .map(|text| text.chars().skip(1).take(2).collect())
            .filter(|word: &String| !word.is_empty())
            .take(12)
            .collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        check_search(&run, &company, &words);
        check_negation(&run, &company, words[0]);
        check_filters(&run, &company, &directory);
    }
}

/// Two halves of the messages come in under rules of their own; then a rescan applies the last ones
/// to everything.
#[test]
fn behaviours_under_changing_rules_are_those_of_the_naive_model() {
    for seed in 100..104 {
        let (lines, directory) = random_company(seed);
        let (early, late) = lines.split_at(lines.len() / 2);
        let (mut company, run) = (Company::new(), Installation::new());
        let (first, other) = (random_rules(seed), random_rules(seed + 50));
        let mut second = first.clone();
        second.sensitive_rules = other.sensitive_rules;
        second.behaviours = other.behaviours;
        let whole = ("2000-01-01", "2999-12-31");
        for (rules, lines, rows) in [
            (first, early, &directory[..]),
            (second, late, &directory[..0]),
        ] {
            // What the second file does not name would stay in force.
            let off: String = ["red_packet", "card", "sensitive_word", "friend_deleted"]
                .into_iter()
                .filter(|kind| !rules.behaviours.contains_key(*kind))
                .map(|kind| format!("[behaviour.{kind}]\nenabled = false\n"))
                .collect();
            let file = run.write("rules.toml", &(rules.to_toml() + &off));
            run.run(&["rules", "apply", file.to_str().unwrap()]).ok();
            *company.rules() = rules;
            company.begin_import();
            for (table, row) in rows {
                company.add_directory_row(table, row);
            }
            lines.iter().for_each(|line| company.add_message_line(line));
            import(&run, lines, rows);
            check_behaviours(&run, &company, whole);
        }
        run.run(&[
            "behaviours",
            "rescan",
            "--from",
            "1970-01-01",
            "--to",
            whole.1,
        ])
        .ok();
        let n_before = run.run(&["behaviours"]).ok().rows().len();
        company.rescan_behaviours();
        // What the rules of its time found stays, so a rescan only adds.
        let listed = company.behaviours(whole.0, whole.1);
        let ours = run.run(&["behaviours", "--from", whole.0]).ok().rows();
        let key = |row: &Value| ["at", "msgid", "kind"].map(|key| row[key].to_string());
        let known: std::collections::BTreeSet<_> = ours.iter().map(key).collect();
        for row in &listed {
            assert!(known.contains(&key(row)), "seed {seed}: {row}");
        }
        assert!(n_before >= listed.len());
        run.run(&["rebuild"]).ok();
        assert_eq!(
            run.run(&["behaviours", "--from", whole.0]).ok().rows(),
            ours
        );
    }
}

fn check_filters(run: &Installation, company: &Company, directory: &[(String, Value)]) {
    let ids = |table: &str, key: &str| -> Vec<String> {
        directory
            .iter()
            .filter(|(name, _)| name == table)
            .filter_map(|(_, row)| row[key].as_str().map(String::from))
            .take(3)
            .collect()
    };
    type Set = fn(&mut Filters, String);
    let filters: [(&str, Vec<String>, Set); 5] = [
        ("--employee", ids("employees", "userid"), |f, id| {
            f.employees = vec![id]
        }),
        (
            "--customer",
            ids("customers", "external_userid"),
            |f, id| f.customers = vec![id],
        ),
        ("--department", ids("departments", "id"), |f, id| {
            f.departments = vec![id]
        }),
        ("--room", ids("groups", "chat_id"), |f, id| {
            f.rooms = vec![id]
        }),
        (
            "--kind",
            [
                "single_external",
                "single_internal",
                "group_external",
                "group_internal",
                "other",
            ]
            .map(String::from)
            .to_vec(),
            |f, id| f.kinds = vec![id],
        ),
    ];
    for (flag, values, set) in filters {
        for value in values {
            let mut wanted = Filters::default();
            set(&mut wanted, value.clone());
            let ours = run
                .run(&["search", "", flag, &value, "--limit", "0"])
                .ok()
                .rows();
            let naive = company.search(&[], &wanted);
            assert_same_rows(&format!("search {flag} {value}"), &ours, &naive);
        }
    }
    let all = |table: &str, key: &str| -> Vec<String> {
        let rows = directory.iter().filter(|(name, _)| name == table);
        rows.filter_map(|(_, row)| row[key].as_str().map(String::from))
            .collect()
    };
    check_counts(run, company, "employee", all("employees", "userid"));
    check_counts(run, company, "department", all("departments", "id"));
}

/// Each count is how much a search with that filter finds, and none is missing.
fn check_counts(run: &Installation, company: &Company, by: &str, known: Vec<String>) {
    let rows = run.run(&["search", "", "--count-by", by]).ok().rows();
    let counts: BTreeMap<&str, &Value> = rows
        .iter()
        .map(|row| (row["id"].as_str().unwrap(), &row["messages"]))
        .collect();
    for id in known
        .iter()
        .map(String::as_str)
        .chain(counts.keys().copied())
    {
        let mut wanted = Filters::default();
        match by {
            "employee" => wanted.employees = vec![id.to_owned()],
            _ => wanted.departments = vec![id.to_owned()],
        }
        let naive = company.search(&[], &wanted).len();
        let ours = counts.get(id).map_or(0, |n| n.as_u64().unwrap() as usize);
        assert_eq!(ours, naive, "messages of {by} {id}");
    }
}

fn read_ndjson(path: &Path) -> Vec<String> {
    let mut text = String::new();
    let mut input = huicun_indexer::ingest::import::open(path).unwrap();
    std::io::Read::read_to_string(&mut input, &mut text).unwrap();
    text.lines().map(String::from).collect()
}

fn real(name: &str) -> Option<(Installation, Company)> {
    let folder = real_data(name)?;
    let (messages, directory) = (folder.join("messages.ndjson.zst"), folder.join("directory"));
    let run = Installation::new();
    run.run(&["import", "directory", directory.to_str().unwrap()])
        .ok();
    run.run(&["import", "messages", messages.to_str().unwrap()])
        .ok();
    let mut company = Company::new();
    company.begin_import();
    for line in read_ndjson(&messages) {
        company.add_message_line(&line);
    }
    for file in std::fs::read_dir(&directory).unwrap() {
        let file = file.unwrap().path();
        let table = file.file_stem().unwrap().to_str().unwrap().to_string();
        for line in read_ndjson(&file) {
            let row: Map<String, Value> = serde_json::from_str(&line).unwrap();
            company.add_directory_row(&table, &Value::Object(row));
        }
    }
    Some((run, company))
}

#[test]
fn real_single_chats_are_answered_as_the_naive_model_does() {
    let Some((run, company)) = real("singles") else {
        return;
    };
    check_lists(&run, &company, ("2024-09-16", "2024-10-15"), &EVERY);
    check_lists(
        &run,
        &company,
        ("2024-09-28", "2024-10-08"),
        &[None, Some("week")],
    );
    check_search(
        &run,
        &company,
        &["谢谢", "酒店", "发货", "4.5", "？", "的", "韵达快递"],
    );
}

#[test]
fn real_group_chats_are_answered_as_the_naive_model_does() {
    let Some((run, company)) = real("groups") else {
        return;
    };
    check_lists(&run, &company, ("2010-01-01", "2014-12-31"), &[None]);
    check_search(&run, &company, &["投影幕", "XDD", "攤位"]);
}
