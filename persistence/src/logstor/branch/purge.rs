//! Purging: tombstones are hidden at once, and given up when nothing older of their key is left on the disk. And what a
//! rollback needs to know: which views are still there, and what they showed.

use std::sync::Arc;

use super::{Beginning, Branch, Inner, View};
use crate::logstor::index::{Live, Slot};

impl Branch {
    /// The highest tombstone that a purge up to there would hide, if there is one. The highest seqno stays.
    pub(in crate::logstor) fn purgeable(&self, upto: u64) -> Option<u64> {
        let inner = self.lock();
        let last = upto.min(inner.high.saturating_sub(1));
        let from = inner.purge.saturating_add(1);
        let newest = inner.index.iter_at(from, u64::MAX).take_while(|slot| slot.seqno <= last);
        newest.filter(|slot| slot.tombstone).map(|slot| slot.seqno).last()
    }

    /// Hides the tombstones up to there. The manifest says so already. How many.
    pub(in crate::logstor) fn hide(&self, upto: u64) -> u64 {
        let mut inner = self.lock();
        let from = inner.purge.saturating_add(1);
        let due: Vec<Slot> = {
            let newest = inner.index.iter_at(from, u64::MAX).take_while(|slot| slot.seqno <= upto);
            newest.filter(|slot| slot.tombstone).collect()
        };
        inner.purge = inner.purge.max(upto);
        inner.deleted -= due.len() as u64;
        inner.hidden.extend(due.iter().map(|slot| (slot.seqno, slot.fingerprint)));
        let table = self.log.segments.table();
        inner.give_up_hidden(Live(&table));
        due.len() as u64
    }

    /// The purge seqno, told and hidden.
    pub(in crate::logstor) fn purge_seqno(&self) -> u64 {
        self.view().info.purge.0
    }

    /// The newest view at or below a seqno that somebody has pinned, here or before a rollback.
    pub(in crate::logstor) fn newest_pinned(self: &Arc<Self>, to: u64) -> Option<Pinned> {
        let here = self.highest_pin(to).map(|view| Pinned { branch: Arc::clone(self), view });
        let before = self.parent.as_ref().and_then(|(parent, high)| {
            // Above that, the parent has what did not happen.
            parent.upgrade()?.newest_pinned(to.min(*high))
        });
        here.into_iter().chain(before).max_by_key(|pinned| (pinned.view.high(), pinned.view.purge))
    }

    fn highest_pin(&self, to: u64) -> Option<View> {
        let inner = self.lock();
        let pins = inner.pins.values().filter(|pin| pin.high() <= to);
        pins.max_by_key(|pin| (pin.high(), pin.purge)).cloned()
    }

    /// The lowest high seqno of a view that is there.
    pub(in crate::logstor) fn lowest_pinned(&self) -> u64 {
        let inner = self.lock();
        inner.pins.values().map(View::high).min().map_or(inner.high, |lowest| lowest.min(inner.high))
    }

    /// How a branch begins that goes back to a pinned view of this one. Tombstones up to `purge` that the view shows are
    /// taken out, except that of its highest seqno.
    pub(in crate::logstor) fn beginning_at(&self, view: &View, purge: u64) -> Beginning {
        let (inner, high) = (self.lock(), view.high());
        let mut slots: Vec<Slot> = inner.index.iter_at(0, high).collect();
        for slot in &mut slots {
            // Every other record of the key counts, whether it is older or newer: too many are none too few.
            slot.stale = inner.index.get(slot.fingerprint).map_or(u16::MAX, |newest| newest.stale);
        }
        let taken_out =
            slots.iter().filter(|slot| slot.tombstone && slot.seqno <= purge && slot.seqno != high);
        let purge = taken_out.map(|slot| slot.seqno).max().unwrap_or(0).max(view.purge);
        let given_up = inner.given_up.range(..=high).map(|(&seqno, &records)| (seqno, records)).collect();
        let state = view.state.clone();
        Beginning { high, purge, state, slots, given_up, ..Beginning::default() }
    }
}

/// A view somebody has pinned, and whose it is.
#[derive(Debug)]
pub(in crate::logstor) struct Pinned {
    pub(in crate::logstor) branch: Arc<Branch>,
    pub(in crate::logstor) view: View,
}

impl Inner {
    /// Gives up what is hidden, without an older record on the disk, and shown to nobody.
    pub(super) fn give_up_hidden(&mut self, live: Live<'_>) {
        let Self { index, pins, hidden, given_up, .. } = self;
        hidden.retain(|&seqno, &mut fingerprint| {
            let is_shown = pins.values().any(|pin| seqno <= pin.high() && pin.purge < seqno);
            let is_last = index.get(fingerprint).is_some_and(|slot| slot.seqno == seqno && slot.stale == 0);
            let stays = is_shown || !is_last;
            if !stays {
                index.remove(fingerprint, live);
                given_up.insert(seqno, 1);
            }
            stays
        });
    }
}

impl View {
    /// What is hidden from it.
    pub(in crate::logstor) const fn hidden_upto(&self) -> u64 {
        self.purge
    }
}
