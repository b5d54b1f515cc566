//! Skeleton.
pub mod demo;
pub mod naive;
