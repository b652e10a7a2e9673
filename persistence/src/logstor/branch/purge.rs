//! Purging: tombstones are hidden at once, and given up when nothing older of their key is left on the disk. And what a
//! rollback needs to know: which views are still there, and what they showed.
//!
//! Always (L41): neither hides the tombstone that has its collection's highest seqno; what one purge spares for that the next
//! takes if it has it no more.

use std::sync::Arc;

use super::{Beginning, Branch, Inner, View};
use crate::logstor::fingerprint::Fingerprint;
use crate::logstor::highs::CollectionHighs;
use crate::logstor::index::{Live, Slot};
use crate::logstor::purged::Purged;

/// What a purge would hide.
#[derive(Debug)]
pub(in crate::logstor) struct Due {
    /// What is hidden then.
    pub(in crate::logstor) purged: Purged,
    /// Tombstones that were not hidden before.
    tombstones: Vec<(u64, Fingerprint)>,
}

impl Branch {
    /// What a purge up to there would hide, if there is anything. The highest seqno stays, and those of the collections.
    pub(in crate::logstor) fn due(&self, upto: u64) -> Option<Due> {
        let inner = self.lock();
        let Inner { index, purged, .. } = &*inner;
        let last = upto.min(inner.high.saturating_sub(1));
        let highest = inner.highs.seqnos();
        // What the last purge spared, unless it was replaced since; then what it did not look at.
        let spared = purged.spared.iter();
        let spared = spared.filter_map(|&seqno| {
            index
                .iter_at(seqno, u64::MAX)
                .next()
                .filter(|slot| slot.seqno == seqno)
        });
        let others = index.iter_at(purged.upto.saturating_add(1), u64::MAX);
        let others = others.take_while(|slot| slot.seqno <= last);
        let shown = spared.chain(others).filter(|slot| slot.tombstone);
        let (tombstones, kept): (Vec<Slot>, Vec<Slot>) =
            shown.partition(|slot| slot.seqno <= last && !highest.contains(&slot.seqno));
        let upto = tombstones.last().map(|slot| slot.seqno)?.max(purged.upto);
        let kept = kept.iter().map(|slot| slot.seqno);
        Some(Due {
            purged: Purged {
                upto,
                spared: kept.filter(|&seqno| seqno <= upto).collect(),
            },
            tombstones: tombstones
                .iter()
                .map(|slot| (slot.seqno, slot.fingerprint))
                .collect(),
        })
    }

    /// Hides what is due. The manifest says so already. How many.
    pub(in crate::logstor) fn hide(&self, due: Due) -> u64 {
        let Due { purged, tombstones } = due;
        let mut inner = self.lock();
        let count = tombstones.len() as u64;
        inner.purged = Arc::new(purged);
        inner.deleted -= count;
        inner.hidden.extend(tombstones);
        let table = self.log.segments.table();
        inner.give_up_hidden(Live(&table));
        count
    }

    /// How far its collections have come.
    pub(in crate::logstor) fn highs(&self) -> Arc<CollectionHighs> {
        Arc::clone(&self.lock().highs)
    }

    /// The purge seqno, told and hidden.
    pub(in crate::logstor) fn purge_seqno(&self) -> u64 {
        self.view().info.purge.0
    }

    /// The newest view at or below a seqno that somebody has pinned, here or before a rollback.
    pub(in crate::logstor) fn newest_pinned(self: &Arc<Self>, to: u64) -> Option<Pinned> {
        let here = self.highest_pin(to).map(|view| Pinned {
            branch: Arc::clone(self),
            view,
        });
        let before = self.parent.as_ref().and_then(|(parent, high)| {
            // Above that, the parent has what did not happen.
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

    /// The lowest high seqno of a view that is there.
    pub(in crate::logstor) fn lowest_pinned(&self) -> u64 {
        let inner = self.lock();
        inner
            .pins
            .values()
            .map(View::high)
            .min()
            .map_or(inner.high, |lowest| lowest.min(inner.high))
    }

    /// How a branch begins that goes back to a pinned view of this one. Tombstones that the view shows and that were purged
    /// since are taken out, except those of the highest seqnos there were then.
    pub(in crate::logstor) fn beginning_at(&self, view: &View, purged: &Purged) -> Beginning {
        let (inner, high) = (self.lock(), view.high());
        let mut slots: Vec<Slot> = inner.index.iter_at(0, high).collect();
        for slot in &mut slots {
            // Every other record of the key counts, whether it is older or newer: too many are none too few.
            slot.stale = inner
                .index
                .get(slot.fingerprint)
                .map_or(u16::MAX, |newest| newest.stale);
        }
        let highest = view.highs.seqnos();
        let is_taken_out =
            |seqno: u64| purged.hides(seqno) && seqno != high && !highest.contains(&seqno);
        let tombstones = slots
            .iter()
            .filter(|slot| slot.tombstone)
            .map(|slot| slot.seqno);
        let (hidden, shown): (Vec<u64>, Vec<u64>) =
            tombstones.partition(|&seqno| view.purged.hides(seqno) || is_taken_out(seqno));
        let upto = hidden.last().copied().unwrap_or(0).max(view.purged.upto);
        let purged = Purged {
            upto,
            spared: shown.into_iter().filter(|&seqno| seqno <= upto).collect(),
        };
        let given_up = inner
            .given_up
            .range(..=high)
            .map(|(&seqno, &records)| (seqno, records))
            .collect();
        let (highs, state) = (Arc::clone(&view.highs), view.state.clone());
        Beginning {
            high,
            highs,
            purged: Arc::new(purged),
            state,
            slots,
            given_up,
            ..Beginning::default()
        }
    }
}

/// A view somebody has pinned, and whose it is.
#[derive(Debug)]
pub(in crate::logstor) struct Pinned {
    pub(in crate::logstor) branch: Arc<Branch>,
    pub(in crate::logstor) view: View,
}

impl Inner {
    pub(super) fn take_in_highs(&mut self, highs: &CollectionHighs) {
        // Views keep what they have.
        Arc::make_mut(&mut self.highs).merge(highs);
    }

    /// Gives up what is hidden, without an older record on the disk, and shown to nobody.
    pub(super) fn give_up_hidden(&mut self, live: Live<'_>) {
        let Self {
            index,
            pins,
            hidden,
            given_up,
            ..
        } = self;
        hidden.retain(|&seqno, &mut fingerprint| {
            let is_shown = pins
                .values()
                .any(|pin| seqno <= pin.high() && !pin.purged.hides(seqno));
            let is_last = index
                .get(fingerprint)
                .is_some_and(|slot| slot.seqno == seqno && slot.stale == 0);
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
    pub(in crate::logstor) const fn purged(&self) -> &Arc<Purged> {
        &self.purged
    }
}
