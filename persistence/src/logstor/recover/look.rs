//! What is in each segment: files go in, what was found in each comes out. Segments are looked at side by side if the host
//! has threads for it.
//!
//! Always (L22): what comes out is the same whoever runs the tasks, in whichever order. Of two errors that of the lower
//! segment is told.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::contract::{EngineError, Executor, Task};
use crate::logstor::config::{BLOCK_BYTES, Geometry};
use crate::logstor::found::{self, Found};
use crate::logstor::frame::{FrameKind, Header};
use crate::logstor::image::{Covered, Directory};
use crate::logstor::manifest::Sketch;
use crate::logstor::segment::{LogFile, Segment};
use crate::logstor::shared::Shared;
use crate::sync::Mutex;

/// So many tasks are made of it: no host has more use for them.
const TASKS: u32 = 8;

/// A segment, and what was found in it.
#[derive(Debug)]
pub(super) struct Look {
    pub(super) segment: Segment,
    /// The image knows what is in it; `found` is what came after that.
    pub(super) is_covered: bool,
    pub(super) found: Found,
    /// More than its head was read.
    pub(super) is_read: bool,
}

/// Where to look, and what is known already.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) shared: &'a Shared,
    pub(super) geometry: Geometry,
    pub(super) files: &'a [Arc<LogFile>],
    pub(super) sketch: &'a Sketch,
    pub(super) image: Option<&'a Directory>,
}

/// Looks at the first `total` segments; in their order.
///
/// # Errors
/// [`EngineError::Disk`]; [`EngineError::Corrupt`] if something is damaged that no torn write explains.
pub(super) fn at_all(
    place: Place<'_>,
    total: u32,
    executor: &dyn Executor,
) -> Result<Vec<Look>, EngineError> {
    let next = AtomicU32::new(0);
    let looks = Mutex::new(Vec::with_capacity(total as usize));
    let task = || {
        // Room for a segment, once there is one to look at: in order, the first task looks at all of them.
        let mut buffer = Vec::new();
        let mut mine = Vec::new();
        loop {
            let id = next.fetch_add(1, Ordering::SeqCst);
            if id >= total {
                break;
            }
            buffer.resize(place.geometry.segment_bytes as usize, 0);
            mine.extend(place.look(id, &mut buffer).map(|look| (id, look)));
        }
        looks.lock().append(&mut mine);
    };
    executor.run(
        (0..TASKS.min(total))
            .map(|_| Box::new(task) as Task<'_>)
            .collect(),
    );
    let mut looks = looks.into_inner();
    looks.sort_unstable_by_key(|(id, _)| *id);
    looks.into_iter().map(|(_, look)| look).collect()
}

impl Place<'_> {
    fn look(&self, id: u32, buffer: &mut [u8]) -> Option<Result<Look, EngineError>> {
        let (file, base) = self.geometry.place(id);
        let file = self.files.get(file as usize)?;
        let segment = Segment::new(id, 0, Arc::clone(file), base, self.geometry.segment_bytes);
        Some(self.look_at(segment, buffer))
    }

    fn look_at(&self, segment: Segment, buffer: &mut [u8]) -> Result<Look, EngineError> {
        let covered = self.image.and_then(|image| image.covered(segment.id));
        if self.image.is_some() {
            let (head, _) = buffer
                .split_at_mut_checked(BLOCK_BYTES as usize)
                .unwrap_or_default();
            let head = segment.read_into(0, head)?;
            let header = Header::decode(head, segment.id, self.shared.hash_key);
            if let Some(look) = known_by_its_head(&segment, covered, head, header) {
                return look;
            }
        }
        let bytes = segment.read_into(0, buffer)?;
        let skip = covered.map(|covered| (covered.generation, covered.bytes));
        let valid = |generation| self.sketch.valid_bytes(segment.id, generation);
        let found = found::in_segment(&segment, bytes, self.shared.hash_key, skip, valid)?;
        let generation = found.generation.unwrap_or(0);
        let is_covered =
            found.free.is_none() && covered.is_some_and(|it| it.generation == generation);
        Ok(Look {
            segment: segment.of_generation(generation),
            is_covered,
            found,
            is_read: true,
        })
    }
}

/// Of many segments the first block says enough.
fn known_by_its_head(
    segment: &Segment,
    covered: Option<&Covered>,
    head: &[u8],
    header: Option<Header>,
) -> Option<Result<Look, EngineError>> {
    let look = |generation: Option<u64>, free: Option<Header>| {
        let segment = Segment::new(
            segment.id,
            0,
            Arc::clone(&segment.file),
            segment.base,
            segment.bytes,
        );
        Ok(Look {
            segment: segment.of_generation(generation.unwrap_or(0)),
            is_covered: generation.is_some() && free.is_none(),
            found: Found {
                generation,
                free,
                ..Found::default()
            },
            is_read: false,
        })
    };
    match (header, covered) {
        (Some(header), _) if header.kind == FrameKind::Free => {
            Some(look(Some(header.generation), Some(header)))
        }
        (Some(header), Some(covered)) => {
            let is_known = covered.is_closed && header.generation == covered.generation;
            is_known.then(|| look(Some(header.generation), None))
        }
        (Some(_), None) => None,
        // There was a frame when the image was made, and every use begins with one.
        (None, Some(_)) => Some(Err(
            segment.corrupt(0, "the first frame of a segment in use is damaged")
        )),
        // As it was when its file was made.
        (None, None) => head.iter().all(|byte| *byte == 0).then(|| look(None, None)),
    }
}
