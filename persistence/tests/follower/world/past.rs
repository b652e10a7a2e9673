//! The items that were ever written, for comparison with those that a follower delivers.

use lowtide_checkpoint::{Item, Seqno, VbUuid};

use super::World;
use crate::history::{Contents, History, contents};

impl World {
    fn history_of(&self, branch: VbUuid) -> &History {
        if branch == self.log.newest().uuid {
            return &self.history;
        }
        self.branches.get(&branch).unwrap_or(&self.history)
    }

    /// Returns whether the item was ever written.
    pub(crate) fn has_written(&self, item: &Item) -> bool {
        let at = usize::try_from(item.seqno.prev().0).expect("small");
        let histories = self.branches.values().chain([&self.history]);
        let mut written = histories.filter_map(|history| history.get(at).cloned().flatten());
        written.any(|written| {
            (&written.key, &written.value, written.deleted)
                == (&item.key, &item.value, item.deleted)
        })
    }

    /// Returns the contents of a branch's history at `seqno`, and the completed prepare.
    pub(crate) fn contents_at(&self, branch: VbUuid, seqno: Seqno) -> (Contents, Seqno) {
        let items = self.history_of(branch).iter().flatten();
        contents(items.filter(|item| item.seqno <= seqno))
    }
}
