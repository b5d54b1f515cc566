//! The demo company: same seed same bytes, exact counts, and a directory that its messages fit.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests; clippy sees only the test functions as tests"
)]

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs;
use std::path::Path;

use chrono::NaiveDate;
use huicun_testdata::demo::{DemoOptions, DemoSummary, write_company, write_messages};
use serde_json::Value;
use tempfile::TempDir;

/// Message types of wecom-sdk 5.3, the two uncertain ones included.
const ALL_TYPES: [&str; 34] = [
    "text",
    "image",
    "revoke",
    "agree",
    "disagree",
    "voice",
    "video",
    "card",
    "location",
    "emotion",
    "file",
    "link",
    "weapp",
    "chatrecord",
    "mixed",
    "todo",
    "vote",
    "collect",
    "redpacket",
    "external_redpacket",
    "meeting",
    "meeting_notification",
    "docmsg",
    "markdown",
    "news",
    "calendar",
    "meeting_voice_call",
    "voip_doc_share",
    "sphfeed",
    "voiptext",
    "qydiskfile",
    "switch",
    "solitaire",
    "note",
];

fn options(n_messages: u64, n_employees: u32, days: u32) -> DemoOptions {
    DemoOptions {
        n_messages,
        n_employees,
        days,
        ..DemoOptions::default()
    }
}

struct Made {
    summary: DemoSummary,
    dir: TempDir,
}

fn make(options: &DemoOptions) -> Made {
    let dir = tempfile::tempdir().unwrap();
    let summary = write_company(options, dir.path()).unwrap();
    Made { summary, dir }
}

fn rows(path: &Path) -> Vec<Value> {
    fs::read_to_string(path)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

impl Made {
    fn envelopes(&self) -> Vec<Value> {
        rows(&self.dir.path().join("messages.ndjson"))
    }

    fn table(&self, name: &str) -> Vec<Value> {
        rows(&self.dir.path().join(format!("directory/{name}.ndjson")))
    }

    fn ids(&self, name: &str, key: &str) -> HashSet<String> {
        let ids: Vec<String> = self
            .table(name)
            .iter()
            .map(|row| row[key].as_str().unwrap().to_owned())
            .collect();
        let set: HashSet<String> = ids.iter().cloned().collect();
        assert_eq!(set.len(), ids.len(), "keys of {name} repeat");
        set
    }
}

fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for folder in [dir.to_path_buf(), dir.join("directory")] {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                files.insert(
                    path.file_name().unwrap().to_string_lossy().into_owned(),
                    fs::read(path).unwrap(),
                );
            }
        }
    }
    files
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_does_not() {
    let small = options(3_000, 40, 10);
    let (one, again) = (make(&small), make(&small));
    assert_eq!(one.summary, again.summary);
    assert!(
        files(one.dir.path()) == files(again.dir.path()),
        "same seed, other bytes"
    );
    let other = make(&DemoOptions {
        seed: 7,
        ..small.clone()
    });
    assert!(files(one.dir.path())["messages.ndjson"] != files(other.dir.path())["messages.ndjson"]);
    let mut streamed = Vec::new();
    write_messages(&small, &mut streamed).unwrap();
    assert!(
        streamed == files(one.dir.path())["messages.ndjson"],
        "streamed messages differ from the folder's"
    );
}

#[test]
fn a_folder_written_twice_is_overwritten() {
    let made = make(&options(600, 6, 2));
    write_company(&options(500, 5, 3), made.dir.path()).unwrap();
    assert_eq!(made.envelopes().len(), 500);
}

#[test]
fn counts_are_exact_for_any_size() {
    for (n_messages, n_employees, days) in [
        (0, 2, 1),
        (1, 2, 1),
        (7, 2, 3),
        (120, 3, 30),
        (499, 5, 3),
        (500, 5, 3),
        (501, 2, 1),
        (2_000, 9, 1),
        (5_000, 400, 5),
    ] {
        let mut out = Vec::new();
        let summary = write_messages(&options(n_messages, n_employees, days), &mut out).unwrap();
        let n_lines = out.iter().filter(|byte| **byte == b'\n').count() as u64;
        assert_eq!(
            (n_lines, summary.messages),
            (n_messages, n_messages),
            "{n_employees} employees, {days} days"
        );
        assert_eq!(summary.messages_by_type.values().sum::<u64>(), n_messages);
    }
}

#[test]
fn every_type_occurs_from_500_messages_on() {
    for seed in 0..12 {
        let options = DemoOptions {
            seed,
            ..options(500, 5, 3)
        };
        let summary = write_messages(&options, &mut std::io::sink()).unwrap();
        for kind in ALL_TYPES {
            assert!(
                summary.messages_by_type.contains_key(kind),
                "no {kind} with seed {seed}"
            );
        }
    }
}

#[test]
fn planted_findings_name_messages_that_are_there() {
    for options in [options(500, 5, 3), options(20_000, 120, 60)] {
        let made = make(&options);
        let msgids: HashSet<String> = made
            .envelopes()
            .iter()
            .map(|line| line["message"]["msgid"].as_str().unwrap().to_owned())
            .collect();
        assert!(
            made.summary.planted.len() >= 5,
            "{:?}",
            made.summary.planted
        );
        for (what, msgid) in &made.summary.planted {
            assert!(msgids.contains(msgid), "{what}");
        }
    }
}

#[test]
fn too_small_a_company_is_refused() {
    for options in [options(10, 1, 3), options(10, 5, 0)] {
        let error = write_messages(&options, &mut std::io::sink()).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    }
}

/// One company of 20,000 messages, looked at from all sides.
#[test]
fn messages_are_what_wecom_would_give() {
    let made = make(&options(20_000, 160, 60));
    let envelopes = made.envelopes();
    let employees = made.ids("employees", "userid");
    let customers = made.ids("customers", "external_userid");
    let rooms = made.ids("groups", "chat_id");
    let robots: HashSet<String> = made.summary.robots.iter().cloned().collect();
    let is_known =
        |id: &str| employees.contains(id) || customers.contains(id) || robots.contains(id);
    assert!(
        customers
            .iter()
            .all(|id| id.len() == 32 && (id.starts_with("wm") || id.starts_with("wo")))
    );

    let (mut last_seq, mut last_time, mut n_gaps, mut n_late) = (0, 0, 0, 0);
    let (mut msgids, mut types, mut texts) = (HashSet::new(), BTreeSet::new(), HashSet::new());
    let mut sent: HashMap<String, i64> = HashMap::new();
    let (mut n_text, mut n_external, mut n_room) = (0, 0, 0);
    for envelope in &envelopes {
        let seq = envelope["seq"].as_u64().unwrap();
        assert!(seq > last_seq);
        n_gaps += u64::from(last_seq > 0 && seq > last_seq + 1);
        last_seq = seq;
        assert!(matches!(envelope["publickey_ver"].as_u64(), Some(1 | 2)));
        let message = &envelope["message"];
        let msgid = message["msgid"].as_str().unwrap();
        assert!(msgids.insert(msgid.to_owned()), "{msgid} twice");
        if message["action"] == "switch" {
            assert!(
                message.get("msgtype").is_none()
                    && message.get("from").is_none()
                    && message["time"].is_i64()
            );
            assert!(employees.contains(message["user"].as_str().unwrap()));
            types.insert("switch".to_owned());
            continue;
        }
        let kind = message["msgtype"].as_str().unwrap();
        types.insert(kind.to_owned());
        let time = message["msgtime"].as_i64().unwrap();
        n_late += u64::from(time < last_time);
        last_time = time;
        let from = message["from"].as_str().unwrap();
        let to: Vec<&str> = message["tolist"]
            .as_array()
            .unwrap()
            .iter()
            .map(|id| id.as_str().unwrap())
            .collect();
        assert!(
            is_known(from) && to.iter().all(|id| is_known(id)) && !to.contains(&from),
            "{message}"
        );
        let room = message
            .get("roomid")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if room.is_empty() {
            assert_eq!(to.len(), 1);
        } else {
            assert!(rooms.contains(room) && !to.is_empty());
            n_room += 1;
        }
        let is_external = msgid.ends_with("_external");
        n_external += u64::from(is_external);
        if room.is_empty() {
            assert_eq!(
                is_external,
                customers.contains(from) || customers.contains(to[0])
            );
        }
        let stem = msgid.strip_suffix("_external").unwrap_or(msgid);
        let (number, millis) = stem.split_once('_').unwrap();
        assert!(number.parse::<u64>().is_ok() && millis.parse::<i64>() == Ok(time));
        sent.insert(msgid.to_owned(), time);
        check_payload(message, kind);
        if kind == "text" {
            let text = message["text"]["content"].as_str().unwrap();
            assert!(
                !text.trim().is_empty() && !text.contains(['{', '}', '<', '(']),
                "{text}"
            );
            n_text += 1;
            texts.insert(text.to_owned());
        }
    }
    for message in envelopes
        .iter()
        .map(|envelope| &envelope["message"])
        .filter(|message| message["msgtype"] == "revoke")
    {
        let recalled = sent[message["revoke"]["pre_msgid"].as_str().unwrap()];
        assert!(recalled <= message["msgtime"].as_i64().unwrap() && message["action"] == "recall");
    }

    assert_eq!(
        types,
        ALL_TYPES.iter().map(|kind| (*kind).to_owned()).collect()
    );
    let keys = &made.summary.messages_by_key;
    assert!(keys[&1] > 5_000 && keys[&2] > 5_000, "{keys:?}");
    assert!(
        (80..90).contains(&(n_text * 100 / 20_000)),
        "{n_text} texts"
    );
    assert!(texts.len() > 8_000, "only {} distinct texts", texts.len());
    assert!(
        n_gaps > 20 && n_late > 100,
        "{n_gaps} gaps, {n_late} out of time order"
    );
    assert!(
        n_external > 15_000 && n_room > 2_000,
        "{n_external} external, {n_room} in rooms"
    );
}

/// Both keys are in use around the rotation, and only there.
#[test]
fn key_versions_mix_for_a_while() {
    let made = make(&options(20_000, 160, 60));
    let keys: Vec<u64> = made
        .envelopes()
        .iter()
        .map(|envelope| envelope["publickey_ver"].as_u64().unwrap())
        .collect();
    let first = keys.iter().position(|key| *key == 2).unwrap();
    let last = keys.iter().rposition(|key| *key == 1).unwrap();
    assert!(first < last && last - first < 500, "{first} {last}");
}

fn check_payload(message: &Value, kind: &str) {
    let info = |key: &str| assert!(message["info"].get(key).is_some(), "{message}");
    let own = |key: &str| assert!(message[kind].get(key).is_some(), "{message}");
    match kind {
        "image" | "video" | "file" => ["sdkfileid", "md5sum", "filesize"]
            .into_iter()
            .for_each(own),
        "voice" => ["sdkfileid", "md5sum", "voice_size", "play_length"]
            .into_iter()
            .for_each(own),
        "emotion" => ["imagesize", "type", "width"].into_iter().for_each(own),
        "docmsg" => assert!(message["doc"]["title"].is_string()),
        "markdown" => {
            info("content");
            assert!(message["from"].as_str().unwrap().starts_with("wb"));
        }
        "voiptext" => info("callduration"),
        "qydiskfile" => info("filename"),
        "meeting_notification" => info("meeting_id"),
        "note" => info("items"),
        "news" => assert!(
            message["info"]
                .get("item")
                .or(message["info"].get("title"))
                .is_some()
        ),
        "redpacket" => own("totalamount"),
        "external_redpacket" => {
            let body = message
                .get("redpacket")
                .or(message.get("external_redpacket"))
                .unwrap();
            assert!(body["totalcnt"].is_u64());
        }
        "todo" => assert!(
            message
                .get("content")
                .or(message["todo"].get("content"))
                .is_some()
        ),
        "vote" => assert!(
            message
                .get("voteid")
                .or(message["vote"].get("voteid"))
                .is_some()
        ),
        "agree" => own("agree_time"),
        "disagree" => assert!(message.get("disagree").or(message.get("agree")).is_some()),
        "meeting_voice_call" => {
            assert!(message.get("roomid").is_none() && message["voiceid"].is_string())
        }
        "voip_doc_share" => {
            assert!(message.get("roomid").is_none() && message["voipid"].is_string())
        }
        "chatrecord" | "mixed" => check_items(&message[kind]["item"]),
        _ => assert!(message.get(kind).is_some(), "{message}"),
    }
}

/// Items carry their content as a JSON string; records may hold records.
fn check_items(items: &Value) {
    for item in items.as_array().unwrap() {
        let content: Value = serde_json::from_str(item["content"].as_str().unwrap()).unwrap();
        if item["type"] == "chatrecord" {
            check_items(&content["item"]);
        }
    }
}

#[test]
fn the_directory_fits_itself() {
    let made = make(&options(20_000, 160, 60));
    let employees = made.ids("employees", "userid");
    let customers = made.ids("customers", "external_userid");
    let departments = made.ids("departments", "id");
    let stores = made.ids("stores", "store_id");
    let rooms = made.ids("groups", "chat_id");
    for table in [
        "followups",
        "business_records",
        "tasks",
        "material_events",
        "orders",
    ] {
        assert!(!made.ids(table, "id").is_empty());
    }
    for (table, n_rows) in &made.summary.directory {
        assert_eq!(made.table(table).len() as u64, *n_rows);
        assert!(*n_rows > 0, "{table} is empty");
    }
    let has = |set: &HashSet<String>, value: &Value| set.contains(value.as_str().unwrap());
    for unit in made.table("departments") {
        assert!(
            unit.get("parent_id")
                .is_none_or(|parent| has(&departments, parent))
        );
        assert!(
            unit["leaders"]
                .as_array()
                .unwrap()
                .iter()
                .all(|leader| has(&employees, leader))
        );
    }
    for employee in made.table("employees") {
        assert!(
            employee["departments"]
                .as_array()
                .unwrap()
                .iter()
                .all(|unit| has(&departments, unit))
        );
        assert_eq!(
            employee["status"] == "left",
            employee.get("left_at").is_some()
        );
    }
    for store in made.table("stores") {
        assert!(has(&departments, &store["department_id"]));
        assert!(
            store["groups"]
                .as_array()
                .unwrap()
                .iter()
                .all(|room| has(&rooms, room))
        );
    }
    for room in made.table("groups") {
        assert!(has(&employees, &room["owner"]));
        assert!(room.get("store_id").is_none_or(|store| has(&stores, store)));
    }
    for member in made.table("group_members") {
        let known = if member["member_type"] == "customer" {
            &customers
        } else {
            &employees
        };
        assert!(has(known, &member["member_id"]) && has(&rooms, &member["chat_id"]));
        assert!(
            member
                .get("leave_time")
                .is_none_or(|leave| leave.as_i64() > member["join_time"].as_i64())
        );
    }
}

/// Every interval ends after it began, and two of one pair never overlap.
#[test]
fn relations_are_sane_intervals() {
    let made = make(&options(20_000, 160, 60));
    let employees = made.ids("employees", "userid");
    let customers = made.ids("customers", "external_userid");
    let mut by_pair: BTreeMap<(String, String), Vec<(i64, i64)>> = BTreeMap::new();
    for relation in made.table("relations") {
        let (userid, customer) = (
            relation["userid"].as_str().unwrap(),
            relation["external_userid"].as_str().unwrap(),
        );
        assert!(employees.contains(userid) && customers.contains(customer));
        let add = relation["add_time"].as_i64().unwrap();
        let lost = relation.get("lost_time").map(|lost| lost.as_i64().unwrap());
        assert_eq!(lost.is_some(), relation.get("lost_by").is_some());
        assert!(add < lost.unwrap_or(i64::MAX));
        by_pair
            .entry((userid.to_owned(), customer.to_owned()))
            .or_default()
            .push((add, lost.unwrap_or(i64::MAX)));
    }
    for (pair, mut intervals) in by_pair {
        intervals.sort_unstable();
        assert!(
            intervals.windows(2).all(|two| two[0].1 <= two[1].0),
            "{pair:?} overlap"
        );
    }
}

/// A message in a customers' room comes from one who is a member then, and goes to members.
#[test]
fn rooms_are_spoken_in_by_their_members() {
    let made = make(&options(5_000, 80, 20));
    let mut stays: HashMap<(String, String), (i64, i64)> = HashMap::new();
    for member in made.table("group_members") {
        let leave = member
            .get("leave_time")
            .map_or(i64::MAX, |leave| leave.as_i64().unwrap() * 1000);
        let key = (
            member["chat_id"].as_str().unwrap().to_owned(),
            member["member_id"].as_str().unwrap().to_owned(),
        );
        stays.insert(key, (member["join_time"].as_i64().unwrap() * 1000, leave));
    }
    for envelope in made.envelopes() {
        let message = &envelope["message"];
        let room = message
            .get("roomid")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let from = message["from"].as_str().unwrap_or_default();
        if room.is_empty() || from.starts_with("wb") {
            continue;
        }
        let time = message["msgtime"].as_i64().unwrap();
        for id in message["tolist"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(Value::as_str)
        {
            let (join, leave) = stays[&(room.to_owned(), id.to_owned())];
            assert!(
                join <= time && time < leave,
                "{id} receives outside his stay"
            );
        }
        assert!(stays[&(room.to_owned(), from.to_owned())].0 <= time);
    }
}

/// Working days have their rhythm: a lunch dip, quiet nights, and offices rest on holidays.
#[test]
fn days_and_hours_have_a_rhythm() {
    let made = make(&options(20_000, 160, 60));
    let mut hours = [0_u32; 24];
    let mut internal_by_day: BTreeMap<NaiveDate, u32> = BTreeMap::new();
    for envelope in made.envelopes() {
        let message = &envelope["message"];
        let Some(time) = message["msgtime"].as_i64() else {
            continue;
        };
        let local = chrono::DateTime::from_timestamp_millis(time + 8 * 3_600_000)
            .unwrap()
            .naive_utc();
        hours[(time / 3_600_000 + 8).rem_euclid(24) as usize] += 1;
        if !message["msgid"].as_str().unwrap().ends_with("_external") {
            *internal_by_day.entry(local.date()).or_default() += 1;
        }
    }
    assert!(
        hours[12] < hours[11] && hours[12] < hours[15] && hours[3] * 20 < hours[15],
        "{hours:?}"
    );
    let of = |month, day| {
        internal_by_day
            .get(&NaiveDate::from_ymd_opt(2024, month, day).unwrap())
            .copied()
            .unwrap_or(0)
    };
    let (holiday, working) = (
        of(9, 15) + of(9, 16) + of(9, 17),
        of(9, 18) + of(9, 19) + of(9, 20),
    );
    assert!(
        holiday * 2 < working,
        "{holiday} messages among staff on the holiday, {working} after it"
    );
}
