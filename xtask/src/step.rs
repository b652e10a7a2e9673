//! A step: one run of cargo, with its environment. And what a failed one reports.

use std::env;
use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

/// One run of cargo in the workspace's root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    environment: Vec<(&'static str, &'static str)>,
    arguments: Vec<String>,
}

impl Step {
    /// A run of `cargo` with the given arguments, which are separated by blanks.
    pub(crate) fn cargo(arguments: &str) -> Self {
        Self {
            environment: Vec::new(),
            arguments: arguments.split_whitespace().map(str::to_owned).collect(),
        }
    }

    /// Sets an environment variable for the run.
    pub(crate) fn with_variable(mut self, name: &'static str, value: &'static str) -> Self {
        self.environment.push((name, value));
        self
    }

    /// Appends arguments that may hold blanks.
    pub(crate) fn with_arguments(mut self, arguments: &[String]) -> Self {
        self.arguments.extend_from_slice(arguments);
        self
    }

    /// The step as a line for a shell.
    pub(crate) fn line(&self) -> String {
        let variables = self
            .environment
            .iter()
            .map(|(name, value)| format!("{name}={}", quoted(value)));
        let words = std::iter::once("cargo".to_owned())
            .chain(self.arguments.iter().map(|argument| quoted(argument)));
        variables.chain(words).collect::<Vec<_>>().join(" ")
    }

    /// Prints the step and runs it.
    ///
    /// # Errors
    /// If cargo cannot be started, or ends with a code other than 0.
    pub(crate) fn run(&self, root: &Path) -> Result<(), Failure> {
        println!("\n== {}", self.line());
        let status = Command::new(self.program())
            .args(&self.arguments)
            .envs(self.environment.iter().copied())
            .current_dir(root)
            .status();
        match status {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(Failure::new(&format!("{}: {status}", self.line()))),
            Err(error) => Err(Failure::new(&format!("{}: {error}", self.line()))),
        }
    }

    /// The cargo that runs this program. One of another toolchain is found by rustup, through the search path.
    fn program(&self) -> OsString {
        let has_toolchain = self
            .arguments
            .first()
            .is_some_and(|first| first.starts_with('+'));
        let ours = env::var_os("CARGO").filter(|_| !has_toolchain);
        ours.unwrap_or_else(|| "cargo".into())
    }
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_=+./:,@".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Reason why a command ended early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    error: String,
    hint: Option<String>,
}

impl Failure {
    pub(crate) fn new(error: &str) -> Self {
        Self {
            error: error.to_owned(),
            hint: None,
        }
    }

    pub(crate) fn with_hint(self, hint: &str) -> Self {
        Self {
            hint: Some(hint.to_owned()),
            ..self
        }
    }

    /// Prints the reason on standard error.
    pub(crate) fn report(&self) {
        eprintln!("error: {}", self.error);
        if let Some(hint) = &self.hint {
            eprintln!("hint: {hint}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn step_line_can_be_pasted_into_a_shell() {
        let step = Step::cargo("test --release")
            .with_variable("RUSTFLAGS", "--cfg checkpoint_loom")
            .with_variable("DIR", "target/loom")
            .with_arguments(&["it's".to_owned(), String::new()]);
        assert_eq!(
            step.line(),
            r"RUSTFLAGS='--cfg checkpoint_loom' DIR=target/loom cargo test --release 'it'\''s' ''"
        );
    }

    #[test]
    fn step_that_fails_is_reported_with_its_line() {
        let step = Step::cargo("no-such-subcommand-of-cargo");
        let failure = step.run(Path::new(".")).expect_err("unknown");
        assert!(failure.error.contains("cargo no-such-subcommand-of-cargo"));
    }
}
