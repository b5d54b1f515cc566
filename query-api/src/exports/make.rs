//! Makes the file of an export: the worker of a server and the command line run this same code.

use std::fs::File;
use std::io::{BufWriter, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use huicun_engine::access::Scope;
use huicun_engine::media::store::hex;
use huicun_engine::metrics::Report as Kind;
use huicun_engine::state::exports::Made;
use huicun_indexer::index::Question;
use serde_json::json;

use super::asker::{Asker, noted};
use super::error::ExportError;
use super::gather::{Batches, Message, messages};
use super::manifest::{Counts, Stamp};
use super::request::{Format, Plan, What};
use super::sink::Sink;
use crate::formats::report::{arrange, described};
use crate::formats::{Language, Reader, csv, parquet, xlsx};
use crate::queries::media::MediaAccess;
use crate::queries::reports::{ReportParams, report};
use crate::queries::{Archive, QuestionError};

/// How often somebody is asked whether a report is still wanted.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Is told how much of how much is done; ends the export with an error.
pub type Tell<'a> = dyn FnMut(u64, Option<u64>) -> Result<(), ExportError> + 'a;

/// What is to be made, of what, and for whom.
pub struct Errand<'a> {
    /// The archive.
    pub archive: &'a Archive,
    /// The files of messages.
    pub media: &'a MediaAccess,
    /// Whose data it may hold.
    pub asker: Asker,
    /// What is to be made.
    pub plan: &'a Plan,
    /// The version of `messages` after which nothing is taken.
    pub as_of: u64,
    /// A folder for files that are needed meanwhile.
    pub spare: PathBuf,
}

/// Makes the export into an empty file.
///
/// # Errors
/// [`ExportError::Changed`] is worth another try at once, with an empty file.
pub async fn make(
    errand: &Errand<'_>,
    file: &mut File,
    tell: &mut Tell<'_>,
) -> Result<Made, ExportError> {
    let scope = errand.scope().await?;
    let employees = noted(&scope);
    let (n_rows, stamp) = match &errand.plan.what {
        What::Report(kind, params) => of_report(errand, &scope, *kind, params, file, tell).await?,
        What::Search(question) | What::Conversation(question) | What::Media(question) => {
            of_messages(errand, &employees, question, file, tell).await?
        }
    };
    // The rows were chosen by what he may see; what he may see at the end is what they are kept for.
    if noted(&errand.scope().await?) != employees {
        return Err(ExportError::Changed);
    }
    let (n_bytes, sha256) = measured(file)?;
    Ok(Made {
        n_bytes,
        sha256,
        n_rows,
        as_of: serde_json::to_string(&stamp).expect("a stamp is plain data"),
        employees,
    })
}

impl Errand<'_> {
    async fn scope(&self) -> Result<Scope, ExportError> {
        self.asker.scope(self.archive, self.plan.function()).await
    }
}

/// Size and hash of what is in the file, read back.
fn measured(file: &mut File) -> Result<(u64, String), ExportError> {
    file.sync_all()?;
    file.seek(SeekFrom::Start(0))?;
    let mut hash = Context::new(&SHA256);
    let mut piece = vec![0; 1 << 16];
    let mut n_bytes = 0;
    loop {
        match file.read(&mut piece)? {
            0 => return Ok((n_bytes, hex(hash.finish().as_ref()))),
            n => {
                hash.update(&piece[..n]);
                n_bytes += n as u64;
            }
        }
    }
}

async fn of_messages(
    errand: &Errand<'_>,
    employees: &str,
    question: &Question,
    file: &mut File,
    tell: &mut Tell<'_>,
) -> Result<(u64, Stamp), ExportError> {
    let (archive, plan) = (errand.archive, errand.plan);
    let mut batches = Batches::new(archive, question, errand.as_of).await?;
    let directory = Arc::clone(&batches.directory);
    let period = (question.from_ms, question.to_ms);
    let scope = errand.scope().await?;
    let stamp = Stamp::of(archive, &scope, errand.as_of, &directory, period).await;
    let recalls = batches.recalls().await?;
    let mut sink = Sink::new(plan, file, &errand.spare)?;
    let (mut counts, mut n_done) = (Counts::default(), 0);
    loop {
        let scope = errand.scope().await?;
        if noted(&scope) != employees {
            return Err(ExportError::Changed);
        }
        let Some(batch) = batches.next(&scope).await? else {
            break;
        };
        let n_total = Some(batch.n_total);
        tell(n_done, n_total)?;
        for message in messages(batches.zone, errand.media, &recalls, batch.hits)? {
            n_done += 1;
            count(&mut counts, plan, &message);
            sink.add(message, &directory, errand.media, &mut counts, &mut || {
                tell(n_done, n_total)
            })?;
        }
        sink.settle()?;
        tell(n_done, n_total)?;
    }
    let is_conversation = question
        .conversation
        .as_ref()
        .filter(|_| period == (None, None));
    if let Some(id) = is_conversation.filter(|_| n_done == 0) {
        return Err(ExportError::Question(QuestionError::NotFound {
            what: "conversation",
            id: id.clone(),
        }));
    }
    sink.finish(plan, &stamp, &counts)?;
    Ok((counts.rows, stamp))
}

fn count(counts: &mut Counts, plan: &Plan, message: &Message) {
    if matches!(plan.what, What::Media(_)) {
        // A row a file, which the sink counts with what became of it.
        return;
    }
    counts.rows += 1;
    counts.recalled += u64::from(message.recalled_by.is_some());
    for listed in &message.media {
        counts.note_medium(listed.status.as_str());
    }
}

async fn of_report(
    errand: &Errand<'_>,
    scope: &Scope,
    kind: Kind,
    params: &ReportParams,
    file: &mut File,
    tell: &mut Tell<'_>,
) -> Result<(u64, Stamp), ExportError> {
    let done = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
    let told = Arc::clone(&done);
    let params = ReportParams {
        progress: Some(Arc::new(move |n_done, n_all| {
            told.0.store(n_done, Ordering::Relaxed);
            told.1.store(n_all, Ordering::Relaxed);
        })),
        ..params.clone()
    };
    let counting = report(scope, kind, errand.archive, &params);
    let mut counting = std::pin::pin!(counting);
    let mut answer = loop {
        tokio::select! {
            answer = &mut counting => break answer?,
            () = tokio::time::sleep(LOOK_EVERY) => {
                let n_all = done.1.load(Ordering::Relaxed) as u64;
                tell(done.0.load(Ordering::Relaxed) as u64, (n_all > 0).then_some(n_all))?;
            }
        }
    };
    let n_rows = answer.table.rows.len() as u64;
    let stamp = Stamp::from_as_of(answer.as_of.clone());
    let mut out = BufWriter::new(file);
    match errand.plan.format {
        Format::Xlsx => {
            let mut about = described(&answer, kind.titles(), Language::Zh);
            about.notes.extend(notes(&stamp));
            arrange(&mut answer, &mut about, Language::Zh);
            xlsx::write(&answer.table, &about, Language::Zh, &mut out)?;
        }
        Format::Parquet => parquet::write(&answer.table, &mut out)?,
        _ => csv::write(&answer.table, Reader::Program, &mut out)?,
    }
    out.into_inner().map_err(|error| error.into_error())?;
    Ok((n_rows, stamp))
}

/// What the second sheet of a workbook says of the versions.
pub(super) fn notes(stamp: &Stamp) -> Vec<(String, String)> {
    let holes = match stamp.holes_total {
        0 => "所查时段没有已知的缺口".to_string(),
        n => format!("所查时段有 {n} 处缺口：{}", json!(stamp.holes)),
    };
    vec![
        ("消息表版本".into(), stamp.messages_version.to_string()),
        (
            "通讯录版本".into(),
            json!(stamp.directory_versions).to_string(),
        ),
        ("完整性".into(), holes),
    ]
}
