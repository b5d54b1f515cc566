//! Tencent's library: which build it is, whether it loads in its worker, and whether WeCom answers.

use std::path::Path;
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256};
use huicun_ffi_finance_sdk::inspect;
use huicun_ffi_finance_sdk::worker::{CallError, Limits, Session, WorkerClient};

use super::Patient;
use super::archive::Seen;
use super::finding::{Finding, Words, say};
use crate::ingest::config::{Corp, PullSettings};

/// The builds that circulate, by Git's id of the file (wecom-sdk 1.6): there is no version function.
const BUILDS: [(&str, &str); 5] = [
    (
        "6bc84a407eb90d2d30e86c0c2709cbf077db6bee",
        "v1 (200215), x86-64",
    ),
    (
        "00c1b5c75b1650451ccbe930c4d27f7c06c6bd5a",
        "v2.0 (20240606), x86-64",
    ),
    (
        "a885ee9a6eee5e794cca91ca3913df28892dff71",
        "v3.0 (20250205), x86-64",
    ),
    (
        "bec3e043c8f590fe23203c1bf9de4367db9dcec2",
        "v3.0 (20250205), arm64",
    ),
    (
        "e196909e8ae8e0cafe0544a76c3a229796759ce0",
        "Java (2020), x86-64",
    ),
];

/// Looks at the file and loads it in a worker, which is handed back where that works.
pub(super) fn look(
    patient: &Patient,
    corp: &Corp,
    settings: Option<&PullSettings>,
    found: &mut Vec<Finding>,
) -> Option<WorkerClient> {
    let about = corp.corpid.as_str();
    if let Err(error) = inspect(&corp.sdk_library) {
        let words = say(error.to_string(), error.to_string());
        let next = say(error.advice_zh(), error.advice_en());
        found.push(Finding::fail("library", words, next).about(about));
        return None;
    }
    found.push(build(&corp.sdk_library).about(about));
    let session = Session {
        library: corp.sdk_library.clone(),
        corpid: corp.corpid.clone(),
        secret: corp.secret.clone().unwrap_or_default(),
        proxy: corp.proxy.clone(),
        passwd: corp.proxy_password.clone(),
    };
    let timeout = settings.map_or(10, |settings| settings.timeout_seconds);
    let limits = Limits {
        call_timeout: Duration::from_secs(timeout),
        ..Limits::default()
    };
    match WorkerClient::start(patient.worker.clone(), session, limits) {
        Ok(client) => {
            let words = say(
                format!("SDK 在子进程中加载成功（{}）", std::env::consts::ARCH),
                format!("the SDK loads in its worker ({})", std::env::consts::ARCH),
            );
            found.push(Finding::ok("worker", words).about(about));
            Some(client)
        }
        Err(error) => {
            found.push(failed("worker", &error).about(about));
            None
        }
    }
}

fn failed(check: &'static str, error: &CallError) -> Finding {
    let words = say(error.to_string(), error.to_string());
    Finding::fail(check, words, say(error.advice_zh(), error.advice_en()))
}

fn build(path: &Path) -> Finding {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) => {
            return Finding::fail(
                "library",
                say(error.to_string(), error.to_string()),
                say("检查文件权限", "check the file's permissions"),
            );
        }
    };
    let mut blob = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    blob.update(format!("blob {}\0", bytes.len()).as_bytes());
    blob.update(&bytes);
    let blob = hex(blob.finish().as_ref());
    let sum = hex(aws_lc_rs::digest::digest(&SHA256, &bytes).as_ref());
    let known = BUILDS.iter().find(|(id, _)| *id == blob);
    match known {
        Some((_, name)) => Finding::ok(
            "library",
            say(
                format!("官方 SDK {name}，SHA-256 {sum}"),
                format!("Tencent's SDK {name}, SHA-256 {sum}"),
            ),
        ),
        None => Finding::warn(
            "library",
            say(
                format!("未知版本的 SDK，SHA-256 {sum}"),
                format!("a build of the SDK that is not known, SHA-256 {sum}"),
            ),
            say(
                "与官方文档 91774 下载的文件核对；新版本可以使用",
                "compare it with what document 91774 offers; a newer build may be used",
            ),
        ),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Asks WeCom for the record after the cursor, where that is wanted; nothing is archived.
pub(super) fn call(
    patient: &Patient,
    corp: &Corp,
    mut client: WorkerClient,
    seen: &Seen,
    found: &mut Vec<Finding>,
) {
    if !patient.calls_wecom {
        return;
    }
    let after = seen.cursor(&corp.corpid);
    let finding = match client.page(after, 1) {
        Ok(page) => Finding::ok("call", answered(after, page.is_empty())),
        Err(error) => failed("call", &error),
    };
    found.push(finding.about(&corp.corpid));
}

fn answered(after: u64, is_empty: bool) -> Words {
    if is_empty {
        return say(
            format!("企业微信有应答：{after} 之后没有新消息"),
            format!("WeCom answers: there is nothing after seq {after}"),
        );
    }
    say(
        format!("企业微信有应答：{after} 之后有消息"),
        format!("WeCom answers: there are messages after seq {after}"),
    )
}
