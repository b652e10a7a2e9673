//! The naive manager: every operation ever queued in one `Vec`, with flags instead of structure.
//!
//! In go the operations a manager gets, out comes what it must answer. It is written from the rules of scenario files,
//! not from the manager, and is as simple as it can be made: nothing is indexed, cached or freed, every answer is
//! counted afresh from the log. What always holds: the records of one checkpoint are consecutive, and those that are
//! gone come first.

use std::collections::BTreeMap;

use crate::piece::Checkpoint;
use lowtide_checkpoint::{
    Effect, Item, Operation, PERSISTENCE, Queued, Role, Seqno, SnapshotMarker, SnapshotType,
};

/// One operation, for ever.
#[derive(Clone, Debug)]
pub struct Record {
    pub item: Item,
    pub checkpoint: u64,
    /// A newer revision took its place.
    pub replaced: bool,
    /// It was expelled, or its checkpoint was removed.
    pub gone: bool,
}

impl Record {
    pub fn is_live(&self) -> bool {
        !self.replaced && !self.gone
    }

    /// What a cursor or a dummy that stands on it shows.
    pub fn shown(&self) -> Seqno {
        if is_state(&self.item) {
            Seqno(self.item.seqno.0 - 1)
        } else {
            self.item.seqno
        }
    }
}

/// How far a cursor, or the start of a flush, has come: so many records are behind it.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    pub passed: usize,
    pub shown: Seqno,
    pub droppable: bool,
}

#[derive(Debug)]
pub struct Naive {
    pub role: Role,
    pub max_bytes: Option<usize>,
    /// What an item costs beyond key and value.
    pub overhead_bytes: usize,
    pub log: Vec<Record>,
    /// Oldest first; the last is open.
    pub checkpoints: Vec<Checkpoint>,
    /// Those that were removed, since the start or the last rollback.
    pub past: Vec<Checkpoint>,
    pub cursors: BTreeMap<String, Place>,
    /// Where the flush in progress would start again.
    pub flush: Option<Place>,
    pub high: Seqno,
    /// The high seqno it was made or cleared with.
    pub floor: Seqno,
    pub highest_gone: Seqno,
    pub deduplicated: u64,
    pub expelled: u64,
    pub removed: u64,
    pub enqueued: u64,
    pub cleared: u64,
    pub checkpoints_created: u64,
    pub expelled_bytes: usize,
    pub removed_bytes: usize,
}

impl Naive {
    pub fn new(role: Role, high: Seqno, max_bytes: Option<usize>, overhead_bytes: usize) -> Self {
        Self {
            role,
            max_bytes,
            overhead_bytes,
            log: Vec::new(),
            checkpoints: vec![Checkpoint {
                id: 1,
                snapshot_id: 1,
                marker: None,
                before: high,
                dummy: high,
                is_cut: false,
                was_memory: false,
                extended_from: None,
            }],
            past: Vec::new(),
            cursors: BTreeMap::new(),
            flush: None,
            high,
            floor: high,
            highest_gone: high,
            deduplicated: 0,
            expelled: 0,
            removed: 0,
            enqueued: 0,
            cleared: 0,
            checkpoints_created: 1,
            expelled_bytes: 0,
            removed_bytes: 0,
        }
    }

    pub fn open(&self) -> &Checkpoint {
        self.checkpoints.last().expect("one is always open")
    }

    pub fn queue(&mut self, mut item: Item) -> Result<Queued, &'static str> {
        let assigned = is_state(&item) || self.role == Role::Active;
        if assigned != (item.seqno == Seqno::ZERO) {
            return Err("invalid-argument");
        }
        if assigned {
            item.seqno = Seqno(self.high.0 + 1);
        } else if item.seqno <= self.high {
            return Err("out-of-order");
        } else if !(self.range(self.open()).start..=self.range(self.open()).end)
            .contains(&item.seqno)
        {
            return Err("out-of-range");
        }
        if self.role == Role::Active {
            item.history |= item.operation == Operation::SystemEvent;
        }
        if self.open_is_full() {
            self.open_next();
        }
        let mut effect = Effect::New;
        if !is_state(&item) {
            match self.what_it_meets(&item) {
                Meets::Nothing => {}
                Meets::Replaceable(old) => {
                    self.log[old].replaced = true;
                    self.deduplicated += 1;
                    let persisted = self
                        .cursors
                        .get(PERSISTENCE)
                        .is_some_and(|place| place.passed > old);
                    effect = if persisted {
                        Effect::ReplacedPersisted
                    } else {
                        Effect::Replaced
                    };
                }
                Meets::Irreplaceable => self.open_next(),
            }
            self.high = item.seqno;
        }
        let seqno = item.seqno;
        let checkpoint = self.open().id;
        self.log.push(Record {
            item,
            checkpoint,
            replaced: false,
            gone: false,
        });
        self.enqueued += 1;
        Ok(Queued { seqno, effect })
    }

    fn what_it_meets(&self, item: &Item) -> Meets {
        if self.open().is_disk() {
            return Meets::Nothing;
        }
        let same = |record: &&(usize, &Record)| {
            let old = &record.1.item;
            record.1.checkpoint == self.open().id
                && !record.1.replaced
                && !is_state(old)
                && old.key == item.key
                && namespace(old) == namespace(item)
        };
        let log: Vec<_> = self.log.iter().enumerate().collect();
        if let Some((at, old)) = log.iter().filter(same).find(|(_, record)| !record.gone) {
            let is_durable = |item: &Item| {
                matches!(
                    item.operation,
                    Operation::Prepare | Operation::Commit | Operation::Abort
                )
            };
            let fixed =
                is_durable(item) || is_durable(&old.item) || item.history || old.item.history;
            return if fixed {
                Meets::Irreplaceable
            } else {
                Meets::Replaceable(*at)
            };
        }
        let forces =
            |old: &Item| old.operation == Operation::Prepare || (old.history && item.history);
        if log
            .iter()
            .filter(same)
            .any(|(_, record)| forces(&record.item))
        {
            return Meets::Irreplaceable;
        }
        Meets::Nothing
    }

    fn open_is_full(&self) -> bool {
        let held = || {
            self.log
                .iter()
                .filter(|record| record.checkpoint == self.open().id && record.is_live())
        };
        let bytes: usize = held().map(|record| self.cost(&record.item)).sum();
        held().count() > 0 && self.max_bytes.is_some_and(|max| bytes >= max)
    }

    pub fn cost(&self, item: &Item) -> usize {
        item.key.encoded().len()
            + item.value.as_ref().map_or(0, |value| value.len())
            + self.overhead_bytes
    }

    pub fn close(&mut self) {
        self.open_next();
    }

    pub fn snapshot(&mut self, marker: SnapshotMarker) -> Result<(), &'static str> {
        let is_disk = marker.snapshot_type != SnapshotType::Memory;
        let nonsense = self.role == Role::Active
            || marker.start > marker.end
            || marker.end < self.high
            || marker.visible.is_some_and(|visible| visible > marker.end)
            || (is_disk && marker.high_completed_seqno.is_none())
            || (!is_disk && marker.purge_seqno.is_some());
        if nonsense {
            return Err("invalid-argument");
        }
        if !marker.extend {
            let high = self.high;
            let begins_inside = |half: &SnapshotMarker| marker.start <= half.end;
            let is_half = |half: &&mut Checkpoint| {
                half.marker
                    .is_some_and(|half| high < half.end.min(marker.end) && begins_inside(&half))
            };
            self.checkpoints
                .iter_mut()
                .filter(is_half)
                .for_each(|half| half.ends_with(&marker));
            self.open_with(Some(marker), None);
            return Ok(());
        }
        let high = self.high;
        let lasts: Vec<_> = self
            .checkpoints
            .iter()
            .map(|checkpoint| self.last(checkpoint))
            .collect();
        let (open, closed) = self
            .checkpoints
            .split_last_mut()
            .expect("one is always open");
        match &mut open.marker {
            Some(old)
                if old.snapshot_type == SnapshotType::Memory
                    && !is_disk
                    && old.history == marker.history
                    && old.end == high
                    && marker.start == Seqno(old.end.0 + 1) =>
            {
                let before = old.end;
                *old = SnapshotMarker {
                    start: old.start,
                    high_completed_seqno: old.high_completed_seqno.max(marker.high_completed_seqno),
                    high_prepared_seqno: old.high_prepared_seqno.max(marker.high_prepared_seqno),
                    may_repeat_keys: old.may_repeat_keys || marker.may_repeat_keys,
                    ..marker
                };
                open.extended_from = Some(before);
                for (half, last) in closed.iter_mut().zip(lasts) {
                    if half.marker.is_some_and(|marker| marker.end == before) && last < Some(before)
                    {
                        half.is_extended_with(old, before);
                    }
                }
                Ok(())
            }
            _ => Err("invalid-argument"),
        }
    }

    pub fn set_role(&mut self, role: Role) {
        self.role = role;
        if role == Role::Active {
            let high = self.high;
            let completed: Vec<_> = self
                .checkpoints
                .iter()
                .map(|checkpoint| self.durable(checkpoint).0)
                .collect();
            for (checkpoint, completed) in self.checkpoints.iter_mut().zip(completed) {
                checkpoint.end_at(high, completed);
            }
        }
        self.open_with(None, None);
    }

    pub fn clear(&mut self, high: Seqno) {
        let cursors = std::mem::take(&mut self.cursors);
        let mut old = Self::new(self.role, high, self.max_bytes, self.overhead_bytes);
        std::mem::swap(self, &mut old);
        (self.deduplicated, self.expelled, self.removed) =
            (old.deduplicated, old.expelled, old.removed);
        (self.expelled_bytes, self.removed_bytes) = (old.expelled_bytes, old.removed_bytes);
        self.cleared =
            old.cleared + old.log.iter().filter(|record| record.is_live()).count() as u64;
        (self.enqueued, self.checkpoints_created) = (old.enqueued, old.checkpoints_created + 1);
        self.cursors = cursors
            .into_iter()
            .map(|(name, at)| {
                (
                    name,
                    Place {
                        passed: 0,
                        shown: high,
                        ..at
                    },
                )
            })
            .collect();
    }

    fn open_next(&mut self) {
        let (marker, id) = (self.open().marker, self.open().snapshot_id);
        self.open_with(marker, marker.map(|_| id));
    }

    fn open_with(&mut self, marker: Option<SnapshotMarker>, snapshot_id: Option<u64>) {
        let id = self.open().id + 1;
        self.checkpoints.push(Checkpoint {
            id,
            snapshot_id: snapshot_id.unwrap_or(id),
            marker,
            before: self.high,
            dummy: self.high,
            is_cut: false,
            was_memory: false,
            extended_from: None,
        });
        self.checkpoints_created += 1;
        self.remove();
    }

    /// Removes the oldest checkpoints while they are closed and nobody stands in them.
    pub fn remove(&mut self) {
        while self.checkpoints.len() > 1 {
            let end = self.end_of(self.checkpoints[0].id);
            if self.places().any(|place| place.passed < end) {
                return;
            }
            let before = self.live_bytes();
            self.removed += self.give_up(end) as u64;
            self.removed_bytes += before - self.live_bytes();
            let removed = self.checkpoints.remove(0);
            self.past.push(removed);
        }
    }

    pub fn expel(&mut self) -> usize {
        let end = self.end_of(self.checkpoints[0].id);
        let lowest = self.places().map(|place| (place.passed, place.shown)).min();
        let to = lowest.map_or(end, |(passed, _)| passed);
        let last = to.checked_sub(1).map(|last| self.log[last].shown());
        let shown = lowest.map(|(_, shown)| shown).or(last);
        let dummy = &mut self.checkpoints[0].dummy;
        *dummy = (*dummy).max(shown.unwrap_or_default());
        let before = self.live_bytes();
        let count = self.give_up(to);
        self.expelled += count as u64;
        self.expelled_bytes += before - self.live_bytes();
        count
    }

    /// Checkpoints created, items expelled, cursors dropped, bytes freed.
    pub fn recover(&mut self, bytes: usize) -> (usize, usize, Vec<String>, usize) {
        let (mut created, mut expelled, mut dropped, before) =
            (0, 0, Vec::new(), self.live_bytes());
        let open = self.open().id;
        if bytes > 0
            && self
                .log
                .iter()
                .any(|record| record.checkpoint == open && record.is_live())
        {
            self.open_next();
            created = 1;
        }
        while before - self.live_bytes() < bytes {
            expelled += self.expel();
            if before - self.live_bytes() >= bytes || !self.drop_lowest(&mut dropped) {
                break;
            }
        }
        (created, expelled, dropped, before - self.live_bytes())
    }

    fn live_bytes(&self) -> usize {
        self.log
            .iter()
            .filter(|record| record.is_live())
            .map(|record| self.cost(&record.item))
            .sum()
    }

    /// Drops whoever waits for the first item that anybody waits for, unless somebody who must stay does.
    fn drop_lowest(&mut self, dropped: &mut Vec<String>) -> bool {
        let Some(lowest) = self.places().map(|place| place.passed).min() else {
            return false;
        };
        let live = self.log.iter().skip(lowest).position(Record::is_live);
        let Some(first) = live.map(|offset| lowest + offset) else {
            return false;
        };
        let waits = |place: &Place| place.passed <= first;
        if self.flush.iter().any(waits)
            || self
                .cursors
                .values()
                .any(|place| waits(place) && !place.droppable)
        {
            return false;
        }
        dropped.extend(
            self.cursors
                .iter()
                .filter(|(_, place)| waits(place))
                .map(|(name, _)| name.clone()),
        );
        self.cursors.retain(|_, place| !waits(place));
        self.remove();
        true
    }

    fn give_up(&mut self, to: usize) -> usize {
        let mut count = 0;
        for record in self.log.iter_mut().take(to) {
            if record.is_live() {
                count += 1;
                if !is_state(&record.item) {
                    self.highest_gone = self.highest_gone.max(record.item.seqno);
                }
            }
            record.gone = true;
        }
        count
    }

    /// So many records are gone.
    pub fn base(&self) -> usize {
        self.log.iter().filter(|record| record.gone).count()
    }

    fn end_of(&self, checkpoint: u64) -> usize {
        self.log
            .iter()
            .filter(|record| record.checkpoint <= checkpoint)
            .count()
    }

    fn places(&self) -> impl Iterator<Item = Place> {
        self.cursors.values().copied().chain(self.flush)
    }
}

/// What an operation about to be queued finds in the open checkpoint.
enum Meets {
    Nothing,
    Replaceable(usize),
    Irreplaceable,
}

pub fn is_state(item: &Item) -> bool {
    matches!(item.operation, Operation::SetVBucketState(_))
}

fn namespace(item: &Item) -> u8 {
    match item.operation {
        Operation::Prepare | Operation::Abort => 1,
        Operation::SystemEvent => 2,
        _ => 0,
    }
}
