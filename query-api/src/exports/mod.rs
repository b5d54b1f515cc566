//! Exports (导出): what a question finds, as one file, of any length.
//!
//! The same request at the same `as_of` gives the same bytes: nothing in a file is read from a
//! clock, and messages that came after `as_of` are left out. Everything is written as it comes;
//! only a report, which is a table of figures, is in memory whole. Who asked is asked again for every
//! batch whether he may see what he gets. Who runs an export, a job of the server or the command
//! line, is not known here.

mod asker;
mod bundle;
mod error;
mod files;
mod gather;
mod make;
mod manifest;
mod newer;
mod page;
mod request;
mod sink;

pub use asker::{Asker, Doors, both, identity_of, owner_of, still_sees};
pub use error::ExportError;
pub use make::{Errand, Tell, make};
pub use request::{ExportRequest, Format, Plan, What};
