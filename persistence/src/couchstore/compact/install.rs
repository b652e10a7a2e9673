//! The installation of the new file in place of the old one.
//!
//! Commits are blocked from the read of the last commit to the exchange of the writers, because the
//! old file would lose whatever they added. In between lie the last round of catching up, if one is
//! needed, with two syncs of the target, the rename, and the sync of the directory.

use std::sync::Arc;

use crate::contract::{Budget, CompactionReport, EngineError};
use crate::couchstore::file::{CommitView, Source};
use crate::couchstore::store::{CompactionClaim, file_names};
use crate::couchstore::store_context::StoreContext;
use crate::couchstore::write::Writer;

use super::catch_up::{self, Round};
use super::files::{Files, WeakStore, with_directory};
use super::target::Target;

/// A target that is complete and durable for one commit.
#[derive(Debug)]
pub(crate) struct CompletedTarget {
    pub(crate) target: Target,
    /// The commit of the old file that it contains.
    pub(crate) at: CommitView,
    /// The target's own commit of that content.
    pub(crate) view: CommitView,
}

/// Makes the target the vBucket's file. Returns the target if too much was committed meanwhile to
/// block commits for it.
///
/// # Errors
/// Any error. The old file stays the vBucket's, or the store is poisoned.
pub(crate) fn install(
    mut ready: CompletedTarget,
    revision: u64,
    behind_bytes_max: u64,
    (claim, store, shared): (&CompactionClaim, &WeakStore, &Arc<StoreContext>),
    files: &mut Files,
    report: &mut CompactionReport,
) -> Result<Option<CompletedTarget>, EngineError> {
    let vb = claim.vb();
    // The order of locks: directory, then vBucket.
    let exchanged = with_directory(store, vb, |directory| {
        claim.exchange(|last| {
            if last.position != ready.at.position {
                if catch_up::behind_bytes(&ready.at, last) > behind_bytes_max {
                    return Ok(None);
                }
                let memory_bytes = shared.config.compaction.sort_bytes;
                let mut round = Round::new(
                    &ready.at,
                    last.clone(),
                    claim.take_purged(last),
                    memory_bytes,
                );
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
