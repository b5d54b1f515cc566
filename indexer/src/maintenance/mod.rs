//! Keeping an archive in order: verifying it whole, mending what is derived, and the background
//! work of a process that goes on (compaction, vacuum, the scrubber).

pub mod background;
mod media;
pub mod mend;
pub mod scrub;
pub mod sweep;
pub mod verify;

pub use background::{MaintenanceStatus, keep_in_order};
