//! The HTTP API: axum routes over the questions, with tokens, problem documents, paging and an
//! OpenAPI 3.1 document made from the code.

pub mod auth;
pub mod callback;
mod described;
pub mod exposition;
pub mod health;
mod kf;
pub mod media;
pub mod metrics;
pub mod params;
pub mod people;
pub mod problem;
pub mod reports;
pub mod routes;
mod search;
pub mod server;

pub use server::{Api, Listening, listen};
