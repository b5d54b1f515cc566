//! Faults on order, and what must be true after each (reliability.md sections 2 and 6).
//!
//! Every suite ends in the same question: is each message there exactly once, or quarantined
//! once; is everything that was acknowledged still there; do table, index and cursor agree?
//!
//! The default is a short form of each suite. `make faults` sets `HUICUN_FAULTS=full`, which
//! takes the full counts. Each suite prints its count and its seed; `HUICUN_FAULTS_SEED` plays
//! a seed again.

pub mod archive;
mod calls;
mod disk_full;
mod model;
mod odd_pages;
mod power;
mod pullers;
mod real_library;
mod samples;
pub mod scale;
mod sdk;
mod shim;
mod upkeep;
