//! Going back: to a view that somebody has pinned, with the state that was committed with it.
//!
//! Always (L17): the edit of the manifest makes the new epoch and caps the old ones, so that records above the cap don't
//! exist any more, wherever they are; and what the view shows is on the disk, because it is pinned until the new branch
//! names it.

use lowtide_checkpoint::{Seqno, Vbid};

use crate::contract::{EngineError, RolledBack};

use super::manifest::{Base, Edit};
use super::state;
use super::store::Store;

impl Store {
    pub(super) fn rollback(&self, vb: Vbid, to: u64) -> Result<RolledBack, EngineError> {
        self.shared.check_writable()?;
        // So that others can commit while it is loaded.
        self.branch(vb)?;
        let past = self.writer.alone(|| {
            self.shared.check_writable()?;
            let branch = self.branch(vb)?;
            let now = branch.view();
            if to >= now.high() {
                return Ok((
                    RolledBack::Done {
                        high: Seqno(now.high()),
                    },
                    None,
                ));
            }
            let _nothing_moves = self.registry.relocating.write();
            let Some(pinned) = branch.newest_pinned(to) else {
                return Ok((
                    RolledBack::NeedsReset {
                        lowest: Seqno(branch.lowest_pinned()),
                    },
                    None,
                ));
            };
            let high = pinned.view.high();
            let beginning = pinned.branch.beginning_at(&pinned.view, now.purged());
            let base = Base {
                high,
                state: beginning.state.as_deref().and_then(state::encode),
            };
            let purged = (*beginning.purged).clone();
            self.log.edit(&Edit::RollBack {
                vb: vb.0,
                purged,
                base,
            })?;
            self.install(vb, Some((&branch, high)), beginning);
            // They let go of their records outside the locks.
            Ok((
                RolledBack::Done { high: Seqno(high) },
                Some((branch, pinned)),
            ))
        });
        past.map(|(done, _past)| done)
    }
}
