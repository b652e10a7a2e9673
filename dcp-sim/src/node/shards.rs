//! Shards of a node's flushes, by number. vBucket N belongs to shard N modulo their number.

use lowtide_checkpoint::{ReadLimit, Vbid};
use lowtide_persistence::FlushShard;

/// Shards of a node, at least one.
#[derive(Debug)]
pub(super) struct Shards {
    first: FlushShard,
    rest: Vec<FlushShard>,
}

impl Shards {
    /// Creates `count` shards, or one for 0.
    pub(super) fn new(count: usize, limit: ReadLimit) -> Self {
        Self {
            first: FlushShard::new(limit),
            rest: (1..count).map(|_| FlushShard::new(limit)).collect(),
        }
    }

    /// Returns the number of a vBucket's shard.
    pub(super) fn number(&self, vb: Vbid) -> usize {
        usize::from(vb.0) % (1 + self.rest.len())
    }

    /// Returns the shard of a vBucket.
    pub(super) fn of(&self, vb: Vbid) -> &FlushShard {
        let number = self.number(vb);
        let rest = number.checked_sub(1).and_then(|place| self.rest.get(place));
        rest.unwrap_or(&self.first)
    }

    /// Returns the shard of a vBucket.
    pub(super) fn of_mut(&mut self, vb: Vbid) -> &mut FlushShard {
        match self.number(vb).checked_sub(1) {
            Some(place) => self.rest.get_mut(place).unwrap_or(&mut self.first),
            None => &mut self.first,
        }
    }

    /// Returns the shard of a number.
    pub(super) fn get_mut(&mut self, number: usize) -> Option<&mut FlushShard> {
        self.iter_mut().nth(number)
    }

    /// Returns the shards, by number.
    pub(super) fn iter(&self) -> impl Iterator<Item = &FlushShard> {
        std::iter::once(&self.first).chain(&self.rest)
    }

    /// Returns the shards, by number.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut FlushShard> {
        std::iter::once(&mut self.first).chain(&mut self.rest)
    }
}
