//! Folded documents of a foreign client, and the journal for rollbacks.
//!
//! # Invariants
//!
//! - The client can return to each of its points, and to seqno 0.
//! - The content is the sum of the live documents' digests.

use std::collections::VecDeque;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use lowtide_checkpoint::{Key, Seqno};

/// Largest number of points; the oldest are dropped.
const POINTS_MAX: usize = 4_096;

/// Newest revision of one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Revision {
    /// Digest of the [`Document`](crate::node::Document).
    pub(super) digest: u64,
    /// `false` for a tombstone.
    pub(super) is_live: bool,
}

impl Revision {
    fn live_digest(self) -> u64 {
        if self.is_live { self.digest } else { 0 }
    }
}

/// One change, and the revision that it replaced.
#[derive(Debug)]
struct Change {
    seqno: Seqno,
    key: Key,
    before: Option<Revision>,
}

/// Documents by key, with a journal of the last changes.
#[derive(Debug)]
pub(super) struct Folded {
    by_key: HashMap<Key, Revision, FixedState>,
    content: u64,
    journal: VecDeque<Change>,
    /// Number of changes in the journal.
    keeps: usize,
    /// Seqnos at which the documents were complete, within reach of the journal.
    points: VecDeque<Seqno>,
}

impl Folded {
    /// Creates an empty set of documents, with a journal of `keeps` changes.
    pub(super) fn new(keeps: usize) -> Self {
        let points = VecDeque::from([Seqno::ZERO]);
        Self {
            by_key: HashMap::default(),
            content: 0,
            journal: VecDeque::new(),
            keeps,
            points,
        }
    }

    /// Applies a change.
    pub(super) fn apply(&mut self, seqno: Seqno, key: Key, revision: Revision) {
        let before = self.put(key.clone(), Some(revision));
        self.journal.push_back(Change { seqno, key, before });
        while self.journal.len() > self.keeps {
            let Some(gone) = self.journal.pop_front() else {
                break;
            };
            while self.points.front().is_some_and(|&point| point < gone.seqno) {
                self.points.pop_front();
            }
        }
    }

    /// Marks the documents as complete at `seqno`, the last one.
    pub(super) fn mark_whole(&mut self, seqno: Seqno) {
        if !self.is_whole_at(seqno) {
            self.points.push_back(seqno);
        }
        if self.points.len() > POINTS_MAX {
            self.points.pop_front();
        }
    }

    /// Returns `true` if the last complete state is the one at `seqno`.
    pub(super) fn is_whole_at(&self, seqno: Seqno) -> bool {
        self.points.back() == Some(&seqno)
    }

    /// Returns to the newest whole point at or below `seqno`, or to 0 beyond the journal's reach.
    /// Returns that point.
    pub(super) fn roll_back(&mut self, seqno: Seqno) -> Seqno {
        while self.points.back().is_some_and(|&point| point > seqno) {
            self.points.pop_back();
        }
        let point = self.points.back().copied().unwrap_or(Seqno::ZERO);
        if point == Seqno::ZERO {
            *self = Self::new(self.keeps);
            return point;
        }
        while self
            .journal
            .back()
            .is_some_and(|change| change.seqno > point)
        {
            let Some(change) = self.journal.pop_back() else {
                break;
            };
            self.put(change.key, change.before);
        }
        point
    }

    /// Returns the sum of the live documents' digests.
    pub(super) fn content(&self) -> u64 {
        self.content
    }

    /// Returns the digest of a live document.
    pub(super) fn live(&self, key: &Key) -> Option<u64> {
        self.by_key
            .get(key)
            .filter(|revision| revision.is_live)
            .map(|revision| revision.digest)
    }

    /// Returns the first live key that `is_known` denies.
    pub(super) fn first_unknown(&self, is_known: impl Fn(&Key) -> bool) -> Option<&Key> {
        let live = self.by_key.iter().filter(|(_, revision)| revision.is_live);
        live.map(|(key, _)| key).filter(|key| !is_known(key)).min()
    }

    /// Returns the number of live documents.
    pub(super) fn live_count(&self) -> usize {
        self.by_key
            .values()
            .filter(|revision| revision.is_live)
            .count()
    }

    fn put(&mut self, key: Key, revision: Option<Revision>) -> Option<Revision> {
        let before = match revision {
            Some(revision) => self.by_key.insert(key, revision),
            None => self.by_key.remove(&key),
        };
        let digest = |revision: Option<Revision>| revision.map_or(0, Revision::live_digest);
        self.content = self
            .content
            .wrapping_add(digest(revision))
            .wrapping_sub(digest(before));
        before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(folded: &mut Folded, seqno: u64, key: &str) {
        let revision = Revision {
            digest: seqno,
            is_live: true,
        };
        folded.apply(Seqno(seqno), Key::new(key.as_bytes()), revision);
    }

    fn folded(keeps: usize) -> Folded {
        let mut folded = Folded::new(keeps);
        for (seqno, key) in [(1, "a"), (2, "b"), (4, "a"), (5, "c"), (9, "b")] {
            set(&mut folded, seqno, key);
            if seqno != 4 {
                folded.mark_whole(Seqno(seqno));
            }
        }
        folded
    }

    #[test]
    fn journal_rolls_back_to_the_whole_point_below() {
        let mut folded = folded(100);
        assert_eq!((folded.content(), folded.live_count()), (4 + 5 + 9, 3));
        assert_eq!(folded.roll_back(Seqno(8)), Seqno(5));
        assert_eq!(folded.content(), 4 + 2 + 5);
        assert_eq!(
            folded.roll_back(Seqno(4)),
            Seqno(2),
            "at 4 it was inside a snapshot"
        );
        assert_eq!(folded.content(), 1 + 2);
        assert_eq!(folded.live(&Key::new(b"c")), None);
        assert_eq!(folded.roll_back(Seqno(0)), Seqno(0));
        assert_eq!(folded.live_count(), 0);
    }

    #[test]
    fn journal_that_does_not_reach_starts_over() {
        let mut short = folded(1);
        assert_eq!(
            short.roll_back(Seqno(9)),
            Seqno(9),
            "there is nothing to undo"
        );
        assert_eq!(
            (short.roll_back(Seqno(8)), short.content()),
            (Seqno(5), 4 + 2 + 5)
        );
        assert_eq!((short.roll_back(Seqno(4)), short.content()), (Seqno(0), 0));
        let mut none = folded(0);
        assert_eq!(none.roll_back(Seqno(8)), Seqno(0));
        assert_eq!(none.content(), 0);
    }
}
