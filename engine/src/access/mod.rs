//! Who may do what with whose data: the one choke point of permission (manual 2.2).
//!
//! A [`Function`] (功能权限) is what a caller may do, a [`DataScope`] (数据权限) whose data he may do
//! it with, a [`Role`] (角色) the two together. A [`Scope`] can be got only from a [`Caller`] for
//! one function, or by the local operator, and every question takes one: it holds the employees of
//! the roles *that hold this function*. Uniting functions and scopes apart would let whoever reads
//! his own chats and counts the whole company's figures read the whole company's chats.

mod caller;
mod data_scope;
mod function;
mod role;
mod scope;

pub use caller::{Caller, Forbidden, Identity, Org};
pub use data_scope::DataScope;
pub use function::{Function, UnknownFunction};
pub use role::{Exceeds, Grant, Role};
pub use scope::Scope;
