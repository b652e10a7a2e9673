//! `dcp-sim replay`: repeats a run byte for byte, to its end or to an event, or shrinks it to the
//! smallest failing cluster.

use std::io::Write;

use clap::Args;

use super::arguments::RunArguments;
use super::{run, shrink};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::cli::quantity;

const EXAMPLES: &str = "\
Examples:
  dcp-sim replay --workload zipfian --profile hostile --seed 7
  dcp-sim replay --workload zipfian --profile hostile --seed 7 --until 20000
  dcp-sim replay --workload zipfian --profile hostile --seed 7 --shrink
  dcp-sim replay --profile swarm --seed 7 --shrink
";

#[derive(Clone, Debug, Args)]
#[command(before_help = EXAMPLES)]
pub(in crate::cli) struct ReplayArguments {
    #[command(flatten)]
    run: RunArguments,
    /// Stop after N events and show nodes, vBuckets, connections and disks.
    #[arg(long, value_parser = quantity::count::<u64>, value_name = "N", conflicts_with_all = ["seeds", "json", "trace", "report", "data"], help_heading = "Replay")]
    until: Option<u64>,
    /// Search for the smallest run that still fails: fewer nodes, copies, vBuckets, clients and faults,
    /// less time, usual limits.
    #[arg(long, conflicts_with_all = ["until", "seeds", "git", "input", "json", "trace", "report", "data"], help_heading = "Replay")]
    shrink: bool,
}

pub(in crate::cli) fn replay(
    arguments: &ReplayArguments,
    out: &mut Output,
) -> Result<Exit, Failure> {
    if arguments.shrink {
        return shrink::shrink(&arguments.run, out);
    }
    let Some(event) = arguments.until else {
        return run::run(&arguments.run, out);
    };
    let picture = arguments.run.world()?.picture_at(event)?;
    write!(out, "{picture}")?;
    Ok(Exit::Ok)
}
