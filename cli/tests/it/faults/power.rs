//! Power cuts: what a synced write promises is there when the machine comes up again.
//!
//! A pull works on an ext4 image mounted through a loop device with `commit=300`. It is stopped,
//! and the image's file is copied: what nobody synced is only in the inner page cache, so the
//! copy is the disk after a power cut. The copy is mounted and looked at with the binary.
//!
//! The oracle stands outside of the image: the test reads the pull's log lines `committed`, each
//! of which acknowledges a cursor. What was acknowledged before the stop must be on the copy.
//!
//! This shows lost and empty writes, not disks that lie about a flush.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::archive::{Archive, company};
use super::scale::{Dice, Suite, is_full, scaled, skipped};
use crate::support::{Installation, acknowledged, wait_until};

const N_MESSAGES: u64 = 4_000;
const SMALL_COMMITS: &str =
    "[pull]\npage_records = 50\ncommit_records_max = 100\ncommit_wait_ms = 10\n";
const IMAGE_MIB: u64 = 160;

fn sh(command: &mut Command) -> Result<(), String> {
    let done = command.output().map_err(|e| e.to_string())?;
    match done.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&done.stderr).trim().to_owned()),
    }
}

/// A mounted image; unmounted when dropped.
struct Disk {
    at: PathBuf,
}

impl Disk {
    fn mount(image: &Path, at: PathBuf, options: &str) -> Result<Self, String> {
        std::fs::create_dir_all(&at).map_err(|e| e.to_string())?;
        let options = format!("loop,{options}");
        sh(Command::new("mount")
            .args(["-o", &options])
            .arg(image)
            .arg(&at))?;
        Ok(Self { at })
    }

    fn make(image: &Path) -> Result<(), String> {
        let file = std::fs::File::create(image).map_err(|e| e.to_string())?;
        file.set_len(IMAGE_MIB << 20).map_err(|e| e.to_string())?;
        sh(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(image))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = sh(Command::new("umount").arg(&self.at));
    }
}

/// A pull whose acknowledgements are read as it says them; killed when dropped.
struct Watched {
    child: Child,
    acknowledged: Arc<AtomicU64>,
}

impl Watched {
    fn start(run: &Installation, data: &Path, arguments: &[&str]) -> Self {
        let mut command = run.command_without_data();
        command.arg("--data").arg(data).args(arguments);
        command.env("HUICUN_LOG", "huicun_indexer=debug");
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let said = BufReader::new(child.stderr.take().unwrap());
        let acknowledged_here = Arc::new(AtomicU64::new(0));
        let there = Arc::clone(&acknowledged_here);
        std::thread::spawn(move || {
            for line in said.lines().map_while(Result::ok) {
                if let Some(cursor) = acknowledged(&line) {
                    there.store(cursor, Ordering::SeqCst);
                }
            }
        });
        Self {
            child,
            acknowledged: acknowledged_here,
        }
    }

    fn signal(&self, name: &str) {
        let command = format!("kill -{name} {}", self.child.id());
        // It may have ended by itself.
        let _ = sh(Command::new("sh").args(["-c", &command]));
    }

    /// Stops it, calls under way finished; false when it had ended.
    fn freeze(&mut self) -> bool {
        self.signal("STOP");
        let tasks = PathBuf::from(format!("/proc/{}/task", self.child.id()));
        let mut is_over = false;
        wait_until(Duration::from_secs(30), "the pull to stop", || {
            is_over = self.child.try_wait().unwrap().is_some();
            let Ok(entries) = std::fs::read_dir(&tasks) else {
                return is_over;
            };
            let states =
                entries.filter_map(|t| std::fs::read_to_string(t.ok()?.path().join("stat")).ok());
            is_over || { states }.all(|stat| stat.contains(") T ") || stat.contains(") Z "))
        });
        !is_over
    }

    fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::SeqCst)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Copies the image as it is on the disk now, and looks at the copy. The cursor found there.
fn cut(run: &Installation, image: &Path, acknowledged: u64, is_drained: bool) -> u64 {
    let copy = run.path("cut.img");
    let copied = Command::new("cp")
        .arg("--sparse=always")
        .args([image, &copy])
        .status();
    assert!(copied.unwrap().success());
    let disk = Disk::mount(&copy, run.path("cut"), "commit=300").unwrap();
    let archive = Archive::at(run, &disk.at.join("data"));
    let found = match archive.exists() {
        true => archive.whole_to_its_cursor(),
        false => 0,
    };
    assert!(
        found >= acknowledged,
        "acknowledged {acknowledged}, found {found}"
    );
    if is_drained {
        archive.drain().ok();
        archive.whole(N_MESSAGES);
        archive.run(&["rules", "show"]).ok();
    }
    found
}

/// `n` cuts of pulls on images mounted with these options.
fn cuts(
    run: &Installation,
    dice: &mut Dice,
    n: u64,
    options: &str,
    pause_ms: (u64, u64),
) -> Result<u64, String> {
    let (mut n_cuts, mut n_rounds) = (0, 0);
    while n_cuts < n {
        n_rounds += 1;
        let image = run.path("disk.img");
        Disk::make(&image)?;
        let disk = Disk::mount(&image, run.path("disk"), options)?;
        let data = disk.at.join("data");
        let mut pull = Watched::start(run, &data, &["pull", "--once"]);
        while n_cuts < n {
            std::thread::sleep(Duration::from_millis(pause_ms.0 + dice.below(pause_ms.1)));
            if !pull.freeze() {
                break;
            }
            let acknowledged = pull.acknowledged();
            let found = cut(run, &image, acknowledged, n_cuts.is_multiple_of(8));
            n_cuts += 1;
            println!("cut {n_cuts}, round {n_rounds}: acknowledged {acknowledged}, found {found}");
            pull.signal("CONT");
        }
        drop(pull);
        let archive = Archive::at(run, &data);
        archive.drain().ok();
        archive.whole(N_MESSAGES);
    }
    Ok(n_rounds)
}

fn is_root() -> bool {
    let own = std::fs::metadata("/proc/self").unwrap();
    std::os::unix::fs::MetadataExt::uid(&own) == 0
}

#[test]
fn a_power_cut_during_upkeep_changes_no_message() {
    const N: u64 = 400;
    let name = "power cut during upkeep";
    let run = Installation::new();
    let commands = super::upkeep::commands(&run);
    if commands.is_empty() {
        return skipped(name, "this build has no such command");
    }
    if !is_root() {
        return skipped(name, "a loop device needs root");
    }
    run.tape_of(&company(N));
    run.configure("[pull]\npage_records = 20\ncommit_records_max = 20\ncommit_wait_ms = 1\n");
    Archive::of(&run).drain().ok();
    let mut dice = Dice::new(25);
    let suite = Suite::begin(name, &dice);
    let n_each = scaled(1, 40);
    for command in &commands {
        for _ in 0..n_each {
            let image = run.path("disk.img");
            let disk = match Disk::make(&image)
                .and_then(|()| Disk::mount(&image, run.path("disk"), "commit=300"))
            {
                Ok(disk) => disk,
                Err(why) => return skipped(name, &why),
            };
            sh(Command::new("cp").arg("-a").arg(run.data()).arg(&disk.at)).unwrap();
            sh(&mut Command::new("sync")).unwrap();
            let mut working = Watched::start(&run, &disk.at.join("data"), command);
            std::thread::sleep(Duration::from_millis(20 + dice.below(400)));
            // One that is done must have left everything on the disk as well.
            working.freeze();
            let copy = run.path("cut.img");
            sh(Command::new("cp")
                .arg("--sparse=always")
                .args([&image, &copy]))
            .unwrap();
            let cut = Disk::mount(&copy, run.path("cut"), "commit=300").unwrap();
            let archive = Archive::at(&run, &cut.at.join("data"));
            archive.whole(N);
            archive.run(command).ok();
            archive.whole(N);
        }
    }
    let names: Vec<String> = commands.iter().map(|c| c.join(" ")).collect();
    suite.done(n_each * commands.len() as u64, &names.join(", "));
}

#[test]
fn a_power_cut_loses_nothing_that_was_acknowledged() {
    let name = "power cut";
    let run = Installation::new();
    if !is_root() {
        return skipped(name, "a loop device needs root");
    }
    run.tape_of(&company(N_MESSAGES));
    run.configure(SMALL_COMMITS);
    let mut dice = Dice::new(22);
    let suite = Suite::begin(name, &dice);
    let n = scaled(10, 500);
    match cuts(&run, &mut dice, n, "commit=300", (20, 300)) {
        Ok(n_rounds) => suite.done(n, &format!("{n_rounds} pulls, ext4 commit=300")),
        Err(why) => return skipped(name, &why),
    }
    if is_full() {
        // Longer than the journal's interval: what is renamed and not synced would be empty.
        let suite = Suite::begin("power cut past the journal's interval", &dice);
        let n = 20;
        let n_rounds = cuts(&run, &mut dice, n, "commit=1", (1_500, 1_000)).unwrap();
        suite.done(n, &format!("{n_rounds} pulls, ext4 commit=1"));
    }
}
