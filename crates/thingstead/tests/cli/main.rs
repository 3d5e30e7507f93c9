//! The command line as people and scripts use it: the program itself, against a server that runs.
//!
//! What is printed is held against the transcripts beside this file. `UPDATE_TRANSCRIPTS=1` writes them anew.

#![expect(
    clippy::unwrap_used,
    reason = "a scenario that cannot go on fails its test"
)]

mod device;
mod dps;
mod files;
mod keys;
mod scrub;
mod server;
mod transcript;
