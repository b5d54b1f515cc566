//! The real library, where one is named by the environment variable `FINANCE_SDK_REAL`.
//!
//! It is Tencent's and is not kept here (`scripts/real-sdk.sh` fetches a copy for tests); without
//! it, or without namespaces, these tests say that they were skipped. All of it runs under
//! `unshare -rn`, without a network, so that it contacts nobody.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Output};

use huicun_ffi_finance_sdk::SdkCode;
use huicun_ffi_finance_sdk::worker::{
    CallError, DecryptOutcome, Exit, WorkerClient, WorkerCommand,
};

use crate::{SECRET, limits, session, worker};

/// The library, if there is one and it can be run alone.
fn library() -> Option<OsString> {
    let Some(library) = std::env::var_os("FINANCE_SDK_REAL") else {
        println!("skipped: FINANCE_SDK_REAL names no library");
        return None;
    };
    let alone = Command::new("unshare").args(["-rn", "true"]).status();
    if !alone.is_ok_and(|status| status.success()) {
        println!("skipped: this machine has no namespaces without a network");
        return None;
    }
    Some(library)
}

/// Asks it from C, so that no Rust of ours vouches for it.
fn asked(library: &OsString, what: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("real");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/real.c");
    let mut compiler = Command::new("cc");
    compiler.arg("-o").arg(&program).arg(source).arg("-ldl");
    assert!(compiler.status().unwrap().success());
    let mut command = Command::new("unshare");
    command.arg("-rn").arg(program).arg(library).arg(what);
    command.output().unwrap()
}

#[test]
fn the_real_library_answers_as_measured() {
    let Some(library) = library() else {
        return;
    };
    let output = asked(&library, "ask");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "as measured\n");
    for (what, signal) in [
        ("decrypt-short", 6),
        ("decrypt-empty", 6),
        ("destroy-twice", 11),
    ] {
        let ended = asked(&library, what).status;
        // Two programs stand before it: the signal may come as the status of one of them.
        let found = ended.signal().or(ended.code().map(|code| code - 128));
        assert_eq!(found, Some(signal), "{what}: {ended}");
    }
}

#[test]
fn the_worker_contains_the_real_library() {
    let Some(library) = library() else {
        return;
    };
    let program = worker().program.into_os_string();
    let command = WorkerCommand {
        program: "unshare".into(),
        args: vec!["-rn".into(), program],
        envs: vec![],
    };
    let session = session(library.as_ref(), SECRET);
    let mut client = WorkerClient::start(command, session, limits()).unwrap();
    assert_eq!(
        client.page(0, 1000).unwrap_err(),
        CallError::Sdk(SdkCode::Network)
    );
    assert_eq!(
        client.media_chunk("", "QUFB").unwrap_err(),
        CallError::Sdk(SdkCode::Network)
    );
    let item = |sealed: &str| ("k".repeat(32), sealed.to_owned());
    let long = "QUFB".repeat(64);
    let wrong_key = client.decrypt_batch(&[item(&long)]).unwrap();
    assert_eq!(wrong_key, [Err(SdkCode::KeyUnparsable)]);
    let short = [item(&long), item("QUFB"), item(&long)];
    assert_eq!(
        client.decrypt_batch(&short).unwrap_err(),
        CallError::Crashed {
            exit: Exit::Signal(6)
        }
    );
    let outcomes = client.decrypt_isolating(&short).unwrap();
    let failed = DecryptOutcome::Failed(SdkCode::KeyUnparsable);
    assert_eq!(outcomes, [failed.clone(), DecryptOutcome::Crashed, failed]);
}
