//! Scenario files: commands on the real code, each with its expected output.
//!
//! The input is the text of a file. The result has the actual output of every command, and the text
//! with the actual outputs. The language is described in `docs/scenarios.md`.
//!
//! # Invariants
//!
//! - The whole file is parsed before its first command runs.
//! - The same text gives the same outcome: on a memory disk, a virtual clock and seeds from the
//!   text.
//! - A file and its rewritten text differ only in expected outputs.

mod files;
mod language;
mod report;
mod scenario;
mod worlds;

pub use files::{ExitStatus, run};
pub use report::{CommandOutcome, Outcome};
pub use scenario::{ParseError, run_file};
