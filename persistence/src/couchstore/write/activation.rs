//! The activation of a commit: its block gets the type "header", which every reader searches for.

use crate::contract::EngineError;
use crate::couchstore::file::CommitView;
use crate::couchstore::format::block::HEADER;

/// Marks the commit's block as that of a header. Everything the commit reaches must be durable.
pub(crate) fn activate(view: &CommitView) -> Result<(), EngineError> {
    Ok(view.source.file.write_at(&[&[HEADER]], view.position)?)
}
