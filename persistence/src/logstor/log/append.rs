//! Appending to the log: the frames of an append are durable when it returns, or abandoned for
//! good.
//!
//! # Invariants
//!
//! Appends have ascending numbers, and each frame carries the number up to which none is in doubt
//! (L2). What failed to be written is cut off by an edit of the manifest. That edit is durable
//! before anything later is acknowledged, so the bytes never come back. Where the edit fails, and
//! after a failed sync, the store takes no more writes (L4).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lowtide_checkpoint::internal::Invariant;

use super::frame_builder::{FrameBuilder, PendingFrame};
use super::manifest::{Manifest, ManifestEdit, RetiredTail};
use super::segment::{LogFile, Segment};
use super::segment_table::SegmentTable;
use super::store_context::StoreContext;
use crate::contract::EngineError;
use crate::logstor::format::{to_u32, to_u64};
use crate::sync::{Mutex, ranks};

/// The segments, the sequence of appends, and the manifest.
#[derive(Debug)]
pub(in crate::logstor) struct Log {
    pub(in crate::logstor) context: Arc<StoreContext>,
    pub(in crate::logstor) segments: SegmentTable,
    pub(in crate::logstor) manifest: Mutex<Manifest>,
    sequence: Mutex<Sequence>,
}

#[derive(Debug)]
struct Sequence {
    next: u64,
    in_flight: BTreeSet<u64>,
}

impl Sequence {
    /// Returns the number up to which no append is in doubt.
    fn settled(&self) -> u64 {
        before(self.in_flight.first().copied().unwrap_or(self.next))
    }
}

/// Returns the number of the append before another one.
fn before(number: u64) -> u64 {
    // With 0 for settled every append is in doubt, and each is verified when the store opens.
    number
        .checked_sub(1)
        .expected("L2", "the first append has number 1")
        .unwrap_or(0)
}

impl Log {
    pub(in crate::logstor) fn new(
        context: Arc<StoreContext>,
        segments: SegmentTable,
        manifest: Manifest,
        next: u64,
    ) -> Self {
        let sequence = Sequence {
            next,
            in_flight: BTreeSet::new(),
        };
        Self {
            context,
            segments,
            manifest: Mutex::new(ranks::MANIFEST, manifest),
            sequence: Mutex::new(ranks::APPEND_SEQUENCE, sequence),
        }
    }

    /// Frees segments: same as [`SegmentTable::invalidate`], with a number of its own.
    ///
    /// # Errors
    /// [`EngineError::Poisoned`]; errors of [`SegmentTable::invalidate`].
    pub(in crate::logstor) fn invalidate(
        &self,
        segments: &[Arc<Segment>],
    ) -> Result<Vec<Arc<Segment>>, EngineError> {
        self.context.check_writable()?;
        let (number, settled) = self.begin()?;
        let freed = self.segments.invalidate(segments, number, settled);
        // A failed part has no effect, and a written one is durable, or the store is poisoned.
        self.settle(number);
        freed
    }

    /// Returns the number of the last append. While nothing is appended, all appends up to it are
    /// settled.
    pub(in crate::logstor) fn last_append_seqno(&self) -> u64 {
        before(self.sequence.lock().next)
    }

    /// Leaves this many numbers of appends.
    #[cfg(test)]
    pub(in crate::logstor) fn leave_numbers(&self, count: u64) {
        self.sequence.lock().next = u64::MAX - count;
    }

    /// Begins an append. Returns its number, and the number up to which no append is in doubt.
    fn begin(&self) -> Result<(u64, u64), EngineError> {
        let mut sequence = self.sequence.lock();
        let settled = sequence.settled();
        let number = sequence.next;
        let used_up = || EngineError::NumbersUsedUp {
            path: self.context.dir.clone(),
            what: "numbers of appends",
        };
        sequence.next = number.checked_add(1).ok_or_else(used_up)?;
        sequence.in_flight.insert(number);
        Ok((number, settled))
    }

    /// Records that an append is durable, or abandoned for good.
    fn settle(&self, number: u64) {
        self.sequence.lock().in_flight.remove(&number);
    }

    /// Makes an edit of the manifest durable.
    ///
    /// # Errors
    /// Same as [`Manifest::append`]; [`EngineError::Poisoned`].
    pub(in crate::logstor) fn edit(&self, edit: &ManifestEdit) -> Result<(), EngineError> {
        self.context.check_writable()?;
        self.manifest.lock().append(&self.context, edit)
    }

    /// Writes frames and syncs them, as one append.
    ///
    /// # Errors
    /// [`EngineError::Disk`] or [`EngineError::Poisoned`]: the segments must not be written any
    /// more. After a failed write none of the append will be there. After a failed sync the next
    /// opening finds all of it or nothing (L19).
    pub(in crate::logstor) fn append(&self, builder: &mut FrameBuilder) -> Result<(), EngineError> {
        self.context.check_writable()?;
        let (number, settled) = self.begin()?;
        let frames = builder.frames_mut();
        let parts = to_u32(frames.len());
        let mut begun = 0;
        let mut written = Ok(());
        for (part, frame) in (0..parts).zip(&mut *frames) {
            begun += 1;
            frame
                .seal(number, settled, (part, parts), self.context.hash_key)
                .map_err(|violation| self.context.internal(violation))?;
            let at = frame.segment.base + u64::from(frame.offset);
            written = frame.segment.file.file.write_at(&[frame.bytes()], at);
            if written.is_err() {
                break;
            }
            let bytes = to_u64(frame.bytes().len());
            self.context.counters.written_bytes.add(bytes);
        }
        if let Err(error) = written {
            // The frame that failed may be there in part.
            self.retire(frames.iter().take(begun), number, &error.path);
            return Err(error.into());
        }
        let mut files: BTreeMap<&PathBuf, &LogFile> = BTreeMap::new();
        files.extend(
            frames
                .iter()
                .map(|frame| (&frame.segment.file.path, &*frame.segment.file)),
        );
        for (path, file) in files {
            self.context.sync(&*file.file, path)?;
        }
        self.settle(number);
        Ok(())
    }

    /// Cuts off what a failed append may have left in these frames. If that fails, the store is
    /// poisoned, with `path` as the place of the failure.
    fn retire<'a>(&self, frames: impl Iterator<Item = &'a PendingFrame>, number: u64, path: &Path) {
        let retired = frames.map(|frame| RetiredTail {
            segment: frame.segment.id,
            generation: frame.segment.generation,
            bytes: frame.offset,
        });
        let edit = ManifestEdit::Retire(retired.collect());
        match self.manifest.lock().append(&self.context, &edit) {
            Ok(()) => self.settle(number),
            Err(_) => self.context.poison(path),
        }
    }
}
