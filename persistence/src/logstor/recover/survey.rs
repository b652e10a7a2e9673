//! What all segments hold: looks at each go in; what counts comes out, sorted into what is sure and what is in doubt.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::contract::EngineError;
use crate::logstor::damage::Damage;
use crate::logstor::entry::{self, FIXED_BYTES};
use crate::logstor::found::{FoundItem, FoundState};
use crate::logstor::frame::{FrameKind, HEADER_BYTES, Header};
use crate::logstor::image::{Contents, Covered, Directory, StateRow};
use crate::logstor::manifest::{Retired, Sketch};
use crate::logstor::scan::Frame;
use crate::logstor::segment::{LogFile, Segment};
use crate::logstor::shared::Shared;

use super::look::Look;

/// A segment in use.
#[derive(Debug)]
pub(super) struct Used {
    pub(super) segment: Arc<Segment>,
    /// What the image says of it, if it is still true.
    pub(super) covered: Option<Covered>,
    /// Frames that the image does not cover.
    pub(super) frames: Vec<Frame>,
}

/// Damage to records of some epochs.
#[derive(Debug)]
pub(super) struct Harm {
    pub(super) segment: u32,
    pub(super) epochs: RangeInclusive<u32>,
    pub(super) damage: Damage,
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
    /// What was acknowledged and is damaged, where it is known whose it may be.
    pub(super) harms: Vec<Harm>,
    segments: u64,
    /// Of which more than the head was read.
    segments_read: u64,
    /// Bytes of the frames that were found.
    pub(super) found_bytes: u64,
}

impl Survey {
    /// Puts together what was found.
    ///
    /// # Errors
    /// [`EngineError::Corrupt`] if something that was acknowledged is damaged.
    pub(super) fn of(looks: Vec<Look>, image: Option<&Directory>) -> Result<Self, EngineError> {
        let mut survey = Self::default();
        if let Some(image) = image {
            // What the image covers was settled when it was made.
            survey.stable = image.number;
            survey.generation_max = image.next_generation.saturating_sub(1);
        }
        for look in looks {
            let covered = image
                .and_then(|image| image.covered(look.segment.id))
                .cloned();
            survey.take(look, covered);
        }
        survey.judge()?;
        survey.forget_incomplete();
        Ok(survey)
    }

    fn take(&mut self, look: Look, covered: Option<Covered>) {
        let Look {
            segment,
            is_covered,
            mut found,
            is_read,
        } = look;
        self.segments += 1;
        self.segments_read += u64::from(is_read);
        self.found_bytes += found
            .frames
            .iter()
            .map(|frame| u64::from(frame.header.frame_bytes()))
            .sum::<u64>();
        let Some(generation) = found.generation else {
            return;
        };
        self.generation_max = self.generation_max.max(generation);
        for header in found
            .frames
            .iter()
            .map(|frame| &frame.header)
            .chain(&found.free)
        {
            self.number_max = self.number_max.max(header.number);
            self.stable = self.stable.max(header.stable);
        }
        if let Some(header) = found.free {
            self.free.push((segment, header));
            return;
        }
        self.items.append(&mut found.items);
        self.states.append(&mut found.states);
        let covered = covered.filter(|_| is_covered);
        self.used.insert(
            segment.id,
            Used {
                segment: Arc::new(segment),
                covered,
                frames: found.frames,
            },
        );
    }

    /// Tells which appends are whole; damage ends it.
    fn judge(&mut self) -> Result<(), EngineError> {
        // Of appends in doubt: how many frames are whole, of how many.
        let mut whole: BTreeMap<u64, (u32, u32)> = BTreeMap::new();
        let mut harms = Vec::new();
        for used in self.used.values() {
            for frame in &used.frames {
                let number = frame.header.number;
                if number > self.stable {
                    let (count, parts) = whole.entry(number).or_default();
                    *count += u32::from(frame.is_whole);
                    *parts = frame.header.parts;
                } else if !frame.is_whole {
                    let error = used
                        .segment
                        .corrupt(frame.offset, "a frame that was acknowledged is damaged");
                    let Some(epochs) = self.epochs_of(&frame.header)? else {
                        return Err(error);
                    };
                    harms.push(Harm {
                        segment: used.segment.id,
                        epochs,
                        damage: Damage::of(error)?,
                    });
                }
            }
        }
        self.harms = harms;
        let incomplete = whole
            .into_iter()
            .filter(|(_, (count, parts))| count != parts);
        self.incomplete = incomplete.map(|(number, _)| number).collect();
        for used in self.used.values() {
            let mut before_last = used.frames.iter().rev().skip(1);
            // What follows in the same segment was written when it was whole.
            if let Some(frame) =
                before_last.find(|frame| self.incomplete.contains(&frame.header.number))
            {
                return Err(used
                    .segment
                    .corrupt(frame.offset, "a part of what was acknowledged is missing"));
            }
        }
        Ok(())
    }

    /// Whose a frame's records may be, as far as that can be told from its header, or, of a large record's pieces, from the
    /// first one.
    fn epochs_of(&self, header: &Header) -> Result<Option<RangeInclusive<u32>>, EngineError> {
        if header.kind != FrameKind::Large {
            return Ok(header.epochs());
        }
        let is_first = |frame: &&Frame| {
            let first = &frame.header;
            let is_of_record = first.kind == FrameKind::Large && first.number == header.number;
            frame.is_whole
                && is_of_record
                && first.part.checked_add(header.piece) == Some(header.part)
                && first.piece == 0
        };
        let first = self
            .used
            .values()
            .find(|used| used.frames.first().is_some_and(|frame| is_first(&frame)));
        let Some(first) = first else { return Ok(None) };
        let record = first.segment.read(HEADER_BYTES, FIXED_BYTES)?;
        let (epoch, _) = entry::epochs(&record);
        Ok((epoch > 0).then_some(epoch..=epoch))
    }

    /// Whether a segment has something damaged.
    pub(super) fn is_harmed(&self, segment: u32) -> bool {
        self.harms.iter().any(|harm| harm.segment == segment)
    }

    fn forget_incomplete(&mut self) {
        let incomplete = &self.incomplete;
        self.items.retain(|item| !incomplete.contains(&item.number));
        self.states
            .retain(|state| !incomplete.contains(&state.number));
    }

    /// What is to be cut off.
    pub(super) fn torn(&self) -> Vec<Retired> {
        let torn = |used: &Used| {
            let last = used
                .frames
                .last()
                .filter(|last| self.incomplete.contains(&last.header.number))?;
            let (segment, generation) = (used.segment.id, used.segment.generation);
            Some(Retired {
                segment,
                generation,
                bytes: last.offset,
            })
        };
        self.used.values().filter_map(torn).collect()
    }

    /// The frames of a segment that count, but for those the image covers.
    fn sound<'a>(&'a self, used: &'a Used) -> impl Iterator<Item = &'a Frame> {
        used.frames
            .iter()
            .filter(|frame| !self.incomplete.contains(&frame.header.number))
    }

    /// Where what counts in a segment ends.
    pub(super) fn end(&self, used: &Used) -> u32 {
        let last = self.sound(used).last().map(Frame::end);
        last.or(used.covered.as_ref().map(|covered| covered.bytes))
            .unwrap_or(0)
    }

    /// What wrote a segment; `None` if nothing in it counts.
    pub(super) fn contents(&self, used: &Used) -> Option<Contents> {
        if let Some(covered) = &used.covered {
            return Some(covered.contents);
        }
        self.sound(used)
            .next()
            .map(|frame| Contents::of(&frame.header))
    }

    /// Writes again what is in doubt and whole, and syncs it.
    pub(super) fn confirm(&self, shared: &Shared) -> Result<(), EngineError> {
        let mut touched: BTreeMap<&std::path::Path, &LogFile> = BTreeMap::new();
        for used in self.used.values() {
            for frame in self
                .sound(used)
                .filter(|frame| frame.header.number > self.stable)
            {
                let bytes = used
                    .segment
                    .read(frame.offset, frame.header.frame_bytes() as usize)?;
                let at = used.segment.base + u64::from(frame.offset);
                used.segment.file.file.write_at(&[&bytes], at)?;
                touched.insert(&used.segment.file.path, &used.segment.file);
            }
        }
        // A segment that looks free, and is not after the next loss of power, would bring back what was in it.
        for (segment, header) in self
            .free
            .iter()
            .filter(|(_, header)| header.number > self.stable)
        {
            segment.write_free(header, shared.hash_key)?;
            touched.insert(&segment.file.path, &segment.file);
        }
        for (path, file) in touched {
            shared.sync(&*file.file, path)?;
        }
        Ok(())
    }

    /// Whether what an image says of states fits what was found: each is where it was, or there is a later one.
    pub(super) fn bears_out(&self, image: &Directory, sketch: &Sketch) -> bool {
        let epochs: BTreeSet<u32> = self.states.iter().map(|state| state.epoch).collect();
        image.sections.iter().all(|section| {
            let is_used = sketch
                .vbuckets
                .get(&section.vb)
                .is_some_and(|entry| entry.lineage == section.lineage);
            let is_there = |state: &StateRow| {
                self.is_current(state.at.segment) || epochs.contains(&section.lineage.epoch())
            };
            !is_used || section.state.as_ref().is_none_or(is_there)
        })
    }

    /// What was done, in words.
    pub(super) fn summary(&self) -> String {
        format!(
            "read {} of {} segments, {} records",
            self.segments_read,
            self.segments,
            self.items.len()
        )
    }

    pub(super) fn generation_of(&self, segment: u32) -> Option<u64> {
        self.used.get(&segment).map(|used| used.segment.generation)
    }

    /// Whether the use of a segment that the image knows is not over.
    fn is_current(&self, segment: u32) -> bool {
        self.used
            .get(&segment)
            .is_some_and(|used| used.covered.is_some())
    }

    /// Above all that were used; `None` if that is the last number there is.
    pub(super) fn next_generation(&self) -> Option<u64> {
        self.generation_max.checked_add(1)
    }

    /// Of the next append; `None` if there can be none.
    pub(super) fn next_number(&self) -> Option<u64> {
        self.number_max.max(self.stable).checked_add(1)
    }
}
