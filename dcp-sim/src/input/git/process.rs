//! A git process whose output is read while it runs.
//!
//! # Invariants
//!
//! - Standard error is read all the time, so the process never blocks on it.
//! - Dropping it ends the process and leaves no zombie.

use std::io::{self, Read};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::thread::JoinHandle;

use super::command::{STDERR_BYTES_MAX, failed, start_error, words};
use crate::input::error::InputError;

pub(super) struct Process {
    name: &'static str,
    child: Child,
    /// Collects standard error; taken when it is joined.
    stderr: Option<JoinHandle<Vec<u8>>>,
}

/// Pipes of a process, each for the thread that uses it.
pub(super) struct Pipes {
    pub(super) stdin: ChildStdin,
    pub(super) stdout: ChildStdout,
}

impl Process {
    pub(super) fn start(
        name: &'static str,
        mut command: Command,
    ) -> Result<(Self, Pipes), InputError> {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let child = command.spawn().map_err(start_error)?;
        // From here on a drop ends the child.
        let mut process = Self {
            name,
            child,
            stderr: None,
        };
        let child = &mut process.child;
        let (Some(stdin), Some(stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(io_error("talk to", name, io::ErrorKind::BrokenPipe.into()));
        };
        process.stderr = Some(spawn("git-stderr", move || gather(stderr))?);
        Ok((process, Pipes { stdin, stdout }))
    }

    /// Waits for the process, whose pipes must have been dropped. Any failure is an error with its
    /// message.
    pub(super) fn finish(&mut self) -> Result<(), InputError> {
        let status = self
            .child
            .wait()
            .map_err(|error| io_error("wait for", self.name, error))?;
        let said = self
            .stderr
            .take()
            .and_then(|thread| thread.join().ok())
            // The exit status decides; without its words the error has none.
            .unwrap_or_default();
        if status.success() {
            Ok(())
        } else {
            Err(failed(self.name, status, words(&said)))
        }
    }

    /// Ends the process without waiting for it.
    pub(super) fn kill(&mut self) {
        // It fails only if the process has ended already.
        let _ = self.child.kill();
    }

    #[cfg(test)]
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        let _ = self.child.wait();
        if let Some(thread) = self.stderr.take() {
            let _ = thread.join();
        }
    }
}

/// Starts a thread with a name for debuggers.
pub(super) fn spawn<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, InputError> {
    let thread = std::thread::Builder::new().name(name.into()).spawn(work);
    thread.map_err(|source| InputError::Io {
        what: "start a thread".into(),
        source,
    })
}

/// Keeps the beginning of standard error and discards the rest.
fn gather(mut stderr: ChildStderr) -> Vec<u8> {
    let mut kept = Vec::new();
    // If it cannot be read, the process's status still reports the failure.
    let _ = stderr
        .by_ref()
        .take(STDERR_BYTES_MAX as u64)
        .read_to_end(&mut kept);
    let _ = io::copy(&mut stderr, &mut io::sink());
    kept
}

fn io_error(what: &str, name: &str, source: io::Error) -> InputError {
    InputError::Io {
        what: format!("{what} {name}"),
        source,
    }
}
