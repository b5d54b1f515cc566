//! Integration tests of the test data: one binary, because linking is what costs.

mod demo;
mod naive;
mod tidy;
