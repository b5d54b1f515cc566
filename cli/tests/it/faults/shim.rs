//! The binary under `shim.c`: the n-th call that changes a file fails, or kills the process.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Installation, Ran};

/// What happens at the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Only counts.
    None,
    /// SIGKILL before it.
    Kill,
    /// Half of a write, then SIGKILL.
    Torn,
    /// It fails once: a bad disk.
    Eio,
    /// It fails once: no room.
    Enospc,
    /// It and all that need room after it fail.
    Full,
}

impl Fault {
    fn word(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Kill => "kill",
            Self::Torn => "torn",
            Self::Eio => "eio",
            Self::Enospc => "enospc",
            Self::Full => "full",
        }
    }
}

/// Which calls count: any of `w` (write), `s` (sync), `n` (rename, link, truncate), `u` (unlink).
pub type Calls = &'static str;

/// Builds the shim; `None`, with the reason said, where there is no C compiler.
pub fn build(run: &Installation) -> Option<Shim> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/faults/shim.c");
    let library = run.path("fault_shim.so");
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .arg(&library)
        .arg(source)
        .arg("-ldl")
        .output();
    match built {
        Ok(done) if done.status.success() => Some(Shim {
            folder: run.path(""),
            counter: run.path("fault_counter"),
            library,
        }),
        Ok(done) => panic!("{}", String::from_utf8_lossy(&done.stderr)),
        Err(error) => {
            println!("skipped: no C compiler: {error}");
            None
        }
    }
}

/// A built shim.
pub struct Shim {
    library: PathBuf,
    counter: PathBuf,
    folder: PathBuf,
}

impl Shim {
    /// Puts it into a command, with its count at 0.
    pub fn order(&self, command: &mut Command, calls: Calls, at: u64, fault: Fault) {
        std::fs::write(&self.counter, 0_u64.to_ne_bytes()).unwrap();
        command
            .env("LD_PRELOAD", &self.library)
            .env("FAULT_DIR", &self.folder)
            .env("FAULT_COUNTER", &self.counter)
            .env("FAULT_AT", at.to_string())
            .env("FAULT_ACTION", fault.word())
            .env("FAULT_CALLS", calls);
    }

    /// Calls counted since the last order.
    pub fn count(&self) -> u64 {
        let bytes = std::fs::read(&self.counter).unwrap();
        u64::from_ne_bytes(bytes.try_into().unwrap())
    }

    /// Runs the binary on the installation's data directory under one fault.
    pub fn run(
        &self,
        run: &Installation,
        arguments: &[&str],
        calls: Calls,
        at: u64,
        fault: Fault,
    ) -> Ran {
        let mut command = run.command();
        command.args(arguments);
        self.order(&mut command, calls, at, fault);
        command.output().unwrap().into()
    }
}
