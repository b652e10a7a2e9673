//! `dcp-sim` again, as a program of this package.

use std::process::ExitCode;

fn main() -> ExitCode {
    dcp_sim::cli::main()
}
