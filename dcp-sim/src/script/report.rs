//! Outcome of a scenario: expected and actual output of each command, their difference, and the
//! rewritten text.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use lowtide_checkpoint::internal::Invariant;
use similar::{ChangeTag, TextDiff};

use super::language::Block;
use super::worlds::Output;

/// One command of a file, and its output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandOutcome {
    /// Line number, from 1.
    pub line: usize,
    /// The command without its input lines.
    pub command: String,
    /// Expected lines.
    pub expected: Vec<String>,
    /// Printed lines.
    pub actual: Vec<String>,
}

impl CommandOutcome {
    /// Returns `true` if the output was expected; blanks at the end of a line are ignored.
    #[must_use]
    pub fn matches(&self) -> bool {
        trimmed(&self.expected).eq(trimmed(&self.actual))
    }
}

/// Outcome of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Name of the file, as given.
    pub path: PathBuf,
    /// Its commands, in order.
    pub commands: Vec<CommandOutcome>,
    /// Its text, with the actual outputs in place of different ones.
    pub rewritten: String,
}

impl Outcome {
    pub(super) fn new(path: &Path, text: &str, blocks: &[Block<'_>], outputs: Vec<Output>) -> Self {
        let owned = |lines: &[&str]| lines.iter().map(|&line| line.to_owned()).collect();
        let outcome = |(block, output): (&Block<'_>, Output)| CommandOutcome {
            line: block.line,
            command: block.command.to_owned(),
            expected: owned(&block.expected),
            actual: output.unwrap_or_else(|kind| vec![format!("error: {kind}")]),
        };
        let commands: Vec<_> = blocks.iter().zip(outputs).map(outcome).collect();
        let rewritten = rewrite(text, blocks, &commands)
            .expected(
                "W22",
                "the outputs of blocks are parts of the file, in order",
            )
            // The file stays as it is: losing a part of it would be worse.
            .unwrap_or_else(|| text.to_owned());
        Self {
            path: path.to_owned(),
            commands,
            rewritten,
        }
    }

    /// Returns `true` if every command printed its expected output.
    #[must_use]
    pub fn matches(&self) -> bool {
        self.commands.iter().all(CommandOutcome::matches)
    }

    /// Returns a line diff of each command with another output: `-` was expected, `+` was printed.
    /// Empty if all match.
    #[must_use]
    pub fn diff(&self) -> String {
        let mut text = String::new();
        for command in self.commands.iter().filter(|command| !command.matches()) {
            // Writing to a string never fails.
            let _ = writeln!(
                text,
                "{}:{}: {}",
                self.path.display(),
                command.line,
                command.command
            );
            let (expected, actual): (Vec<_>, Vec<_>) = (
                trimmed(&command.expected).collect(),
                trimmed(&command.actual).collect(),
            );
            for change in TextDiff::from_slices(&expected, &actual).iter_all_changes() {
                let sign = match change.tag() {
                    ChangeTag::Equal => ' ',
                    ChangeTag::Delete => '-',
                    ChangeTag::Insert => '+',
                };
                let _ = writeln!(text, "  {sign} {}", change.value());
            }
        }
        text
    }
}

/// Returns the lines in the form of the comparison.
fn trimmed(lines: &[String]) -> impl Iterator<Item = &str> {
    lines.iter().map(|line| line.trim_end())
}

/// Returns the text with the actual outputs in place of different ones; `None` if an output is not a
/// part of the text.
fn rewrite(text: &str, blocks: &[Block<'_>], commands: &[CommandOutcome]) -> Option<String> {
    let mut rewritten = String::with_capacity(text.len());
    let mut copied = 0;
    for (block, command) in blocks
        .iter()
        .zip(commands)
        .filter(|(_, command)| !command.matches())
    {
        rewritten.push_str(text.get(copied..block.expected_at.start)?);
        if !rewritten.ends_with('\n') {
            rewritten.push_str(block.line_end);
        }
        for line in &command.actual {
            rewritten.push_str(line);
            rewritten.push_str(block.line_end);
        }
        copied = block.expected_at.end;
    }
    rewritten.push_str(text.get(copied..)?);
    Some(rewritten)
}
