//! The private keys by version, and what they open: the random key of a sealed record.
//!
//! RSA-2048, PKCS#1 v1.5 (wecom-sdk 4.1). Keys come from the configuration and from the data
//! directory (`folder`); a version that is in both must be the same key. One undifferentiated
//! failure for every kind of bad ciphertext; nothing of a key is ever shown.

mod der;
pub mod folder;
mod pem;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rsa::{Pkcs1PrivateDecryptingKey, PrivateDecryptingKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::config::{ConfigError, Corp, Passphrase};

pub use pem::Form;

/// Why a key file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read.
    #[error("cannot read private key `{}`: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// The file cannot be written.
    #[error("cannot write private key `{}`: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// The file is no key that we know.
    #[error("private key `{}`: {problem}", path.display())]
    Bad {
        /// The file.
        path: PathBuf,
        /// What was expected and found.
        problem: &'static str,
    },
    /// Its passphrase cannot be had.
    #[error(transparent)]
    Passphrase(#[from] ConfigError),
    /// Two files for one version.
    #[error(
        "`{}` and `{}` are different keys for version {version}", first.display(), second.display()
    )]
    TwoKeys {
        /// The version.
        version: u32,
        /// The file that is in use.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
}

/// Why a random key could not be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnsealError {
    /// No private key of that version.
    MissingKey,
    /// Not base64, not of this key, or damaged.
    Failed,
}

impl UnsealError {
    /// The stable word in the quarantine.
    pub fn reason(self) -> &'static str {
        match self {
            Self::MissingKey => "missing_key",
            Self::Failed => "unseal_failed",
        }
    }
}

/// One private key.
pub struct Key {
    /// Where it stands.
    pub file: PathBuf,
    /// How.
    pub form: Form,
    /// SHA-256 of its public key (DER, as `openssl rsa -pubout -outform DER` writes it), in hex.
    pub fingerprint: String,
    private: Pkcs1PrivateDecryptingKey,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key")
            .field("file", &self.file)
            .field("fingerprint", &self.fingerprint)
            .finish_non_exhaustive()
    }
}

impl Key {
    /// Reads a file.
    pub fn read(path: &Path, passphrase: Option<&Passphrase>) -> Result<Self, KeyError> {
        let text = std::fs::read_to_string(path).map_err(|source| KeyError::Read {
            path: path.to_path_buf(),
            source,
        })?;
        Self::of_pem(path, &text, passphrase)
    }

    fn of_pem(path: &Path, text: &str, passphrase: Option<&Passphrase>) -> Result<Self, KeyError> {
        let bad = |problem| KeyError::Bad {
            path: path.to_path_buf(),
            problem,
        };
        let (form, pkcs8) = pem::read(text, passphrase.map(Passphrase::text)).map_err(bad)?;
        let key = PrivateDecryptingKey::from_pkcs8(&pkcs8)
            .map_err(|_| bad("it is not an RSA private key of 2048 bits or more"))?;
        let public = AsDer::<PublicKeyX509Der<'_>>::as_der(&key.public_key())
            .map_err(|_| bad("its public key cannot be told"))?;
        let fingerprint = hex(digest(&SHA256, public.as_ref()).as_ref());
        let private = Pkcs1PrivateDecryptingKey::new(key)
            .map_err(|_| bad("it cannot decrypt PKCS#1 v1.5"))?;
        Ok(Self {
            file: path.to_path_buf(),
            form,
            fingerprint,
            private,
        })
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// All private keys of one company, as of one look.
#[derive(Default)]
pub struct KeyRing {
    keys: BTreeMap<u32, Key>,
}

impl std::fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeyRing{:?}", self.versions())
    }
}

impl KeyRing {
    /// Reads the keys that the configuration names and those of the data directory `data`, which
    /// need not be there.
    pub fn read(corp: &Corp, data: &Path) -> Result<Self, KeyError> {
        let mut ring = Self::default();
        for (version, setting) in &corp.keys {
            let version = version.parse().map_err(|_| KeyError::Bad {
                path: setting.file.clone(),
                problem: "its version is no whole number",
            })?;
            let passphrase = corp.passphrase_of(setting)?;
            ring.put(version, Key::read(&setting.file, passphrase.as_ref())?)?;
        }
        for (version, file) in folder::files(data, &corp.corpid)? {
            let passphrase = corp.passphrase()?;
            ring.put(version, Key::read(&file, passphrase.as_ref())?)?;
        }
        Ok(ring)
    }

    fn put(&mut self, version: u32, key: Key) -> Result<(), KeyError> {
        match self.keys.get(&version) {
            Some(known) if known.fingerprint != key.fingerprint => Err(KeyError::TwoKeys {
                version,
                first: known.file.clone(),
                second: key.file,
            }),
            Some(_) => Ok(()),
            None => {
                self.keys.insert(version, key);
                Ok(())
            }
        }
    }

    /// The versions that there are, ascending.
    pub fn versions(&self) -> Vec<u32> {
        self.keys.keys().copied().collect()
    }

    /// The keys by version.
    pub fn keys(&self) -> impl Iterator<Item = (u32, &Key)> {
        self.keys.iter().map(|(version, key)| (*version, key))
    }

    /// The key of a version.
    pub fn get(&self, version: u32) -> Option<&Key> {
        self.keys.get(&version)
    }

    /// Opens the random key of a record: base64 of RSA PKCS#1 v1.5 over the text that the SDK
    /// wants.
    pub fn unseal(&self, version: u32, sealed: &str) -> Result<String, UnsealError> {
        let key = &self
            .keys
            .get(&version)
            .ok_or(UnsealError::MissingKey)?
            .private;
        let ciphertext = STANDARD.decode(sealed).map_err(|_| UnsealError::Failed)?;
        let mut buffer = vec![0; key.min_output_size()];
        let plain = key
            .decrypt(&ciphertext, &mut buffer)
            .map_err(|_| UnsealError::Failed)?;
        // It travels on as a C string: a NUL or a byte that is no text is not a key.
        match std::str::from_utf8(plain) {
            Ok(text) if !text.is_empty() && !text.contains('\0') => Ok(text.to_string()),
            _ => Err(UnsealError::Failed),
        }
    }
}

/// One company's keys in a process that runs: read again when a file of theirs has changed.
pub struct Keys {
    corp: Corp,
    data: PathBuf,
    now: Mutex<Look>,
}

/// A file, when it was written and how long it is.
type Stamp = (PathBuf, Option<(SystemTime, u64)>);

#[derive(Default)]
struct Look {
    ring: Arc<KeyRing>,
    /// Whether the last reading went well.
    is_good: bool,
    n_changes: u64,
    /// What the files looked like then.
    files: Vec<Stamp>,
}

impl Keys {
    /// No key yet.
    pub fn new(corp: Corp, data: &Path) -> Self {
        Self {
            corp,
            data: data.to_path_buf(),
            now: Mutex::default(),
        }
    }

    /// The keys as of the last look.
    pub fn ring(&self) -> Arc<KeyRing> {
        Arc::clone(&self.look().ring)
    }

    /// How often they have changed.
    pub fn n_changes(&self) -> u64 {
        self.look().n_changes
    }

    /// Reads the files unless what they hold is known.
    ///
    /// # Errors
    /// A file is unusable, each time.
    pub fn load(&self) -> Result<(), KeyError> {
        let files = self.files()?;
        let known = self.look();
        if known.is_good && known.files == files {
            return Ok(());
        }
        drop(known);
        self.read(files)
    }

    /// Looks at the files, and reads them when one has changed; whether it did.
    ///
    /// # Errors
    /// A file is unusable. The keys stay what they were, and the same change is not told again.
    pub fn refresh(&self) -> Result<bool, KeyError> {
        let files = self.files()?;
        if files == self.look().files {
            return Ok(false);
        }
        self.read(files)?;
        Ok(true)
    }

    fn read(&self, files: Vec<Stamp>) -> Result<(), KeyError> {
        let read = KeyRing::read(&self.corp, &self.data);
        let mut now = self.look();
        now.files = files;
        now.is_good = read.is_ok();
        now.ring = Arc::new(read?);
        now.n_changes += 1;
        Ok(())
    }

    fn files(&self) -> Result<Vec<Stamp>, KeyError> {
        let configured = self.corp.keys.values().map(|key| key.file.clone());
        let added = folder::files(&self.data, &self.corp.corpid)?;
        Ok(configured
            .chain(added.into_values())
            .map(|path| {
                let about = std::fs::metadata(&path).ok();
                let stamp = about.and_then(|about| Some((about.modified().ok()?, about.len())));
                (path, stamp)
            })
            .collect())
    }

    fn look(&self) -> std::sync::MutexGuard<'_, Look> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
