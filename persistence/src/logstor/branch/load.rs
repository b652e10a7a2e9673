//! Bringing a branch's index into memory, while others get and commit.
//!
//! A branch is whole, or stands on what it was when the store was opened ([`Unloaded`]), or can't be read. What always holds
//! while it is not whole:
//!
//! - The index has what was committed since the store was opened, and nothing else: a key that is in it was overwritten, and
//!   any other one is what it was then. So whoever gets looks there, then at what was; both were true when he held the lock
//!   (L38).
//! - Of its records those in the index and the state are counted as live, no others; items and tombstones are not counted.
//!   Nobody goes by counts before every branch is whole, and nothing is freed or moved (L23); so a commit has nothing to take
//!   off for the record it replaces, and loading makes all counts what they would have been.
//! - Nobody has pinned it, purged it, or rolled it back: whoever does has loaded it.
//!
//! Loading makes an index of what was, beside the branch; then, under its lock, what was committed since goes on top in the
//! order of seqnos, by the rule by which commits do (L39). The lock is held as long as that takes: it costs what was
//! committed, not what was there.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Branch, Inner, Lookup, Unloaded};
use crate::EngineError;
use crate::fault::{self, Fault};
use crate::logstor::damage::Damage;
use crate::logstor::fingerprint::Fingerprint;
use crate::logstor::index::Live;

/// What the index is to be seen with.
#[derive(Debug, Default)]
pub(super) enum Base {
    /// Nothing: it has everything.
    #[default]
    Whole,
    /// What was there when the store was opened.
    Unloaded(Arc<Unloaded>),
    /// Something that can't be read.
    Lost(Damage),
}

impl Branch {
    /// Brings its index into memory, if it is not there: whoever needs all of it has done that. One at a time does it;
    /// gets and commits don't wait. If it turns out that it can't be read, `set_aside` is told of its segments first.
    ///
    /// # Errors
    /// [`EngineError::Disk`]: it is not loaded then; [`EngineError::Corrupt`]: it will never be.
    pub(in crate::logstor) fn load(&self, set_aside: impl FnOnce(BTreeSet<u32>)) -> Result<(), EngineError> {
        if self.base()?.is_none() {
            return Ok(());
        }
        let _alone = self.loading.lock();
        self.load_alone(set_aside)
    }

    /// As [`Branch::load`], unless somebody is at it: then it leaves that to him.
    ///
    /// # Errors
    /// As there.
    pub(in crate::logstor) fn load_beside(
        &self,
        set_aside: impl FnOnce(BTreeSet<u32>),
    ) -> Result<(), EngineError> {
        self.loading.try_lock().map_or(Ok(()), |_alone| self.load_alone(set_aside))
    }

    fn load_alone(&self, set_aside: impl FnOnce(BTreeSet<u32>)) -> Result<(), EngineError> {
        let Some(from) = self.base()? else { return Ok(()) };
        let slots = match from.slots().map_err(Damage::of) {
            Ok(slots) => slots,
            Err(Err(error)) => return Err(error),
            Err(Ok(damage)) => {
                set_aside(from.segments());
                // Whoever sees it can rely on that.
                let error = damage.error();
                self.lock().base = Base::Lost(damage);
                return Err(error);
            }
        };
        let segments = &self.log.segments;
        let mut whole = Inner { purge: self.lock().purge, ..Inner::default() };
        whole.begin_with(slots, segments);
        // Under the lock it should not have to grow.
        whole.index.reserve(self.lock().index.len() * 2);
        let front = {
            let mut inner = self.lock();
            let front = std::mem::take(&mut inner.index);
            inner.become_whole(whole);
            let table = segments.table();
            let live = Live(&table);
            for slot in front.iter_at(0, u64::MAX) {
                if fault::is(Fault::CommitsBesideLoadLost) {
                    break;
                }
                inner.take_in(slot, live);
                // It was counted when it was committed.
                live.remove(slot.location);
            }
            front
        };
        // Its memory goes without the lock.
        drop((front, from));
        Ok(())
    }

    /// What it stands on, unless it is whole.
    fn base(&self) -> Result<Option<Arc<Unloaded>>, EngineError> {
        match &self.lock().base {
            Base::Whole => Ok(None),
            Base::Unloaded(from) => Ok(Some(Arc::clone(from))),
            Base::Lost(damage) => Err(damage.error()),
        }
    }

    /// A key's newest record, whether the branch is whole or not; tombstones that are hidden are none.
    ///
    /// # Errors
    /// [`EngineError::Disk`]; [`EngineError::Corrupt`] if it is known that the branch can't be read.
    pub(in crate::logstor) fn newest(&self, of: Fingerprint) -> Result<Lookup, EngineError> {
        let (from, purge) = {
            let inner = self.lock();
            match (&inner.base, inner.index.get(of)) {
                (Base::Lost(damage), _) => return Err(damage.error()),
                (_, Some(slot)) => {
                    let is_hidden = slot.tombstone && slot.seqno <= inner.purge;
                    if fault::is(Fault::SegmentTakenLate) {
                        drop(inner);
                    }
                    let segment = self.log.segments.get(slot.location.segment).filter(|_| !is_hidden);
                    return Ok(segment.map_or(Lookup::Absent, |segment| Lookup::Found(slot, segment)));
                }
                (Base::Whole, None) => return Ok(Lookup::Absent),
                (Base::Unloaded(from), None) => (Arc::clone(from), inner.purge),
            }
        };
        let mut found = from.find(of)?;
        if let (true, Lookup::Found(slot, _)) = (fault::is(Fault::SegmentTakenLate), &found) {
            let slot = *slot;
            drop((from, found));
            let segment = self.log.segments.get(slot.location.segment);
            found = segment.map_or(Lookup::Absent, |segment| Lookup::Found(slot, segment));
        }
        let is_hidden = matches!(&found, Lookup::Found(slot, _) if slot.tombstone && slot.seqno <= purge);
        Ok(if is_hidden { Lookup::Absent } else { found })
    }

    /// Why it can't be read, if it is known that it can't.
    pub(in crate::logstor) fn damage(&self) -> Option<Damage> {
        match &self.lock().base {
            Base::Lost(damage) => Some(damage.clone()),
            Base::Whole | Base::Unloaded(_) => None,
        }
    }

    /// Whether there is something to load.
    pub(in crate::logstor) fn is_unloaded(&self) -> bool {
        matches!(self.lock().base, Base::Unloaded(_))
    }
}

impl Inner {
    /// Takes over what was loaded.
    fn become_whole(&mut self, whole: Self) {
        let Self { index, items, deleted, hidden, given_up, .. } = whole;
        self.base = Base::Whole;
        self.index = index;
        (self.items, self.deleted) = (items, deleted);
        (self.hidden, self.given_up) = (hidden, given_up);
    }
}
