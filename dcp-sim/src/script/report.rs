//! What came of a scenario: each command's expected and actual output, their difference, and the text as it should be.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use similar::{ChangeTag, TextDiff};

use super::language::Block;
use super::worlds::Output;

/// One command of a file, and what it printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandOutcome {
    /// Its line, the first being 1.
    pub line: usize,
    /// The command as the file has it, without its input lines.
    pub command: String,
    /// The lines the file expects.
    pub expected: Vec<String>,
    /// The lines it printed.
    pub actual: Vec<String>,
}

impl CommandOutcome {
    /// Whether it printed what was expected; blanks at the end of a line don't count.
    #[must_use]
    pub fn matches(&self) -> bool {
        trimmed(&self.expected).eq(trimmed(&self.actual))
    }
}

/// A file that was run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The file's name, as it was given.
    pub path: PathBuf,
    /// Its commands, in order.
    pub commands: Vec<CommandOutcome>,
    /// Its text with the actual outputs in the place of those that differed, all else as it was.
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
        let rewritten = rewrite(text, blocks, &commands);
        Self {
            path: path.to_owned(),
            commands,
            rewritten,
        }
    }

    /// Whether every command printed what was expected.
    #[must_use]
    pub fn matches(&self) -> bool {
        self.commands.iter().all(CommandOutcome::matches)
    }

    /// The commands that printed something else, each with a line diff: `-` was expected, `+` was printed. Empty when
    /// all match.
    #[must_use]
    pub fn diff(&self) -> String {
        let mut text = String::new();
        for command in self.commands.iter().filter(|command| !command.matches()) {
            // Writing to a string cannot fail.
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

/// Lines as they are compared.
fn trimmed(lines: &[String]) -> impl Iterator<Item = &str> {
    lines.iter().map(|line| line.trim_end())
}

fn rewrite(text: &str, blocks: &[Block<'_>], commands: &[CommandOutcome]) -> String {
    let mut rewritten = String::with_capacity(text.len());
    let mut copied = 0;
    for (block, command) in blocks
        .iter()
        .zip(commands)
        .filter(|(_, command)| !command.matches())
    {
        rewritten.push_str(
            text.get(copied..block.expected_at.start)
                .unwrap_or_default(),
        );
        if !rewritten.ends_with('\n') {
            rewritten.push_str(block.line_end);
        }
        for line in &command.actual {
            rewritten.push_str(line);
            rewritten.push_str(block.line_end);
        }
        copied = block.expected_at.end;
    }
    rewritten.push_str(text.get(copied..).unwrap_or_default());
    rewritten
}
