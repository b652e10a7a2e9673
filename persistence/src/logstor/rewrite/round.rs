//! One round of rewriting: victims go in, claimed and read; copy by copy they lose what lives, and are freed at the end.
//!
//! Always: a round that is dropped at any time leaves the store sound: copies that were written are named or counted, and
//! the victims are anybody's again.

use std::collections::BTreeMap;
use std::sync::Arc;

use lowtide_checkpoint::{Namespace, Vbid};

use super::outputs::{Draft, Full, Outputs, Target};
use crate::contract::{Budget, EngineError};
use crate::logstor::branch::{Branch, Name};
use crate::logstor::config::KEPT;
use crate::logstor::entry::{self, Peek};
use crate::logstor::fingerprint::Fingerprint;
use crate::logstor::frame::HEADER_BYTES;
use crate::logstor::registry::{ByEpoch, Registry};
use crate::logstor::scan;
use crate::logstor::segment::{Location, Segment};
use crate::logstor::segments::{Closed, Origin};

/// So many records are counted off under a branch's lock at once.
const FREED_TOGETHER: usize = 256;

/// A record to be copied.
#[derive(Clone, Copy, Debug)]
struct Copy {
    vb: Vbid,
    seqno: u64,
    name: Name,
    epoch: u32,
    from: Location,
}

/// A copy that is durable and not named yet. The segment it is in is held, so that nobody frees it.
#[derive(Debug)]
struct Pending {
    copy: Copy,
    to: Location,
    _segment: Arc<Segment>,
}

/// Where copies may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    /// To segments of their vBuckets where there is enough of one.
    Apart,
    /// All together: space is short.
    Together,
}

#[derive(Debug)]
pub(in crate::logstor) struct Round {
    registry: Arc<Registry>,
    packing: Packing,
    victims: Vec<Arc<Segment>>,
    /// By segment.
    bytes: BTreeMap<u32, Vec<u8>>,
    /// Every record of each victim, to be counted off.
    names: BTreeMap<u32, Vec<(u32, Name)>>,
    /// What lives, by vBucket and seqno, last first.
    copies: Vec<Copy>,
    /// Of each vBucket: bytes to be copied.
    volumes: BTreeMap<Vbid, u64>,
    pending: Vec<Pending>,
    full: Vec<Full>,
    pub(super) records_copied: u64,
}

impl Round {
    /// Claims victims and reads them; those that are damaged stay as they are. `None` if somebody else has them all.
    ///
    /// # Errors
    /// [`EngineError::Disk`]; [`EngineError::Corrupt`] if all are damaged.
    pub(super) fn begin(
        registry: &Arc<Registry>,
        victims: Vec<(Arc<Segment>, Closed)>,
        packing: Packing,
    ) -> Result<Option<Self>, EngineError> {
        let mut round = Self {
            registry: Arc::clone(registry),
            packing,
            victims: Vec::new(),
            bytes: BTreeMap::new(),
            names: BTreeMap::new(),
            copies: Vec::new(),
            volumes: BTreeMap::new(),
            pending: Vec::new(),
            full: Vec::new(),
            records_copied: 0,
        };
        let branches = registry.by_epoch();
        let mut damage = None;
        for (segment, closed) in victims {
            if !registry.log.segments.claim(segment.id, true) {
                continue;
            }
            // From here on it is given back when the round is dropped.
            let (id, is_dead) = (segment.id, segment.live_records() == 0);
            round.victims.push(segment);
            match round.read(id, closed, &branches) {
                // Nobody needs it, and freeing it may have been begun before. What is not read is not counted off.
                Err(EngineError::Corrupt { .. }) if is_dead => {}
                Err(error @ EngineError::Corrupt { .. }) => {
                    damage = Some(error);
                    round.leave_out(id);
                }
                result => result?,
            }
        }
        if let (true, Some(damage)) = (round.victims.is_empty(), damage) {
            return Err(damage);
        }
        round
            .copies
            .sort_unstable_by_key(|copy| std::cmp::Reverse((copy.vb, copy.seqno)));
        Ok((!round.victims.is_empty()).then_some(round))
    }

    fn leave_out(&mut self, id: u32) {
        self.victims.retain(|victim| victim.id != id);
        self.copies.retain(|copy| copy.from.segment != id);
        self.names.remove(&id);
        self.registry.log.segments.claim(id, false);
    }

    fn read(&mut self, id: u32, closed: Closed, branches: &ByEpoch) -> Result<(), EngineError> {
        let Some(segment) = self.victims.last().map(Arc::clone) else {
            return Ok(());
        };
        if let Origin::Large { .. } = closed.origin {
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
                segment: id,
                offset: HEADER_BYTES,
                len,
            })?;
            let name = entry::peek(&record).and_then(|peek| self.name(&peek));
            self.names.entry(id).or_default().extend(name);
            return Ok(());
        }
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
                let Some((epoch, name)) = self.name(&peek) else {
                    continue;
                };
                self.names.entry(id).or_default().push((epoch, name));
                let from = Location {
                    segment: id,
                    offset: at,
                    len: peek.len,
                };
                let lives = |branch: &&Arc<Branch>| branch.names(name, from);
                if let Some(branch) = branches.get(&epoch).and_then(|all| all.iter().find(lives)) {
                    let (vb, seqno) = (branch.vb, peek.seqno);
                    *self.volumes.entry(vb).or_default() += u64::from(peek.len);
                    self.copies.push(Copy {
                        vb,
                        seqno,
                        name,
                        epoch,
                        from,
                    });
                }
            }
        }
        if end != closed.used {
            return Err(segment.corrupt(end, "a frame that was written there is damaged"));
        }
        self.bytes.insert(id, bytes);
        Ok(())
    }

    fn name(&self, peek: &Peek<'_>) -> Option<(u32, Name)> {
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
        Some((peek.epoch, name))
    }

    /// Loses what was read, for tests.
    #[cfg(test)]
    pub(in crate::logstor) fn lose_bytes(&mut self) {
        self.bytes.values_mut().for_each(|bytes| bytes.fill(0));
    }

    /// How many bytes are moved for each hundred that come to be free.
    pub(super) fn cost_percent(&self) -> u64 {
        let all: u64 = self
            .victims
            .iter()
            .map(|victim| u64::from(victim.bytes))
            .sum();
        let moved: u64 = self.volumes.values().sum();
        moved.saturating_mul(100) / all.saturating_sub(moved).max(1)
    }

    /// Of its victims.
    pub(super) fn generations(&self) -> impl Iterator<Item = u64> {
        self.victims.iter().map(|victim| victim.generation)
    }

    pub(super) fn has_copies_left(&self) -> bool {
        !self.copies.is_empty()
    }

    pub(super) fn copies_left(&self) -> u64 {
        self.copies.len() as u64
    }

    /// Copies as much as the budget allows, durably; how many bytes that wrote. [`Round::swap`] makes it count.
    ///
    /// # Errors
    /// [`EngineError::Disk`] or [`EngineError::Poisoned`]: what was to be copied in this step is where it was.
    pub(super) fn copy(
        &mut self,
        outputs: &mut Outputs,
        budget: Budget,
    ) -> Result<u64, EngineError> {
        let (mut draft, mut pending, mut left) = (Draft::default(), Vec::new(), budget);
        let placed = loop {
            let Some(copy) = self.copies.pop() else {
                break Ok(());
            };
            match self.place(outputs, &mut draft, copy) {
                Ok(to) => pending.push((copy, to)),
                Err(error) => {
                    self.copies.push(copy);
                    break Err(error);
                }
            }
            if !left.spend(u64::from(copy.from.len)) {
                break Ok(());
            }
        };
        let log = &self.registry.log;
        let written = placed.and_then(|()| log.append(&mut draft.frames));
        if let Err(error) = written {
            outputs.failed(draft, log);
            return Err(error);
        }
        let counters = &self.registry.log.shared.counters;
        counters.records_rewritten.add(pending.len() as u64);
        let bytes = draft
            .frames
            .iter()
            .map(|frame| frame.bytes.len() as u64)
            .sum();
        counters.rewritten_bytes.add(bytes);
        self.records_copied += pending.len() as u64;
        let segments: BTreeMap<u32, Arc<Segment>> = draft
            .frames
            .iter()
            .map(|frame| (frame.segment.id, Arc::clone(&frame.segment)))
            .collect();
        self.pending
            .extend(pending.into_iter().filter_map(|(copy, to)| {
                Some(Pending {
                    copy,
                    to,
                    _segment: Arc::clone(segments.get(&to.segment)?),
                })
            }));
        self.full.extend(outputs.written(draft));
        Ok(bytes)
    }

    fn place(
        &self,
        outputs: &mut Outputs,
        draft: &mut Draft,
        copy: Copy,
    ) -> Result<Location, EngineError> {
        let Location {
            segment,
            offset,
            len,
        } = copy.from;
        let start = offset as usize;
        let bytes = self.bytes.get(&segment);
        let record = bytes.and_then(|bytes| bytes.get(start..start.checked_add(len as usize)?));
        // It was verified when it was read. A copy of anything else would pass for the record, and that would be freed.
        let is_it = |record: &&[u8]| {
            entry::peek(record)
                .is_some_and(|peek| self.name(&peek) == Some((copy.epoch, copy.name)))
        };
        let lost = || {
            self.registry
                .log
                .shared
                .inconsistent("a record to be copied is not what was read")
        };
        let record = record.filter(is_it).ok_or_else(lost)?;
        let target = self.target(outputs, copy.vb);
        outputs.place(draft, &self.registry.log, target, record, len)
    }

    fn target(&self, outputs: &Outputs, vb: Vbid) -> Target {
        let log = &self.registry.log;
        if self.packing == Packing::Together {
            return None;
        }
        let census = log.segments.census();
        let is_short = census.free.saturating_add(census.possible) <= KEPT + 2;
        let volume = self.volumes.get(&vb).copied().unwrap_or(0);
        let is_enough = volume >= u64::from(log.segments.geometry().segment_bytes / 8);
        (!is_short && (is_enough || outputs.has(vb))).then_some(vb)
    }

    /// Names what was copied in its place.
    pub(super) fn swap(&mut self) {
        if !self.pending.is_empty() {
            let _no_rollback = self.registry.relocating.read();
            let branches = self.registry.by_epoch();
            for Pending { copy, to, .. } in std::mem::take(&mut self.pending) {
                // A record above its epoch's cap does not exist for the branch that was rolled back.
                let has = |branch: &&Arc<Branch>| match copy.name {
                    Name::State => true,
                    Name::Item { seqno, .. } => branch.lineage.contains(copy.epoch, seqno),
                };
                // Whoever names the record takes the copy; whoever doesn't counts it.
                let all = branches.get(&copy.epoch).into_iter().flatten().filter(has);
                all.for_each(|branch| branch.relocate(copy.name, copy.from, to));
            }
        }
        for full in std::mem::take(&mut self.full) {
            full.close(&self.registry.log);
        }
    }

    /// Frees the victims nobody needs any more; how many segments that gives. Whoever calls keeps others from copying.
    ///
    /// # Errors
    /// [`EngineError::Disk`]: they stay.
    pub(super) fn free(mut self, _outputs: &mut Outputs) -> Result<u64, EngineError> {
        self.swap();
        let log = Arc::clone(&self.registry.log);
        let freed = log.invalidate(&self.victims)?;
        let _no_rollback = self.registry.relocating.read();
        let branches = self.registry.by_epoch();
        let mut by_branch: BTreeMap<u32, Vec<Name>> = BTreeMap::new();
        for segment in &freed {
            for (epoch, name) in self.names.remove(&segment.id).unwrap_or_default() {
                by_branch.entry(epoch).or_default().push(name);
            }
        }
        for (epoch, names) in by_branch {
            for branch in branches.get(&epoch).into_iter().flatten() {
                let of_branch = |name: &&Name| match name {
                    Name::State => false,
                    Name::Item { seqno, .. } => branch.lineage.contains(epoch, *seqno),
                };
                let names: Vec<Name> = names.iter().filter(of_branch).copied().collect();
                // Commits wait for the branch, too.
                names
                    .chunks(FREED_TOGETHER)
                    .for_each(|some| branch.freed(some));
            }
        }
        self.victims
            .retain(|victim| freed.iter().all(|freed| freed.id != victim.id));
        let count = freed
            .iter()
            .map(|segment| 1 + segment.rest().len() as u64)
            .sum();
        self.registry
            .log
            .shared
            .counters
            .segments_compacted
            .add(count);
        log.segments.reuse(freed);
        Ok(count)
    }
}

impl Drop for Round {
    fn drop(&mut self) {
        self.swap();
        for victim in &self.victims {
            self.registry.log.segments.claim(victim.id, false);
        }
    }
}
