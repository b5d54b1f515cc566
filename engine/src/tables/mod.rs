//! The archive's tables in DataFusion: the sessions that jobs and SQL run in.

pub mod session;
pub mod sql;

<<<<<<< HEAD
pub use session::{Tables, open, open_messages};
pub use sql::{SqlError, WORKER_STACK_BYTES, check, query};
=======
pub use session::{Tables, open};
pub use sql::{Budget, SqlError, WORKER_STACK_BYTES, check, query};
>>>>>>> behav
