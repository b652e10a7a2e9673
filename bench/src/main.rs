//! Lowtide beside its peers, in one run: each row is the median of five, rows we lose included.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod engines;
mod paced;
mod peers;
mod queue;
mod race;
mod stall;
mod store;
mod table;

#[derive(Parser)]
#[command(
    name = "bench",
    before_help = "Examples:\n  bench queue\n  bench queue --items 200000 --runs 3\n  bench paced\n  bench stall\n  bench store --quick\n  bench beside\n  bench many\n  bench cold --items 2000000 --peers logstor,lmdb\n  bench open --items 2000000 --peers logstor\n  bench compaction\n"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Items a second through a queue, to every consumer.
    Queue(queue::Arguments),
    /// How long one call takes at a steady rate, beside consumers that sleep.
    Paced(paced::Arguments),
    /// One consumer that stands still while hot keys are written, and how long the lock is held.
    Stall(stall::Arguments),
    /// Storage engines: commits, scans, gets, opening after a kill.
    Store(store::Arguments),
    /// Commits beside a compaction, of the engines that can be asked for one, and the space it leaves.
    Beside(store::beside::Arguments),
    /// One item for each of many vBuckets: in one commit, and in one each. Ours.
    Many(store::many::Arguments),
    /// Opening after a kill alone.
    Open(store::reopen::Arguments),
    /// Gets, scans and commits with data ten times as large as the page cache. It takes root, and control groups.
    Cold(store::cold::Arguments),
    /// A process that `cold` starts.
    #[command(hide = true)]
    ColdChild(store::cold::ChildArguments),
    /// A compaction of couchstore taken apart: how it goes beside commits, and what the new file is made of.
    Compaction(store::compacting::Arguments),
    /// The process that `store` kills.
    #[command(hide = true)]
    StoreChild(store::reopen::ChildArguments),
}

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Cold(arguments) => return store::cold::run(&arguments),
        Command::ColdChild(arguments) => store::cold::child(&arguments),
        Command::Beside(arguments) => store::beside::run(&arguments),
        Command::Compaction(arguments) => store::compacting::run(&arguments),
        Command::Many(arguments) => store::many::run(&arguments),
        Command::Open(arguments) => store::reopen::run(&arguments),
        Command::Paced(arguments) => paced::run(&arguments),
        Command::Queue(arguments) => queue::run(&arguments),
        Command::Stall(arguments) => stall::run(&arguments),
        Command::Store(arguments) => store::run(&arguments),
        Command::StoreChild(arguments) => store::reopen::child(&arguments),
    }
    ExitCode::SUCCESS
}
