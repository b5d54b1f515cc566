//! The ledger's file of the last run, so that a question need not read every row again. Derived:
//! where it is missing, damaged or another table's, it is made anew.
//!
//! A line of magic, the length of a JSON header, the header, the bitmaps one after the other, and
//! the SHA-256 of all of it.

use std::collections::BTreeMap;

use object_store::ObjectStoreExt;
use object_store::path::Path;
use roaring::RoaringTreemap;
use serde::{Deserialize, Serialize};

use super::rows::{Parked, Parking, Rows};
use super::{Account, Ledger, LedgerError, SourceLedger, sha256};
use crate::archive::fsync_store::FsyncStore;
use crate::archive::home::Home;

const FILE: &str = "ledger/rows.bin";
const MAGIC: &[u8; 8] = b"hcledg1\n";
/// Commits that a run may leave unwritten: reading their files again takes milliseconds.
pub(super) const VERSIONS_UNWRITTEN_MAX: u64 = 32;

#[derive(Serialize, Deserialize)]
struct Header {
    version: u64,
    stamp: Option<[u8; 32]>,
    n_unread: u64,
    sources: BTreeMap<String, SourceHeader>,
}

#[derive(Serialize, Deserialize)]
struct SourceHeader {
    account: Account,
    n_readable: u64,
    n_quarantined: u64,
    times_ms: Option<(i64, i64)>,
    edges: Vec<(u64, i64)>,
    parked: Vec<ParkedHeader>,
}

#[derive(Serialize, Deserialize)]
struct ParkedHeader {
    parking: Parking,
    n: u64,
    own_ms: Option<(i64, i64)>,
}

/// The bitmaps of a source, in the order in which they are written.
fn bitmaps(page: &SourceLedger) -> impl Iterator<Item = &RoaringTreemap> {
    let parked = page.rows.parked.values().map(|parked| &parked.seqs);
    [&page.deduplicated, &page.rows.readable]
        .into_iter()
        .chain(parked)
}

pub(super) async fn store(home: &Home, ledger: &Ledger) -> Result<(), LedgerError> {
    let bytes = encode(ledger).map_err(|e| failed(&e))?;
    let place = Path::from_absolute_path(home.root().join(FILE)).map_err(|e| failed(&e))?;
    FsyncStore::new()
        .put(&place, bytes.into())
        .await
        .map_err(|e| failed(&e))?;
    Ok(())
}

fn failed(error: &dyn std::error::Error) -> LedgerError {
    LedgerError::Write {
        file: FILE,
        why: error.to_string(),
    }
}

fn encode(ledger: &Ledger) -> std::io::Result<Vec<u8>> {
    let header = Header {
        version: ledger.version,
        stamp: ledger.stamp,
        n_unread: ledger.n_unread,
        sources: ledger
            .sources
            .iter()
            .map(|(source, page)| (source.clone(), SourceHeader::of(page)))
            .collect(),
    };
    let header = serde_json::to_vec(&header)?;
    let mut bytes = MAGIC.to_vec();
    bytes.extend((header.len() as u64).to_le_bytes());
    bytes.extend(header);
    for bitmap in ledger.sources.values().flat_map(bitmaps) {
        bitmap.serialize_into(&mut bytes)?;
    }
    let sum = sha256(&bytes);
    bytes.extend(sum);
    Ok(bytes)
}

/// The file of the last run, if there is a whole one.
pub(super) fn load(home: &Home) -> Option<Ledger> {
    let bytes = std::fs::read(home.root().join(FILE)).ok()?;
    let ledger = decode(&bytes);
    if ledger.is_none() {
        tracing::warn!("`{FILE}` in the data directory is damaged and is made anew");
    }
    ledger
}

fn decode(bytes: &[u8]) -> Option<Ledger> {
    let (bytes, sum) = bytes.split_last_chunk::<32>()?;
    if sha256(bytes) != *sum {
        return None;
    }
    let bytes = bytes.strip_prefix(MAGIC)?;
    let (length, bytes) = bytes.split_first_chunk::<8>()?;
    let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
    let header: Header = serde_json::from_slice(bytes.get(..length)?).ok()?;
    let mut rest = bytes.get(length..)?;
    let mut sources = BTreeMap::new();
    for (source, header) in header.sources {
        let mut next = || RoaringTreemap::deserialize_from(&mut rest).ok();
        sources.insert(source, header.page(&mut next)?);
    }
    Some(Ledger {
        version: header.version,
        stamp: header.stamp,
        n_unread: header.n_unread,
        sources,
    })
}

impl SourceHeader {
    fn of(page: &SourceLedger) -> Self {
        let rows = &page.rows;
        let parked = rows.parked.iter().map(|(parking, parked)| ParkedHeader {
            parking: parking.clone(),
            n: parked.n,
            own_ms: parked.own_ms,
        });
        Self {
            account: page.account,
            n_readable: rows.n_readable,
            n_quarantined: rows.n_quarantined,
            times_ms: rows.times_ms,
            edges: rows.edges.iter().map(|(seq, ms)| (*seq, *ms)).collect(),
            parked: parked.collect(),
        }
    }

    fn page(self, next: &mut dyn FnMut() -> Option<RoaringTreemap>) -> Option<SourceLedger> {
        let deduplicated = next()?;
        let mut rows = Rows {
            n_readable: self.n_readable,
            n_quarantined: self.n_quarantined,
            times_ms: self.times_ms,
            readable: next()?,
            parked: BTreeMap::new(),
            edges: self.edges.into_iter().collect(),
        };
        for header in self.parked {
            let parked = Parked {
                n: header.n,
                own_ms: header.own_ms,
                seqs: next()?,
            };
            rows.parked.insert(header.parking, parked);
        }
        let mut page = SourceLedger {
            account: self.account,
            deduplicated,
            rows,
            missing: Vec::new(),
        };
        page.settle();
        Some(page)
    }
}
