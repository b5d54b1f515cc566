//! A naive model of the law: slow, obvious, written from the specification alone.
//!
//! The fast engine is compared with this. So nothing here may use the engine's code, nothing is
//! incremental and nothing is cached between questions: every answer is computed afresh from
//! all messages and the whole directory. Where the law leaves a choice, the comment
//! `Choice:` says which one was made.
//!
//! It does not do: keywords, the history of reviews, customer service, quarantine.

mod activity;
mod behaviour;
mod calendar;
mod closing;
mod company;
mod contacts;
mod conversation;
mod customers;
mod dialogue;
mod directory;
mod facts;
mod fold;
mod groups;
mod guides;
mod json;
mod message;
mod number;
mod organisation;
mod owned;
mod period;
mod random;
mod random_directory;
mod random_rules;
mod ranking;
mod relations;
mod replies;
mod report;
mod revisit;
mod rooms;
mod rules;
mod rules_toml;
mod search;
mod singles;
mod stores;
mod text;
mod timeout;
mod words;

pub use calendar::{Calendar, DayException, Hours};
pub use company::Company;
pub use random::random_company;
pub use random_rules::random_rules;
pub use rules::{
    BehaviourRule, ClosingMatch, GroupActivity, Numbering, ReplyClock, ReplyFrom, Revisit, Rules,
    SensitiveRule, Threshold, TimeoutFrom, TimeoutRule,
};
pub use search::Filters;
