//! The naive manager: every operation ever queued in one `Vec`, with flags instead of structure.
//!
//! It is written from the rules of scenario files, not from the manager, and is as simple as
//! possible. Nothing is indexed, cached or freed: every answer is counted from the log.
//!
//! # Invariants
//! - The records of one checkpoint are consecutive, and evicted records come first.

use std::collections::BTreeMap;

use lowtide_checkpoint::{Effect, Item, Operation, PERSISTENCE, Role, Seqno};

use crate::checkpoint::Checkpoint;

mod checkpoints;
mod eviction;

/// One operation. Records are never removed.
#[derive(Clone, Debug)]
pub struct Record {
    pub item: Item,
    pub checkpoint: u64,
    /// Whether a newer revision replaced it.
    pub replaced: bool,
    /// Whether it was expelled, or removed with its checkpoint.
    pub evicted: bool,
}

impl Record {
    pub fn is_live(&self) -> bool {
        !self.replaced && !self.evicted
    }

    /// Returns the seqno that a cursor or dummy on this record has processed.
    pub fn processed_seqno(&self) -> Seqno {
        if is_state(&self.item) {
            Seqno(self.item.seqno.0 - 1)
        } else {
            self.item.seqno
        }
    }
}

/// The progress of a cursor, or the start of a flush: the number of records before it.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    pub passed: usize,
    pub seqno: Seqno,
    pub droppable: bool,
}

#[derive(Debug)]
pub struct Naive {
    pub role: Role,
    pub max_bytes: Option<usize>,
    /// Bytes that an item costs beyond key and value.
    pub overhead_bytes: usize,
    pub log: Vec<Record>,
    /// Checkpoints, oldest first. The last one is open.
    pub checkpoints: Vec<Checkpoint>,
    /// Checkpoints removed since the start or the last rollback.
    pub removed_checkpoints: Vec<Checkpoint>,
    pub cursors: BTreeMap<String, Progress>,
    /// Place where the flush in progress would start again.
    pub flush: Option<Progress>,
    pub high: Seqno,
    /// High seqno when the manager was created or cleared.
    pub floor: Seqno,
    pub highest_evicted: Seqno,
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
                is_truncated: false,
                was_memory: false,
                extended_from: None,
            }],
            removed_checkpoints: Vec::new(),
            cursors: BTreeMap::new(),
            flush: None,
            high,
            floor: high,
            highest_evicted: high,
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

    pub fn queue(&mut self, mut item: Item) -> Result<(Seqno, Effect), &'static str> {
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
            match self.conflict_of(&item) {
                Conflict::None => {}
                Conflict::Replaceable(old) => {
                    self.log[old].replaced = true;
                    self.deduplicated += 1;
                    let persisted = self
                        .cursors
                        .get(PERSISTENCE)
                        .is_some_and(|progress| progress.passed > old);
                    effect = if persisted {
                        Effect::ReplacedPersisted
                    } else {
                        Effect::Replaced
                    };
                }
                Conflict::Irreplaceable => self.open_next(),
            }
            self.high = item.seqno;
        }
        let seqno = item.seqno;
        let checkpoint = self.open().id;
        self.log.push(Record {
            item,
            checkpoint,
            replaced: false,
            evicted: false,
        });
        self.enqueued += 1;
        Ok((seqno, effect))
    }

    fn conflict_of(&self, item: &Item) -> Conflict {
        if self.open().is_disk() {
            return Conflict::None;
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
        if let Some((at, old)) = log.iter().filter(same).find(|(_, record)| !record.evicted) {
            let is_durable = |item: &Item| {
                matches!(
                    item.operation,
                    Operation::Prepare | Operation::Commit | Operation::Abort
                )
            };
            let fixed =
                is_durable(item) || is_durable(&old.item) || item.history || old.item.history;
            return if fixed {
                Conflict::Irreplaceable
            } else {
                Conflict::Replaceable(*at)
            };
        }
        let forces =
            |old: &Item| old.operation == Operation::Prepare || (old.history && item.history);
        if log
            .iter()
            .filter(same)
            .any(|(_, record)| forces(&record.item))
        {
            return Conflict::Irreplaceable;
        }
        Conflict::None
    }

    pub fn cost(&self, item: &Item) -> usize {
        item.key.encoded().len()
            + item.value.as_ref().map_or(0, |value| value.len())
            + self.overhead_bytes
    }
}

/// The revision that an operation meets in the open checkpoint.
enum Conflict {
    None,
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
