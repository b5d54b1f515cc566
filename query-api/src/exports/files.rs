//! Files of messages in one zip: each content once, under names that are safe in every folder, with
//! a table that names every file, also those that are missing and why.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Write};

use huicun_engine::media::convert::head_of;
use huicun_engine::media::store::hex;
use huicun_engine::media::{Listed, sniff};
use serde_json::{Value, json};

use super::bundle::Bundle;
use super::error::ExportError;
use super::gather::Message;
use crate::answer::{Column, ColumnKind};
use crate::queries::media::{MediaAccess, file_name};

/// Bytes read at once.
const PIECE_BYTES: usize = 256 * 1024;
/// Bytes of a name, so that folder and number fit into what file systems take as well.
const NAME_BYTES_MAX: usize = 180;

/// The columns of exported files.
pub(super) fn file_columns() -> Vec<Column> {
    use ColumnKind::{Instant, Integer, Text};
    vec![
        Column::new("seq", "序号", "Seq", Integer),
        Column::new("msgid", "消息 ID", "Message", Text),
        Column::new("item", "条目", "Item", Integer),
        Column::new("at", "时间", "Sent", Instant),
        Column::new("conversation", "会话", "Conversation", Text),
        Column::new("kind", "会话类型", "Kind", Text),
        Column::new("from", "发送人", "From", Text),
        Column::new("type", "消息类型", "Type", Text),
        Column::new("name", "文件名", "Name", Text),
        Column::new("seconds", "时长(秒)", "Seconds", Integer),
        Column::new("bytes", "字节", "Bytes", Integer),
        Column::new("status", "状态", "Status", Text),
        Column::new("reason", "原因", "Reason", Text),
        Column::new("sha256", "SHA-256", "SHA-256", Text),
        Column::new("file", "压缩包内文件", "File in the zip", Text),
    ]
}

/// A row of the table.
pub(super) fn file_row(
    message: &Message,
    listed: &Listed,
    status: &str,
    file: Option<&str>,
) -> Vec<Value> {
    let item = &message.item;
    vec![
        json!(listed.seq),
        json!(listed.msgid),
        json!(listed.item),
        json!(item.at),
        json!(item.conversation),
        json!(item.kind),
        json!(item.from),
        json!(listed.kind),
        json!(listed.name),
        json!(listed.seconds),
        json!(listed.size),
        json!(status),
        json!(listed.reason),
        json!(listed.sha256.map(|hash| hex(&hash))),
        json!(file),
    ]
}

/// What became of a file in the zip.
pub(super) struct Put {
    /// `stored`, `pending`, `fetching`, `lost`, or `damaged` for bytes that are not those that were
    /// stored.
    pub(super) status: &'static str,
    /// Its name in the zip.
    pub(super) file: Option<String>,
}

/// Puts files into a zip.
#[derive(Default)]
pub(super) struct Files {
    known: HashMap<[u8; 32], (&'static str, String)>,
}

impl Files {
    /// Puts a file in, if it is there and not in it yet; `go_on` is asked between pieces.
    pub(super) fn put(
        &mut self,
        bundle: &mut Bundle<'_>,
        listed: &Listed,
        access: &MediaAccess,
        go_on: &mut dyn FnMut() -> Result<(), ExportError>,
    ) -> Result<Put, ExportError> {
        let missing = |status| Put { status, file: None };
        let Some((path, sha256)) = access.path_of(listed)?.zip(listed.sha256) else {
            return Ok(missing(listed.status.as_str()));
        };
        if let Some((status, file)) = self.known.get(&sha256) {
            return Ok(Put {
                status,
                file: Some(file.clone()),
            });
        }
        // A file that is gone or cannot be read is said to be so; it must not spoil the others.
        let opened = head_of(&path).and_then(|head| Ok((head, File::open(&path)?)));
        let Ok((head, mut content)) = opened else {
            return Ok(missing("damaged"));
        };
        let name = self.name(listed, &head);
        bundle.begin_as_is(&name)?;
        let mut piece = vec![0; PIECE_BYTES];
        let mut is_read = true;
        loop {
            go_on()?;
            match content.read(&mut piece) {
                Ok(0) => break,
                Ok(n) => bundle.write_all(&piece[..n])?,
                Err(_) => {
                    is_read = false;
                    break;
                }
            }
        }
        let packed = bundle.end();
        let is_whole = is_read && packed.is_some_and(|packed| packed.sha256 == hex(&sha256));
        let status = match is_whole {
            true => "stored",
            false => "damaged",
        };
        self.known.insert(sha256, (status, name.clone()));
        Ok(Put {
            status,
            file: Some(name),
        })
    }

    /// A name that no other has, for a running number leads it.
    fn name(&self, listed: &Listed, head: &[u8]) -> String {
        let given = file_name(listed, sniff::of_head(head), None);
        format!("files/{:06}-{}", self.known.len() + 1, short(&given))
    }
}

/// A name cut to what file systems take, its ending kept; none ends with a point or a blank.
fn short(name: &str) -> String {
    let (stem, ending) = match name.rsplit_once('.') {
        Some((stem, ending)) if ending.len() <= 40 => (stem, format!(".{ending}")),
        _ => (name, String::new()),
    };
    let mut end = stem.len().min(NAME_BYTES_MAX - ending.len());
    while !stem.is_char_boundary(end) {
        end -= 1;
    }
    let whole = format!("{}{ending}", &stem[..end]);
    whole.trim_end_matches(['.', ' ']).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_is_cut_and_keeps_its_ending() {
        let long = format!("{}.docx", "长".repeat(300));
        let cut = short(&long);
        assert!(
            cut.len() <= NAME_BYTES_MAX && cut.ends_with("长.docx"),
            "{cut}"
        );
        assert_eq!(short("报价.pdf"), "报价.pdf");
        assert_eq!(short("a. ."), "a");
    }
}
