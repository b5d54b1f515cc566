//! The directory: employees, departments, customers, relations, groups and what else the SCRM
//! feeds in. Tables are Delta; rows are upserted by key and time intervals are kept.

pub mod feed;
pub mod schema;
pub mod store;

pub mod groups;
pub mod ids;
pub mod org;
pub mod organisation;
pub mod people;
pub mod relations;
pub mod view;
pub mod work;

mod checks;
mod columns;

#[cfg(test)]
pub(crate) mod testing;

pub use feed::Feed;
pub use ids::Ids;
pub use store::{DirectoryError, Imported, Upserted, import, read_all, upsert};
pub use view::Directory;
