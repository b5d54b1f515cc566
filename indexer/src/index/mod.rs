//! Making messages findable: a per-character index on Tantivy that follows the `messages` table
//! ("search that never misses"). Everything here can be deleted and built again.

pub mod analyser;
mod filter;
pub mod fold;
pub mod follow;
mod page;
pub mod query;
pub mod schema;
pub mod sealed;
pub mod search;
pub mod tally;
pub mod verify;

pub use filter::Kinds;
pub use follow::{Follower, IndexError, Watermark};
pub use query::{Query, QueryError};
pub use search::{After, Found, Hit, Order, Question, SearchIndex};
pub use tally::{By, Count, Tallied};
