//! Runs the command line as a process, with arguments and standard input, and records its exit code
//! and output.

use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// Program under test, by its path.
#[derive(Clone, Copy, Debug)]
pub struct Program(pub &'static str);

/// Result of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Exit code.
    pub code: i32,
    /// Text on standard output.
    pub stdout: String,
    /// Text on standard error.
    pub stderr: String,
}

impl Program {
    /// Returns the program with these arguments, in an environment without any git settings.
    #[must_use]
    pub fn command<A: AsRef<OsStr>>(self, arguments: &[A]) -> Command {
        let mut command = Command::new(self.0);
        without_git_settings(&mut command).args(arguments);
        command
    }

    /// Runs it to its end, with empty standard input.
    ///
    /// # Panics
    ///
    /// If it can't be run or is killed.
    #[must_use]
    pub fn run<A: AsRef<OsStr>>(self, arguments: &[A]) -> Ended {
        self.run_with(arguments, b"")
    }

    /// Runs it to its end in a directory, with empty standard input.
    ///
    /// # Panics
    ///
    /// If it can't be run or is killed.
    #[must_use]
    pub fn run_in<A: AsRef<OsStr>>(self, dir: &Path, arguments: &[A]) -> Ended {
        let output = self
            .command(arguments)
            .current_dir(dir)
            .stdin(Stdio::null())
            .output();
        Ended::new(output.expect("the program runs"))
    }

    /// Runs it to its end, with `input` on standard input.
    ///
    /// # Panics
    ///
    /// If it can't be run or is killed.
    #[must_use]
    pub fn run_with<A: AsRef<OsStr>>(self, arguments: &[A], input: &[u8]) -> Ended {
        let mut command = self.command(arguments);
        let child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = child.expect("the program runs");
        // A process that ends before it has read everything is judged by its exit code.
        let _ = child.stdin.take().expect("piped").write_all(input);
        Ended::new(child.wait_with_output().expect("waited for"))
    }
}

impl Ended {
    fn new(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        let code = output.status.code().expect("not killed");
        Self {
            code,
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// Checks the exit code.
    ///
    /// # Panics
    ///
    /// If it is another.
    #[must_use]
    pub fn with_code(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:#?}");
        self
    }

    /// Returns the text of its `error:` line.
    ///
    /// # Panics
    ///
    /// If there is none.
    #[must_use]
    pub fn error(&self) -> &str {
        self.line("error: ")
    }

    /// Returns the text of its `hint:` line.
    ///
    /// # Panics
    ///
    /// If there is none.
    #[must_use]
    pub fn hint(&self) -> &str {
        self.line("hint: ")
    }

    fn line(&self, name: &str) -> &str {
        let found = self.stderr.lines().find_map(|line| line.strip_prefix(name));
        found.unwrap_or_else(|| panic!("no line {name:?}: {self:#?}"))
    }

    /// Returns its output as one JSON object, which must be the whole output.
    ///
    /// # Panics
    ///
    /// If it is not one.
    #[must_use]
    pub fn json(&self) -> Value {
        assert_eq!(self.stdout.lines().count(), 1, "{self:#?}");
        serde_json::from_str(&self.stdout).expect("JSON")
    }

    /// Returns the JSON output, byte for byte, without the field `times`, which must be the last.
    ///
    /// # Panics
    ///
    /// If there is no such field.
    #[must_use]
    pub fn json_without_times(&self) -> String {
        let (before, times) = self
            .stdout
            .split_once(r#","times":{"#)
            .expect("a field `times`");
        assert!(
            times.trim_end().ends_with("}}") && times.matches('}').count() == 2,
            "{times}"
        );
        format!("{before}}}")
    }
}

/// Removes every git setting from a command's environment.
pub(crate) fn without_git_settings(command: &mut Command) -> &mut Command {
    for (name, _) in std::env::vars_os() {
        if name.as_bytes().starts_with(b"GIT_") {
            command.env_remove(name);
        }
    }
    command
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("LC_ALL", "C")
}

/// Returns a path as an argument.
///
/// # Panics
///
/// If it is not UTF-8.
#[must_use]
pub fn argument(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}
