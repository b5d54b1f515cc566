//! The engine of huicun: the archive, the directory, the rules, and what is computed from them.
//!
//! Modules in their one order, each using only those before it. No HTTP, no clap, no Tantivy.

pub mod access;
pub mod archive;
pub mod directory;
pub mod jobs;
pub mod metrics;
pub mod rules;
pub mod state;
pub mod tables;
