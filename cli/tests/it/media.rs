//! Files of messages from the tape to the browser: every way in which they can fail, kills in the
//! middle, bounds, and who may read them (reliability F31).

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use huicun_tape::{Keys, TapeOptions, TapeWriter};
use md5::{Digest, Md5};
use serde_json::{Value, json};

use crate::support::{Client, Installation, wait_until};

/// Long ago: WeCom's five days are over, so that what fails is given up soon.
const AT: i64 = 1_727_712_000_000;
/// One lane: the simulator's counters, by which faults come once, are not made for two processes.
pub const QUICK: &str =
    "[media]\nretry_wait_ms = 1\nattempts_max = 3\ndisk_free_bytes_min = 0\nparallel = 1\n";
const CHUNK: usize = 524_288;

fn bytes(n_bytes: usize, seed: u8) -> Vec<u8> {
    (0..n_bytes).map(|n| (n % 251) as u8 ^ seed).collect()
}

fn md5_hex(bytes: &[u8]) -> String {
    Md5::digest(bytes)
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect()
}

/// A tape in the making.
pub struct Studio {
    writer: TapeWriter,
    n_messages: u64,
}

impl Studio {
    pub fn new(run: &Installation) -> Self {
        let options = TapeOptions {
            corpid: "wwtape".into(),
            secret: "tape-secret".into(),
            keys: Keys::Generate { versions: 2 },
            keys_dir: None,
            records_per_file: 1000,
        };
        Self {
            writer: TapeWriter::create(run.tape(), options).unwrap(),
            n_messages: 0,
        }
    }

    /// A message between an employee and a customer; its id is `m` and its number.
    pub fn says(&mut self, from: &str, to: &str, body: Value) -> u64 {
        self.n_messages += 1;
        let seq = self.n_messages;
        let mut message = json!({
            "msgid": format!("m{seq}"), "action": "send", "from": from, "tolist": [to],
            "roomid": "", "msgtime": AT + seq as i64 * 1000,
        });
        let fields = message.as_object_mut().unwrap();
        fields.extend(body.as_object().unwrap().clone());
        let version = 1 + (seq % 2) as u32;
        self.writer
            .append(seq, version, message.to_string().as_bytes())
            .unwrap();
        seq
    }

    /// A message with a file that is as it says.
    pub fn file(&mut self, id: &str, content: &[u8]) -> u64 {
        self.has(id, content);
        let file = json!({"sdkfileid": id, "filename": format!("{id}.bin"), "fileext": "bin",
            "filesize": content.len(), "md5sum": md5_hex(content)});
        self.says("zhang", "wmanna", json!({"msgtype": "file", "file": file}))
    }

    pub fn has(&mut self, id: &str, content: &[u8]) {
        self.writer.add_media(id, content).unwrap();
    }

    pub fn done(self) {
        self.writer.finish().unwrap();
    }
}

pub fn faults(run: &Installation, rules: Value) {
    let text = json!({"persist_counters": true, "rules": rules}).to_string();
    std::fs::write(run.tape().join("faults.json"), text).unwrap();
}

/// Files by message and item: status, or the reason of a lost one, and flags.
fn listed(run: &Installation) -> BTreeMap<String, String> {
    let rows = run.run(&["media", "list", "--limit", "0"]).ok().rows();
    let told = |row: &Value| {
        let text = |key: &str| row[key].as_str().unwrap_or_default().to_string();
        let what = match row["status"].as_str().unwrap() {
            "lost" => text("reason"),
            status => status.to_string() + &text("flags"),
        };
        (format!("{}.{}", text("msgid"), row["item"]), what)
    };
    rows.iter().map(told).collect()
}

fn got(run: &Installation, msgid: &str, more: &[&str]) -> Vec<u8> {
    let path = run.path("got");
    let mut arguments = vec!["media", "get", msgid, "-o", path.to_str().unwrap()];
    arguments.extend(more);
    run.run(&arguments).ok();
    std::fs::read(path).unwrap()
}

/// Whole files in the store.
fn n_stored(run: &Installation) -> usize {
    let is_content = |path: &PathBuf| path.file_name().unwrap().len() == 64;
    let paths = run.contents().into_keys();
    paths.filter(is_content).count()
}

#[test]
fn every_file_ends_stored_or_lost_with_its_reason() {
    let run = Installation::new();
    let mut studio = Studio::new(&run);
    let large = bytes(2 * CHUNK + 77, 1);
    studio.file("large", &large);
    studio.file("again", b"the same bytes");
    studio.file("twin", b"the same bytes");
    studio.file("empty", b"");
    studio.file("once-noise", &bytes(700, 2));
    studio.file("once-10002", &bytes(700, 3));
    studio.file("expired", b"x");
    studio.file("crashing", b"x");
    let name = |id: &str, size: u64, md5: &str| json!({"sdkfileid": id, "filesize": size, "md5sum": md5, "filename": "报价.docx"});
    studio.has("other", b"not what it says");
    let other = name("other", 16, &"0".repeat(32));
    studio.says("zhang", "wmanna", json!({"msgtype": "file", "file": other}));
    studio.has("longer", b"longer than it says");
    let longer = name("longer", 5, "");
    studio.says(
        "zhang",
        "wmanna",
        json!({"msgtype": "file", "file": longer}),
    );
    let unknown = name("unknown", 5, "");
    studio.says(
        "zhang",
        "wmanna",
        json!({"msgtype": "file", "file": unknown}),
    );
    // 12: items, one of them forwarded from the first message, one within a record within.
    studio.has("nested", b"\xff\xd8\xff nested");
    let item = |kind: &str, content: Value| json!({"type": kind, "content": content.to_string()});
    let inner = json!({"title": "t", "item": [item("ChatRecordImage",
        json!({"sdkfileid": "nested", "md5sum": md5_hex(b"\xff\xd8\xff nested"), "filesize": 10}))]});
    let record = json!({"title": "t", "item": [
        item("ChatRecordText", json!({"content": "a"})),
        item("ChatRecordFile", name("large", large.len() as u64, &md5_hex(&large).to_uppercase())),
        item("chatrecord", inner),
    ]});
    studio.says(
        "zhang",
        "wmanna",
        json!({"msgtype": "chatrecord", "chatrecord": record}),
    );
    studio.says(
        "zhang",
        "wmanna",
        json!({"msgtype": "text", "text": {"content": "no file"}}),
    );
    studio.done();
    faults(
        &run,
        json!([
            {"call": "GetMediaData", "file": "once-noise", "times": 1, "action": "garbage"},
            {"call": "GetMediaData", "file": "once-10002", "times": 1, "action": {"code": 10002}},
            {"call": "GetMediaData", "file": "expired", "action": {"code": 10010}},
            {"call": "GetMediaData", "file": "crashing", "action": {"crash": "segv"}},
        ]),
    );
    run.configure(QUICK);
    run.run(&["pull", "--once"]).ok();
    let summary = run.run(&["media", "fetch"]).ok().rows().remove(0);
    let expected = [
        ("m1.0", "stored"),
        ("m2.0", "stored"),
        ("m3.0", "stored"),
        ("m4.0", "stored"),
        ("m5.0", "stored"),
        ("m6.0", "stored"),
        ("m7.0", "sdk_10010"),
        ("m8.0", "sdk_crash"),
        ("m9.0", "storedmd5_mismatch"),
        ("m10.0", "storedsize_mismatch"),
        ("m11.0", "sdk_10005"),
        ("m12.1", "stored"),
        ("m12.2", "stored"),
    ];
    let expected: BTreeMap<String, String> = expected
        .map(|(id, what)| (id.to_string(), what.to_string()))
        .into();
    assert_eq!(listed(&run), expected);
    let told = ["stored", "lost", "left"].map(|key| summary[key].as_u64().unwrap());
    assert_eq!(told, [9, 3, 0]);
    assert_eq!(n_stored(&run), 8, "two of nine files have the same bytes");
    assert!(got(&run, "m1", &[]) == large);
    assert_eq!(got(&run, "m4", &[]), b"");
    assert_eq!(got(&run, "m12", &["--item", "2"]), b"\xff\xd8\xff nested");
    assert!(got(&run, "m12", &["--item", "1"]) == large);
    let lost = run.run(&["media", "get", "m7", "-o", "x"]);
    assert!(
        lost.status == 1 && lost.stderr.contains("sdk_10010"),
        "{}",
        lost.stderr
    );

    // What crashed may work later, with another library.
    faults(&run, json!([]));
    let retry = run
        .run(&["media", "retry", "--status", "lost", "--msgid", "m8"])
        .ok();
    assert!(retry.stderr.starts_with("1 files"), "{}", retry.stderr);
    run.run(&["media", "fetch"]).ok();
    assert_eq!(listed(&run)["m8.0"], "stored");

    // The database is derived: what is in the store is known again without WeCom.
    let before = listed(&run);
    for name in ["media.db", "media.db-wal", "media.db-shm"] {
        let _ = std::fs::remove_file(run.data().join(name));
    }
    faults(
        &run,
        json!([{"call": "GetMediaData", "action": {"code": 10010}}]),
    );
    run.run(&["media", "fetch"]).ok();
    let mut after = before.clone();
    after.insert("m11.0".into(), "sdk_10010".into());
    assert_eq!(listed(&run), after);
}

#[test]
fn kills_in_the_middle_cost_chunks_and_never_a_byte() {
    const N_KILLS: u32 = 12;
    let run = Installation::new();
    let mut studio = Studio::new(&run);
    let contents: Vec<Vec<u8>> = (0..3).map(|n| bytes(20 * CHUNK + 5, n + 7)).collect();
    for (n, content) in contents.iter().enumerate() {
        studio.file(&format!("large{n}"), content);
    }
    studio.done();
    faults(
        &run,
        json!([{"call": "GetMediaData", "action": {"delay_ms": 4}}]),
    );
    run.configure(QUICK);
    run.run(&["pull", "--once"]).ok();
    let mut n_kills = 0;
    for kill in 0..N_KILLS {
        let mut fetch = run.start(&["media", "fetch"]);
        std::thread::sleep(Duration::from_millis(60 + u64::from(kill) * 37 % 200));
        n_kills += u32::from(fetch.kill());
    }
    run.run(&["media", "fetch"]).ok();
    assert!(n_kills >= 3, "only {n_kills} kills hit");
    for (n, content) in contents.iter().enumerate() {
        assert!(
            got(&run, &format!("m{}", n + 1), &[]) == *content,
            "file {n}"
        );
    }
    assert_eq!(n_stored(&run), 3);
    let partial = run.data().join("media/partial");
    assert_eq!(std::fs::read_dir(partial).unwrap().count(), 0);
    // Resumed, not begun again: a kill costs the chunk that was under way, or a last one again.
    let counters = std::fs::read_to_string(run.tape().join("faults.counters")).unwrap();
    let counters: Value = serde_json::from_str(&counters).unwrap();
    let n_calls = counters["calls"][3].as_u64().unwrap();
    println!("{n_kills} kills, {n_calls} calls for 63 chunks");
    assert!(
        n_calls <= 63 + 2 * u64::from(N_KILLS) + 21,
        "{n_calls} calls"
    );
}

#[test]
fn many_files_with_faults_at_one_call_in_ten_all_come_right() {
    let n_files = match is_full() {
        true => 5_000,
        false => 150,
    };
    let run = Installation::new();
    let mut studio = Studio::new(&run);
    let content = |n: usize| {
        bytes(
            match n % 25 {
                0 => CHUNK + n,
                _ => n * 13 % 3_000,
            },
            n as u8,
        )
    };
    for n in 0..n_files {
        studio.file(&format!("f{n}"), &content(n));
    }
    studio.done();
    let at_times =
        |code: Value| json!({"call": "GetMediaData", "probability": 0.02, "action": code});
    faults(
        &run,
        json!([
            at_times(json!({"code": 10001})),
            at_times(json!({"code": 10002})),
            at_times(json!({"code": 10003})),
            at_times(json!("garbage")),
            at_times(json!("truncated")),
            {"call": "GetMediaData", "probability": 0.005, "action": {"crash": "abort"}},
        ]),
    );
    run.configure(
        "[media]\nretry_wait_ms = 1\nattempts_max = 50\ndisk_free_bytes_min = 0\nparallel = 3\n",
    );
    run.run(&["pull", "--once"]).ok();
    for kill in 0..(n_files / 50) as u64 {
        let mut fetch = run.start(&["media", "fetch"]);
        std::thread::sleep(Duration::from_millis(100 + kill * 53 % 300));
        fetch.kill();
    }
    run.run(&["media", "fetch"]).ok();
    let states = listed(&run);
    let wrong: Vec<_> = states
        .iter()
        .filter(|(_, what)| *what != "stored")
        .collect();
    assert!(states.len() == n_files && wrong.is_empty(), "{wrong:?}");
    let step = 1.max(n_files / 20);
    for n in (0..n_files).step_by(step) {
        assert!(
            got(&run, &format!("m{}", n + 1), &[]) == content(n),
            "file {n}"
        );
    }
}

/// `make faults` asks for the full counts.
fn is_full() -> bool {
    std::env::var("HUICUN_FAULTS").is_ok_and(|form| form == "full")
}

/// Runs `media fetch` under strace, with a fault at the n-th call of some kind (counted for each
/// thread); whether it came to its end all the same.
fn fetch_with_fault(run: &Installation, calls: &str, fault: &str, n: u32) -> bool {
    let status = std::process::Command::new("timeout")
        .args(["120", "strace", "-f", "-qq", "-o", "/dev/null"])
        .args(["-e", &format!("trace={calls}")])
        .args(["-e", &format!("inject={calls}:{fault}:when={n}")])
        .arg(env!("CARGO_BIN_EXE_huicun"))
        .arg("--data")
        .arg(run.data())
        .arg("--config")
        .arg(run.path("huicun.toml"))
        .args(["media", "fetch"])
        .env("FINANCE_SDK_TAPE", run.tape())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status();
    status.unwrap().success()
}

#[test]
fn a_kill_or_an_error_at_any_write_is_made_good_by_the_next_fetch() {
    const RENAMES: &str = "rename,renameat,renameat2";
    let strace = std::process::Command::new("strace").arg("-V").output();
    if strace.is_err() {
        println!("skipped: strace is not installed");
        return;
    }
    let run = Installation::new();
    let mut studio = Studio::new(&run);
    let contents = [bytes(2 * CHUNK + 9, 1), bytes(700, 2), bytes(CHUNK + 1, 3)];
    for (n, content) in contents.iter().enumerate() {
        studio.file(&format!("f{n}"), content);
    }
    studio.done();
    run.configure(QUICK);
    run.run(&["pull", "--once"]).ok();
    let before = run.path("before");
    let copy = |from: &PathBuf, to: &PathBuf| {
        let _ = std::fs::remove_dir_all(to);
        let copied = std::process::Command::new("cp")
            .arg("-r")
            .args([from, to])
            .status();
        assert!(copied.unwrap().success());
    };
    copy(&run.data(), &before);
    let some = [
        ("pwrite64", "signal=KILL", vec![2, 6]),
        ("fsync", "signal=KILL", vec![3]),
        ("fdatasync", "signal=KILL", vec![2]),
        (RENAMES, "signal=KILL", vec![1]),
        ("write", "signal=KILL", vec![4]),
        ("pwrite64", "error=ENOSPC", vec![2]),
        ("fdatasync", "error=EIO", vec![1]),
    ];
    let every = [
        "pwrite64",
        "fsync",
        "fdatasync",
        RENAMES,
        "ftruncate",
        "write",
        "unlink",
    ];
    let faults = ["signal=KILL", "error=EIO", "error=ENOSPC"];
    // A plain `write` is to a pipe or wakes a thread: without it the runtime cannot go on at all.
    let is_of_files = |calls: &str, fault: &str| calls != "write" || fault == "signal=KILL";
    let all = every
        .iter()
        .flat_map(|calls| faults.map(|fault| (*calls, fault, (1..40).collect())))
        .filter(|(calls, fault, _)| is_of_files(calls, fault));
    let cases: Vec<(&str, &str, Vec<u32>)> = match is_full() {
        true => all.collect(),
        false => some.into(),
    };
    let mut n_faults = 0;
    for (calls, fault, moments) in cases {
        for n in moments {
            copy(&before, &run.data());
            if fetch_with_fault(&run, calls, fault, n) && fault.starts_with("signal") {
                // It made fewer calls than that.
                break;
            }
            n_faults += 1;
            run.run(&["media", "fetch"]).ok();
            for (number, content) in contents.iter().enumerate() {
                let found = got(&run, &format!("m{}", number + 1), &[]);
                assert!(
                    found == *content,
                    "file {number} after {fault} at {calls} {n}"
                );
            }
            assert_eq!(n_stored(&run), 3, "{fault} at {calls} {n}");
            let partial = std::fs::read_dir(run.data().join("media/partial")).unwrap();
            assert_eq!(partial.count(), 0, "{fault} at {calls} {n}");
        }
    }
    println!("{n_faults} faults at writes");
}

#[test]
fn at_the_bound_of_disk_it_pauses_and_goes_on_when_there_is_room() {
    let run = Installation::new();
    let mut studio = Studio::new(&run);
    for n in 0..3 {
        studio.file(&format!("f{n}"), &bytes(400_000, n));
    }
    studio.done();
    run.configure(&format!("{QUICK}disk_bytes_max = 900000\n"));
    run.run(&["pull", "--once"]).ok();
    let refused = run.run(&["media", "fetch"]);
    assert_eq!(refused.status, 1);
    assert!(
        refused.stderr.contains("disk_bytes_max"),
        "{}",
        refused.stderr
    );
    assert_eq!(n_stored(&run), 2);
    run.configure(QUICK);
    run.run(&["media", "fetch"]).ok();
    assert_eq!(n_stored(&run), 3);
}

#[test]
fn run_fetches_by_the_way_and_says_what_keeps_it() {
    let run = Installation::new();
    let mut studio = Studio::new(&run);
    studio.file("a", &bytes(600_000, 1));
    studio.file("b", &bytes(600_000, 2));
    studio.done();
    run.configure(&format!("{QUICK}disk_bytes_max = 700000\n"));
    let token = run.token("all");
    let mut server = run.serve("run");
    let paused = || {
        let rows = run.run(&["media", "status"]).ok().rows();
        rows.iter().any(|row| {
            row["paused"]
                .as_str()
                .is_some_and(|why| why.starts_with("disk_bytes_max"))
        })
    };
    wait_until(Duration::from_secs(60), "the pause", paused);
    let client = server.client(&token);
    assert_eq!(client.get("/v1/media/m1").status, 200);
    assert_eq!(
        client.get("/v1/media/m2").problem(),
        (409, "media_pending".into())
    );
    let second = run.run(&["media", "fetch"]);
    assert!(
        second.status == 1 && second.stderr.contains("in use"),
        "{}",
        second.stderr
    );
    server.running.terminate();
    assert!(server.running.wait(Duration::from_secs(20)).success());
}

/// A company whose two employees got a file each, all of them fetched as far as they can be.
fn company() -> Installation {
    let run = Installation::new();
    let mut studio = Studio::new(&run);
    studio.has("pdf", b"%PDF-1.4 secret");
    let pdf = json!({"sdkfileid": "pdf", "filename": "合同 1.pdf", "filesize": 15});
    studio.says("wmanna", "zhang", json!({"msgtype": "file", "file": pdf}));
    studio.has("page", b"<html><script>alert(1)</script>");
    let page = json!({"sdkfileid": "page", "filename": "a.html", "filesize": 31});
    studio.says("wmbert", "li", json!({"msgtype": "file", "file": page}));
    studio.has("voice", b"#!AMR\n\x7c\x7c");
    let voice = json!({"sdkfileid": "voice", "voice_size": 8, "play_length": 1});
    studio.says(
        "wmanna",
        "zhang",
        json!({"msgtype": "voice", "voice": voice}),
    );
    for id in ["gone", "waiting"] {
        let file = json!({"sdkfileid": id, "filename": id, "filesize": 9});
        studio.says("wmanna", "zhang", json!({"msgtype": "file", "file": file}));
    }
    studio.has("waiting", b"x");
    studio.done();
    faults(
        &run,
        json!([{"call": "GetMediaData", "file": "waiting", "action": {"code": 10001}}]),
    );
    run.configure("[media]\nretry_wait_ms = 1\nattempts_max = 1000\ndisk_free_bytes_min = 0\nffmpeg = \"./ff.sh\"\n");
    run.write(
        "directory/employees.csv",
        "userid,name,departments\nzhang,张三,1\nli,李四,2\n",
    );
    run.write(
        "directory/departments.csv",
        "id,name,parent_id\n1,甲,\n2,乙,\n",
    );
    let directory = run.path("directory");
    run.run(&["import", "directory", directory.to_str().unwrap()])
        .ok();
    run.run(&["pull", "--once"]).ok();
    // Twice: what WeCom does not have is asked for a second time.
    for _ in 0..2 {
        run.run(&["media", "fetch", "--once"]).ok();
    }
    run
}

#[test]
fn a_file_is_handed_out_safely_and_in_ranges() {
    let run = company();
    let token = run.token("all");
    let server = run.serve("serve");
    let client = server.client(&token);
    let answer = client.get("/v1/media/m1").ok();
    assert_eq!(answer.bytes, b"%PDF-1.4 secret");
    let header = |name: &str| answer.headers[name].as_str();
    assert_eq!(header("content-type"), "application/pdf");
    assert_eq!(header("x-content-type-options"), "nosniff");
    assert!(header("content-disposition").ends_with("filename*=UTF-8''%E5%90%88%E5%90%8C%201.pdf"));
    assert!(header("content-disposition").starts_with("attachment"));
    let page = client.get("/v1/media/m2").ok();
    assert_eq!(page.headers["content-type"], "application/octet-stream");

    let part = client.get_with("/v1/media/m1", "Range: bytes=1-3\r\n");
    assert_eq!((part.status, &part.bytes[..]), (206, &b"PDF"[..]));
    assert_eq!(part.headers["content-range"], "bytes 1-3/15");
    let tail = client.get_with(
        "/v1/media/m1",
        "Range: bytes=-6\r\nAccept-Encoding: gzip\r\n",
    );
    assert_eq!((tail.status, &tail.bytes[..]), (206, &b"secret"[..]));
    let beyond = client.get_with("/v1/media/m1", "Range: bytes=15-\r\n");
    assert_eq!(beyond.problem(), (416, "range_not_satisfiable".into()));
    assert_eq!(beyond.headers["content-range"], "bytes */15");
    let tag = header("etag");
    let known = client.get_with("/v1/media/m1", &format!("If-None-Match: {tag}\r\n"));
    assert_eq!((known.status, known.bytes.len()), (304, 0));
    let stale = client.get_with(
        "/v1/media/m1",
        "Range: bytes=1-3\r\nIf-Range: \"other\"\r\n",
    );
    assert_eq!((stale.status, stale.bytes.len()), (200, 15));

    assert_eq!(
        client.get("/v1/media/m4").problem(),
        (410, "media_lost".into())
    );
    assert_eq!(
        client.get("/v1/media/m5").problem(),
        (409, "media_pending".into())
    );
    assert_eq!(
        client.get("/v1/media/m1?item=7").problem(),
        (404, "not_found".into())
    );
    assert_eq!(
        client.get("/v1/media/m1?as=exe").problem(),
        (400, "parameter".into())
    );
    assert_eq!(
        client.get("/v1/media/m1?size=1").problem(),
        (400, "parameter".into())
    );
    let lost = client.get("/v1/media?status=lost").items();
    assert_eq!((lost.len(), &lost[0]["reason"]), (1, &json!("sdk_10005")));
    assert_eq!(client.all("/v1/media?limit=2").len(), 5);
}

#[test]
fn files_are_listed_by_day_type_kind_and_sender() {
    let run = company();
    let token = run.token("all");
    let server = run.serve("serve");
    let client = server.client(&token);
    let ids = |filter: &str| -> Vec<String> {
        let rows = client.all(&format!("/v1/media?limit=2&{filter}"));
        let ids = rows.iter().map(|row| row["msgid"].as_str().unwrap());
        ids.map(String::from).collect()
    };
    assert_eq!(ids("type=voice"), ["m3"]);
    assert_eq!(ids("type=voice&type=file"), ["m5", "m4", "m3", "m2", "m1"]);
    assert_eq!(ids("sender=wmbert"), ["m2"]);
    assert_eq!(ids("sender=wmbert&sender=wmanna&type=voice"), ["m3"]);
    assert_eq!(ids("sender=zhang"), [""; 0]);
    assert_eq!(ids("kind=single_external&status=lost"), ["m4"]);
    assert_eq!(ids("kind=group_external"), [""; 0]);
    assert_eq!(ids("from=2024-10-01&to=2024-10-01").len(), 5);
    assert_eq!(ids("to=2024-09-30"), [""; 0]);
    let row = client.get("/v1/media?sender=wmbert").ok().items().remove(0);
    assert_eq!(row["conversation"], "li|wmbert");
    assert_eq!(
        (&row["from"], &row["kind"]),
        (&json!("wmbert"), &json!("single_external"))
    );
    let both = client.get("/v1/media?msgid=m1&type=file");
    assert_eq!(both.problem(), (400, "parameter".into()));
    let arguments = ["media", "list", "--sender", "wmbert", "--format", "csv"];
    let csv = run.run(&arguments).ok().stdout;
    assert_eq!(csv.lines().count(), 2, "{csv}");
    assert!(
        csv.lines()
            .next()
            .unwrap()
            .ends_with(",conversation,kind,from")
    );
}

/// Everything that a caller can see of an answer.
fn seen(client: &Client, path: &str) -> (u16, String) {
    let answer = client.get(path);
    (answer.status, answer.body)
}

#[test]
fn a_file_is_as_visible_as_its_message() {
    let run = company();
    let (zhang, li) = (run.token("employee:zhang"), run.token("department:2"));
    let nobody = run.token("employee:nobody");
    let server = run.serve("serve");
    let (zhang, li, nobody) = (
        server.client(&zhang),
        server.client(&li),
        server.client(&nobody),
    );
    for (client, visible) in [(&zhang, [1, 3]), (&li, [2, 2])] {
        for seq in 1..=3 {
            let status = client.get(&format!("/v1/media/m{seq}")).status;
            let expected = if visible.contains(&seq) { 200 } else { 404 };
            assert_eq!(status, expected, "m{seq}");
        }
    }
    // Lost, waiting, ambiguous or not there at all: a stranger cannot tell.
    let absent = seen(&nobody, "/v1/media/mX");
    assert_eq!(absent.0, 404);
    for id in ["m1", "m2", "m4", "m5"] {
        for query in ["", "?item=0", "?as=mp3"] {
            let told = seen(&nobody, &format!("/v1/media/{id}{query}"));
            assert_eq!(told, (404, absent.1.replace("mX", id)), "{id}{query}");
        }
        assert!(
            nobody
                .get(&format!("/v1/media?msgid={id}"))
                .items()
                .is_empty()
        );
    }
    // The list is of the messages that he sees, page by page.
    let ids = |rows: Vec<Value>| -> Vec<String> {
        let ids = rows.iter().map(|row| row["msgid"].as_str().unwrap());
        ids.map(String::from).collect()
    };
    for limit in [1, 2, 100] {
        let path = format!("/v1/media?limit={limit}");
        assert_eq!(ids(zhang.all(&path)), ["m5", "m4", "m3", "m1"], "{limit}");
        assert_eq!(ids(li.all(&path)), ["m2"]);
        assert!(nobody.all(&path).is_empty());
    }
    assert_eq!(zhang.get("/v1/media?msgid=m1").items().len(), 1);
    assert_eq!(server.client("").get("/v1/media/m1").status, 401);
}

#[test]
fn voice_is_converted_where_a_converter_is_and_else_says_how() {
    let run = company();
    let token = run.token("all");
    let server = run.serve("serve");
    let client = server.client(&token);
    let voice = client.get("/v1/media/m3").ok();
    assert_eq!(voice.headers["content-type"], "audio/amr");
    let missing = client.get("/v1/media/m3?as=mp3");
    assert_eq!(missing.problem(), (501, "no_converter".into()));
    assert!(missing.body.contains("apt-get install ffmpeg") && missing.body.contains("未安装"));
    // A stand-in for ffmpeg, at the place that the configuration names.
    let script = run.write(
        "ff.sh",
        "#!/bin/sh\nfor last; do :; done\nprintf 'ID3 sound' > \"${last#file:}\"\n",
    );
    std::fs::set_permissions(script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mp3 = client.get("/v1/media/m3?as=mp3").ok();
    assert_eq!(mp3.headers["content-type"], "audio/mpeg");
    assert_eq!(mp3.bytes, b"ID3 sound");
    assert!(mp3.headers["content-disposition"].contains("voice-3.mp3"));
    assert_eq!(got(&run, "m3", &["--as", "mp3"]), b"ID3 sound");
    assert_eq!(
        client.get("/v1/media/m1?as=mp3").problem(),
        (422, "not_convertible".into())
    );
}
