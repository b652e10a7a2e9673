//! How a command ends: its exit code, and why it could not do its work.

use std::{fmt, io};

use super::exit::Exit;
use super::output::tell;

/// Why a command could not do its work.
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

    /// Reports it on standard error.
    pub(crate) fn tell(&self) {
        tell!("error: {}", self.error);
        if let Some(hint) = &self.hint {
            tell!("hint: {hint}");
        }
    }

    pub(crate) fn with_hint(self, hint: impl Into<Option<String>>) -> Self {
        Self {
            hint: hint.into(),
            ..self
        }
    }
}

/// Outputs never fail: this is what their writers' signatures ask for.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::new(Exit::Io, &format!("writing the output: {error}"))
    }
}
