//! Kills at any moment: nothing lost, nothing twice, nobody left behind (reliability F1).
//!
//! The moments come from a seeded generator; a failure prints the seed and the number of the kill.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use crate::faults::archive::{Archive, company};
use crate::faults::scale::{Dice, Suite, scaled};
use crate::support::{Installation, Running, acknowledged, wait_until};

const N_MESSAGES: u64 = 20_000;
/// Small pages and commits: many places where a kill can hit.
const SMALL_COMMITS: &str =
    "[pull]\npage_records = 100\ncommit_records_max = 200\ncommit_wait_ms = 20\n";

/// The SDK workers of this installation that are alive.
fn workers(run: &Installation) -> Vec<PathBuf> {
    let tape = run.tape().to_str().unwrap().as_bytes().to_vec();
    let contains = |text: &[u8], word: &[u8]| text.windows(word.len()).any(|w| w == word);
    let is_ours = |process: &PathBuf| {
        let read = |file| std::fs::read(process.join(file)).unwrap_or_default();
        contains(&read("cmdline"), b"sdk-worker") && contains(&read("environ"), &tape)
    };
    let processes = std::fs::read_dir("/proc").unwrap();
    processes
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(is_ours)
        .collect()
}

fn assert_no_worker_is_left(run: &Installation) {
    wait_until(Duration::from_secs(5), "the SDK worker to end", || {
        workers(run).is_empty()
    });
}

/// Commits of the messages table; 0 before it exists.
fn n_commits(run: &Installation) -> usize {
    let log = run.data().join("tables/messages/_delta_log");
    let Ok(entries) = std::fs::read_dir(log) else {
        return 0;
    };
    let is_commit = |name: &std::ffi::OsString| name.to_string_lossy().ends_with(".json");
    entries
        .filter(|e| is_commit(&e.as_ref().unwrap().file_name()))
        .count()
}

fn wait_for_commits(run: &Installation, running: &mut Running, n: usize) {
    wait_until(Duration::from_secs(60), "commits", || {
        assert!(running.is_running(), "{}", running.stderr());
        n_commits(run) >= n
    });
}

/// Messages, distinct msgids and the highest seq of the table.
fn count(run: &Installation) -> (u64, u64, u64) {
    let sql = "SELECT count(*) AS n, count(DISTINCT msgid) AS d, coalesce(max(seq), 0) AS top \
               FROM messages WHERE status = 'ok'";
    let row = run.run(&["sql", sql]).ok().rows().remove(0);
    let number = |key: &str| row[key].as_u64().unwrap();
    (number("n"), number("d"), number("top"))
}

fn msgids(run: &Installation, arguments: &[&str]) -> Vec<String> {
    let rows = run.run(arguments).ok().rows();
    let msgid = |row: &serde_json::Value| row["msgid"].as_str().unwrap().to_string();
    let mut found: Vec<String> = rows.iter().map(msgid).collect();
    found.sort_unstable();
    found
}

/// Table and index hold the same messages, each once; returns how many.
fn check_table_and_index(run: &Installation) -> u64 {
    let (n, n_distinct, _) = count(run);
    assert_eq!(n, n_distinct, "messages that are there twice");
    let table = msgids(run, &["sql", "SELECT msgid FROM messages"]);
    let index = msgids(run, &["search", "", "--limit", "0"]);
    assert_eq!(table.len() as u64, n, "records that are no messages");
    assert!(table == index, "the index differs from the table");
    assert_eq!(index.iter().collect::<BTreeSet<_>>().len() as u64, n);
    n
}

fn drain(run: &Installation) {
    run.configure("");
    run.run(&["pull", "--once"]).ok();
}

#[test]
fn kills_of_a_pull_lose_nothing_and_double_nothing() {
    let run = Installation::new();
    run.tape_of(&company(N_MESSAGES));
    run.configure(SMALL_COMMITS);
    let archive = Archive::of(&run);
    let mut dice = Dice::new(50);
    let suite = Suite::begin("SIGKILL at a random moment", &dice);
    let (mut n_kills, mut n_rounds) = (0, 1);
    let wanted = scaled(20, 1_000);
    while n_kills < wanted {
        let mut pull = run.start_telling(&["pull", "--once"]);
        // A third hits the start, the others the commits of table and index.
        let moment = match n_kills % 3 {
            0 => dice.below(300),
            _ => 200 + dice.below(1_300),
        };
        std::thread::sleep(Duration::from_millis(moment));
        if !pull.kill() {
            // It was done before the kill: that one does not count, and the next round begins.
            archive.whole(N_MESSAGES);
            std::fs::remove_dir_all(run.data()).unwrap();
            n_rounds += 1;
            continue;
        }
        n_kills += 1;
        let told = pull.stderr();
        let last = told.lines().rev().find_map(acknowledged).unwrap_or(0);
        assert_no_worker_is_left(&run);
        if n_kills % 5 == 0 && archive.exists() {
            // The tape has every seq: fewer messages than the cursor says would be a hole.
            let found = archive.whole_to_its_cursor();
            println!("kill {n_kills} after {moment} ms, round {n_rounds}: {found} messages");
            assert!(found >= last, "acknowledged {last}, found {found}");
        }
    }
    drain(&run);
    archive.whole(N_MESSAGES);
    suite.done(
        n_kills,
        &format!("{n_rounds} pulls of {N_MESSAGES} messages"),
    );
}

#[test]
fn a_kill_while_the_data_directory_is_made_leaves_one_that_works() {
    let run = Installation::new();
    run.tape_of(&company(20));
    let mut dice = Dice::new(7);
    for kill in 0..12 {
        let mut pull = run.start(&["pull"]);
        std::thread::sleep(Duration::from_millis(dice.below(250)));
        pull.kill();
        run.run(&["pull", "--once"]).ok();
        assert_eq!(check_table_and_index(&run), 20, "kill {kill}");
        std::fs::remove_dir_all(run.data()).unwrap();
    }
}

#[test]
fn a_killed_worker_costs_the_pull_nothing() {
    let run = Installation::new();
    run.tape_of(&company(4_000));
    run.configure(SMALL_COMMITS);
    let mut pull = run.start(&["pull", "--once"]);
    wait_for_commits(&run, &mut pull, 3);
    let first = workers(&run);
    for worker in &first {
        let pid = worker.file_name().unwrap().to_str().unwrap();
        let kill = std::process::Command::new("sh")
            .args(["-c", &format!("kill -KILL {pid}")])
            .status();
        assert!(kill.unwrap().success());
    }
    wait_until(Duration::from_secs(10), "another worker", || {
        assert!(pull.is_running(), "the kill came too late");
        let now = workers(&run);
        now.len() == 1 && now != first
    });
    assert!(pull.wait(Duration::from_secs(60)).success());
    assert_eq!(check_table_and_index(&run), 4_000);
}

#[test]
fn a_deleted_index_is_built_again_from_the_table() {
    let run = Installation::new();
    run.tape_of(&company(300));
    run.run(&["pull", "--once"]).ok();
    std::fs::remove_dir_all(run.data().join("index")).unwrap();
    assert_eq!(check_table_and_index(&run), 300);
}

#[test]
fn a_pull_that_is_asked_to_end_does_so_cleanly_and_goes_on_where_it_was() {
    let run = Installation::new();
    run.tape_of(&company(6_000));
    run.configure(SMALL_COMMITS);
    let mut pull = run.start(&["pull"]);
    wait_for_commits(&run, &mut pull, 4);
    pull.terminate();
    assert_eq!(pull.wait(Duration::from_secs(20)).code(), Some(0));
    assert_no_worker_is_left(&run);
    let (n, _, top) = count(&run);
    assert_eq!(n, top);
    assert!((1..6_000).contains(&n), "it should be in the middle: {n}");
    assert!(pull.stderr().contains(&format!("cursor {n}")));
    let rest = run.run(&["pull", "--once"]).ok();
    let expected = format!("{} archived, 0 quarantined, 0 already there", 6_000 - n);
    assert!(rest.stderr.contains(&expected), "{}", rest.stderr);
    assert_eq!(check_table_and_index(&run), 6_000);
}

#[test]
fn a_pull_that_waits_for_more_ends_soon_when_asked() {
    let run = Installation::new();
    run.tape_of(&company(5));
    run.configure("[pull]\npoll_seconds = 3600\n");
    let mut pull = run.start(&["pull"]);
    wait_for_commits(&run, &mut pull, 2);
    pull.terminate();
    assert_eq!(pull.wait(Duration::from_secs(5)).code(), Some(0));
    assert_no_worker_is_left(&run);
}

#[test]
fn a_killed_import_is_made_whole_by_importing_again() {
    // More lines than one commit takes, so that there is a middle.
    const LINES: u64 = 120_000;
    let run = Installation::new();
    let file = run.write("messages.ndjson", &company(LINES));
    let arguments = ["import", "messages", file.to_str().unwrap()];
    let mut dice = Dice::new(3);
    for _ in 0..3 {
        let mut import = run.start(&arguments);
        std::thread::sleep(Duration::from_millis(dice.below(1_000)));
        import.kill();
    }
    let mut import = run.start(&arguments);
    wait_for_commits(&run, &mut import, 2);
    import.kill();
    let (n, n_distinct, _) = count(&run);
    // It may have been done, on a quick machine or a busy one.
    assert!(n == n_distinct && (1..=LINES).contains(&n), "{n}");
    let summary = run.run(&arguments).ok().rows().remove(0);
    assert_eq!(summary["archived"], LINES - n);
    let number = |key: &str| summary[key].as_u64().unwrap();
    assert_eq!(number("resumed") + number("duplicates"), n);
    assert_eq!(count(&run), (LINES, LINES, LINES));
}
