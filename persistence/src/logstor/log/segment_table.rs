//! The table of segments: which are free, which are being written, which are closed.
//!
//! Free segments are handed out here, and return here when nothing in them is needed any more.
//!
//! # Invariants
//!
//! - A segment is free, in use by one writer, or closed (L8). It is handed out only while free,
//!   each time with a generation that was never used before (L1).
//! - The last [`REWRITE_RESERVE`](crate::logstor::config::REWRITE_RESERVE) free segments are handed
//!   out for rewriting only. The last [`COMMIT_RESERVE`](crate::logstor::config::COMMIT_RESERVE)
//!   are handed out for that and for commits that make space (L47).
//! - A file's segments are handed out only once the file is written, synced, and durable under its
//!   name (L30).

mod freeing;
mod preallocation;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Range;
use std::sync::Arc;

use lowtide_checkpoint::Vbid;
use lowtide_checkpoint::internal::{Invariant, checked_invariant};

use self::preallocation::GrowingFile;

pub(in crate::logstor) use self::preallocation::SpaceTarget;
use super::segment::{LogFile, Segment};
use super::segment_use::{ClosedSegment, Origin, SegmentPurpose};
use super::store_context::StoreContext;
use crate::contract::EngineError;
use crate::disk::{DiskError, DiskErrorKind, DiskOperation};
use crate::logstor::config::Geometry;
use crate::logstor::format::{to_u32, to_usize};
use crate::sync::{Mutex, RwLock, RwLockReadGuard, ranks};

/// Uses of segments, by segment.
pub(in crate::logstor) type SegmentUses = Vec<Option<Arc<Segment>>>;

#[derive(Debug)]
pub(in crate::logstor) struct SegmentTable {
    context: Arc<StoreContext>,
    geometry: Geometry,
    segments_max: u32,
    uses: RwLock<SegmentUses>,
    inner: Mutex<Inner>,
    /// The file that is being made.
    growth: Mutex<Option<GrowingFile>>,
}

#[derive(Debug, Default)]
struct Inner {
    files: Vec<Arc<LogFile>>,
    total: u32,
    free: BTreeSet<u32>,
    closed: BTreeMap<u32, ClosedSegment>,
    next_generation: u64,
    /// No more files are expected before this many bytes were appended (L44).
    refused_upto_bytes: u64,
}

/// Numbers of segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::logstor) struct Census {
    pub(in crate::logstor) total: u32,
    pub(in crate::logstor) free: u32,
    /// Segments that can still be made, as far as is known.
    pub(in crate::logstor) possible: u32,
    pub(in crate::logstor) closed: u32,
}

impl Census {
    /// Returns the segments that are free or can still be made.
    pub(in crate::logstor) const fn available(&self) -> u32 {
        self.free.saturating_add(self.possible)
    }
}

impl SegmentTable {
    /// Returns the table of the `total` segments of `files`, all of them free. Those in use are added
    /// with [`SegmentTable::adopt`].
    pub(in crate::logstor) fn new(
        context: Arc<StoreContext>,
        geometry: Geometry,
        files: Vec<Arc<LogFile>>,
        total: u32,
        next_generation: u64,
    ) -> Self {
        let segments_max = geometry.segments_max(context.config.disk_bytes);
        let inner = Inner {
            files,
            total,
            free: (0..total).collect(),
            next_generation,
            ..Inner::default()
        };
        let uses = RwLock::new(ranks::SEGMENT_USES, vec![None; to_usize(total)]);
        Self {
            context,
            geometry,
            segments_max,
            uses,
            inner: Mutex::new(ranks::SEGMENT_TABLE, inner),
            growth: Mutex::new(ranks::GROWING_FILE, None),
        }
    }

    pub(in crate::logstor) fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// Returns the uses of segments, by which references are counted.
    pub(in crate::logstor) fn uses(&self) -> RwLockReadGuard<'_, SegmentUses> {
        self.uses.read()
    }

    pub(in crate::logstor) fn get(&self, id: u32) -> Option<Arc<Segment>> {
        self.uses.read().get(to_usize(id)).cloned().flatten()
    }

    /// Returns the name of a log file.
    pub(in crate::logstor) fn file_name(number: u32) -> String {
        format!("log-{number:08}")
    }

    /// Returns the number of a file that is a log file by its name.
    pub(in crate::logstor) fn file_number(name: &str) -> Option<u32> {
        let number = name.strip_prefix("log-")?.parse().ok()?;
        (Self::file_name(number) == name).then_some(number)
    }

    /// Adds a use that was found when the store was opened.
    pub(in crate::logstor) fn adopt(&self, segment: &Arc<Segment>, closed: ClosedSegment) {
        let mut inner = self.inner.lock();
        inner.free.remove(&segment.id);
        inner.closed.insert(segment.id, closed);
        let now = Some(Arc::clone(segment));
        set_use(&mut self.uses.write(), segment.id, now);
    }

    /// Takes segments: all or none.
    ///
    /// # Errors
    /// [`EngineError::Disk`]: of kind `NoSpace` if there are not enough and no more can be made.
    pub(in crate::logstor) fn take(
        &self,
        count: u32,
        purpose: SegmentPurpose,
    ) -> Result<Vec<Arc<Segment>>, EngineError> {
        let wanted = count + purpose.reserve();
        // A caller that finds free ones does not wait for the file that is being made.
        if self.inner.lock().free.len() < to_usize(wanted) {
            self.ensure_free(wanted)?;
        }
        let mut inner = self.inner.lock();
        if inner.free.len() < to_usize(wanted) {
            return Err(self.no_space().into());
        }
        let generations = inner
            .take_generations(u64::from(count))
            .ok_or_else(|| self.no_generation())?;
        let internal = |violation| self.context.internal(violation);
        let mut taken = Vec::with_capacity(to_usize(count));
        let mut table = self.uses.write();
        for generation in generations {
            let id = inner
                .free
                .pop_first()
                .invariant("L8", "as many segments are free as were counted")
                .map_err(internal)?;
            let (file, base) = self.geometry.place(id);
            let file = inner
                .files
                .get(to_usize(file))
                .cloned()
                .invariant("L8", "a free segment has its file")
                .map_err(internal)?;
            let bytes = self.geometry.segment_bytes;
            let segment = Arc::new(Segment::new(id, generation, file, base, bytes));
            set_use(&mut table, id, Some(Arc::clone(&segment)));
            taken.push(segment);
        }
        Ok(taken)
    }

    /// Returns segments of which no byte was written.
    pub(in crate::logstor) fn return_unused(&self, segments: Vec<Arc<Segment>>) {
        let mut inner = self.inner.lock();
        for segment in segments {
            self.forget(&mut inner, segment.id);
        }
    }

    fn forget(&self, inner: &mut Inner, id: u32) {
        set_use(&mut self.uses.write(), id, None);
        inner.free.insert(id);
    }

    /// Closes a segment: nothing more is written to it, and all its records are in the index.
    pub(in crate::logstor) fn close(
        &self,
        id: u32,
        used: u32,
        origin: Origin,
        owner: Option<Vbid>,
    ) {
        let closed = ClosedSegment {
            used,
            origin,
            owner,
            claimed: false,
        };
        let mut inner = self.inner.lock();
        checked_invariant!(
            used <= self.geometry.segment_bytes && !inner.free.contains(&id),
            "L8",
            "a segment that is closed was being written"
        );
        inner.closed.insert(id, closed);
    }

    /// Returns closed segments, except claimed ones.
    pub(in crate::logstor) fn closed(&self) -> Vec<(Arc<Segment>, ClosedSegment)> {
        let inner = self.inner.lock();
        let table = self.uses.read();
        let unclaimed = inner.closed.iter().filter(|(_, closed)| !closed.claimed);
        unclaimed
            .filter_map(|(&id, closed)| {
                Some((table.get(to_usize(id)).cloned().flatten()?, *closed))
            })
            .collect()
    }

    /// Returns all uses. Closed ones have the end of their frames.
    pub(in crate::logstor) fn in_use(&self) -> Vec<(Arc<Segment>, Option<u32>)> {
        let inner = self.inner.lock();
        let table = self.uses.read();
        let end = |id| inner.closed.get(&id).map(|closed| closed.used);
        table
            .iter()
            .flatten()
            .map(|segment| (Arc::clone(segment), end(segment.id)))
            .collect()
    }

    /// Returns everything it knows, for tests that compare.
    #[cfg(test)]
    pub(in crate::logstor) fn dump(&self) -> String {
        let mut dump = String::new();
        let inner = self.inner.lock();
        for segment in self.uses.read().iter().flatten() {
            let rest: Vec<u32> = segment.rest().iter().map(|rest| rest.id).collect();
            let live = (segment.live_bytes(), segment.live_records());
            let closed = inner.closed.get(&segment.id);
            dump += &format!(
                "{} {} live {live:?} {closed:?} {rest:?}\n",
                segment.id, segment.generation
            );
        }
        dump + &format!(
            "free {:?} of {}, next {}\n",
            inner.free, inner.total, inner.next_generation
        )
    }

    /// Forgets every use, as if no segment were.
    #[cfg(test)]
    pub(in crate::logstor) fn lose_uses(&self) {
        self.uses.write().fill(None);
    }

    /// Leaves this many generations.
    #[cfg(test)]
    pub(in crate::logstor) fn leave_generations(&self, count: u64) {
        self.inner.lock().next_generation = u64::MAX - count;
    }

    /// Claims a closed segment for rewriting. Returns whether it was unclaimed.
    pub(in crate::logstor) fn try_claim(&self, id: u32) -> bool {
        let mut inner = self.inner.lock();
        match inner.closed.get_mut(&id) {
            Some(closed) if !closed.claimed => {
                closed.claimed = true;
                true
            }
            _ => false,
        }
    }

    /// Releases a claimed segment.
    pub(in crate::logstor) fn release(&self, id: u32) {
        if let Some(closed) = self.inner.lock().closed.get_mut(&id) {
            closed.claimed = false;
        }
    }

    pub(in crate::logstor) fn census(&self) -> Census {
        let inner = self.inner.lock();
        let may_grow = inner.total == to_u32(inner.files.len()) * self.geometry.segments_per_file
            && self.context.counters.written_bytes.get() >= inner.refused_upto_bytes;
        Census {
            total: inner.total,
            free: to_u32(inner.free.len()),
            // A store may have been opened again with a smaller budget.
            possible: if may_grow {
                self.segments_max.saturating_sub(inner.total)
            } else {
                0
            },
            closed: to_u32(inner.closed.len()),
        }
    }

    /// Returns the lowest generation of uses that begin from now on.
    pub(in crate::logstor) fn next_generation(&self) -> u64 {
        self.inner.lock().next_generation
    }

    fn no_generation(&self) -> EngineError {
        EngineError::NumbersUsedUp {
            path: self.context.dir.clone(),
            what: "generations of segments",
        }
    }

    fn no_space(&self) -> DiskError {
        DiskError {
            operation: DiskOperation::Preallocate,
            path: self.context.dir.clone(),
            offset: None,
            kind: DiskErrorKind::NoSpace,
            source: io::Error::new(
                io::ErrorKind::StorageFull,
                "no segment is free, and every segment has records that are needed",
            ),
        }
    }
}

/// Enters the use of a segment, or its end.
fn set_use(uses: &mut SegmentUses, id: u32, now: Option<Arc<Segment>>) {
    let slot = uses.get_mut(to_usize(id));
    // A segment without an entry is neither rewritten nor freed, and a reader of its records reports
    // that it is not in use.
    if let Some(slot) = slot.expected("L8", "the table has every segment of the files") {
        *slot = now;
    }
}

impl Inner {
    /// Takes generations; `None` if fewer are left.
    fn take_generations(&mut self, count: u64) -> Option<Range<u64>> {
        let first = self.next_generation;
        self.next_generation = first.checked_add(count)?;
        Some(first..self.next_generation)
    }
}
