//! The table of segments: which are free, which are written to, which are closed. Requests for segments go in, uses of
//! them come out, and come back when nothing in them is needed any more.
//!
//! Always (L8): a segment is free, in use by one writer, or closed; it is handed out only from the free ones, each time
//! with a generation that was never used. The last [`RESERVE`] are handed out for rewriting only, and the [`KEPT`] last for
//! that and for commits that make room (L47). A file's segments can
//! be handed out once the file is written whole, synced, and durable under its name.

mod growing;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use lowtide_checkpoint::Vbid;

use crate::contract::EngineError;
use crate::disk::{DiskError, DiskErrorKind, DiskOperation};
use crate::fault::{self, Fault};
use crate::sync::{Mutex, RwLock, RwLockReadGuard};

use super::config::{Geometry, KEPT, RESERVE};
use super::frame::Header;
use super::segment::{LogFile, Segment};
use super::shared::Shared;

pub(super) use self::growing::Room;

use self::growing::Growing;

/// What a closed segment was written by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// Commits, in the order they came.
    Commits,
    /// Rewriting: as full as it gets.
    Moved,
    /// A large record, of which this is a piece.
    Large { first: bool },
}

/// What segments are taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A commit as any other.
    Commit,
    /// A commit that makes more room than it takes, or only deletes.
    MakingRoom,
    /// Copies of what lives, so that other segments come to be free.
    Rewriting,
}

impl Purpose {
    /// How many free segments it leaves.
    const fn leaves(self) -> u32 {
        match self {
            Self::Commit => KEPT,
            Self::MakingRoom => RESERVE,
            Self::Rewriting => 0,
        }
    }
}

/// A closed segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Closed {
    /// Bytes of valid frames.
    pub(super) used: u32,
    pub(super) origin: Origin,
    /// The vBucket that alone has records in it.
    pub(super) owner: Option<Vbid>,
    /// Somebody rewrites it.
    pub(super) claimed: bool,
}

/// Indexed by segment; those in use.
pub(super) type Table = Vec<Option<Arc<Segment>>>;

#[derive(Debug)]
pub(super) struct Segments {
    shared: Arc<Shared>,
    geometry: Geometry,
    segments_max: u32,
    table: RwLock<Table>,
    inner: Mutex<Inner>,
    /// The file that is being made.
    growth: Mutex<Option<Growing>>,
}

#[derive(Debug, Default)]
struct Inner {
    files: Vec<Arc<LogFile>>,
    total: u32,
    free: BTreeSet<u32>,
    closed: BTreeMap<u32, Closed>,
    next_generation: u64,
    /// Until so many bytes were appended no more files are counted on (L44).
    refused_upto_bytes: u64,
}

/// How many segments there are of each kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Census {
    pub(super) total: u32,
    pub(super) free: u32,
    /// That may still be made, as far as is known.
    pub(super) possible: u32,
    pub(super) closed: u32,
}

impl Segments {
    /// `files` are there and have `total` segments; those in use are told with [`Segments::adopt`].
    pub(super) fn new(
        shared: Arc<Shared>,
        geometry: Geometry,
        files: Vec<Arc<LogFile>>,
        total: u32,
        next_generation: u64,
    ) -> Self {
        let segments_max = geometry.segments_max(shared.config.disk_bytes);
        let inner = Inner {
            files,
            total,
            free: (0..total).collect(),
            next_generation,
            ..Inner::default()
        };
        let table = RwLock::new(vec![None; total as usize]);
        Self {
            shared,
            geometry,
            segments_max,
            table,
            inner: Mutex::new(inner),
            growth: Mutex::default(),
        }
    }

    pub(super) fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// The segments in use, to count references by.
    pub(super) fn table(&self) -> RwLockReadGuard<'_, Table> {
        self.table.read()
    }

    pub(super) fn get(&self, id: u32) -> Option<Arc<Segment>> {
        self.table.read().get(id as usize).cloned().flatten()
    }

    /// The name of a log file.
    pub(super) fn file_name(number: u32) -> String {
        format!("log-{number:08}")
    }

    /// A use that was found when the store was opened.
    pub(super) fn adopt(&self, segment: &Arc<Segment>, closed: Closed) {
        let mut inner = self.inner.lock();
        inner.free.remove(&segment.id);
        inner.closed.insert(segment.id, closed);
        if let Some(slot) = self.table.write().get_mut(segment.id as usize) {
            *slot = Some(Arc::clone(segment));
        }
    }

    /// Takes segments; all or none.
    ///
    /// # Errors
    /// [`EngineError::Disk`]: of kind `NoSpace` if there are not enough and no more can be made.
    pub(super) fn take(
        &self,
        count: u32,
        purpose: Purpose,
    ) -> Result<Vec<Arc<Segment>>, EngineError> {
        let wanted = count.saturating_add(purpose.leaves());
        // Whoever finds some need not wait for the file that is being made.
        if self.inner.lock().free.len() < wanted as usize {
            self.ensure_free(wanted)?;
        }
        let mut inner = self.inner.lock();
        if inner.free.len() < wanted as usize {
            return Err(self.no_space().into());
        }
        let generations = inner
            .take_generations(u64::from(count))
            .ok_or_else(|| self.no_generation())?;
        let mut taken = Vec::with_capacity(count as usize);
        let mut table = self.table.write();
        let mut generations = generations.into_iter();
        while taken.len() < count as usize
            && let Some(id) = inner.free.pop_first()
        {
            let (file, base) = self.geometry.place(id);
            let Some(file) = inner.files.get(file as usize).cloned() else {
                continue;
            };
            let Some(generation) = generations.next() else {
                break;
            };
            let segment = Arc::new(Segment::new(
                id,
                generation,
                file,
                base,
                self.geometry.segment_bytes,
            ));
            if let Some(slot) = table.get_mut(id as usize) {
                *slot = Some(Arc::clone(&segment));
            }
            taken.push(segment);
        }
        Ok(taken)
    }

    /// A use that came to nothing: no byte of it was written.
    pub(super) fn give_back(&self, segments: Vec<Arc<Segment>>) {
        let mut inner = self.inner.lock();
        for segment in segments {
            self.forget(&mut inner, segment.id);
        }
    }

    fn forget(&self, inner: &mut Inner, id: u32) {
        if let Some(slot) = self.table.write().get_mut(id as usize) {
            *slot = None;
        }
        inner.free.insert(id);
    }

    /// Nothing more is written to a segment, and all its records are in the index.
    pub(super) fn close(&self, id: u32, used: u32, origin: Origin, owner: Option<Vbid>) {
        let closed = Closed {
            used,
            origin,
            owner,
            claimed: false,
        };
        self.inner.lock().closed.insert(id, closed);
    }

    /// Closed segments and what is known of them, but for those somebody has claimed.
    pub(super) fn closed(&self) -> Vec<(Arc<Segment>, Closed)> {
        let inner = self.inner.lock();
        let table = self.table.read();
        let unclaimed = inner.closed.iter().filter(|(_, closed)| !closed.claimed);
        unclaimed
            .filter_map(|(&id, closed)| Some((table.get(id as usize).cloned().flatten()?, *closed)))
            .collect()
    }

    /// Every use there is, and, of those that are closed, where it ends.
    pub(super) fn in_use(&self) -> Vec<(Arc<Segment>, Option<u32>)> {
        let inner = self.inner.lock();
        let table = self.table.read();
        let end = |id| inner.closed.get(&id).map(|closed| closed.used);
        table
            .iter()
            .flatten()
            .map(|segment| (Arc::clone(segment), end(segment.id)))
            .collect()
    }

    /// Everything it knows of uses, for tests that compare.
    #[cfg(test)]
    pub(super) fn dump(&self) -> String {
        let mut dump = String::new();
        let inner = self.inner.lock();
        for segment in self.table.read().iter().flatten() {
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

    /// Leaves so many generations, for tests.
    #[cfg(test)]
    pub(super) fn leave_generations(&self, count: u64) {
        self.inner.lock().next_generation = u64::MAX - count;
    }

    /// Says whether a closed segment is somebody's to rewrite; whether it was not what is said now.
    pub(super) fn claim(&self, id: u32, claimed: bool) -> bool {
        let mut inner = self.inner.lock();
        let closed = inner
            .closed
            .get_mut(&id)
            .filter(|closed| closed.claimed != claimed);
        closed.is_some_and(|closed| {
            closed.claimed = claimed;
            true
        })
    }

    /// Frees closed segments nobody needs: the first sector of each says so, durably, before it returns. Those that
    /// somebody still reads stay closed. Returns what was freed; [`Segments::reuse`] makes use of it. No rewriting may be
    /// under way: were an append of it in doubt, so would be later commits, and a part of one might be freed here.
    ///
    /// # Errors
    /// [`EngineError::Disk`]; all are as they were.
    pub(super) fn invalidate(
        &self,
        segments: &[Arc<Segment>],
        number: u64,
        stable: u64,
    ) -> Result<Vec<Arc<Segment>>, EngineError> {
        let mut unneeded: Vec<Arc<Segment>> = Vec::new();
        {
            let inner = self.inner.lock();
            for segment in segments {
                if !inner.closed.contains_key(&segment.id) || segment.live_records() > 0 {
                    continue;
                }
                // After that: nobody finds it any more. One for the table, one for the caller.
                let is_read = Arc::strong_count(segment) > 2
                    || segment
                        .rest()
                        .iter()
                        .any(|rest| Arc::strong_count(rest) > 2);
                let is_read = is_read && !fault::is(Fault::FreedWhileRead);
                if !is_read {
                    unneeded.push(Arc::clone(segment));
                }
            }
        }
        // A record whose first piece is gone is gone: then the others.
        self.write_free(unneeded.iter(), number, stable)?;
        self.write_free(
            unneeded.iter().flat_map(|segment| segment.rest()),
            number,
            stable,
        )?;
        Ok(unneeded)
    }

    fn write_free<'a>(
        &self,
        segments: impl Iterator<Item = &'a Arc<Segment>>,
        number: u64,
        stable: u64,
    ) -> Result<(), EngineError> {
        let segments: Vec<_> = segments.collect();
        let generations = self.inner.lock().take_generations(segments.len() as u64);
        let generations = generations.ok_or_else(|| self.no_generation())?;
        let mut touched: BTreeMap<PathBuf, Arc<LogFile>> = BTreeMap::new();
        let mut written = Ok(());
        for (segment, generation) in segments.into_iter().zip(generations) {
            let header = Header::free(segment.id, generation, number, stable);
            touched.insert(segment.file.path.clone(), Arc::clone(&segment.file));
            written = segment.write_free(&header, self.shared.hash_key);
            if written.is_err() {
                break;
            }
        }
        // Also what was written before a failure, so that nothing is left that only looks durable.
        for file in touched.values() {
            self.shared.sync(&*file.file, &file.path)?;
        }
        Ok(written?)
    }

    /// Hands invalidated segments out again.
    pub(super) fn reuse(&self, segments: Vec<Arc<Segment>>) {
        let mut inner = self.inner.lock();
        for segment in segments {
            for id in std::iter::once(segment.id).chain(segment.rest().iter().map(|rest| rest.id)) {
                inner.closed.remove(&id);
                self.forget(&mut inner, id);
            }
        }
    }

    pub(super) fn census(&self) -> Census {
        let inner = self.inner.lock();
        let may_grow = inner.total == inner.files.len() as u32 * self.geometry.segments_per_file
            && self.shared.counters.written_bytes.get() >= inner.refused_upto_bytes;
        Census {
            total: inner.total,
            free: inner.free.len() as u32,
            possible: if may_grow {
                self.segments_max.saturating_sub(inner.total)
            } else {
                0
            },
            closed: inner.closed.len() as u32,
        }
    }

    /// Uses that begin from now on have at least this generation.
    pub(super) fn next_generation(&self) -> u64 {
        self.inner.lock().next_generation
    }

    fn no_generation(&self) -> EngineError {
        EngineError::NumbersUsedUp {
            path: self.shared.dir.clone(),
            what: "generations of segments",
        }
    }

    fn no_space(&self) -> DiskError {
        DiskError {
            operation: DiskOperation::Preallocate,
            path: self.shared.dir.clone(),
            offset: None,
            kind: DiskErrorKind::NoSpace,
            source: io::Error::new(
                io::ErrorKind::StorageFull,
                "all segments hold something that lives",
            ),
        }
    }
}

impl Inner {
    /// So many generations, or none if there are not as many left.
    fn take_generations(&mut self, count: u64) -> Option<Range<u64>> {
        let first = self.next_generation;
        self.next_generation = first.checked_add(count)?;
        Some(first..self.next_generation)
    }
}
