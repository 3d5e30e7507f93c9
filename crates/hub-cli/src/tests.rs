//! The commands against a scripted server: what they ask, and what they print.

mod arguments;
mod certificate;
mod device;
mod dps;
mod events;
mod feedback;
mod hub;
mod message;
mod place;
mod renewal;
mod routing;
mod script;
mod twin;

use clap::Parser;
use hub_api::client::{Client, ClientConfig, Credential};

use crate::arguments::Command;
use crate::commands;
use crate::connect::Connected;
use script::{Exchange, Script};

#[derive(Debug, Parser)]
#[command(name = "thingstead")]
struct Program {
    #[command(subcommand)]
    command: Command,
}

fn parse(line: &[&str]) -> Result<Command, clap::Error> {
    Program::try_parse_from(std::iter::once(&"thingstead").chain(line))
        .map(|program| program.command)
}

/// What a command came to: its output, or its failure and exit status.
#[derive(Debug, PartialEq)]
enum Outcome {
    Printed(String),
    Failed(u8, String),
}

impl Outcome {
    #[track_caller]
    fn printed(self) -> String {
        match self {
            Self::Printed(text) => text,
            Self::Failed(status, text) => panic!("failed with {status}: {text}"),
        }
    }
}

/// Runs a command on the hub `hub` of a server that answers as scripted, and gives back what it was asked.
async fn run(line: &[&str], exchanges: Vec<Exchange>) -> (Outcome, Vec<String>) {
    let command = parse(line).unwrap();
    let script = Script::start(exchanges).await;
    let credential = Credential::AdminToken("token".to_owned());
    let client = Client::new(ClientConfig::new(script.base(), credential)).unwrap();
    let connected = Connected {
        client,
        hub: "hub".to_owned(),
    };
    let mut out = Vec::new();
    let result = commands::on_hub(command, &connected, &mut out).await;
    let printed = String::from_utf8(out).unwrap();
    let outcome = match result {
        Ok(()) => Outcome::Printed(printed),
        Err(failure) => Outcome::Failed(failure.status(), format!("{printed}{failure}")),
    };
    (outcome, script.requests())
}
