//! Where the messages of an export go: one format each, written as they come.

use std::fs::File;
use std::io::{BufReader, BufWriter, Seek, SeekFrom, Write};
use std::path::Path;

use huicun_engine::directory::Directory;
use serde_json::Value;

use super::bundle::Bundle;
use super::error::ExportError;
use super::files::{Files, Put, file_columns, file_row};
use super::gather::{Message, message_columns};
use super::make::notes;
use super::manifest::{Counts, Manifest, Stamp};
use super::page::Page;
use super::request::{Format, Plan, What};
use crate::answer::{Column, Table};
use crate::formats::{About, Language, Reader, csv, json, xlsx};
use crate::queries::media::MediaAccess;

/// Rows of the NDJSON in a zip.
const ROWS: &str = "rows.ndjson";
/// The table of a zip of files.
const TABLE: &str = "files.csv";
const MANIFEST: &str = "manifest.json";

/// A file in the making.
pub(super) struct Sink<'f> {
    columns: Vec<Column>,
    is_of_files: bool,
    /// Rows that wait for the end of their batch.
    rows: Vec<Vec<Value>>,
    kind: SinkKind<'f>,
}

enum SinkKind<'f> {
    Csv(csv::Rows<BufWriter<&'f mut File>>),
    Xlsx(Box<xlsx::Rows>, &'f mut File),
    Ndjson(Box<Bundle<'f>>),
    Html(Page<&'f mut File>),
    /// The table waits in a file of its own: a zip holds one file after the other.
    Zip(Box<Bundle<'f>>, Files, csv::Rows<BufWriter<File>>, File),
}

impl<'f> Sink<'f> {
    pub(super) fn new(plan: &Plan, file: &'f mut File, spare: &Path) -> Result<Self, ExportError> {
        let is_of_files = matches!(plan.what, What::Media(_));
        let columns = match is_of_files {
            true => file_columns(),
            false => message_columns(),
        };
        let kind = match plan.format {
            Format::Xlsx => {
                let rows = xlsx::Rows::new(columns.clone(), Language::Zh, spare)?;
                SinkKind::Xlsx(Box::new(rows), file)
            }
            Format::Ndjson => {
                let mut bundle = Bundle::new(file);
                bundle.begin_text(ROWS)?;
                SinkKind::Ndjson(Box::new(bundle))
            }
            Format::Html => {
                let title = plan.request.id.as_deref().unwrap_or_default();
                SinkKind::Html(Page::new(title, file)?)
            }
            Format::Zip => {
                let waiting = nameless(spare)?;
                let out = BufWriter::new(waiting.try_clone()?);
                let table = csv::Rows::new(&columns, Reader::Program, out)?;
                SinkKind::Zip(
                    Box::new(Bundle::new(file)),
                    Files::default(),
                    table,
                    waiting,
                )
            }
            Format::Csv | Format::Parquet => {
                let out = BufWriter::new(file);
                SinkKind::Csv(csv::Rows::new(&columns, Reader::Program, out)?)
            }
        };
        Ok(Self {
            columns,
            is_of_files,
            rows: Vec::new(),
            kind,
        })
    }

    /// Takes a message; `go_on` is asked while something long is done for it.
    pub(super) fn add(
        &mut self,
        message: Message,
        directory: &Directory,
        access: &MediaAccess,
        counts: &mut Counts,
        go_on: &mut dyn FnMut() -> Result<(), ExportError>,
    ) -> Result<(), ExportError> {
        if let SinkKind::Html(page) = &mut self.kind {
            return page.add(&message, directory, access);
        }
        if !self.is_of_files {
            self.rows.push(message.into_row());
            return Ok(());
        }
        for listed in &message.media {
            let put = match &mut self.kind {
                SinkKind::Zip(bundle, files, ..) => files.put(bundle, listed, access, go_on)?,
                _ => Put {
                    status: listed.status.as_str(),
                    file: None,
                },
            };
            counts.rows += 1;
            counts.note_medium(put.status);
            let row = file_row(&message, listed, put.status, put.file.as_deref());
            self.rows.push(row);
        }
        Ok(())
    }

    /// Writes the rows of a batch.
    pub(super) fn settle(&mut self) -> Result<(), ExportError> {
        let rows = std::mem::take(&mut self.rows);
        match &mut self.kind {
            SinkKind::Csv(out) => {
                for row in &rows {
                    out.add(&self.columns, row)?;
                }
            }
            SinkKind::Zip(_, _, table, _) => {
                for row in &rows {
                    table.add(&self.columns, row)?;
                }
            }
            SinkKind::Xlsx(out, _) => out.add(&rows)?,
            SinkKind::Ndjson(bundle) => {
                let table = Table {
                    columns: self.columns.clone(),
                    rows,
                };
                let mut out = BufWriter::new(&mut **bundle);
                json::write_lines(&table, &mut out)?;
                out.flush()?;
            }
            SinkKind::Html(_) => {}
        }
        Ok(())
    }

    pub(super) fn finish(
        mut self,
        plan: &Plan,
        stamp: &Stamp,
        counts: &Counts,
    ) -> Result<(), ExportError> {
        self.settle()?;
        let request = &plan.request;
        match self.kind {
            SinkKind::Csv(out) => Ok(out.finish()?),
            SinkKind::Xlsx(out, file) => {
                let mut file = BufWriter::new(file);
                out.finish(&about(plan, stamp, counts), &mut file)?;
                Ok(file.flush()?)
            }
            SinkKind::Html(page) => {
                page.finish(&Manifest::new(request, stamp, counts, &[]).to_text())
            }
            SinkKind::Ndjson(bundle) => with_manifest(*bundle, plan, stamp, counts),
            SinkKind::Zip(mut bundle, _, table, mut waiting) => {
                table.finish()?;
                waiting.seek(SeekFrom::Start(0))?;
                bundle.begin_text(TABLE)?;
                std::io::copy(&mut BufReader::new(waiting), &mut *bundle)?;
                with_manifest(*bundle, plan, stamp, counts)
            }
        }
    }
}

fn with_manifest(
    mut bundle: Bundle<'_>,
    plan: &Plan,
    stamp: &Stamp,
    counts: &Counts,
) -> Result<(), ExportError> {
    let text = Manifest::new(&plan.request, stamp, counts, bundle.packed()).to_text();
    bundle.begin_text(MANIFEST)?;
    bundle.write_all(text.as_bytes())?;
    bundle.finish()
}

/// A file without a name: it goes with the process, however that ends.
fn nameless(folder: &Path) -> Result<File, ExportError> {
    let path = folder.join(format!(".{}.table", std::process::id()));
    let file = File::options()
        .create(true)
        .truncate(true)
        .read(true)
        .write(true)
        .open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

fn about(plan: &Plan, stamp: &Stamp, counts: &Counts) -> About {
    let (zh, en) = match plan.what {
        What::Conversation(_) => ("会话导出", "Conversation"),
        What::Media(_) => ("媒体文件导出", "Media"),
        _ => ("消息导出", "Messages"),
    };
    let request = serde_json::to_string(&plan.request).unwrap_or_default();
    let own = [
        ("导出条件".to_string(), request),
        ("行数".to_string(), counts.rows.to_string()),
    ];
    About {
        title_zh: zh.into(),
        title_en: en.into(),
        notes: own.into_iter().chain(notes(stamp)).collect(),
        ..About::default()
    }
}
