//! Pinned views: taking and releasing them, and finding the one to roll back to.

use std::sync::{Arc, Weak};

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

/// The indexes that an index was rolled back from, newest first, each with the highest seqno up to
/// which its records are the index's too. An index that no snapshot holds any more is gone; those
/// before it may not be, so each is named here.
#[derive(Debug, Default)]
pub(in crate::logstor) struct Ancestors(Vec<(Weak<VBucketIndex>, u64)>);

impl Ancestors {
    fn alive(&self) -> impl Iterator<Item = (Arc<VBucketIndex>, u64)> {
        let indexes = self.0.iter();
        indexes.filter_map(|(vbucket, shared)| Some((vbucket.upgrade()?, *shared)))
    }
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

    /// Returns the newest pinned view at or below a seqno, of this index or of an ancestor.
    pub(in crate::logstor) fn newest_pinned(self: &Arc<Self>, to: u64) -> Option<PinnedView> {
        let ancestors = self.ancestors.alive();
        let indexes = std::iter::once((Arc::clone(self), u64::MAX)).chain(ancestors);
        let pinned = indexes.filter_map(|(vbucket, shared)| {
            let view = vbucket.highest_pin(to.min(shared))?;
            Some(PinnedView { vbucket, view })
        });
        pinned.max_by_key(|pinned| (pinned.view.high(), pinned.view.purged.upto))
    }

    /// Returns the ancestors of an index that replaces this one after a rollback to a seqno.
    pub(in crate::logstor) fn ancestors_of_branch(self: &Arc<Self>, to: u64) -> Ancestors {
        let ancestors = self.ancestors.alive();
        let indexes = std::iter::once((Arc::clone(self), to)).chain(ancestors);
        Ancestors(
            indexes
                .map(|(vbucket, shared)| (Arc::downgrade(&vbucket), shared.min(to)))
                .collect(),
        )
    }

    fn highest_pin(&self, to: u64) -> Option<View> {
        let inner = self.lock();
        let pins = inner.pins.values().filter(|pin| pin.high() <= to);
        pins.max_by_key(|pin| (pin.high(), pin.purged.upto))
            .cloned()
    }

    /// Returns the lowest high seqno of a view that [`Self::newest_pinned`] finds, or this index's
    /// own.
    pub(in crate::logstor) fn lowest_pinned(&self) -> u64 {
        let ancestors = self.ancestors.alive();
        let before = ancestors.filter_map(|(vbucket, shared)| {
            let lowest = vbucket.lowest_pin()?;
            (lowest <= shared).then_some(lowest)
        });
        let pinned = self.lowest_pin().into_iter().chain(before);
        pinned.fold(self.high(), u64::min)
    }

    fn lowest_pin(&self) -> Option<u64> {
        self.lock().pins.values().map(View::high).min()
    }
}
