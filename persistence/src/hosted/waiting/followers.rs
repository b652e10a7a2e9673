//! The followers of a store, so that the store can wake them all.

use std::collections::BTreeMap;

use lowtide_checkpoint::WaitSet;

use crate::sync::{Mutex, ranks};

/// The number in a wait set by which the store wakes a follower: the highest vBucket is 65,535.
pub const BY_STORE: u64 = u64::MAX;

/// The wait sets of a store's followers, so that the store can wake them.
#[derive(Debug)]
pub struct Followers(Mutex<Registered>);

#[derive(Debug, Default)]
struct Registered {
    sets: BTreeMap<u64, WaitSet>,
    last: u64,
}

impl Default for Followers {
    fn default() -> Self {
        Self::new()
    }
}

impl Followers {
    /// Creates the list of a store without followers.
    #[must_use]
    pub fn new() -> Self {
        Self(Mutex::new(ranks::FOLLOWERS, Registered::default()))
    }

    /// Registers a wait set. Returns the number under which it is removed.
    pub fn register(&self, set: &WaitSet) -> u64 {
        let mut registered = self.0.lock();
        registered.last += 1;
        let number = registered.last;
        registered.sets.insert(number, set.clone());
        number
    }

    /// Returns the number of followers.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.lock().sets.len()
    }

    /// Removes a wait set.
    pub fn remove(&self, number: u64) {
        self.0.lock().sets.remove(&number);
    }

    /// Wakes every follower, so that it looks again.
    pub fn wake(&self) {
        let sets: Vec<_> = self.0.lock().sets.values().cloned().collect();
        sets.iter().for_each(|set| set.raise(BY_STORE));
    }
}
