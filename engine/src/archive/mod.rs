//! The archive on disk: the data directory, Delta tables with synced writes, and the `messages`
//! table with its cursor. Nothing here knows roles, rules or metrics.

pub mod compact;
mod data_file;
pub mod delivery;
pub mod delta;
pub mod file_reader;
pub mod fsync_store;
pub mod home;
pub mod leaf;
pub mod ledger;
pub mod machine;
pub mod message;
pub mod messages;
pub mod parked;
pub mod seal;
pub mod seen;
pub mod sqlite;
pub mod vacuum;
pub mod verify;

pub(crate) use data_file::split_by_day;
pub use delivery::{Delivery, ImportMark};
pub use delta::{CommitNote, Condition, Layout, Table, TableError};
pub use home::{Home, HomeError, Lock};
pub use message::{Media, MessageRow, Status};
pub use messages::{AppendError, Appended, CursorMove, MessageWriter, Reopened, Resolved};
