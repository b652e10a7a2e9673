//! The command line as its users see it: arguments and files, exit codes, texts and stores.

use support::cli::Program;

mod check;
mod compact;
mod determinism;
mod dump;
mod encrypted;
mod faults;
mod git;
mod handles;
mod help;
mod input;
mod inspect;
mod log_store;
mod lying_rows;
mod output;
mod owners;
mod recover;
mod report;
mod script;
mod swarm;
mod untouched;
mod usage;

/// The command line under test.
const DCP_SIM: Program = Program(env!("CARGO_BIN_EXE_dcp-sim-under-test"));
