//! Destinations of results: standard output, or a named file.
//!
//! # Invariants
//!
//! - T10. Writing never fails, so a command reaches its verdict regardless of its output.
//! - A pipe without a reader is closed in silence. Any other error is reported once with the
//!   destination's name, and turns a success into [`Exit::Io`]; it never hides a worse verdict.
//! - Messages on standard error ([`message!`]) are lost in silence.

use std::fmt;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};

use super::exit::Exit;

/// Writes a line to standard error, if that is possible.
macro_rules! message {
    ($($words:tt)*) => { $crate::cli::output::write_message(format_args!($($words)*)) };
}
pub(super) use message;

/// Writes one line to standard error. Callers use [`message!`].
pub(super) fn write_message(words: fmt::Arguments<'_>) {
    // There is no other place to report it.
    let _ = writeln!(io::stderr(), "{words}");
}

/// Returns `true` if progress is visible while it is made.
pub(super) fn shows_progress() -> bool {
    io::stderr().is_terminal()
}

/// Destination of results.
pub(super) struct Output {
    name: String,
    out: Box<dyn Write + Send>,
    state: State,
}

enum State {
    Open,
    /// Without a reader.
    Closed,
    Failed(io::Error),
    /// Failed, and reported.
    Reported,
}

impl Output {
    /// Returns the process's standard output.
    pub(super) fn standard() -> Self {
        Self::new("standard output", io::stdout())
    }

    /// Creates a destination with a name for errors.
    pub(super) fn new(name: impl Into<String>, out: impl Write + Send + 'static) -> Self {
        Self {
            name: name.into(),
            out: Box::new(out),
            state: State::Open,
        }
    }

    /// Returns `true` if written bytes arrive, as far as is known.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.state, State::Open)
    }

    /// Writes text with colours. They are kept only on a terminal, and not if `NO_COLOR` forbids
    /// them.
    pub(super) fn styled(&mut self, text: &str) -> io::Result<()> {
        match anstream::AutoStream::choice(&io::stdout()) {
            anstream::ColorChoice::Never => write!(self, "{}", anstream::adapter::strip_str(text)),
            _ => self.write_all(text.as_bytes()),
        }
    }

    /// Returns a writer of rows, which fails once nothing arrives any more: the remaining rows
    /// would change no verdict.
    pub(super) fn rows(&mut self) -> BufWriter<Rows<'_>> {
        BufWriter::new(Rows(self))
    }

    /// Ends the output of a command. Returns the combined exit code.
    pub(super) fn end(&mut self, exit: Exit) -> Exit {
        let _ = self.flush();
        let State::Failed(error) = &self.state else {
            return if matches!(self.state, State::Reported) {
                exit.or_io()
            } else {
                exit
            };
        };
        message!("error: {}: {error}", self.name);
        if exit == Exit::Ok {
            message!("hint: everything else succeeded: the exit code would have been 0");
        }
        self.state = State::Reported;
        exit.or_io()
    }

    fn attempt(&mut self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) {
        if !self.is_open() {
            return;
        }
        if let Err(error) = write(&mut *self.out) {
            let is_closed = error.kind() == io::ErrorKind::BrokenPipe;
            self.state = if is_closed {
                State::Closed
            } else {
                State::Failed(error)
            };
        }
    }
}

/// Writing never fails.
impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.attempt(|out| out.write_all(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.attempt(|out| out.flush());
        Ok(())
    }
}

/// Writer of [`Output::rows`].
pub(super) struct Rows<'a>(&'a mut Output);

impl Write for Rows<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.0.write(bytes)?;
        // The output knows the error and reports it.
        if self.0.is_open() {
            Ok(written)
        } else {
            Err(io::ErrorKind::BrokenPipe.into())
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Output with a second owner while a run writes to it.
#[derive(Clone)]
pub(super) struct SharedOutput(Arc<Mutex<Output>>);

impl SharedOutput {
    pub(super) fn new(output: Output) -> Self {
        Self(Arc::new(Mutex::new(output)))
    }

    /// Same as [`Output::end`].
    pub(super) fn end(&self, exit: Exit) -> Exit {
        self.with(|output| output.end(exit))
    }

    fn with<T>(&self, work: impl FnOnce(&mut Output) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for SharedOutput {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.with(|output| output.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.with(Output::flush)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writer that accepts a few bytes, then fails.
    struct Failing(usize, io::ErrorKind);

    impl Write for Failing {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            match self.0.min(bytes.len()) {
                0 => Err(self.1.into()),
                taken => {
                    self.0 -= taken;
                    Ok(taken)
                }
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    const EXITS: [Exit; 5] = [
        Exit::Ok,
        Exit::Violation,
        Exit::Usage,
        Exit::Io,
        Exit::Corrupt,
    ];

    #[test]
    fn closed_pipe_keeps_the_exit_code_of_the_command() {
        for exit in EXITS {
            let mut output = Output::new("pipe", Failing(3, io::ErrorKind::BrokenPipe));
            assert!((0..10).all(|_| output.write_all(b"row\n").is_ok()));
            assert_eq!((output.is_open(), output.end(exit)), (false, exit));
        }
    }

    #[test]
    fn failed_output_turns_success_into_io_and_hides_no_verdict() {
        for exit in EXITS {
            let mut output = Output::new("disk", Failing(0, io::ErrorKind::StorageFull));
            assert!(output.write_all(b"row\n").is_ok());
            let wanted = if exit == Exit::Ok { Exit::Io } else { exit };
            assert_eq!(
                (output.end(exit), output.end(exit)),
                (wanted, wanted),
                "reported once, counted always"
            );
        }
    }

    #[test]
    fn rows_end_where_nothing_arrives() {
        for kind in [io::ErrorKind::BrokenPipe, io::ErrorKind::StorageFull] {
            let mut output = Output::new("pipe", Failing(3, kind));
            let mut rows = output.rows();
            let written = (0..100_000)
                .take_while(|_| rows.write_all(b"row\n").is_ok())
                .count();
            assert!(written < 100_000, "{kind}");
        }
    }
}
