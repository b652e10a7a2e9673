//! One branch of a vBucket's history: its writes, and sums that compare any prefix of them in one step.
//!
//! # Invariants
//!
//! The content of a write is the sum of the digests of the documents that are live after it.

use std::collections::BTreeMap;

use lowtide_checkpoint::{Key, Seqno, VbUuid};

/// One write.
#[derive(Clone, Debug)]
pub(super) struct Write {
    pub(super) seqno: Seqno,
    pub(super) key: Key,
    pub(super) revision: u64,
    pub(super) is_live: bool,
    /// Sums of the digests of all live documents after the write.
    pub(super) content: Content,
}

/// Sums of document digests: in the default collection, and in all others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) default: u64,
    pub(super) others: u64,
}

impl Content {
    pub(super) fn of(&mut self, key: &Key) -> &mut u64 {
        if key.collection() == 0 {
            &mut self.default
        } else {
            &mut self.others
        }
    }

    pub(super) fn seen_by(self, sees: Sees) -> u64 {
        match sees {
            Sees::Everything => self.default.wrapping_add(self.others),
            Sees::Default => self.default,
            Sees::Others => self.others,
        }
    }
}

/// Collections that a client sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sim) enum Sees {
    Everything,
    Default,
    Others,
}

impl Sees {
    /// Returns `true` if the client sees the key.
    pub(in crate::sim) fn key(self, key: &Key) -> bool {
        match self {
            Self::Everything => true,
            Self::Default => key.collection() == 0,
            Self::Others => key.collection() != 0,
        }
    }
}

/// One branch, including the writes of its ancestors.
#[derive(Clone, Debug)]
pub(super) struct Branch {
    pub(super) parent: Option<VbUuid>,
    pub(super) start: Seqno,
    /// Last seqno of the copy that started the branch.
    pub(super) inherited: Seqno,
    pub(super) writes: Vec<Write>,
    pub(super) live: BTreeMap<Key, u64>,
}

impl Branch {
    pub(super) fn new(parent: Option<VbUuid>, start: Seqno) -> Self {
        Self {
            parent,
            start,
            inherited: start,
            writes: Vec::new(),
            live: BTreeMap::new(),
        }
    }

    pub(super) fn high(&self) -> Seqno {
        self.writes.last().map_or(Seqno::ZERO, |write| write.seqno)
    }

    pub(super) fn push(&mut self, seqno: Seqno, key: Key, revision: u64, is_live: bool) {
        let mut content = self
            .writes
            .last()
            .map_or(Content::default(), |write| write.content);
        let replaced = if is_live {
            self.live.insert(key.clone(), revision)
        } else {
            self.live.remove(&key)
        };
        let added = if is_live { revision } else { 0 };
        let sum = content.of(&key);
        *sum = sum.wrapping_add(added).wrapping_sub(replaced.unwrap_or(0));
        self.writes.push(Write {
            seqno,
            key,
            revision,
            is_live,
            content,
        });
    }

    /// Returns `true` if the seqno is inside a snapshot that the starting copy had in part.
    pub(super) fn is_inside_its_beginning(&self, seqno: Seqno) -> bool {
        self.start < seqno && seqno < self.inherited
    }

    pub(super) fn at(&self, seqno: Seqno) -> Option<&Write> {
        let index = self.writes.partition_point(|write| write.seqno <= seqno);
        self.writes.get(index.checked_sub(1)?)
    }
}
