//! The directory: employees, departments, customers, relations, groups and what else the SCRM
//! feeds in. Tables are Delta; rows are upserted by key and time intervals are kept.

pub mod feed;
pub mod schema;
pub mod store;
pub mod view;

pub use store::{DirectoryError, Upserted, import, read_all, upsert};
pub use view::Directory;
