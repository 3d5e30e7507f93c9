//! The commands of the hub over `/api/v1`: nouns and verbs after `az iot`.
//!
//! [`Command`] is parsed by whoever owns the program's arguments, and [`run`] does it. A command asks a running server:
//! the one that wrote `run.json` in the data directory, or the one that a connection string names. Only `hub show` also
//! works without one, by an [`Offline`] that the program passes in, for reading a data directory is the server's art.
//!
//! Exit status: 0 done, 1 the operation failed, 2 the command makes no sense. Answers go to standard output, everything
//! else to standard error.

mod arguments;
mod commands;
mod connect;
mod events_text;
mod failure;
mod offline;
mod render;
#[cfg(test)]
mod tests;
mod text;

use std::io::Write;
use std::process::ExitCode;

pub use arguments::Command;
pub use hub_api::native::HubDocument;
pub use offline::{Offline, OfflineDocument};

use failure::Failure;

/// Does `command` and says how it went. Blocks until it is done.
pub fn run(command: Command, offline: &dyn Offline) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let result = match runtime {
        Ok(runtime) => {
            let output = &mut std::io::stdout().lock();
            runtime.block_on(commands::execute(
                command,
                offline,
                &|name| std::env::var(name).ok(),
                output,
            ))
        }
        Err(error) => Err(Failure::from(anyhow::Error::new(error))),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read the answer has seen enough, as in `events watch | head`.
        Err(failure) if failure.is_broken_pipe() => ExitCode::SUCCESS,
        Err(failure) => {
            // Nobody is left to tell when standard error is gone too.
            let _ = std::io::stderr()
                .lock()
                .write_all(failure.to_string().as_bytes());
            failure.exit_code()
        }
    }
}
