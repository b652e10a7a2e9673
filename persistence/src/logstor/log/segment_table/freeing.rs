//! Freeing of closed segments that nothing needs.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use lowtide_checkpoint::internal::checked_invariant;

use super::super::segment::{LogFile, Segment};
use super::SegmentTable;
use crate::contract::EngineError;
use crate::fault::{self, Fault};
use crate::logstor::format::{FrameHeader, to_u64};

impl SegmentTable {
    /// Frees closed segments that nothing needs: the first sector of each says so, durably, before
    /// it returns. Segments that a reader holds stay closed. Returns the freed ones, for
    /// [`SegmentTable::reuse`]. No rewriting may be under way: if an append of it were in doubt,
    /// later commits would be, too, and a part of one might be freed here.
    ///
    /// # Errors
    /// [`EngineError::Disk`]; nothing has changed.
    pub(in crate::logstor) fn invalidate(
        &self,
        segments: &[Arc<Segment>],
        append_seqno: u64,
        settled: u64,
    ) -> Result<Vec<Arc<Segment>>, EngineError> {
        let mut unneeded: Vec<Arc<Segment>> = Vec::new();
        {
            let inner = self.inner.lock();
            for segment in segments {
                if !inner.closed.contains_key(&segment.id) || segment.live_records() > 0 {
                    continue;
                }
                // Checked after the count, so no new reader finds it. The table and the caller hold
                // it, too.
                let is_held = Arc::strong_count(segment) > 2
                    || segment
                        .rest()
                        .iter()
                        .any(|rest| Arc::strong_count(rest) > 2);
                let is_held = is_held && !fault::is(Fault::FreedWhileRead);
                if !is_held {
                    unneeded.push(Arc::clone(segment));
                }
            }
        }
        // A large record is gone with its first fragment. The others follow.
        self.write_free(unneeded.iter(), append_seqno, settled)?;
        self.write_free(
            unneeded.iter().flat_map(|segment| segment.rest()),
            append_seqno,
            settled,
        )?;
        Ok(unneeded)
    }

    fn write_free<'a>(
        &self,
        segments: impl Iterator<Item = &'a Arc<Segment>>,
        append_seqno: u64,
        settled: u64,
    ) -> Result<(), EngineError> {
        let segments: Vec<_> = segments.collect();
        let generations = self.inner.lock().take_generations(to_u64(segments.len()));
        let generations = generations.ok_or_else(|| self.no_generation())?;
        let mut touched: BTreeMap<PathBuf, Arc<LogFile>> = BTreeMap::new();
        let mut written = Ok(());
        for (segment, generation) in segments.into_iter().zip(generations) {
            let header = FrameHeader::free(segment.id, generation, append_seqno, settled);
            touched.insert(segment.file.path.clone(), Arc::clone(&segment.file));
            written = segment.write_free(&header, self.context.hash_key);
            if written.is_err() {
                break;
            }
        }
        // Headers written before a failure are synced, too: otherwise they would only look durable.
        for file in touched.values() {
            self.context.sync(&*file.file, &file.path)?;
        }
        Ok(written?)
    }

    /// Makes freed segments free to be taken.
    pub(in crate::logstor) fn reuse(&self, segments: Vec<Arc<Segment>>) {
        let mut inner = self.inner.lock();
        for segment in segments {
            for id in std::iter::once(segment.id).chain(segment.rest().iter().map(|rest| rest.id)) {
                let was_closed = inner.closed.remove(&id).is_some();
                checked_invariant!(was_closed, "L8", "a segment that is freed was closed");
                self.forget(&mut inner, id);
            }
        }
    }
}
