//! `thingstead serve`: flags to configuration.

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use hub_server::{Config, Overrides};

/// Flags of `serve`. They win over the environment, which wins over the file.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The directory that holds everything; made when missing.
    #[arg(long)]
    data_dir: PathBuf,
    /// A TOML configuration file.
    #[arg(long)]
    config: Option<PathBuf>,
    /// The host name of the default hub, which clients resolve and send [default: localhost].
    #[arg(long)]
    hostname: Option<String>,
    /// The port of REST and WebSockets, 0 for any free one [default: 443].
    #[arg(long)]
    https_port: Option<u16>,
    /// The port of MQTT, 0 for any free one [default: 8883].
    #[arg(long)]
    mqtt_port: Option<u16>,
    /// The port of AMQP, 0 for any free one [default: 5671].
    #[arg(long)]
    amqp_port: Option<u16>,
    /// An address to listen on; may be repeated [default: 127.0.0.1 and ::1].
    #[arg(long = "listen")]
    addresses: Vec<IpAddr>,
    /// Log levels, as `info` or `info,hub_gateway=debug`.
    #[arg(long)]
    log: Option<String>,
}

/// Runs the server; 2 for a configuration that cannot be used, 1 when it cannot start or has to stop.
pub(crate) fn run(args: Args) -> ExitCode {
    let overrides = Overrides {
        hostname: args.hostname,
        https_port: args.https_port,
        mqtt_port: args.mqtt_port,
        amqp_port: args.amqp_port,
        addresses: args.addresses,
        log_filter: args.log,
    };
    let variables = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let config = match Config::load(args.config.as_deref(), variables, overrides) {
        Ok(config) => config,
        Err(error) => return failed(2, &error.into()),
    };
    let served = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the runtime cannot start")
        .and_then(|runtime| Ok(runtime.block_on(hub_server::serve(config, &args.data_dir))?));
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(1, &error),
    }
}

#[expect(
    clippy::print_stderr,
    reason = "the last words of a command go to standard error"
)]
fn failed(code: u8, error: &anyhow::Error) -> ExitCode {
    eprintln!("thingstead: {error:#}");
    ExitCode::from(code)
}
