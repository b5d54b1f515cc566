//! `huicun.toml`: what the installation *is*. How a run behaves is a flag.
//!
//! Unknown keys are refused by name. Paths are relative to the file's own folder. Secrets, key
//! passphrases and tokens are in no `Debug` and in no error.

mod corp;
mod jwt;

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

pub use corp::{CallbackSettings, Corp, KeySetting, Passphrase};
pub use jwt::{JwtRole, JwtSettings};

use super::media::MediaSettings;

/// The whole file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The companies whose archives are pulled.
    #[serde(default)]
    pub corp: Vec<Corp>,
    /// How the pull behaves.
    #[serde(default)]
    pub pull: PullSettings,
    /// How media are fetched and kept.
    #[serde(default)]
    pub media: MediaSettings,
    /// Whose JWTs open the HTTP API.
    pub jwt: Option<JwtSettings>,
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
        config.media.resolve(folder).map_err(&bad)?;
        if let Some(jwt) = &mut config.jwt {
            jwt.prepare(folder).map_err(&bad)?;
        }
        config.check().map_err(bad)?;
        Ok(config)
    }

    /// Its companies, or those of them that are named; at least one.
    ///
    /// # Errors
    /// There is none, or none of a name that was given.
    pub fn companies(&self, named: &[String]) -> Result<Vec<Corp>, String> {
        if self.corp.is_empty() {
            return Err("there is no [[corp]]".into());
        }
        if let Some(unknown) = named
            .iter()
            .find(|id| !self.corp.iter().any(|corp| corp.corpid == **id))
        {
            let known: Vec<&str> = self.corp.iter().map(|c| c.corpid.as_str()).collect();
            return Err(format!(
                "there is no [[corp]] of the id `{unknown}` (there is {})",
                known.join(", ")
            ));
        }
        let all = self.corp.iter();
        Ok(all
            .filter(|corp| named.is_empty() || named.contains(&corp.corpid))
            .cloned()
            .collect())
    }

    fn check(&self) -> Result<(), String> {
        for (place, corp) in self.corp.iter().enumerate() {
            // Two pulls would move one cursor.
            if self.corp[..place].iter().any(|c| c.corpid == corp.corpid) {
                return Err(format!(
                    "there are two [[corp]] of the id `{}`",
                    corp.corpid
                ));
            }
        }
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
        assert!(config.corp[0].keys["1"].file.is_absolute());
        assert!(!format!("{config:?}").contains("\"s\""));
    }

    const CORP: &str = "[[corp]]\ncorpid = \"ww1\"\nsecret = \"s\"\nsdk_library = \"x.so\"\n";

    #[test]
    fn a_key_is_a_path_or_a_path_with_its_passphrase() {
        let text = format!(
            "{CORP}key_passphrase_file = \"all\"\n[corp.keys]\n1 = \"a.pem\"\n\
             2 = {{ file = \"b.pem\", passphrase_file = \"b\" }}"
        );
        let config = read(&text).unwrap();
        let keys = &config.corp[0].keys;
        assert_eq!(keys["1"].passphrase_file, None);
        assert!(keys["2"].file.ends_with("b.pem"));
        let own = keys["2"].passphrase_file.as_ref();
        assert!(own.is_some_and(|file| file.is_absolute()));
        let wrong = read(&text.replace("passphrase_file = \"b\"", "pass = \"b\""));
        let wrong = wrong.unwrap_err().to_string();
        assert!(
            wrong.contains("`pass`") && wrong.contains("line 8"),
            "{wrong}"
        );
    }

    #[test]
    fn companies_have_ids_of_their_own_that_name_a_folder() {
        let other = CORP.replace("ww1", "ww2");
        let config = read(&format!("{CORP}{other}")).unwrap();
        assert_eq!(config.companies(&[]).unwrap().len(), 2);
        assert_eq!(config.companies(&["ww2".into()]).unwrap().len(), 1);
        let unknown = config.companies(&["ww3".into()]).unwrap_err();
        assert!(
            unknown.contains("`ww3`") && unknown.contains("ww1, ww2"),
            "{unknown}"
        );
        for (text, word) in [
            (format!("{CORP}{CORP}"), "two [[corp]]"),
            (CORP.replace("ww1", "../ww1"), "`../ww1`"),
            (CORP.replace("ww1", ""), "empty"),
        ] {
            let error = read(&text).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }

    #[test]
    fn a_callback_has_a_token_and_a_key_of_43_letters() {
        let callback = |text: &str| read(&format!("{CORP}[corp.callback]\n{text}"));
        let key = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG";
        let good = callback(&format!("token = \"hush\"\naes_key = \"{key}\"")).unwrap();
        let good = good.corp[0].callback.as_ref().unwrap();
        assert_eq!(good.token, "hush");
        assert!(!format!("{good:?}").contains("hush"));
        for (text, word) in [
            ("token = \"hush\"".to_string(), "aes_key"),
            (format!("aes_key = \"{key}\""), "token"),
            ("token = \"hush\"\naes_key = \"short\"".into(), "43"),
            (
                format!("token = \"hush\"\ntoken_file = \"x\"\naes_key = \"{key}\""),
                "both",
            ),
        ] {
            let error = callback(&text).unwrap_err().to_string();
            assert!(error.contains(word) && !error.contains("hush"), "{error}");
        }
    }

    #[test]
    fn bounds_are_checked() {
        let error = read("[pull]\npage_records = 1001").unwrap_err().to_string();
        assert!(error.contains("page_records"), "{error}");
    }
}
