//! What all segments hold: files go in, frames and records come out, sorted into what is sure and what is in doubt.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use checkpoint::Namespace;

use crate::EngineError;
use crate::logstor::config::Geometry;
use crate::logstor::fingerprint::Fingerprint;
use crate::logstor::frame::{FrameKind, Header};
use crate::logstor::manifest::{Retired, Sketch};
use crate::logstor::scan::{self, Frame};
use crate::logstor::segment::{Location, LogFile, Segment};
use crate::logstor::shared::Shared;

/// A segment in use.
#[derive(Debug)]
pub(super) struct Used {
    pub(super) segment: Arc<Segment>,
    pub(super) frames: Vec<Frame>,
}

/// An item's record.
#[derive(Clone, Copy, Debug)]
pub(super) struct FoundItem {
    pub(super) epoch: u32,
    pub(super) fingerprint: Fingerprint,
    pub(super) seqno: u64,
    pub(super) generation: u64,
    pub(super) at: Location,
    pub(super) tombstone: bool,
    /// Its append.
    pub(super) number: u64,
}

/// A vBucket's state.
#[derive(Clone, Debug)]
pub(super) struct FoundState {
    pub(super) epoch: u32,
    pub(super) revision: u64,
    pub(super) high: u64,
    pub(super) at: Location,
    pub(super) bytes: Vec<u8>,
    pub(super) number: u64,
}

#[derive(Debug, Default)]
pub(super) struct Survey {
    pub(super) used: BTreeMap<u32, Used>,
    free: Vec<(Segment, Header)>,
    pub(super) items: Vec<FoundItem>,
    pub(super) states: Vec<FoundState>,
    generation_max: u64,
    number_max: u64,
    /// Appends up to there are not in doubt.
    stable: u64,
    /// Appends of which a part is missing or torn.
    incomplete: BTreeSet<u64>,
}

impl Survey {
    /// Reads every segment.
    ///
    /// # Errors
    /// [`EngineError::Disk`]; [`EngineError::Corrupt`] if something that was acknowledged is damaged.
    pub(super) fn of(
        shared: &Shared,
        geometry: Geometry,
        files: &[Arc<LogFile>],
        total: u32,
        sketch: &Sketch,
    ) -> Result<Self, EngineError> {
        let mut survey = Self::default();
        for id in 0..total {
            let (file, base) = geometry.place(id);
            let Some(file) = files.get(file as usize) else { continue };
            let segment = Segment::new(id, 0, Arc::clone(file), base, geometry.segment_bytes);
            let bytes = segment.read(0, geometry.segment_bytes as usize)?;
            survey.take(shared, segment, &bytes, sketch)?;
        }
        survey.judge()?;
        survey.forget_incomplete();
        Ok(survey)
    }

    fn take(
        &mut self,
        shared: &Shared,
        segment: Segment,
        bytes: &[u8],
        sketch: &Sketch,
    ) -> Result<(), EngineError> {
        let id = segment.id;
        let found = scan::frames(bytes, id, shared.hash_key, |generation| sketch.valid_bytes(id, generation));
        if let Some(at) = found.beyond_damage {
            return Err(segment.corrupt(at, "a frame is damaged, here or before"));
        }
        let Some(generation) = found.generation else { return Ok(()) };
        self.generation_max = self.generation_max.max(generation);
        if let Some(header) = found.free {
            self.number_max = self.number_max.max(header.number);
            self.stable = self.stable.max(header.stable);
            self.free.push((segment, header));
            return Ok(());
        }
        let segment = Arc::new(segment.of_generation(generation));
        for frame in &found.frames {
            self.number_max = self.number_max.max(frame.header.number);
            self.stable = self.stable.max(frame.header.stable);
            if frame.is_whole && frame.header.kind != FrameKind::Large {
                let payload = scan::payload(bytes, frame.offset, &frame.header).unwrap_or_default();
                self.take_records(shared, &segment, frame, payload)?;
            }
        }
        self.used.insert(id, Used { segment, frames: found.frames });
        Ok(())
    }

    fn take_records(
        &mut self,
        shared: &Shared,
        segment: &Segment,
        frame: &Frame,
        payload: &[u8],
    ) -> Result<(), EngineError> {
        for record in scan::records(payload, frame.offset) {
            let (offset, peek) = record.ok_or_else(|| segment.corrupt(frame.offset, "a damaged record"))?;
            let at = Location { segment: segment.id, offset, len: peek.len };
            self.push(shared, segment.generation, frame.header.number, at, &peek);
        }
        Ok(())
    }

    fn push(
        &mut self,
        shared: &Shared,
        generation: u64,
        number: u64,
        at: Location,
        peek: &crate::logstor::entry::Peek<'_>,
    ) {
        let Some(operation) = peek.operation else {
            let (epoch, revision, high) = (peek.epoch, peek.cas, peek.seqno);
            self.states.push(FoundState { epoch, revision, high, at, bytes: peek.value.to_vec(), number });
            return;
        };
        let namespace = operation.namespace().unwrap_or(Namespace::System);
        let fingerprint = Fingerprint::of(shared.hash_key, namespace, peek.key);
        let (epoch, seqno, tombstone) = (peek.epoch, peek.seqno, peek.tombstone);
        self.items.push(FoundItem { epoch, fingerprint, seqno, generation, at, tombstone, number });
    }

    /// Tells which appends are whole; damage ends it.
    fn judge(&mut self) -> Result<(), EngineError> {
        // Of appends in doubt: how many frames are whole, of how many.
        let mut whole: BTreeMap<u64, (u32, u32)> = BTreeMap::new();
        for used in self.used.values() {
            for frame in &used.frames {
                let number = frame.header.number;
                if number > self.stable {
                    let (count, parts) = whole.entry(number).or_default();
                    *count += u32::from(frame.is_whole);
                    *parts = frame.header.parts;
                } else if !frame.is_whole {
                    return Err(used
                        .segment
                        .corrupt(frame.offset, "a frame that was acknowledged is damaged"));
                }
            }
        }
        let incomplete = whole.into_iter().filter(|(_, (count, parts))| count != parts);
        self.incomplete = incomplete.map(|(number, _)| number).collect();
        for used in self.used.values() {
            let mut before_last = used.frames.iter().rev().skip(1);
            // What follows in the same segment was written when it was whole.
            if let Some(frame) = before_last.find(|frame| self.incomplete.contains(&frame.header.number)) {
                return Err(used.segment.corrupt(frame.offset, "a part of what was acknowledged is missing"));
            }
        }
        Ok(())
    }

    fn forget_incomplete(&mut self) {
        let incomplete = &self.incomplete;
        self.items.retain(|item| !incomplete.contains(&item.number));
        self.states.retain(|state| !incomplete.contains(&state.number));
    }

    /// What is to be cut off.
    pub(super) fn torn(&self) -> Vec<Retired> {
        let torn = |used: &Used| {
            let last = used.frames.last().filter(|last| self.incomplete.contains(&last.header.number))?;
            let (segment, generation) = (used.segment.id, used.segment.generation);
            Some(Retired { segment, generation, bytes: last.offset })
        };
        self.used.values().filter_map(torn).collect()
    }

    /// The frames of a segment that count.
    pub(super) fn sound<'a>(&'a self, used: &'a Used) -> impl Iterator<Item = &'a Frame> {
        used.frames.iter().filter(|frame| !self.incomplete.contains(&frame.header.number))
    }

    /// Writes again what is in doubt and whole, and syncs it.
    pub(super) fn confirm(&self, shared: &Shared) -> Result<(), EngineError> {
        let mut touched: BTreeMap<&std::path::Path, &LogFile> = BTreeMap::new();
        for used in self.used.values() {
            for frame in self.sound(used).filter(|frame| frame.header.number > self.stable) {
                let bytes = used.segment.read(frame.offset, frame.header.frame_bytes() as usize)?;
                let at = used.segment.base + u64::from(frame.offset);
                used.segment.file.file.write_at(&[&bytes], at)?;
                touched.insert(&used.segment.file.path, &used.segment.file);
            }
        }
        // A segment that looks free, and is not after the next loss of power, would bring back what was in it.
        for (segment, header) in self.free.iter().filter(|(_, header)| header.number > self.stable) {
            segment.write_free(header, shared.hash_key)?;
            touched.insert(&segment.file.path, &segment.file);
        }
        for (path, file) in touched {
            shared.sync(&*file.file, path)?;
        }
        Ok(())
    }

    pub(super) fn generation_of(&self, segment: u32) -> Option<u64> {
        self.used.get(&segment).map(|used| used.segment.generation)
    }

    pub(super) fn next_generation(&self) -> u64 {
        self.generation_max + 1
    }

    pub(super) fn next_number(&self) -> u64 {
        self.number_max.max(self.stable) + 1
    }
}
