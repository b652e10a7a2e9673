//! Expected contents of vBuckets, counted from the changes themselves: every change takes the next
//! seqno of its key's vBucket, and the newest of each key counts.
//!
//! Nothing here asks the code under test.

use std::collections::BTreeMap;

use bytes::Bytes;
use dcp_sim::input::{Change, Source};
use lowtide_checkpoint::{Item, Key, Seqno, Vbid};

use crate::stores::StoredVBucket;

/// A revision of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    /// Seqno in the vBucket's order.
    pub seqno: Seqno,
    /// Number of revisions that the key has had, this one included.
    pub rev_seqno: u64,
    /// Value; `None` for a tombstone.
    pub value: Option<Bytes>,
}

impl Revision {
    /// Returns the revision that an item claims to be.
    #[must_use]
    pub fn of(item: &Item) -> Self {
        let value = item.value.clone().filter(|_| !item.deleted);
        Self {
            seqno: item.seqno,
            rev_seqno: item.rev_seqno,
            value,
        }
    }
}

/// Changes of one vBucket, the first of which has seqno 1.
#[derive(Clone, Debug, Default)]
pub struct History(Vec<(Key, Option<Bytes>)>);

impl History {
    /// Records the next change; returns the revision it makes.
    pub fn push(&mut self, key: &[u8], value: Option<Bytes>) -> Revision {
        let key = Key::new(key);
        let rev_seqno = self.0.iter().filter(|(known, _)| *known == key).count() as u64 + 1;
        self.0.push((key, value.clone()));
        Revision {
            seqno: self.high(),
            rev_seqno,
            value,
        }
    }

    /// Returns the last seqno.
    #[must_use]
    pub fn high(&self) -> Seqno {
        Seqno(self.0.len() as u64)
    }

    /// Returns the change with that seqno.
    #[must_use]
    pub fn change(&self, seqno: Seqno) -> Option<(&Key, Option<&Bytes>)> {
        let index = usize::try_from(seqno.0.checked_sub(1)?).ok()?;
        self.0.get(index).map(|(key, value)| (key, value.as_ref()))
    }

    /// Returns the newest revision of every key at a seqno.
    #[must_use]
    pub fn fold(&self, upto: Seqno) -> BTreeMap<Key, Revision> {
        let mut revisions: BTreeMap<Key, Revision> = BTreeMap::new();
        for (seqno, (key, value)) in (1..=upto.0).zip(&self.0) {
            let rev_seqno = revisions.get(key).map_or(0, |revision| revision.rev_seqno) + 1;
            revisions.insert(
                key.clone(),
                Revision {
                    seqno: Seqno(seqno),
                    rev_seqno,
                    value: value.clone(),
                },
            );
        }
        revisions
    }

    /// Returns the keys changed in `after+1..=upto`.
    fn changed(&self, after: Seqno, upto: Seqno) -> Vec<&Key> {
        let seqnos = after.0 + 1..=upto.0;
        seqnos
            .filter_map(|seqno| self.change(Seqno(seqno)))
            .map(|(key, _)| key)
            .collect()
    }

    /// Returns the first difference from a stored vBucket; `None` if there is none.
    ///
    /// A vBucket of whole snapshots is exactly the fold at its high seqno. Inside a snapshot that
    /// is still being received, a key may lack a revision that the rest of the snapshot replaces,
    /// but nothing from before the snapshot; everything else is exact.
    #[must_use]
    pub fn difference(&self, stored: &StoredVBucket) -> Option<String> {
        if stored.high > self.high() {
            return Some(format!(
                "high seqno {}, but there are {} changes",
                stored.high,
                self.high()
            ));
        }
        let (complete, end) = match &stored.state {
            Some(state) => (state.snapshot_start, state.snapshot_end),
            None => (Seqno::ZERO, Seqno::ZERO),
        };
        if end < stored.high || complete > stored.high {
            return Some(format!(
                "high seqno {} outside its snapshot, {complete} to {end}",
                stored.high
            ));
        }
        let to_come = self.changed(stored.high, end);
        let (now, before) = (self.fold(stored.high), self.fold(complete));
        let found: BTreeMap<_, _> = stored
            .items
            .iter()
            .map(|(key, item)| (key, Revision::of(item)))
            .collect();
        if let Some(key) = found.keys().find(|key| !now.contains_key(**key)) {
            return Some(format!("{key:?} was not written by {}", stored.high));
        }
        now.iter().find_map(|(key, wanted)| {
            let found = found.get(key);
            if found == Some(wanted) {
                return None;
            }
            let is_kept =
                before.get(key).map(|before| before.seqno) <= found.map(|found| found.seqno);
            let is_older = found
                .is_none_or(|found| found.seqno < wanted.seqno && self.is_revision(key, found));
            (!to_come.contains(&key) || !is_kept || !is_older).then(|| {
                format!(
                    "{key:?} at {} in {complete}..{end}: wanted {wanted:?}, found {found:?}",
                    stored.high
                )
            })
        })
    }

    fn is_revision(&self, key: &Key, revision: &Revision) -> bool {
        self.fold(revision.seqno).get(key) == Some(revision)
    }
}

/// Histories of all vBuckets.
#[derive(Clone, Debug)]
pub struct Histories(Vec<History>);

impl Histories {
    /// Returns histories without changes.
    #[must_use]
    pub fn new(vbuckets: u16) -> Self {
        Self(vec![History::default(); usize::from(vbuckets)])
    }

    /// Reads changes until every vBucket has the number in `wanted`, or the source is at its end.
    ///
    /// # Panics
    ///
    /// If the source fails.
    pub fn read_until(&mut self, source: &mut dyn Source, wanted: &BTreeMap<Vbid, Seqno>) {
        let is_short = |histories: &Self| {
            wanted
                .iter()
                .any(|(&vb, &high)| histories.of(vb).is_none_or(|history| history.high() < high))
        };
        while is_short(self) {
            let Some(batch) = source.next_batch().expect("a source that works") else {
                return;
            };
            for Change { key, value } in batch.changes {
                let count = u16::try_from(self.0.len()).expect("not that many");
                let vb = dcp_sim::input::vbucket_of(&key, count);
                self.0[usize::from(vb)].0.push((Key::new(&key), value));
            }
        }
    }

    /// Returns the history of a vBucket.
    #[must_use]
    pub fn of(&self, vb: Vbid) -> Option<&History> {
        self.0.get(usize::from(vb.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lowtide_checkpoint::{FailoverLog, State, VBucketState, VbUuid};

    fn stored(high: u64, snapshot: (u64, u64), items: &[(&str, u64, u64)]) -> StoredVBucket {
        let mut state = VBucketState::new(State::Replica, FailoverLog::new(VbUuid(1)));
        (state.snapshot_start, state.snapshot_end) = (Seqno(snapshot.0), Seqno(snapshot.1));
        let items = items.iter().map(|&(key, seqno, rev_seqno)| {
            let key = Key::new(key.as_bytes());
            let item = Item::mutation(key.clone(), Bytes::from(format!("{seqno}")));
            (
                key,
                Item {
                    seqno: Seqno(seqno),
                    rev_seqno,
                    ..item
                },
            )
        });
        StoredVBucket {
            high: Seqno(high),
            items: items.collect(),
            state: Some(state),
        }
    }

    /// Guards the judge of the durability tests: it must be exact where stores must be, and lenient
    /// nowhere else.
    #[test]
    fn histories_that_differ_are_found() {
        let mut history = History::default();
        for (seqno, key) in ["a", "b", "a", "c", "b"].iter().enumerate() {
            history.push(key.as_bytes(), Some(Bytes::from(format!("{}", seqno + 1))));
        }
        let good = [
            stored(0, (0, 0), &[]),
            stored(3, (3, 3), &[("a", 3, 2), ("b", 2, 1)]),
            stored(4, (0, 5), &[("a", 3, 2), ("c", 4, 1)]),
            stored(4, (2, 5), &[("a", 3, 2), ("b", 2, 1), ("c", 4, 1)]),
            stored(2, (1, 3), &[("a", 1, 1), ("b", 2, 1)]),
        ];
        for stored in good {
            assert_eq!(history.difference(&stored), None);
        }
        let bad = [
            ("the last is missing", stored(3, (3, 3), &[("b", 2, 1)])),
            (
                "the last is old",
                stored(3, (3, 3), &[("a", 1, 1), ("b", 2, 1)]),
            ),
            (
                "a revision's number",
                stored(3, (3, 3), &[("a", 3, 1), ("b", 2, 1)]),
            ),
            (
                "nothing more of it is to come",
                stored(4, (4, 4), &[("a", 3, 2), ("c", 4, 1)]),
            ),
            (
                "it was there before the snapshot",
                stored(4, (2, 5), &[("a", 3, 2), ("c", 4, 1)]),
            ),
            (
                "something newer",
                stored(3, (3, 3), &[("a", 3, 2), ("b", 2, 1), ("c", 4, 1)]),
            ),
            ("more than there is", stored(6, (6, 6), &[])),
            (
                "outside its snapshot",
                stored(2, (0, 1), &[("a", 1, 1), ("b", 2, 1)]),
            ),
        ];
        for (what, stored) in bad {
            assert!(history.difference(&stored).is_some(), "{what}");
        }
    }
}
