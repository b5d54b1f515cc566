//! End-to-end tests through the binary and HTTP, as a user would: one test program, because
//! linking is what costs.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop where it is"
)]

mod api;
mod audit;
mod behaviours;
mod callers;
mod churn;
mod docs;
mod examples;
mod explain;
mod exports;
mod exports_disturbed;
mod faults;
mod formats;
mod golden;
mod hostile;
mod http;
mod ingest;
mod kf;
mod kill;
mod ledger;
mod media;
mod naive;
mod portraits;
mod recall;
mod refusals;
mod reports;
mod rules;
mod storage;
mod support;
mod timeouts;
mod ways;
