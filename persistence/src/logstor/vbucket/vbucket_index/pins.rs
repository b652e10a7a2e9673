//! Pinned views: taking and releasing them, and finding the one to roll back to.

use std::sync::Arc;

use lowtide_checkpoint::internal::checked_invariant;

use super::view::View;
use super::{Inner, VBucketIndex};
use crate::logstor::index::ReferenceCounts;

/// A pinned view, and its index.
#[derive(Debug)]
pub(in crate::logstor) struct PinnedView {
    pub(in crate::logstor) vbucket: Arc<VBucketIndex>,
    pub(in crate::logstor) view: View,
}

impl VBucketIndex {
    /// Returns the current view.
    pub(in crate::logstor) fn view(&self) -> View {
        self.lock().view()
    }

    /// Pins the current view. Returns the number with which it is unpinned.
    pub(in crate::logstor) fn pin(&self) -> (u64, View) {
        let mut inner = self.lock();
        let number = inner.next_pin;
        let view = inner.view();
        inner.next_pin += 1;
        inner.pins.insert(number, view.clone());
        (number, view)
    }

    pub(in crate::logstor::vbucket) fn unpin(&self, number: u64) {
        let mut inner = self.lock();
        let was_pinned = inner.pins.remove(&number).is_some();
        checked_invariant!(was_pinned, "L11", "a view is pinned until it is released");
        let uses = self.log.segments.uses();
        let counts = ReferenceCounts(&uses);
        if inner.index.overlay_len() > 0 {
            let Inner { index, pins, .. } = &mut *inner;
            index.trim_overlay(counts, |from, to| {
                pins.values()
                    .any(|pin| from <= pin.high() && pin.high() < to)
            });
        }
        inner.reclaim_purged(counts);
    }

    /// Returns the newest pinned view at or below a seqno, of this index or of one before a
    /// rollback.
    pub(in crate::logstor) fn newest_pinned(self: &Arc<Self>, to: u64) -> Option<PinnedView> {
        let here = self.highest_pin(to).map(|view| PinnedView {
            vbucket: Arc::clone(self),
            view,
        });
        let before = self.parent.as_ref().and_then(|(parent, high)| {
            // Records of the parent above that seqno were rolled back.
            parent.upgrade()?.newest_pinned(to.min(*high))
        });
        here.into_iter()
            .chain(before)
            .max_by_key(|pinned| (pinned.view.high(), pinned.view.purged.upto))
    }

    fn highest_pin(&self, to: u64) -> Option<View> {
        let inner = self.lock();
        let pins = inner.pins.values().filter(|pin| pin.high() <= to);
        pins.max_by_key(|pin| (pin.high(), pin.purged.upto))
            .cloned()
    }

    /// Returns the lowest high seqno of a pinned view.
    pub(in crate::logstor) fn lowest_pinned(&self) -> u64 {
        let inner = self.lock();
        inner
            .pins
            .values()
            .map(View::high)
            .min()
            .map_or(inner.high, |lowest| lowest.min(inner.high))
    }
}
