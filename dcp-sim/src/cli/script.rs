//! `dcp-sim script`: runs scenario files.

use std::path::PathBuf;

use clap::Args;

use super::exit::Exit;
use super::failure::Failure;
use super::output::Output;

#[derive(Debug, Args)]
#[command(
    before_help = "Examples:\n  dcp-sim script tests/scenarios/dedup.scn\n  dcp-sim script --rewrite my.scn\n"
)]
pub(super) struct ScriptArguments {
    /// Write the actual outputs into the files instead of comparing them.
    #[arg(long)]
    rewrite: bool,
    /// Scenario files (docs/scenarios.md).
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

pub(super) fn script(arguments: &ScriptArguments, out: &mut Output) -> Result<Exit, Failure> {
    let status = crate::script::run(&arguments.files, arguments.rewrite, out)?;
    Ok(match status {
        crate::script::ExitStatus::Ok => Exit::Ok,
        crate::script::ExitStatus::Different => Exit::Violation,
        crate::script::ExitStatus::Unparsable => Exit::Usage,
        crate::script::ExitStatus::Io => Exit::Io,
    })
}
