//! Exports through the binary and HTTP: made, fetched, repeated, cancelled, resumed, refused.

use std::io::{Cursor, Read};
use std::time::Duration;

use huicun_engine::archive::Home;
use huicun_engine::archive::seal::sha256;
use huicun_engine::state::State;
use huicun_engine::state::exports::{KEEP_FILE_MS, NewExport, Owner};
use serde_json::{Value, json};

use crate::http::{company, served};
use crate::media::{QUICK, Studio, faults};
use crate::support::{Answer, Client, Installation, text_line, wait_until};

pub const PATIENCE: Duration = Duration::from_secs(60);
pub const AT: i64 = 1_727_712_000_000;

pub fn ask(client: &Client, request: Value) -> Answer {
    client.send("POST", "/v1/exports", request.to_string().as_bytes())
}

/// Queues an export and waits for its end.
#[track_caller]
pub fn ended(client: &Client, request: Value) -> Value {
    let asked = ask(client, request);
    assert_eq!(asked.status, 202, "{asked:?}");
    end_of(client, asked.json()["id"].as_str().unwrap())
}

#[track_caller]
pub fn end_of(client: &Client, id: &str) -> Value {
    let mut job = Value::Null;
    wait_until(PATIENCE, "the end of an export", || {
        job = client.get(&format!("/v1/exports/{id}")).ok().json();
        !["queued", "running"].contains(&job["state"].as_str().unwrap())
    });
    job
}

/// The bytes of an export, checked against what its job says of them.
#[track_caller]
pub fn fetched(client: &Client, request: Value) -> (Value, Vec<u8>) {
    let job = ended(client, request);
    assert_eq!(job["state"], "done", "{job}");
    let answer = client.get(&file_of(&job)).ok();
    assert_eq!(job["sha256"], sha256(&answer.bytes));
    assert_eq!(job["bytes"], answer.bytes.len());
    (job, answer.bytes)
}

pub fn file_of(job: &Value) -> String {
    format!("/v1/exports/{}/file", job["id"].as_str().unwrap())
}

/// Names and contents of a zip, in its order.
pub fn unzipped(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut zip = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
    let read = |at| {
        let mut file = zip.by_index(at).unwrap();
        let mut content = Vec::new();
        file.read_to_end(&mut content).unwrap();
        (file.name().unwrap().into_owned(), content)
    };
    (0..zip::ZipArchive::new(Cursor::new(bytes)).unwrap().len())
        .map(read)
        .collect()
}

/// The manifest of a zip, after a check of every hash in it, and the rows.
#[track_caller]
fn verified(bytes: &[u8]) -> (Value, Vec<Value>) {
    let files = unzipped(bytes);
    let content = |name: &str| &files.iter().find(|(known, _)| known == name).unwrap().1;
    let manifest: Value = serde_json::from_slice(content("manifest.json")).unwrap();
    let listed = manifest["files"].as_array().unwrap();
    assert_eq!(listed.len() + 1, files.len(), "{manifest}");
    for file in listed {
        let bytes = content(file["name"].as_str().unwrap());
        assert_eq!(file["sha256"], sha256(bytes));
        assert_eq!(file["bytes"], bytes.len());
    }
    let rows = files.iter().find(|(name, _)| name == "rows.ndjson");
    let rows = rows.map_or(&b""[..], |(_, bytes)| bytes);
    let rows = rows.split(|b| *b == b'\n').filter(|line| !line.is_empty());
    let rows: Vec<Value> = rows.map(|l| serde_json::from_slice(l).unwrap()).collect();
    (manifest, rows)
}

pub fn import(run: &Installation, lines: &str) {
    run.run_with_input(&["import", "messages", "-"], lines.as_bytes())
        .ok();
}

/// A conversation with everything that can hurt a reader.
fn hostile() -> String {
    let recall = json!({"seq": 103, "publickey_ver": 1, "message": {
        "msgid": "recall", "action": "recall", "from": "zhang", "tolist": ["wmanna"],
        "roomid": "", "msgtime": AT + 103, "msgtype": "revoke",
        "revoke": {"pre_msgid": format!("102_{}_external", AT + 102)},
    }});
    [
        text_line(
            101,
            "wmanna",
            "zhang",
            AT + 101,
            "=HYPERLINK(\"http://x\",\"y\")",
        ),
        text_line(
            102,
            "zhang",
            "wmanna",
            AT + 102,
            "</p><script>alert(1)</script>",
        ),
        format!("{recall}\n"),
    ]
    .concat()
}

#[test]
fn an_export_is_made_fetched_and_listed_and_its_manifest_holds() {
    let (_run, _server, client) = served();
    let request = json!({"what": "search", "format": "ndjson", "q": "退款"});
    let (job, bytes) = fetched(&client, request.clone());
    let (manifest, rows) = verified(&bytes);
    let found = client.get("/v1/search?q=%E9%80%80%E6%AC%BE").ok().items();
    let seqs = |rows: &[Value]| -> Vec<i64> {
        rows.iter()
            .map(|row| row["seq"].as_i64().unwrap())
            .collect()
    };
    assert_eq!(seqs(&rows), seqs(&found));
    assert_eq!(rows[0]["text"], found[0]["text"]);
    assert_eq!(
        (&job["rows"], &job["n_done"]),
        (&json!(rows.len()), &json!(rows.len()))
    );
    assert_eq!(manifest["counts"]["rows"], rows.len());
    assert_eq!(manifest["request"], request);
    assert_eq!(
        manifest["as_of"]["messages_version"],
        job["messages_version"]
    );
    assert!(manifest["as_of"]["holes"].is_array(), "{manifest}");
    let answer = client.get(&file_of(&job)).ok();
    assert!(
        answer.headers["content-disposition"].starts_with("attachment; filename=\"huicun-search")
    );
    assert_eq!(
        client
            .get_with(&file_of(&job), "Range: bytes=0-1\r\n")
            .bytes,
        b"PK"
    );

    let other = ended(
        &client,
        json!({"what": "report", "format": "csv", "report": "employees"}),
    );
    assert_eq!(other["state"], "done", "{other}");
    let listed = client.all("/v1/exports?limit=1");
    let ids: Vec<&Value> = listed.iter().map(|job| &job["id"]).collect();
    assert_eq!(ids, [&other["id"], &job["id"]]);
}

#[test]
fn the_same_request_at_the_same_version_gives_the_same_bytes_whatever_came_since() {
    let (run, _server, client) = served();
    let requests = [
        json!({"what": "search", "format": "ndjson"}),
        json!({"what": "search", "format": "csv"}),
        json!({"what": "search", "format": "xlsx"}),
        json!({"what": "conversation", "format": "html", "id": "zhang|wmanna"}),
        json!({"what": "conversation", "format": "ndjson", "id": "wmanna|zhang"}),
    ];
    let first: Vec<_> = requests
        .iter()
        .map(|r| fetched(&client, r.clone()))
        .collect();
    import(&run, &hostile());
    for (request, (job, bytes)) in requests.iter().zip(first) {
        let at = |as_of: &Value| {
            let mut request = request.clone();
            request["as_of"] = as_of.clone();
            request
        };
        let (_, again) = fetched(&client, at(&job["messages_version"]));
        let (_, third) = fetched(&client, at(&job["messages_version"]));
        assert!(again == third, "{request}");
        // The request that named no version says so in its manifest; the rows are the same.
        if request["format"] == "csv" {
            assert!(again == bytes, "{request}");
        }
        if request["format"] == "ndjson" {
            assert_eq!(verified(&again).1, verified(&bytes).1, "{request}");
        }
        let (job, newer) = fetched(&client, request.clone());
        assert!(
            newer != bytes,
            "{request}: what came since is missing: {job}"
        );
    }
    let future = json!({"what": "search", "format": "csv", "as_of": 9999});
    assert_eq!(ask(&client, future).problem(), (400, "parameter".into()));
}

#[test]
fn formulas_are_neutralised_and_a_page_runs_nothing() {
    let (run, _server, client) = served();
    import(&run, &hostile());
    let (_, csv) = fetched(
        &client,
        json!({"what": "search", "format": "csv", "q": "HYPERLINK"}),
    );
    let csv = String::from_utf8(csv).unwrap();
    assert!(csv.contains("\"'=HYPERLINK("), "{csv}");
    let (_, book) = fetched(
        &client,
        json!({"what": "search", "format": "xlsx", "q": "HYPERLINK"}),
    );
    let sheet = unzipped(&book)
        .into_iter()
        .find(|(name, _)| name.ends_with("sheet1.xml"));
    let sheet = String::from_utf8(sheet.unwrap().1).unwrap();
    assert!(
        sheet.contains("=HYPERLINK(") && !sheet.contains("<f>"),
        "{sheet}"
    );

    let request = json!({"what": "conversation", "format": "html", "id": "wmanna|zhang"});
    let (_, page) = fetched(&client, request);
    let page = String::from_utf8(page).unwrap();
    assert!(
        !page.contains("<script") && page.contains("&lt;script&gt;"),
        "{page}"
    );
    assert!(
        !page.contains("http://") || page.contains("HYPERLINK(&quot;http://x"),
        "{page}"
    );
    assert!(page.contains("default-src 'none'"));
    assert!(page.contains("此消息已被撤回（撤回消息 recall）"), "{page}");
    let request = json!({"what": "conversation", "format": "ndjson", "id": "wmanna|zhang"});
    let (manifest, rows) = verified(&fetched(&client, request).1);
    let recalled: Vec<&Value> = rows
        .iter()
        .filter(|r| r["recalled_by"] == "recall")
        .collect();
    assert_eq!(recalled.len(), 1);
    assert_eq!(recalled[0]["seq"], 102);
    assert_eq!(manifest["counts"]["recalled"], 1);
}

#[test]
fn an_export_holds_what_its_owner_may_see_and_nobody_else_sees_the_job() {
    let (run, server, client) = served();
    let li = server.client(&run.token("employee:li"));
    let request = json!({"what": "search", "format": "ndjson"});
    let (job, bytes) = fetched(&li, request.clone());
    let seqs: Vec<i64> = verified(&bytes)
        .1
        .iter()
        .map(|r| r["seq"].as_i64().unwrap())
        .collect();
    assert_eq!(seqs, [30, 4, 3]);
    assert!(verified(&fetched(&client, request).1).1.len() > 3);
    // Another's job, even of who sees everything, answers as one that does not exist.
    for path in ["", "/file"] {
        let of = |id: &str| client.get(&format!("/v1/exports/{id}{path}"));
        let (theirs, absent) = (of(job["id"].as_str().unwrap()), of("absent"));
        assert_eq!(theirs.problem(), (404, "not_found".into()));
        let same = absent.body.replace("absent", job["id"].as_str().unwrap());
        let strip = |text: &str| {
            let mut json: Value = serde_json::from_str(text).unwrap();
            json["request_id"] = Value::Null;
            json
        };
        assert_eq!(strip(&theirs.body), strip(&same));
    }
    let cancel = format!("/v1/exports/{}/cancel", job["id"].as_str().unwrap());
    assert_eq!(client.send("POST", &cancel, b"").problem().0, 404);
    assert!(
        client
            .all("/v1/exports?limit=10")
            .iter()
            .all(|other| other["id"] != job["id"])
    );
    // A conversation outside of the scope fails as one that is not there.
    let of = |id: &str| {
        ended(
            &li,
            json!({"what": "conversation", "format": "html", "id": id}),
        )
    };
    let (hidden, absent) = (of("wrroom1"), of("wrroom99"));
    assert_eq!(
        (&hidden["state"], &hidden["reason"]),
        (&json!("failed"), &json!("not_found"))
    );
    let told = absent["detail"]
        .as_str()
        .unwrap()
        .replace("wrroom99", "wrroom1");
    assert_eq!(hidden["detail"], told);
}

#[test]
fn an_export_needs_the_function_of_its_question_too() {
    let (run, server, _client) = served();
    let token = |functions: &[&str]| {
        let mut arguments = vec!["token", "create", "--name", "t"];
        arguments.extend(functions.iter().flat_map(|f| ["--function", f]));
        server.client(run.run(&arguments).ok().stdout.trim())
    };
    let request = || json!({"what": "search", "format": "csv"});
    let alone = ask(&token(&["exports"]), request());
    assert_eq!(alone.problem(), (403, "forbidden".into()));
    assert!(alone.body.contains("messages.search"), "{alone:?}");
    assert_eq!(
        ask(&token(&["messages.search"]), request()).problem().0,
        403
    );
    assert_eq!(
        ask(&token(&["exports", "messages.search"]), request()).status,
        202
    );
}

#[test]
fn what_is_asked_wrongly_is_told_at_once() {
    let (_run, _server, client) = served();
    for (request, word) in [
        (json!({"what": "everything", "format": "csv"}), "what"),
        (json!({"what": "search", "format": "html"}), "format"),
        (
            json!({"what": "search", "format": "csv", "id": "x"}),
            "`id`",
        ),
        (json!({"what": "conversation", "format": "csv"}), "`id`"),
        (
            json!({"what": "search", "format": "csv", "from": "yesterday"}),
            "yesterday",
        ),
        (
            json!({"what": "search", "format": "csv", "colour": "red"}),
            "colour",
        ),
        (
            json!({"what": "report", "format": "csv", "report": "cats"}),
            "cats",
        ),
        (json!([1]), "request"),
    ] {
        let answer = ask(&client, request);
        assert_eq!(answer.problem(), (400, "parameter".into()));
        assert!(answer.body.contains(word), "{word}: {answer:?}");
    }
    assert!(client.get("/v1/exports").ok().items().is_empty());
}

#[test]
fn a_queued_export_is_cancelled_and_one_of_a_revoked_token_fails() {
    let run = company();
    let own = run.token("employee:li");
    // Whoever holds the lock makes exports; here nobody does.
    let home = Home::open(&run.data()).unwrap();
    let held = home.lock_exports("a test").unwrap();
    let server = run.serve("serve");
    let (client, li) = (server.client(&run.token("all")), server.client(&own));
    let queue = |client: &Client| {
        let job = ask(client, json!({"what": "search", "format": "csv"})).json();
        assert_eq!(job["state"], "queued");
        job["id"].as_str().unwrap().to_string()
    };
    let (cancelled, revoked) = (queue(&client), queue(&li));
    let cancel = format!("/v1/exports/{cancelled}/cancel");
    let answer = client.send("POST", &cancel, b"").ok();
    assert_eq!(answer.json()["state"], "cancelled");
    let state = State::open(&home.state()).unwrap();
    let job = || state.export(&revoked).unwrap().unwrap();
    run.run(&["token", "revoke", &job().owner.id]).ok();
    drop(held);
    wait_until(PATIENCE, "the failure of an export", || {
        job().state == "failed" && job().reason.as_deref() == Some("caller_gone")
    });
    assert_eq!(li.get("/v1/exports").status, 401);
    let job = end_of(&client, &cancelled);
    assert_eq!(
        (&job["state"], &job["bytes"]),
        (&json!("cancelled"), &Value::Null)
    );
    let file = client.get(&file_of(&job));
    assert_eq!(file.problem(), (409, "export_not_done".into()));
}

#[test]
fn what_was_running_at_a_kill_is_made_after_it_and_leaves_nothing_behind() {
    let run = company();
    let token = run.token("all");
    let home = Home::open(&run.data()).unwrap();
    let state = State::open(&home.state()).unwrap();
    let owner = Owner {
        kind: "token".into(),
        id: state.tokens().unwrap()[0].id.clone(),
        name: "test".into(),
        employee: None,
        roles: None,
    };
    let new = NewExport {
        owner: &owner,
        what: "search",
        format: "csv",
        request: r#"{"what":"search","format":"csv"}"#,
        messages_version: 1,
        file_name: "a.csv",
    };
    // As a kill leaves it: running, with half a file.
    let job = state.create_export(&new, 9, AT).unwrap().unwrap();
    state.begin_export(AT).unwrap().unwrap();
    std::fs::create_dir_all(home.exports()).unwrap();
    let part = home.exports().join(format!("{}.part", job.id));
    std::fs::write(&part, b"half").unwrap();
    let mut server = run.serve("serve");
    let done = end_of(&server.client(&token), &job.id);
    assert_eq!(done["state"], "done", "{done}");
    assert!(!part.exists());

    // And in earnest: many jobs, kills in the middle.
    let mut ids = Vec::new();
    for _ in 0..3 {
        let client = server.client(&token);
        for _ in 0..5 {
            let request = json!({"what": "search", "format": "xlsx"});
            ids.push(
                ask(&client, request).json()["id"]
                    .as_str()
                    .unwrap()
                    .to_string(),
            );
        }
        server.running.kill();
        server = run.serve("serve");
    }
    let client = server.client(&token);
    let mut contents: Vec<Vec<u8>> = ids
        .iter()
        .map(|id| client.get(&file_of(&end_of(&client, id))).ok().bytes)
        .collect();
    contents.dedup();
    assert_eq!(contents.len(), 1, "the same export is the same file");
    let left = std::fs::read_dir(home.exports()).unwrap().count();
    assert_eq!(left, ids.len() + 1);
}

#[test]
fn a_file_is_gone_after_seven_days() {
    let (run, server, client) = served();
    let (job, _) = fetched(&client, json!({"what": "search", "format": "csv"}));
    let home = Home::open(&run.data()).unwrap();
    assert_eq!(std::fs::read_dir(home.exports()).unwrap().count(), 1);
    let state = State::open(&home.state()).unwrap();
    let now = chrono_now();
    state.expire_exports(now + KEEP_FILE_MS + 1).unwrap();
    assert_eq!(
        client.get(&file_of(&job)).problem(),
        (410, "export_expired".into())
    );
    let shown = client
        .get(&format!("/v1/exports/{}", job["id"].as_str().unwrap()))
        .ok();
    assert_eq!(shown.json()["state"], "expired");
    drop(server);
    let _server = run.serve("serve");
    wait_until(PATIENCE, "the file to be deleted", || {
        std::fs::read_dir(home.exports()).unwrap().count() == 0
    });
}

fn chrono_now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(since.unwrap().as_millis()).unwrap()
}

#[test]
fn making_and_fetching_an_export_are_in_the_audit_log() {
    let (run, _server, client) = served();
    let (job, _) = fetched(
        &client,
        json!({"what": "search", "format": "csv", "q": "退款"}),
    );
    let rows = run.run(&["audit", "--function", "exports"]).ok().rows();
    let of = |method: &str, route: &str| {
        let mut found = rows
            .iter()
            .filter(|r| r["method"] == method && r["route"] == route);
        found
            .next()
            .unwrap_or_else(|| panic!("no {method} {route} in {rows:?}"))
            .clone()
    };
    let (made, got) = (
        of("job", "export search"),
        of("GET", "/v1/exports/{id}/file"),
    );
    for entry in [&made, &got] {
        assert_eq!(entry["n_rows"], job["rows"], "{entry}");
        assert!(
            entry["body"]
                .as_str()
                .unwrap()
                .contains(job["sha256"].as_str().unwrap())
        );
    }
    assert!(
        of("POST", "/v1/exports")["body"]
            .as_str()
            .unwrap()
            .contains("退款")
    );
}

#[test]
fn a_zip_holds_every_file_once_under_a_safe_name_and_names_the_missing_ones() {
    let run = Installation::new();
    let mut studio = Studio::new(&run);
    let names = [
        "../../etc/passwd",
        "C:\\windows\\evil.exe",
        "a\r\nSet-Cookie: x.txt",
        "=cmd|'/C calc'!A0.txt",
        "same.txt",
        "same.txt",
        "\u{202e}fdp.exe",
        "CON",
    ];
    for (n, name) in names.iter().enumerate() {
        let (id, content) = (format!("f{n}"), format!("content {n}"));
        studio.has(&id, content.as_bytes());
        let file = json!({"sdkfileid": id, "filename": name, "filesize": content.len()});
        studio.says("zhang", "wmanna", json!({"msgtype": "file", "file": file}));
    }
    let file = json!({"sdkfileid": "f0", "filename": "forwarded.txt", "filesize": 9});
    studio.says("wang", "wmanna", json!({"msgtype": "file", "file": file}));
    let lost = json!({"sdkfileid": "gone", "filename": "lost.txt", "filesize": 9});
    studio.says("wang", "wmbert", json!({"msgtype": "file", "file": lost}));
    studio.done();
    let gone = json!([{"call": "GetMediaData", "file": "gone", "action": {"code": 10010}}]);
    faults(&run, gone);
    run.configure(QUICK);
    run.run(&["pull", "--once"]).ok();
    run.run(&["media", "fetch"]).ok();
    let path = run.path("all.zip");
    let export = |query: &str, path: &std::path::Path| {
        let arguments = ["export", "media", query, "-o", path.to_str().unwrap()];
        run.run(&arguments).ok();
        std::fs::read(path).unwrap()
    };
    let bytes = export("", &path);
    let (manifest, _) = verified(&bytes);
    assert_eq!(
        manifest["counts"],
        json!({"rows": 10, "media": {"stored": 9, "lost": 1}})
    );
    let files = unzipped(&bytes);
    let mut packed: Vec<&(String, Vec<u8>)> = files
        .iter()
        .filter(|(name, _)| name.starts_with("files/"))
        .collect();
    assert_eq!(
        packed.len(),
        names.len(),
        "the forwarded file is in it once"
    );
    for (name, _) in &packed {
        let last = name.strip_prefix("files/").unwrap();
        let is_odd = |c: char| c.is_control() || "/\\:*?\"<>|\u{202e}".contains(c);
        assert!(!last.contains(is_odd) && !last.contains(".."), "{name}");
    }
    packed.sort();
    packed.dedup_by_key(|(name, _)| name.clone());
    assert_eq!(packed.len(), names.len());
    let table = &files
        .iter()
        .find(|(name, _)| name == "files.csv")
        .unwrap()
        .1;
    let table = String::from_utf8(table.clone()).unwrap();
    assert!(table.contains("lost,sdk_10010"), "{table}");
    assert!(table.contains("'=cmd|"), "{table}");
    assert!(
        export("", &path) == bytes,
        "the same export is the same file"
    );
    // By who sent it, and the table alone.
    let csv = export("from:wang", &run.path("some.csv"));
    assert_eq!(String::from_utf8(csv).unwrap().lines().count(), 3);

    // One byte of a stored file turned: it is said, and the others are there.
    let store = run.data().join("media");
    let hash = sha256(b"content 3");
    let victim = walk(&store)
        .into_iter()
        .find(|p| p.ends_with(&hash))
        .unwrap();
    std::fs::write(&victim, b"content X").unwrap();
    let (manifest, _) = verified(&export("", &path));
    assert_eq!(
        manifest["counts"]["media"],
        json!({"stored": 8, "damaged": 1, "lost": 1})
    );

    // Over HTTP the same, for those whose messages one sees.
    let server = run.serve("serve");
    let request = json!({"what": "media", "format": "zip"});
    let all = fetched(&server.client(&run.token("all")), request.clone()).1;
    assert_eq!(verified(&all).0["counts"], manifest["counts"]);
    let nobody = fetched(&server.client(&run.token("employee:li")), request).1;
    assert_eq!(verified(&nobody).0["counts"]["rows"], 0);
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path());
    entries
        .flat_map(|path| match path.is_dir() {
            true => walk(&path),
            false => vec![path],
        })
        .collect()
}

#[test]
fn the_command_line_makes_the_same_file_as_the_server() {
    let (run, _server, client) = served();
    import(&run, &hostile());
    for (arguments, file, request) in [
        (
            vec!["conversation", "zhang|wmanna"],
            "a.html",
            json!({"what": "conversation", "format": "html", "id": "zhang|wmanna"}),
        ),
        (
            vec!["search", "退款", "--from", "2024-10-01"],
            "a.zip",
            json!({"what": "search", "format": "ndjson", "q": "退款", "from": "2024-10-01"}),
        ),
        (
            vec!["search", ""],
            "a.xlsx",
            json!({"what": "search", "format": "xlsx"}),
        ),
    ] {
        let path = run.path(file);
        let all = [&["export"], &arguments[..], &["-o", path.to_str().unwrap()]].concat();
        run.run(&all).ok();
        let made = std::fs::read(&path).unwrap();
        assert!(made == fetched(&client, request).1, "{arguments:?}");
    }
    // A failure leaves what was there.
    let path = run.path("a.html");
    let before = std::fs::read(&path).unwrap();
    let ran = run.run(&[
        "export",
        "conversation",
        "absent",
        "-o",
        path.to_str().unwrap(),
    ]);
    assert_eq!(ran.status, 1, "{}", ran.stderr);
    assert!(
        ran.stderr.contains("no conversation `absent`"),
        "{}",
        ran.stderr
    );
    assert!(std::fs::read(&path).unwrap() == before);
    let ran = run.run(&["export", "search", "x", "-o", "a.html"]);
    assert_eq!(ran.status, 2, "{}", ran.stderr);
    let rows = run.run(&["audit", "--function", "exports"]).ok().rows();
    assert!(
        rows.iter()
            .any(|r| r["method"] == "cli" && r["route"] == "export")
    );
}

#[test]
fn an_export_of_several_batches_holds_every_message_once_and_in_order() {
    const N: u64 = 20_003;
    let run = Installation::new();
    // Ten messages share each millisecond, across the edges of batches too.
    let lines: String = (1..=N)
        .map(|n| text_line(n, "wmanna", "zhang", AT + (n / 10) as i64, "您好"))
        .collect();
    import(&run, &lines);
    let path = run.path("a.zip");
    let path = path.to_str().unwrap();
    run.run(&["export", "conversation", "wmanna|zhang", "-o", path])
        .ok();
    let (manifest, rows) = verified(&std::fs::read(path).unwrap());
    assert_eq!(manifest["counts"]["rows"], N);
    let seqs = rows.iter().map(|row| row["seq"].as_u64().unwrap());
    assert!(seqs.eq(1..=N));
}
