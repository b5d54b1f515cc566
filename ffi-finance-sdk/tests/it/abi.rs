//! The simulator's C ABI, used from C: so that no Rust of ours vouches for itself.

use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use huicun_tape::testing::simulator_library;

use crate::{Studio, message};

fn compiled(dir: &Path) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/abi.c");
    let program = dir.join("abi");
    let status = Command::new("cc")
        .arg("-o")
        .arg(&program)
        .arg(source)
        .arg("-ldl")
        .status()
        .unwrap();
    assert!(status.success());
    program
}

fn studio() -> Studio {
    Studio::with(|writer| {
        writer.append(1, 1, message(1).as_bytes()).unwrap();
        writer.append(2, 2, message(2).as_bytes()).unwrap();
        let content: Vec<u8> = (0..600_000_u32).map(|n| (n % 253) as u8).collect();
        writer.add_media("id", &content).unwrap();
    })
}

fn ran(studio: &Studio, what: &str) -> Output {
    let program = compiled(studio.dir.path());
    Command::new(program)
        .arg(simulator_library())
        .arg(what)
        .env("FINANCE_SDK_TAPE", studio.tape())
        .output()
        .unwrap()
}

#[test]
fn a_c_program_finds_what_the_header_promises() {
    let output = ran(&studio(), "use");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "fine\n");
}

#[test]
fn misuse_aborts_with_a_message() {
    let studio = studio();
    for (what, message) in [
        ("free-slice-twice", "Slice freed twice"),
        ("free-media-twice", "Media freed twice"),
        ("destroy-twice", "Sdk freed twice"),
        ("use-after-free", "Slice used after it was freed"),
        ("use-after-destroy", "Sdk used after it was freed"),
        ("wrong-kind", "Slice freed but never made by this library"),
    ] {
        let output = ran(&studio, what);
        assert_eq!(output.status.signal(), Some(6), "{what}");
        assert_eq!(
            String::from_utf8_lossy(&output.stderr).trim(),
            format!("finance sdk simulator: {message}")
        );
    }
}

#[test]
fn the_seventeen_functions_are_exported_and_nothing_else() {
    let output = Command::new("nm")
        .args(["-D", "--defined-only"])
        .arg(simulator_library())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut names: Vec<&str> = text
        .lines()
        .filter_map(|line| line.split_whitespace().nth(2))
        .collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "DecryptData",
            "DestroySdk",
            "FreeMediaData",
            "FreeSlice",
            "GetChatData",
            "GetContentFromSlice",
            "GetData",
            "GetDataLen",
            "GetIndexLen",
            "GetMediaData",
            "GetOutIndexBuf",
            "GetSliceLen",
            "Init",
            "IsMediaDataFinish",
            "NewMediaData",
            "NewSdk",
            "NewSlice",
        ]
    );
}

#[test]
fn without_a_tape_the_library_says_so() {
    let program = compiled(tempfile::tempdir().unwrap().keep().as_path());
    let output = Command::new(program)
        .arg(simulator_library())
        .arg("use")
        .env_remove("FINANCE_SDK_TAPE")
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        stderr.contains("FINANCE_SDK_TAPE names no tape folder"),
        "{stderr}"
    );
}
