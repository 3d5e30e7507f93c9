//! Project tasks: `cargo xtask run|test|ci|tidy|bench`.
//!
//! Compiled in every clean clone before anything else, so it has two small dependencies and no command-line library.

use std::process::ExitCode;

mod bench;
mod ci;
mod debian;
mod run;
mod rust_tests;
mod sdk;
mod shell;
mod stages;
mod test;
mod tidy;
mod tools;
mod workspace;

const USAGE: &str = "\
usage: cargo xtask <task>

  run    [arguments of serve]  build and start a hub with its data in .data/
  test                         everything that CI runs; last line `N passed, N failed`
  ci                           its static part: fmt, clippy, docs, tidy, deny
  tidy                         crate directions and source rules
  sdk    [arguments]           only the SDK behaviours; `-k NAME` picks some, `--only python|node|durability`
  bench  [arguments]           the benchmark, beside mosquitto where it is installed
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((task, rest)) = arguments.split_first() else {
        eprint!("{USAGE}");
        return ExitCode::from(2);
    };
    let outcome = match task.as_str() {
        "run" => run::run(rest),
        "test" => test::run(rest),
        "ci" => ci::run(rest),
        "tidy" => tidy::run(rest),
        "sdk" => sdk::run(rest),
        "bench" => bench::run(rest),
        "help" | "--help" | "-h" => {
            eprint!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        unknown => {
            eprintln!("unknown task `{unknown}`\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
