//! Tests of permission, over the router in this process: whatever a caller asks, the answer is what
//! it would be if everything outside of his scope had never been archived.
//!
//! - [`company`]: random organisations and what was said in them, and a naive rule of who sees it
//! - [`served`]: an archive in a folder of its own, and requests to it
//! - [`questions`]: what callers ask
//! - [`equal`]: the answers (non-interference, oracle, monotony, canaries)
//! - [`matrix`]: every route of the router, and who is refused how

mod company;
mod equal;
mod matrix;
mod questions;
mod served;
