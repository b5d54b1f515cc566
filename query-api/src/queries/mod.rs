//! Questions, one file each, without transport. Scope is the first parameter of every one.

pub mod archive;
pub mod audit;
pub mod behaviours;
pub mod contacts;
pub mod conversation;
pub mod conversations;
pub mod dialogues;
pub mod error;
pub mod explain;
pub mod holes;
pub mod kf_sessions;
mod known_ledger;
pub mod ledger;
pub mod media;
pub mod media_found;
pub mod media_list;
pub mod messages;
pub mod page;
pub mod portrait;
pub mod portrait_parts;
pub mod ranking;
pub mod reports;
pub mod saved_searches;
pub mod search;
pub mod sql;
pub mod timeouts;
mod wanted;

pub use archive::{Archive, AsOf};
pub use error::QuestionError;
pub use holes::Hole;
