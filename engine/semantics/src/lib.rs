//! The law of huicun: what every number and every rule means, as pure functions (semantics 1-10).
//!
//! Nothing here reads a file, a clock or a table, and nothing waits: the batch jobs and the live
//! watcher call the same functions with the same facts and so cannot disagree. The hot path works
//! on compact numbers and slices, and writes into buffers that the caller keeps.
//!
//! Modules in reading order: instants and days, who speaks, where, what counts, how a conversation
//! is cut into dialogues, how customers are answered, working time, who waited too long, who was
//! visited again, words that are watched, intervals of the directory, lively groups, and arithmetic.

pub mod time;

pub mod role;

pub mod conversation;

pub mod counted;

pub mod phrase;

pub mod closing;

pub mod dialogue;

pub mod reply;

pub mod calendar;

pub mod timeout;

pub mod revisit;

pub mod words;

pub mod interval;

pub mod activity;

pub mod ratio;

pub mod ranking;
