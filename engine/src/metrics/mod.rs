//! Metrics: what each is called and means, and the reports that count them (semantics 10).
//!
//! In reading order: a [`catalogue`] of metrics, each a fold of [`measure`]s in a [`cell`]; a
//! [`question`] about [`unit`]s; a traversal of the facts of a [`source`] that puts amounts into a
//! [`sink`]; and the [`report`] that binds them. Nothing here reads a table or a clock.

pub mod activity;
pub mod catalogue;
pub mod cell;
pub mod context;
mod directory_facts;
pub mod measure;
pub mod question;
pub mod report;
mod rooms;
pub mod settings;
mod singles;
pub mod sink;
pub mod source;
pub mod tables;
pub mod unit;

pub use catalogue::{Metric, UnknownMetric, ValueUnit};
pub use cell::Value;
pub use measure::Measure;
pub use report::Report;

#[cfg(test)]
mod tests;
