//! `huicun tape`: makes folders for the simulator library. Nothing else of huicun knows them.

use std::io::{BufRead, BufReader};
use std::path::Path;

use huicun_tape::{MakeOptions, MediaOptions, make_from_ndjson};

use crate::arguments::TapeCommand;
use crate::failure::Failure;

pub fn tape(what: TapeCommand) -> Result<(), Failure> {
    let TapeCommand::Make {
        file,
        output,
        corpid,
        secret,
        key_versions,
        media_bytes_max,
    } = what;
    let options = MakeOptions {
        corpid,
        secret,
        key_versions,
        media: media_bytes_max.map(|bytes_max| MediaOptions { bytes_max }),
        ..MakeOptions::default()
    };
    let started = std::time::Instant::now();
    let summary = make_from_ndjson(open(&file)?, &output, &options)?;
    let versions: Vec<String> = summary.key_versions.iter().map(u32::to_string).collect();
    eprintln!(
        "sealed {} messages (seq {} to {}, key versions {}) and {} media files into `{}` in {:.1} s; \
         its private keys are in `{}`",
        summary.n_messages,
        summary.first_seq.unwrap_or(0),
        summary.last_seq.unwrap_or(0),
        versions.join(", "),
        summary.n_media,
        output.display(),
        started.elapsed().as_secs_f64(),
        output.join("keys").display(),
    );
    Ok(())
}

fn open(file: &Path) -> Result<Box<dyn BufRead>, Failure> {
    if file == Path::new("-") {
        return Ok(Box::new(BufReader::new(std::io::stdin())));
    }
    let read = |e| Failure::failed(format!("cannot read `{}`: {e}", file.display()));
    let input = huicun_indexer::ingest::import::open(file).map_err(read)?;
    Ok(Box::new(BufReader::with_capacity(1 << 20, input)))
}
