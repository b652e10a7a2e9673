//! The commands, their help, and the main function.

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use super::exit::Exit;
use super::failure::Failure;
use super::output::Output;
use super::{script, simulate, tools};

const EXAMPLES: &str = "\
Examples:
  dcp-sim run --git .                        replicate this repository's history
  dcp-sim run --git . --data /tmp/cluster    also on real files
  dcp-sim run --workload zipfian --ops 100000 --json
  dcp-sim run --workload zipfian --profile hostile --seeds 20
                                             crashes, partitions, fail-overs: twenty seeds
  dcp-sim run --profile swarm --seeds 1000
                                             a thousand clusters of drawn shapes
  dcp-sim script tests/scenarios/*.scn       check scenario files
  dcp-sim inspect /tmp/cluster/node-0        contents of a store's files
  dcp-sim check /tmp/cluster/node-0          verify every byte
";

const EXIT_CODES: &str = "\
Exit codes:
  0  success
  1  a violation or a difference was found
  2  the command or its input is invalid
  3  reading or writing failed
  4  a file is corrupt
";

const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  dcp-sim completions bash > ~/.local/share/bash-completion/completions/dcp-sim
  dcp-sim completions zsh > ~/.zfunc/_dcp-sim
";

/// A replication simulator: vBuckets, flushers, disks and streams of a whole cluster, from one
/// seed.
#[derive(Debug, Parser)]
#[command(name = "dcp-sim", version, before_help = EXAMPLES, after_help = EXIT_CODES, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Simulate a cluster that replicates a source of writes, and prove that every copy is right.
    Run(simulate::RunArguments),
    /// Repeat a simulation up to an event, and show its state then.
    Replay(simulate::ReplayArguments),
    /// Run scenario files and compare their outputs.
    Script(script::ScriptArguments),
    /// Show the contents of a store's files and their share of live data.
    Inspect(tools::InspectArguments),
    /// Print a store's documents as JSON lines.
    Dump(tools::DumpArguments),
    /// Verify a store's files and report defects.
    Check(tools::CheckArguments),
    /// Save the readable part of a damaged file into a new one.
    Recover(tools::RecoverArguments),
    /// Compact a store's files: drop data that nothing can reach.
    Compact(tools::CompactArguments),
    /// Print a completion script for a shell.
    #[command(before_help = COMPLETIONS_EXAMPLES)]
    Completions {
        /// Shell.
        shell: clap_complete::Shell,
    },
}

/// Parses the process's arguments, runs the command, and returns its exit code.
#[must_use]
pub fn main() -> ExitCode {
    let mut out = Output::standard();
    let result = match Cli::try_parse() {
        Ok(cli) => cli.command.run(&mut out),
        Err(refusal) => refused(&refusal, &mut out),
    };
    let exit = result.unwrap_or_else(|failure| {
        failure.report();
        failure.exit
    });
    out.end(exit).into()
}

impl Command {
    fn run(self, out: &mut Output) -> Result<Exit, Failure> {
        match self {
            Self::Run(arguments) => simulate::run(&arguments, out),
            Self::Replay(arguments) => simulate::replay(&arguments, out),
            Self::Script(arguments) => script::script(&arguments, out),
            Self::Inspect(arguments) => tools::inspect(&arguments, out),
            Self::Dump(arguments) => tools::dump(&arguments, out),
            Self::Check(arguments) => tools::check(&arguments, out),
            Self::Recover(arguments) => tools::recover(&arguments, out),
            Self::Compact(arguments) => tools::compact(&arguments, out),
            Self::Completions { shell } => {
                clap_complete::generate(shell, &mut Cli::command(), "dcp-sim", out);
                Ok(Exit::Ok)
            }
        }
    }
}

/// Handles arguments without a command: a request for help, which is a result, or a mistake.
fn refused(refusal: &clap::Error, out: &mut Output) -> Result<Exit, Failure> {
    if refusal.use_stderr() {
        // There is no other place to report it.
        let _ = refusal.print();
        return Ok(Exit::Usage);
    }
    out.styled(&refusal.render().ansi().to_string())?;
    Ok(Exit::Ok)
}
