//! The private keys by version, and what they open: the random key of a sealed record.
//!
//! RSA-2048, PKCS#1 v1.5 (wecom-sdk 4.1). PEM files may be PKCS#8 or PKCS#1. One undifferentiated
//! failure for every kind of bad ciphertext; nothing of a key is ever shown.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use aws_lc_rs::rsa::{Pkcs1PrivateDecryptingKey, PrivateDecryptingKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

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
    /// The file is no key that we know.
    #[error("private key `{}`: {problem}", path.display())]
    Bad {
        /// The file.
        path: PathBuf,
        /// What was expected and found.
        problem: &'static str,
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

/// All private keys of one company.
#[derive(Default)]
pub struct KeyRing {
    keys: BTreeMap<u32, Pkcs1PrivateDecryptingKey>,
}

impl std::fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeyRing{:?}", self.versions())
    }
}

impl KeyRing {
    /// Reads the key files of a configuration.
    pub fn read(files: &BTreeMap<String, PathBuf>) -> Result<Self, KeyError> {
        let mut keys = BTreeMap::new();
        for (version, path) in files {
            let version = version.parse().map_err(|_| KeyError::Bad {
                path: path.clone(),
                problem: "its version is no whole number",
            })?;
            keys.insert(version, read_key(path)?);
        }
        Ok(Self { keys })
    }

    /// The versions that there are, ascending.
    pub fn versions(&self) -> Vec<u32> {
        self.keys.keys().copied().collect()
    }

    /// The text inside `encrypt_random_key`.
    pub fn unseal(&self, version: u32, sealed: &str) -> Result<String, UnsealError> {
        let key = self.keys.get(&version).ok_or(UnsealError::MissingKey)?;
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

fn read_key(path: &Path) -> Result<Pkcs1PrivateDecryptingKey, KeyError> {
    let text = std::fs::read_to_string(path).map_err(|source| KeyError::Read {
        path: path.to_path_buf(),
        source,
    })?;
    let bad = |problem| KeyError::Bad {
        path: path.to_path_buf(),
        problem,
    };
    let pkcs8 = pkcs8_of_pem(&text).map_err(bad)?;
    let key = PrivateDecryptingKey::from_pkcs8(&pkcs8)
        .map_err(|_| bad("it is not an RSA private key of 2048 bits or more"))?;
    Pkcs1PrivateDecryptingKey::new(key).map_err(|_| bad("it cannot decrypt PKCS#1 v1.5"))
}

fn pkcs8_of_pem(text: &str) -> Result<Vec<u8>, &'static str> {
    const NOT_PEM: &str = "expected a PEM private key (`-----BEGIN PRIVATE KEY-----` or `-----BEGIN RSA PRIVATE KEY-----`)";
    let (_, rest) = text.split_once("-----BEGIN ").ok_or(NOT_PEM)?;
    let (label, rest) = rest.split_once("-----").ok_or(NOT_PEM)?;
    let (body, _) = rest
        .split_once("-----END ")
        .ok_or("the PEM ends too early")?;
    match label {
        "PUBLIC KEY" | "RSA PUBLIC KEY" => {
            return Err("it is the public key; the private one is needed");
        }
        "ENCRYPTED PRIVATE KEY" => {
            return Err("it is protected by a passphrase; give it without one");
        }
        "PRIVATE KEY" | "RSA PRIVATE KEY" => {}
        _ => return Err(NOT_PEM),
    }
    if body.contains("Proc-Type:") {
        return Err("it is protected by a passphrase; give it without one");
    }
    let base64: String = body.split_whitespace().collect();
    let der = STANDARD
        .decode(base64)
        .map_err(|_| "its PEM body is not base64")?;
    Ok(match label {
        "PRIVATE KEY" => der,
        _ => wrap_pkcs1(&der),
    })
}

/// PKCS#8 around a PKCS#1 key: `SEQUENCE { 0, { rsaEncryption, NULL }, OCTET STRING key }`.
fn wrap_pkcs1(key: &[u8]) -> Vec<u8> {
    const VERSION_AND_ALGORITHM: &[u8] = &[
        0x02, 0x01, 0x00, 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01,
        0x01, 0x05, 0x00,
    ];
    let element = |tag: u8, content: &[u8]| {
        let mut out = vec![tag];
        let length = (content.len() as u32).to_be_bytes();
        let n_zero = length.iter().take_while(|b| **b == 0).count();
        match content.len() {
            short @ 0..0x80 => out.push(short as u8),
            _ => {
                out.push(0x80 | (4 - n_zero) as u8);
                out.extend(&length[n_zero..]);
            }
        }
        out.extend(content);
        out
    };
    let mut inside = VERSION_AND_ALGORITHM.to_vec();
    inside.extend(element(0x04, key));
    element(0x30, &inside)
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::encoding::AsDer;
    use aws_lc_rs::rsa::{KeySize, Pkcs1PublicEncryptingKey};

    fn pem(label: &str, der: &[u8]) -> String {
        format!(
            "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
            STANDARD.encode(der)
        )
    }

    fn ring(dir: &tempfile::TempDir, text: &str) -> Result<KeyRing, KeyError> {
        let path = dir.path().join("v1.pem");
        std::fs::write(&path, text).unwrap();
        KeyRing::read(&BTreeMap::from([("1".to_string(), path)]))
    }

    #[test]
    fn both_kinds_of_pem_open_what_the_public_key_sealed() {
        let dir = tempfile::tempdir().unwrap();
        let key = PrivateDecryptingKey::generate(KeySize::Rsa2048).unwrap();
        let public = Pkcs1PublicEncryptingKey::new(key.public_key()).unwrap();
        let mut out = vec![0; public.ciphertext_size()];
        let sealed = STANDARD.encode(public.encrypt(b"0123456789abcdef", &mut out).unwrap());
        let pkcs8 = AsDer::<aws_lc_rs::encoding::Pkcs8V1Der>::as_der(&key).unwrap();
        // The PKCS#1 key is the content of the PKCS#8's octet string, after 26 bytes of header.
        for text in [
            pem("PRIVATE KEY", pkcs8.as_ref()),
            pem("RSA PRIVATE KEY", &pkcs8.as_ref()[26..]),
        ] {
            let ring = ring(&dir, &text).unwrap();
            assert_eq!(ring.unseal(1, &sealed).unwrap(), "0123456789abcdef");
            assert_eq!(ring.unseal(2, &sealed), Err(UnsealError::MissingKey));
            assert_eq!(ring.unseal(1, "AAAA"), Err(UnsealError::Failed));
            assert_eq!(ring.unseal(1, "%"), Err(UnsealError::Failed));
        }
    }

    #[test]
    fn a_wrong_file_says_what_it_is() {
        let dir = tempfile::tempdir().unwrap();
        for (text, word) in [
            (pem("PUBLIC KEY", b"x"), "public key"),
            (pem("ENCRYPTED PRIVATE KEY", b"x"), "passphrase"),
            ("hello".to_string(), "PEM"),
            (pem("PRIVATE KEY", b"x"), "RSA"),
        ] {
            let error = ring(&dir, &text).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}
