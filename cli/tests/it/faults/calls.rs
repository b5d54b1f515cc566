//! Every call that changes a file: the process dies at it, dies in the middle of it, or it fails.
//!
//! `shim.c` counts the calls exactly. The short form takes a sample of the numbers; the full one
//! takes every number for the kill and the failing disk. strace does the same from outside, by
//! thread: for all calls in a sample, and for the one call that a library makes past libc
//! (`renameat`, by which Tantivy's small files get their names). A test shows that there is no other.

use std::process::Command;

use super::archive::{Archive, company};
use super::scale::{Dice, Suite, is_full, sample, scaled, skipped};
use super::shim::{Calls, Fault, Shim, build};
use crate::support::{Installation, Ran};

const N_MESSAGES: u64 = 60;
/// Three commits of one page each: little between the calls that matter.
const SMALL_COMMITS: &str =
    "[pull]\npage_records = 20\ncommit_records_max = 20\ncommit_wait_ms = 1\n";
const PULL: [&str; 2] = ["pull", "--once"];

/// What must follow from the fault while it lasts.
enum Expect {
    /// The process is gone.
    Killed,
    /// It says so and ends; or it did without, and all is there.
    Refused,
    /// It says so and ends: nothing may pass over it. SQLite's own files are excepted (SQLite
    /// takes a failure at a checkpoint for "later", its log being safe), and so is the folder
    /// that it syncs for them.
    Ended,
}

struct Workshop {
    run: Installation,
    shim: Shim,
}

impl Workshop {
    fn open() -> Option<Self> {
        let run = Installation::new();
        let shim = build(&run)?;
        run.tape_of(&company(N_MESSAGES));
        run.configure(SMALL_COMMITS);
        Some(Self { run, shim })
    }

    fn afresh(&self) {
        if self.run.data().exists() {
            std::fs::remove_dir_all(self.run.data()).unwrap();
        }
    }

    /// How many calls a whole pull makes.
    fn n_calls(&self, calls: Calls) -> u64 {
        self.afresh();
        self.shim.run(&self.run, &PULL, calls, 0, Fault::None).ok();
        let n = self.shim.count();
        assert!(n > 0, "the shim counts nothing");
        n
    }

    /// One fault at call `at`, the state after it, and a pull that mends it.
    fn case(&self, calls: Calls, at: u64, fault: Fault, expect: &Expect) -> bool {
        self.afresh();
        let context = format!("{fault:?} at call {at} of `{calls}`");
        let ran = self.shim.run(&self.run, &PULL, calls, at, fault);
        let archive = Archive::of(&self.run);
        // Threads race: this run may have made fewer calls.
        let is_met = self.shim.count() >= at;
        self.judge(&ran, is_met, expect, &context);
        if ran.status == 0 {
            archive.whole(N_MESSAGES);
        } else if at.is_multiple_of(3) && archive.exists() {
            archive.whole_to_its_cursor();
        }
        let mended = archive.drain();
        assert_eq!(mended.status, 0, "{context}: {}", mended.stderr);
        archive.whole(N_MESSAGES);
        is_met
    }

    fn judge(&self, ran: &Ran, is_met: bool, expect: &Expect, context: &str) {
        let (status, said) = (ran.status, &ran.stderr);
        match expect {
            _ if !is_met => assert_eq!(status, 0, "{context}: {said}"),
            Expect::Killed => assert_eq!(status, -1, "{context}: {said}"),
            Expect::Refused if status == 0 => {}
            Expect::Ended if status == 0 => assert!(self.is_sqlite_s(said), "{context}: {said}"),
            Expect::Refused | Expect::Ended => {
                assert_eq!(status, 1, "{context}: {said}");
                assert!(said.contains("error: "), "{context}: {said}");
            }
        }
    }

    /// Whether the call that failed was one of SQLite's.
    fn is_sqlite_s(&self, said: &str) -> bool {
        let Some((_, path)) = said
            .lines()
            .find_map(|l| l.strip_prefix("fault: ")?.split_once(" on "))
        else {
            return false;
        };
        let data = self.run.data();
        path.starts_with(data.join("state.db").to_str().unwrap()) || path == data.to_str().unwrap()
    }

    fn suite(
        &self,
        name: &'static str,
        calls: Calls,
        fault: Fault,
        expect: &Expect,
        counts: (u64, u64),
    ) {
        let mut dice = Dice::new(20);
        let suite = Suite::begin(name, &dice);
        let last = self.n_calls(calls);
        let (mut n, mut n_met) = (0, 0);
        for at in sample(&mut dice, scaled(counts.0, counts.1), last) {
            n += 1;
            n_met += u64::from(self.case(calls, at, fault, expect));
        }
        suite.done(n, &format!("{n_met} met, of {last} calls of a whole pull"));
    }
}

#[test]
fn a_kill_at_any_call_loses_nothing() {
    let Some(workshop) = Workshop::open() else {
        return;
    };
    let counts = (10, u64::MAX);
    workshop.suite(
        "kill at a call",
        "wsnu",
        Fault::Kill,
        &Expect::Killed,
        counts,
    );
}

#[test]
fn a_torn_write_loses_nothing() {
    let Some(workshop) = Workshop::open() else {
        return;
    };
    workshop.suite("torn write", "w", Fault::Torn, &Expect::Killed, (5, 100));
}

#[test]
fn a_write_that_fails_once_ends_the_pull_and_loses_nothing() {
    let Some(workshop) = Workshop::open() else {
        return;
    };
    let counts = (10, u64::MAX);
    workshop.suite("failing write", "wn", Fault::Eio, &Expect::Refused, counts);
}

#[test]
fn a_sync_that_fails_ends_the_pull_and_loses_nothing() {
    let Some(workshop) = Workshop::open() else {
        return;
    };
    let counts = (5, u64::MAX);
    workshop.suite("failing sync", "s", Fault::Eio, &Expect::Ended, counts);
}

#[test]
fn a_disk_that_is_full_from_any_call_on_loses_nothing() {
    let Some(workshop) = Workshop::open() else {
        return;
    };
    let counts = (4, 200);
    workshop.suite(
        "full from a call on",
        "wn",
        Fault::Full,
        &Expect::Refused,
        counts,
    );
    if is_full() {
        let counts = (0, 60);
        workshop.suite(
            "full at one call",
            "wn",
            Fault::Enospc,
            &Expect::Refused,
            counts,
        );
    }
}

const SYSCALLS: [&str; 8] = [
    "write",
    "pwrite64",
    "fsync",
    "fdatasync",
    "rename",
    "renameat2",
    "linkat",
    "unlink",
];

fn strace(run: &Installation, options: &[&str]) -> Option<Command> {
    let mut strace = Command::new("strace");
    if strace.arg("--version").output().is_err() {
        return None;
    }
    let huicun = run.command();
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "--seccomp-bpf"]).args(options);
    strace.arg(huicun.get_program()).args(huicun.get_args());
    for (name, value) in huicun.get_envs() {
        match value {
            Some(value) => strace.env(name, value),
            None => strace.env_remove(name),
        };
    }
    Some(strace)
}

/// Whether strace killed the pull, or made its call fail, and that it could be mended.
fn struck(run: &Installation, syscall: &str, what: &str, at: u64) -> Option<bool> {
    let inject = format!("inject={syscall}:{what}:when={at}");
    let trace = format!("trace={syscall}");
    let mut command = strace(run, &["-o", "/dev/null", "-e", &trace, "-e", &inject])?;
    if run.data().exists() {
        std::fs::remove_dir_all(run.data()).unwrap();
    }
    let is_hit = !command.args(PULL).output().unwrap().status.success();
    let archive = Archive::of(run);
    let mended = archive.drain();
    assert_eq!(mended.status, 0, "{inject}: {}", mended.stderr);
    archive.whole(N_MESSAGES);
    Some(is_hit)
}

#[test]
fn a_fault_by_strace_at_any_thread_s_call_loses_nothing() {
    let name = "kill and failure by strace";
    let run = Installation::new();
    run.tape_of(&company(N_MESSAGES));
    run.configure(SMALL_COMMITS);
    let mut dice = Dice::new(21);
    let suite = Suite::begin(name, &dice);
    let mut cases = Vec::new();
    for round in 0..scaled(1, 20) {
        for syscall in SYSCALLS {
            cases.push((syscall, "signal=KILL", 1 + dice.below(4 + 3 * round)));
        }
    }
    for at in 1..=scaled(1, 16) {
        cases.push(("renameat", "error=EIO", at));
        cases.push(("renameat", "signal=KILL", at));
    }
    let mut n_hit = 0;
    for (syscall, what, at) in &cases {
        match struck(&run, syscall, what, *at) {
            Some(is_hit) => n_hit += u64::from(is_hit),
            None => return skipped(name, "strace is not installed"),
        }
    }
    suite.done(cases.len() as u64, &format!("{n_hit} hit"));
}

#[test]
fn the_shim_counts_every_call_that_strace_sees() {
    let Some(workshop) = Workshop::open() else {
        return;
    };
    let run = &workshop.run;
    let elsewhere = tempfile::tempdir().unwrap();
    let log = elsewhere.path().join("strace.log");
    let trace = "trace=write,pwrite64,writev,pwritev,pwritev2,fsync,fdatasync,sync_file_range,rename,\
                 renameat,renameat2,link,linkat,unlink,unlinkat,ftruncate,truncate,fallocate,\
                 copy_file_range,sendfile";
    let options = ["-y", "-s", "0", "-o", log.to_str().unwrap(), "-e", trace];
    let Some(mut command) = strace(run, &options) else {
        return skipped("the shim beside strace", "strace is not installed");
    };
    workshop.shim.order(&mut command, "wsnu", 0, Fault::None);
    let ran = command.args(PULL).output().unwrap();
    assert!(ran.status.success());
    let folder = run.path("");
    let folder = folder.to_str().unwrap().trim_end_matches('/');
    let seen = std::fs::read_to_string(&log).unwrap();
    // `renameat` is called past libc, where the shim cannot see it; strace's own suite has it.
    let is_ours = |line: &&str| {
        line.contains(folder) && !line.contains("resumed>") && !line.contains(" renameat(")
    };
    let n_seen = seen.lines().filter(is_ours).count() as u64;
    assert_eq!(workshop.shim.count(), n_seen);
}
