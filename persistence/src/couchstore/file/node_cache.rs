//! Decoded nodes in memory, within a budget that all files of a store share.
//!
//! # Invariants
//!
//! E22. The cache answers what the file holds, and never holds more bytes than its budget. The
//! first part follows from three rules:
//! - A node is identified by its position and its file's number, which no other file gets while the
//!   store is open.
//! - Only nodes below the end of a durable commit are inserted. A commit's nodes are inserted once
//!   it is durable. A failed commit is cut off at that end, so no cached position is ever written
//!   again.
//! - The nodes of a file are removed with its last reader.
//!
//! Eviction is a clock: a hand passes over the nodes and evicts those that were not used since it
//! last passed. Order and content depend on the calls alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use lowtide_checkpoint::internal::{Invariant as _, violated};

use crate::couchstore::format::{Node, NodeKind};
use crate::numbers::Counter;
use crate::sync::{RwLock, ranks};

/// Memory of the tables for one node, without the node's own bytes.
const ENTRY_BYTES: usize = 2 * size_of::<(Key, Slot)>() + size_of::<Option<Key>>();

/// A file's number and a position in it.
type Key = (u64, u64);

/// The cache of one open store.
#[derive(Debug)]
pub(crate) struct NodeCache {
    budget_bytes: usize,
    files: AtomicU64,
    nodes: RwLock<Nodes>,
    pub(crate) hits: Counter,
    pub(crate) misses: Counter,
}

#[derive(Debug, Default)]
struct Nodes {
    /// Never iterated, because its order is arbitrary.
    slots: HashMap<Key, Slot, FixedState>,
    /// The same keys, in the order in which the hand passes them.
    places: Vec<Option<Key>>,
    /// Places that are `None`.
    free: Vec<usize>,
    /// Place that is examined next when room is needed.
    hand: usize,
    memory_bytes: usize,
}

#[derive(Debug)]
struct Slot {
    place: usize,
    node: Arc<Node>,
    /// Set by a use, cleared by the hand.
    used: AtomicBool,
}

/// A cache without a budget.
impl Default for NodeCache {
    fn default() -> Self {
        Self::new(0)
    }
}

impl NodeCache {
    pub(crate) fn new(budget_bytes: usize) -> Self {
        Self {
            budget_bytes,
            files: AtomicU64::new(0),
            nodes: RwLock::new(ranks::NODE_CACHE, Nodes::default()),
            hits: Counter::default(),
            misses: Counter::default(),
        }
    }

    /// Returns the memory of the nodes and their places.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.nodes.read().memory_bytes
    }

    fn get(&self, key: Key) -> Option<Arc<Node>> {
        let nodes = self.nodes.read();
        let Some(slot) = nodes.slots.get(&key) else {
            self.misses.add(1);
            return None;
        };
        self.hits.add(1);
        slot.used.store(true, Ordering::Relaxed);
        Some(Arc::clone(&slot.node))
    }
}

impl Nodes {
    fn insert(&mut self, key: Key, node: Arc<Node>, budget_bytes: usize) {
        let bytes = charge(&node);
        if bytes > budget_bytes || self.slots.contains_key(&key) {
            return;
        }
        while self.memory_bytes > budget_bytes - bytes {
            if self.slots.is_empty() {
                // An empty cache has no memory. Otherwise the search for a node would not end.
                let _violation = violated("E22", "the cache's memory is that of its nodes");
                self.memory_bytes = 0;
                break;
            }
            self.evict_one();
        }
        // Interior nodes are few, and every change of a leaf below needs them.
        let used = AtomicBool::new(node.kind == NodeKind::Interior);
        let place = self.free.pop().unwrap_or(self.places.len());
        match self.places.get_mut(place) {
            Some(free) => *free = Some(key),
            None => self.places.push(Some(key)),
        }
        self.slots.insert(key, Slot { place, node, used });
        self.memory_bytes += bytes;
    }

    /// Evicts the first node from the hand on that was not used. There is at least one node.
    fn evict_one(&mut self) {
        loop {
            let place = self.places.get(self.hand).copied();
            self.hand = if place.is_some() { self.hand + 1 } else { 0 };
            if let Some(key) = place.flatten()
                && self
                    .slots
                    .get(&key)
                    .is_some_and(|slot| !slot.used.swap(false, Ordering::Relaxed))
            {
                self.remove(key);
                return;
            }
        }
    }

    fn remove(&mut self, key: Key) {
        let Some(slot) = self.slots.remove(&key) else {
            return;
        };
        if let Some(place) = self.places.get_mut(slot.place) {
            *place = None;
        }
        self.free.push(slot.place);
        self.memory_bytes = self
            .memory_bytes
            .checked_sub(charge(&slot.node))
            .expected("E22", "the cache's memory is that of its nodes")
            // Nearer to the truth than a wrapped number, which would drive out every node.
            .unwrap_or(0);
    }
}

fn charge(node: &Node) -> usize {
    node.memory_bytes() + ENTRY_BYTES
}

/// One file's part of the cache.
#[derive(Debug)]
pub(crate) struct FileNodes {
    cache: Arc<NodeCache>,
    file: u64,
}

impl FileNodes {
    /// Registers a file that was just opened or created. Returns `None` if the budget is 0.
    pub(crate) fn new(cache: &Arc<NodeCache>) -> Option<Arc<Self>> {
        let file = cache.files.fetch_add(1, Ordering::Relaxed);
        (cache.budget_bytes > 0).then(|| {
            Arc::new(Self {
                cache: Arc::clone(cache),
                file,
            })
        })
    }

    pub(crate) fn budget_bytes(&self) -> usize {
        self.cache.budget_bytes
    }

    pub(crate) fn get(&self, position: u64) -> Option<Arc<Node>> {
        self.cache.get((self.file, position))
    }

    /// Inserts a node that lies below the end of a durable commit.
    pub(crate) fn insert(&self, position: u64, node: &Arc<Node>) {
        let mut nodes = self.cache.nodes.write();
        nodes.insert(
            (self.file, position),
            Arc::clone(node),
            self.cache.budget_bytes,
        );
    }

    /// Inserts the nodes that a commit wrote and removes those it replaced. The commit is durable.
    pub(crate) fn publish(&self, written: Vec<(u64, Arc<Node>)>, replaced: &[u64]) {
        let mut nodes = self.cache.nodes.write();
        for &position in replaced {
            nodes.remove((self.file, position));
        }
        for (position, node) in written {
            nodes.insert((self.file, position), node, self.cache.budget_bytes);
        }
    }
}

impl Drop for FileNodes {
    fn drop(&mut self) {
        let mut nodes = self.cache.nodes.write();
        for place in 0..nodes.places.len() {
            if let Some(Some(key)) = nodes.places.get(place).copied()
                && key.0 == self.file
            {
                nodes.remove(key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use lowtide_checkpoint::internal::as_in_release;

    use crate::couchstore::format::Entry;

    use super::*;

    fn leaf(value_bytes: usize) -> Arc<Node> {
        let mut raw = vec![1];
        Entry {
            key: "k".into(),
            value: vec![7; value_bytes].into(),
        }
        .encode(&mut raw);
        Arc::new(Node::of_raw(raw).expect("valid").indexed())
    }

    fn kept(file: &FileNodes, upto: u64) -> Vec<u64> {
        (0..upto)
            .filter(|&position| {
                file.cache
                    .nodes
                    .read()
                    .slots
                    .contains_key(&(file.file, position))
            })
            .collect()
    }

    #[test]
    fn cache_never_exceeds_its_budget() {
        let one = charge(&leaf(100));
        let cache = Arc::new(NodeCache::new(one * 10 + one / 2));
        let file = FileNodes::new(&cache).expect("kept");
        for n in 0..1000_u64 {
            file.insert(n, &leaf((n * 37 % 400) as usize));
            let nodes = cache.nodes.read();
            let sum: usize = nodes.slots.values().map(|slot| charge(&slot.node)).sum();
            assert_eq!(
                (nodes.memory_bytes, nodes.slots.len()),
                (sum, nodes.places.iter().flatten().count())
            );
            assert!(sum <= cache.budget_bytes);
        }
        assert!(!kept(&file, 1000).is_empty());
        file.insert(5000, &leaf(one * 11));
        assert!(file.get(5000).is_none(), "larger than everything");
        drop(file);
        assert_eq!(cache.memory_bytes(), 0);
    }

    #[test]
    fn node_in_use_is_not_evicted() {
        let one = charge(&leaf(100));
        let cache = Arc::new(NodeCache::new(one * 4));
        let file = FileNodes::new(&cache).expect("kept");
        for n in 0..40 {
            file.insert(n, &leaf(100));
            assert!(file.get(0).is_some(), "{n}");
        }
        assert_eq!(kept(&file, 40).len(), 4);
    }

    #[test]
    fn nodes_of_a_file_are_its_own_and_go_with_it() {
        let cache = Arc::new(NodeCache::new(1 << 20));
        let (a, b) = (
            FileNodes::new(&cache).expect("kept"),
            FileNodes::new(&cache).expect("kept"),
        );
        a.insert(7, &leaf(1));
        assert!(b.get(7).is_none());
        b.publish(vec![(7, leaf(2)), (8, leaf(3))], &[]);
        b.publish(vec![(9, leaf(4))], &[8]);
        assert_eq!((kept(&a, 20), kept(&b, 20)), (vec![7], vec![7, 9]));
        drop(b);
        assert!(a.get(7).is_some());
        drop(a);
        let next = FileNodes::new(&cache).expect("kept");
        assert_eq!((cache.memory_bytes(), next.get(7).is_none()), (0, true));
    }

    /// Guards E22 in a release build, where a wrong sum must not keep the search for room from ending.
    #[test]
    fn cache_with_a_wrong_sum_goes_on() {
        let one = charge(&leaf(100));
        let cache = Arc::new(NodeCache::new(one * 4));
        let file = FileNodes::new(&cache).expect("kept");
        cache.nodes.write().memory_bytes = one * 4;
        as_in_release(|| file.insert(1, &leaf(100)));
        assert_eq!((kept(&file, 2), cache.memory_bytes()), (vec![1], one));
        cache.nodes.write().memory_bytes = 1;
        as_in_release(|| file.publish(Vec::new(), &[1]));
        assert_eq!((kept(&file, 2), cache.memory_bytes()), (vec![], 0));
    }

    #[test]
    fn cache_without_a_budget_keeps_nothing() {
        assert!(FileNodes::new(&Arc::new(NodeCache::new(0))).is_none());
    }
}
