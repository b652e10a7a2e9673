//! Scenario files: commands on the real code, each with the output it must give.
//!
//! In goes the text of a file, out comes what every command printed beside what was expected, and the text with the
//! outputs as they were. What always holds: the whole file is understood before its first command runs; the same text
//! gives the same outcome, on a memory disk, a virtual clock and seeds from the text; nothing but the expected outputs
//! ever differs between a file and its rewritten text. The language is described in `docs/scenarios.md`.

mod files;
mod language;
mod report;
mod scenario;
mod worlds;

pub use files::{ExitStatus, run};
pub use report::{CommandOutcome, Outcome};
pub use scenario::{ParseError, run_file};
