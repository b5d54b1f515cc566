//! The archive's tables in DataFusion: the sessions that jobs and SQL run in.

pub mod session;
pub mod sql;

pub use session::{Tables, open, open_messages};
pub use sql::{Budget, SqlError, WORKER_STACK_BYTES, check, query};
