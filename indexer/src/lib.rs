//! Brings messages in, makes them findable, and looks whether all is well. No axum, no clap.

pub mod doctor;
pub mod index;
pub mod ingest;
pub mod maintenance;
