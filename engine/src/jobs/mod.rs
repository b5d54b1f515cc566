//! What is computed from messages, directory and rules: dialogues, replies, and the facts that
//! reports count. Each job calls the functions of `huicun-semantics`, which are the law.

pub mod conversations;
pub mod facts;
pub mod on_read;
pub mod period;

pub use facts::Facts;
