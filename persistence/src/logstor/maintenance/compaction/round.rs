//! One round of rewriting: victims are claimed and read, their live records copied, the copies
//! installed, the victims freed.
//!
//! # Invariants
//!
//! - A round that is dropped at any time leaves the store sound: durable copies are installed or
//!   counted, and the victims are released.
//! - A round holds the registry of vBuckets and never the store, so that no part of a store leads
//!   back to it (L45).

mod copying;
mod freeing;
mod reading;

use std::collections::BTreeMap;
use std::sync::Arc;

use lowtide_checkpoint::Vbid;

use super::output_segments::FilledSegment;
use crate::contract::EngineError;
use crate::logstor::format::{Location, to_u64};
use crate::logstor::log::{ClosedSegment, Segment};
use crate::logstor::vbucket::{RecordId, Registry};

/// A record to be copied.
#[derive(Clone, Copy, Debug)]
struct RecordCopy {
    vb: Vbid,
    seqno: u64,
    id: RecordId,
    epoch: u32,
    from: Location,
}

/// A copy that is durable and not installed. It holds its segment, so that the segment is not
/// freed.
#[derive(Debug)]
struct DurableCopy {
    copy: RecordCopy,
    to: Location,
    _segment: Arc<Segment>,
}

/// How copies are distributed over segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::logstor::maintenance) enum Packing {
    /// To segments of their vBuckets, where a vBucket has enough.
    Apart,
    /// All together: space is short.
    Together,
}

#[derive(Debug)]
pub(in crate::logstor) struct CompactionRound {
    registry: Arc<Registry>,
    packing: Packing,
    victims: Vec<Arc<Segment>>,
    /// Bytes of the victims, by segment.
    bytes: BTreeMap<u32, Vec<u8>>,
    /// Every record of each victim, to be counted off.
    records: BTreeMap<u32, Vec<(u32, RecordId)>>,
    /// Live records, by vBucket and seqno, last first.
    copies: Vec<RecordCopy>,
    /// Bytes to be copied, by vBucket.
    volumes: BTreeMap<Vbid, u64>,
    pending: Vec<DurableCopy>,
    filled: Vec<FilledSegment>,
    records_copied: u64,
}

impl CompactionRound {
    /// Claims victims and reads them; damaged ones stay as they are. `None` if all are claimed
    /// already.
    ///
    /// # Errors
    /// [`EngineError::Disk`]; [`EngineError::Corrupt`] if all are damaged.
    pub(in crate::logstor::maintenance) fn begin(
        registry: &Arc<Registry>,
        victims: Vec<(Arc<Segment>, ClosedSegment)>,
        packing: Packing,
    ) -> Result<Option<Self>, EngineError> {
        let mut round = Self {
            registry: Arc::clone(registry),
            packing,
            victims: Vec::new(),
            bytes: BTreeMap::new(),
            records: BTreeMap::new(),
            copies: Vec::new(),
            volumes: BTreeMap::new(),
            pending: Vec::new(),
            filled: Vec::new(),
            records_copied: 0,
        };
        round.claim(victims)?;
        round
            .copies
            .sort_unstable_by_key(|copy| std::cmp::Reverse((copy.vb, copy.seqno)));
        Ok((!round.victims.is_empty()).then_some(round))
    }

    /// Overwrites the bytes that were read with zeros.
    #[cfg(test)]
    pub(in crate::logstor) fn lose_bytes(&mut self) {
        self.bytes.values_mut().for_each(|bytes| bytes.fill(0));
    }

    /// Returns the bytes that are moved for each hundred that become free.
    pub(super) fn cost_percent(&self) -> u64 {
        let all: u64 = self
            .victims
            .iter()
            .map(|victim| u64::from(victim.bytes))
            .sum();
        let moved: u64 = self.volumes.values().sum();
        moved.saturating_mul(100) / all.saturating_sub(moved).max(1)
    }

    /// Returns the generations of its victims.
    pub(super) fn generations(&self) -> impl Iterator<Item = u64> {
        self.victims.iter().map(|victim| victim.generation)
    }

    pub(in crate::logstor::maintenance) fn has_copies_left(&self) -> bool {
        !self.copies.is_empty()
    }

    pub(in crate::logstor::maintenance) fn copies_left(&self) -> u64 {
        to_u64(self.copies.len())
    }

    pub(in crate::logstor::maintenance) fn records_copied(&self) -> u64 {
        self.records_copied
    }
}

impl Drop for CompactionRound {
    fn drop(&mut self) {
        self.install_copies();
        for victim in &self.victims {
            self.registry.log.segments.release(victim.id);
        }
    }
}
