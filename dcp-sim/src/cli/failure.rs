//! Failures of a command: an exit code, an error and a hint.

use std::{fmt, io};

use super::exit::Exit;
use super::output::message;

/// Failure of a command.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) error: String,
    pub(crate) hint: Option<String>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, error: &dyn fmt::Display) -> Self {
        Self {
            exit,
            error: error.to_string(),
            hint: None,
        }
    }

    /// Reports the failure on standard error.
    pub(crate) fn report(&self) {
        message!("error: {}", self.error);
        if let Some(hint) = &self.hint {
            message!("hint: {hint}");
        }
    }

    pub(crate) fn with_hint(self, hint: impl Into<Option<String>>) -> Self {
        Self {
            hint: hint.into(),
            ..self
        }
    }
}

/// Writers never fail; their signatures require this conversion.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::new(Exit::Io, &format!("writing the output: {error}"))
    }
}
