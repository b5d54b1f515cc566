//! Private keys in the data directory: `keys/<corpid>/v<N>.pem`, for the owner only, written once
//! and synced. What is there is never overwritten and never deleted: a key is needed for as long as
//! anything that it opens is sealed.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::{KeySize, PrivateDecryptingKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use huicun_engine::archive::fsync_store::sync_directory;

use super::{Key, KeyError, KeyRing};
use crate::ingest::config::Corp;

/// The folder of a company's keys.
pub fn path(data: &Path, corpid: &str) -> PathBuf {
    data.join("keys").join(corpid)
}

fn file_of(data: &Path, corpid: &str, version: u32) -> PathBuf {
    path(data, corpid).join(format!("v{version}.pem"))
}

/// The key files of a company by version. Other files are left alone.
pub fn files(data: &Path, corpid: &str) -> Result<BTreeMap<u32, PathBuf>, KeyError> {
    let folder = path(data, corpid);
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(source) => {
            return Err(KeyError::Read {
                path: folder,
                source,
            });
        }
    };
    let version_of = |name: &str| name.strip_prefix('v')?.strip_suffix(".pem")?.parse().ok();
    Ok(entries
        .filter_map(Result::ok)
        .filter_map(|entry| {
            let version = version_of(&entry.file_name().to_string_lossy())?;
            Some((version, entry.path()))
        })
        .collect())
}

/// Copies a key file in as the key of `version`, after a check that a pull can open it.
///
/// # Errors
/// Nothing was written. Another key of that version is never overwritten.
pub fn add(corp: &Corp, data: &Path, version: u32, file: &Path) -> Result<Key, KeyError> {
    let text = std::fs::read_to_string(file).map_err(|source| KeyError::Read {
        path: file.to_path_buf(),
        source,
    })?;
    let key = Key::of_pem(file, &text, corp.passphrase()?.as_ref())?;
    let ring = KeyRing::read(corp, data)?;
    if let Some(known) = ring.get(version) {
        if known.fingerprint != key.fingerprint {
            return Err(KeyError::TwoKeys {
                version,
                first: known.file.clone(),
                second: file.to_path_buf(),
            });
        }
        let target = file_of(data, &corp.corpid, version);
        if known.file == target {
            return Ok(Key {
                file: target,
                ..key
            });
        }
    }
    let target = write(data, &corp.corpid, version, &text)?;
    Ok(Key {
        file: target,
        ..key
    })
}

/// A key that was just made.
pub struct Made {
    /// The version that WeCom will give its public key, if nothing was uploaded meanwhile.
    pub version: u32,
    /// The key.
    pub key: Key,
    /// What is to be uploaded.
    pub public_pem: String,
}

/// Makes a key of 2048 bits for `version`, or for the one after the highest that is known.
///
/// # Errors
/// Nothing was written, or the file is there and whole.
pub fn make(
    corp: &Corp,
    data: &Path,
    version: Option<u32>,
    highest_seen: u32,
) -> Result<Made, KeyError> {
    let ring = KeyRing::read(corp, data)?;
    let highest = ring.versions().last().copied().unwrap_or(0);
    let version = version.unwrap_or(highest.max(highest_seen).saturating_add(1));
    let target = file_of(data, &corp.corpid, version);
    let bad = |problem| KeyError::Bad {
        path: target.clone(),
        problem,
    };
    if ring.get(version).is_some() {
        return Err(bad("there is a key of that version already"));
    }
    let private = PrivateDecryptingKey::generate(KeySize::Rsa2048)
        .map_err(|_| bad("a new key could not be made"))?;
    let public = AsDer::<PublicKeyX509Der<'_>>::as_der(&private.public_key())
        .map_err(|_| bad("its public key cannot be told"))?;
    let der = AsDer::<Pkcs8V1Der<'_>>::as_der(&private)
        .map_err(|_| bad("a new key could not be written"))?;
    let file = write(
        data,
        &corp.corpid,
        version,
        &pem("PRIVATE KEY", der.as_ref()),
    )?;
    Ok(Made {
        version,
        // Read back: what is told is what the file holds.
        key: Key::read(&file, None)?,
        public_pem: pem("PUBLIC KEY", public.as_ref()),
    })
}

/// 64 letters a line, as WeCom's console wants it.
fn pem(label: &str, der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let lines: Vec<&str> = body
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).expect("base64 is ASCII"))
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}

/// Written beside its place, synced, and given its name only if nothing has it.
fn write(data: &Path, corpid: &str, version: u32, text: &str) -> Result<PathBuf, KeyError> {
    let target = file_of(data, corpid, version);
    let folder = path(data, corpid);
    let staged = folder.join(format!(".v{version}.{}.new", std::process::id()));
    let written = (|| {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)?;
        // Left by a process that died with the same number.
        let _ = std::fs::remove_file(&staged);
        let mut file = File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&staged)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::hard_link(&staged, &target)?;
        std::fs::remove_file(&staged)?;
        sync_directory(&folder)?;
        sync_directory(&data.join("keys"))?;
        sync_directory(data)
    })();
    match written {
        Ok(()) => Ok(target),
        Err(source) => {
            let _ = std::fs::remove_file(&staged);
            Err(KeyError::Write {
                path: target,
                source,
            })
        }
    }
}
