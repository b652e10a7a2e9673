//! The command: it prints a store's files in turn.

use std::io::Write;

use super::arguments::DumpArguments;
use super::line::Value;
use super::log;
use super::printer::{Printer, Stop, Wrapped};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::cli::tools::log_store;
use crate::cli::tools::store::{Targets, text_or_hex};

impl<'a> Value<'a> {
    pub(super) fn new(value: Option<&'a [u8]>) -> Self {
        match value.map(text_or_hex) {
            None => Self::Text(None),
            Some((_, Some(hex))) => Self::Bytes(hex),
            Some((text, None)) => Self::Text(text),
        }
    }
}

pub(in crate::cli) fn dump(arguments: &DumpArguments, out: &mut Output) -> Result<Exit, Failure> {
    if log_store::is_one(&arguments.path)? {
        return log::dump(arguments, out);
    }
    let keys = arguments.keys.read()?;
    let targets = Targets::find(&arguments.path, arguments.vb)?;
    targets.note_others();
    let mut out = out.rows();
    let mut exit = Exit::Ok;
    for target in &targets.files {
        let vb = target
            .vb
            .filter(|_| targets.is_directory && arguments.vb.is_none());
        let mut printer = Printer {
            out: &mut out,
            vb,
            unreadable: 0,
        };
        let printed = arguments.dump(target, &keys, &mut printer);
        if printer.unreadable > 0 {
            exit = Exit::Corrupt;
        }
        let printed = printed.and_then(|()| Ok(out.flush()?));
        match printed {
            Ok(()) => {}
            Err(Stop::Lost) => break,
            Err(Stop::Failed(failure)) => {
                let _ = out.flush();
                return Err(failure);
            }
        }
    }
    Ok(exit)
}

impl<E: Into<Failure>> From<Wrapped<E>> for Stop {
    fn from(Wrapped(error): Wrapped<E>) -> Self {
        Self::Failed(error.into())
    }
}
