//! Where results go: standard output, or a file that was named. A place that takes no more is no reason to stop.
//!
//! In go bytes and, at the end, the exit code of the command; out comes the exit code of the process. What always holds
//! (T10): writing never fails, so that a verdict is reached and kept whatever becomes of its text. A pipe whose reader has
//! gone is closed in silence. Any other error is reported once, by the name of the place, and turns a success into
//! [`Exit::Io`]; it never hides a verdict that is worse. Messages on standard error ([`tell`]) are lost in silence.

use std::fmt;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};

use super::exit::Exit;

/// A line on standard error; nothing if that can't be written.
macro_rules! tell {
    ($($words:tt)*) => { $crate::cli::output::message(format_args!($($words)*)) };
}
pub(super) use tell;

/// Writes one line to standard error. Use [`tell`].
pub(super) fn message(words: fmt::Arguments<'_>) {
    // There is no other place to say so.
    let _ = writeln!(io::stderr(), "{words}");
}

/// Whether somebody sees progress as it is made.
pub(super) fn shows_progress() -> bool {
    io::stderr().is_terminal()
}

/// A place for results.
pub(super) struct Output {
    name: String,
    out: Box<dyn Write + Send>,
    state: State,
}

enum State {
    Open,
    /// Its reader has gone.
    Closed,
    Failed(io::Error),
    /// Failed, and reported.
    Reported,
}

impl Output {
    /// The process's standard output.
    pub(super) fn standard() -> Self {
        Self::new("standard output", io::stdout())
    }

    /// Any place, by the name that errors call it.
    pub(super) fn new(name: impl Into<String>, out: impl Write + Send + 'static) -> Self {
        Self {
            name: name.into(),
            out: Box::new(out),
            state: State::Open,
        }
    }

    /// Whether what is written arrives, as far as is known.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.state, State::Open)
    }

    /// Writes text with colours: they stay where they are wanted, on a terminal, unless `NO_COLOR` says otherwise.
    pub(super) fn styled(&mut self, text: &str) -> io::Result<()> {
        match anstream::AutoStream::choice(&io::stdout()) {
            anstream::ColorChoice::Never => write!(self, "{}", anstream::adapter::strip_str(text)),
            _ => self.write_all(text.as_bytes()),
        }
    }

    /// A writer of rows, which fails once nothing arrives any more: there is no verdict that the rest of them would change.
    pub(super) fn rows(&mut self) -> BufWriter<Rows<'_>> {
        BufWriter::new(Rows(self))
    }

    /// Ends the output of a command. Returns the exit code of the two.
    pub(super) fn end(&mut self, exit: Exit) -> Exit {
        let _ = self.flush();
        let State::Failed(error) = &self.state else {
            return if matches!(self.state, State::Reported) {
                exit.or_io()
            } else {
                exit
            };
        };
        tell!("error: {}: {error}", self.name);
        if exit == Exit::Ok {
            tell!("hint: nothing else went wrong: the exit code would have been 0");
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

/// Never fails.
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

/// See [`Output::rows`].
pub(super) struct Rows<'a>(&'a mut Output);

impl Write for Rows<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.0.write(bytes)?;
        // Which of the two it is, the output knows and reports.
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

/// An output that has a second owner while a run writes to it.
#[derive(Clone)]
pub(super) struct SharedOutput(Arc<Mutex<Output>>);

impl SharedOutput {
    pub(super) fn new(output: Output) -> Self {
        Self(Arc::new(Mutex::new(output)))
    }

    /// See [`Output::end`].
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

    /// Takes a few bytes, then fails.
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
