//! The worker against the simulator library, through a real child process.

#![allow(clippy::unwrap_used, reason = "the helpers here are tests too")]

mod abi;
mod containment;
mod load;
mod media;
mod real_library;
mod round_trip;

use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_lc_rs::rsa::{Pkcs1PrivateDecryptingKey, PrivateDecryptingKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use huicun_ffi_finance_sdk::SealedRecord;
use huicun_ffi_finance_sdk::worker::{CallError, Limits, Session, WorkerClient, WorkerCommand};
use huicun_tape::testing::simulator_library;
use huicun_tape::{Keys, TapeOptions, TapeWriter};

const CORPID: &str = "wwtape";
const SECRET: &str = "tape-secret";

/// A tape in a folder of its own, and what plays it.
struct Studio {
    dir: tempfile::TempDir,
}

impl Studio {
    /// A tape of these messages, numbered from 1, all of one key version.
    fn with_messages(n_messages: u64) -> Self {
        Self::with(|writer| {
            for seq in 1..=n_messages {
                writer.append(seq, 1, message(seq).as_bytes()).unwrap();
            }
        })
    }

    fn with(fill: impl FnOnce(&mut TapeWriter)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = TapeOptions {
            corpid: CORPID.to_owned(),
            secret: SECRET.to_owned(),
            keys: Keys::Generate { versions: 2 },
            keys_dir: None,
            records_per_file: 100,
        };
        let mut writer = TapeWriter::create(dir.path().join("tape"), options).unwrap();
        fill(&mut writer);
        writer.finish().unwrap();
        Self { dir }
    }

    fn tape(&self) -> PathBuf {
        self.dir.path().join("tape")
    }

    fn faults(self, json: &str) -> Self {
        std::fs::write(self.tape().join("faults.json"), json).unwrap();
        self
    }

    fn command(&self) -> WorkerCommand {
        WorkerCommand {
            envs: vec![("FINANCE_SDK_TAPE".into(), self.tape().into())],
            ..worker()
        }
    }

    fn start(&self) -> WorkerClient {
        self.start_with(SECRET, limits()).unwrap()
    }

    fn start_with(&self, secret: &str, limits: Limits) -> Result<WorkerClient, CallError> {
        WorkerClient::start(
            self.command(),
            session(&simulator_library(), secret),
            limits,
        )
    }

    /// Opens a record's random key, as the product's side does: with the private key of its
    /// version and nothing of the tape's own code.
    fn unseal(&self, record: &SealedRecord) -> String {
        let path = self
            .tape()
            .join(format!("keys/v{}.pem", record.publickey_ver));
        let pem = std::fs::read_to_string(path).unwrap();
        let base64: String = pem
            .lines()
            .filter(|line| !line.starts_with("-----"))
            .collect();
        let key = PrivateDecryptingKey::from_pkcs8(&STANDARD.decode(base64).unwrap()).unwrap();
        let key = Pkcs1PrivateDecryptingKey::new(key).unwrap();
        let sealed = STANDARD.decode(&record.encrypt_random_key).unwrap();
        let mut room = vec![0; key.min_output_size()];
        let text = key.decrypt(&sealed, &mut room).unwrap();
        String::from_utf8(text.to_vec()).unwrap()
    }

    fn items(&self, records: &[SealedRecord]) -> Vec<(String, String)> {
        records
            .iter()
            .map(|r| (self.unseal(r), r.encrypt_chat_msg.clone()))
            .collect()
    }
}

fn worker() -> WorkerCommand {
    WorkerCommand {
        program: env!("CARGO_BIN_EXE_finance-sdk-worker").into(),
        args: Vec::new(),
        envs: Vec::new(),
    }
}

fn session(library: &Path, secret: &str) -> Session {
    Session {
        library: library.to_owned(),
        corpid: CORPID.to_owned(),
        secret: secret.to_owned(),
        proxy: String::new(),
        passwd: String::new(),
    }
}

/// Short enough for tests, long enough for two busy cores.
fn limits() -> Limits {
    Limits {
        call_timeout: Duration::from_secs(2),
        grace: Duration::from_secs(1),
        local_timeout: Duration::from_secs(20),
        ..Limits::default()
    }
}

fn message(seq: u64) -> String {
    format!(
        r#"{{"msgid":"m{seq}_external","action":"send","msgtype":"text","text":{{"content":"您好 {seq}"}}}}"#
    )
}
