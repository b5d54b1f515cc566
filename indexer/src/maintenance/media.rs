//! The media in the report of `huicun verify`: the rows of `media.db` against their seals, the
//! store's own list, and that every file that is said to be stored is there. The bytes of files
//! below the data directory are checked by name with the rest of it (`archive/verify/media`); those
//! of a store elsewhere are read here.

use std::path::Path;

use huicun_engine::archive::Home;
use huicun_engine::archive::verify::{Finding, Kind, Report};
use huicun_engine::media::verify::{self, Finding as MediaFinding};
use huicun_engine::media::{Catalogue, Store};

/// Rows of stored media that are looked at together.
const ROWS: usize = 1000;

/// Checks what is kept of media; nothing where none ever was.
pub(super) fn check_media(home: &Home) -> Report {
    let mut report = Report::default();
    let file = home.media_state();
    if let Err(error) = check(home, &mut report) {
        report.find(Finding::new(Kind::StateDamaged, error).in_file(home.root(), &file));
    }
    report
}

fn check(home: &Home, report: &mut Report) -> Result<(), String> {
    let told = |error: &dyn std::error::Error| error.to_string();
    let Some(catalogue) = Catalogue::open_existing(home).map_err(|e| told(&e))? else {
        return Ok(());
    };
    report.n_files += 1;
    report.n_bytes += std::fs::metadata(home.media_state()).map_or(0, |m| m.len());
    let rows = verify::rows(&catalogue).map_err(|e| told(&e))?;
    let is_whole = rows.is_empty();
    for found in rows {
        report.find(translated(home, home.root(), Kind::StateDamaged, found));
    }
    // Rows that cannot be trusted say nothing of files.
    if !is_whole {
        return Ok(());
    }
    let elsewhere = catalogue.mark("store").map_err(|e| told(&e))?;
    let store = Store::at(elsewhere.as_deref().map_or(&home.media(), Path::new));
    for found in verify::list(&store).map_err(|e| told(&e))? {
        report.find(translated(
            home,
            store.root(),
            Kind::FileOfOursChanged,
            found,
        ));
    }
    if store.root() == home.media() {
        return missing(home, &catalogue, &store, report).map_err(|e| told(&e));
    }
    let (found, slice) = verify::files(&catalogue, &store, 0, u64::MAX).map_err(|e| told(&e))?;
    report.n_files += slice.n_files;
    report.n_bytes += slice.n_bytes;
    for found in found {
        let kind = match found.kind {
            "media_file_missing" => Kind::FileMissing,
            _ => Kind::MediaChanged,
        };
        report.find(translated(home, store.root(), kind, found));
    }
    Ok(())
}

fn missing(
    home: &Home,
    catalogue: &Catalogue,
    store: &Store,
    report: &mut Report,
) -> Result<(), huicun_engine::media::CatalogueError> {
    let mut after = 0;
    loop {
        let rows = catalogue.stored_after(after, ROWS)?;
        let Some(last) = rows.last() else {
            return Ok(());
        };
        after = last.id;
        for row in rows {
            let Some(file) = row.sha256.map(|sha256| store.path_of(&sha256)) else {
                continue;
            };
            let found = std::fs::metadata(&file).map(|found| found.len());
            let (kind, detail) = match found {
                Ok(size) if size == row.size => continue,
                Ok(size) => {
                    let detail = format!("{size} bytes, {} expected", row.size);
                    (Kind::MediaChanged, detail)
                }
                Err(error) => (Kind::FileMissing, error.to_string()),
            };
            let mut finding = Finding::new(kind, detail).in_file(home.root(), &file);
            if let Some((source, seq, _)) = catalogue.first_message_of(row.id)? {
                finding = finding.of(&source).seqs(seq, seq);
            }
            report.find(finding);
        }
    }
}

fn translated(home: &Home, folder: &Path, kind: Kind, found: MediaFinding) -> Finding {
    let finding = Finding::new(kind, found.detail).in_file(home.root(), &folder.join(found.file));
    match (found.source, found.seq) {
        (Some(source), Some(seq)) => finding.of(&source).seqs(seq, seq),
        _ => finding,
    }
}
