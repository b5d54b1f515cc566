//! Media (媒体文件): noticed in the `messages` table, fetched chunk by chunk apart from the pull,
//! checked, and put into the store (wecom-sdk 1.3, 5.4; reliability F31).
//!
//! The fetching has SDK workers of its own, so that a file that crashes the library never disturbs
//! the pull; and a message never waits for its file. What came so far is on disk before it is
//! recorded, so a kill at any moment costs at most the chunk that was under way.

pub mod bandwidth;
mod desk;
pub mod download;
pub mod follow;
mod found;
pub mod policy;
pub mod service;
pub mod settings;

pub use service::{Fetching, MediaError, Progress, Until};
pub use settings::MediaSettings;
