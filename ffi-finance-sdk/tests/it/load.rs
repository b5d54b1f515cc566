//! Every way in which a file is not the SDK, told apart.

use std::path::{Path, PathBuf};
use std::process::Command;

use huicun_ffi_finance_sdk::LoadError;
use huicun_ffi_finance_sdk::worker::{CallError, WorkerClient};

use crate::{SECRET, limits, session, worker};

fn load_error(library: &Path) -> LoadError {
    match WorkerClient::start(worker(), session(library, SECRET), limits()) {
        Err(CallError::Load(error)) => {
            assert!(!error.advice_zh().is_empty() && error.advice_en().is_ascii());
            assert!(
                error
                    .to_string()
                    .contains(library.file_name().unwrap().to_str().unwrap())
            );
            error
        }
        other => panic!("{other:?}"),
    }
}

fn compiled(dir: &Path, name: &str, source: &str, flags: &[&str]) -> PathBuf {
    let (c, so) = (
        dir.join(format!("{name}.c")),
        dir.join(format!("{name}.so")),
    );
    std::fs::write(&c, source).unwrap();
    let status = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .arg(&so)
        .arg(&c)
        .args(flags)
        .status()
        .unwrap();
    assert!(status.success());
    so
}

fn written(dir: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    std::fs::write(dir.join(name), bytes).unwrap();
    dir.join(name)
}

/// The head of a shared library: class 1 is 32-bit, 2 is 64-bit.
fn elf(class: u8, machine: u16) -> Vec<u8> {
    let mut head = vec![0; 4096];
    head[..7].copy_from_slice(&[0x7f, b'E', b'L', b'F', class, 1, 1]);
    head[16] = 3;
    head[18..20].copy_from_slice(&machine.to_le_bytes());
    head
}

#[test]
fn a_file_that_is_no_library_says_what_it_is() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(
        load_error(&dir.path().join("none.so")),
        LoadError::Missing { .. }
    ));
    for (name, bytes) in [
        ("a.dll", &b"MZ\x90"[..]),
        ("b.tgz", b"\x1f\x8b\x08"),
        ("c.txt", b"hello"),
        ("d.so", b""),
    ] {
        assert!(
            matches!(
                load_error(&written(dir.path(), name, bytes)),
                LoadError::NotElf { .. }
            ),
            "{name}"
        );
    }
    assert!(matches!(
        load_error(&written(dir.path(), "cut.so", &elf(2, 62)[..30])),
        LoadError::NotElf { .. }
    ));
    std::fs::create_dir(dir.path().join("folder.so")).unwrap();
    assert!(matches!(
        load_error(&dir.path().join("folder.so")),
        LoadError::Unreadable { .. }
    ));
}

#[test]
fn a_library_for_another_machine_names_both() {
    let dir = tempfile::tempdir().unwrap();
    let (foreign, name) = if cfg!(target_arch = "x86_64") {
        (183, "aarch64")
    } else {
        (62, "x86_64")
    };
    let error = load_error(&written(dir.path(), "foreign.so", &elf(2, foreign)));
    let LoadError::WrongArchitecture {
        found, expected, ..
    } = error
    else {
        panic!("{error}")
    };
    assert_eq!(
        (found.as_str(), expected.as_str()),
        (name, std::env::consts::ARCH)
    );
    let error = load_error(&written(dir.path(), "old.so", &elf(1, 3)));
    assert!(matches!(error, LoadError::ThirtyTwoBit { .. }));
}

#[test]
fn the_java_build_is_recognised() {
    let dir = tempfile::tempdir().unwrap();
    let source = "long Java_com_tencent_wework_Finance_NewSdk(void *env, void *c) { return 0; }";
    let error = load_error(&compiled(dir.path(), "jni", source, &[]));
    assert!(matches!(error, LoadError::JniBuild { .. }), "{error}");
}

#[test]
fn missing_functions_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let all = [
        "NewSdk",
        "Init",
        "GetChatData",
        "DecryptData",
        "GetMediaData",
        "DestroySdk",
        "NewSlice",
        "FreeSlice",
        "GetContentFromSlice",
        "GetSliceLen",
        "NewMediaData",
        "FreeMediaData",
        "GetOutIndexBuf",
        "GetData",
        "GetIndexLen",
        "GetDataLen",
        "IsMediaDataFinish",
    ];
    let source: String = all
        .iter()
        .filter(|name| **name != "GetDataLen")
        .map(|name| format!("int {name}() {{ return 0; }}\n"))
        .collect();
    let error = load_error(&compiled(dir.path(), "partial", &source, &[]));
    let LoadError::MissingSymbols { symbols, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(symbols, &["GetDataLen"]);
    let error = load_error(&compiled(dir.path(), "stranger", "int x;", &[]));
    let LoadError::MissingSymbols { symbols, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(symbols.len(), 17);
}

#[test]
fn a_missing_dependency_is_told_in_the_linkers_words() {
    let dir = tempfile::tempdir().unwrap();
    compiled(
        dir.path(),
        "libneeded",
        "int needed(void) { return 1; }",
        &["-Wl,-soname,libneeded.so"],
    );
    let folder = format!("-L{}", dir.path().display());
    let source = "int needed(void); int f(void) { return needed(); }";
    let so = compiled(dir.path(), "needy", source, &[&folder, "-lneeded"]);
    std::fs::remove_file(dir.path().join("libneeded.so")).unwrap();
    let error = load_error(&so);
    let LoadError::Linker { why, .. } = &error else {
        panic!("{error}")
    };
    assert!(why.contains("libneeded.so"), "{why}");
}

#[test]
fn a_library_that_crashes_when_loaded_costs_a_child() {
    let dir = tempfile::tempdir().unwrap();
    let source =
        "#include <stdlib.h>\n__attribute__((constructor)) static void boom(void) { abort(); }";
    let so = compiled(dir.path(), "boom", source, &[]);
    let error = WorkerClient::start(worker(), session(&so, SECRET), limits()).unwrap_err();
    assert!(matches!(error, CallError::Crashed { .. }), "{error}");
}
