//! The command line: arguments in, results on standard output, talk on standard error, an exit code out.
//!
//! | code | meaning |
//! |---|---|
//! | 0 | all is well |
//! | 1 | a violation or a difference was found |
//! | 2 | the command makes no sense, or its input does not |
//! | 3 | reading or writing failed |
//! | 4 | a file is corrupt |

use std::process::ExitCode;
use std::{fmt, io};

use clap::{CommandFactory, Parser, Subcommand};

use output::{Output, tell};

mod check;
mod compact;
mod dump;
mod faults;
mod in_order;
mod inspect;
mod log_store;
mod new_file;
mod output;
mod quantity;
mod recover;
mod replay;
mod run;
mod script;
mod seeds;
mod shape;
mod shrink;
mod store;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Ok,
    Violation,
    Usage,
    Io,
    Corrupt,
}

impl Exit {
    /// Of a command whose results could not all be written: what it found out counts for more than that.
    pub(crate) fn or_io(self) -> Self {
        if self == Self::Ok { Self::Io } else { self }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Ok => 0,
            Exit::Violation => 1,
            Exit::Usage => 2,
            Exit::Io => 3,
            Exit::Corrupt => 4,
        })
    }
}

/// Why a command could not do its work.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) error: String,
    pub(crate) hint: Option<String>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, error: &dyn fmt::Display) -> Self {
        Self {
            exit,
            error: error.to_string(),
            hint: None,
        }
    }

    /// Reports it on standard error.
    pub(crate) fn tell(&self) {
        tell!("error: {}", self.error);
        if let Some(hint) = &self.hint {
            tell!("hint: {hint}");
        }
    }

    pub(crate) fn with_hint(self, hint: impl Into<Option<String>>) -> Self {
        Self {
            hint: hint.into(),
            ..self
        }
    }
}

/// Outputs never fail: this is what their writers' signatures ask for.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::new(Exit::Io, &format!("writing the output: {error}"))
    }
}

const EXAMPLES: &str = "\
Examples:
  dcp-sim run --git .                        replicate this repository's history, prove every copy
  dcp-sim run --git . --data /tmp/cluster    the same on real files
  dcp-sim run --workload zipfian --ops 100000 --json
  dcp-sim run --workload zipfian --profile hostile --seeds 20
                                             crashes, partitions, fail-overs: twenty seeds
  dcp-sim run --profile swarm --seeds 1000
                                             a thousand clusters of drawn shapes
  dcp-sim script tests/scenarios/*.scn       check scenario files
  dcp-sim inspect /tmp/cluster/node-0        what a store's files hold
  dcp-sim check /tmp/cluster/node-0          verify every byte of them
";

const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  dcp-sim completions bash > ~/.local/share/bash-completion/completions/dcp-sim
  dcp-sim completions zsh > ~/.zfunc/_dcp-sim
";

/// A replication simulator: vBuckets, flushers, disks and streams of a whole cluster, from one seed.
#[derive(Debug, Parser)]
#[command(name = "dcp-sim", version, before_help = EXAMPLES, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Simulate a cluster that takes in a source of writes, and prove that every copy is right.
    Run(run::RunArguments),
    /// Run a simulation again, up to an event, and show what is there then.
    Replay(replay::ReplayArguments),
    /// Run scenario files and compare their outputs.
    Script(script::ScriptArguments),
    /// Show what a store's files hold and how much of them is live.
    Inspect(inspect::InspectArguments),
    /// Print a store's documents as JSON lines.
    Dump(dump::DumpArguments),
    /// Verify a store's files and tell what is wrong.
    Check(check::CheckArguments),
    /// Save what can be read of a damaged file into a new one.
    Recover(recover::RecoverArguments),
    /// Make a store's files smaller: without what nobody can reach.
    Compact(compact::CompactArguments),
    /// Print a completion script for a shell.
    #[command(before_help = COMPLETIONS_EXAMPLES)]
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// Parses the process's arguments, does what they say and returns its exit code.
#[must_use]
pub fn main() -> ExitCode {
    let mut out = Output::standard();
    let result = match Cli::try_parse() {
        Ok(cli) => cli.command.run(&mut out),
        Err(refusal) => refused(&refusal, &mut out),
    };
    let exit = result.unwrap_or_else(|failure| {
        failure.tell();
        failure.exit
    });
    out.end(exit).into()
}

impl Command {
    fn run(self, out: &mut Output) -> Result<Exit, Failure> {
        match self {
            Self::Run(arguments) => run::run(&arguments, out),
            Self::Replay(arguments) => replay::replay(&arguments, out),
            Self::Script(arguments) => script::script(&arguments, out),
            Self::Inspect(arguments) => inspect::inspect(&arguments, out),
            Self::Dump(arguments) => dump::dump(&arguments, out),
            Self::Check(arguments) => check::check(&arguments, out),
            Self::Recover(arguments) => recover::recover(&arguments, out),
            Self::Compact(arguments) => compact::compact(&arguments, out),
            Self::Completions { shell } => {
                clap_complete::generate(shell, &mut Cli::command(), "dcp-sim", out);
                Ok(Exit::Ok)
            }
        }
    }
}

/// What is no command: a request for help, which is a result, or a mistake.
fn refused(refusal: &clap::Error, out: &mut Output) -> Result<Exit, Failure> {
    if refusal.use_stderr() {
        // There is no other place to say so.
        let _ = refusal.print();
        return Ok(Exit::Usage);
    }
    out.styled(&refusal.render().ansi().to_string())?;
    Ok(Exit::Ok)
}
