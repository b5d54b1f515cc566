//! Integration tests of the test data: one binary, because linking is what costs.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop where it is"
)]

mod case;
mod demo;
mod naive;
mod naive_directory;
mod naive_time;
mod tidy;
