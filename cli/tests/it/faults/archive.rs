//! A data directory seen from outside, through the binary: what is in it, and whether it is whole.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde_json::Value;

use crate::support::{Installation, Ran};

/// The corp of the tapes that the tests make.
pub const CORP: &str = "wwtape";

/// One data directory of an installation, which may lie elsewhere (on a copy of a disk).
pub struct Archive<'a> {
    run: &'a Installation,
    data: PathBuf,
}

/// What the table says.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// Readable rows.
    pub n_ok: u64,
    /// Quarantined rows, each as (seq, reason).
    pub quarantined: Vec<(u64, String)>,
    /// msgids of the readable rows.
    pub msgids: BTreeSet<String>,
    /// seqs of all rows.
    pub seqs: BTreeSet<u64>,
    /// The pull's cursor.
    pub cursor: u64,
}

impl<'a> Archive<'a> {
    pub fn of(run: &'a Installation) -> Self {
        Self::at(run, &run.data())
    }

    pub fn at(run: &'a Installation, data: &Path) -> Self {
        let data = data.to_path_buf();
        Self { run, data }
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        let mut command = self.run.command_without_data();
        command.arg("--data").arg(&self.data).args(arguments);
        command.output().unwrap().into()
    }

    /// Whether anything was committed to the table yet.
    pub fn exists(&self) -> bool {
        self.data
            .join("tables/messages/_delta_log/00000000000000000000.json")
            .is_file()
    }

    #[track_caller]
    pub fn table(&self) -> Table {
        let sql = "SELECT seq, msgid, status, reason FROM messages";
        let mut table = Table {
            cursor: cursor(&self.data, CORP),
            ..Table::default()
        };
        for row in self.run(&["sql", sql]).ok().rows() {
            let seq = row["seq"].as_u64().unwrap();
            table.seqs.insert(seq);
            if row["status"] == "ok" {
                table.n_ok += 1;
                let msgid = row["msgid"].as_str().unwrap().to_owned();
                assert!(
                    table.msgids.insert(msgid.clone()),
                    "`{msgid}` is there twice"
                );
            } else {
                let reason = row["reason"].as_str().unwrap().to_owned();
                table.quarantined.push((seq, reason));
            }
        }
        table.quarantined.sort_unstable();
        table
    }

    /// msgids that search finds, once each.
    #[track_caller]
    pub fn found(&self) -> BTreeSet<String> {
        let rows = self.run(&["search", "", "--limit", "0"]).ok().rows();
        let n = rows.len();
        let msgid = |row: &Value| row["msgid"].as_str().unwrap().to_owned();
        let found: BTreeSet<String> = rows.iter().map(msgid).collect();
        assert_eq!(found.len(), n, "the index has a message twice");
        found
    }

    /// The table, after a check that the index says the same.
    #[track_caller]
    pub fn agreeing(&self) -> Table {
        let table = self.table();
        let found = self.found();
        assert!(
            found == table.msgids,
            "the index has {} messages, the table {}",
            found.len(),
            table.msgids.len()
        );
        table
    }

    /// Of a tape with every seq from 1 and only readable messages: all up to the cursor are
    /// there, none behind it, and the index agrees. The cursor.
    #[track_caller]
    pub fn whole_to_its_cursor(&self) -> u64 {
        let table = self.agreeing();
        let account = account(&self.data, CORP);
        assert_eq!(
            (account.to, account.archived),
            (table.cursor, table.n_ok),
            "the account"
        );
        assert_eq!(table.quarantined, [], "nothing here is unreadable");
        assert_eq!(table.n_ok, table.cursor, "rows and cursor differ");
        let last = table.seqs.last().copied().unwrap_or(0);
        assert_eq!(last, table.cursor, "rows behind the cursor");
        table.cursor
    }

    /// As [`Self::whole_to_its_cursor`], up to the tape's end.
    #[track_caller]
    pub fn whole(&self, n: u64) {
        assert_eq!(self.whole_to_its_cursor(), n);
        if has(self.run, &["verify"]) {
            let verified = self.run(&["verify"]);
            assert_eq!(verified.status, 0, "{}{}", verified.stdout, verified.stderr);
        }
    }

    /// Pulls what is left.
    pub fn drain(&self) -> Ran {
        self.run(&["pull", "--once"])
    }
}

/// Whether the binary under test has a command.
pub fn has(run: &Installation, command: &[&str]) -> bool {
    static KNOWN: Mutex<BTreeMap<String, bool>> = Mutex::new(BTreeMap::new());
    let mut known = KNOWN.lock().unwrap();
    let look = || run.run(&[command, &["--help"]].concat()).status == 0;
    *known.entry(command.join(" ")).or_insert_with(look)
}

/// What the commits of the log say that they took in.
#[derive(Debug, Default)]
pub struct Account {
    pub archived: u64,
    /// Where the last move of the cursor ends.
    pub to: u64,
}

/// Adds up the accounts of a source's commits, after a check that each adds up in itself and that
/// the moves of the cursor follow one another without a hole.
#[track_caller]
pub fn account(data: &Path, source: &str) -> Account {
    let mut account = Account::default();
    for action in commits(data).iter().flat_map(|commit| actions(commit)) {
        let one = &action["commitInfo"]["huicunDelivery"];
        if one["source"] != source {
            continue;
        }
        let number = |key: &str| one[key].as_u64().unwrap_or(0);
        let kept = number("archived") + number("quarantined") + number("deduplicated");
        assert_eq!(number("delivered"), kept, "{one}");
        account.archived += number("archived");
        if let Some(to) = one["to"].as_u64() {
            assert_eq!(number("after"), account.to, "{one}");
            account.to = to;
        }
    }
    account
}

/// The last seq that is safely in, read from Delta's log without any code of ours; 0 at first.
pub fn cursor(data: &Path, source: &str) -> u64 {
    let steps = commits(data);
    let steps = steps.iter().rev().flat_map(|commit| actions(commit));
    let mut steps = steps.filter(|action| action["txn"]["appId"] == source);
    steps
        .next()
        .map_or(0, |action| action["txn"]["version"].as_u64().unwrap())
}

/// The files of the log, oldest first.
fn commits(data: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(data.join("tables/messages/_delta_log")) else {
        return Vec::new();
    };
    let mut commits: Vec<PathBuf> = entries.map(|e| e.unwrap().path()).collect();
    commits.retain(|path| path.extension().is_some_and(|e| e == "json"));
    commits.sort();
    commits
}

fn actions(commit: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(commit).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// NDJSON of `n` text messages, one a seq from 1 on, under both keys.
pub fn company(n: u64) -> String {
    let line = |seq: u64| {
        let (from, to) = (format!("e{}", seq % 5), format!("wm{}", seq % 37));
        let at = 1_726_000_000_000 + seq as i64 * 7_000;
        crate::support::text_line(seq, &from, &to, at, &format!("第{seq}条，你好"))
    };
    (1..=n).map(line).collect()
}
