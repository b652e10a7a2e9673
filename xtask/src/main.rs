//! `cargo xtask`: the workspace's chores as one program.
//!
//! Developers, `.ci/run` and the workflows call the same commands, so that what passes on one machine is what the others
//! run. It depends on nothing but std: it must build before anything else does.
//!
//! # Invariants
//! - `verify` runs its steps in a fixed order and stops at the first one that fails.
//! - Every step is printed before it runs, as a line that can be pasted into a shell in the workspace's root.

use std::env;
use std::path::Path;
use std::process::ExitCode;

mod commands;
mod fuzzing;
mod plot;
mod step;

use commands::{Command, HELP};
use step::Failure;

/// A command that makes no sense, as for `dcp-sim`.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match Command::parse(&arguments) {
        Ok(command) => match run(&command) {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => {
                failure.report();
                ExitCode::FAILURE
            }
        },
        Err(failure) => {
            failure.report();
            ExitCode::from(USAGE)
        }
    }
}

fn run(command: &Command) -> Result<(), Failure> {
    let root = root()?;
    let steps = match command {
        Command::Help => {
            print!("{HELP}");
            return Ok(());
        }
        Command::Verify => commands::verify(),
        Command::Fix => commands::fix(),
        Command::Models => commands::models(),
        Command::Seeds => commands::seeds(),
        Command::Fuzz { seconds } => {
            fuzzing::require_tools()?;
            fuzzing::make_corpora(root)?;
            fuzzing::steps(&fuzzing::targets(root)?, *seconds)
        }
        Command::Soak { seconds } => commands::soak(*seconds),
        Command::Bench { arguments } => commands::bench(arguments),
        Command::Plot => return plot::write(root),
    };
    steps.iter().try_for_each(|step| step.run(root))
}

/// The workspace's root, above this package.
fn root() -> Result<&'static Path, Failure> {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .ok_or_else(|| Failure::new("this package lies in no workspace"))
}
