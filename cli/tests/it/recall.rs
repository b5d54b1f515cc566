//! Nothing is missed: what a literal finds is what a scan of all texts finds, for thousands of
//! literals cut out of the texts themselves, and again after compaction and with the index built
//! anew. Over real texts where this machine has them, else over those of the demo company.

use std::collections::HashMap;
use std::io::Read;
use std::sync::Arc;

use huicun_engine::access::Scope;
use huicun_engine::archive::Home;
use huicun_engine::directory::Directory;
use huicun_indexer::index::fold::fold_str;
use huicun_indexer::index::{Query, Question, SearchIndex};
use serde_json::Value;

use crate::support::{Installation, real_data, text_line};

/// Of the newest hits so many are compared one by one; of all, how many they are.
const COMPARED: usize = 50;

/// A literal and what a scan finds: how many texts, and the newest of them.
struct Expected {
    literal: String,
    n_texts: u64,
    newest: Vec<usize>,
}

/// Real utterances, or those of the demo company, with how many literals to cut from them.
fn texts() -> (Vec<String>, usize) {
    if let Some(file) = real_data("texts.txt.zst") {
        let mut all = String::new();
        let mut input = huicun_indexer::ingest::import::open(&file).unwrap();
        input.read_to_string(&mut all).unwrap();
        let some = all.lines().step_by(4).map(String::from);
        return (some.collect(), 10_000);
    }
    let run = Installation::new();
    let folder = run.path("made");
    let options = ["--messages", "6000", "--employees", "20", "--days", "5"];
    run.run(&[&["demo", "make", folder.to_str().unwrap()][..], &options].concat())
        .ok();
    let lines = std::fs::read_to_string(folder.join("messages.ndjson")).unwrap();
    let texts = lines.lines().filter_map(|line| {
        let line: Value = serde_json::from_str(line).ok()?;
        line["message"]["text"]["content"]
            .as_str()
            .map(String::from)
    });
    (texts.collect(), 2_000)
}

/// Numbers that look random and are the same each time.
fn dice() -> impl FnMut(usize) -> usize {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    move |below| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below.max(1) as u64) as usize
    }
}

/// Pieces of one to eight characters, as somebody would type them: without blanks, and in other
/// case or width now and then.
fn literals(texts: &[String], n: usize) -> Vec<String> {
    let mut roll = dice();
    let mut found = Vec::with_capacity(n);
    while found.len() < n {
        let text: Vec<char> = texts[roll(texts.len())].chars().collect();
        let (start, length) = (roll(text.len()), 1 + roll(8));
        let piece = text.iter().skip(start).take(length);
        let piece: String = piece.filter(|c| !c.is_whitespace()).collect();
        let is_there = |text: &[char]| {
            let text: String = text.iter().collect();
            text.contains(&piece)
        };
        if piece.is_empty() || !is_there(&text) {
            continue;
        }
        found.push(match roll(8) {
            0 => piece.to_uppercase(),
            1 => widened(&piece),
            _ => piece,
        });
    }
    found
}

/// ASCII in its full-width forms.
fn widened(text: &str) -> String {
    let wide = |c: char| match c {
        '!'..='~' => char::from_u32(u32::from(c) + 0xfee0).unwrap(),
        _ => c,
    };
    text.chars().map(wide).collect()
}

fn folded(text: &str) -> String {
    let mut out = String::new();
    fold_str(text, &mut out);
    out
}

/// What a scan of all texts finds, newest first.
fn scan(texts: &[String], literals: &[String]) -> Vec<Expected> {
    let texts: Vec<String> = texts.iter().map(|text| folded(text)).collect();
    let one = |literal: &String| {
        let wanted = folded(literal);
        let mut found: Vec<usize> = (0..texts.len())
            .filter(|i| texts[*i].contains(&wanted))
            .collect();
        let n_texts = found.len() as u64;
        found.reverse();
        found.truncate(COMPARED);
        Expected {
            literal: literal.clone(),
            n_texts,
            newest: found,
        }
    };
    let half = literals.len() / 2;
    std::thread::scope(|scope| {
        let first = scope.spawn(|| literals[..half].iter().map(one).collect::<Vec<_>>());
        let mut all: Vec<Expected> = literals[half..].iter().map(one).collect();
        all.extend(first.join().unwrap());
        all
    })
}

/// Asks the index for every literal and compares.
fn compare(run: &Installation, expected: &[Expected], when: &str) {
    let home = Home::open(&run.data()).unwrap();
    let index = SearchIndex::open(&home.index()).unwrap().unwrap();
    let directory = Arc::new(Directory::from_tables(HashMap::new()));
    let scope = Scope::local_operator();
    for one in expected {
        let quoted = one.literal.replace('\\', "\\\\").replace('"', "\\\"");
        let question = Question {
            query: Query::parse(&format!("\"{quoted}\"")).unwrap(),
            limit: COMPARED,
            ..Question::default()
        };
        let found = index.search(&scope, &directory, &question).unwrap();
        let newest: Vec<usize> = found
            .hits
            .iter()
            .map(|hit| hit.message.seq as usize - 1)
            .collect();
        assert_eq!(newest, one.newest, "{:?} {when}", one.literal);
        assert_eq!(found.n_total, one.n_texts, "{:?} {when}", one.literal);
    }
}

#[test]
fn a_literal_finds_what_a_scan_of_all_texts_finds() {
    let (texts, n_literals) = texts();
    let run = Installation::new();
    let lines: Vec<String> = texts
        .iter()
        .zip(1_u64..)
        .map(|(text, seq)| text_line(seq, "wm1", "zhang", seq as i64 * 1_000, text))
        .collect();
    // Two imports, so that there is something to compact.
    for part in lines.chunks(lines.len() / 2 + 1) {
        run.run_with_input(&["import", "messages", "-"], part.concat().as_bytes())
            .ok();
    }
    let expected = scan(&texts, &literals(&texts, n_literals));
    compare(&run, &expected, "after the import");
    run.run(&["compact"]).ok();
    compare(&run, &expected, "after a compaction");
    run.run(&["reindex"]).ok();
    compare(&run, &expected, "with the index built anew");
    std::fs::remove_dir_all(run.data().join("index")).unwrap();
    run.run(&["search", "", "--limit", "1"]).ok();
    compare(&run, &expected, "after the index was deleted");
}
