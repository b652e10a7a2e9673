//! Rollback of a vBucket to a pinned view, with the state that was committed with it.
//!
//! # Invariants
//!
//! The edit of the manifest begins a new epoch and caps the old ones, so records above the cap do
//! not exist any more, wherever they are. Everything that the view shows is on disk, because the
//! view is pinned until the new index references it (L17).

use lowtide_checkpoint::internal::Invariant;
use lowtide_checkpoint::{Seqno, Vbid};

use super::Store;
use crate::contract::{EngineError, RolledBack};
use crate::logstor::format::encode_state;
use crate::logstor::log::{EpochStart, ManifestEdit};

impl Store {
    /// Rolls a vBucket back to the newest pinned view at or below a seqno.
    ///
    /// # Errors
    /// [`EngineError::UnknownVBucket`]; errors of loading and of an edit of the manifest.
    pub(in crate::logstor) fn rollback(
        &self,
        vb: Vbid,
        to: u64,
    ) -> Result<RolledBack, EngineError> {
        self.context.check_writable()?;
        // Loaded first, so that commits proceed meanwhile.
        self.registry.loaded(vb)?;
        let rolled_back = self.commits.with_commits_paused(|_| {
            self.context.check_writable()?;
            let vbucket = self.registry.loaded(vb)?;
            let now = vbucket.view();
            if to >= now.high() {
                let high = Seqno(now.high());
                return Ok((RolledBack::Done { high }, None));
            }
            let _nothing_moves = self.registry.relocating.write();
            let Some(pinned) = vbucket.newest_pinned(to) else {
                let lowest = Seqno(vbucket.lowest_pinned());
                return Ok((RolledBack::NeedsReset { lowest }, None));
            };
            let high = pinned.view.high();
            let initial = pinned.vbucket.state_at_snapshot(&pinned.view, now.purged());
            // A state has the same length with any purge seqno. One that is left out would be lost
            // when the store is opened again.
            let state = initial.state.as_deref().map(|state| {
                encode_state(state)
                    .invariant("L17", "a state that was committed can be encoded again")
                    .map_err(|violation| self.context.internal(violation))
            });
            let start = EpochStart {
                high,
                state: state.transpose()?,
            };
            self.log.edit(&ManifestEdit::RollBack {
                vb: vb.0,
                purged: (*initial.purged).clone(),
                start,
            })?;
            self.registry.install(vb, Some((&vbucket, high)), initial)?;
            let done = RolledBack::Done { high: Seqno(high) };
            Ok((done, Some((vbucket, pinned))))
        });
        // The old indexes release their records outside the locks.
        rolled_back.map(|(done, _old)| done)
    }
}
