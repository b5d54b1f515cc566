//! The engine of huicun: the archive, the directory, the rules, and what is computed from them.
//!
//! Modules have one order, and each uses only those before it (a test keeps it):
//! access, archive, media, directory, rules, state, audit, tables, jobs, metrics.
//!
//! No HTTP, no clap, no Tantivy.

pub mod access;
pub mod archive;
pub mod audit;
pub mod directory;
pub mod jobs;
pub mod media;
pub mod metrics;
pub mod rules;
pub mod state;
pub mod tables;
