//! `[[corp]]`: one company, with its secrets and where they are read from.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};

use super::ConfigError;

/// The environment variable that holds the passphrase of private keys.
const PASSPHRASE_VARIABLE: &str = "HUICUN_KEY_PASSPHRASE";

/// `[[corp]]`: one company.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Corp {
    /// The company's id (企业 ID), `ww...`: letters, digits, `-` and `_`.
    pub corpid: String,
    /// The secret of the session archive (会话内容存档 Secret), not an app's.
    pub secret: Option<String>,
    /// A file that holds the secret, instead of `secret`.
    pub secret_file: Option<PathBuf>,
    /// Tencent's `libWeWorkFinanceSdk_C.so`.
    pub sdk_library: PathBuf,
    /// Private key files (PEM) by `publickey_ver`. Keep every version for ever.
    #[serde(default)]
    pub keys: BTreeMap<String, KeySetting>,
    /// A file that holds the passphrase of protected private keys; else the variable
    /// `HUICUN_KEY_PASSPHRASE`.
    pub key_passphrase_file: Option<PathBuf>,
    /// `http://host:port` or `socks5://host:port`.
    #[serde(default)]
    pub proxy: String,
    /// `user:password` of the proxy.
    #[serde(default)]
    pub proxy_password: String,
    /// How WeCom tells that there are new messages (接收事件服务器).
    pub callback: Option<CallbackSettings>,
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

/// One private key: a path, or `{ file = "...", passphrase_file = "..." }`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySetting {
    /// The PEM file.
    pub file: PathBuf,
    /// A file that holds its passphrase, if it has one of its own.
    pub passphrase_file: Option<PathBuf>,
}

impl<'de> Deserialize<'de> for KeySetting {
    /// By hand, because an untagged enum would not name an unknown key.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Table {
            file: PathBuf,
            passphrase_file: Option<PathBuf>,
        }
        struct PathOrTable;
        impl<'de> Visitor<'de> for PathOrTable {
            type Value = KeySetting;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "the path of a PEM file, or { file = \"...\", passphrase_file = \"...\" }",
                )
            }
            fn visit_str<E>(self, path: &str) -> Result<KeySetting, E> {
                Ok(KeySetting {
                    file: path.into(),
                    passphrase_file: None,
                })
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<KeySetting, A::Error> {
                let table = Table::deserialize(MapAccessDeserializer::new(map))?;
                Ok(KeySetting {
                    file: table.file,
                    passphrase_file: table.passphrase_file,
                })
            }
        }
        deserializer.deserialize_any(PathOrTable)
    }
}

/// `[corp.callback]`: what the console shows beside the address that receives events.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallbackSettings {
    /// The token (Token).
    #[serde(default)]
    pub token: String,
    /// A file that holds it, instead of `token`.
    pub token_file: Option<PathBuf>,
    /// The key of 43 letters (EncodingAESKey).
    #[serde(default)]
    pub aes_key: String,
    /// A file that holds it, instead of `aes_key`.
    pub aes_key_file: Option<PathBuf>,
}

impl fmt::Debug for CallbackSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallbackSettings").finish_non_exhaustive()
    }
}

/// The passphrase of a private key; shown nowhere.
#[derive(Clone)]
pub struct Passphrase(String);

impl Passphrase {
    pub(in crate::ingest) fn text(&self) -> &str {
        &self.0
    }

    fn of_file(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.to_path_buf(),
            source,
        })?;
        // A blank may belong to it; the line's end does not.
        Ok(Self(text.trim_end_matches(['\r', '\n']).to_string()))
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase")
    }
}

impl Corp {
    /// The passphrase of its keys that name none of their own, if there is one.
    pub fn passphrase(&self) -> Result<Option<Passphrase>, ConfigError> {
        match &self.key_passphrase_file {
            Some(file) => Passphrase::of_file(file).map(Some),
            None => Ok(std::env::var(PASSPHRASE_VARIABLE).ok().map(Passphrase)),
        }
    }

    /// The passphrase of one of its keys, if there is one.
    pub fn passphrase_of(&self, key: &KeySetting) -> Result<Option<Passphrase>, ConfigError> {
        match &key.passphrase_file {
            Some(file) => Passphrase::of_file(file).map(Some),
            None => self.passphrase(),
        }
    }

    /// Completes paths and reads the files that hold secrets.
    pub(super) fn resolve(&mut self, folder: &Path) -> Result<(), String> {
        if self.corpid.trim().is_empty() {
            return Err("`corpid` is empty".into());
        }
        // It names a folder of keys, and a source.
        let is_id = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if !self.corpid.chars().all(is_id) || self.corpid.len() > 128 {
            return Err(format!(
                "`corpid` is `{}`; expected at most 128 letters, digits, `-` or `_`",
                self.corpid
            ));
        }
        self.sdk_library = folder.join(&self.sdk_library);
        for (version, key) in &mut self.keys {
            if version.parse::<u32>().is_err() {
                return Err(format!(
                    "`keys.{version}` of `{}`: expected a publickey_ver, a whole number",
                    self.corpid
                ));
            }
            key.file = folder.join(&key.file);
            key.passphrase_file = key.passphrase_file.take().map(|file| folder.join(file));
        }
        self.key_passphrase_file = self
            .key_passphrase_file
            .take()
            .map(|file| folder.join(file));
        let corpid = &self.corpid;
        let given = self.secret.clone().unwrap_or_default();
        let secret = match (&self.secret, &self.secret_file) {
            (Some(secret), None) if secret.is_empty() => {
                return Err(format!("`secret` of `{corpid}` is empty"));
            }
            _ => one_of(
                corpid,
                "secret",
                &given,
                self.secret_file.as_deref(),
                folder,
            )?,
        };
        self.secret = Some(secret);
        if let Some(callback) = &mut self.callback {
            let file = callback.token_file.as_deref();
            callback.token = one_of(corpid, "token", &callback.token, file, folder)?;
            let file = callback.aes_key_file.as_deref();
            callback.aes_key = one_of(corpid, "aes_key", &callback.aes_key, file, folder)?;
            let is_letter = |c: char| c.is_ascii_alphanumeric() || c == '+' || c == '/';
            if callback.aes_key.len() != 43 || !callback.aes_key.chars().all(is_letter) {
                return Err(format!(
                    "`aes_key` of `{corpid}`: expected the 43 letters and digits of the EncodingAESKey"
                ));
            }
        }
        Ok(())
    }
}

/// A value that is given as it is or in a file, in exactly one of the two ways.
fn one_of(
    corpid: &str,
    name: &str,
    given: &str,
    file: Option<&Path>,
    folder: &Path,
) -> Result<String, String> {
    match (given, file) {
        ("", None) => Err(format!("`{corpid}` has neither `{name}` nor `{name}_file`")),
        (given, None) => Ok(given.to_string()),
        ("", Some(file)) => {
            let file = folder.join(file);
            let text = std::fs::read_to_string(&file)
                .map_err(|e| format!("cannot read `{name}_file` `{}`: {e}", file.display()))?;
            Ok(text.trim().to_string())
        }
        (_, Some(_)) => Err(format!(
            "`{corpid}` has both `{name}` and `{name}_file`; keep one"
        )),
    }
}
