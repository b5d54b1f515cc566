//! The forms of a private key file: PKCS#8 and PKCS#1, plain or protected by a passphrase.
//!
//! What `openssl genrsa`, `openssl genpkey` and `openssl pkcs8` write, old and new: PBES2 with
//! PBKDF2 and AES-CBC or triple DES (RFC 8018), and the `Proc-Type`/`DEK-Info` form of OpenSSL
//! before 3.0. Ends in PKCS#8 DER, or in what is wrong; no byte of a key is in any error.

use std::num::NonZeroU32;

use aws_lc_rs::cipher::{
    AES_128, AES_192, AES_256, Algorithm, DecryptingKey, DecryptionContext, UnboundCipherKey,
};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::pbkdf2;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use des::cipher::{BlockDecrypt, KeyInit};
use md5::{Digest, Md5};

use super::der::{Der, OCTETS, OID, is_sequence, wrap_pkcs1};

/// How a private key stands in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `BEGIN RSA PRIVATE KEY`.
    Pkcs1,
    /// `BEGIN PRIVATE KEY`.
    Pkcs8,
    /// `BEGIN RSA PRIVATE KEY` with `Proc-Type: 4,ENCRYPTED`.
    EncryptedPkcs1,
    /// `BEGIN ENCRYPTED PRIVATE KEY`.
    EncryptedPkcs8,
}

impl Form {
    /// A word for lists.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pkcs1 => "pkcs1",
            Self::Pkcs8 => "pkcs8",
            Self::EncryptedPkcs1 => "pkcs1_encrypted",
            Self::EncryptedPkcs8 => "pkcs8_encrypted",
        }
    }
}

const NOT_PEM: &str = "expected a PEM private key (`-----BEGIN PRIVATE KEY-----` or `-----BEGIN RSA PRIVATE KEY-----`)";
const NEEDS_PASSPHRASE: &str = "it is protected by a passphrase, and none is given: name a file with `key_passphrase_file` or `passphrase_file`, or set HUICUN_KEY_PASSPHRASE";
const WRONG_PASSPHRASE: &str = "the passphrase does not open it";
const UNKNOWN_CIPHER: &str = "its encryption is not one that we read (PBKDF2 with AES-CBC or triple DES); `openssl pkcs8 -topk8 -v2 aes-256-cbc -in OLD -out NEW` writes one";

/// The key as PKCS#8 DER, and the form it had.
pub(super) fn read(text: &str, passphrase: Option<&str>) -> Result<(Form, Vec<u8>), &'static str> {
    let (_, rest) = text.split_once("-----BEGIN ").ok_or(NOT_PEM)?;
    let (label, rest) = rest.split_once("-----").ok_or(NOT_PEM)?;
    let (body, _) = rest
        .split_once("-----END ")
        .ok_or("the PEM ends too early")?;
    let is_legacy = body.contains("Proc-Type:");
    let form = match label {
        "PUBLIC KEY" | "RSA PUBLIC KEY" => {
            return Err("it is the public key; the private one is needed");
        }
        "CERTIFICATE" => return Err("it is a certificate; the private key is needed"),
        "ENCRYPTED PRIVATE KEY" => Form::EncryptedPkcs8,
        "PRIVATE KEY" => Form::Pkcs8,
        "RSA PRIVATE KEY" if is_legacy => Form::EncryptedPkcs1,
        "RSA PRIVATE KEY" => Form::Pkcs1,
        _ => return Err(NOT_PEM),
    };
    if is_legacy && form != Form::EncryptedPkcs1 {
        return Err(NOT_PEM);
    }
    let body = match form {
        // Headers end at the first empty line.
        Form::EncryptedPkcs1 => body.split_once("\n\n").or(body.split_once("\r\n\r\n")),
        _ => Some(("", body)),
    };
    let (headers, body) = body.ok_or("its PEM headers do not end")?;
    let base64: String = body.split_whitespace().collect();
    let der = STANDARD
        .decode(base64)
        .map_err(|_| "its PEM body is not base64")?;
    let secret = || passphrase.ok_or(NEEDS_PASSPHRASE);
    let pkcs8 = match form {
        Form::Pkcs8 => der,
        Form::Pkcs1 => wrap_pkcs1(&der),
        Form::EncryptedPkcs8 => open_pbes2(&der, secret()?)?,
        Form::EncryptedPkcs1 => wrap_pkcs1(&open_legacy(headers, der, secret()?)?),
    };
    Ok((form, pkcs8))
}

const PBES2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0d];
const PBKDF2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0c];
const DES_EDE3: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x03, 0x07];
/// Before the last byte of AES-CBC's names.
const AES: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01];
/// Before the last byte of HMAC's names.
const HMAC: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02];
/// OpenSSL takes 2048; more than this would hold up every start.
const ITERATIONS_MAX: u32 = 20_000_000;

/// How a key file is encrypted.
#[derive(Clone, Copy)]
enum Cipher {
    Aes(&'static Algorithm),
    TripleDes,
}

impl Cipher {
    fn key_bytes(self) -> usize {
        match self {
            Self::Aes(algorithm) => match algorithm {
                a if *a == AES_128 => 16,
                a if *a == AES_192 => 24,
                _ => 32,
            },
            Self::TripleDes => 24,
        }
    }

    fn of_oid(oid: &[u8]) -> Option<Self> {
        match oid.split_last()? {
            (0x02, AES) => Some(Self::Aes(&AES_128)),
            (0x16, AES) => Some(Self::Aes(&AES_192)),
            (0x2a, AES) => Some(Self::Aes(&AES_256)),
            _ => (oid == DES_EDE3).then_some(Self::TripleDes),
        }
    }

    fn of_name(name: &str) -> Option<Self> {
        Some(match name {
            "AES-128-CBC" => Self::Aes(&AES_128),
            "AES-192-CBC" => Self::Aes(&AES_192),
            "AES-256-CBC" => Self::Aes(&AES_256),
            "DES-EDE3-CBC" => Self::TripleDes,
            _ => return None,
        })
    }

    /// The text without its padding; `None` for a wrong key, or a damaged text.
    fn open(self, key: &[u8], iv: &[u8], mut sealed: Vec<u8>) -> Option<Vec<u8>> {
        match self {
            Self::Aes(algorithm) => {
                let key = UnboundCipherKey::new(algorithm, key).ok()?;
                let iv =
                    DecryptionContext::Iv128(FixedLength::from(<[u8; 16]>::try_from(iv).ok()?));
                DecryptingKey::cbc(key)
                    .ok()?
                    .decrypt(&mut sealed, iv)
                    .ok()?;
            }
            Self::TripleDes => {
                let cipher = des::TdesEde3::new_from_slice(key).ok()?;
                let mut last: [u8; 8] = iv.try_into().ok()?;
                if !sealed.len().is_multiple_of(8) {
                    return None;
                }
                for block in sealed.chunks_exact_mut(8) {
                    let this: [u8; 8] = (&*block).try_into().ok()?;
                    cipher
                        .decrypt_block(des::cipher::Block::<des::TdesEde3>::from_mut_slice(block));
                    block
                        .iter_mut()
                        .zip(last)
                        .for_each(|(byte, before)| *byte ^= before);
                    last = this;
                }
            }
        }
        let padding = usize::from(*sealed.last()?);
        let text = sealed.len().checked_sub(padding)?;
        let is_whole = padding > 0 && sealed[text..].iter().all(|b| usize::from(*b) == padding);
        sealed.truncate(text);
        is_whole.then_some(sealed)
    }
}

/// `EncryptedPrivateKeyInfo` of RFC 5958 with PBES2 of RFC 8018.
fn open_pbes2(der: &[u8], passphrase: &str) -> Result<Vec<u8>, &'static str> {
    const DAMAGED: &str = "it is not a whole encrypted key";
    let mut all = Der(der).sequence().ok_or(DAMAGED)?;
    let mut scheme = all.sequence().ok_or(DAMAGED)?;
    let sealed = all.take(OCTETS).ok_or(DAMAGED)?;
    if scheme.take(OID) != Some(PBES2) {
        return Err(UNKNOWN_CIPHER);
    }
    let mut parameters = scheme.sequence().ok_or(DAMAGED)?;
    let mut derivation = parameters.sequence().ok_or(DAMAGED)?;
    let mut encryption = parameters.sequence().ok_or(DAMAGED)?;
    if derivation.take(OID) != Some(PBKDF2) {
        return Err(UNKNOWN_CIPHER);
    }
    let mut derivation = derivation.sequence().ok_or(DAMAGED)?;
    let salt = derivation.take(OCTETS).ok_or(DAMAGED)?;
    let iterations = derivation.number().and_then(NonZeroU32::new);
    let iterations = iterations
        .filter(|n| n.get() <= ITERATIONS_MAX)
        .ok_or(DAMAGED)?;
    // The key's length may stand here; the cipher tells it as well.
    let _ = derivation.number();
    let hash = match derivation.sequence() {
        None => pbkdf2::PBKDF2_HMAC_SHA1,
        Some(mut function) => match function.take(OID).and_then(<[u8]>::split_last) {
            Some((0x07, HMAC)) => pbkdf2::PBKDF2_HMAC_SHA1,
            Some((0x09, HMAC)) => pbkdf2::PBKDF2_HMAC_SHA256,
            Some((0x0a, HMAC)) => pbkdf2::PBKDF2_HMAC_SHA384,
            Some((0x0b, HMAC)) => pbkdf2::PBKDF2_HMAC_SHA512,
            _ => return Err(UNKNOWN_CIPHER),
        },
    };
    let cipher = encryption.take(OID).and_then(Cipher::of_oid);
    let cipher = cipher.ok_or(UNKNOWN_CIPHER)?;
    let iv = encryption.take(OCTETS).ok_or(DAMAGED)?;
    let mut key = vec![0; cipher.key_bytes()];
    pbkdf2::derive(hash, iterations, salt, passphrase.as_bytes(), &mut key);
    let opened = cipher.open(&key, iv, sealed.to_vec());
    opened
        .filter(|der| is_sequence(der))
        .ok_or(WRONG_PASSPHRASE)
}

/// OpenSSL's own form before 3.0: the key is MD5 over passphrase and salt, which is the first half
/// of the initialisation vector.
fn open_legacy(headers: &str, der: Vec<u8>, passphrase: &str) -> Result<Vec<u8>, &'static str> {
    let named = headers
        .lines()
        .find_map(|line| line.strip_prefix("DEK-Info:"));
    let (name, iv) = named
        .and_then(|named| named.split_once(','))
        .ok_or(UNKNOWN_CIPHER)?;
    let cipher = Cipher::of_name(name.trim()).ok_or(UNKNOWN_CIPHER)?;
    let iv = unhex(iv.trim()).filter(|iv| iv.len() >= 8);
    let iv = iv.ok_or("its `DEK-Info` is damaged")?;
    let mut key: Vec<u8> = Vec::new();
    let mut last: Vec<u8> = Vec::new();
    while key.len() < cipher.key_bytes() {
        let mut hash = Md5::new();
        hash.update(&last);
        hash.update(passphrase.as_bytes());
        hash.update(&iv[..8]);
        last = hash.finalize().to_vec();
        key.extend(&last);
    }
    key.truncate(cipher.key_bytes());
    let opened = cipher.open(&key, &iv, der);
    opened
        .filter(|der| is_sequence(der))
        .ok_or(WRONG_PASSPHRASE)
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len() / 2)
        .map(|at| u8::from_str_radix(&text[at * 2..at * 2 + 2], 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8018's parts put together by hand are not a test of what OpenSSL writes, so OpenSSL
    /// itself writes them here; it is what operators have.
    fn openssl(arguments: &[&str], input: &str) -> Option<String> {
        use std::io::Write;
        use std::process::{Command, Stdio};
        let mut child = Command::new("openssl")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        child.stdin.take()?.write_all(input.as_bytes()).ok()?;
        let output = child.wait_with_output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        (output.status.success() && text.contains("-----BEGIN ")).then_some(text)
    }

    #[test]
    fn every_form_that_openssl_writes_is_the_same_key() {
        let Some(plain) = openssl(&["genrsa", "2048"], "") else {
            eprintln!("skipped: there is no openssl here");
            return;
        };
        let (_, expected) = read(&plain, None).unwrap();
        let mut n_read = 0;
        for (arguments, form) in [
            ("rsa -traditional", Form::Pkcs1),
            ("pkcs8 -topk8 -nocrypt", Form::Pkcs8),
            (
                "rsa -traditional -aes128 -passout pass:秘密 1",
                Form::EncryptedPkcs1,
            ),
            (
                "rsa -traditional -aes192 -passout pass:秘密 1",
                Form::EncryptedPkcs1,
            ),
            (
                "rsa -traditional -aes256 -passout pass:秘密 1",
                Form::EncryptedPkcs1,
            ),
            (
                "rsa -traditional -des3 -passout pass:秘密 1",
                Form::EncryptedPkcs1,
            ),
            ("pkcs8 -topk8 -passout pass:秘密 1", Form::EncryptedPkcs8),
            (
                "pkcs8 -topk8 -v2 aes-128-cbc -passout pass:秘密 1",
                Form::EncryptedPkcs8,
            ),
            (
                "pkcs8 -topk8 -v2 des3 -v2prf hmacWithSHA1 -passout pass:秘密 1",
                Form::EncryptedPkcs8,
            ),
            (
                "pkcs8 -topk8 -v2 aes-192-cbc -v2prf hmacWithSHA512 -iter 7 -passout pass:秘密 1",
                Form::EncryptedPkcs8,
            ),
        ] {
            // The passphrase has a blank in it.
            let split = arguments.replace("秘密 1", "秘密\u{1}1");
            let arguments: Vec<String> = split
                .split(' ')
                .map(|word| word.replace('\u{1}', " "))
                .collect();
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let Some(text) = openssl(&arguments, &plain) else {
                continue;
            };
            n_read += 1;
            let (found, der) =
                read(&text, Some("秘密 1")).unwrap_or_else(|e| panic!("{split}: {e}"));
            assert_eq!(found, form, "{split}");
            assert!(der == expected, "{split}: another key");
            if matches!(form, Form::EncryptedPkcs1 | Form::EncryptedPkcs8) {
                assert_eq!(read(&text, Some("wrong")).unwrap_err(), WRONG_PASSPHRASE);
                assert_eq!(read(&text, None).unwrap_err(), NEEDS_PASSPHRASE);
            }
        }
        assert!(n_read >= 6, "only {n_read} forms could be made");
    }

    #[test]
    fn scrypt_says_how_to_write_the_key_anew() {
        let Some(plain) = openssl(&["genrsa", "2048"], "") else {
            return;
        };
        let arguments = ["pkcs8", "-topk8", "-scrypt", "-passout", "pass:x"];
        if let Some(text) = openssl(&arguments, &plain) {
            let problem = read(&text, Some("x")).unwrap_err();
            assert!(problem.contains("openssl pkcs8 -topk8"), "{problem}");
        }
    }

    #[test]
    fn a_spoilt_file_is_refused_and_never_a_panic() {
        let pem = |label: &str, body: &str| {
            format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
        };
        for text in [
            String::new(),
            "-----BEGIN PRIVATE KEY-----".into(),
            pem("ENCRYPTED PRIVATE KEY", "MAA="),
            pem("ENCRYPTED PRIVATE KEY", "%"),
            pem(
                "RSA PRIVATE KEY",
                "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00",
            ),
            pem(
                "RSA PRIVATE KEY",
                "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nAAAA",
            ),
            pem(
                "RSA PRIVATE KEY",
                "Proc-Type: 4,ENCRYPTED\nDEK-Info: ROT13,0011223344556677\n\nAAAA",
            ),
            pem("CERTIFICATE", "AAAA"),
        ] {
            assert!(read(&text, Some("x")).is_err(), "{text}");
        }
    }
}
