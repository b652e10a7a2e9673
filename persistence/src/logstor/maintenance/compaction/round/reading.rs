//! Claiming and reading of a round's victims.
//!
//! Every record of a victim is identified: live ones are copied, and all are counted off when the victim is freed.

use std::sync::Arc;

use lowtide_checkpoint::Namespace;

use super::{CompactionRound, RecordCopy};
use crate::contract::EngineError;
use crate::logstor::branch::{Branch, Name};
use crate::logstor::entry::{self, Peek};
use crate::logstor::fingerprint::Fingerprint;
use crate::logstor::frame::HEADER_BYTES;
use crate::logstor::registry::ByEpoch;
use crate::logstor::scan;
use crate::logstor::segment::{Location, Segment};
use crate::logstor::segments::{Closed, Origin};

impl CompactionRound {
    /// Claims victims and reads them.
    ///
    /// # Errors
    /// [`EngineError::Disk`]; [`EngineError::Corrupt`] if all are damaged.
    pub(super) fn claim(
        &mut self,
        victims: Vec<(Arc<Segment>, Closed)>,
    ) -> Result<(), EngineError> {
        let branches = self.registry.by_epoch();
        let mut damage = None;
        for (segment, closed) in victims {
            if !self.registry.log.segments.claim(segment.id, true) {
                continue;
            }
            // From here on the claim is released when the round is dropped.
            let (id, is_dead) = (segment.id, segment.live_records() == 0);
            self.victims.push(Arc::clone(&segment));
            match self.read(&segment, closed, &branches) {
                // No record of it is needed, and freeing it may have begun before. Unread records are not counted off.
                Err(EngineError::Corrupt { .. }) if is_dead => {}
                Err(error @ EngineError::Corrupt { .. }) => {
                    damage = Some(error);
                    self.leave_out(id);
                }
                result => result?,
            }
        }
        match damage {
            Some(damage) if self.victims.is_empty() => Err(damage),
            _ => Ok(()),
        }
    }

    fn leave_out(&mut self, id: u32) {
        self.victims.retain(|victim| victim.id != id);
        self.copies.retain(|copy| copy.from.segment != id);
        self.names.remove(&id);
        self.registry.log.segments.claim(id, false);
    }

    fn read(
        &mut self,
        segment: &Segment,
        closed: Closed,
        branches: &ByEpoch,
    ) -> Result<(), EngineError> {
        if let Origin::Large { .. } = closed.origin {
            return self.read_large(segment);
        }
        let id = segment.id;
        let bytes = segment.read(0, closed.used as usize)?;
        let hash_key = self.registry.log.shared.hash_key;
        let frames = scan::frames(&bytes, id, hash_key, |_| Some(closed.used));
        let whole = frames.frames.iter().filter(|frame| frame.is_whole);
        let mut end = 0;
        for frame in whole {
            end = frame.offset + frame.header.frame_bytes();
            let payload = scan::payload(&bytes, frame.offset, &frame.header);
            let payload = payload
                .ok_or_else(|| segment.corrupt(frame.offset, "a frame without its records"))?;
            for record in scan::records(payload, frame.offset) {
                let (at, peek) =
                    record.ok_or_else(|| segment.corrupt(frame.offset, "a damaged record"))?;
                let from = Location {
                    segment: id,
                    offset: at,
                    len: peek.len,
                };
                self.note(&peek, from, branches);
            }
        }
        if end != closed.used {
            return Err(segment.corrupt(end, "a frame that was written there is damaged"));
        }
        self.bytes.insert(id, bytes);
        Ok(())
    }

    /// Notes a record of a victim, and whether it is to be copied.
    fn note(&mut self, peek: &Peek<'_>, from: Location, branches: &ByEpoch) {
        let (epoch, name) = self.name(peek);
        self.names
            .entry(from.segment)
            .or_default()
            .push((epoch, name));
        let lives = |branch: &&Arc<Branch>| branch.names(name, from);
        let Some(branch) = branches.get(&epoch).and_then(|all| all.iter().find(lives)) else {
            return;
        };
        *self.volumes.entry(branch.vb).or_default() += u64::from(peek.len);
        self.copies.push(RecordCopy {
            vb: branch.vb,
            seqno: peek.seqno,
            name,
            epoch,
            from,
        });
    }

    fn read_large(&mut self, segment: &Segment) -> Result<(), EngineError> {
        let len = segment.read(HEADER_BYTES, 8)?;
        let len = len
            .get(4..)
            .and_then(|len| len.first_chunk())
            .map_or(0, |len| u32::from_be_bytes(*len));
        let room = (segment.rest().len() as u64 + 1) * u64::from(segment.bytes - HEADER_BYTES);
        if u64::from(len) > room {
            return Err(segment.corrupt(HEADER_BYTES, "a damaged large record"));
        }
        let record = segment.read_record(Location {
            segment: segment.id,
            offset: HEADER_BYTES,
            len,
        })?;
        let name = entry::peek(&record).map(|peek| self.name(&peek));
        self.names.entry(segment.id).or_default().extend(name);
        Ok(())
    }

    /// The epoch and the identity of a record.
    pub(super) fn name(&self, peek: &Peek<'_>) -> (u32, Name) {
        let name = match peek.operation {
            None => Name::State,
            Some(operation) => {
                let namespace = operation.namespace().unwrap_or(Namespace::System);
                let fingerprint =
                    Fingerprint::of(self.registry.log.shared.hash_key, namespace, peek.key);
                Name::Item {
                    fingerprint,
                    seqno: peek.seqno,
                }
            }
        };
        (peek.epoch, name)
    }
}
