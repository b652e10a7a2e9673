//! The end of a round: copies are installed in the indexes, then the victims are freed.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::output_segments::OutputSegments;
use super::{CompactionRound, DurableCopy};
use crate::contract::EngineError;
use crate::logstor::format::to_u64;
use crate::logstor::vbucket::{RecordId, VBucketIndex};

/// Records that are counted off under a vBucket's lock at once: commits wait for that lock.
const COUNTED_OFF_AT_ONCE: usize = 256;

impl CompactionRound {
    /// Installs the durable copies in the indexes, and closes the segments they filled.
    pub(in crate::logstor::maintenance) fn install_copies(&mut self) {
        if !self.pending.is_empty() {
            let _no_rollback = self.registry.relocating.read();
            let vbuckets = self.registry.by_epoch();
            for DurableCopy { copy, to, .. } in std::mem::take(&mut self.pending) {
                // A record above its epoch's cap does not exist for the vBucket that was rolled
                // back.
                let has = |vbucket: &&Arc<VBucketIndex>| match copy.id {
                    RecordId::State => true,
                    RecordId::Item { seqno, .. } => vbucket.lineage.contains(copy.epoch, seqno),
                };
                // An index that references the record takes the copy; any other counts it.
                let all = vbuckets.get(&copy.epoch).into_iter().flatten().filter(has);
                all.for_each(|vbucket| vbucket.relocate(copy.id, copy.from, to));
            }
        }
        for filled in std::mem::take(&mut self.filled) {
            filled.close(&self.registry.log);
        }
    }

    /// Frees the victims that are not needed any more. Returns how many segments became free. The
    /// caller holds the outputs, so that nothing is copied meanwhile.
    ///
    /// # Errors
    /// [`EngineError::Disk`]: the victims stay.
    pub(in crate::logstor::maintenance) fn free_victims(
        mut self,
        _outputs: &mut OutputSegments,
    ) -> Result<u64, EngineError> {
        self.install_copies();
        let log = Arc::clone(&self.registry.log);
        let freed = log.invalidate(&self.victims)?;
        let _no_rollback = self.registry.relocating.read();
        let vbuckets = self.registry.by_epoch();
        let mut by_epoch: BTreeMap<u32, Vec<RecordId>> = BTreeMap::new();
        for segment in &freed {
            // A dead segment that could not be read has none: its records stay counted.
            for (epoch, id) in self.records.remove(&segment.id).unwrap_or_default() {
                by_epoch.entry(epoch).or_default().push(id);
            }
        }
        for (epoch, ids) in by_epoch {
            for vbucket in vbuckets.get(&epoch).into_iter().flatten() {
                let of_vbucket = |id: &&RecordId| match id {
                    RecordId::State => false,
                    RecordId::Item { seqno, .. } => vbucket.lineage.contains(epoch, *seqno),
                };
                let ids: Vec<RecordId> = ids.iter().filter(of_vbucket).copied().collect();
                ids.chunks(COUNTED_OFF_AT_ONCE)
                    .for_each(|some| vbucket.count_off(some));
            }
        }
        self.victims
            .retain(|victim| freed.iter().all(|freed| freed.id != victim.id));
        let count = freed
            .iter()
            .map(|segment| 1 + to_u64(segment.rest().len()))
            .sum();
        log.context.counters.segments_compacted.add(count);
        log.segments.reuse(freed);
        Ok(count)
    }
}
