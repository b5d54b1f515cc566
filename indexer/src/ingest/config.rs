//! `huicun.toml`: what the installation *is*. How a run behaves is a flag.
//!
//! Unknown keys are refused by name. Paths are relative to the file's own folder.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

/// The whole file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The companies whose archives are pulled; one for now.
    #[serde(default)]
    pub corp: Vec<Corp>,
    /// How the pull behaves.
    #[serde(default)]
    pub pull: PullSettings,
}

/// `[[corp]]`: one company.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Corp {
    /// The company's id (企业 ID), `ww...`.
    pub corpid: String,
    /// The secret of the session archive (会话内容存档 Secret), not an app's.
    pub secret: Option<String>,
    /// A file that holds the secret, instead of `secret`.
    pub secret_file: Option<PathBuf>,
    /// Tencent's `libWeWorkFinanceSdk_C.so`.
    pub sdk_library: PathBuf,
    /// Private key files (PEM) by `publickey_ver`. Keep every version for ever.
    #[serde(default)]
    pub keys: BTreeMap<String, PathBuf>,
    /// `http://host:port` or `socks5://host:port`.
    #[serde(default)]
    pub proxy: String,
    /// `user:password` of the proxy.
    #[serde(default)]
    pub proxy_password: String,
}

impl fmt::Debug for Corp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Corp")
            .field("corpid", &self.corpid)
            .field("sdk_library", &self.sdk_library)
            .field("keys", &self.keys)
            .finish_non_exhaustive()
    }
}

/// `[pull]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PullSettings {
    /// What the SDK is told to take at most for one call, seconds (1 to 3600; WeCom suggests 5).
    pub timeout_seconds: u64,
    /// Records asked for in one call (1 to 1000).
    pub page_records: u32,
    /// Seconds between two looks when there is nothing new.
    pub poll_seconds: u64,
    /// A commit is made at the latest when this many records wait.
    pub commit_records_max: usize,
    /// A commit is made at the latest when records have waited this long, milliseconds.
    pub commit_wait_ms: u64,
    /// Resident memory above which the SDK worker is replaced, MiB.
    pub worker_memory_mib_max: u64,
    /// Attempts at one call before `pull --once` gives up.
    pub attempts_once: u32,
}

impl Default for PullSettings {
    fn default() -> Self {
        Self {
            timeout_seconds: 10,
            page_records: 1000,
            poll_seconds: 3,
            commit_records_max: 20_000,
            commit_wait_ms: 1000,
            worker_memory_mib_max: 1024,
            attempts_once: 5,
        }
    }
}

impl PullSettings {
    /// The time between two looks when there is nothing new.
    pub fn poll(&self) -> Duration {
        Duration::from_secs(self.poll_seconds)
    }
}

/// What is wrong with the configuration; nothing was done.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration `{}`: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// The file is not what is expected.
    #[error("configuration `{}`: {problem}", path.display())]
    Bad {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        problem: String,
    },
}

impl Config {
    /// Reads and checks a file.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.to_path_buf(),
            source,
        })?;
        let bad = |problem: String| ConfigError::Bad {
            path: path.to_path_buf(),
            problem,
        };
        let mut config: Self = toml::from_str(&text).map_err(|e| bad(describe(&text, &e)))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        for corp in &mut config.corp {
            corp.resolve(folder).map_err(&bad)?;
        }
        config.check().map_err(bad)?;
        Ok(config)
    }

    fn check(&self) -> Result<(), String> {
        let within = |name: &str, value: u64, low: u64, high: u64| {
            if (low..=high).contains(&value) {
                Ok(())
            } else {
                Err(format!(
                    "`pull.{name}` is {value}; expected {low} to {high}"
                ))
            }
        };
        within("timeout_seconds", self.pull.timeout_seconds, 1, 3600)?;
        within("page_records", self.pull.page_records.into(), 1, 1000)?;
        within("poll_seconds", self.pull.poll_seconds, 1, 3600)?;
        within(
            "commit_records_max",
            self.pull.commit_records_max as u64,
            1,
            1_000_000,
        )?;
        within("commit_wait_ms", self.pull.commit_wait_ms, 1, 60_000)?;
        within(
            "worker_memory_mib_max",
            self.pull.worker_memory_mib_max,
            64,
            65_536,
        )?;
        within("attempts_once", self.pull.attempts_once.into(), 1, 1000)
    }
}

/// The parser's message without the line that it quotes: that line may hold the secret.
fn describe(text: &str, error: &toml::de::Error) -> String {
    let line = error
        .span()
        .map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
    let mut message = error.message().to_string();
    // `invalid type: integer `123`, expected a string`: the value may be a password.
    if message.starts_with("invalid")
        && let (Some(from), Some(to)) = (message.find('`'), message.rfind("`, expected"))
        && from < to
    {
        message.replace_range(from + 1..to, "…");
    }
    match line {
        Some(line) => format!("line {line}: {message}"),
        None => message,
    }
}

impl Corp {
    fn resolve(&mut self, folder: &Path) -> Result<(), String> {
        if self.corpid.trim().is_empty() {
            return Err("`corpid` is empty".into());
        }
        self.sdk_library = folder.join(&self.sdk_library);
        for (version, file) in &mut self.keys {
            if version.parse::<u32>().is_err() {
                return Err(format!(
                    "`keys.{version}` of `{}`: expected a publickey_ver, a whole number",
                    self.corpid
                ));
            }
            *file = folder.join(&*file);
        }
        match (&self.secret, &self.secret_file) {
            (Some(secret), None) if !secret.is_empty() => Ok(()),
            (Some(_), None) => Err(format!("`secret` of `{}` is empty", self.corpid)),
            (None, Some(file)) => {
                let file = folder.join(file);
                let secret = std::fs::read_to_string(&file)
                    .map_err(|e| format!("cannot read `secret_file` `{}`: {e}", file.display()))?;
                self.secret = Some(secret.trim().to_string());
                Ok(())
            }
            (None, None) => Err(format!(
                "`{}` has neither `secret` nor `secret_file`",
                self.corpid
            )),
            (Some(_), Some(_)) => Err(format!(
                "`{}` has both `secret` and `secret_file`; keep one",
                self.corpid
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Config, ConfigError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("huicun.toml");
        std::fs::write(&path, text).unwrap();
        Config::read(&path)
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line_and_no_secret_is_shown() {
        let text =
            "[[corp]]\ncorpid = \"ww1\"\nsecret = \"hush\"\nsdk_library = \"x.so\"\nsekret = 1";
        let error = read(text).unwrap_err().to_string();
        assert!(
            error.contains("sekret") && !error.contains("hush"),
            "{error}"
        );
        let torn = read("[[corp]]\nsecret = \"hush\" \"x\"")
            .unwrap_err()
            .to_string();
        assert!(torn.contains("line 2") && !torn.contains("hush"), "{torn}");
    }

    #[test]
    fn a_value_of_the_wrong_kind_is_not_shown() {
        let text = "[[corp]]\ncorpid = \"ww1\"\nsecret = 778899\nsdk_library = \"x.so\"";
        let error = read(text).unwrap_err().to_string();
        assert!(
            error.contains("line 3") && !error.contains("778899"),
            "{error}"
        );
    }

    #[test]
    fn paths_are_relative_to_the_file() {
        let text = "[[corp]]\ncorpid = \"ww1\"\nsecret = \"s\"\nsdk_library = \"lib/x.so\"\n[corp.keys]\n1 = \"k.pem\"";
        let config = read(text).unwrap();
        assert!(config.corp[0].sdk_library.is_absolute());
        assert!(config.corp[0].keys["1"].is_absolute());
        assert!(!format!("{config:?}").contains("\"s\""));
    }

    #[test]
    fn bounds_are_checked() {
        let error = read("[pull]\npage_records = 1001").unwrap_err().to_string();
        assert!(error.contains("page_records"), "{error}");
    }
}
