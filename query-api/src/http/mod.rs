//! The HTTP API: axum routes over the questions, with tokens, problem documents, paging and an
//! OpenAPI 3.1 document made from the code.

pub mod audit;
pub mod auth;
mod caching;
pub mod callback;
mod connections;
mod described;
mod docs_page;
mod encode;
pub mod export_worker;
pub mod exports;
pub mod exposition;
mod format;
pub mod functions;
pub mod health;
pub mod jwks;
pub mod jwt;
mod kf;
mod listed;
pub mod media;
pub mod metrics;
pub mod params;
pub mod people;
pub mod problem;
pub mod reports;
mod reviews;
pub mod routes;
pub mod rules;
mod search;
mod searches;
pub mod server;
pub mod tokens;

pub use server::{Api, Listening, listen};
