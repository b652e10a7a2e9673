//! `dcp-sim`: the command line of the replication simulator.

use std::process::ExitCode;

fn main() -> ExitCode {
    dcp_sim::cli::main()
}

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
