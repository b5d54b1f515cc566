//! Pages that no honest server would send, and those that an honest one may: the same message
//! under a new seq, other content under an old one, disorder, gaps, keys that change in mid-page.

use std::collections::BTreeMap;

use huicun_tape::{Keys, Tape, TapeOptions, TapeWriter};
use serde_json::{Value, json};

use super::archive::{Archive, CORP};
use super::scale::{Dice, Suite, scaled};
use crate::support::Installation;

fn text(msgid: &str, words: &str) -> String {
    json!({"msgid": msgid, "action": "send", "from": "zhang", "tolist": ["wm1"], "roomid": "",
           "msgtime": 1_726_000_000_000_i64, "msgtype": "text", "text": {"content": words}})
    .to_string()
}

/// A tape of (seq, key version, message).
fn tape(run: &Installation, records: &[(u64, u32, String)], versions: u32) {
    if run.tape().exists() {
        std::fs::remove_dir_all(run.tape()).unwrap();
    }
    let options = TapeOptions {
        keys: Keys::Generate { versions },
        ..TapeOptions::default()
    };
    let mut writer = TapeWriter::create(run.tape(), options).unwrap();
    for (seq, version, message) in records {
        writer.append(*seq, *version, message.as_bytes()).unwrap();
    }
    writer.finish().unwrap();
    run.configure("[pull]\npage_records = 10\ncommit_records_max = 10\ncommit_wait_ms = 1\n");
}

/// The records of the tape as the simulator would give them, by seq.
fn sealed(run: &Installation) -> BTreeMap<u64, Value> {
    let tape = Tape::open(run.tape()).unwrap();
    let (mut all, mut after) = (BTreeMap::new(), 0);
    loop {
        let page: Value = serde_json::from_str(&tape.page(after, 1000).unwrap()).unwrap();
        let records = page["chatdata"].as_array().cloned().unwrap_or_default();
        if records.is_empty() {
            return all;
        }
        for record in records {
            after = record["seq"].as_u64().unwrap();
            all.insert(after, record);
        }
    }
}

fn page_of(records: &[Value]) -> Value {
    let text = json!({"errcode": 0, "errmsg": "ok", "chatdata": records}).to_string();
    json!({"reply": text})
}

/// Page by page: the answer to the pull that starts after `seq`.
fn replies(run: &Installation, answers: &[(u64, Value)]) {
    let rules: Vec<Value> = answers
        .iter()
        .map(|(seq, action)| json!({"call": "GetChatData", "seq": seq, "times": 1, "action": action}))
        .collect();
    let faults = json!({"persist_counters": true, "rules": rules});
    run.write("tape/faults.json", &faults.to_string());
}

#[test]
fn a_message_under_a_new_seq_is_kept_once() {
    let mut dice = Dice::new(30);
    let suite = Suite::begin("same message, new seq", &dice);
    let run = Installation::new();
    let n = scaled(40, 4_000);
    let (mut records, mut originals) = (Vec::new(), 0);
    for seq in 1..=n {
        let which = if seq > 1 && dice.below(2) == 0 {
            1 + dice.below(originals)
        } else {
            originals += 1;
            originals
        };
        records.push((
            seq,
            1 + (seq % 2) as u32,
            text(&format!("m{which}"), &format!("第{which}条")),
        ));
    }
    tape(&run, &records, 2);
    run.configure("[pull]\npage_records = 100\n");
    let archive = Archive::of(&run);
    let said = archive.drain().ok().stderr;
    let expected = format!(
        "{originals} archived, 0 quarantined, {} already there",
        n - originals
    );
    assert!(said.contains(&expected), "{said}");
    let table = archive.agreeing();
    assert_eq!((table.n_ok, table.cursor), (originals, n));
    assert_eq!(table.quarantined, []);
    suite.done(n - originals, "duplicates");
}

#[test]
fn another_content_under_a_msgid_or_a_seq_is_set_aside_and_nothing_is_lost() {
    let suite = Suite::begin("same id, other content", &Dice::new(0));
    let run = Installation::new();
    let mut records: Vec<_> = (1..=30)
        .map(|seq| (seq, 1, text(&format!("m{seq}"), "甲")))
        .collect();
    // Other content under the msgids of 1 to 10.
    records.extend((31..=40).map(|seq| (seq, 1, text(&format!("m{}", seq - 30), "乙"))));
    tape(&run, &records, 2);
    let sealed = sealed(&run);
    // The page after 10 holds two records under each of its seqs.
    let (mut twice, mut rest) = (Vec::new(), Vec::new());
    for seq in 11..=15 {
        twice.push(sealed[&seq].clone());
        let mut other = sealed[&(seq + 5)].clone();
        other["seq"] = json!(seq);
        twice.push(other);
        rest.push(sealed[&(seq + 5)].clone());
    }
    replies(&run, &[(10, page_of(&twice)), (15, page_of(&rest))]);
    let archive = Archive::of(&run);
    archive.drain().ok();
    let table = archive.agreeing();
    let expected: Vec<(u64, String)> = (31..=40).map(|seq| (seq, "conflict".to_owned())).collect();
    let behind: Vec<(u64, String)> = table
        .quarantined
        .iter()
        .filter(|(seq, _)| *seq > 30)
        .cloned()
        .collect();
    assert_eq!(behind, expected);
    // Nothing was lost under a doubled seq: what came there is set aside at most, and it came
    // under its own.
    assert_eq!((table.n_ok, table.cursor), (30, 40));
    let doubled = table.quarantined.len() - expected.len();
    assert!(doubled == 0 || doubled == 5, "{:?}", table.quarantined);
    suite.done(10 + 5, "conflicts and doubled seqs");
}

#[test]
fn disorder_and_gaps_within_a_page_lose_nothing() {
    let mut dice = Dice::new(31);
    let suite = Suite::begin("disorder and gaps", &dice);
    let run = Installation::new();
    let n_pages = scaled(6, 100);
    let (mut seq, mut records) = (0, Vec::new());
    for k in 0..n_pages * 10 {
        // From nothing missing to a hole of thousands.
        let widest = 1 << dice.below(14);
        seq += 1 + dice.below(widest);
        records.push((seq, 1, text(&format!("m{k}"), "甲")));
    }
    tape(&run, &records, 2);
    let sealed = sealed(&run);
    let mut answers = Vec::new();
    let mut after = 0;
    for page in records.chunks(10) {
        let mut shuffled: Vec<Value> = page.iter().map(|(seq, _, _)| sealed[seq].clone()).collect();
        for k in (1..shuffled.len()).rev() {
            shuffled.swap(k, dice.below(k as u64 + 1) as usize);
        }
        answers.push((after, page_of(&shuffled)));
        after = page.last().unwrap().0;
    }
    replies(&run, &answers);
    let archive = Archive::of(&run);
    archive.drain().ok();
    let table = archive.agreeing();
    assert_eq!((table.n_ok, table.cursor), (n_pages * 10, seq));
    assert!(records.iter().all(|(seq, _, _)| table.seqs.contains(seq)));
    suite.done(n_pages, "shuffled pages with gaps");
}

#[test]
fn a_page_that_goes_back_or_leaps_is_asked_for_again() {
    let suite = Suite::begin("senseless seqs", &Dice::new(0));
    let run = Installation::new();
    let records: Vec<_> = (1..=30)
        .map(|seq| (seq, 1, text(&format!("m{seq}"), "甲")))
        .collect();
    tape(&run, &records, 2);
    let sealed = sealed(&run);
    let with_seq = |seq: u64| {
        let mut record = sealed[&12].clone();
        record["seq"] = json!(seq);
        page_of(&[record])
    };
    // A page from before; a seq that no table can hold; a record without one.
    let mut nameless = sealed[&12].clone();
    nameless["seq"] = json!("twelve");
    replies(
        &run,
        &[
            (10, with_seq(3)),
            (20, with_seq(u64::MAX)),
            (30, page_of(&[nameless])),
        ],
    );
    let archive = Archive::of(&run);
    archive.drain().ok();
    let table = archive.agreeing();
    assert_eq!((table.n_ok, table.cursor), (30, 30));
    suite.done(3, "asked for again");
}

#[test]
fn keys_may_change_in_mid_page_and_a_missing_one_parks_its_records() {
    let mut dice = Dice::new(32);
    let suite = Suite::begin("key rotation in mid-page", &dice);
    let n_rotations = 10;
    let run = Installation::new();
    // Ten versions, each change at another place of a page; with overlaps of both.
    let mut records = Vec::new();
    for version in 1..=n_rotations {
        for k in 0..8 + dice.below(9) {
            let overlapping = version > 1 && k < 3 && dice.below(2) == 0;
            let seq = records.len() as u64 + 1;
            let version = if overlapping { version - 1 } else { version };
            records.push((seq, version, text(&format!("m{seq}"), "甲")));
        }
    }
    tape(&run, &records, n_rotations);
    let n = records.len() as u64;
    let missing = [4, 10];
    let keys = |missing: &[u32]| {
        let library = huicun_tape::testing::simulator_library();
        let mut text = format!(
            "[pull]\npage_records = 10\n[[corp]]\ncorpid = \"{CORP}\"\nsecret = \"tape-secret\"\n\
             sdk_library = \"{}\"\n[corp.keys]\n",
            library.display()
        );
        for version in (1..=n_rotations).filter(|v| !missing.contains(v)) {
            text += &format!("{version} = \"tape/keys/v{version}.pem\"\n");
        }
        run.write("huicun.toml", &text);
    };
    keys(&missing);
    let archive = Archive::of(&run);
    archive.drain().ok();
    let table = archive.agreeing();
    let parked: Vec<(u64, String)> = records
        .iter()
        .filter(|(_, version, _)| missing.contains(version))
        .map(|(seq, _, _)| (*seq, "missing_key".to_owned()))
        .collect();
    assert_eq!(table.quarantined, parked);
    assert_eq!((table.n_ok, table.cursor), (n - parked.len() as u64, n));
    suite.done(
        u64::from(n_rotations),
        &format!("rotations, {} records parked", parked.len()),
    );
}
