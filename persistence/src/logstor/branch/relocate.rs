//! What rewriting does to a branch: records get another place by compare-and-swap, and records that were freed are
//! counted off.

use super::{Branch, Inner};
use crate::logstor::fingerprint::Fingerprint;
use crate::logstor::index::Live;
use crate::logstor::segment::Location;

/// What names a record, besides its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::logstor) enum Name {
    /// An item.
    Item {
        fingerprint: Fingerprint,
        seqno: u64,
    },
    /// The vBucket's state.
    State,
}

impl Branch {
    /// Whether a record is one the branch needs.
    pub(in crate::logstor) fn names(&self, name: Name, at: Location) -> bool {
        let inner = self.lock();
        match name {
            Name::State => inner.state_at == Some(at),
            Name::Item { fingerprint, seqno } => inner.index.names(fingerprint, seqno, at),
        }
    }

    /// A record has a copy: takes that, unless the record was replaced meanwhile; then the copy is counted.
    pub(in crate::logstor) fn relocate(&self, name: Name, from: Location, to: Location) {
        let mut inner = self.lock();
        let table = self.log.segments.table();
        let live = Live(&table);
        match name {
            Name::State => {
                if inner.state_at == Some(from) {
                    live.add(to);
                    inner.state_at = Some(to);
                    live.remove(from);
                }
            }
            Name::Item { fingerprint, seqno } => {
                let Inner {
                    index, given_up, ..
                } = &mut *inner;
                if index.get(fingerprint).is_none()
                    && let Some(records) = given_up.get_mut(&seqno)
                {
                    // It was given up while it was copied. At the highest value nobody knows how many there are.
                    *records = records.saturating_add(1);
                }
                index.relocate(fingerprint, seqno, from, to, live);
            }
        }
        self.require_sound(&inner);
    }

    /// An index that contradicts itself ends all writing: what it does not name would be taken for dead.
    pub(super) fn require_sound(&self, inner: &Inner) {
        if inner.index.is_broken() {
            // The next thing that is to be written is told.
            let _ = self
                .log
                .shared
                .inconsistent("an index leads to a slot that is not there");
        }
    }

    /// Breaks its index, for tests.
    #[cfg(test)]
    pub(in crate::logstor) fn break_index(&self) {
        self.lock().index.break_it();
    }

    /// Records were durably taken off the disk: what waited for that is given up.
    pub(in crate::logstor) fn freed(&self, records: &[Name]) {
        let mut inner = self.lock();
        let mut may_go = false;
        for &record in records {
            let Name::Item { fingerprint, seqno } = record else {
                continue;
            };
            if inner.count_off_given_up(seqno) {
                continue;
            }
            let Inner { index, hidden, .. } = &mut *inner;
            may_go |= index
                .forget_stale(fingerprint)
                .is_some_and(|slot| hidden.contains_key(&slot.seqno));
        }
        if may_go {
            let table = self.log.segments.table();
            inner.give_up_hidden(Live(&table));
        }
        self.require_sound(&inner);
    }
}

impl Inner {
    /// Counts off a record of a tombstone that has no slot any more; whether it was one.
    fn count_off_given_up(&mut self, seqno: u64) -> bool {
        let Some(records) = self.given_up.get_mut(&seqno) else {
            return false;
        };
        if *records != u32::MAX {
            *records = records.saturating_sub(1);
        }
        if *records == 0 {
            self.given_up.remove(&seqno);
        }
        true
    }
}
