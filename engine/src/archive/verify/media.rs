//! Stored media: a file's name is the SHA-256 of its bytes.

use std::io::Read;
use std::path::Path;

use aws_lc_rs::digest::{Context, SHA256};

use super::{Finding, Kind, Report};
use crate::archive::home::Home;
use crate::archive::seal::hex;
use crate::archive::vacuum::list;

/// Bytes that are read at once: a video must not fill the memory.
const CHUNK_BYTES: usize = 1 << 20;

/// Hashes every file below `media/` whose name begins with a hash.
pub fn verify(home: &Home) -> Report {
    let mut report = Report::default();
    let folder = home.root().join("media");
    let mut found = Vec::new();
    if !folder.is_dir() || list(&folder, &mut found).is_err() {
        return report;
    }
    for file in found {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let expected: String = name.chars().take_while(char::is_ascii_hexdigit).collect();
        // Other names are those of downloads that are under way.
        if expected.len() != 64 || name.len() > 64 && !name[64..].starts_with('.') {
            continue;
        }
        let detail = match hash(&file, &mut report) {
            Ok(found) if found == expected => continue,
            Ok(_) => "its bytes are not those that its name tells".to_string(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => error.to_string(),
        };
        report.find(Finding::new(Kind::MediaChanged, detail).in_file(home.root(), &file));
    }
    report
}

fn hash(file: &Path, report: &mut Report) -> std::io::Result<String> {
    let mut reader = std::fs::File::open(file)?;
    let mut hash = Context::new(&SHA256);
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut n_bytes = 0;
    loop {
        match reader.read(&mut chunk)? {
            0 => break,
            n => {
                hash.update(&chunk[..n]);
                n_bytes += n;
            }
        }
    }
    report.read(n_bytes);
    Ok(hex(hash.finish().as_ref()))
}
