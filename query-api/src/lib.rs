//! Questions and their answers: `queries` (no transport; Scope is the first parameter) and
//! `http` (axum). No clap, no business rules.

pub mod answer;
pub mod exports;
pub mod formats;
pub mod http;
pub mod queries;

#[cfg(test)]
mod permission;
