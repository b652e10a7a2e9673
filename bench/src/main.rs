//! Benchmarks of Lowtide and its peers in one run: each row is the median of five, rows that
//! Lowtide loses included.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod engines;
mod paced;
mod peers;
mod queue;
mod race;
mod runtime;
mod stall;
mod store;
mod table;

#[derive(Parser)]
#[command(
    name = "bench",
    before_help = "Examples:\n  bench queue\n  bench queue --items 200000 --runs 3\n  bench paced\n  bench stall\n  bench store --quick\n  bench beside\n  bench many\n  bench cold --items 2000000 --peers logstor,lmdb\n  bench open --items 2000000 --peers logstor\n  bench compaction\n  bench runtime\n"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measures the items a second through a queue, to every consumer.
    Queue(queue::Arguments),
    /// Measures the time of one call at a steady rate, concurrently with consumers that sleep.
    Paced(paced::Arguments),
    /// Measures one consumer that stands still while hot keys are written, and the time the lock is
    /// held.
    Stall(stall::Arguments),
    /// Measures storage engines: commits, scans, gets, opening after a kill.
    Store(store::Arguments),
    /// Measures commits concurrently with a compaction, of the engines that have one, and the space
    /// it leaves.
    Beside(store::beside::Arguments),
    /// Measures one item for each of many vBuckets: in one commit, and in one each. Ours.
    Many(store::many::Arguments),
    /// Measures opening after a kill alone.
    Open(store::reopen::Arguments),
    /// Measures gets, scans and commits with data ten times as large as the page cache. It needs
    /// root, and control groups.
    Cold(store::cold::Arguments),
    /// Runs a process that `cold` starts.
    #[command(hide = true)]
    ColdChild(store::cold::ChildArguments),
    /// Measures the parts of a couchstore compaction: its steps concurrently with commits, and the
    /// contents of the new file.
    Compaction(store::compacting::Arguments),
    /// Measures the store with its threads: durable writes against fjall's, writes that do not wait,
    /// followers.
    Runtime(runtime::Arguments),
    /// Runs the process that `store` kills.
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
        Command::Runtime(arguments) => runtime::run(&arguments),
        Command::Stall(arguments) => stall::run(&arguments),
        Command::Store(arguments) => store::run(&arguments),
        Command::StoreChild(arguments) => store::reopen::child(&arguments),
    }
    ExitCode::SUCCESS
}
