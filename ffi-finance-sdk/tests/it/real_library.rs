//! The real library, where one is named by the environment variable `FINANCE_SDK_REAL`.
//!
//! It is Tencent's and is not kept here; without it this test says that it was skipped. The
//! worker is started under `unshare -rn`, without a network, so that it contacts nobody.

use huicun_ffi_finance_sdk::SdkCode;
use huicun_ffi_finance_sdk::worker::{
    CallError, DecryptOutcome, Exit, WorkerClient, WorkerCommand,
};

use crate::{SECRET, limits, session, worker};

#[test]
fn the_real_library_behaves_as_measured() {
    let Some(library) = std::env::var_os("FINANCE_SDK_REAL") else {
        println!("skipped: FINANCE_SDK_REAL names no library");
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
