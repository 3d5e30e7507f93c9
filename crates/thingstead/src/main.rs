//! The `thingstead` binary: dispatches to server, command line and load generator; no logic.

mod offline;
mod serve;

use clap::Parser;

/// A self-hosted hub that speaks Azure IoT's own protocols.
#[derive(Parser)]
#[command(name = "thingstead", version, about)]
enum Program {
    /// Run the hub in the foreground.
    Serve(serve::Args),
    #[command(flatten)]
    Hub(hub_cli::Command),
}

fn main() -> std::process::ExitCode {
    match Program::parse() {
        Program::Serve(args) => serve::run(args),
        Program::Hub(command) => hub_cli::run(command, &offline::DataDirectory),
    }
}
