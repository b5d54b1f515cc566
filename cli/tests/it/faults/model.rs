//! Any interleaving of what an operator, a clock or an accident may do to an archive equals a
//! plain list of messages: table, index, search and cursor (a property test).
//!
//! The model knows nothing of commits, files or pages. It is a list of records that WeCom holds,
//! and the rules of the contract: each msgid once, other content under it set aside, what cannot
//! be read set aside until its key comes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use huicun_tape::{Keys, TapeOptions, TapeWriter};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value, json};

use super::archive::{Archive, CORP, cursor, has};
use super::scale::{Dice, Suite, scaled};
use crate::support::{Installation, encoded};

/// Records on the tape.
const N_RECORDS: u64 = 60;
const PAGE_RECORDS: u64 = 5;
/// The key version that the installation lacks at first.
const LATE_KEY: u32 = 3;

/// One thing that happens.
#[derive(Debug, Clone)]
enum Step {
    /// A pull of so many pages.
    Pull { pages: u64 },
    /// A pull that is killed after so many milliseconds.
    KilledPull { ms: u64 },
    /// An import of the records in a range of seqs, and of a line that is no message.
    Import { from: u64, n: u64 },
    /// An import that is killed, and done again.
    KilledImport { from: u64, n: u64, ms: u64 },
    /// The index is deleted.
    IndexLost,
    /// A writer died and left files that nobody knows.
    Litter,
    /// The missing key is found, and what waited for it is tried again.
    KeyFound,
    /// A command that changes files and no message.
    Upkeep { which: usize },
    /// As that, killed after so many milliseconds.
    KilledUpkeep { which: usize, ms: u64 },
}

/// Commands that change files and no message, as far as this build has them.
const UPKEEP: [&[&str]; 4] = [&["compact"], &["vacuum"], &["reindex"], &["rebuild"]];
const RETRY: &[&str] = &["quarantine", "retry"];

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let range = || (1..=N_RECORDS, 1_u64..20);
    let step = prop_oneof![
        4 => (1_u64..5).prop_map(|pages| Step::Pull { pages }),
        2 => (0_u64..600).prop_map(|ms| Step::KilledPull { ms }),
        2 => range().prop_map(|(from, n)| Step::Import { from, n }),
        1 => (range(), 0_u64..300).prop_map(|((from, n), ms)| Step::KilledImport { from, n, ms }),
        1 => Just(Step::IndexLost),
        1 => Just(Step::Litter),
        1 => Just(Step::KeyFound),
        2 => (0..UPKEEP.len()).prop_map(|which| Step::Upkeep { which }),
        1 => (0..UPKEEP.len(), 0_u64..400).prop_map(|(which, ms)| Step::KilledUpkeep { which, ms }),
    ];
    proptest::collection::vec(step, 2..9)
}

/// A record as WeCom holds it.
#[derive(Debug, Clone)]
struct Record {
    seq: u64,
    key: u32,
    msgid: String,
    words: String,
    message: String,
}

/// Some under the late key, some sent again, some with other content, some that are no JSON.
fn records() -> Vec<Record> {
    let record = |seq: u64| {
        let key = match seq % 7 {
            3 => LATE_KEY,
            _ => 1 + (seq % 2) as u32,
        };
        let (of, words) = match seq % 11 {
            // Sent again; what waits for its key is not, so that no rule is needed for both.
            5 if seq > 11 && key != LATE_KEY && (seq - 4) % 7 != 3 => (seq - 4, seq - 4),
            // Other content under an old msgid.
            8 if seq > 11 && key != LATE_KEY && (seq - 6) % 7 != 3 => (seq - 6, seq),
            _ => (seq, seq),
        };
        let (msgid, words) = (format!("m{of}"), format!("第{words}条话"));
        let message = match seq % 19 {
            4 if of == seq => format!("no json {seq}"),
            _ => json!({"msgid": msgid, "action": "send", "from": format!("e{}", of % 3), "tolist": ["wm1"],
                        "roomid": "", "msgtime": 1_726_000_000_000 + of as i64 * 40_000_000, "msgtype": "text",
                        "text": {"content": words}}).to_string(),
        };
        Record {
            seq,
            key,
            msgid,
            words,
            message,
        }
    };
    (1..=N_RECORDS).map(record).collect()
}

/// What the archive must hold.
#[derive(Debug, Default)]
struct Model {
    /// msgid to words.
    messages: BTreeMap<String, String>,
    /// What was set aside: (seq, reason).
    quarantined: BTreeSet<(u64, &'static str)>,
    /// Contents that were set aside, of which a second is none.
    contents: BTreeSet<String>,
    cursor: u64,
    has_late_key: bool,
}

impl Model {
    fn set_aside(&mut self, seq: u64, reason: &'static str, content: String) {
        if self.contents.insert(content) {
            self.quarantined.insert((seq, reason));
        }
    }

    fn take(&mut self, record: &Record) {
        if !record.message.starts_with('{') {
            return self.set_aside(record.seq, "not_json", record.message.clone());
        }
        match self.messages.get(&record.msgid) {
            None => {
                self.messages
                    .insert(record.msgid.clone(), record.words.clone());
            }
            Some(known) if *known == record.words => {}
            Some(_) => self.set_aside(record.seq, "conflict", record.message.clone()),
        }
    }

    fn deliver(&mut self, record: &Record) {
        if record.key == LATE_KEY && !self.has_late_key {
            self.set_aside(record.seq, "missing_key", format!("sealed {}", record.seq));
        } else {
            self.take(record);
        }
        self.cursor = record.seq;
    }

    fn find_key(&mut self, records: &[Record], is_retried: bool) {
        self.has_late_key = true;
        if !is_retried {
            return;
        }
        let parked: Vec<u64> = self
            .quarantined
            .iter()
            .filter(|(_, r)| *r == "missing_key")
            .map(|(s, _)| *s)
            .collect();
        for seq in parked {
            self.quarantined.remove(&(seq, "missing_key"));
            self.contents.remove(&format!("sealed {seq}"));
            self.take(&records[seq as usize - 1]);
        }
    }
}

/// A company, its archive, and the model beside it.
struct World<'a> {
    run: &'a Installation,
    records: &'a [Record],
    /// Commands that this build has.
    upkeep: &'a [&'a [&'a str]],
    can_retry: bool,
    model: Model,
}

impl World<'_> {
    fn archive(&self) -> Archive<'_> {
        Archive::of(self.run)
    }

    fn configure(&self) {
        let library = huicun_tape::testing::simulator_library();
        let versions = if self.model.has_late_key { 3 } else { 2 };
        let keys: String = (1..=versions)
            .map(|v| format!("{v} = \"tape/keys/v{v}.pem\"\n"))
            .collect();
        let text = format!(
            "[pull]\npage_records = {PAGE_RECORDS}\ncommit_records_max = 10\ncommit_wait_ms = 1\n\
             [[corp]]\ncorpid = \"{CORP}\"\nsecret = \"tape-secret\"\nsdk_library = \"{}\"\n[corp.keys]\n{keys}",
            library.display()
        );
        self.run.write("huicun.toml", &text);
    }

    /// WeCom has nothing more after so many pages.
    fn order_pages(&self, pages: u64) {
        let rule = json!({"call": "GetChatData", "nth": pages + 1, "action": "missing_chatdata"});
        self.run
            .write("tape/faults.json", &json!({"rules": [rule]}).to_string());
    }

    fn ok(&self, arguments: &[&str]) -> Result<(), TestCaseError> {
        let ran = self.archive().run(arguments);
        prop_assert_eq!(ran.status, 0, "{:?}: {}", arguments, ran.stderr);
        Ok(())
    }

    /// Runs it and kills it after a while; whether it was still at work is not known.
    fn killed(&self, arguments: &[&str], ms: u64) {
        let mut running = self.run.start(arguments);
        std::thread::sleep(Duration::from_millis(ms));
        running.kill();
    }

    /// Moves the model to the cursor that a killed pull left.
    fn follow_the_cursor(&mut self) {
        let found = cursor(&self.run.data(), CORP);
        let news = self
            .records
            .iter()
            .filter(|r| r.seq > self.model.cursor && r.seq <= found);
        for record in news.cloned().collect::<Vec<_>>() {
            self.model.deliver(&record);
        }
    }

    fn import(&mut self, from: u64, n: u64) -> String {
        let mut lines = format!("no message {from}\n");
        self.model
            .set_aside(1_000_000 + from, "not_json", format!("no message {from}"));
        let chosen = self
            .records
            .iter()
            .filter(|r| (from..from + n).contains(&r.seq));
        // What is sealed under the late key is nowhere in plain text.
        for record in chosen.filter(|r| r.key != LATE_KEY && r.message.starts_with('{')) {
            let message: Value = serde_json::from_str(&record.message).unwrap();
            lines += &format!(
                "{}\n",
                json!({"seq": record.seq, "publickey_ver": record.key, "message": message})
            );
            self.model.take(record);
        }
        let file = self.run.write("import.ndjson", &lines);
        file.to_str().unwrap().to_owned()
    }

    fn take(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match *step {
            Step::Pull { pages } => {
                self.order_pages(pages);
                self.ok(&["pull", "--once"])?;
                let before = self.model.cursor;
                self.follow_the_cursor();
                let expected = (before + pages * PAGE_RECORDS).min(N_RECORDS);
                prop_assert_eq!(self.model.cursor, expected, "the pull's cursor");
            }
            Step::KilledPull { ms } => {
                self.order_pages(N_RECORDS);
                self.killed(&["pull", "--once"], ms);
                self.follow_the_cursor();
            }
            Step::Import { from, n } => {
                let file = self.import(from, n);
                self.ok(&["import", "messages", &file])?;
            }
            Step::KilledImport { from, n, ms } => {
                let file = self.import(from, n);
                self.killed(&["import", "messages", &file], ms);
                self.ok(&["import", "messages", &file])?;
            }
            Step::IndexLost => {
                let _ = std::fs::remove_dir_all(self.run.data().join("index"));
            }
            Step::Litter => self.litter(),
            Step::KeyFound => {
                if !self.model.has_late_key {
                    self.model
                        .find_key(self.records, self.can_retry && self.archive().exists());
                    self.configure();
                    if self.can_retry && self.archive().exists() {
                        self.ok(RETRY)?;
                    }
                }
            }
            Step::Upkeep { which } => {
                if let Some(command) = self.upkeep.get(which).filter(|_| self.archive().exists()) {
                    self.ok(command)?;
                }
            }
            Step::KilledUpkeep { which, ms } => {
                if let Some(command) = self.upkeep.get(which).filter(|_| self.archive().exists()) {
                    self.killed(command, ms);
                }
            }
        }
        Ok(())
    }

    fn litter(&self) {
        let table = self.run.data().join("tables/messages");
        if self.archive().exists() {
            let write = |path: &Path| std::fs::write(path, b"half of a").unwrap();
            std::fs::create_dir_all(table.join("day=2024-09-11")).unwrap();
            write(&table.join("day=2024-09-11/part-00000-dead.parquet"));
            write(&table.join("day=2024-09-11/part-00001-dead.parquet#4711"));
            write(&table.join("_delta_log/00000000000000000099.json#4712"));
        }
    }

    fn check(&self) -> Result<(), TestCaseError> {
        let archive = self.archive();
        if !archive.exists() {
            prop_assert!(self.model.messages.is_empty() && self.model.quarantined.is_empty());
            return Ok(());
        }
        let table = archive.agreeing();
        let expected: BTreeSet<String> = self.model.messages.keys().cloned().collect();
        prop_assert_eq!(&table.msgids, &expected, "messages");
        prop_assert_eq!(table.cursor, self.model.cursor, "cursor");
        // Lines of an import have their own numbers.
        let mut found: Vec<(u64, String)> = table.quarantined;
        let mut expected: Vec<(u64, String)> = self
            .model
            .quarantined
            .iter()
            .map(|(s, r)| (*s, (*r).to_owned()))
            .collect();
        for list in [&mut found, &mut expected] {
            for row in list
                .iter_mut()
                .filter(|row| row.1 == "not_json" || row.1 == "conflict")
            {
                row.0 = 0;
            }
            list.sort_unstable();
        }
        prop_assert_eq!(found, expected, "quarantine");
        Ok(())
    }

    /// Every message is found by its words, and by nothing else.
    fn check_search(&self) -> Result<(), TestCaseError> {
        if !self.archive().exists() {
            return Ok(());
        }
        let server = self.run.serve("serve");
        let client = server.client(&self.run.token("all"));
        for (msgid, words) in &self.model.messages {
            let hits = client
                .get(&format!("/v1/search?limit=1000&q={}", encoded(words)))
                .items();
            let found: Vec<&str> = hits
                .iter()
                .filter_map(|hit| hit["msgid"].as_str())
                .collect();
            prop_assert_eq!(found, [msgid.as_str()], "search for `{}`", words);
        }
        Ok(())
    }
}

#[test]
fn any_interleaving_equals_the_plain_list() {
    let dice = Dice::new(40);
    let suite = Suite::begin("model of any interleaving", &dice);
    let run = Installation::new();
    let options = TapeOptions {
        keys: Keys::Generate { versions: LATE_KEY },
        ..TapeOptions::default()
    };
    let records = records();
    let mut writer = TapeWriter::create(run.tape(), options).unwrap();
    for record in &records {
        writer
            .append_as(
                record.seq,
                record.key,
                &record.msgid,
                record.message.as_bytes(),
            )
            .unwrap();
    }
    writer.finish().unwrap();
    let upkeep: Vec<&[&str]> = UPKEEP
        .into_iter()
        .filter(|command| has(&run, command))
        .collect();
    let can_retry = has(&run, RETRY);
    let n = scaled(12, 300);
    let config = Config {
        cases: n as u32,
        max_shrink_iters: 40,
        failure_persistence: None,
        ..Config::default()
    };
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&dice.seed().to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let mut n_steps = 0;
    let counted = std::cell::RefCell::new(&mut n_steps);
    let outcome = TestRunner::new_with_rng(config, rng).run(&steps(), |steps| {
        if run.data().exists() {
            std::fs::remove_dir_all(run.data()).unwrap();
        }
        let mut world = World {
            run: &run,
            records: &records,
            upkeep: &upkeep,
            can_retry,
            model: Model::default(),
        };
        world.configure();
        for (number, step) in steps.iter().enumerate() {
            world.take(step)?;
            **counted.borrow_mut() += 1;
            if number % 3 == 2 {
                world.check()?;
            }
        }
        world.check()?;
        world.check_search()
    });
    if let Err(failure) = outcome {
        panic!("seed {}: {failure}", dice.seed());
    }
    let commands: Vec<String> = upkeep.iter().map(|c| c.join(" ")).collect();
    let retries = if can_retry { ", quarantine retry" } else { "" };
    suite.done(
        n,
        &format!(
            "{n_steps} steps; pull, import, kill, lost index{retries} {}",
            commands.join(", ")
        ),
    );
}
