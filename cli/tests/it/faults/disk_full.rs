//! A disk that is really full: the pull says so, keeps what it has, and goes on when there is room.

use std::path::PathBuf;
use std::process::Command;

use super::archive::{Archive, company};
use super::scale::{Dice, Suite, scaled, skipped};
use crate::support::Installation;

const N_MESSAGES: u64 = 3_000;
const SMALL_COMMITS: &str =
    "[pull]\npage_records = 100\ncommit_records_max = 100\ncommit_wait_ms = 5\n";

/// A memory disk of a size; unmounted when dropped.
struct SmallDisk {
    at: PathBuf,
}

fn mount(arguments: &[&str]) -> Result<(), String> {
    let done = Command::new("mount").args(arguments).output();
    let done = done.map_err(|e| e.to_string())?;
    match done.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&done.stderr).trim().to_owned()),
    }
}

impl SmallDisk {
    fn mount(at: PathBuf, kib: u64) -> Result<Self, String> {
        std::fs::create_dir_all(&at).map_err(|e| e.to_string())?;
        let size = format!("size={kib}k");
        mount(&[
            "-t",
            "tmpfs",
            "-o",
            &size,
            "none",
            at.to_str().unwrap_or_default(),
        ])?;
        Ok(Self { at })
    }

    fn grow(&self, kib: u64) {
        let size = format!("remount,size={kib}k");
        mount(&["-o", &size, self.at.to_str().unwrap()]).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.at).status();
    }
}

#[test]
fn a_full_disk_stops_the_pull_and_room_lets_it_go_on() {
    let name = "full disk";
    let run = Installation::new();
    run.tape_of(&company(N_MESSAGES));
    run.configure(SMALL_COMMITS);
    let mut dice = Dice::new(23);
    let suite = Suite::begin(name, &dice);
    let (mut n, mut n_stops) = (0, 0);
    for _ in 0..scaled(2, 40) {
        let mut kib = 64 + dice.below(1_200);
        let disk = match SmallDisk::mount(run.path("small"), kib) {
            Ok(disk) => disk,
            Err(why) => return skipped(name, &why),
        };
        let archive = Archive::at(&run, &disk.at.join("data"));
        let mut stopped_at = 0;
        loop {
            let ran = archive.drain();
            if ran.status == 0 {
                break;
            }
            n_stops += 1;
            let said = ran.stderr.to_lowercase();
            assert_eq!(ran.status, 1, "{kib} KiB: {said}");
            let is_told =
                said.contains("no space") || said.contains("full") || said.contains("room");
            assert!(is_told, "{kib} KiB: {said}");
            kib += 300 + dice.below(1_500);
            disk.grow(kib);
            // What was in stays in; with some room it can be read again.
            if archive.exists() {
                let cursor = super::archive::cursor(&disk.at.join("data"), super::archive::CORP);
                assert!(cursor >= stopped_at, "{cursor} after {stopped_at}");
                stopped_at = cursor;
            }
        }
        n += 1;
        archive.whole(N_MESSAGES);
    }
    suite.done(n, &format!("stopped {n_stops} times for want of room"));
}
