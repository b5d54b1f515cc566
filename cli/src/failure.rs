//! How a command fails: one clear message on stderr, a hint when there is a next step, and the
//! contract's exit status (1 failed, 2 wrong usage).

use std::process::ExitCode;

use huicun_engine::archive::HomeError;
use huicun_engine::media::CatalogueError;
use huicun_engine::tables::SqlError;
use huicun_ffi_finance_sdk::worker::CallError;
use huicun_indexer::ingest::pull::PullError;
use huicun_indexer::ingest::retry::RetryError;
use huicun_indexer::ingest::sink::SinkError;
use huicun_indexer::maintenance::mend::MendError;
use huicun_query_api::queries::QuestionError;

use crate::output::OutputError;

/// A failed command.
pub struct Failure {
    error: anyhow::Error,
    hint: Option<String>,
    is_usage: bool,
}

impl Failure {
    /// The command line asked for something that cannot be.
    pub fn usage(message: impl Into<String>) -> Self {
        Self {
            error: anyhow::anyhow!(message.into()),
            hint: None,
            is_usage: true,
        }
    }

    /// The work failed.
    pub fn failed(message: impl Into<String>) -> Self {
        anyhow::anyhow!(message.into()).into()
    }

    /// With a next step.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Prints it and gives the exit status.
    pub fn report(self) -> ExitCode {
        eprintln!("error: {}", told(&self.error));
        if let Some(hint) = self.hint {
            eprintln!("\nhint: {hint}");
        }
        ExitCode::from(if self.is_usage { 2 } else { 1 })
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        let error = error.into();
        let is_usage = error.chain().any(|cause| {
            matches!(cause.downcast_ref(), Some(QuestionError::Parameter(_)))
                || cause.downcast_ref().is_some_and(OutputError::is_usage)
        });
        let hint = hint_of(&error);
        Self {
            error,
            hint,
            is_usage,
        }
    }
}

/// The error with its causes after colons; a cause that the outer words tell already is left out.
fn told(error: &anyhow::Error) -> String {
    error.chain().fold(String::new(), |told, cause| {
        let cause = cause.to_string();
        match told.as_str() {
            "" => cause,
            known if known.contains(&cause) => told,
            known => format!("{known}: {cause}"),
        }
    })
}

/// What Linux says of a full disk; the layers between keep only its words.
const DISK_FULL: &str = "No space left on device";

/// What Tantivy says when its writing thread met an error of the file system, which it keeps to
/// itself.
const INDEX_KILLED: &str = "index writer was killed";

fn hint_of(error: &anyhow::Error) -> Option<String> {
    if error.to_string().contains(INDEX_KILLED) {
        let next = "the search index could not be written; most often the disk is full: make room \
                    and start again. No message is lost, and the index is brought forward then";
        return Some(next.into());
    }
    if error.to_string().contains(DISK_FULL) {
        let next = "the disk is full: make room and start again; the cursor has not moved past \
                    anything that is not stored";
        return Some(next.into());
    }
    let of_home = |home: &HomeError| home.hint().map(String::from);
    let of_sink = |sink: &SinkError| match sink {
        SinkError::Home(home) => of_home(home),
        _ => None,
    };
    if let Some(QuestionError::Sql(SqlError::TooSlow(_))) = error.downcast_ref() {
        return Some("`--timeout SECONDS` gives it more time; 0 is no end".into());
    }
    if let Some(home) = error.downcast_ref::<HomeError>() {
        return of_home(home);
    }
    if let Some(MendError::Home(home)) = error.downcast_ref() {
        return of_home(home);
    }
    if let Some(sink) = error.downcast_ref::<SinkError>() {
        return of_sink(sink);
    }
    if let Some(RetryError::Call { source, .. }) = error.downcast_ref::<RetryError>() {
        return Some(advice(source));
    }
    let of_media = error
        .chain()
        .find_map(|cause| cause.downcast_ref::<CatalogueError>());
    if let Some(hint) = of_media.and_then(CatalogueError::hint) {
        return Some(hint.into());
    }
    match error.downcast_ref::<PullError>() {
        Some(PullError::Call { source, .. }) => return Some(advice(source)),
        Some(PullError::Sink(sink)) => return of_sink(sink),
        _ => {}
    }
    match error.downcast_ref::<huicun_indexer::ingest::import::ImportError>() {
        Some(huicun_indexer::ingest::import::ImportError::Sink(sink)) => of_sink(sink),
        _ => None,
    }
}

/// Advice to operators is Chinese with the English beside it.
pub fn advice(error: &CallError) -> String {
    format!("{}\n      {}", error.advice_zh(), error.advice_en())
}
