//! Printer of documents as lines, until the output accepts no more.

use std::io::{self, Write};

use lowtide_checkpoint::{Item, Namespace};
use lowtide_persistence::EngineError;
use lowtide_persistence::couchstore::{CouchFile, DocInfo};
use serde::Serialize;

use super::line::{Durable, Line, LocalLine, Value};
use crate::cli::failure::Failure;
use crate::cli::output::message;
use crate::cli::tools::store::text_or_hex;

/// Reason of an early end.
pub(super) enum Stop {
    /// The output accepts nothing any more.
    Lost,
    Failed(Failure),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        // Rows fail in no other way.
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::Lost
        } else {
            Self::Failed(error.into())
        }
    }
}

pub(super) struct Wrapped<E>(pub(super) E);

pub(super) struct Printer<'a> {
    pub(super) out: &'a mut dyn Write,
    pub(super) vb: Option<u16>,
    pub(super) unreadable: u64,
}

impl Printer<'_> {
    pub(super) fn rows(
        &mut self,
        file: &CouchFile,
        mut rows: impl Iterator<Item = Result<DocInfo, EngineError>>,
    ) -> Result<(), Stop> {
        rows.try_for_each(|row| {
            let info = match row {
                Ok(info) => info,
                // An unreadable row is skipped; below an unreadable node nothing is readable.
                Err(error @ EngineError::Corrupt { .. }) => {
                    self.unreadable += 1;
                    message!("error: a row is left out: {error}");
                    return Ok(());
                }
                Err(error) => return Err(Wrapped(error).into()),
            };
            match file.item(&info) {
                Ok(item) => self.row(info.deleted, &item),
                // The other rows are still readable.
                Err(error @ EngineError::Corrupt { .. }) => {
                    self.unreadable += 1;
                    message!("error: seqno {} is left out: {error}", info.seqno);
                    Ok(())
                }
                Err(error) => Err(Wrapped(error).into()),
            }
        })
    }

    pub(super) fn row(&mut self, deleted: bool, item: &Item) -> Result<(), Stop> {
        let (key, key_hex) = text_or_hex(item.key.user());
        self.line(&Line {
            vb: self.vb,
            seqno: item.seqno.0,
            key,
            key_hex,
            collection: Some(item.key.collection()).filter(|&collection| collection != 0),
            namespace: match item.operation.namespace() {
                Some(Namespace::Prepared) => Some("prepared"),
                Some(Namespace::System) => Some("system"),
                Some(Namespace::Committed) | None => None,
            },
            rev_seqno: item.rev_seqno,
            cas: item.cas.to_string(),
            flags: item.flags,
            expiry: item.expiry,
            datatype: item.datatype.0,
            // In the store's sense: an abort is a deleted prepare.
            deleted,
            durable: Durable::new(item),
            value: Value::new(item.value.as_deref()),
        })
    }

    pub(super) fn local(&mut self, id: &[u8], value: &[u8]) -> Result<(), Stop> {
        let (id, id_hex) = text_or_hex(id);
        self.line(&LocalLine {
            vb: self.vb,
            id,
            id_hex,
            value: Value::new(Some(value)),
        })
    }

    fn line(&mut self, line: &impl Serialize) -> Result<(), Stop> {
        serde_json::to_writer(&mut *self.out, line).map_err(io::Error::from)?;
        Ok(self.out.write_all(b"\n")?)
    }
}
