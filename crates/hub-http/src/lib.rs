//! The HTTP face: vendor-compatible service REST and our own `/api/v1`, over streams that TLS accepted elsewhere.
//!
//! It names the engine's operations and the wire types of `hub-api`, never a store, and has no rules of
//! its own: an operation decides, this crate reads the request and renders the answer. Every request has
//! an id, an authenticated caller (but for `/`) and a deadline, and nothing that it logs is a secret.

mod compat;
mod config;
mod connection;
mod files;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod leftover;
mod native;
mod page;
mod request;
mod service;
mod spelling;
mod state;
mod websocket;

#[cfg(test)]
mod testing;

pub use config::{HttpConfig, ShownCertificate};
pub use request::Client;
pub use service::HttpService;
pub use state::{AdminToken, AppState};
pub use websocket::{Subprotocol, Upgraded};
