//! A naive model of the law: slow, obvious, written from the specification alone.
//!
//! The fast engine is compared with this. So nothing here may use the engine's code, nothing is
//! incremental and nothing is cached between questions: every answer is computed afresh from
//! all messages and the whole directory. Where the law leaves a choice, the comment
//! `Choice:` says which one was made.
//!
//! It does not do: timeouts, behaviours, revisits, groups' metrics, working time, quarantine.

mod closing;
mod company;
mod conversation;
mod dialogue;
mod directory;
mod fold;
mod json;
mod message;
mod period;
mod random;
mod report;
mod rules;
mod search;
mod text;

pub use company::Company;
pub use random::{random_company, random_rules};
pub use rules::{ClosingMatch, ReplyFrom, Rules};
pub use search::Filters;
