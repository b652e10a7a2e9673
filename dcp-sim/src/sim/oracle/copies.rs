//! Copies of the vBuckets, as the judge follows them: a digest of the newest revision of every key.
//!
//! The nodes keep few documents in memory. The judge applies what they report to have applied, and
//! reads their stores when they start and when they were rolled back.
//!
//! A digest is computed once, when its item arrives. Storing it is cheaper than reading an old value
//! again to subtract its digest.
//!
//! # Invariants
//!
//! - [`Digests::content`] is the sum of the live documents' digests. So two sets are compared at
//!   any time without a walk.

use std::collections::BTreeMap;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use lowtide_checkpoint::{Item, Key, Namespace, Seqno, Vbid};

use super::contents::Document;
use crate::node::NodeId;

/// Newest revision of one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sim) struct Revision {
    pub(in crate::sim) seqno: Seqno,
    pub(in crate::sim) rev_seqno: u64,
    /// [`Document::digest`].
    pub(in crate::sim) digest: u64,
    pub(in crate::sim) is_live: bool,
}

impl Revision {
    pub(in crate::sim) fn of(item: &Item) -> Self {
        let document = Document::of(item);
        Self {
            seqno: document.seqno,
            rev_seqno: document.rev_seqno,
            digest: document.digest(&item.key),
            is_live: document.value.is_some(),
        }
    }

    fn live_digest(&self) -> u64 {
        if self.is_live { self.digest } else { 0 }
    }
}

/// Digests of one copy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::sim) struct Digests {
    by_key: HashMap<Key, Revision, FixedState>,
    content: u64,
}

impl Digests {
    /// Applies an item of the committed name space; others change no document. Returns the digest
    /// of the resulting document.
    pub(in crate::sim) fn apply(&mut self, item: &Item) -> u64 {
        let revision = Revision::of(item);
        if item.operation.namespace() == Some(Namespace::Committed) {
            self.content = self.content.wrapping_add(revision.live_digest());
            if let Some(before) = self.by_key.insert(item.key.clone(), revision) {
                self.content = self.content.wrapping_sub(before.live_digest());
            }
        }
        revision.digest
    }

    /// Returns the sum of the digests of all live documents.
    pub(in crate::sim) fn content(&self) -> u64 {
        self.content
    }

    pub(in crate::sim) fn get(&self, key: &Key) -> Option<Revision> {
        self.by_key.get(key).copied()
    }

    /// Returns all revisions in arbitrary order; no result may depend on it.
    pub(in crate::sim) fn revisions(&self) -> impl Iterator<Item = Revision> {
        self.by_key.values().copied()
    }
}

impl FromIterator<Item> for Digests {
    fn from_iter<T: IntoIterator<Item = Item>>(items: T) -> Self {
        let mut digests = Self::default();
        for item in items {
            digests.apply(&item);
        }
        digests
    }
}

/// Digests of all copies. A copy that is not there has no documents.
#[derive(Debug, Default)]
pub(in crate::sim) struct Copies {
    of: BTreeMap<(NodeId, Vbid), Digests>,
    /// Contents of stores that went back, until their nodes do.
    going_back: BTreeMap<(NodeId, Vbid), Digests>,
}

impl Copies {
    /// Returns the digests of a copy.
    pub(in crate::sim) fn at(&mut self, node: NodeId, vb: Vbid) -> &mut Digests {
        self.of.entry((node, vb)).or_default()
    }

    /// Replaces a copy by what the store of a starting node has.
    pub(in crate::sim) fn started(&mut self, node: NodeId, vb: Vbid, stored: Digests) {
        self.of.insert((node, vb), stored);
    }

    /// Records what the store has after a rollback. The node's memory follows later.
    pub(in crate::sim) fn goes_back(&mut self, node: NodeId, vb: Vbid, stored: Digests) {
        self.going_back.insert((node, vb), stored);
    }

    /// Completes a rollback.
    pub(in crate::sim) fn went_back(&mut self, node: NodeId, vb: Vbid) {
        let stored = self.going_back.remove(&(node, vb)).unwrap_or_default();
        self.of.insert((node, vb), stored);
    }

    /// Removes a copy that is dropped.
    pub(in crate::sim) fn dropped(&mut self, node: NodeId, vb: Vbid) {
        self.of.remove(&(node, vb));
        self.going_back.remove(&(node, vb));
    }

    /// Removes the copies of a node that goes down.
    pub(in crate::sim) fn lost(&mut self, node: NodeId) {
        self.of.retain(|&(of, _), _| of != node);
        self.going_back.retain(|&(of, _), _| of != node);
    }
}
