//! The HTTP API: axum routes over the questions, with tokens, problem documents, paging and an
//! OpenAPI 3.1 document made from the code.

pub mod audit;
pub mod auth;
pub mod callback;
mod described;
pub mod export_worker;
pub mod exports;
pub mod exposition;
pub mod functions;
pub mod health;
pub mod jwks;
pub mod jwt;
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
pub mod tokens;

pub use server::{Api, Listening, listen};
