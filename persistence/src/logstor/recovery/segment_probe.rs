//! The probe of every segment, concurrently if the host has threads.
//!
//! # Invariants
//!
//! The result does not depend on which thread runs a task, or in which order (L22). Of two errors
//! that of the lower segment is returned.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use lowtide_checkpoint::internal::Invariant;

use crate::contract::{EngineError, Executor, Task};
use crate::logstor::config::{BLOCK_BYTES, Geometry};
use crate::logstor::format::{FrameHeader, FrameKind, to_usize};
use crate::logstor::index_image::{CoveredSegment, ImageDirectory};
use crate::logstor::log::{Catalog, LogFile, ScannedSegment, Segment, StoreContext, scan_segment};
use crate::sync::{Mutex, ranks};

/// Tasks that the probes are divided into: hosts rarely have more threads.
const TASKS: u32 = 8;

/// A segment, and what was scanned in it.
#[derive(Debug)]
pub(super) struct ProbedSegment {
    pub(super) segment: Segment,
    /// The image covers its use; `scanned` is what follows.
    pub(super) is_covered: bool,
    pub(super) scanned: ScannedSegment,
    /// More than its first block was read.
    pub(super) is_read: bool,
}

/// The log to probe, and what is known of it already.
#[derive(Clone, Copy)]
pub(super) struct ProbeContext<'a> {
    pub(super) context: &'a StoreContext,
    pub(super) geometry: Geometry,
    pub(super) files: &'a [Arc<LogFile>],
    pub(super) catalog: &'a Catalog,
    pub(super) image: Option<&'a ImageDirectory>,
}

/// Probes the first `total` segments. Returns them in order.
///
/// # Errors
/// [`EngineError::Disk`]; [`EngineError::Corrupt`] if something is damaged that a torn write does
/// not explain; [`EngineError::InvalidArgument`] if the executor left out the tasks.
pub(super) fn probe_all(
    probe: ProbeContext<'_>,
    total: u32,
    executor: &dyn Executor,
) -> Result<Vec<ProbedSegment>, EngineError> {
    let next = AtomicU32::new(0);
    let probed = Mutex::new(ranks::PROBED_SEGMENTS, Vec::with_capacity(to_usize(total)));
    let task = || {
        // Allocated by the first probe: on a host without threads the first task probes all
        // segments.
        let mut buffer = Vec::new();
        let mut mine = Vec::new();
        loop {
            let id = next.fetch_add(1, Ordering::SeqCst);
            if id >= total {
                break;
            }
            buffer.resize(to_usize(probe.geometry.segment_bytes), 0);
            mine.extend(probe.probe(id, &mut buffer).map(|probe| (id, probe)));
        }
        probed.lock().append(&mut mine);
    };
    executor.run(
        (0..TASKS.min(total))
            .map(|_| Box::new(task) as Task<'_>)
            .collect(),
    );
    let mut probed = probed.into_inner();
    // A segment that was not probed would pass for a free one, and be overwritten.
    if probed.len() != to_usize(total) {
        return Err(EngineError::InvalidArgument(
            "the executor left out a task".to_owned(),
        ));
    }
    probed.sort_unstable_by_key(|(id, _)| *id);
    probed.into_iter().map(|(_, probe)| probe).collect()
}

impl ProbeContext<'_> {
    fn probe(&self, id: u32, buffer: &mut [u8]) -> Option<Result<ProbedSegment, EngineError>> {
        let (file, base) = self.geometry.place(id);
        let file = self.files.get(to_usize(file))?;
        let segment = Segment::new(id, 0, Arc::clone(file), base, self.geometry.segment_bytes);
        Some(self.probe_segment(segment, buffer))
    }

    fn probe_segment(
        &self,
        segment: Segment,
        buffer: &mut [u8],
    ) -> Result<ProbedSegment, EngineError> {
        let covered = self.image.and_then(|image| image.covered(segment.id));
        if self.image.is_some() {
            // A first block without bytes would pass for that of a segment that was never used.
            let head = buffer
                .get_mut(..to_usize(BLOCK_BYTES))
                .invariant("L18", "a segment has a first block")
                .map_err(|violation| self.context.internal(violation))?;
            let head = segment.read_into(0, head)?;
            let header = FrameHeader::decode(head, segment.id, self.context.hash_key);
            if let Some(probe) = probe_head(&segment, covered, head, header) {
                return probe;
            }
        }
        let bytes = segment.read_into(0, buffer)?;
        let skip = covered.map(|covered| (covered.generation, covered.bytes));
        let valid = |generation| self.catalog.valid_bytes(segment.id, generation);
        let scanned = scan_segment(&segment, bytes, self.context.hash_key, skip, valid)?;
        let is_covered = scanned.free.is_none()
            && covered.is_some_and(|it| scanned.generation == Some(it.generation));
        Ok(ProbedSegment {
            // A segment that was never used is not kept.
            segment: segment.with_generation(scanned.generation.unwrap_or(0)),
            is_covered,
            scanned,
            is_read: true,
        })
    }
}

/// Probes a segment by its first block, if that says enough.
fn probe_head(
    segment: &Segment,
    covered: Option<&CoveredSegment>,
    head: &[u8],
    header: Option<FrameHeader>,
) -> Option<Result<ProbedSegment, EngineError>> {
    let probe = |generation: Option<u64>, free: Option<FrameHeader>| {
        let segment = Segment::new(
            segment.id,
            0,
            Arc::clone(&segment.file),
            segment.base,
            segment.bytes,
        );
        Ok(ProbedSegment {
            segment: segment.with_generation(generation.unwrap_or(0)),
            is_covered: generation.is_some() && free.is_none(),
            scanned: ScannedSegment {
                generation,
                free,
                ..ScannedSegment::default()
            },
            is_read: false,
        })
    };
    match (header, covered) {
        (Some(header), _) if header.kind == FrameKind::Free => {
            Some(probe(Some(header.generation), Some(header)))
        }
        (Some(header), Some(covered)) => {
            let is_known = covered.is_closed && header.generation == covered.generation;
            is_known.then(|| probe(Some(header.generation), None))
        }
        (Some(_), None) => None,
        // The image covers a frame of it, and every use begins with one.
        (None, Some(_)) => Some(Err(
            segment.corrupt(0, "the first frame of a segment in use is damaged")
        )),
        // It is as it was when its file was made.
        (None, None) => head
            .iter()
            .all(|byte| *byte == 0)
            .then(|| probe(None, None)),
    }
}
