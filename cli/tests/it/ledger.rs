//! What is missing is said: the ledger, answers over periods with holes, the doctor, the figures
//! for Prometheus, and readiness that is never green because nobody measured.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use huicun_engine::archive::Home;
use huicun_engine::state::State;
use huicun_engine::state::pulls::WINDOW_MS;
use serde_json::{Value, json};

use crate::support::{Client, Installation, text_line, wait_until};

/// 2024-10-01 00:00 in Shanghai.
const AT: i64 = 1_727_712_000_000;
const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

/// A record sealed with this version of the key.
fn record(seq: u64, msgid: &str, at: i64, version: u32) -> String {
    let mut line: Value =
        serde_json::from_str(&text_line(seq, "zhang", "wmanna", AT + at, "您好")).unwrap();
    line["publickey_ver"] = json!(version);
    line["message"]["msgid"] = json!(msgid);
    format!("{line}\n")
}

/// Pulled without the key of version 1: 4 to 6 never came (1 to 2 October), 9 is parked (2 to 3
/// October), 11 is 10 once more.
fn with_holes() -> Installation {
    let run = Installation::new();
    let mut lines = String::new();
    for (seq, at) in [(1, HOUR), (2, 2 * HOUR), (3, 3 * HOUR)] {
        lines += &record(seq, &format!("m{seq}"), at, 2);
    }
    for (seq, at) in [
        (7, DAY),
        (8, DAY + HOUR),
        (10, 2 * DAY),
        (12, 2 * DAY + HOUR),
    ] {
        lines += &record(seq, &format!("m{seq}"), at, 2);
    }
    lines += &record(9, "m9", DAY + 2 * HOUR, 1);
    lines += &record(11, "m10", 2 * DAY, 2);
    run.tape_of(&lines);
    keep_lines(&run, |line| !line.starts_with("1 = "));
    run.run(&["pull", "--once"]).ok();
    run
}

/// Rewrites the configuration.
fn keep_lines(run: &Installation, is_kept: impl Fn(&str) -> bool) {
    let path = run.path("huicun.toml");
    let whole = std::fs::read_to_string(&path).unwrap();
    let kept: Vec<&str> = whole.lines().filter(|line| is_kept(line)).collect();
    std::fs::write(&path, kept.join("\n") + "\n").unwrap();
}

fn entries(run: &Installation, arguments: &[&str]) -> Vec<Value> {
    let mut all = vec!["ledger"];
    all.extend(arguments);
    run.run(&all).ok().rows()
}

fn state(run: &Installation) -> State {
    State::open(&Home::open(&run.data()).unwrap().state()).unwrap()
}

fn now() -> i64 {
    chrono::Utc::now().timestamp_millis()
}

#[test]
fn the_ledger_lists_gaps_and_parked_records_with_the_times_around_them() {
    let run = with_holes();
    let all = entries(&run, &[]);
    let kinds: Vec<&str> = all.iter().map(|e| e["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["summary", "gap", "gap", "quarantined"]);
    let summary = &all[0];
    for (key, value) in [
        ("source", json!("wwtape")),
        ("seq_from", json!(1)),
        ("seq_to", json!(12)),
        ("cursor", json!(12)),
        ("n", json!(8)),
        ("delivered", json!(9)),
        ("archived", json!(7)),
        ("quarantined", json!(1)),
        ("deduplicated", json!(1)),
        ("balanced", json!(true)),
    ] {
        assert_eq!(summary[key], value, "{key}");
    }
    let gap = &all[1];
    assert_eq!((&gap["seq_from"], &gap["seq_to"]), (&json!(4), &json!(6)));
    assert_eq!(
        (&gap["n"], &gap["reason"]),
        (&json!(3), &json!("not_delivered"))
    );
    assert_eq!(gap["from"], "2024-10-01T03:00:00.000+08:00");
    assert_eq!(gap["to"], "2024-10-02T00:00:00.000+08:00");
    assert_eq!(
        (&all[2]["seq_from"], &all[2]["reason"]),
        (&json!(11), &json!("deduplicated"))
    );
    let parked = &all[3];
    assert_eq!((&parked["seq_from"], &parked["n"]), (&json!(9), &json!(1)));
    assert_eq!(parked["reason"], "missing_key");
    assert_eq!(parked["detail"], "publickey_ver 1");
    assert_eq!(parked["from"], "2024-10-02T01:00:00.000+08:00");
    assert_eq!(parked["to"], "2024-10-03T00:00:00.000+08:00");
    assert_eq!(
        entries(&run, &["--kind", "gap", "--to", "2024-10-02"]).len(),
        1
    );
    assert_eq!(run.run(&["ledger", "--kind", "holes"]).status, 2);
}

#[test]
fn an_answer_over_a_period_with_holes_says_so() {
    let run = with_holes();
    let said = |arguments: &[&str]| run.run(arguments).ok().stderr;
    let both = said(&[
        "search",
        "您好",
        "--from",
        "2024-10-02",
        "--to",
        "2024-10-02",
    ]);
    assert!(
        both.contains("2 处缺口") && both.contains("隔离的记录"),
        "{both}"
    );
    let english = said(&[
        "search",
        "您好",
        "--from",
        "2024-10-01",
        "--to",
        "2024-10-01",
        "--language",
        "en",
    ]);
    assert!(english.contains("note: 1 holes in the period: gaps in seq (which may be normal"));
    let whole = said(&["search", "您好", "--from", "2024-10-04"]);
    assert!(!whole.contains("缺口"), "{whole}");
    for command in [
        vec!["dialogues"],
        vec!["report", "employees"],
        vec!["conversation", "zhang|wmanna"],
    ] {
        let told = said(&command);
        assert!(told.contains("缺口"), "{command:?}: {told}");
    }
    let book = run.path("report.xlsx");
    run.run(&["search", "您好", "-o", book.to_str().unwrap()])
        .ok();
    let mut zip = zip::ZipArchive::new(std::fs::File::open(&book).unwrap()).unwrap();
    let mut strings = String::new();
    std::io::Read::read_to_string(
        &mut zip.by_name("xl/sharedStrings.xml").unwrap(),
        &mut strings,
    )
    .unwrap();
    assert!(strings.contains("完整性") && strings.contains("2 处缺口"));
}

#[test]
fn over_http_the_holes_are_told_to_those_who_see_everything() {
    let run = with_holes();
    let server = run.serve("serve");
    let all = server.client(&run.token("all"));
    let narrow = server.client(&run.token("employee:zhang"));
    let path = "/v1/search?q=&from=2024-10-02&to=2024-10-02";
    let as_of = all.get(path).ok().json()["as_of"].clone();
    assert_eq!(as_of["holes_total"], 2);
    assert_eq!(
        as_of["holes"][0],
        json!({"kind": "gap", "source": "wwtape", "n": 3,
               "from": "2024-10-01T03:00:00.000+08:00", "to": "2024-10-02T00:00:00.000+08:00"})
    );
    let as_of = narrow.get(path).ok().json()["as_of"].clone();
    assert_eq!(
        as_of["holes"],
        json!([{"kind": "gap"}, {"kind": "quarantined"}])
    );
    for path in ["/v1/dialogues", "/v1/reports/employees"] {
        let as_of = all.get(path).ok().json()["as_of"].clone();
        assert_eq!(as_of["holes_total"], 2, "{path}: {as_of}");
    }
    assert_eq!(narrow.get("/v1/ledger").problem().0, 403);
    assert_eq!(all.get("/v1/ledger?hole=1").problem().0, 400);
    let listed = all.get("/v1/ledger").ok();
    assert_eq!(listed.items(), entries(&run, &[]));
    assert_eq!(
        all.all("/v1/ledger?limit=1"),
        listed.items(),
        "page by page"
    );
    assert_eq!(listed.json()["next"], Value::Null);
}

#[test]
fn a_retry_of_the_quarantine_closes_the_hole_and_keeps_the_account() {
    let run = with_holes();
    run.configure("");
    run.run(&["quarantine", "retry"]).ok();
    let all = entries(&run, &[]);
    assert!(all.iter().all(|e| e["kind"] != "quarantined"), "{all:?}");
    let summary = &all[0];
    assert_eq!(summary["delivered"], 9);
    assert_eq!(summary["archived"], 8);
    assert_eq!(summary["quarantined"], 0);
    assert_eq!(summary["balanced"], true);
    let on_the_third = ["search", "您好", "--from", "2024-10-03"];
    let told = run.run(&on_the_third).ok().stderr;
    assert!(!told.contains("缺口"), "{told}");
}

#[test]
fn a_silence_longer_than_wecom_keeps_messages_is_a_hole_and_red() {
    let run = with_holes();
    let week_ago = now() - 7 * DAY;
    // The archive was pulled a week ago, and two weeks before that.
    let state = state(&run);
    for at in [week_ago - 14 * DAY, week_ago] {
        state.note_answer("wwtape", at).unwrap();
    }
    drop(state);
    let outages = entries(&run, &["--kind", "outage"]);
    assert_eq!(outages.len(), 2, "{outages:?}");
    assert!(
        outages
            .iter()
            .all(|outage| outage["reason"] == "past_window")
    );
    assert_eq!(outages[1]["to"], Value::Null, "it lasts");
    let day = |ms: i64| {
        let at = chrono::DateTime::from_timestamp_millis(ms + 8 * HOUR).unwrap();
        at.format("%Y-%m-%d").to_string()
    };
    let lost = day(week_ago - 10 * DAY);
    let told = run
        .run(&["search", "", "--from", &lost, "--to", &lost])
        .ok();
    assert!(told.stderr.contains("未拉取的时段"), "{}", told.stderr);
    // What was within the window when the pull came back is there.
    let kept = day(week_ago - WINDOW_MS + 2 * DAY);
    let told = run
        .run(&["search", "", "--from", &kept, "--to", &kept])
        .ok();
    assert!(!told.stderr.contains("缺口"), "{}", told.stderr);
    let server = run.serve("serve");
    let answer = server.client("").get("/readyz");
    assert_eq!(answer.status, 503);
    assert_eq!(answer.json()["problems"], json!(["pull_silent"]));
    drop(server);
    let mut running = run.start(&["serve", "--listen", "127.0.0.1:0", "--without-pull"]);
    let address = running.line().replace("http://", "");
    let server = crate::support::Server { running, address };
    assert_eq!(server.client("").get("/readyz").ok().json()["ready"], true);
}

/// Checks the whole text as a strict reader of Prometheus' format would, and gives its samples.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let mut found = BTreeMap::new();
    let mut types: BTreeMap<String, String> = BTreeMap::new();
    let mut helped = BTreeSet::new();
    assert!(text.ends_with('\n'));
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            assert!(helped.insert(name.to_string()), "{name} is told twice");
            assert!(!help.is_empty());
            continue;
        }
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(helped.contains(name), "{name} has no help");
            assert!(["counter", "gauge", "histogram"].contains(&kind));
            assert_eq!(kind == "counter", name.ends_with("_total"), "{name}");
            types.insert(name.to_string(), kind.to_string());
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap();
        let value: f64 = value.parse().unwrap();
        let name = series.split('{').next().unwrap();
        let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        assert!(
            name.starts_with("huicun_") && name.chars().all(is_name),
            "{name}"
        );
        let family = ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|suffix| name.strip_suffix(suffix))
            .filter(|family| types.get(*family).is_some_and(|kind| kind == "histogram"))
            .unwrap_or(name);
        assert!(types.contains_key(family), "{name} has no type");
        if let Some(labels) = series
            .strip_prefix(name)
            .filter(|labels| !labels.is_empty())
        {
            let inside = labels
                .strip_prefix('{')
                .and_then(|l| l.strip_suffix('}'))
                .unwrap();
            for label in inside.split("\",") {
                let (name, value) = label.split_once("=\"").unwrap();
                assert!(name.chars().all(is_name), "{series}");
                assert!(!value.trim_end_matches('"').contains('\n'));
            }
        }
        assert!(
            found.insert(series.to_string(), value).is_none(),
            "{series} twice"
        );
    }
    found
}

fn figures(client: &Client) -> BTreeMap<String, f64> {
    samples(&client.get("/metrics").ok().body)
}

#[test]
fn the_figures_for_prometheus_are_well_formed_and_right() {
    let run = with_holes();
    let token = run.token("all");
    let server = run.serve("run");
    let client = server.client(&token);
    wait_until(Duration::from_secs(20), "an answer of WeCom", || {
        figures(&client).get("huicun_pull_behind{corp=\"wwtape\"}") == Some(&0.0)
    });
    let found = figures(&client);
    for (series, value) in [
        (
            "huicun_account_records{corp=\"wwtape\",outcome=\"delivered\"}",
            9.0,
        ),
        (
            "huicun_account_records{corp=\"wwtape\",outcome=\"deduplicated\"}",
            1.0,
        ),
        ("huicun_account_balanced{corp=\"wwtape\"}", 1.0),
        (
            "huicun_quarantine_records{corp=\"wwtape\",reason=\"missing_key\",publickey_ver=\"1\"}",
            1.0,
        ),
        ("huicun_gap_seqs{corp=\"wwtape\"}", 3.0),
        ("huicun_pull_cursor{corp=\"wwtape\"}", 12.0),
        (
            "huicun_pull_records_total{corp=\"wwtape\",outcome=\"delivered\"}",
            0.0,
        ),
        ("huicun_worker_starts_total{corp=\"wwtape\"}", 1.0),
        (
            "huicun_commit_duration_seconds_bucket{corp=\"wwtape\",le=\"+Inf\"}",
            0.0,
        ),
        ("huicun_index_lag_versions", 0.0),
        ("huicun_ready", 1.0),
    ] {
        assert_eq!(found.get(series), Some(&value), "{series}: {found:#?}");
    }
    for series in [
        "huicun_pull_calls_total{corp=\"wwtape\"}",
        "huicun_worker_resident_memory_bytes{corp=\"wwtape\"}",
        "huicun_process_resident_memory_bytes",
        "huicun_process_open_files",
        "huicun_disk_free_bytes",
        "huicun_pull_window_left_seconds{corp=\"wwtape\"}",
    ] {
        assert!(found[series] > 0.0, "{series}");
    }
}

#[test]
fn a_pull_whose_calls_fail_is_red_and_the_doctor_repeats_the_advice() {
    let run = with_holes();
    let path = run.path("huicun.toml");
    let whole = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, whole.replace("tape-secret", "another")).unwrap();
    let token = run.token("all");
    let failed = run.run(&["pull", "--once"]);
    assert_eq!(failed.status, 1);
    let told = finding(&doctor(&run, &[]).1, "wecom");
    assert_eq!(told["status"], "fail");
    assert!(told["next"].as_str().unwrap().contains("secret"), "{told}");
    // As another process sees it, too.
    let server = run.serve("serve");
    let found = figures(&server.client(&token));
    assert!(found["huicun_pull_window_left_seconds{corp=\"wwtape\"}"] > 0.0);
    let summary = &entries(&run, &["--kind", "summary"])[0];
    let detail = summary["detail"].as_str().unwrap();
    assert!(detail.contains("the last call failed"), "{detail}");
}

/// The exit status and the findings.
fn doctor(run: &Installation, arguments: &[&str]) -> (i32, Vec<Value>) {
    let mut all = vec!["doctor"];
    all.extend(arguments);
    let ran = run.run(&all);
    (ran.status, ran.rows())
}

#[track_caller]
fn finding(found: &[Value], check: &str) -> Value {
    let found: Vec<&Value> = found.iter().filter(|f| f["check"] == check).collect();
    assert!(!found.is_empty(), "no finding of `{check}`");
    // The gravest of several.
    let rank = |f: &Value| {
        ["ok", "warn", "fail"]
            .iter()
            .position(|s| f["status"] == *s)
    };
    found.into_iter().max_by_key(|f| rank(f)).unwrap().clone()
}

#[track_caller]
fn status_of(found: &[Value], check: &str) -> String {
    finding(found, check)["status"]
        .as_str()
        .unwrap()
        .to_string()
}

#[test]
fn the_doctor_finds_a_healthy_installation_healthy() {
    let run = Installation::new();
    let lines: String = (1..=3)
        .map(|seq| record(seq, &format!("m{seq}"), 0, 1))
        .collect();
    run.tape_of(&lines);
    run.run(&["pull", "--once"]).ok();
    let (status, found) = doctor(&run, &["--call"]);
    assert_eq!(status, 0, "{found:#?}");
    for check in [
        "configuration",
        "keys",
        "clock",
        "disk",
        "sync",
        "open_files",
        "data_directory",
        "lock",
        "table",
        "index",
        "account",
        "cursor",
        "wecom",
        "window",
        "worker",
        "call",
        "tools",
    ] {
        assert_eq!(
            status_of(&found, check),
            "ok",
            "{check}: {:#}",
            finding(&found, check)
        );
    }
    // The simulator is no build of Tencent's.
    assert_eq!(status_of(&found, "library"), "warn");
    let english = doctor(&run, &["--language", "en"]).1;
    let told = finding(&english, "account")["found"].to_string();
    assert!(told.contains("delivered 3 = archived 3"), "{told}");
    assert!(
        english.iter().all(|f| f["check"] != "call"),
        "WeCom is asked only when wanted"
    );
}

#[test]
fn the_doctor_works_where_there_is_nothing() {
    let run = Installation::new();
    let (status, found) = doctor(&run, &[]);
    assert_eq!(status, 0, "{found:#?}");
    assert_eq!(status_of(&found, "configuration"), "warn");
    assert_eq!(status_of(&found, "data_directory"), "warn");
    assert!(!run.data().exists(), "it made a data directory");
}

#[test]
fn the_doctor_names_each_thing_that_is_wrong() {
    let run = with_holes();
    let (status, found) = doctor(&run, &[]);
    assert_eq!(status, 0, "{found:#?}");
    assert_eq!(status_of(&found, "keys_missing"), "warn");
    assert_eq!(status_of(&found, "quarantine"), "warn");
    assert!(
        finding(&found, "gaps")["found"]
            .as_str()
            .unwrap()
            .contains("可能正常")
    );

    // A library that is none, keys that anybody may read, and one that is none.
    let library = run.write("other.so", "MZ this is a DLL");
    let config = std::fs::read_to_string(run.path("huicun.toml")).unwrap();
    let simulator = config
        .lines()
        .find(|line| line.starts_with("sdk_library"))
        .unwrap();
    let other = format!("sdk_library = \"{}\"", library.display());
    std::fs::write(run.path("huicun.toml"), config.replace(simulator, &other)).unwrap();
    let key = run.tape().join("keys/v2.pem");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let (status, found) = doctor(&run, &[]);
    assert_eq!(status, 1);
    let told = finding(&found, "library");
    assert!(
        told["found"].as_str().unwrap().contains("Windows DLL"),
        "{told}"
    );
    assert_eq!(status_of(&found, "key_permissions"), "warn");
    std::fs::write(&key, "no key").unwrap();
    assert_eq!(status_of(&doctor(&run, &[]).1, "keys"), "fail");

    // A configuration with a mistake, files from the future, an index and a table that are damaged.
    std::fs::write(run.path("huicun.toml"), "[[corp]]\nsekret = 1\n").unwrap();
    let later = std::time::SystemTime::now() + Duration::from_secs(86_400);
    let marker = std::fs::File::options()
        .append(true)
        .open(run.data().join("huicun.json"));
    marker.unwrap().set_modified(later).unwrap();
    std::fs::write(run.data().join("index/meta.json"), "{").unwrap();
    let found = doctor(&run, &[]).1;
    for check in ["configuration", "clock", "index"] {
        assert_eq!(status_of(&found, check), "fail", "{check}");
    }
    let log = run.data().join("tables/messages/_delta_log");
    for entry in std::fs::read_dir(log).unwrap() {
        std::fs::write(entry.unwrap().path(), "{").unwrap();
    }
    assert_eq!(status_of(&doctor(&run, &[]).1, "table"), "fail");
    std::fs::write(run.data().join("huicun.json"), "{").unwrap();
    assert_eq!(status_of(&doctor(&run, &[]).1, "data_directory"), "fail");
}

#[test]
fn the_doctor_knows_an_empty_scope_from_an_error() {
    let run = Installation::new();
    run.tape_of("");
    run.run(&["pull", "--once"]).ok();
    let told = finding(&doctor(&run, &[]).1, "scope");
    assert_eq!(told["status"], "warn");
    assert!(
        told["next"].as_str().unwrap().contains("成员范围"),
        "{told}"
    );
}

#[test]
fn the_doctor_tells_who_writes_and_how_long_nobody_pulled() {
    let run = with_holes();
    let home = Home::open(&run.data()).unwrap();
    let held = home.lock_writer("huicun pull").unwrap();
    let told = finding(&doctor(&run, &[]).1, "lock");
    assert!(
        told["found"].as_str().unwrap().contains("huicun pull"),
        "{told}"
    );
    drop(held);
    let told = finding(&doctor(&run, &[]).1, "lock");
    assert!(told["found"].as_str().unwrap().contains("没有"), "{told}");
    let state = state(&run);
    for (hours, status) in [(6 * 24, "fail"), (100, "fail"), (30, "warn")] {
        // From a longer silence to a shorter one: a clock never goes back as far as this.
        state.note_answer("wwtape", now() - hours * HOUR).unwrap();
        let (_, found) = doctor(&run, &[]);
        assert_eq!(status_of(&found, "window"), status, "{hours}");
    }
}

#[test]
fn a_row_that_is_gone_is_an_account_that_does_not_add_up() {
    let run = with_holes();
    // Rows vanish without a commit that says so: the smallest file is emptied of its place in the
    // log, as a restore that was half done would.
    let log = run
        .data()
        .join("tables/messages/_delta_log/00000000000000000001.json");
    let entry = std::fs::read_to_string(&log).unwrap();
    let mut dropped = false;
    let kept: Vec<&str> = entry
        .lines()
        .filter(|line| {
            let is_dropped = !dropped && line.starts_with("{\"add\"");
            dropped |= is_dropped;
            !is_dropped
        })
        .collect();
    assert!(dropped, "{entry}");
    std::fs::write(&log, kept.join("\n")).unwrap();
    let summary = entries(&run, &["--kind", "summary"]).remove(0);
    assert_eq!(summary["balanced"], false, "{summary}");
    assert!(
        summary["detail"]
            .as_str()
            .unwrap()
            .contains("the table holds")
    );
    assert_eq!(doctor(&run, &[]).0, 1);
}
