//! Bringing a branch's index into memory, while others get and commit.
//!
//! A branch is whole, or stands on what it was when the store was opened ([`Unloaded`]), or can't be read. What always holds
//! while it is not whole:
//!
//! - The index, with those that are frozen, has what was committed since the store was opened, and nothing else: a key that is
//!   in it was overwritten, and any other one is what it was then. So whoever gets looks there, then at what was; both were true when he held the lock
//!   (L38).
//! - Of its records those in these indexes and the state are counted as live, no others; items and tombstones are not counted.
//!   Nobody goes by counts before every branch is whole, and nothing is freed or moved (L23); so a commit has nothing to take
//!   off for the record it replaces, and loading makes all counts what they would have been.
//! - Nobody has pinned it, purged it, or rolled it back: whoever does has loaded it.
//!
//! Loading makes an index of what was, beside the branch, and puts on top what was committed, in the order of seqnos, by the
//! rule by which commits do (L39). That, too, is done beside it, in rounds: what is there is frozen, and commits go to an index
//! of their own; gets look at all of them, newest first. Only what the last round has left goes on top under the lock.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Branch, Inner, Lookup, Unloaded};
use crate::contract::EngineError;
use crate::fault::{self, Fault};
use crate::logstor::damage::Damage;
use crate::logstor::fingerprint::Fingerprint;
use crate::logstor::index::{Index, Live, Slot};
use crate::logstor::segments::Segments;

/// Fewer slots may be put on top under the lock. Tests and models have few.
const SLOTS_LOCKED: usize = if cfg!(any(test, checkpoint_loom)) {
    1
} else {
    512
};
/// So often it is tried to have no more left: what is committed in one round is put on top in the next, in less time.
const ROUNDS_MAX: u32 = 12;
/// Slots that go in while the table of segments is held: whoever needs a segment waits for them.
const SLOTS_AT_ONCE: usize = 512;

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
    pub(in crate::logstor) fn load(
        &self,
        set_aside: impl FnOnce(BTreeSet<u32>),
    ) -> Result<(), EngineError> {
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
        match self.loading.try_lock() {
            Some(_alone) => self.load_alone(set_aside),
            None => {
                if fault::is(Fault::BusyTakenForLoaded) {
                    self.lock().base = Base::Whole;
                }
                Ok(())
            }
        }
    }

    fn load_alone(&self, set_aside: impl FnOnce(BTreeSet<u32>)) -> Result<(), EngineError> {
        let Some(from) = self.base()? else {
            return Ok(());
        };
        let (slots, highs) = match from.contents().map_err(Damage::of) {
            Ok(contents) => contents,
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
        let purged = Arc::clone(&self.lock().purged);
        let mut whole = Inner {
            purged,
            ..Inner::default()
        };
        whole.begin_with(slots, segments);
        whole.take_in_highs(&highs);
        for round in 1.. {
            whole.index.reserve(SLOTS_LOCKED * 2);
            let frozen = {
                let mut inner = self.lock();
                if inner.index.len() < SLOTS_LOCKED || round == ROUNDS_MAX {
                    let left = inner.become_whole(whole, segments);
                    drop(inner);
                    // Its memory goes without the lock.
                    drop((left, from));
                    break;
                }
                let frozen = Arc::new(std::mem::take(&mut inner.index));
                inner.frozen.push(Arc::clone(&frozen));
                frozen
            };
            whole.index.reserve(frozen.len());
            whole.put_on_top(&frozen, segments);
        }
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
        let (from, purged) = {
            let inner = self.lock();
            match (&inner.base, inner.committed(of)) {
                (Base::Lost(damage), _) => return Err(damage.error()),
                (_, Some(slot)) => {
                    let is_hidden = slot.tombstone && inner.purged.hides(slot.seqno);
                    if fault::is(Fault::SegmentTakenLate) {
                        drop(inner);
                    }
                    let segment = self
                        .log
                        .segments
                        .get(slot.location.segment)
                        .filter(|_| !is_hidden);
                    return Ok(
                        segment.map_or(Lookup::Absent, |segment| Lookup::Found(slot, segment))
                    );
                }
                (Base::Whole, None) => return Ok(Lookup::Absent),
                (Base::Unloaded(from), None) => (Arc::clone(from), Arc::clone(&inner.purged)),
            }
        };
        let mut found = from.find(of)?;
        if let (true, Lookup::Found(slot, _)) = (fault::is(Fault::SegmentTakenLate), &found) {
            let slot = *slot;
            drop((from, found));
            let segment = self.log.segments.get(slot.location.segment);
            found = segment.map_or(Lookup::Absent, |segment| Lookup::Found(slot, segment));
        }
        let is_hidden =
            matches!(&found, Lookup::Found(slot, _) if slot.tombstone && purged.hides(slot.seqno));
        Ok(if is_hidden { Lookup::Absent } else { found })
    }

    /// Bytes of the record that a newer one of its key would make dead; 0 if there is none, or it is not in memory.
    pub(in crate::logstor) fn newest_bytes(&self, of: Fingerprint) -> u32 {
        self.lock()
            .committed(of)
            .map_or(0, |slot| slot.location.len)
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
    /// Takes over what was loaded, and puts on top what was committed since it was looked at last. What is left of what that
    /// was kept in.
    fn become_whole(&mut self, whole: Self, segments: &Segments) -> (Index, Vec<Arc<Index>>) {
        let Self {
            index,
            highs,
            items,
            deleted,
            hidden,
            given_up,
            ..
        } = whole;
        self.base = Base::Whole;
        let front = std::mem::replace(&mut self.index, index);
        (self.items, self.deleted) = (items, deleted);
        (self.hidden, self.given_up) = (hidden, given_up);
        self.put_on_top(&front, segments);
        // Commits have told of theirs.
        self.take_in_highs(&highs);
        (front, std::mem::take(&mut self.frozen))
    }

    /// What was committed goes on top of what was there.
    fn put_on_top(&mut self, front: &Index, segments: &Segments) {
        let slots: Vec<Slot> = front.iter_at(0, u64::MAX).collect();
        for slots in slots.chunks(SLOTS_AT_ONCE) {
            let table = segments.table();
            let live = Live(&table);
            for slot in slots {
                if fault::is(Fault::CommitsBesideLoadLost) {
                    return;
                }
                self.take_in(*slot, live);
                // It was counted when it was committed.
                live.remove(slot.location);
            }
        }
    }

    /// The newest record that was committed of a key; of any key, if the branch is whole.
    fn committed(&self, of: Fingerprint) -> Option<Slot> {
        let frozen = || self.frozen.iter().rev().find_map(|index| index.get(of));
        self.index.get(of).or_else(frozen)
    }
}
