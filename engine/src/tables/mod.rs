//! The archive's tables in DataFusion: the sessions that jobs and SQL run in.

pub mod barrier;
pub mod session;
pub mod sql;
pub mod visible;

pub use session::{Tables, open, open_asked, open_messages};
pub use sql::{Budget, SqlError, WORKER_STACK_BYTES, check, query, query_guarded};
pub use visible::Visible;
