//! The composition root: configuration, certificates, storage, engine, listeners, shutdown.
//!
//! Builds the program from its parts and runs it until it is told to stop. Holds no rule about
//! devices: those are the engine's.

mod certificates;
pub mod config;
mod environment;
mod files;
mod listen;
mod logging;
mod offline;
mod provisioning;
mod run_file;
mod seed;
mod serve;

pub use config::{Config, ConfigError, Overrides};
pub use offline::{OfflineError, hub_document};
pub use seed::{SeedError, seed};
pub use serve::{ServeError, serve};
