//! Commands that change files and no message, killed at any of their calls, and beside a pull.

use super::archive::{Archive, company, has};
use super::scale::{Dice, Suite, is_full, sample, scaled, skipped};
use super::shim::{Fault, build};
use crate::support::Installation;

/// What there may be, and what this build has of it.
const COMMANDS: [&[&str]; 5] = [
    &["compact"],
    &["vacuum"],
    &["reindex"],
    &["rebuild"],
    &["quarantine", "retry"],
];

pub fn commands(run: &Installation) -> Vec<&'static [&'static str]> {
    let there = COMMANDS.iter().filter(|command| has(run, command));
    there.copied().collect()
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    if to.exists() {
        std::fs::remove_dir_all(to).unwrap();
    }
    let copied = std::process::Command::new("cp")
        .arg("-a")
        .args([from, to])
        .status();
    assert!(copied.unwrap().success());
}

#[test]
fn upkeep_that_is_killed_or_fails_at_any_call_changes_no_message() {
    const N_MESSAGES: u64 = 60;
    let name = "upkeep killed or failing at a call";
    let run = Installation::new();
    let commands = commands(&run);
    if commands.is_empty() {
        return skipped(name, "this build has no such command");
    }
    let Some(shim) = build(&run) else {
        return;
    };
    run.tape_of(&company(N_MESSAGES));
    // Six small files of one day, of which compaction makes one.
    run.configure("[pull]\npage_records = 10\ncommit_records_max = 10\ncommit_wait_ms = 1\n");
    let archive = Archive::of(&run);
    archive.drain().ok();
    archive.whole(N_MESSAGES);
    let base = run.path("base");
    copy(&run.data(), &base);
    let mut dice = Dice::new(45);
    let suite = Suite::begin(name, &dice);
    let mut n = 0;
    for command in &commands {
        copy(&base, &run.data());
        shim.run(&run, command, "wsnu", 0, Fault::None).ok();
        let last = shim.count();
        archive.whole(N_MESSAGES);
        for fault in [Fault::Kill, Fault::Eio, Fault::Full] {
            let calls = if fault == Fault::Eio { "wsn" } else { "wsnu" };
            for at in sample(&mut dice, scaled(1, 60), last) {
                let context = format!("{fault:?} at call {at} of {last} of {command:?}");
                copy(&base, &run.data());
                let ran = shim.run(&run, command, calls, at, fault);
                let is_expected =
                    [0, if fault == Fault::Kill { -1 } else { 1 }].contains(&ran.status);
                assert!(is_expected, "{context}: {}", ran.stderr);
                println!("{context}: status {}", ran.status);
                archive.whole(N_MESSAGES);
                let again = archive.run(command);
                assert_eq!(again.status, 0, "{context}: {}", again.stderr);
                archive.whole(N_MESSAGES);
                n += 1;
            }
        }
    }
    let names: Vec<String> = commands.iter().map(|c| c.join(" ")).collect();
    suite.done(n, &names.join(", "));
}

#[test]
fn upkeep_beside_a_pull_changes_no_message() {
    let n_messages = if is_full() { 6_000 } else { 1_500 };
    let name = "upkeep beside a pull";
    let run = Installation::new();
    let mut commands = commands(&run);
    // These need the index or the writer for themselves.
    commands.retain(|command| matches!(command[0], "compact" | "vacuum"));
    if commands.is_empty() {
        return skipped(name, "this build has no such command");
    }
    run.tape_of(&company(n_messages));
    run.configure("[pull]\npage_records = 50\ncommit_records_max = 50\ncommit_wait_ms = 1\n");
    let suite = Suite::begin(name, &Dice::new(0));
    let archive = Archive::of(&run);
    let mut n = 0;
    for _ in 0..scaled(1, 10) {
        if run.data().exists() {
            std::fs::remove_dir_all(run.data()).unwrap();
        }
        let mut pull = run.start(&["pull", "--once"]);
        while pull.is_running() {
            if archive.exists() {
                for command in &commands {
                    let ran = archive.run(command);
                    assert_eq!(ran.status, 0, "{command:?}: {}", ran.stderr);
                    n += 1;
                }
                // A reader in the middle of it sees a whole archive.
                let table = archive.table();
                assert_eq!(table.msgids.len(), table.seqs.len());
            }
        }
        archive.drain().ok();
        archive.whole(n_messages);
    }
    suite.done(n, "commands run while messages came in");
}
