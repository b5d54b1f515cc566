//! Checks what is kept of media: rows against their seals and against each other, files against
//! the hash that is their name. Reads only; mends nothing.

use std::io::Read;
use std::path::Path;

use aws_lc_rs::digest::{Context, SHA256};

use super::catalogue::{Catalogue, CatalogueError, TABLES};
use super::row::Kept;
use super::seal;
use super::store::{Store, StoreError, failed, hex};

/// Why a check could not be made.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The database cannot be read.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    /// A file cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Something that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// `media_db_damaged`, `media_row_altered`, `media_place_orphan`, `media_file_missing`,
    /// `media_file_altered` or `media_list_altered`.
    pub kind: &'static str,
    /// The file, relative to the data directory or the store.
    pub file: String,
    /// Whose message shows it, where that is known.
    pub source: Option<String>,
    /// Which message.
    pub seq: Option<i64>,
    /// More, for a reader.
    pub detail: String,
}

impl Finding {
    fn new(kind: &'static str, file: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            kind,
            file: file.into(),
            source: None,
            seq: None,
            detail: detail.into(),
        }
    }
}

/// Checks the database: SQLite's own structure, the seal of every row, and that every place has
/// its medium.
pub fn rows(catalogue: &Catalogue) -> Result<Vec<Finding>, CatalogueError> {
    let checked = catalogue.with(|connection| {
        let mut found = Vec::new();
        let mut statement = connection.prepare("PRAGMA integrity_check(20)")?;
        let told = statement.query_map((), |row| row.get::<_, String>(0))?;
        for line in told {
            let line = line?;
            if line != "ok" {
                found.push(Finding::new("media_db_damaged", "media.db", line));
            }
        }
        for table in TABLES {
            for rowid in seal::broken(connection, table)? {
                let detail = format!("row {rowid} of `{table}` is not as it was written");
                found.push(Finding::new("media_row_altered", "media.db", detail));
            }
        }
        let n_orphans: i64 = connection.query_row(
            "SELECT count(*) FROM place WHERE media_id NOT IN (SELECT id FROM media)",
            (),
            |row| row.get(0),
        )?;
        if n_orphans > 0 {
            let detail = format!("{n_orphans} rows of `place` have no row in `media`");
            found.push(Finding::new("media_place_orphan", "media.db", detail));
        }
        Ok(found)
    });
    match checked {
        // What SQLite cannot even read is a finding, not a failure of the check.
        Err(CatalogueError::Sqlite { source, .. }) => {
            let detail = source.to_string();
            Ok(vec![Finding::new("media_db_damaged", "media.db", detail)])
        }
        other => other,
    }
}

/// How far a check of files has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Slice {
    /// The number of the last medium that was looked at.
    pub after: i64,
    /// Files read in this slice.
    pub n_files: u64,
    /// Bytes read in this slice.
    pub n_bytes: u64,
    /// Whether there is nothing more to look at.
    pub is_end: bool,
}

/// Checks files after a medium's number until `bytes_max` are read: each is there, of the recorded
/// size, and has the bytes that its name says.
pub fn files(
    catalogue: &Catalogue,
    store: &Store,
    after: i64,
    bytes_max: u64,
) -> Result<(Vec<Finding>, Slice), VerifyError> {
    const ROWS: usize = 256;
    let mut found = Vec::new();
    let mut slice = Slice {
        after,
        ..Slice::default()
    };
    loop {
        let rows = catalogue.stored_after(slice.after, ROWS)?;
        slice.is_end = rows.len() < ROWS;
        for Kept { id, sha256, size } in rows {
            if slice.n_bytes >= bytes_max {
                slice.is_end = false;
                return Ok((found, slice));
            }
            slice.after = id;
            slice.n_files += 1;
            let Some(sha256) = sha256 else {
                let detail = format!("medium {id} is stored without a hash");
                found.push(Finding::new("media_row_altered", "media.db", detail));
                continue;
            };
            if let Some(mut finding) = file(store, &sha256, size, &mut slice.n_bytes)? {
                if let Some((source, seq, _)) = catalogue.first_message_of(id)? {
                    (finding.source, finding.seq) = (Some(source), Some(seq));
                }
                found.push(finding);
            }
        }
        if slice.is_end {
            return Ok((found, slice));
        }
    }
}

/// The lines of the store's own list that are not as they were written.
pub fn list(store: &Store) -> Result<Vec<Finding>, StoreError> {
    let n_spoilt = store.receipts()?.n_spoilt;
    let detail = format!("{n_spoilt} lines are torn or altered");
    let finding = Finding::new("media_list_altered", "stored.ndjson", detail);
    Ok((n_spoilt > 0).then_some(finding).into_iter().collect())
}

fn file(
    store: &Store,
    sha256: &[u8; 32],
    size: u64,
    n_read: &mut u64,
) -> Result<Option<Finding>, StoreError> {
    let path = store.path_of(sha256);
    let name = path.strip_prefix(store.root()).unwrap_or(&path);
    let name = name.display().to_string();
    let (found, length) = match hash_of_file(&path) {
        Ok(found) => found,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            let detail = "the file is not in the store";
            return Ok(Some(Finding::new("media_file_missing", name, detail)));
        }
        Err(e) => return Err(failed("read", &path)(e)),
    };
    *n_read += length;
    if found == *sha256 && length == size {
        return Ok(None);
    }
    let detail = format!(
        "{length} bytes with hash {}; {size} bytes expected",
        hex(&found)
    );
    Ok(Some(Finding::new("media_file_altered", name, detail)))
}

/// SHA-256 and length of a file.
pub fn hash_of_file(path: &Path) -> std::io::Result<([u8; 32], u64)> {
    let mut file = std::fs::File::open(path)?;
    let (mut hash, mut length) = (Context::new(&SHA256), 0);
    let mut buffer = vec![0; 1 << 18];
    loop {
        let n = file.read(&mut buffer)?;
        if n == 0 {
            break;
        }
        hash.update(&buffer[..n]);
        length += n as u64;
    }
    let mut sha256 = [0; 32];
    sha256.copy_from_slice(hash.finish().as_ref());
    Ok((sha256, length))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::Home;
    use crate::media::{Named, Stored};

    /// A database and a store with three files.
    fn kept() -> (tempfile::TempDir, Home, Store) {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open_or_create(&dir.path().join("data")).unwrap();
        let catalogue = Catalogue::open(&home).unwrap();
        let store = Store::open_or_create(&home.media()).unwrap();
        for n in 1..=3_i64 {
            let named = Named {
                source: "corp".into(),
                seq: n,
                msgid: format!("m{n}"),
                item: 0,
                at_ms: n,
                since_ms: n,
                kind: "file".into(),
                name: Some(format!("n{n}")),
                seconds: None,
                file_id: format!("F{n}"),
                md5: None,
                size: None,
            };
            catalogue
                .note(&[named], Some(n as u64), 1, |_, _| None)
                .unwrap();
            let part = store.part_of("corp", &[n as u8; 32]);
            std::fs::write(&part, vec![n as u8; 1000]).unwrap();
            let (sha256, size) = hash_of_file(&part).unwrap();
            let target = store.path_of(&sha256);
            std::fs::create_dir_all(target.parent().unwrap()).unwrap();
            std::fs::rename(&part, &target).unwrap();
            let stored = Stored {
                sha256,
                size,
                flags: String::new(),
            };
            catalogue.stored(n, &stored, 2).unwrap();
        }
        catalogue
            .with(|connection| {
                connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |_| Ok(()))
            })
            .unwrap();
        (dir, home, store)
    }

    fn all(home: &Home, store: &Store) -> Vec<&'static str> {
        let catalogue = match Catalogue::open(home) {
            Ok(catalogue) => catalogue,
            Err(_) => return vec!["unreadable"],
        };
        let mut found = rows(&catalogue).unwrap();
        if let Ok((more, _)) = files(&catalogue, store, 0, u64::MAX) {
            found.extend(more);
        }
        found.iter().map(|finding| finding.kind).collect()
    }

    #[test]
    fn what_is_as_it_was_written_has_no_findings() {
        let (_dir, home, store) = kept();
        assert_eq!(all(&home, &store), [""; 0]);
    }

    #[test]
    fn one_flipped_bit_in_a_file_is_found_and_so_is_a_missing_one() {
        let (_dir, home, store) = kept();
        let catalogue = Catalogue::open(&home).unwrap();
        let stored = catalogue.stored_after(0, 9).unwrap();
        let path = store.path_of(&stored[1].sha256.unwrap());
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[500] ^= 0x10;
        std::fs::write(&path, bytes).unwrap();
        std::fs::remove_file(store.path_of(&stored[2].sha256.unwrap())).unwrap();
        let (found, slice) = files(&catalogue, &store, 0, u64::MAX).unwrap();
        let told: Vec<_> = found.iter().map(|f| (f.kind, f.seq)).collect();
        let expected = [
            ("media_file_altered", Some(2)),
            ("media_file_missing", Some(3)),
        ];
        assert_eq!(told, expected);
        assert!(slice.is_end && slice.n_files == 3);
    }

    #[test]
    fn files_are_checked_in_slices() {
        let (_dir, home, store) = kept();
        let catalogue = Catalogue::open(&home).unwrap();
        let (mut after, mut n_slices) = (0, 0);
        loop {
            let (found, slice) = files(&catalogue, &store, after, 1).unwrap();
            assert!(found.is_empty());
            (after, n_slices) = (slice.after, n_slices + 1);
            if slice.is_end {
                break;
            }
        }
        assert!((3..=4).contains(&n_slices), "{n_slices}");
    }

    /// Every bit of every byte that belongs to a value is looked at by a seal; what SQLite's own
    /// structure holds is looked at by its check. Some bytes of a file hold nothing.
    #[test]
    fn one_flipped_bit_in_a_value_of_the_database_is_found() {
        let (_dir, home, store) = kept();
        let path = home.media_state();
        let whole = std::fs::read(&path).unwrap();
        let mut n_flips = 0;
        for word in [&b"corp"[..], b"F2", b"m3", b"stored", b"n1", b"file"] {
            let places = whole.windows(word.len()).enumerate();
            let places: Vec<usize> = places
                .filter(|(_, w)| *w == word)
                .map(|(at, _)| at)
                .collect();
            for at in places {
                let mut bytes = whole.clone();
                bytes[at + n_flips % word.len()] ^= 1 << (n_flips % 7);
                std::fs::write(&path, &bytes).unwrap();
                n_flips += 1;
                // The words stand in the statements that made the tables, too: those are not
                // values, and a table that lost its name cannot be read.
                let found = all(&home, &store);
                let in_schema = at < 4096;
                assert!(
                    in_schema || !found.is_empty(),
                    "a flip at {at} was not found"
                );
            }
        }
        std::fs::write(&path, &whole).unwrap();
        assert!(n_flips > 20 && all(&home, &store).is_empty());
    }
}
