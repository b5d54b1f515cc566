//! The crate seen from outside: golden cases, and properties against slow obvious re-statements (semantics 1-10).

#![allow(
    clippy::unwrap_used,
    reason = "clippy sees helpers of tests as no tests"
)]

mod golden;
mod properties;
mod real;
mod waits;
mod words;
