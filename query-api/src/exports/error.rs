//! Why an export was not made.

use std::io;

use huicun_engine::archive::TableError;
use huicun_engine::state::StateError;
use parquet::errors::ParquetError;
use rust_xlsxwriter::XlsxError;
use zip::result::ZipError;

use crate::formats::Fault;
use crate::queries::QuestionError;

/// Grouped by what becomes of the job.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// Somebody cancelled it.
    #[error("it was cancelled")]
    Cancelled,
    /// The program is to end: the job is begun again later.
    #[error("the program ends")]
    Stopped,
    /// The directory, or whose data the caller may see, changed meanwhile: it is made anew.
    #[error("the directory or the caller's data scope changed while the export was made")]
    Changed,
    /// The caller is no more: his token was revoked or has expired, or his role is gone.
    #[error("who asked for it may not ask any more")]
    CallerGone,
    /// The caller may not do this any more.
    #[error("this needs a function that no role of the caller holds")]
    Forbidden,
    /// What came into the archive since `as_of` cannot be told any more.
    #[error("the archive cannot tell any more what came after version {0}")]
    TooOld(u64),
    /// The index lies behind `as_of`.
    #[error("the search index does not reach version {0} yet")]
    Behind(u64),
    /// The question has no answer.
    #[error(transparent)]
    Question(#[from] QuestionError),
    /// The file cannot be written in this format.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// The zip cannot be written.
    #[error("cannot write the zip: {0}")]
    Zip(#[from] ZipError),
    /// The file system refused.
    #[error("cannot write the file: {0}")]
    Io(#[from] io::Error),
    /// The state cannot be read or changed.
    #[error(transparent)]
    State(#[from] StateError),
    /// What was read cannot be put into the audit log.
    #[error("the audit log cannot be written")]
    AuditUnavailable,
}

impl From<TableError> for ExportError {
    fn from(error: TableError) -> Self {
        Self::Question(error.into())
    }
}

impl ExportError {
    /// One stable word.
    pub fn reason(&self) -> &'static str {
        if let Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) = self.io_kind() {
            return "disk_full";
        }
        match self {
            Self::Cancelled => "cancelled",
            Self::Stopped => "stopped",
            Self::Changed => "keeps_changing",
            Self::CallerGone => "caller_gone",
            Self::Forbidden => "forbidden",
            Self::TooOld(_) => "as_of_gone",
            Self::Behind(_) => "index_behind",
            Self::AuditUnavailable => "audit_unavailable",
            Self::Question(QuestionError::NotFound { .. }) => "not_found",
            Self::Question(QuestionError::Parameter(_)) => "parameter",
            Self::Question(QuestionError::Forbidden(_)) => "forbidden",
            Self::Fault(Fault::TooManyRows { .. } | Fault::TooManyColumns { .. }) => {
                "too_many_rows"
            }
            _ => "internal",
        }
    }

    /// What the file system said, whatever was being written.
    fn io_kind(&self) -> Option<io::ErrorKind> {
        let error = match self {
            Self::Io(error)
            | Self::Fault(
                Fault::Io(error)
                | Fault::Xlsx(
                    XlsxError::IoError(error)
                    | XlsxError::TempFileError(_, error)
                    | XlsxError::ZipError(ZipError::Io(error)),
                ),
            )
            | Self::Zip(ZipError::Io(error)) => error,
            Self::Fault(Fault::Parquet(ParquetError::External(error))) => error.downcast_ref()?,
            _ => return None,
        };
        Some(error.kind())
    }

    /// What the caller is told; the inner cause of a failure of ours is the log's.
    pub fn told(&self) -> String {
        match self.reason() {
            "internal" => "the export failed; the server's log has the cause".into(),
            "disk_full" => "the disk of the server is full".into(),
            _ => self.to_string(),
        }
    }
}
