//! The `thingstead` binary: dispatches to server, command line and load generator; no logic.
fn main() {}
