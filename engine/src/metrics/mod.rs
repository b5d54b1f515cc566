//! Metrics: what each is called and means, and the reports that count them (semantics 10).

pub mod activity;
pub mod catalogue;
pub mod contacts;
pub mod employees;
pub mod groups;
pub mod keywords;
pub mod portrait;

pub use catalogue::{Metric, Unit, UnknownMetric, Value};
