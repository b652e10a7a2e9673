//! Queueing one operation: its seqno, its place, and what it replaces.

use super::config::Role;
use super::dedup::Verdict;
use super::inner::Inner;
use crate::{CheckpointError, Item, MemoryState, Namespace, Operation, Seqno};

/// What queueing an operation did to the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It stands beside everything that was there.
    New,
    /// An older revision left the queue; none of the persistence cursor's work was repeated.
    Replaced,
    /// The persistence cursor had passed the revision that left: the key must be persisted again.
    ReplacedPersisted,
}

/// Where an operation was queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queued {
    /// Its seqno; for a vBucket state the one the next operation will have.
    pub seqno: Seqno,
    /// What it did.
    pub effect: Effect,
}

impl Inner {
    pub(super) fn queue_item(&mut self, mut item: Item) -> Result<Queued, CheckpointError> {
        self.require_memory(&item)?;
        self.assign_seqno(&mut item)?;
        if self.role == Role::Active {
            item.history |= item.operation == Operation::SystemEvent;
        }
        self.close_if_full();
        let seqno = item.seqno;
        let effect = match item.operation.namespace() {
            Some(namespace) => self.queue_operation(item, namespace),
            None => {
                self.append(item);
                Effect::New
            }
        };
        Ok(Queued { seqno, effect })
    }

    fn queue_operation(&mut self, item: Item, namespace: Namespace) -> Effect {
        let hash = self.index.hash(namespace, &item.key);
        let replaced = match self.verdict(&item, namespace, hash) {
            Verdict::Append => None,
            Verdict::Replace(position) => Some(position),
            Verdict::NewCheckpoint => {
                self.open_next();
                None
            }
        };
        let effect = replaced.map_or(Effect::New, |position| self.replace(position, item.seqno));
        let is_visible = item.operation.is_visible();
        self.high = item.seqno;
        if is_visible {
            self.visible = item.seqno;
        }
        self.open.extend_to(item.seqno, is_visible);
        if item.operation.is_sync_write() {
            self.open.take_note(&item);
        }
        if !self.open.snapshot_type().is_disk() {
            self.index.insert(&self.queue, hash, namespace, &item, self.queue.end(), replaced);
            self.charge_index();
        }
        self.append(item);
        effect
    }

    fn assign_seqno(&self, item: &mut Item) -> Result<(), CheckpointError> {
        let is_state = matches!(item.operation, Operation::SetVBucketState(_));
        if is_state || self.role == Role::Active {
            if item.seqno != Seqno::ZERO {
                return Err(CheckpointError::InvalidArgument(
                    "the seqno is assigned when the item is queued",
                ));
            }
            item.seqno = self.high.next();
            return Ok(());
        }
        if item.seqno == Seqno::ZERO {
            return Err(CheckpointError::InvalidArgument("a replica's item comes with its seqno"));
        }
        if item.seqno <= self.high {
            return Err(CheckpointError::OutOfOrder { seqno: item.seqno, high: self.high });
        }
        let range = self.open.snapshot_range();
        if item.seqno < range.start || item.seqno > range.end {
            return Err(CheckpointError::OutOfRange {
                seqno: item.seqno,
                start: range.start,
                end: range.end,
            });
        }
        Ok(())
    }

    fn close_if_full(&mut self) {
        let by_quota = || self.membership.as_ref().map(|member| member.quota().checkpoint_bytes());
        let max = self.config.max_bytes.or_else(by_quota);
        if max.is_some_and(|max| self.open.live.items > 0 && self.open.live.bytes >= max) {
            self.open_next();
        }
    }

    /// An active takes nothing more while the quota is used up; what a replica is sent it must take.
    fn require_memory(&self, item: &Item) -> Result<(), CheckpointError> {
        let is_write = self.role == Role::Active && item.operation.namespace().is_some();
        match &self.membership {
            Some(member) if is_write && member.quota().state() == MemoryState::Full => {
                Err(CheckpointError::NoMemory { used_bytes: member.quota().used_bytes() })
            }
            _ => Ok(()),
        }
    }

    fn replace(&mut self, position: u64, by: Seqno) -> Effect {
        let Some((payload, rewritten)) = self.queue.supersede(position, by) else { return Effect::New };
        self.discard(rewritten);
        self.open.live.remove(payload);
        self.deduplicated += 1;
        let persisted = self.persistence.and_then(|cursor| self.cursors.get(cursor));
        match persisted {
            Some(cursor) if cursor.position > position => Effect::ReplacedPersisted,
            _ => Effect::Replaced,
        }
    }

    fn append(&mut self, item: Item) {
        self.open.live.add(item.payload_bytes());
        self.queue.push(item);
        self.wake_idle();
    }
}
