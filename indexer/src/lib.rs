//! Brings messages in and makes them findable. No axum, no clap.

pub mod index;
pub mod ingest;
