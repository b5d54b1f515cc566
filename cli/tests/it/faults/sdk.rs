//! Whatever the SDK does: its codes, the server's, crashes, hangs, leaks and garbage at each of
//! its calls. The pull goes on or says why not; nothing is lost and nothing comes twice.

use serde_json::{Value, json};

use super::archive::{Archive, company, has};
use super::scale::{Dice, Suite, is_full, skipped};
use crate::support::Installation;

const N_MESSAGES: u64 = 120;
const PAGES: &str = "[pull]\npage_records = 30\ncommit_records_max = 30\ncommit_wait_ms = 1\n";

/// A tape and orders of faults for it.
struct Studio {
    run: Installation,
}

impl Studio {
    fn new(settings: &str) -> Self {
        let run = Installation::new();
        run.tape_of(&company(N_MESSAGES));
        run.configure(&format!("{PAGES}{settings}"));
        Self { run }
    }

    fn order(&self, rules: Value) {
        self.order_as(json!({"persist_counters": true, "rules": rules}));
    }

    fn order_as(&self, faults: Value) {
        let _ = std::fs::remove_file(self.run.tape().join("faults.counters"));
        self.run.write("tape/faults.json", &faults.to_string());
    }

    fn archive(&self) -> Archive<'_> {
        Archive::of(&self.run)
    }

    fn afresh(&self) {
        if self.run.data().exists() {
            std::fs::remove_dir_all(self.run.data()).unwrap();
        }
    }

    /// The pull lives through these rules and brings everything in.
    fn lives_through(&self, rules: Value) {
        self.afresh();
        self.order(rules.clone());
        let ran = self.archive().drain();
        assert_eq!(ran.status, 0, "{rules}: {}", ran.stderr);
        self.archive().whole(N_MESSAGES);
    }

    /// The pull ends and says these words; without the fault it goes on where it was.
    fn ends_with(&self, rules: Value, words: &[&str]) {
        self.afresh();
        self.order(rules.clone());
        let ran = self.archive().drain();
        assert_eq!(ran.status, 1, "{rules}: {}", ran.stderr);
        for word in words {
            assert!(
                ran.stderr.contains(word),
                "{rules}: no `{word}` in {}",
                ran.stderr
            );
        }
    }

    /// Without any fault all that is left comes in.
    fn recovers(&self) {
        self.order(json!([]));
        self.archive().drain().ok();
        self.archive().whole(N_MESSAGES);
    }

    /// These records, and no others, are quarantined for these reasons.
    fn sets_aside(&self, rules: Value, expected: &[(u64, &str)]) {
        self.afresh();
        self.order(rules.clone());
        let ran = self.archive().drain();
        assert_eq!(ran.status, 0, "{rules}: {}", ran.stderr);
        let table = self.archive().agreeing();
        let found: Vec<(u64, &str)> = table
            .quarantined
            .iter()
            .map(|(s, r)| (*s, r.as_str()))
            .collect();
        assert_eq!(found, expected, "{rules}");
        assert_eq!(table.n_ok, N_MESSAGES - expected.len() as u64, "{rules}");
        assert_eq!(table.cursor, N_MESSAGES, "{rules}");
    }
}

/// The calls at which a fault hits: the first page's; in full also one in the middle, the last.
fn positions() -> &'static [u64] {
    if is_full() { &[1, 3, 5] } else { &[2] }
}

#[test]
fn every_code_that_may_pass_is_tried_again() {
    let suite = Suite::begin("codes that pass", &Dice::new(0));
    let studio = Studio::new("");
    let mut n = 0;
    // Burst after burst, each of another code, within one pull.
    let codes: Vec<Value> = [10001, 10002, 10003]
        .iter()
        .map(|c| json!({"code": c}))
        .collect();
    let others = [
        json!("garbage"),
        json!("truncated"),
        json!({"reply": "{}"}),
        json!({"reply": ""}),
    ];
    let all: Vec<Value> = codes.into_iter().chain(others).collect();
    for burst in if is_full() { &[1, 3][..] } else { &[1] } {
        for position in positions() {
            let rule = |(k, action): (usize, &Value)| {
                let nth = position + (k as u64) * (burst + 1);
                (0..*burst)
                    .map(move |b| json!({"call": "GetChatData", "nth": nth + b, "action": action}))
                    .collect::<Vec<_>>()
            };
            let rules: Vec<Value> = all.iter().enumerate().flat_map(rule).collect();
            n += rules.len() as u64;
            studio.lives_through(json!(rules));
        }
    }
    // WeCom is busy; a page is too large.
    studio.lives_through(json!([
        {"call": "GetChatData", "nth": 1, "action": {"errcode": 301_058}},
        {"call": "GetChatData", "nth": 3, "action": {"errcode": 301_058}},
        {"call": "GetChatData", "nth": 4, "action": {"print": "noise on stdout\n"}},
    ]));
    n += 3;
    if is_full() {
        studio.lives_through(json!([{"call": "GetChatData", "nth": 2, "action": {"errcode": -1}}]));
        n += 1;
    }
    suite.done(n, "lived through");
}

#[test]
fn every_code_that_stays_ends_the_pull_with_its_number() {
    let suite = Suite::begin("codes that stay", &Dice::new(0));
    let studio = Studio::new("");
    let mut n = 0;
    for position in positions() {
        for code in [
            10000, 10004, 10005, 10006, 10007, 10008, 10009, 10010, 10011, 10012,
        ] {
            let rules = json!([{"call": "GetChatData", "nth": position, "action": {"code": code}}]);
            studio.ends_with(rules, &[&code.to_string(), "hint: "]);
            n += 1;
        }
        for errcode in [40001, 41001, 45009, 48002, 301_042, 301_052, 301_053, 7] {
            let rules =
                json!([{"call": "GetChatData", "nth": position, "action": {"errcode": errcode}}]);
            studio.ends_with(rules, &[&errcode.to_string(), "hint: "]);
            n += 1;
        }
        studio.recovers();
    }
    for code in 10000..=10011 {
        studio.ends_with(
            json!([{"call": "Init", "nth": 1, "action": {"code": code}}]),
            &[&code.to_string()],
        );
        n += 1;
    }
    studio.recovers();
    suite.done(n, "ended with the code, and went on after");
}

#[test]
fn every_code_at_a_decryption_sets_that_record_aside() {
    let suite = Suite::begin("codes at DecryptData", &Dice::new(0));
    let studio = Studio::new("");
    let codes: Vec<u64> = (10000..=10012).collect();
    let rules: Vec<Value> = codes
        .iter()
        .map(|code| json!({"call": "DecryptData", "seq": code - 9_990, "action": {"code": code}}))
        .collect();
    let reasons: Vec<(u64, String)> = codes
        .iter()
        .map(|code| (code - 9_990, format!("sdk_{code}")))
        .collect();
    let expected: Vec<(u64, &str)> = reasons
        .iter()
        .map(|(seq, reason)| (*seq, reason.as_str()))
        .collect();
    studio.sets_aside(json!(rules), &expected);
    let rules = json!([
        {"call": "DecryptData", "seq": 7, "action": "garbage"},
        {"call": "DecryptData", "seq": 31, "action": "truncated"},
        {"call": "DecryptData", "seq": 120, "action": {"reply": ""}},
    ]);
    studio.sets_aside(
        rules,
        &[(7, "not_utf8"), (31, "not_json"), (120, "not_json")],
    );
    suite.done(codes.len() as u64 + 3, "quarantined alone");
}

#[test]
fn a_crash_at_any_call_costs_a_worker_and_no_message() {
    let suite = Suite::begin("crashes", &Dice::new(0));
    let studio = Studio::new("");
    let mut n = 0;
    for position in positions() {
        studio.lives_through(json!([
            {"call": "GetChatData", "nth": position, "action": {"crash": "segv"}},
            {"call": "GetChatData", "nth": position + 2, "action": {"crash": "abort"}},
            {"call": "DecryptData", "nth": position * 13, "action": {"crash": "segv"}},
            {"call": "DecryptData", "nth": position * 13 + 40, "action": {"crash": "abort"}},
            {"call": "Init", "nth": 3, "action": {"crash": "segv"}},
        ]));
        n += 5;
    }
    studio.ends_with(
        json!([{"call": "Init", "nth": 1, "action": {"crash": "abort"}}]),
        &["worker"],
    );
    studio.recovers();
    // The records that the library dies of, whenever it sees them.
    let guilty: Vec<u64> = if is_full() {
        (1..=120).step_by(7).collect()
    } else {
        vec![1, 64]
    };
    let rules: Vec<Value> = guilty
        .iter()
        .map(|seq| json!({"call": "DecryptData", "seq": seq, "action": {"crash": "abort"}}))
        .collect();
    let expected: Vec<(u64, &str)> = guilty.iter().map(|seq| (*seq, "sdk_crash")).collect();
    studio.sets_aside(json!(rules), &expected);
    n += 1 + guilty.len() as u64;
    suite.done(n, "of Init, GetChatData, DecryptData");
}

#[test]
fn a_thousand_crashes_over_many_messages_lose_nothing() {
    if !is_full() {
        return;
    }
    let dice = Dice::new(9);
    let suite = Suite::begin("random crashes", &dice);
    let run = Installation::new();
    let n_messages = 20_000;
    run.tape_of(&company(n_messages));
    run.configure("[pull]\npage_records = 100\nattempts_once = 1000\n");
    let rules = json!({"persist_counters": true, "seed": dice.seed(), "rules": [
        {"call": "DecryptData", "probability": 0.03, "times": 1000, "action": {"crash": "segv"}}]});
    run.write("tape/faults.json", &rules.to_string());
    let archive = Archive::of(&run);
    archive.drain().ok();
    archive.whole(n_messages);
    let counters = std::fs::read_to_string(run.tape().join("faults.counters")).unwrap();
    let counters: Value = serde_json::from_str(&counters).unwrap();
    let n = counters["fired"][0].as_u64().unwrap();
    assert!(n >= 500, "only {n} crashes");
    suite.done(n, "crashes of DecryptData in one pull of 20,000 messages");
}

#[test]
fn a_hang_is_ended_at_its_deadline_and_costs_no_message() {
    let suite = Suite::begin("hangs", &Dice::new(0));
    let studio = Studio::new("timeout_seconds = 1\n");
    let began = std::time::Instant::now();
    studio
        .lives_through(json!([{"call": "GetChatData", "nth": 2, "action": {"hang_ms": 600_000}}]));
    // The deadline, a back-off, and the pull itself on a busy machine.
    assert!(began.elapsed().as_secs() < 60, "{:?}", began.elapsed());
    studio
        .lives_through(json!([{"call": "GetChatData", "nth": 2, "action": {"delay_ms": 600_000}}]));
    let mut n = 2;
    if is_full() {
        // Local calls have twenty seconds.
        studio.lives_through(json!([
            {"call": "DecryptData", "nth": 40, "action": {"hang_ms": 600_000}},
            {"call": "GetChatData", "nth": 4, "action": {"crash": "abort"}},
            {"call": "Init", "nth": 3, "action": {"hang_ms": 600_000}},
        ]));
        n += 2;
    }
    suite.done(n, "hung calls");
}

#[test]
fn a_leak_at_any_call_costs_a_worker_and_no_message() {
    let suite = Suite::begin("leaks", &Dice::new(0));
    let studio = Studio::new("worker_memory_mib_max = 96\n");
    let large = 200 << 20;
    studio
        .lives_through(json!([{"call": "GetChatData", "nth": 2, "action": {"leak_bytes": large}}]));
    studio.lives_through(
        json!([{"call": "DecryptData", "nth": 40, "action": {"leak_bytes": large}}]),
    );
    // A little at every call, as the real library's users report.
    studio.order_as(json!({"rules": [{"call": "DecryptData", "action": {"leak_bytes": 1 << 20}}]}));
    studio.afresh();
    studio.archive().drain().ok();
    studio.archive().whole(N_MESSAGES);
    suite.done(2 + N_MESSAGES, "leaks");
}

/// Six files of three chunks each.
fn files() -> String {
    let line = |seq: u64| {
        json!({"seq": seq, "publickey_ver": 1, "message": {
            "msgid": format!("m{seq}"), "action": "send", "from": "zhang", "tolist": ["wm1"], "roomid": "",
            "msgtime": chrono::Utc::now().timestamp_millis(), "msgtype": "file",
            "file": {"filename": format!("{seq}.bin"), "fileext": "bin", "filesize": 1_300_000, "md5sum": "",
                     "sdkfileid": format!("RmlsZQ{seq}==")}}})
        .to_string()
            + "\n"
    };
    (1..=6).map(line).collect()
}

#[test]
fn whatever_happens_to_a_file_its_message_stays_and_the_file_comes() {
    let name = "faults at GetMediaData";
    let run = Installation::new();
    if !has(&run, &["media", "fetch"]) {
        return skipped(name, "this build has no such command");
    }
    let suite = Suite::begin(name, &Dice::new(0));
    let input = run.write("files.ndjson", &files());
    let tape = run.tape();
    let arguments = [
        "tape",
        "make",
        input.to_str().unwrap(),
        "-o",
        tape.to_str().unwrap(),
        "--media-bytes-max",
        "1300000",
    ];
    run.run(&arguments).ok();
    run.configure("[pull]\ntimeout_seconds = 1\nworker_memory_mib_max = 96\n");
    let studio = Studio { run };
    let archive = studio.archive();
    let mut actions: Vec<Value> = (10000..=10012).map(|code| json!({"code": code})).collect();
    actions.extend([
        json!("garbage"),
        json!("truncated"),
        json!({"crash": "segv"}),
        json!({"crash": "abort"}),
    ]);
    actions.extend([
        json!({"leak_bytes": 200 << 20}),
        json!({"hang_ms": 600_000}),
    ]);
    let positions: &[u64] = if is_full() { &[1, 2, 18] } else { &[2] };
    if !is_full() {
        // The media tests have more of them; here is one of each kind.
        let kinds = [
            json!({"code": 10000}),
            json!({"code": 10001}),
            json!({"code": 10010}),
            json!("garbage"),
            json!({"crash": "segv"}),
        ];
        actions.retain(|action| kinds.contains(action));
    }
    let mut n = 0;
    for action in &actions {
        for nth in positions {
            studio.afresh();
            studio.order(json!([]));
            archive.drain().ok();
            studio.order(json!([{"call": "GetMediaData", "nth": nth, "action": action}]));
            let hit = archive.run(&["media", "fetch", "--once"]);
            assert!([0, 1].contains(&hit.status), "{action}: {}", hit.stderr);
            studio.order(json!([]));
            archive.run(&["media", "retry"]).ok();
            let done = archive.run(&["media", "fetch"]).ok().rows().remove(0);
            assert_eq!(done["lost"], 0, "{action}: {done}");
            let listed = archive
                .run(&["media", "list", "--status", "stored"])
                .ok()
                .rows();
            assert_eq!(listed.len(), 6, "{action}");
            assert_eq!(archive.agreeing().n_ok, 6, "{action}");
            n += 1;
        }
    }
    suite.done(n, "faults, after each of which all six files came");
}
