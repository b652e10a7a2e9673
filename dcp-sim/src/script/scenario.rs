//! Run of one scenario, from its text to its outcome.

use std::path::{Path, PathBuf};

use super::language::{command, parse};
use super::report::Outcome;
use super::worlds::world;

/// Error of a file that is not a scenario: no command was run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}:{line}: {what}", path.display())]
pub struct ParseError {
    /// The file.
    pub path: PathBuf,
    /// Line number, from 1.
    pub line: usize,
    /// The defect.
    pub what: String,
}

/// Runs the scenario `text`, named `path`. Writes no file.
///
/// # Errors
/// [`ParseError`] for an invalid line; then no command has run.
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
