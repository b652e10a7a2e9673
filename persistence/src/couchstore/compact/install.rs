//! The new file takes the old one's place.
//!
//! Commits are held up from the look at the last commit to the exchange of the writers: what they would add to the old
//! file then would be lost. In between lie the rest to catch up with, if any, the two syncs of the target for that, the
//! renaming and the directory's sync.

use std::sync::Arc;

use crate::contract::{Budget, CompactionReport, EngineError};
use crate::couchstore::file::{CommitView, Source};
use crate::couchstore::store::{CompactionClaim, file_names};
use crate::couchstore::store_context::StoreContext;
use crate::couchstore::write::Writer;

use super::catch_up::{self, Round};
use super::files::{Files, Store, with_directory};
use super::target::Target;

/// A target that is complete and durable for one commit.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) target: Target,
    /// The commit of the old file that it has.
    pub(crate) at: CommitView,
    /// Its own commit of that.
    pub(crate) view: CommitView,
}

/// Makes the target the vBucket's file; gives it back if too much was committed meanwhile to hold up commits for it.
///
/// # Errors
/// Whatever went wrong. The old file stays the vBucket's, or the store is poisoned.
pub(crate) fn install(
    mut ready: Ready,
    revision: u64,
    behind_bytes_max: u64,
    (claim, store, shared): (&CompactionClaim, &Store, &Arc<StoreContext>),
    files: &mut Files,
    report: &mut CompactionReport,
) -> Result<Option<Ready>, EngineError> {
    let vb = claim.vb();
    // Before the vBucket's lock, as everywhere.
    let exchanged = with_directory(store, vb, |directory| {
        claim.exchange(|last| {
            if last.position != ready.at.position {
                if catch_up::behind_bytes(&ready.at, last) > behind_bytes_max {
                    return Ok(None);
                }
                let memory_bytes = shared.config.compaction.sort_bytes;
                let mut round =
                    Round::new(&ready.at, last.clone(), claim.taken_out(last), memory_bytes);
                round.step(&mut ready.target, report, Budget::NONE)?;
                ready.at = round.finish(&mut ready.target)?;
                ready.view = ready.target.commit(&ready.at)?;
                report.catch_up_rounds += 1;
            }
            let path = directory.install(vb, revision, &file_names::compact(vb, revision))?;
            let Source { file, checksum, .. } = ready.view.source.clone();
            let view = CommitView {
                source: Source::new(file, &path, checksum),
                ..ready.view.clone()
            };
            report.bytes_after = view.end;
            Ok(Some((
                Writer::new(view, Arc::clone(shared)),
                ready.target.figures,
            )))
        })
    })?;
    if !exchanged {
        return Ok(Some(ready));
    }
    files.keep_first();
    shared.written_bytes.add(ready.target.written_bytes());
    Ok(None)
}
