//! Why a question has no answer.

use huicun_engine::archive::ledger::LedgerError;
use huicun_engine::archive::{HomeError, TableError};
use huicun_engine::directory::DirectoryError;
use huicun_engine::jobs::derive::DeriveError;
use huicun_engine::metrics::UnknownMetric;
use huicun_engine::metrics::report::ReportError;
use huicun_engine::state::StateError;
use huicun_engine::tables::SqlError;
use huicun_indexer::index::{IndexError, QueryError};

/// Grouped by what the caller can do about it.
#[derive(Debug, thiserror::Error)]
pub enum QuestionError {
    /// A parameter is wrong: change the question.
    #[error("{0}")]
    Parameter(String),
    /// There is no such thing, or it is outside the caller's scope; the two look alike.
    #[error("there is no {what} `{id}`")]
    NotFound {
        /// What kind of thing.
        what: &'static str,
        /// Its id.
        id: String,
    },
    /// The caller may not ask this.
    #[error("{0}")]
    Forbidden(&'static str),
    /// The statement is wrong, too large or failed.
    #[error(transparent)]
    Sql(#[from] SqlError),
    /// Directory rows are wrong.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The data directory cannot be used.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// A table cannot be read.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The ledger cannot be drawn up.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The state cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// The index cannot be read.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// Facts could not be computed.
    #[error(transparent)]
    Facts(#[from] DeriveError),
    /// Facts of a report could not be read.
    #[error(transparent)]
    Source(#[from] huicun_engine::metrics::source::SourceError),
    /// Behaviours could not be found.
    #[error(transparent)]
    Behaviours(#[from] huicun_engine::jobs::behaviours::BehavioursError),
    /// The file of a message is not here yet.
    #[error("the file of message `{msgid}` is not fetched yet ({status})")]
    MediaPending {
        /// Which message.
        msgid: String,
        /// `pending` or `fetching`.
        status: &'static str,
    },
    /// The file of a message is gone for good, or was given up.
    #[error("the file of message `{msgid}` is lost: {reason}")]
    MediaLost {
        /// Which message.
        msgid: String,
        /// One stable word.
        reason: String,
    },
    /// A voice could not be converted.
    #[error(transparent)]
    Convert(#[from] huicun_engine::media::convert::ConvertError),
    /// The media database cannot be used.
    #[error(transparent)]
    Media(#[from] huicun_engine::media::CatalogueError),
    /// A media file cannot be read.
    #[error(transparent)]
    MediaFile(#[from] huicun_engine::media::store::StoreError),
    /// The audit log cannot be read.
    #[error(transparent)]
    Audit(#[from] huicun_engine::audit::AuditError),
    /// A background thread failed.
    #[error("the question was interrupted")]
    Interrupted,
}

impl From<QueryError> for QuestionError {
    fn from(error: QueryError) -> Self {
        Self::Parameter(format!("the query cannot be understood: {error}"))
    }
}

impl From<ReportError> for QuestionError {
    fn from(error: ReportError) -> Self {
        match error {
            ReportError::Source(error) => Self::Source(error),
            ReportError::TooManyRows { .. } => Self::Parameter(format!(
                "{error}: take a shorter period or a coarser `by`, or fewer rows with filters such \
                 as `employee` or `department`"
            )),
        }
    }
}

impl From<UnknownMetric> for QuestionError {
    fn from(error: UnknownMetric) -> Self {
        Self::Parameter(error.to_string())
    }
}
