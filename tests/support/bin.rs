//! `dcp-sim` again, built as a program of this package so that tests can run it.

use std::process::ExitCode;

fn main() -> ExitCode {
    dcp_sim::cli::main()
}
