//! Runs of scenario files on disk, which report their outcomes and rewrite the files on request.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use super::scenario::{ParseError, run_file};

/// Result of a run of files; the worst of its files decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ExitStatus {
    /// Every command printed its expected output, or the file was rewritten.
    Ok,
    /// A command printed another output.
    Different,
    /// A file is not a scenario.
    Unparsable,
    /// A file could not be read or written.
    Io,
}

impl ExitStatus {
    /// Returns the exit code of the process.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Different => 1,
            Self::Unparsable => 2,
            Self::Io => 3,
        }
    }
}

/// Runs all files. Writes a line about each to `out`, and a line diff of each that differs. With
/// `rewrite`, different outputs are written into their files instead.
///
/// # Errors
/// Any error of `out`. Errors of files are written to `out`, and are part of the status.
pub fn run<P: AsRef<Path>>(
    paths: &[P],
    rewrite: bool,
    out: &mut dyn Write,
) -> io::Result<ExitStatus> {
    let mut worst = ExitStatus::Ok;
    for path in paths {
        worst = worst.max(run_one(path.as_ref(), rewrite, out)?);
    }
    Ok(worst)
}

fn run_one(path: &Path, rewrite: bool, out: &mut dyn Write) -> io::Result<ExitStatus> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) => return failed(out, format_args!("cannot read {}: {error}", path.display())),
    };
    let outcome = match text(path, &bytes).and_then(|text| run_file(path, text)) {
        Ok(outcome) => outcome,
        Err(error) => {
            writeln!(out, "error: {error}")?;
            return Ok(ExitStatus::Unparsable);
        }
    };
    let (commands, different) = (
        outcome.commands.len(),
        outcome
            .commands
            .iter()
            .filter(|command| !command.matches())
            .count(),
    );
    if different == 0 {
        writeln!(
            out,
            "{}: {commands} commands, all as expected",
            path.display()
        )?;
        return Ok(ExitStatus::Ok);
    }
    if !rewrite {
        write!(out, "{}", outcome.diff())?;
        writeln!(
            out,
            "{}: {different} of {commands} commands differ",
            path.display()
        )?;
        return Ok(ExitStatus::Different);
    }
    if let Err(error) = fs::write(path, &outcome.rewritten) {
        return failed(
            out,
            format_args!("cannot write {}: {error}", path.display()),
        );
    }
    writeln!(
        out,
        "{}: {different} of {commands} commands rewritten",
        path.display()
    )?;
    Ok(ExitStatus::Ok)
}

fn failed(out: &mut dyn Write, what: std::fmt::Arguments<'_>) -> io::Result<ExitStatus> {
    writeln!(out, "error: {what}")?;
    Ok(ExitStatus::Io)
}

fn text<'a>(path: &Path, bytes: &'a [u8]) -> Result<&'a str, ParseError> {
    std::str::from_utf8(bytes).map_err(|error| {
        let before = bytes
            .iter()
            .take(error.valid_up_to())
            .filter(|&&byte| byte == b'\n')
            .count();
        ParseError {
            path: path.to_owned(),
            line: before + 1,
            what: "not UTF-8".to_owned(),
        }
    })
}
