//! The activation of a commit: its block becomes one of type "header", which every reader looks for.

use crate::contract::EngineError;
use crate::couchstore::file::CommitView;
use crate::couchstore::format::block::HEADER;

/// Marks the commit's block as that of a header. Under that type everything must be durable.
pub(crate) fn activate(view: &CommitView) -> Result<(), EngineError> {
    Ok(view.source.file.write_at(&[&[HEADER]], view.position)?)
}
