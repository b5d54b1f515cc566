//! Keys open what their public halves sealed, whatever file they stand in, and no key ever takes
//! another's place.

use super::*;
use aws_lc_rs::encoding::Pkcs8V1Der;
use aws_lc_rs::rsa::{KeySize, Pkcs1PublicEncryptingKey};

const CORP: &str = "corpid = \"ww1\"\nsecret = \"s\"\nsdk_library = \"x.so\"\n";

fn corp(more: &str) -> Corp {
    toml::from_str(&format!("{CORP}{more}")).unwrap()
}

fn pem(label: &str, der: &[u8]) -> String {
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        STANDARD.encode(der)
    )
}

fn ring(dir: &tempfile::TempDir, text: &str) -> Result<KeyRing, KeyError> {
    let path = dir.path().join("v1.pem");
    std::fs::write(&path, text).unwrap();
    let corp = corp(&format!("[keys]\n1 = \"{}\"", path.display()));
    KeyRing::read(&corp, &dir.path().join("none"))
}

#[test]
fn both_kinds_of_pem_open_what_the_public_key_sealed() {
    let dir = tempfile::tempdir().unwrap();
    let key = PrivateDecryptingKey::generate(KeySize::Rsa2048).unwrap();
    let public = Pkcs1PublicEncryptingKey::new(key.public_key()).unwrap();
    let mut out = vec![0; public.ciphertext_size()];
    let sealed = STANDARD.encode(public.encrypt(b"0123456789abcdef", &mut out).unwrap());
    let pkcs8 = AsDer::<Pkcs8V1Der<'_>>::as_der(&key).unwrap();
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

#[test]
fn a_new_key_is_the_owners_alone_and_nothing_takes_its_place() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let corp = corp("");
    let made = folder::make(&corp, dir.path(), None, 4).unwrap();
    assert_eq!(made.version, 5);
    assert!(made.public_pem.starts_with("-----BEGIN PUBLIC KEY-----\n"));
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&made.key.file), 0o600);
    assert_eq!(mode(&folder::path(dir.path(), "ww1")), 0o700);
    let before = std::fs::read(&made.key.file).unwrap();
    assert!(folder::make(&corp, dir.path(), Some(5), 0).is_err());
    let other = tempfile::tempdir().unwrap();
    let other = folder::make(&corp, other.path(), Some(5), 0).unwrap();
    let refused = folder::add(&corp, dir.path(), 5, &other.key.file);
    assert!(matches!(refused, Err(KeyError::TwoKeys { version: 5, .. })));
    assert!(std::fs::read(&made.key.file).unwrap() == before);
    // The same key again, and under another version, is fine.
    folder::add(&corp, dir.path(), 5, &made.key.file).unwrap();
    let added = folder::add(&corp, dir.path(), 7, &made.key.file).unwrap();
    assert!(added.file.ends_with("v7.pem"));
    let ring = KeyRing::read(&corp, dir.path()).unwrap();
    assert_eq!(ring.versions(), [5, 7]);
    let n_files = std::fs::read_dir(folder::path(dir.path(), "ww1"))
        .unwrap()
        .count();
    assert_eq!(n_files, 2, "a staged file is left");
}

#[test]
fn a_version_in_both_places_must_be_one_key() {
    let dir = tempfile::tempdir().unwrap();
    let made = folder::make(&corp(""), dir.path(), Some(1), 0).unwrap();
    let named = corp(&format!("[keys]\n1 = \"{}\"", made.key.file.display()));
    KeyRing::read(&named, dir.path()).unwrap();
    let other = tempfile::tempdir().unwrap();
    folder::make(&corp(""), other.path(), Some(1), 0).unwrap();
    let refused = KeyRing::read(&named, other.path());
    assert!(matches!(refused, Err(KeyError::TwoKeys { version: 1, .. })));
}

#[test]
fn a_running_pull_sees_a_key_that_was_added_and_keeps_what_it_has() {
    let dir = tempfile::tempdir().unwrap();
    let keys = Keys::new(corp(""), dir.path());
    assert!(!keys.refresh().unwrap());
    folder::make(&corp(""), dir.path(), Some(1), 0).unwrap();
    assert!(keys.refresh().unwrap());
    assert!(!keys.refresh().unwrap());
    assert_eq!(keys.ring().versions(), [1]);
    std::fs::write(folder::path(dir.path(), "ww1").join("v2.pem"), "hello").unwrap();
    assert!(keys.refresh().is_err());
    assert_eq!(keys.ring().versions(), [1]);
    assert!(!keys.refresh().unwrap());
    // A pull that begins needs them all.
    assert!(keys.load().is_err() && keys.load().is_err());
}
