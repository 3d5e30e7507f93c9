//! The HTTP face: vendor-compatible service REST and our own `/api/v1`, over streams that TLS accepted elsewhere.
//!
//! It names the engine's operations and the wire types of `hub-api`, never a store, and has no rules of its own.

mod config;
mod native;
mod state;

pub use config::HttpConfig;
pub use state::{AdminToken, AppState};
