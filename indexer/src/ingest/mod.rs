//! Bringing messages in: from the SDK worker or from files, into the `messages` table and, behind
//! it, the index (architecture, "The path of a message").

pub mod callback;
pub mod companies;
pub mod config;
pub mod import;
pub mod keys;
pub mod media;
pub mod normalise;
mod pace;
mod pages;
pub mod pull;
pub mod retry;
pub mod row;
pub mod sink;
pub mod status;
pub mod stop;
