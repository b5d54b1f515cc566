//! Which messages the archive already holds, so that each is kept once.
//!
//! Per record: a 64-bit fingerprint of (source, msgid) and the hash of its content. A record
//! that could not be read, or that conflicts, is known by its content alone. Two different
//! msgids with one fingerprint (some 10^-6 at ten million messages) end as a conflict in the
//! quarantine: kept and visible, never dropped.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use aws_lc_rs::digest::{Context, SHA256};

/// What is known about a record that arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sighting {
    /// Not seen before.
    New,
    /// The same content under the same msgid is archived.
    Duplicate,
    /// Another content is archived under its msgid.
    Conflict,
}

/// Keys are already hashes: hashing them again would only cost time.
#[derive(Default)]
pub struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }
    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

/// The source of messages that were imported before any company was named. They may be any
/// company's, so a msgid is looked for there too, and theirs in every source.
pub const UNNAMED_SOURCE: &str = "default";

/// The set of archived records, in memory (20 to 40 bytes each, as the table of a hash map doubles).
#[derive(Default)]
pub struct Seen {
    /// The sources that were seen; a handful.
    sources: Vec<String>,
    content_of: HashMap<u64, u32, BuildHasherDefault<Identity>>,
}

impl Seen {
    /// Number of records known.
    pub fn len(&self) -> usize {
        self.content_of.len()
    }

    /// Whether nothing is known yet.
    pub fn is_empty(&self) -> bool {
        self.content_of.is_empty()
    }

    /// Notes a readable record and says what was known before.
    pub fn note_message(&mut self, source: &str, msgid: &str, content_hash: i64) -> Sighting {
        if !self.sources.iter().any(|known| known == source) {
            self.sources.push(source.to_string());
        }
        let own = fingerprint(b'm', source, msgid.as_bytes());
        let sighting = self.sight(own, source, msgid, content_hash);
        if sighting == Sighting::New {
            self.content_of.insert(own, content_hash as u32);
        }
        sighting
    }

    /// What is known of a readable record, which is not noted.
    pub fn sight_message(&self, source: &str, msgid: &str, content_hash: i64) -> Sighting {
        let own = fingerprint(b'm', source, msgid.as_bytes());
        self.sight(own, source, msgid, content_hash)
    }

    fn sight(&self, own: u64, source: &str, msgid: &str, content_hash: i64) -> Sighting {
        let others = self.sources.iter().filter(|other| {
            *other != source && (source == UNNAMED_SOURCE || *other == UNNAMED_SOURCE)
        });
        let known = std::iter::once(own)
            .chain(others.map(|other| fingerprint(b'm', other, msgid.as_bytes())))
            .find_map(|key| self.content_of.get(&key));
        match known {
            Some(known) if *known == content_hash as u32 => Sighting::Duplicate,
            Some(_) => Sighting::Conflict,
            None => Sighting::New,
        }
    }

    /// Notes a record that is kept unread: `true` when the same one is already there.
    pub fn note_quarantined(&mut self, source: &str, content_hash: i64) -> Sighting {
        let key = fingerprint(b'q', source, &content_hash.to_be_bytes());
        match self.content_of.insert(key, content_hash as u32) {
            None => Sighting::New,
            Some(_) => Sighting::Duplicate,
        }
    }
}

fn fingerprint(kind: u8, source: &str, id: &[u8]) -> u64 {
    let mut hash = Context::new(&SHA256);
    hash.update(&[kind]);
    hash.update(&(source.len() as u64).to_be_bytes());
    hash.update(source.as_bytes());
    hash.update(id);
    let digest = hash.finish();
    let mut first = [0; 8];
    first.copy_from_slice(&digest.as_ref()[..8]);
    u64::from_be_bytes(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_new_once_then_a_duplicate_then_a_conflict() {
        let mut seen = Seen::default();
        assert_eq!(seen.note_message("corp", "m1", 7), Sighting::New);
        assert_eq!(seen.note_message("corp", "m1", 7), Sighting::Duplicate);
        assert_eq!(seen.note_message("corp", "m1", 8), Sighting::Conflict);
        assert_eq!(seen.note_message("other", "m1", 8), Sighting::New);
        assert_eq!(seen.len(), 2);
    }

    #[test]
    fn what_was_imported_before_a_company_was_named_is_not_taken_twice() {
        let mut seen = Seen::default();
        assert_eq!(seen.note_message(UNNAMED_SOURCE, "m1", 7), Sighting::New);
        assert_eq!(seen.note_message("corp", "m1", 7), Sighting::Duplicate);
        assert_eq!(seen.note_message("corp", "m2", 7), Sighting::New);
        assert_eq!(
            seen.note_message(UNNAMED_SOURCE, "m2", 7),
            Sighting::Duplicate
        );
    }
}
