//! Golden companies: small ones whose every figure was worked out by hand from the law, asked
//! through the binary and of the naive model. Both are held to the same numbers, so a mistake
//! that the two share does not pass (`testdata/cases/README.md`).

mod company;
mod opened;

use std::collections::{BTreeMap, BTreeSet};

use huicun_testdata::naive::{Company, Rules};
use serde_json::{Map, Value, json};

use crate::support::Installation;
use company::{Folder, cases};

/// A company in the binary's archive and in the naive model.
struct Both {
    folder: Folder,
    run: Installation,
    naive: Company,
}

impl Both {
    /// In this order: what was archived before the rules, the rules, the directory, the messages.
    fn of(folder: Folder) -> Self {
        let mut both = Self {
            folder,
            run: Installation::new(),
            naive: Company::new(),
        };
        both.naive.rules().now_ms = Some(chrono::Utc::now().timestamp_millis());
        if both.folder.has("before.txt") {
            both.import("before.txt");
        }
        both.apply("rules.toml");
        for (file, text) in both.folder.tables() {
            both.run.write(&format!("directory/{file}"), &text);
        }
        let directory = both.run.path("directory");
        let arguments = ["import", "directory", directory.to_str().unwrap()];
        both.run.run(&arguments).ok();
        for (table, row) in both.folder.directory_rows() {
            both.naive.add_directory_row(&table, &row);
        }
        both.import("messages.txt");
        both
    }

    fn import(&mut self, file: &str) {
        let lines = self.folder.messages(file);
        let path = self
            .run
            .write("messages.ndjson", &(lines.join("\n") + "\n"));
        let arguments = ["import", "messages", "--strict", path.to_str().unwrap()];
        self.run.run(&arguments).ok();
        self.naive.begin_import();
        lines.iter().for_each(|l| self.naive.add_message_line(l));
    }

    fn apply(&mut self, file: &str) {
        let text = self.folder.read(file);
        let path = self.run.write("rules.toml", &text);
        self.run
            .run(&["rules", "apply", path.to_str().unwrap()])
            .ok();
        let now_ms = self.naive.rules().now_ms;
        *self.naive.rules() = Rules {
            now_ms,
            ..Rules::from_toml(&text)
        };
    }

    /// Reviews what a message, or the loss of a pair's relation, is a behaviour of.
    fn review(&mut self, step: &Value) {
        let text = |key: &str| step[key].as_str().unwrap();
        let (kind, of, verdict) = (text("kind"), text("of"), text("review"));
        let found = self.run.run(&["behaviours", "--kind", kind]).ok().rows();
        let found: Vec<&Value> = found
            .iter()
            .filter(|row| match &row["msgid"] {
                Value::Null => row["conversation"] == of,
                msgid => msgid == of,
            })
            .collect();
        assert_eq!(found.len(), 1, "behaviours to review by {step}");
        let id = found[0]["behaviour_id"].as_str().unwrap();
        let arguments = ["behaviours", "review", id, "--as", verdict];
        self.run.run(&arguments).ok();
        self.naive.review_behaviour(kind, of, verdict);
    }

    fn rescan(&mut self, arguments: &str) {
        let arguments: Vec<&str> = arguments.split(' ').collect();
        self.run.run(&arguments).ok();
        self.naive.rescan_behaviours();
    }

    /// Adds what is wrong with the answers to one question.
    fn ask(&self, step: &Value, wrong: &mut Vec<String>) {
        let question = step["ask"].as_str().unwrap();
        let arguments: Vec<&str> = question.split(' ').collect();
        let ask_binary = || {
            let arguments = [&arguments[..], &["--format", "json"]].concat();
            serde_json::from_str(&self.run.run(&arguments).ok().stdout).unwrap()
        };
        let ask_model = || ask_naive(&self.naive, &arguments);
        let answers: Vec<(&str, Vec<Value>)> = match step["only"].as_str() {
            None => vec![("binary", ask_binary()), ("naive model", ask_model())],
            Some("binary") => vec![("binary", ask_binary())],
            Some(other) => panic!("`{other}` cannot be asked"),
        };
        for (who, rows) in answers {
            let differences = match &step["rows"] {
                Value::Object(expected) => compare_rows(expected, &rows),
                _ => compare_lists(step["list"].as_array().unwrap(), &rows),
            };
            let say = |difference| format!("{question}\n  {who}: {difference}");
            wrong.extend(differences.into_iter().map(say));
        }
        if let ("report", Value::Object(expected)) = (arguments[0], &step["rows"]) {
            let differences = opened::differences(&self.run, &arguments, expected);
            wrong.extend(
                differences
                    .into_iter()
                    .map(|d| format!("{question}\n  {d}")),
            );
        }
    }
}

/// A question in the binary's words, put to the naive model.
fn ask_naive(company: &Company, arguments: &[&str]) -> Vec<Value> {
    let flag = |name: &str| {
        let at = arguments.iter().position(|one| *one == name)?;
        Some(arguments[at + 1])
    };
    let (from, to) = (flag("--from").unwrap(), flag("--to").unwrap());
    let (by, per) = (flag("--by"), flag("--per"));
    match (arguments[0], arguments[1]) {
        ("report", "employees") => company.report_employees(from, to, by),
        ("report", "departments") => company.report_departments(from, to, by),
        ("report", "guides") => company.report_guides(from, to, by),
        ("report", "stores") if per == Some("department") => {
            company.report_stores_per_department(from, to, by)
        }
        ("report", "stores") => company.report_stores(from, to, by),
        ("report", "customers") => match per {
            Some("employee") => company.report_customers_per_employee(from, to, by),
            Some("department") => company.report_customers_per_department(from, to, by),
            _ => company.report_customers(from, to, by),
        },
        ("report", "groups") => company.report_groups(from, to, by),
        ("ranking", what) => {
            let metrics: Vec<(&str, Option<f64>)> = arguments
                .windows(2)
                .filter(|pair| pair[0] == "--metric")
                .map(|pair| match pair[1].split_once(':') {
                    Some((key, least)) => (key, Some(least.parse().unwrap())),
                    None => (pair[1], None),
                })
                .collect();
            let top = flag("--top").unwrap().parse().unwrap();
            match what {
                "guides" => company.ranking_guides(from, to, &metrics, top),
                _ => company.ranking_stores(from, to, &metrics, top),
            }
        }
        ("timeouts", _) => company.timeouts(from, to),
        ("dialogues", _) => company.dialogues(from, to),
        ("contacts", _) => match per {
            Some("employee") => company.contacts_per_pair(from, to),
            _ => company.contacts_per_customer(from, to),
        },
        ("behaviours", _) => company.behaviours(from, to),
        ("portrait", group) => days_of(&company.portrait(group, from, to)),
        other => panic!("the naive model is not asked for {other:?}"),
    }
}

/// A portrait's days, in a row each; the model leaves out days without any.
fn days_of(portrait: &Value) -> Vec<Value> {
    let keys = [
        ("employee_messages", "employee_messages_by_day"),
        ("customer_messages", "customer_messages_by_day"),
        ("customers_joined", "joined_by_day"),
        ("customers_left", "left_by_day"),
        ("customers_present", "present_by_day"),
    ];
    let days = portrait["present_by_day"].as_object().unwrap().keys();
    days.map(|day| {
        let counts = keys.map(|(key, by_day)| {
            let n = portrait[by_day][day].as_u64().unwrap_or(0);
            (key.to_string(), json!(n))
        });
        let mut row = Map::from_iter(counts);
        row.insert("day".into(), json!(day));
        Value::Object(row)
    })
    .collect()
}

/// What a row is about, with its slice: `ann`, `ann 2024-10-08`; the company's row is `company`.
fn name_of(row: &Value) -> String {
    let ids = ["userid", "department_id", "store_id", "chat_id"];
    let id = ids.iter().find_map(|key| row[*key].as_str());
    let id = id.unwrap_or("company");
    match row["period"].as_str() {
        Some(slice) => format!("{id} {slice}"),
        None => id.to_string(),
    }
}

/// Exactly these rows; of each the keys that are expected.
fn compare_rows(expected: &Map<String, Value>, rows: &[Value]) -> Vec<String> {
    let rows: BTreeMap<String, &Value> = rows.iter().map(|row| (name_of(row), row)).collect();
    let (found, wanted): (BTreeSet<&String>, BTreeSet<&String>) =
        (rows.keys().collect(), expected.keys().collect());
    if found != wanted {
        return vec![format!("rows {found:?}, expected {wanted:?}")];
    }
    let mut differences = Vec::new();
    for (name, expected) in expected {
        differences.extend(compare_row(name, expected, rows[name]));
    }
    differences
}

/// Exactly these rows in this order; of each the keys that are expected.
fn compare_lists(expected: &[Value], rows: &[Value]) -> Vec<String> {
    if expected.len() != rows.len() {
        let rows: Vec<String> = rows.iter().map(Value::to_string).collect();
        let (n, wanted, rows) = (rows.len(), expected.len(), rows.join("\n    "));
        return vec![format!("{n} rows, expected {wanted}:\n    {rows}")];
    }
    let pairs = expected.iter().zip(rows).enumerate();
    pairs
        .flat_map(|(index, (expected, row))| compare_row(&index.to_string(), expected, row))
        .collect()
}

fn compare_row(name: &str, expected: &Value, row: &Value) -> Vec<String> {
    let mut differences = Vec::new();
    for (key, expected) in expected.as_object().unwrap() {
        let missing = json!("(no such key)");
        let found = row.get(key).unwrap_or(&missing);
        if !is_as_expected(found, expected) {
            differences.push(format!("{name} `{key}`: {found}, expected {expected}"));
        }
    }
    differences
}

/// Numbers up to the last bits of a sum; a number may be expected as a fraction, `"2/3"`.
fn is_as_expected(found: &Value, expected: &Value) -> bool {
    let fraction = |text: &str| {
        let (above, below) = text.split_once('/')?;
        Some(above.parse::<f64>().ok()? / below.parse::<f64>().ok()?)
    };
    let number = match expected {
        Value::String(text) => fraction(text),
        expected => expected.as_f64(),
    };
    match (number, found.as_f64()) {
        (Some(number), Some(found)) => (found - number).abs() <= 1e-9 * number.abs().max(1.0),
        _ => found == expected,
    }
}

#[track_caller]
fn check(folder: &str) {
    loop {
        let folder = Folder::open(folder);
        let steps = folder.steps();
        let mut both = Both::of(folder);
        let mut wrong = Vec::new();
        for step in &steps {
            if let Some(file) = step["apply"].as_str() {
                both.apply(file);
            } else if let Some(arguments) = step["rescan"].as_str() {
                both.rescan(arguments);
            } else if step["review"].is_string() {
                both.review(step);
            } else {
                both.ask(step, &mut wrong);
            }
        }
        // What is of today must have been asked on that day.
        if both.folder.is_of_today() {
            assert!(wrong.is_empty(), "{}", wrong.join("\n"));
            return;
        }
    }
}

macro_rules! folders {
    ($($name:ident $folder:literal)*) => {
        $(#[test] fn $name() { check($folder); })*
        const FOLDERS: &[&str] = &[$($folder),*];
    };
}

folders! {
    dialogue_rules "03-dialogue-rules"
    reply_rules "05-reply-rules"
    revisit_rules "07-revisit-rules"
    behaviours "08-behaviours"
    organisation "09-organisation"
    single_chats "10.1-singles"
    groups "10.2-groups"
    guides "10.3-guides"
    stores "10.4-stores"
    customers "10.5-customers"
    activity_of_groups "10.6-groups-report"
    portraits "10.6-portrait"
    contacts "10.7-contacts"
    rankings "10.8-ranking"
    beyond_the_manual "10.9-beyond"
}

#[test]
fn every_folder_with_a_company_is_checked_and_says_why() {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(cases()).unwrap() {
        let path = entry.unwrap().path();
        if path.join("messages.txt").exists() {
            assert!(path.join("why.md").exists(), "{}", path.display());
            found.push(path.file_name().unwrap().to_str().unwrap().to_string());
        }
    }
    found.sort();
    assert_eq!(found, FOLDERS);
}

/// One key for all days of revisits, and one for all minutes of a share.
fn family(key: &str) -> String {
    let is_family = key.starts_with("revisit_") || key.contains("_within_");
    match is_family {
        true => key.replace(|c: char| c.is_ascii_digit(), ""),
        false => key.to_string(),
    }
}

#[test]
fn every_metric_of_every_report_has_a_golden_figure() {
    let mut figured: BTreeSet<(String, String)> = BTreeSet::new();
    for folder in FOLDERS {
        for step in Folder::open(folder).steps() {
            let words: Vec<&str> = step["ask"].as_str().unwrap_or("").split(' ').collect();
            let rows = step["rows"].as_object().into_iter().flatten();
            for (_, row) in rows.filter(|_| words[0] == "report") {
                let keys = row.as_object().unwrap().keys();
                figured.extend(keys.map(|key| (words[1].to_string(), family(key))));
            }
        }
    }
    // With a calendar for replies, so that the metrics of working time are there.
    let run = Installation::new();
    let rules = run.write(
        "rules.toml",
        &Folder::open("10.9-beyond").read("rules.toml"),
    );
    run.run(&["rules", "apply", rules.to_str().unwrap()]).ok();
    let metrics = run.run(&["metrics"]).ok().rows();
    assert!(metrics.len() > 200, "{} metrics", metrics.len());
    let mut missing = BTreeSet::new();
    for metric in &metrics {
        let text = |key: &str| metric[key].as_str().unwrap();
        let wanted = (text("report").to_string(), family(text("key")));
        if !figured.contains(&wanted) {
            missing.insert(wanted);
        }
    }
    assert!(missing.is_empty(), "no golden figure: {missing:#?}");
}
