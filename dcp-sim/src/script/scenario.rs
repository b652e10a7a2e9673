//! Scenario files: commands on the real code, each with the output it must give.
//!
//! In goes the text of a file, out comes what every command printed beside what was expected, and the text with the
//! outputs as they were. What always holds: the whole file is understood before its first command runs; the same text
//! gives the same outcome, on a memory disk, a virtual clock and seeds from the text; nothing but the expected outputs
//! ever differs between a file and its rewritten text. The language is described in `docs/scenarios.md`.

use std::path::{Path, PathBuf};

use super::language::{command, parse};
use super::report::Outcome;
use super::worlds::world;

/// A file that is no scenario: nothing of it was run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}:{line}: {what}", path.display())]
pub struct ParseError {
    /// The file.
    pub path: PathBuf,
    /// The line, the first being 1.
    pub line: usize,
    /// The defect.
    pub what: String,
}

/// Runs the scenario `text`; `path` only names it. Writes nothing anywhere.
///
/// # Errors
/// [`ParseError`] if a line is not understood; then no command has run.
pub fn run_file(path: &Path, text: &str) -> Result<Outcome, ParseError> {
    let refuse = |(line, what)| ParseError {
        path: path.to_owned(),
        line,
        what,
    };
    let blocks = parse::blocks(text).map_err(refuse)?;
    let commands = command::commands(&blocks).map_err(refuse)?;
    let mut world = world::World::default();
    let outputs = commands.iter().map(|command| world.run(command)).collect();
    Ok(Outcome::new(path, text, &blocks, outputs))
}
