//! What the machine gives: room on a disk, and what a process takes. From the kernel; nothing is
//! written.

use std::path::Path;

/// Room on the file system of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Bytes that an ordinary account may still write.
    pub free_bytes: u64,
    /// Bytes of the file system.
    pub all_bytes: u64,
    /// Files that may still be made; none where the file system does not count them.
    pub free_inodes: Option<u64>,
}

/// Room where `path` is.
///
/// # Errors
/// The path is not there, or cannot be looked at.
pub fn room(path: &Path) -> std::io::Result<Room> {
    let found = rustix::fs::statvfs(path)?;
    Ok(Room {
        free_bytes: found.f_bavail.saturating_mul(found.f_frsize),
        all_bytes: found.f_blocks.saturating_mul(found.f_frsize),
        free_inodes: (found.f_files > 0).then_some(found.f_favail),
    })
}

/// Resident memory of a process (0 is this one), bytes; `None` when it is gone.
pub fn resident_bytes(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(match pid {
        0 => "/proc/self/status".to_string(),
        pid => format!("/proc/{pid}/status"),
    });
    let status = status.ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}

/// Files that this process has open, and how many it may have.
pub fn open_files() -> Option<(u64, u64)> {
    let open = std::fs::read_dir("/proc/self/fd").ok()?.count() as u64;
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    let most = match line.split_whitespace().next()? {
        "unlimited" => u64::MAX,
        number => number.parse().ok()?,
    };
    Some((open, most))
}

/// Whether a file lock on `path` is held, by the kernel's own list: nobody is disturbed.
pub fn is_locked(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let Ok(inode) = path.metadata().map(|found| found.ino()) else {
        return false;
    };
    let locks = std::fs::read_to_string("/proc/locks").unwrap_or_default();
    let mark = format!(":{inode}");
    // `1: FLOCK  ADVISORY  WRITE 4711 08:01:1234 0 EOF`; one who waits has `->` before FLOCK.
    locks.lines().any(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        words.get(1) == Some(&"FLOCK") && words.get(5).is_some_and(|at| at.ends_with(&mark))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_tells_of_this_process_and_its_disk() {
        assert!(resident_bytes(0).unwrap() > 100_000);
        assert!(room(Path::new("/")).unwrap().all_bytes > 0);
        let (open, most) = open_files().unwrap();
        assert!(open > 2 && most > open);
    }

    #[test]
    fn a_held_lock_is_seen_and_a_free_one_is_not() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(!is_locked(file.path()));
        let held = std::fs::File::open(file.path()).unwrap();
        held.lock().unwrap();
        assert!(is_locked(file.path()));
    }
}
