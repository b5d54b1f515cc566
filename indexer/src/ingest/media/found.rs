//! The media that messages carry, read from data files of the `messages` table: the message's own
//! in its columns, those of forwarded records and mixed messages from the payload once more.

use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use huicun_engine::archive::{Table, TableError};
use huicun_engine::media::Named;

use crate::ingest::normalise;

const COLUMNS: [&str; 12] = [
    "source",
    "seq",
    "msgid",
    "msgtype",
    "msgtime",
    "pulled_at",
    "status",
    "media_file_id",
    "media_md5",
    "media_size",
    "media_seconds",
    "media_name",
];

/// Types whose items can carry files.
const HOLDERS: [&str; 3] = ["chatrecord", "mixed", "note"];

/// The media of one data file, in its order.
pub(super) async fn in_file(table: &Table, file: &str) -> Result<Vec<Named>, TableError> {
    // Payloads are most of a file's bytes: read only where one has to be opened.
    let types = table.read_file(file, &["msgtype"]).await?;
    let has_holders = types.iter().any(|batch| {
        let types: &StringArray = column(batch, "msgtype").as_string();
        types.iter().flatten().any(|name| HOLDERS.contains(&name))
    });
    let mut columns = COLUMNS.to_vec();
    if has_holders {
        columns.push("payload");
    }
    let mut found = Vec::new();
    for batch in table.read_file(file, &columns).await? {
        in_batch(&batch, &mut found);
    }
    Ok(found)
}

fn in_batch(batch: &RecordBatch, found: &mut Vec<Named>) {
    let strings = |name: &str| -> &StringArray { column(batch, name).as_string() };
    let (source, msgid, msgtype) = (strings("source"), strings("msgid"), strings("msgtype"));
    let (status, file_id) = (strings("status"), strings("media_file_id"));
    let (md5, name) = (strings("media_md5"), strings("media_name"));
    let payload: Option<&StringArray> = batch
        .column_by_name("payload")
        .map(|payload| payload.as_string());
    let seq = column(batch, "seq").as_primitive::<Int64Type>();
    let size = column(batch, "media_size").as_primitive::<Int64Type>();
    let seconds = column(batch, "media_seconds").as_primitive::<Int64Type>();
    let msgtime = column(batch, "msgtime").as_primitive::<TimestampMicrosecondType>();
    let pulled_at = column(batch, "pulled_at").as_primitive::<TimestampMicrosecondType>();
    let text = |array: &StringArray, row: usize| -> Option<String> {
        array.is_valid(row).then(|| array.value(row).to_string())
    };
    for row in 0..batch.num_rows() {
        if status.value(row) != "ok" {
            continue;
        }
        let at_ms = msgtime.value(row) / 1000;
        // WeCom says 0 of some messages: then the file is as old as its arrival.
        let since_ms = match at_ms {
            0 => pulled_at.value(row) / 1000,
            at_ms => at_ms,
        };
        let shown = |item: u32, kind: &str| Named {
            source: source.value(row).into(),
            seq: seq.value(row),
            msgid: msgid.value(row).into(),
            item,
            at_ms,
            since_ms,
            kind: kind.into(),
            name: None,
            seconds: None,
            file_id: String::new(),
            md5: None,
            size: None,
        };
        let kind = msgtype.value(row);
        if let Some(file_id) = text(file_id, row) {
            found.push(Named {
                name: text(name, row),
                seconds: seconds.is_valid(row).then(|| seconds.value(row)),
                file_id,
                md5: text(md5, row),
                size: size.is_valid(row).then(|| size.value(row)),
                ..shown(0, kind)
            });
        }
        let Some(payload) = payload.filter(|_| HOLDERS.contains(&kind)) else {
            continue;
        };
        // It was read when it came in; should a later version refuse it, it has no media.
        let Ok(message) = normalise::normalise(payload.value(row).as_bytes()) else {
            continue;
        };
        for (nested, item) in message.nested_media.into_iter().zip(1..) {
            found.push(Named {
                name: nested.name,
                seconds: nested.seconds,
                file_id: nested.file_id,
                md5: nested.md5,
                size: nested.size,
                ..shown(item, nested.kind)
            });
        }
    }
}

fn column<'a>(batch: &'a RecordBatch, name: &str) -> &'a arrow::array::ArrayRef {
    batch
        .column_by_name(name)
        .expect("read_file returns the columns asked for, and the table has them all")
}
