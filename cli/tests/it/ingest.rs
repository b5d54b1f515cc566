//! Several companies in one process, keys that come late, the quarantine opened in place, pages
//! that kill the SDK, and WeCom's callback: through the binary, on the simulator's real `.so`.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Installation, Running, encoded, text_line, wait_until};

const AT: i64 = 1_727_712_000_000;
const PATIENCE: Duration = Duration::from_secs(30);

/// Messages of key versions 1 and 2 in turn.
fn lines(n: u64, word: &str) -> String {
    (1..=n)
        .map(|seq| {
            let at = AT + seq as i64 * 60_000;
            text_line(seq, "zhang", "wmanna", at, &format!("{word}第{seq}条"))
        })
        .collect()
}

/// A configuration of several companies; of each id, secret and keys. Their tapes are folders of
/// `tape`.
fn configure(run: &Installation, corps: &[(&str, &str, &[u32])], extra: &str) {
    let library = huicun_tape::testing::simulator_library();
    let mut text = String::new();
    for (corpid, secret, keys) in corps {
        text += &format!(
            "[[corp]]\ncorpid = \"{corpid}\"\nsecret = \"{secret}\"\nsdk_library = \"{}\"\n[corp.keys]\n",
            library.display()
        );
        for key in *keys {
            text += &format!("{key} = \"tape/{corpid}/keys/v{key}.pem\"\n");
        }
    }
    run.write("huicun.toml", &(text + extra));
}

fn make_tape(run: &Installation, corpid: &str, lines: &str, more: &[&str]) {
    let file = run.write(&format!("{corpid}.ndjson"), lines);
    let tape = run.tape().join(corpid);
    let (file, tape) = (file.to_str().unwrap(), tape.to_str().unwrap());
    let secret = format!("secret-{corpid}");
    let made = [
        "tape", "make", file, "-o", tape, "--corpid", corpid, "--secret", &secret,
    ];
    run.run(&[&made[..], more].concat()).ok();
}

fn sql(run: &Installation, statement: &str) -> Vec<Value> {
    run.run(&["sql", statement]).ok().rows()
}

/// Every column of every readable message that does not tell when it came.
fn content(run: &Installation) -> Vec<Value> {
    sql(
        run,
        "SELECT source, seq, msgid, publickey_ver, action, msgtype, msgtime, from_id, room_id, \
         conversation_id, text, payload, status, reason, content_hash, leaf_hash, day FROM messages \
         ORDER BY source, seq",
    )
}

fn n_parked(run: &Installation) -> u64 {
    let counted = run.run(&["quarantine", "list", "--summary"]).ok();
    let of = |row: &Value| row["records"].as_u64().unwrap();
    counted.rows().iter().map(of).sum()
}

fn wait_for_rows(run: &Installation, pull: &mut Running, status: &str, n: usize) {
    let statement = format!("SELECT seq FROM messages WHERE status = '{status}'");
    wait_until(PATIENCE, &format!("{n} rows that are {status}"), || {
        assert!(pull.is_running(), "{}", pull.stderr());
        let ran = run.run(&["sql", &statement]);
        ran.status == 0 && ran.stdout.lines().count() == n
    });
}

#[test]
fn companies_with_the_same_ids_and_numbers_do_not_mix() {
    let run = Installation::new();
    make_tape(&run, "wwa", &lines(60, "甲"), &[]);
    make_tape(&run, "wwb", &lines(40, "乙"), &[]);
    configure(
        &run,
        &[
            ("wwa", "secret-wwa", &[1, 2]),
            ("wwb", "secret-wwb", &[1, 2]),
        ],
        "[pull]\npage_records = 7\ncommit_records_max = 10\n",
    );
    let pulled = run.run(&["pull", "--once", "--corp", "wwb"]).ok();
    assert!(
        pulled.stderr.contains("pulled 40 records"),
        "{}",
        pulled.stderr
    );
    let pulled = run.run(&["pull", "--once"]).ok();
    assert!(
        pulled.stderr.contains("`wwa`: pulled 60 records"),
        "{}",
        pulled.stderr
    );
    assert!(
        pulled.stderr.contains("`wwb`: pulled 0 records"),
        "{}",
        pulled.stderr
    );
    let counted = sql(
        &run,
        "SELECT source, count(*) AS n, min(seq) AS low, max(seq) AS high, \
         count(DISTINCT substr(text, 1, 1)) AS words, min(substr(text, 1, 1)) AS word \
         FROM messages GROUP BY source ORDER BY source",
    );
    assert_eq!(
        counted,
        [
            json!({"source": "wwa", "n": 60, "low": 1, "high": 60, "words": 1, "word": "甲"}),
            json!({"source": "wwb", "n": 40, "low": 1, "high": 40, "words": 1, "word": "乙"}),
        ]
    );
    assert_eq!(
        run.run(&["search", "乙第", "--limit", "0"])
            .ok()
            .rows()
            .len(),
        40
    );
    let unknown = run.run(&["pull", "--once", "--corp", "wwc"]);
    assert_eq!(unknown.status, 1);
    assert!(unknown.stderr.contains("`wwc`"), "{}", unknown.stderr);
}

#[test]
fn a_company_that_fails_is_named_and_the_others_are_drained() {
    let run = Installation::new();
    make_tape(&run, "wwa", &lines(30, "甲"), &[]);
    make_tape(&run, "wwb", &lines(30, "乙"), &[]);
    make_tape(&run, "wwc", &lines(30, "丙"), &[]);
    configure(
        &run,
        &[
            ("wwa", "wrong", &[1, 2]),
            ("wwb", "secret-wwb", &[1, 2]),
            ("wwc", "secret-wwc", &[1, 2, 9]),
        ],
        "",
    );
    let pulled = run.run(&["pull", "--once"]);
    assert_eq!(pulled.status, 1, "{}", pulled.stderr);
    for word in [
        "2 of 3 companies",
        "`wwa`",
        "40001",
        "会话内容存档",
        "`wwc`",
        "v9.pem",
    ] {
        assert!(pulled.stderr.contains(word), "{word}: {}", pulled.stderr);
    }
    assert!(
        !pulled.stderr.contains("`wwb`: cannot"),
        "{}",
        pulled.stderr
    );
    assert_eq!(
        sql(&run, "SELECT DISTINCT source FROM messages"),
        [json!({"source": "wwb"})]
    );
}

#[test]
fn a_company_that_cannot_be_pulled_does_not_stop_the_others_and_is_shown() {
    let run = Installation::new();
    make_tape(&run, "wwa", &lines(30, "甲"), &[]);
    make_tape(&run, "wwb", &lines(30, "乙"), &[]);
    configure(
        &run,
        &[("wwa", "wrong", &[1, 2]), ("wwb", "secret-wwb", &[1, 2])],
        "",
    );
    let mut server = run.serve("run");
    wait_for_rows(&run, &mut server.running, "ok", 30);
    let client = server.client("");
    wait_until(PATIENCE, "the failing pull to be shown", || {
        let ready = client.get("/readyz");
        ready.status == 503 && ready.body.contains("pull_failing")
    });
    server.running.terminate();
    assert!(server.running.wait(PATIENCE).success());
}

#[test]
fn a_key_that_comes_late_brings_in_what_waited_as_if_it_had_been_there() {
    let run = Installation::new();
    // Version 2's records: some twice under a new seq, once with other content.
    let mut text = lines(40, "甲");
    let again = |seq: u64, like: u64, word: &str| {
        let at = AT + like as i64 * 60_000;
        let line = text_line(like, "zhang", "wmanna", at, &format!("{word}第{like}条"));
        line.replace(&format!("\"seq\":{like}"), &format!("\"seq\":{seq}"))
    };
    text += &again(41, 3, "甲");
    text += &again(43, 5, "乙");
    run.tape_of(&text);
    let all = std::fs::read_to_string(run.path("huicun.toml")).unwrap();
    let only_one = all.replace("2 = \"tape/keys/v2.pem\"\n", "");
    // What it would be with both keys from the first.
    let whole = Installation::new();
    whole.tape_of(&text);
    whole.run(&["pull", "--once"]).ok();
    let expected: Vec<Value> = content(&whole);
    assert_eq!(expected.len(), 41);

    run.write(
        "huicun.toml",
        &format!("{only_one}[pull]\npoll_seconds = 1\n"),
    );
    let mut pull = run.start(&["pull"]);
    wait_for_rows(&run, &mut pull, "quarantined", 22);
    let keys = run.run(&["keys", "list"]).ok().rows();
    assert_eq!(keys[0]["state"], "present");
    assert_eq!(
        (&keys[0]["version"], &keys[0]["parked"]),
        (&json!(1), &json!(0))
    );
    assert_eq!(keys[1]["state"], "missing");
    assert_eq!(
        (&keys[1]["version"], &keys[1]["parked"]),
        (&json!(2), &json!(22))
    );
    let listed = run
        .run(&[
            "quarantine",
            "list",
            "--reason",
            "missing_key",
            "--limit",
            "3",
        ])
        .ok();
    let listed = listed.rows();
    assert_eq!(listed.len(), 3);
    assert_eq!(listed[0]["seq"], 1);
    assert_eq!(listed[0]["retryable"], false);
    let file = run.tape().join("keys/v2.pem");
    let file = file.to_str().unwrap();
    let added = run
        .run(&["keys", "add", "--corp", "wwtape", "--version", "2", file])
        .ok();
    assert!(
        added.stderr.contains("22 quarantined records wait"),
        "{}",
        added.stderr
    );
    // Nobody asks: the running pull sees the file.
    wait_for_rows(&run, &mut pull, "quarantined", 1);
    pull.terminate();
    assert!(pull.wait(PATIENCE).success());
    assert!(content(&run) == expected, "another archive");
    let found = run.run(&["search", "甲第", "--limit", "0"]).ok().rows();
    assert_eq!(found.len(), 40);
    let left = run.run(&["quarantine", "list"]).ok().rows();
    assert_eq!(
        (&left[0]["reason"], &left[0]["seq"]),
        (&json!("conflict"), &json!(43))
    );
    assert_eq!(left[0]["retryable"], false);
    // Nothing is left to be opened, and a second pull brings nothing.
    let again = run.run(&["quarantine", "retry"]).ok().rows();
    assert_eq!(
        again[0],
        json!({"tried": 0, "archived": 0, "duplicates": 0, "kept": 0})
    );
    let pulled = run.run(&["pull", "--once"]).ok();
    assert!(
        pulled.stderr.contains("pulled 0 records"),
        "{}",
        pulled.stderr
    );
    let mode = Command::new("stat")
        .args(["-c", "%a"])
        .arg(run.data().join("keys/wwtape/v2.pem"))
        .output()
        .unwrap();
    assert_eq!(mode.stdout, b"600\n");
}

#[test]
fn a_retry_beside_a_running_pull_is_done_by_it() {
    let run = Installation::new();
    run.tape_of(&lines(20, "甲"));
    // A library that fails at two records and is killed by a third.
    let rules = r#"{"call":"DecryptData","seq":7,"action":"garbage"},
        {"call":"DecryptData","seq":9,"action":{"crash":"abort"}}"#;
    let failing = r#"{"call":"DecryptData","seq":4,"action":{"code":10006}}"#;
    let order = |rules: &str| {
        run.write("tape/faults.json", &format!("{{\"rules\":[{rules}]}}"));
    };
    order(&format!("{failing},{rules}"));
    run.configure("[pull]\npoll_seconds = 3600\n");
    let mut pull = run.start(&["pull"]);
    wait_for_rows(&run, &mut pull, "quarantined", 3);
    let reasons = run.run(&["quarantine", "list"]).ok().rows();
    let reasons: Vec<&str> = reasons
        .iter()
        .map(|r| r["reason"].as_str().unwrap())
        .collect();
    assert_eq!(reasons, ["sdk_10006", "not_utf8", "sdk_crash"]);
    order(rules);
    let done = run
        .run(&["quarantine", "retry", "--reason", "sdk_10006"])
        .ok();
    assert!(
        done.stderr.contains("in use by huicun pull"),
        "{}",
        done.stderr
    );
    assert_eq!(
        done.rows()[0],
        json!({"tried": 1, "archived": 1, "duplicates": 0, "kept": 0})
    );
    // What was decrypted to nonsense is kept as that, and so is what kills.
    let done = run.run(&["quarantine", "retry"]).ok();
    assert_eq!(
        done.rows()[0],
        json!({"tried": 2, "archived": 0, "duplicates": 0, "kept": 2})
    );
    assert!(pull.is_running());
    pull.terminate();
    assert!(pull.wait(PATIENCE).success());
    assert_eq!(n_parked(&run), 2);
    // Alone, on a library that is well again.
    std::fs::remove_file(run.path("tape/faults.json")).unwrap();
    let done = run.run(&["quarantine", "retry", "--seq", "9"]).ok();
    assert_eq!(done.rows()[0]["archived"], 1);
    assert_eq!(
        run.run(&["search", "甲第", "--limit", "0"])
            .ok()
            .rows()
            .len(),
        19
    );
}

#[test]
fn a_quarantined_line_of_an_import_is_read_again_in_its_place() {
    let run = Installation::new();
    let file = run.write("m.ndjson", &format!("{}not json\n", lines(5, "甲")));
    run.run(&["import", "messages", file.to_str().unwrap()])
        .ok();
    let before = content(&run);
    let done = run.run(&["quarantine", "retry"]).ok();
    assert_eq!(
        done.rows()[0],
        json!({"tried": 1, "archived": 0, "duplicates": 0, "kept": 1})
    );
    assert!(content(&run) == before);
}

#[test]
fn ten_key_versions_in_one_run_come_in_any_order() {
    let run = Installation::new();
    let plain: String = lines(200, "甲")
        .lines()
        .map(|line| {
            let line: Value = serde_json::from_str(line).unwrap();
            line["message"].to_string() + "\n"
        })
        .collect();
    let file = run.write("m.ndjson", &plain);
    let (file, tape) = (file.to_str().unwrap(), run.tape());
    let tape = tape.to_str().unwrap();
    run.run(&["tape", "make", file, "-o", tape, "--key-versions", "10"])
        .ok();
    run.configure("[pull]\npage_records = 30\ncommit_records_max = 30\npoll_seconds = 1\n");
    let mut pull = run.start(&["pull"]);
    wait_for_rows(&run, &mut pull, "quarantined", 160);
    for version in ["9", "4", "10", "3", "7", "5", "8", "6"] {
        let file = run.tape().join(format!("keys/v{version}.pem"));
        run.run(&["keys", "add", "--version", version, file.to_str().unwrap()])
            .ok();
    }
    wait_for_rows(&run, &mut pull, "ok", 200);
    assert_eq!(n_parked(&run), 0);
    drop(pull);
    let found = run.run(&["search", "甲第", "--limit", "0"]).ok().rows();
    assert_eq!(found.len(), 200);
}

#[test]
fn a_protected_key_is_opened_by_its_passphrase_only() {
    let run = Installation::new();
    run.tape_of(&lines(10, "甲"));
    let all = std::fs::read_to_string(run.path("huicun.toml")).unwrap();
    let plain = run.tape().join("keys/v2.pem");
    let protected = run.path("v2.pem");
    let made = Command::new("openssl")
        .args(["pkcs8", "-topk8", "-passout", "pass:tape-secret", "-in"])
        .arg(&plain)
        .arg("-out")
        .arg(&protected)
        .status();
    if !made.is_ok_and(|status| status.success()) {
        println!("skipped: there is no openssl here");
        return;
    }
    let with = |text: &str| {
        let key = "2 = \"tape/keys/v2.pem\"";
        run.write("huicun.toml", &all.replace(key, text));
    };
    with("2 = \"v2.pem\"");
    let refused = run.run(&["pull", "--once"]);
    assert_eq!(refused.status, 1);
    assert!(
        refused.stderr.contains("HUICUN_KEY_PASSPHRASE"),
        "{}",
        refused.stderr
    );
    run.write("wrong", "another-secret\n");
    with("2 = { file = \"v2.pem\", passphrase_file = \"wrong\" }");
    let refused = run.run(&["pull", "--once"]);
    assert!(
        refused.stderr.contains("does not open it"),
        "{}",
        refused.stderr
    );
    assert!(
        !refused.stderr.contains("another-secret"),
        "{}",
        refused.stderr
    );
    assert!(!run.data().exists());
    run.write("right", "tape-secret\n");
    with("2 = { file = \"v2.pem\", passphrase_file = \"right\" }");
    run.run(&["pull", "--once"]).ok();
    assert_eq!(n_parked(&run), 0);
    let forms = run.run(&["keys", "list"]).ok().rows();
    assert_eq!(forms[1]["form"], "pkcs8_encrypted");
    with("2 = \"v2.pem\"");
    let list = run
        .command()
        .env("HUICUN_KEY_PASSPHRASE", "tape-secret")
        .args(["keys", "list"])
        .output();
    assert!(list.unwrap().status.success());
}

#[test]
fn a_new_key_is_printed_for_upload_and_another_never_takes_its_place() {
    let run = Installation::new();
    run.tape_of(&lines(10, "甲"));
    let made = run.run(&["keys", "new"]).ok();
    assert!(made.stdout.starts_with("-----BEGIN PUBLIC KEY-----\n"));
    assert!(made.stderr.contains("version 3"), "{}", made.stderr);
    assert!(!made.stderr.contains("PRIVATE"));
    let other = run.tape().join("keys/v1.pem");
    let refused = run.run(&["keys", "add", "--version", "3", other.to_str().unwrap()]);
    assert_eq!(refused.status, 1);
    assert!(
        refused.stderr.contains("different keys for version 3"),
        "{}",
        refused.stderr
    );
    let listed = run.run(&["keys", "list"]).ok().rows();
    let versions: Vec<u64> = listed
        .iter()
        .map(|row| row["version"].as_u64().unwrap())
        .collect();
    assert_eq!(versions, [1, 2, 3]);
    assert_eq!(listed[2]["sha256"].as_str().unwrap().len(), 64);
}

#[test]
fn a_record_that_kills_every_page_it_is_in_is_passed_by_and_all_others_come() {
    for (action, pages) in [(r#"{"crash":"segv"}"#, 50), (r#""garbage""#, 1000)] {
        let run = Installation::new();
        run.tape_of(&lines(120, "甲"));
        let faults = format!(
            r#"{{"rules":[{{"call":"GetChatData","holds":77,"action":{action}}},
                {{"call":"GetChatData","holds":78,"action":{action}}}]}}"#
        );
        run.write("tape/faults.json", &faults);
        run.configure(&format!("[pull]\npage_records = {pages}\n"));
        run.run(&["pull", "--once"]).ok();
        let parked = run.run(&["quarantine", "list"]).ok().rows();
        assert_eq!(parked.len(), 1, "{action}");
        assert_eq!(
            (&parked[0]["reason"], &parked[0]["seq"]),
            (&json!("undeliverable"), &json!(78))
        );
        let seqs = sql(
            &run,
            "SELECT seq FROM messages WHERE status = 'ok' ORDER BY seq",
        );
        let seqs: Vec<u64> = seqs
            .iter()
            .map(|row| row["seq"].as_u64().unwrap())
            .collect();
        let expected: Vec<u64> = (1..=120).filter(|seq| ![77, 78].contains(seq)).collect();
        assert_eq!(seqs, expected, "{action}");
        // A library that can: the one row becomes the two messages.
        std::fs::remove_file(run.path("tape/faults.json")).unwrap();
        let done = run.run(&["quarantine", "retry"]).ok();
        assert_eq!(
            done.rows()[0],
            json!({"tried": 1, "archived": 2, "duplicates": 0, "kept": 0})
        );
        let found = run.run(&["search", "甲第", "--limit", "0"]).ok().rows();
        assert_eq!(found.len(), 120);
    }
}

#[test]
fn the_last_record_is_waited_for_when_it_cannot_be_had() {
    let run = Installation::new();
    run.tape_of(&lines(20, "甲"));
    run.write(
        "tape/faults.json",
        r#"{"rules":[{"call":"GetChatData","holds":20,"action":"truncated"}]}"#,
    );
    let pulled = run.run(&["pull", "--once"]);
    assert_eq!(pulled.status, 1);
    assert!(pulled.stderr.contains("not JSON"), "{}", pulled.stderr);
    assert!(pulled.stderr.contains("cursor 19"), "{}", pulled.stderr);
    assert_eq!(n_parked(&run), 0);
    std::fs::remove_file(run.path("tape/faults.json")).unwrap();
    run.run(&["pull", "--once"]).ok();
    assert_eq!(
        run.run(&["search", "甲第", "--limit", "0"])
            .ok()
            .rows()
            .len(),
        20
    );
}

#[test]
fn a_company_without_a_message_is_told_what_to_look_at() {
    let run = Installation::new();
    run.tape_of(&lines(3, "甲"));
    run.write(
        "tape/faults.json",
        r#"{"rules":[{"call":"GetChatData","action":"missing_chatdata"}]}"#,
    );
    let pulled = run.run(&["pull", "--once"]).ok();
    for word in ["存档成员范围", "consented"] {
        assert!(pulled.stderr.contains(word), "{}", pulled.stderr);
    }
}

const TOKEN: &str = "QDG6eKhush";
const LETTERS: &str = "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C";

/// Runs openssl, which knows nothing of our code.
fn openssl(arguments: &[&str], input: &[u8]) -> Option<Vec<u8>> {
    let mut child = Command::new("openssl")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .ok()?;
    child.stdin.take()?.write_all(input).ok()?;
    Some(child.wait_with_output().ok()?.stdout)
}

/// The query of a call and its sealed text, as WeCom writes them.
fn sealed_call(text: &str, receiver: &str) -> Option<(String, String)> {
    let key = openssl(&["base64", "-d", "-A"], format!("{LETTERS}=").as_bytes())?;
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    let mut bytes = b"ABCDEFGHIJKLMNOP".to_vec();
    bytes.extend((text.len() as u32).to_be_bytes());
    bytes.extend(text.as_bytes());
    bytes.extend(receiver.as_bytes());
    let padding = 32 - bytes.len() % 32;
    bytes.extend(std::iter::repeat_n(padding as u8, padding));
    let (key, iv) = (hex(&key), hex(&key[..16]));
    let seal = [
        "enc",
        "-aes-256-cbc",
        "-nopad",
        "-base64",
        "-A",
        "-K",
        &key,
        "-iv",
        &iv,
    ];
    let sealed = String::from_utf8(openssl(&seal, &bytes)?)
        .ok()?
        .trim()
        .to_string();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = now.ok()?.as_secs().to_string();
    let mut parts = [TOKEN, &now, "42", &sealed];
    parts.sort_unstable();
    let digest = openssl(&["dgst", "-sha1", "-r"], parts.concat().as_bytes())?;
    let digest = String::from_utf8(digest).ok()?;
    let digest = digest.split(' ').next()?;
    Some((
        format!("msg_signature={digest}&timestamp={now}&nonce=42"),
        sealed,
    ))
}

#[test]
fn wecoms_callback_wakes_a_pull_that_would_sleep_for_an_hour() {
    let run = Installation::new();
    run.tape_of(&lines(20, "甲"));
    run.write(
        "tape/faults.json",
        r#"{"rules":[{"call":"GetChatData","nth":1,"action":"missing_chatdata"}]}"#,
    );
    run.write("token", TOKEN);
    run.configure(&format!(
        "[corp.callback]\ntoken_file = \"token\"\naes_key = \"{LETTERS}\"\n[pull]\npoll_seconds = 3600\n"
    ));
    let event = |name: &str| {
        format!(
            "<xml><ToUserName><![CDATA[wwtape]]></ToUserName><MsgType><![CDATA[event]]></MsgType>\
             <Event><![CDATA[{name}]]></Event></xml>"
        )
    };
    let Some((query, sealed)) = sealed_call("1234567890", "wwtape") else {
        println!("skipped: there is no openssl here");
        return;
    };
    let mut server = run.serve("run");
    let client = server.client("");
    let path = "/v1/wecom/callback";
    let echo = client
        .get(&format!("{path}?{query}&echostr={}", encoded(&sealed)))
        .ok();
    assert_eq!(echo.body, "1234567890");
    let post = |query: &str, sealed: &str| {
        let body = format!("<xml><Encrypt><![CDATA[{sealed}]]></Encrypt></xml>");
        client.send("POST", &format!("{path}?{query}"), body.as_bytes())
    };
    wait_until(PATIENCE, "the first look", || {
        client.get("/readyz").status == 200
    });
    // A call that nobody signed, one for another company, and one of no interest.
    assert_eq!(
        post("msg_signature=0&timestamp=0&nonce=42", &sealed)
            .problem()
            .0,
        403
    );
    let (query, sealed) = sealed_call(&event("msgaudit_notify"), "ww-another").unwrap();
    assert_eq!(
        post(&query, &sealed).problem(),
        (403, "callback_refused".into())
    );
    let (query, sealed) = sealed_call(&event("change_contact"), "wwtape").unwrap();
    assert_eq!(post(&query, &sealed).ok().body, "success");
    assert_eq!(
        client.send("POST", path, &vec![b' '; 100_000]).problem().0,
        413
    );
    let (query, sealed) = sealed_call(&event("msgaudit_notify"), "wwtape").unwrap();
    let woken = Instant::now();
    assert_eq!(post(&query, &sealed).ok().body, "success");
    wait_for_rows(&run, &mut server.running, "ok", 20);
    assert!(woken.elapsed() < PATIENCE);
    server.running.terminate();
    assert!(server.running.wait(PATIENCE).success());
    let said = server.running.stderr();
    assert!(!said.contains(TOKEN) && !said.contains(LETTERS), "{said}");
}

#[test]
fn what_an_operator_must_mend_is_told_in_both_languages_and_moves_no_cursor() {
    let run = Installation::new();
    run.tape_of(&lines(6, "甲"));
    run.configure("[pull]\npage_records = 3\n");
    for (action, word_zh, word_en) in [
        (r#"{"code":10000}"#, "会话存档 secret", "secret"),
        (r#"{"code":10009}"#, "可信 IP", "trusted"),
        (r#"{"code":10011}"#, "证书", "certificate"),
        (r#"{"errcode":41001}"#, "secret", "credential"),
        (r#"{"errcode":48002}"#, "权限", "permission"),
        (r#"{"errcode":301042}"#, "出口 IP", "trusted"),
        (r#"{"errcode":301052}"#, "续费", "renew"),
        (r#"{"errcode":301053}"#, "开通", "enable"),
        (r#"{"errcode":45009}"#, "频率", "600"),
    ] {
        // The first page comes, the second does not.
        let faults = format!(r#"{{"rules":[{{"call":"GetChatData","seq":3,"action":{action}}}]}}"#);
        run.write("tape/faults.json", &faults);
        let pulled = run.run(&["pull", "--once"]);
        assert_eq!(pulled.status, 1, "{action}");
        for word in ["hint: ", word_zh, word_en] {
            assert!(pulled.stderr.contains(word), "{action}: {}", pulled.stderr);
        }
    }
    assert_eq!(run.run(&["search", "甲第"]).ok().rows().len(), 3);
    // One that follows goes on trying, and says the same in its log.
    let faults = r#"{"rules":[{"call":"GetChatData","action":{"errcode":301042}}]}"#;
    run.write("tape/faults.json", faults);
    let mut server = run.serve("run");
    let client = server.client("");
    wait_until(PATIENCE, "the failure to be shown", || {
        client.get("/readyz").body.contains("pull_failing")
    });
    assert!(server.running.is_running());
    server.running.terminate();
    assert!(server.running.wait(PATIENCE).success());
    let said = server.running.stderr();
    assert!(
        said.contains("可信 IP") && said.contains("trusted"),
        "{said}"
    );
    std::fs::remove_file(run.path("tape/faults.json")).unwrap();
    run.run(&["pull", "--once"]).ok();
    assert_eq!(run.run(&["search", "甲第"]).ok().rows().len(), 6);
}
