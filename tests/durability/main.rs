//! Durability: acknowledged data survives a killed process, power loss at any I/O, and a failing
//! disk.

use support::cli::Program;

mod failures;
mod kill;
mod kill_loop;
mod power_loss;
mod restart;
mod rig;
mod soak;

/// The command line under test.
const DCP_SIM: Program = Program(env!("CARGO_BIN_EXE_dcp-sim-under-test"));
