//! Git commands with the same meaning in every environment.
//!
//! Neither the caller's environment nor the user's settings affect a command: no inherited
//! repository, no pager, no prompt, no translation, no replaced history, no fetching. The user's
//! configuration files are still read, because git keeps its trusted directories there. Every
//! setting that could change the output is overruled by a flag.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use crate::input::error::InputError;

/// Largest kept size of git's standard error.
pub(super) const STDERR_BYTES_MAX: usize = 4096;

/// Variables of hooks, aliases or test runners: each of them directs git to another repository or
/// another view of it. `GIT_CONFIG_COUNT` and its companions stay, since containers trust
/// directories that way; our flags follow them and win.
const INHERITED: [&str; 22] = [
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_ATTR_SOURCE",
    "GIT_COMMON_DIR",
    "GIT_CONFIG",
    "GIT_DIR",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_INTERNAL_SUPER_PREFIX",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_QUARANTINE_PATH",
    "GIT_REF_PARANOIA",
    "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE",
    // Traces would mix with error messages.
    "GIT_TRACE",
    "GIT_TRACE2",
    "GIT_TRACE2_EVENT",
    "GIT_TRACE2_PERF",
    "GIT_TRACE_PERFORMANCE",
    "GIT_TRACE_SETUP",
    "GIT_WORK_TREE",
];

/// Directory in which git runs. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Git {
    dir: PathBuf,
}

impl Git {
    pub(super) fn new(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
        }
    }

    /// Returns a command without standard input; its output is captured.
    pub(super) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("git");
        for name in INHERITED {
            command.env_remove(name);
        }
        command
            .env("LC_ALL", "C")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_OPTIONAL_LOCKS", "0")
            .env("GIT_NO_LAZY_FETCH", "1")
            .env("GIT_NO_REPLACE_OBJECTS", "1")
            // Grafts are the older way to replace history; git has no switch against them, except
            // another file.
            .env("GIT_GRAFT_FILE", "/dev/null")
            .args(["--no-pager", "-c", "advice.graftFileDeprecated=false", "-C"])
            .arg(&self.dir)
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs a command to its end, with any status.
    pub(super) fn run(&self, args: &[&str]) -> Result<Finished, InputError> {
        let output = self.command(args).output().map_err(start_error)?;
        Ok(Finished {
            status: output.status,
            stdout: output.stdout,
            stderr: words(&output.stderr),
        })
    }

    /// Runs a command that must succeed, and returns its output.
    pub(super) fn run_ok(&self, name: &str, args: &[&str]) -> Result<Vec<u8>, InputError> {
        let finished = self.run(args)?;
        if finished.status.success() {
            Ok(finished.stdout)
        } else {
            Err(failed(name, finished.status, finished.stderr))
        }
    }
}

/// Status and output of a command.
pub(super) struct Finished {
    pub(super) status: ExitStatus,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: String,
}

/// Returns the error of a failed start of git.
pub(super) fn start_error(source: io::Error) -> InputError {
    match source.kind() {
        io::ErrorKind::NotFound => InputError::GitMissing,
        _ => InputError::Io {
            what: "start git".into(),
            source,
        },
    }
}

pub(super) fn failed(name: &str, status: ExitStatus, stderr: String) -> InputError {
    InputError::Git {
        command: name.into(),
        status: status.to_string(),
        stderr,
    }
}

/// Returns standard error as text of bounded length.
pub(super) fn words(stderr: &[u8]) -> String {
    let kept = stderr.get(..STDERR_BYTES_MAX).unwrap_or(stderr);
    String::from_utf8_lossy(kept).trim().to_owned()
}
