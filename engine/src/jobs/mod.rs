//! What is computed from messages, directory and rules: derived tables, brought forward step by
//! step, and the facts that reports read from them. Each job calls the functions of
//! `huicun-semantics`, which are the law.

pub mod behaviours;
pub mod columns;
pub mod derive;
pub mod facts;
pub mod names;
pub mod period;
pub mod texts;

pub use facts::Facts;
