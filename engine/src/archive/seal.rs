//! Seals: how a file says what its bytes must be, so that one flipped bit is found.
//!
//! A data file carries the SHA-256 of its bytes in its name; a log entry and `_last_checkpoint`
//! carry that of their other bytes in a field that Delta's readers pass over; a checkpoint has an
//! empty file beside it whose name tells its hash; small files of ours end in a line of it. The
//! seal is written with the bytes or before them, never after, so a crash leaves no file unsealed.
//!
//! Seals find damage, not malice: who can write the files can also compute a hash.

use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA256, digest};

/// The field of sealed JSON.
const FIELD: &str = "huicunSha256";
/// How the last line of a sealed small file begins.
const LINE: &[u8] = b"\n#sha256:";
/// The folder beside `_delta_log` that holds the seals of checkpoints.
pub const CHECKPOINT_SEALS: &str = "_seals";
/// Characters of a hash in hex.
const HEX: usize = 64;

/// What a seal says about bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seal {
    /// They are as they were written.
    Whole,
    /// They are not.
    Broken,
    /// There is no seal: an earlier version wrote them, or somebody else.
    Missing,
}

impl Seal {
    fn of(is_equal: bool) -> Self {
        if is_equal { Self::Whole } else { Self::Broken }
    }
}

/// Bytes as lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        out.push(char::from(DIGITS[usize::from(byte >> 4)]));
        out.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    out
}

/// SHA-256 in hex.
pub fn sha256(bytes: &[u8]) -> String {
    hex(digest(&SHA256, bytes).as_ref())
}

fn is_hash(text: &str) -> bool {
    text.len() == HEX && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// The name of a data file of these bytes: `kind-<uuid>.<sha256>.zstd.parquet`.
pub fn data_file_name(kind: &str, bytes: &[u8]) -> String {
    format!(
        "{kind}-{}.{}.zstd.parquet",
        uuid::Uuid::now_v7(),
        sha256(bytes)
    )
}

/// The hash that a data file's name carries; none in names of earlier versions.
pub fn hash_in_name(path: &str) -> Option<&str> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let stem = name.strip_suffix(".zstd.parquet")?;
    let (_, hash) = stem.rsplit_once('.')?;
    is_hash(hash).then_some(hash)
}

/// What the seal in a data file's name says about its bytes.
pub fn check_name(path: &str, bytes: &[u8]) -> Seal {
    match hash_in_name(path) {
        Some(hash) => Seal::of(hash == sha256(bytes)),
        None => Seal::Missing,
    }
}

/// Where the field is put: at the front of the first object that may carry it.
fn front(bytes: &[u8]) -> Option<usize> {
    const COMMIT: &[u8] = b"{\"commitInfo\":{";
    if bytes.starts_with(COMMIT) {
        return Some(COMMIT.len());
    }
    bytes.starts_with(b"{\"").then_some(1)
}

/// The hash of a file's name and bytes: whole files that changed places are found too.
fn named_hash(name: &str, parts: [&[u8]; 2]) -> String {
    let mut context = Context::new(&SHA256);
    context.update(name.as_bytes());
    context.update(&[0]);
    parts.iter().for_each(|part| context.update(part));
    hex(context.finish().as_ref())
}

/// JSON of the file `name` (a log entry, `_last_checkpoint`, the marker) with a field that holds
/// the hash of its other bytes; bytes of another shape as they are.
pub fn seal_json(name: &str, bytes: &[u8]) -> Vec<u8> {
    let Some(at) = front(bytes).filter(|at| bytes.get(*at) != Some(&b'}')) else {
        return bytes.to_vec();
    };
    let mut sealed = Vec::with_capacity(bytes.len() + HEX + 20);
    sealed.extend_from_slice(&bytes[..at]);
    let hash = named_hash(name, [bytes, b""]);
    sealed.extend_from_slice(format!("\"{FIELD}\":\"{hash}\",").as_bytes());
    sealed.extend_from_slice(&bytes[at..]);
    sealed
}

/// What the field in sealed JSON says about its other bytes.
pub fn check_json(name: &str, bytes: &[u8]) -> Seal {
    let Some(at) = front(bytes) else {
        return Seal::Missing;
    };
    let head = format!("\"{FIELD}\":\"");
    let Some(rest) = bytes[at..].strip_prefix(head.as_bytes()) else {
        return Seal::Missing;
    };
    let Some((hash, rest)) = rest.split_at_checked(HEX) else {
        return Seal::Broken;
    };
    let Some(rest) = rest.strip_prefix(b"\",") else {
        return Seal::Broken;
    };
    Seal::of(named_hash(name, [&bytes[..at], rest]).as_bytes() == hash)
}

/// The bytes of the file `name` with a last line that holds their hash.
pub fn seal_text(name: &str, bytes: &[u8]) -> Vec<u8> {
    let mut sealed = bytes.to_vec();
    sealed.extend_from_slice(LINE);
    sealed.extend_from_slice(named_hash(name, [bytes, b""]).as_bytes());
    sealed.push(b'\n');
    sealed
}

/// The bytes before the last line of a sealed text, and what that line says about them.
pub fn open_text<'a>(name: &str, sealed: &'a [u8]) -> (&'a [u8], Seal) {
    let length = LINE.len() + HEX + 1;
    let Some(at) = sealed.len().checked_sub(length) else {
        return (sealed, Seal::Missing);
    };
    let (bytes, line) = sealed.split_at(at);
    let Some(hash) = line.strip_prefix(LINE).and_then(|l| l.strip_suffix(b"\n")) else {
        return (sealed, Seal::Missing);
    };
    let expected = named_hash(name, [bytes, b""]);
    (bytes, Seal::of(expected.as_bytes() == hash))
}

/// The empty file whose name seals a checkpoint of this hash; `None` for another file.
pub fn checkpoint_seal(file: &Path, hash: &str) -> Option<PathBuf> {
    let name = file.file_name()?.to_str()?;
    let log = file.parent()?;
    let is_checkpoint = name.contains(".checkpoint.") && log.file_name()? == "_delta_log";
    let folder = log.parent()?.join(CHECKPOINT_SEALS);
    is_checkpoint.then(|| folder.join(format!("{name}.{hash}")))
}

/// What the seals beside a checkpoint say about its bytes.
pub fn check_checkpoint(file: &Path, bytes: &[u8]) -> Seal {
    let Some(expected) = checkpoint_seal(file, &sha256(bytes)) else {
        return Seal::Missing;
    };
    if expected.is_file() {
        return Seal::Whole;
    }
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let others = expected.parent().and_then(|f| std::fs::read_dir(f).ok());
    let has_other = others.is_some_and(|mut entries| {
        entries.any(|e| e.is_ok_and(|e| e.file_name().to_string_lossy().starts_with(&*name)))
    });
    if has_other {
        Seal::Broken
    } else {
        Seal::Missing
    }
}

/// A sum over the hashes of a multiset: equal multisets have equal sums, whatever their order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sum([u64; 4]);

impl Sum {
    /// Adds one element by its SHA-256 (or any 32 bytes as even as that).
    pub fn add(&mut self, hash: &[u8; 32]) {
        for (lane, part) in self.0.iter_mut().zip(lanes(hash)) {
            *lane = lane.wrapping_add(part);
        }
    }

    /// Takes one element out.
    pub fn remove(&mut self, hash: &[u8; 32]) {
        for (lane, part) in self.0.iter_mut().zip(lanes(hash)) {
            *lane = lane.wrapping_sub(part);
        }
    }

    /// Adds all elements of another sum.
    pub fn merge(&mut self, other: &Self) {
        for (lane, part) in self.0.iter_mut().zip(other.0) {
            *lane = lane.wrapping_add(part);
        }
    }

    /// As bytes.
    pub fn to_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (chunk, lane) in bytes.chunks_exact_mut(8).zip(self.0) {
            chunk.copy_from_slice(&lane.to_be_bytes());
        }
        bytes
    }

    /// From [`Self::to_bytes`].
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        let mut sum = Self::default();
        for (lane, part) in sum.0.iter_mut().zip(lanes(bytes)) {
            *lane = part;
        }
        sum
    }
}

fn lanes(hash: &[u8; 32]) -> impl Iterator<Item = u64> + '_ {
    hash.chunks_exact(8).map(|chunk| {
        let mut part = [0; 8];
        part.copy_from_slice(chunk);
        u64::from_be_bytes(part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn flipped(bytes: &[u8], at: usize) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        let at = at % (bytes.len() * 8);
        bytes[at / 8] ^= 1 << (at % 8);
        bytes
    }

    proptest! {
        #[test]
        fn any_flipped_bit_of_sealed_json_breaks_its_seal(text in "[a-z]{0,40}", at: usize) {
            for plain in [
                format!(r#"{{"commitInfo":{{"text":"{text}"}}}}{}{{"add":1}}"#, '\n'),
                format!(r#"{{"version":7,"text":"{text}"}}"#),
            ] {
                let sealed = seal_json("n", plain.as_bytes());
                prop_assert_eq!(check_json("n", &sealed), Seal::Whole);
                prop_assert!(serde_json::Deserializer::from_slice(&sealed)
                    .into_iter::<serde_json::Value>().all(|v| v.is_ok()));
                prop_assert_ne!(check_json("n", &flipped(&sealed, at)), Seal::Whole);
                prop_assert_eq!(check_json("m", &sealed), Seal::Broken);
            }
        }

        #[test]
        fn any_flipped_bit_of_a_sealed_text_breaks_its_seal(text: Vec<u8>, at: usize) {
            let sealed = seal_text("n", &text);
            prop_assert_eq!(open_text("n", &sealed), (text.as_slice(), Seal::Whole));
            prop_assert_ne!(open_text("n", &flipped(&sealed, at)).1, Seal::Whole);
        }
    }

    #[test]
    fn a_name_seals_a_data_file_and_older_names_seal_nothing() {
        let name = format!("day=2024-01-01/{}", data_file_name("part", b"x"));
        assert_eq!(check_name(&name, b"x"), Seal::Whole);
        assert_eq!(check_name(&name, b"y"), Seal::Broken);
        let older = "part-0190.zstd.parquet";
        assert_eq!(check_name(older, b"x"), Seal::Missing);
    }

    #[test]
    fn a_sum_forgets_the_order_and_what_was_taken_out() {
        let (a, b) = ([7; 32], [255; 32]);
        let mut one = Sum::default();
        one.add(&a);
        one.add(&b);
        one.add(&b);
        one.remove(&a);
        let mut two = Sum::default();
        two.add(&b);
        assert_ne!(one, two);
        two.merge(&two.clone());
        assert_eq!(one, two);
        assert_eq!(Sum::from_bytes(&one.to_bytes()), one);
    }
}
