//! For tests: the path of the simulator library, built if need be.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

const LIBRARY: &str = "libhuicun_simulator.so";

/// The simulator library (`libhuicun_simulator.so`) of this build.
///
/// It is looked for in the folders above the running test program; if it is not there, or
/// older than its sources, `cargo build -p huicun-simulator` makes it in the same target
/// folder and profile.
///
/// # Panics
/// When it can be neither found nor built: a test can do nothing else.
pub fn simulator_library() -> PathBuf {
    let exe = std::env::current_exe().expect("a running program has a path");
    // `target/debug/deps/it-…`: the profile's folder is the one that has `deps`.
    let profile_dir = exe
        .ancestors()
        .skip(1)
        .find(|dir| dir.join("deps").is_dir())
        .unwrap_or_else(|| panic!("`{}` is not in a cargo target folder", exe.display()));
    let library = profile_dir.join(LIBRARY);
    if !is_fresh(&library) {
        build(profile_dir);
    }
    assert!(library.is_file(), "`{}` was not built", library.display());
    library
}

fn build(profile_dir: &Path) {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "-p", "huicun-simulator"]);
    cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
    if let Some(target) = profile_dir.parent() {
        cargo.env("CARGO_TARGET_DIR", target);
    }
    if profile_dir
        .file_name()
        .is_some_and(|name| name == "release")
    {
        cargo.arg("--release");
    }
    let status = cargo.status().expect("cargo can be started");
    assert!(
        status.success(),
        "building huicun-simulator failed: {status}"
    );
}

/// Whether the library is newer than the sources it is made of.
fn is_fresh(library: &Path) -> bool {
    let tape = Path::new(env!("CARGO_MANIFEST_DIR"));
    let Some(simulator) = tape.parent() else {
        return false;
    };
    let Ok(built) = library.metadata().and_then(|m| m.modified()) else {
        return false;
    };
    let newest = [
        simulator.join("src"),
        simulator.join("Cargo.toml"),
        tape.join("src"),
        tape.join("Cargo.toml"),
    ]
    .iter()
    .filter_map(|path| newest_change(path))
    .max();
    newest.is_none_or(|changed| changed <= built)
}

fn newest_change(path: &Path) -> Option<SystemTime> {
    if path.is_dir() {
        let entries = std::fs::read_dir(path).ok()?;
        return entries.filter_map(|e| newest_change(&e.ok()?.path())).max();
    }
    path.metadata().ok()?.modified().ok()
}
