//! What was acknowledged is there afterwards, whatever happened: a process killed, power lost at any I/O, a disk that
//! fails.

use support::cli::Program;

mod failures;
mod kill;
mod kill_loop;
mod power_loss;
mod restart;
mod rig;

/// The command line under test.
const DCP_SIM: Program = Program(env!("CARGO_BIN_EXE_dcp-sim-under-test"));
