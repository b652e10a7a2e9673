//! Lowtide beside its peers, in one run: each row is the median of five, rows we lose included.

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
    before_help = "Examples:\n  bench queue\n  bench queue --items 200000 --runs 3\n  bench paced\n  bench stall\n  bench store --quick\n  bench compaction\n"
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
    /// Commits beside a compaction of ours.
    Compaction(store::compacting::Arguments),
    /// The process that `store` kills.
    #[command(hide = true)]
    StoreChild(store::reopen::ChildArguments),
}

fn main() {
    match Cli::parse().command {
        Command::Compaction(arguments) => store::compacting::run(&arguments),
        Command::Paced(arguments) => paced::run(&arguments),
        Command::Queue(arguments) => queue::run(&arguments),
        Command::Stall(arguments) => stall::run(&arguments),
        Command::Store(arguments) => store::run(&arguments),
        Command::StoreChild(arguments) => store::reopen::child(&arguments),
    }
}
