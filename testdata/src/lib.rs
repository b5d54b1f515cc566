//! Made-up companies, and the naive model of the law that the fast engine is tested against.
pub mod demo;
pub mod naive;
