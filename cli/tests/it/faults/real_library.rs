//! Tencent's own library under the binary, where `FINANCE_SDK_REAL` names a copy
//! (`scripts/real-sdk.sh` fetches one for tests; it is never part of this project).
//!
//! It runs in a namespace without a network, so it contacts nobody. No sealed record of WeCom is
//! at hand, so pages come from the simulator and decryption from the real library, joined by
//! `hybrid.c`: each record ends in the real library's code, and the one it dies of is contained.

use std::path::PathBuf;
use std::process::Command;

use huicun_tape::{TapeOptions, TapeWriter};
use serde_json::json;

use super::archive::Archive;
use super::scale::{Dice, Suite, skipped};
use crate::support::{Installation, Ran};

/// The real library, if it can be run here without a network.
fn library(name: &str) -> Option<PathBuf> {
    let Some(library) = std::env::var_os("FINANCE_SDK_REAL") else {
        skipped(name, "FINANCE_SDK_REAL names no copy of Tencent's library");
        return None;
    };
    let alone = Command::new("unshare").args(["-rn", "true"]).status();
    if !alone.is_ok_and(|status| status.success()) {
        skipped(name, "this machine has no namespaces without a network");
        return None;
    }
    Some(library.into())
}

/// Runs the binary without a network.
fn alone(run: &Installation, arguments: &[&str]) -> Ran {
    let huicun = run.command();
    let mut command = Command::new("unshare");
    command
        .arg("-rn")
        .arg(huicun.get_program())
        .args(huicun.get_args());
    for (name, value) in huicun.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.args(arguments).output().unwrap().into()
}

fn configure(run: &Installation, library: &str) {
    let text = format!(
        "[pull]\nattempts_once = 3\n[[corp]]\ncorpid = \"wwtape\"\nsecret = \"tape-secret\"\n\
         sdk_library = \"{library}\"\n[corp.keys]\n1 = \"tape/keys/v1.pem\"\n"
    );
    run.write("huicun.toml", &text);
}

#[test]
fn without_a_network_the_real_library_is_asked_again_and_then_given_up() {
    let name = "the real library without a network";
    let Some(library) = library(name) else {
        return;
    };
    let suite = Suite::begin(name, &Dice::new(0));
    let run = Installation::new();
    TapeWriter::create(run.tape(), TapeOptions::default())
        .unwrap()
        .finish()
        .unwrap();
    configure(&run, library.to_str().unwrap());
    let began = std::time::Instant::now();
    let ran = alone(&run, &["pull", "--once"]);
    assert_eq!(ran.status, 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("10001"), "{}", ran.stderr);
    assert!(ran.stderr.contains("hint: "), "{}", ran.stderr);
    // Two waits between three attempts: 1 s and 2 s, each less up to half.
    let took = began.elapsed().as_secs_f64();
    assert!(took >= 1.5, "{took} s");
    let n_waits = ran.stderr.matches("trying again").count();
    assert_eq!(n_waits, 2, "{}", ran.stderr);
    suite.done(3, "attempts, each answered 10001");
}

#[test]
fn the_record_that_the_real_library_dies_of_is_set_aside_and_the_rest_arrives() {
    let name = "the real library's aborting record";
    let Some(library) = library(name) else {
        return;
    };
    let suite = Suite::begin(name, &Dice::new(0));
    let run = Installation::new();
    let mut writer = TapeWriter::create(run.tape(), TapeOptions::default()).unwrap();
    for seq in 1..=20_u64 {
        let message = json!({"msgid": format!("m{seq}"), "msgtime": 1_726_000_000_000_i64, "msgtype": "text"});
        writer
            .append(seq, 1, message.to_string().as_bytes())
            .unwrap();
    }
    writer.finish().unwrap();
    // Three records that are too short for it, as if damaged on their way.
    let records = run.tape().join("records/000001.ndjson");
    let text = std::fs::read_to_string(&records).unwrap();
    let short = [3, 4, 17];
    let damaged: String = text
        .lines()
        .map(|line| {
            let mut record: serde_json::Value = serde_json::from_str(line).unwrap();
            if short.contains(&record["seq"].as_u64().unwrap()) {
                // Of the same length, so that the tape's index still fits.
                let padded = record["encrypt_chat_msg"].as_str().unwrap().len();
                record["encrypt_chat_msg"] = json!("QUFB");
                record["padding"] = json!("x".repeat(padded - 4 - r#","padding":"""#.len()));
            }
            format!("{}\n", ordered(&record))
        })
        .collect();
    assert_eq!(damaged.len(), text.len());
    std::fs::write(&records, damaged).unwrap();
    let Some(hybrid) = hybrid(&run) else {
        return skipped(name, "no C compiler");
    };
    configure(&run, hybrid.to_str().unwrap());
    let simulator = huicun_tape::testing::simulator_library();
    let huicun = run.command();
    let mut command = Command::new("unshare");
    command
        .arg("-rn")
        .arg(huicun.get_program())
        .args(huicun.get_args())
        .args(["pull", "--once"]);
    command
        .env("FINANCE_SDK_TAPE", run.tape())
        .env("HYBRID_PAGES", &simulator)
        .env("HYBRID_DECRYPT", &library);
    let ran: Ran = command.output().unwrap().into();
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    let table = Archive::of(&run).agreeing();
    assert_eq!((table.n_ok, table.cursor), (0, 20));
    let reason = |seq: u64| {
        if short.contains(&seq) {
            "sdk_crash"
        } else {
            "sdk_10008"
        }
    };
    let expected: Vec<(u64, String)> = (1..=20).map(|seq| (seq, reason(seq).to_owned())).collect();
    assert_eq!(table.quarantined, expected);
    suite.done(20, "records, 3 of which end its process");
}

/// As the tape writes records: its fields in their order, what is new behind them.
fn ordered(record: &serde_json::Value) -> String {
    let names = [
        "seq",
        "msgid",
        "publickey_ver",
        "encrypt_random_key",
        "encrypt_chat_msg",
        "padding",
    ];
    let fields: Vec<String> = names
        .iter()
        .filter(|name| !record[**name].is_null())
        .map(|name| format!("\"{name}\":{}", record[*name]))
        .collect();
    format!("{{{}}}", fields.join(","))
}

fn hybrid(run: &Installation) -> Option<PathBuf> {
    let source = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/faults/hybrid.c");
    let library = run.path("libhybrid.so");
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .arg(&library)
        .arg(source)
        .arg("-ldl")
        .output()
        .ok()?;
    assert!(
        built.status.success(),
        "{}",
        String::from_utf8_lossy(&built.stderr)
    );
    Some(library)
}
