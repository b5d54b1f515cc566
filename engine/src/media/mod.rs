//! Media (媒体文件): the files that messages carry, and what became of each.
//!
//! `media.db` (SQLite) says which media there are and how far each is fetched; the *store* holds
//! the files under the SHA-256 of their bytes. Both are apart from the `messages` table: a message
//! never waits for its file. `media.db` can be deleted: it is filled again from the table and from
//! the store's own list (`store`).
//!
//! Not here: who may see a file (`query-api`), how it is fetched (`indexer`).

pub mod catalogue;
pub mod convert;
pub mod row;
mod seal;
pub mod sniff;
pub mod store;
pub mod verify;

pub use catalogue::{Catalogue, CatalogueError};
pub use row::{Count, Filter, Job, Listed, Named, Status, Stored};
pub use store::Store;
