//! What the child does to itself before it loads a foreign library, and what is asked of the
//! operating system about it.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, RawFd};

/// The pipes to the parent, out of the library's reach.
pub(crate) struct Pipes {
    pub stdin: File,
    pub stdout: File,
}

/// Moves stdin and stdout to private descriptors. What the library prints to descriptor 1 goes
/// to stderr afterwards, and what it would read from descriptor 0 is empty.
pub(crate) fn claim_pipes() -> io::Result<Pipes> {
    let pipes = Pipes {
        stdin: private_copy(libc::STDIN_FILENO)?,
        stdout: private_copy(libc::STDOUT_FILENO)?,
    };
    let nothing = OpenOptions::new().read(true).open("/dev/null")?;
    replace(nothing.as_raw_fd(), libc::STDIN_FILENO)?;
    replace(libc::STDERR_FILENO, libc::STDOUT_FILENO)?;
    Ok(pipes)
}

fn private_copy(fd: RawFd) -> io::Result<File> {
    // SAFETY: `fcntl` with F_DUPFD_CLOEXEC only makes a new descriptor.
    let copy = checked(unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 10) })?;
    // SAFETY: the descriptor is new, so nothing else owns it.
    Ok(unsafe { File::from_raw_fd(copy) })
}

fn replace(source: RawFd, target: RawFd) -> io::Result<()> {
    // SAFETY: `target` is a standard descriptor, which no Rust value owns; what it meant has
    // been copied by `private_copy`.
    checked(unsafe { libc::dup2(source, target) }).map(|_| ())
}

/// Dies with the parent, leaves no core dump (it would hold secrets and messages), and outlives
/// the signals that stop a service, so that the parent can end its work in order.
pub(crate) fn confine() -> io::Result<()> {
    // SAFETY: sets an attribute of this process by value.
    checked(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as libc::c_ulong) })?;
    let none = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the struct is live for the call.
    checked(unsafe { libc::setrlimit(libc::RLIMIT_CORE, &raw const none) })?;
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP] {
        // SAFETY: to ignore a signal installs no handler code.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
    Ok(())
}

/// Ends this process at once, without exit handlers: another thread may be inside the library.
pub(crate) fn leave() -> ! {
    // SAFETY: ends the process; nothing runs afterwards.
    unsafe { libc::_exit(0) }
}

/// The resident memory of this process; 0 when it cannot be told.
pub(crate) fn rss_bytes() -> u64 {
    rss_in("/proc/self/statm")
}

/// The resident memory of another process; 0 when it cannot be told.
pub(crate) fn rss_bytes_of(pid: u32) -> u64 {
    rss_in(&format!("/proc/{pid}/statm"))
}

fn rss_in(statm: &str) -> u64 {
    let pages = fs::read_to_string(statm)
        .ok()
        .and_then(|text| text.split_ascii_whitespace().nth(1)?.parse::<u64>().ok());
    // SAFETY: reads a constant of the system.
    let page_bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    pages.unwrap_or(0) * u64::try_from(page_bytes).unwrap_or(0)
}

fn checked(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_told() {
        assert!(rss_bytes() > 1 << 16);
        assert!(rss_bytes_of(std::process::id()) > 1 << 16);
        assert_eq!(rss_in("/proc/no-such"), 0);
    }
}
