//! A tape from NDJSON: decrypted WeCom messages, or envelopes that give their seq.
//!
//! The input is read once into a spool file with a small table in memory, put into the
//! order of seq, and sealed; so a stream of any length and order will do. The bytes of
//! each message are taped as they are. A line without seq gets the number of its line.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::error::io_at;
use crate::media::{self, MediaOptions};
use crate::writer::{Keys, TapeOptions, TapeWriter};
use crate::{KeyPair, TapeError};

/// A line longer than this is refused: no message is.
const LINE_BYTES_MAX: u64 = 64 << 20;
/// More key versions than this are a mistake in the input.
const KEY_VERSIONS_MAX: usize = 64;
/// How deep media are looked for in a message, JSON within strings included.
const NESTING_MAX: u32 = 32;
/// The size of a media file whose message tells none.
const MEDIA_BYTES_DEFAULT: u64 = 4096;

/// How a tape is made from NDJSON.
#[derive(Debug, Clone)]
pub struct MakeOptions {
    /// The corp id that a caller must give.
    pub corpid: String,
    /// The archive secret that a caller must give.
    pub secret: String,
    /// Messages without `publickey_ver` are spread over the versions 1 to this.
    pub key_versions: u32,
    /// Where the private keys go; without it, `keys/` in the tape's folder.
    pub keys_dir: Option<PathBuf>,
    /// Records in one file of the tape.
    pub records_per_file: u32,
    /// Make up the media that messages name; `None` leaves the tape without media.
    pub media: Option<MediaOptions>,
}

impl Default for MakeOptions {
    fn default() -> Self {
        let tape = TapeOptions::default();
        Self {
            corpid: tape.corpid,
            secret: tape.secret,
            key_versions: 2,
            keys_dir: None,
            records_per_file: tape.records_per_file,
            media: None,
        }
    }
}

/// What was taped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Messages.
    pub n_messages: u64,
    /// The first seq, unless there are no messages.
    pub first_seq: Option<u64>,
    /// The last seq.
    pub last_seq: Option<u64>,
    /// The `publickey_ver`s that keys were written for.
    pub key_versions: Vec<u32>,
    /// Media files made up.
    pub n_media: u64,
    /// Their bytes.
    pub media_bytes: u64,
    /// Whether the input had to be put into order.
    pub was_sorted: bool,
}

/// One message in the spool.
#[derive(Clone, Copy)]
struct Entry {
    seq: u64,
    line: u64,
    offset: u64,
    n_bytes: u32,
    /// 0 when the line gives none.
    publickey_ver: u32,
}

/// Removes the spool, however the making ends.
struct Spool(PathBuf);

impl Drop for Spool {
    fn drop(&mut self) {
        // Nothing can be done about a spool that will not go; the tape is whole without it.
        let _ = fs::remove_file(&self.0);
    }
}

/// Makes a tape in `out_dir`, which must be new or empty.
///
/// # Errors
/// [`TapeError::Line`] and [`TapeError::DuplicateSeq`] name the line; else as [`TapeWriter`].
pub fn make_from_ndjson(
    reader: impl BufRead,
    out_dir: impl AsRef<Path>,
    options: &MakeOptions,
) -> Result<Summary, TapeError> {
    let out_dir = std::path::absolute(&out_dir).map_err(io_at("find", out_dir.as_ref()))?;
    let out_dir = out_dir.as_path();
    let spool = Spool(spool_path(out_dir));
    let mut entries = write_spool(reader, &spool.0)?;
    let was_sorted = put_in_order(&mut entries)?;
    spread_key_versions(&mut entries, options.key_versions.max(1));

    let versions: BTreeSet<u32> = (1..=options.key_versions.max(1))
        .chain(entries.iter().map(|e| e.publickey_ver))
        .collect();
    if versions.len() > KEY_VERSIONS_MAX {
        let why = format!(
            "{} key versions, at most {KEY_VERSIONS_MAX}",
            versions.len()
        );
        return Err(TapeError::Line {
            line: entries.len() as u64,
            why,
        });
    }
    let keys = versions
        .iter()
        .map(|v| KeyPair::generate(*v))
        .collect::<Result<_, _>>()?;
    let mut writer = TapeWriter::create(
        out_dir,
        TapeOptions {
            corpid: options.corpid.clone(),
            secret: options.secret.clone(),
            keys: Keys::Given(keys),
            keys_dir: options.keys_dir.clone(),
            records_per_file: options.records_per_file,
        },
    )?;
    let (n_media, media_bytes) = tape_spool(&spool.0, &entries, &mut writer, options.media)?;
    writer.finish()?;
    Ok(Summary {
        n_messages: entries.len() as u64,
        first_seq: entries.first().map(|e| e.seq),
        last_seq: entries.last().map(|e| e.seq),
        key_versions: versions.into_iter().collect(),
        n_media,
        media_bytes,
        was_sorted,
    })
}

/// Beside the tape's folder, which must be empty when the writer takes it.
fn spool_path(out_dir: &Path) -> PathBuf {
    let mut name = out_dir.file_name().unwrap_or_default().to_owned();
    name.push(format!(".spool-{}", std::process::id()));
    out_dir.with_file_name(name)
}

fn write_spool(mut reader: impl BufRead, path: &Path) -> Result<Vec<Entry>, TapeError> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(io_at("create", parent))?;
    }
    let file = File::create_new(path).map_err(io_at("create", path))?;
    let mut spool = BufWriter::with_capacity(1 << 20, file);
    let mut entries = Vec::new();
    let mut text = Vec::new();
    let (mut line, mut offset) = (0, 0);
    loop {
        text.clear();
        let n_read = (&mut reader)
            .take(LINE_BYTES_MAX)
            .read_until(b'\n', &mut text)
            .map_err(io_at("read the input for", path))?;
        if n_read == 0 {
            break;
        }
        line += 1;
        if n_read as u64 == LINE_BYTES_MAX {
            return Err(TapeError::Line {
                line,
                why: format!("longer than {LINE_BYTES_MAX} bytes"),
            });
        }
        if text.trim_ascii().is_empty() {
            continue;
        }
        let (seq, publickey_ver, message) = read_line(&text, line)?;
        spool
            .write_all(message.as_bytes())
            .map_err(io_at("write", path))?;
        let n_bytes = message.len() as u32;
        entries.push(Entry {
            seq,
            line,
            offset,
            n_bytes,
            publickey_ver,
        });
        offset += u64::from(n_bytes);
    }
    spool.flush().map_err(io_at("write", path))?;
    Ok(entries)
}

/// Seq, key version (0: none given) and the message's own bytes.
fn read_line(text: &[u8], line: u64) -> Result<(u64, u32, &str), TapeError> {
    #[derive(Deserialize)]
    struct Envelope<'a> {
        #[serde(borrow)]
        seq: Option<&'a RawValue>,
        #[serde(borrow)]
        publickey_ver: Option<&'a RawValue>,
        #[serde(borrow)]
        msgid: Option<&'a RawValue>,
        #[serde(borrow)]
        message: Option<&'a RawValue>,
    }
    let wrong = |why: &str| TapeError::Line {
        line,
        why: why.to_owned(),
    };
    let text = std::str::from_utf8(text)
        .map_err(|_| wrong("not UTF-8"))?
        .trim();
    if !text.starts_with('{') {
        return Err(wrong("expected a JSON object"));
    }
    // The parser's own words could quote the message; only the place is told.
    let envelope: Envelope<'_> = serde_json::from_str(text)
        .map_err(|e| wrong(&format!("not JSON from column {} on", e.column())))?;
    let Some(message) = envelope.message.filter(|_| envelope.msgid.is_none()) else {
        return Ok((line, 0, text));
    };
    if !message.get().starts_with('{') {
        return Err(wrong("`message` is not an object"));
    }
    let seq = match envelope.seq {
        None => line,
        Some(raw) => number_of(raw)
            .filter(|n| *n > 0)
            .ok_or_else(|| wrong("`seq` is not a number from 1 on"))?,
    };
    let publickey_ver = match envelope.publickey_ver {
        None => 0,
        Some(raw) => number_of(raw)
            .and_then(|n| u32::try_from(n).ok())
            .filter(|n| *n > 0)
            .ok_or_else(|| wrong("`publickey_ver` is not a number from 1 on"))?,
    };
    Ok((seq, publickey_ver, message.get()))
}

fn number_of(raw: &RawValue) -> Option<u64> {
    raw.get().trim_matches('"').parse().ok()
}

/// Sorts by seq if need be; says whether it was needed.
fn put_in_order(entries: &mut [Entry]) -> Result<bool, TapeError> {
    let was_sorted = !entries.is_sorted_by_key(|e| e.seq);
    if was_sorted {
        entries.sort_by_key(|e| e.seq);
    }
    for pair in entries.windows(2) {
        if pair[0].seq == pair[1].seq {
            return Err(TapeError::DuplicateSeq {
                line: pair[1].line,
                seq: pair[1].seq,
                first_line: pair[0].line,
            });
        }
    }
    Ok(was_sorted)
}

/// Equal runs, one per version and rising, as when a company changes its key. Their bounds
/// avoid the round numbers at which pages end, so that some page holds two versions.
fn spread_key_versions(entries: &mut [Entry], versions: u32) {
    let n_entries = entries.len() as u64;
    let start_of = |version: u64| {
        let start = n_entries * version / u64::from(versions);
        if start > 0 && start.is_multiple_of(50) {
            start + 1
        } else {
            start
        }
    };
    for version in 0..u64::from(versions) {
        let from = start_of(version).min(n_entries) as usize;
        let to = if version + 1 == u64::from(versions) {
            entries.len()
        } else {
            start_of(version + 1).min(n_entries) as usize
        };
        for entry in &mut entries[from..to] {
            if entry.publickey_ver == 0 {
                entry.publickey_ver = version as u32 + 1;
            }
        }
    }
}

/// Tapes the spooled messages in the order given; the number and bytes of media made up.
fn tape_spool(
    path: &Path,
    entries: &[Entry],
    writer: &mut TapeWriter,
    media: Option<MediaOptions>,
) -> Result<(u64, u64), TapeError> {
    let file = File::open(path).map_err(io_at("open", path))?;
    let mut spool = BufReader::with_capacity(1 << 20, file);
    let (mut at, mut text) = (0, Vec::new());
    let (mut n_media, mut media_bytes) = (0, 0);
    for entry in entries {
        if at != entry.offset {
            spool
                .seek(SeekFrom::Start(entry.offset))
                .map_err(io_at("read", path))?;
        }
        text.resize(entry.n_bytes as usize, 0);
        spool.read_exact(&mut text).map_err(io_at("read", path))?;
        at = entry.offset + u64::from(entry.n_bytes);
        writer.append(entry.seq, entry.publickey_ver, &text)?;
        let Some(options) = media else { continue };
        for named in media_of(&text) {
            if writer.has_media(&named.sdkfileid) {
                continue;
            }
            let size = named.size.min(options.bytes_max);
            writer.add_media(
                &named.sdkfileid,
                &media::synthesise(&named.sdkfileid, &named.kind, size),
            )?;
            n_media += 1;
            media_bytes += size;
        }
    }
    Ok((n_media, media_bytes))
}

/// A media file that a message names.
#[derive(Debug, PartialEq, Eq)]
struct NamedMedia {
    sdkfileid: String,
    size: u64,
    /// The key it stood under (`image`), or its file extension.
    kind: String,
}

fn media_of(message: &[u8]) -> Vec<NamedMedia> {
    let mut found = Vec::new();
    if !message.windows(9).any(|w| w == b"sdkfileid") {
        return found;
    }
    if let Ok(value) = serde_json::from_slice(message) {
        collect_media(&value, "", 0, &mut found);
    }
    found
}

fn collect_media(value: &Value, kind: &str, depth: u32, found: &mut Vec<NamedMedia>) {
    if depth > NESTING_MAX {
        return;
    }
    match value {
        Value::Object(map) => {
            if let Some(Value::String(id)) = map.get("sdkfileid")
                && !id.is_empty()
            {
                let size = ["filesize", "voice_size", "imagesize"]
                    .iter()
                    .find_map(|k| size_of(map.get(*k)?));
                let kind = map.get("fileext").and_then(Value::as_str).unwrap_or(kind);
                found.push(NamedMedia {
                    sdkfileid: id.clone(),
                    size: size.unwrap_or(MEDIA_BYTES_DEFAULT),
                    kind: kind.to_lowercase(),
                });
            }
            // An item of a forwarded record says what its `content` is beside it.
            let item_type = map.get("type").and_then(Value::as_str);
            for (key, inner) in map {
                let kind = match item_type {
                    Some(name) if key == "content" => {
                        name.strip_prefix("ChatRecord").unwrap_or(name)
                    }
                    _ => key,
                };
                collect_media(inner, kind, depth + 1, found);
            }
        }
        Value::Array(items) => items
            .iter()
            .for_each(|v| collect_media(v, kind, depth + 1, found)),
        Value::String(text) if text.contains("sdkfileid") => {
            if let Ok(inner) = serde_json::from_str(text) {
                collect_media(&inner, kind, depth + 1, found);
            }
        }
        _ => {}
    }
}

fn size_of(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Tape, decrypt};

    fn made(
        ndjson: &str,
        options: &MakeOptions,
    ) -> (tempfile::TempDir, Result<Summary, TapeError>) {
        let root = tempfile::tempdir().unwrap();
        let summary = make_from_ndjson(ndjson.as_bytes(), root.path().join("tape"), options);
        let left: Vec<_> = fs::read_dir(root.path())
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        assert!(
            left.iter().all(|name| name == "tape"),
            "spool left behind: {left:?}"
        );
        (root, summary)
    }

    fn opened(root: &Path) -> Vec<(u64, u64, String)> {
        let tape = Tape::open(root.join("tape")).unwrap();
        let page: Value = serde_json::from_str(&tape.page(0, 1000).unwrap()).unwrap();
        let open = |record: &Value| {
            let version = record["publickey_ver"].as_u64().unwrap();
            let pem = fs::read_to_string(root.join(format!("tape/keys/v{version}.pem"))).unwrap();
            let keys = KeyPair::from_pem(version as u32, &pem).unwrap();
            let key_text = keys
                .unseal(record["encrypt_random_key"].as_str().unwrap())
                .unwrap();
            let plain = decrypt(&key_text, record["encrypt_chat_msg"].as_str().unwrap()).unwrap();
            (
                record["seq"].as_u64().unwrap(),
                version,
                String::from_utf8(plain).unwrap(),
            )
        };
        page["chatdata"]
            .as_array()
            .unwrap()
            .iter()
            .map(open)
            .collect()
    }

    #[test]
    fn messages_keep_their_bytes_and_get_the_order_of_their_seq() {
        let ndjson = concat!(
            "{\"seq\": 9, \"publickey_ver\": 7, \"message\": {\"msgid\":\"c\",  \"n\":1.0e2}}\n",
            "{\"msgid\":\"a\" , \"x\":18446744073709551615}\n",
            "\n",
            "{\"message\":{\"msgid\":\"b\"},\"seq\":\"4\"}\n",
        );
        let (root, summary) = made(
            ndjson,
            &MakeOptions {
                key_versions: 2,
                ..MakeOptions::default()
            },
        );
        let summary = summary.unwrap();
        assert!(summary.was_sorted);
        assert_eq!((summary.first_seq, summary.last_seq), (Some(2), Some(9)));
        assert_eq!(summary.key_versions, [1, 2, 7]);
        assert_eq!(
            opened(root.path()),
            [
                (
                    2,
                    1,
                    "{\"msgid\":\"a\" , \"x\":18446744073709551615}".to_owned()
                ),
                (4, 2, "{\"msgid\":\"b\"}".to_owned()),
                (9, 7, "{\"msgid\":\"c\",  \"n\":1.0e2}".to_owned()),
            ]
        );
    }

    #[test]
    fn several_key_versions_occur_within_a_page() {
        let mut entries: Vec<Entry> = (1..=3000)
            .map(|seq| Entry {
                seq,
                line: seq,
                offset: 0,
                n_bytes: 0,
                publickey_ver: 0,
            })
            .collect();
        spread_key_versions(&mut entries, 3);
        let versions: Vec<u32> = entries.iter().map(|e| e.publickey_ver).collect();
        assert!(
            versions.is_sorted() && versions.first() == Some(&1) && versions.last() == Some(&3)
        );
        for page_size in [10, 50, 100, 250, 500, 1000] {
            assert!(
                versions
                    .chunks(page_size)
                    .any(|page| page.first() != page.last()),
                "{page_size}"
            );
        }
    }

    #[test]
    fn a_line_that_cannot_be_taped_is_named() {
        let of = |ndjson: &str| {
            made(ndjson, &MakeOptions::default())
                .1
                .unwrap_err()
                .to_string()
        };
        assert_eq!(of("{}\n[1]\n"), "line 2: expected a JSON object");
        assert_eq!(of("{\"a\":秘密}\n"), "line 1: not JSON from column 6 on");
        assert_eq!(
            of("{\"seq\":0,\"message\":{}}"),
            "line 1: `seq` is not a number from 1 on"
        );
        assert_eq!(
            of("{\"message\":\"\"}"),
            "line 1: `message` is not an object"
        );
        assert_eq!(
            of(
                "{\"seq\":5,\"message\":{}}\n{\"seq\":3,\"message\":{}}\n{\"seq\":5,\"message\":{}}"
            ),
            "line 3: seq 5 was taken by line 1"
        );
    }

    #[test]
    fn media_are_made_up_for_nested_items_too() {
        let ndjson = r#"{"msgid":"1","msgtype":"mixed","mixed":{"item":[{"type":"image","content":"{\"sdkfileid\":\"A=\",\"filesize\":777}"}]}}
{"msgid":"2","msgtype":"voice","voice":{"sdkfileid":"B","voice_size":900000}}
{"msgid":"3","msgtype":"voice","voice":{"sdkfileid":"B","voice_size":900000}}
"#;
        let media = Some(MediaOptions { bytes_max: 600_000 });
        let (root, summary) = made(
            ndjson,
            &MakeOptions {
                media,
                ..MakeOptions::default()
            },
        );
        let summary = summary.unwrap();
        assert_eq!((summary.n_media, summary.media_bytes), (2, 600_777));
        let tape = Tape::open(root.path().join("tape")).unwrap();
        assert_eq!(tape.media_entry("A=").unwrap().size, 777);
        assert!(
            tape.media_chunk("", "A=")
                .unwrap()
                .data
                .starts_with(b"\xff\xd8\xff")
        );
        assert_eq!(tape.media_entry("B").unwrap().size, 600_000);
    }
}
