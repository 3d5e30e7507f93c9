//! The `thingstead` binary: dispatches to server, command line and load generator; no logic.

mod offline;
mod seed;
mod serve;

use clap::Parser;

/// A self-hosted hub that speaks Azure IoT's own protocols.
#[derive(Parser)]
#[command(name = "thingstead", version, about)]
enum Program {
    /// Run the hub in the foreground.
    Serve(serve::Args),
    /// Run simulated devices against a hub.
    Sim(hub_load::sim::Args),
    /// Measure the server, beside mosquitto where that is installed.
    Bench(hub_load::bench::Args),
    #[command(flatten)]
    Hub(hub_cli::Command),
}

fn main() -> std::process::ExitCode {
    match Program::parse() {
        Program::Serve(args) => serve::run(args),
        Program::Sim(args) => hub_load::sim::run(&args),
        Program::Bench(args) => hub_load::bench::run(&args, &seed::Storage),
        Program::Hub(command) => hub_cli::run(command, &offline::DataDirectory),
    }
}
