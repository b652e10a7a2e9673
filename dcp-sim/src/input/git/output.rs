//! A git command's output, read field by field.
//!
//! In goes a byte stream, out come its fields; every error carries the command and the byte it is about, and says
//! whether the stream merely ended too early, because then git itself may know why.

use std::io::{self, BufRead, ErrorKind, Read};

use crate::input::error::InputError;

/// Longer than any header and any path git can check out; keeps damage from filling the memory.
const FIELD_BYTES_MAX: u64 = 1 << 20;

/// How much is set aside for a content before any of it has been read.
const CAPACITY_BYTES_MAX: u64 = 1 << 20;

/// Why output could not be read.
#[derive(Debug)]
pub(super) enum ReadError {
    /// It ends too early.
    CutShort(InputError),
    /// It is not what was asked for, or can't be read.
    Other(InputError),
}

pub(super) struct Output<R> {
    command: &'static str,
    input: R,
    /// Bytes consumed so far.
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

    /// Where the next byte is.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// The next byte, left where it is; `None` at the end.
    pub(super) fn peek(&mut self) -> Result<Option<u8>, ReadError> {
        loop {
            match self.input.fill_buf() {
                Ok(buffer) => return Ok(buffer.first().copied()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.io(error)),
            }
        }
    }

    /// Consumes the byte that `peek` has just shown.
    pub(super) fn skip_one(&mut self) {
        self.input.consume(1);
        self.offset += 1;
    }

    /// The bytes up to the next delimiter, which is consumed too.
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

    /// Exactly that many bytes.
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

    /// That the output ends where it must not.
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

/// The beginning of a field, for an error's text.
pub(super) fn shown(field: &[u8]) -> String {
    field.get(..80).unwrap_or(field).escape_ascii().to_string()
}
