//! Output of a git command, read field by field.
//!
//! Every error carries the command and the byte offset. It also distinguishes a stream that ends
//! too early, since git itself may know the reason.

use std::io::{self, BufRead, ErrorKind, Read};

use crate::input::error::InputError;

/// Largest field: longer than any header and any path that git can check out. It keeps damaged
/// output from filling the memory.
const FIELD_BYTES_MAX: u64 = 1 << 20;

/// Memory reserved for a content before it is read.
const CAPACITY_BYTES_MAX: u64 = 1 << 20;

/// Error of reading output.
#[derive(Debug)]
pub(super) enum ReadError {
    /// The output ends too early.
    CutShort(InputError),
    /// The output is unexpected, or cannot be read.
    Other(InputError),
}

pub(super) struct Output<R> {
    command: &'static str,
    input: R,
    /// Number of consumed bytes.
    offset: u64,
}

impl<R: BufRead> Output<R> {
    pub(super) fn new(command: &'static str, input: R) -> Self {
        Self {
            command,
            input,
            offset: 0,
        }
    }

    /// Returns the offset of the next byte.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Returns the next byte without consuming it; `None` at the end.
    pub(super) fn peek(&mut self) -> Result<Option<u8>, ReadError> {
        loop {
            match self.input.fill_buf() {
                Ok(buffer) => return Ok(buffer.first().copied()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.io(error)),
            }
        }
    }

    /// Consumes the byte that `peek` returned.
    pub(super) fn skip_one(&mut self) {
        self.input.consume(1);
        self.offset += 1;
    }

    /// Reads the bytes up to the next delimiter, and consumes the delimiter.
    pub(super) fn field(&mut self, delimiter: u8) -> Result<Vec<u8>, ReadError> {
        let start = self.offset;
        let mut field = Vec::new();
        let read = self
            .input
            .by_ref()
            .take(FIELD_BYTES_MAX)
            .read_until(delimiter, &mut field);
        let read = read.map_err(|error| self.io(error))? as u64;
        self.offset += read;
        if field.last() == Some(&delimiter) {
            field.pop();
            return Ok(field);
        }
        if read == FIELD_BYTES_MAX {
            return Err(self.malformed(start, format!("a field of over {FIELD_BYTES_MAX} bytes")));
        }
        Err(self.cut_short())
    }

    /// Reads exactly that many bytes.
    pub(super) fn exact(&mut self, bytes: u64) -> Result<Vec<u8>, ReadError> {
        let mut content =
            Vec::with_capacity(usize::try_from(bytes.min(CAPACITY_BYTES_MAX)).unwrap_or(0));
        let read = self.input.by_ref().take(bytes).read_to_end(&mut content);
        let read = read.map_err(|error| self.io(error))? as u64;
        self.offset += read;
        if read == bytes {
            Ok(content)
        } else {
            Err(self.cut_short())
        }
    }

    pub(super) fn malformed(&self, offset: u64, what: String) -> ReadError {
        ReadError::Other(self.unexpected(offset, what))
    }

    /// Returns the error of an output that ends too early.
    pub(super) fn cut_short(&self) -> ReadError {
        ReadError::CutShort(self.unexpected(self.offset, "the output ends too early".into()))
    }

    fn unexpected(&self, offset: u64, what: String) -> InputError {
        InputError::UnexpectedOutput {
            command: self.command.into(),
            offset,
            what,
        }
    }

    fn io(&self, source: io::Error) -> ReadError {
        ReadError::Other(InputError::Io {
            what: format!("read from {}", self.command),
            source,
        })
    }
}

/// Returns the beginning of a field, for an error's text.
pub(super) fn shown(field: &[u8]) -> String {
    field.get(..80).unwrap_or(field).escape_ascii().to_string()
}
