//! Exit codes of the process.

use std::process::ExitCode;

/// Exit code of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Ok,
    Violation,
    Usage,
    Io,
    Corrupt,
}

impl Exit {
    /// Returns the exit code of a command whose results could not all be written: its verdict has
    /// priority.
    pub(crate) fn or_io(self) -> Self {
        if self == Self::Ok { Self::Io } else { self }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Ok => 0,
            Exit::Violation => 1,
            Exit::Usage => 2,
            Exit::Io => 3,
            Exit::Corrupt => 4,
        })
    }
}
