//! Queueing one operation: its seqno, its place in the queue, and the revision it replaces.
//!
//! All checks run before the first change, so a refused item changes nothing (C15).

use super::dedup::Verdict;
use crate::error::CheckpointError;
use crate::fault::{self, Fault};
use crate::internal::invariant::{Invariant, Violation};
use crate::manager::config::{CheckpointConfig, Role};
use crate::manager::locked_state::LockedState;
use crate::memory::MemoryState;
use crate::model::{Item, Namespace, Operation, Seqno};
use crate::queue::{IndexSlot, Resident};

/// The effect of an operation on the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Effect {
    /// The operation replaced nothing.
    New,
    /// An older revision left the queue. The persistence cursor, if any, had not passed it.
    Replaced,
    /// An older revision left the queue. The persistence cursor had passed it: the key must be
    /// persisted again.
    ReplacedPersisted,
}

impl Effect {
    /// Returns the name in scenario files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Replaced => "replaced",
            Self::ReplacedPersisted => "replaced-persisted",
        }
    }
}

/// The place of a queued operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Queued {
    /// Seqno of the operation; for a vBucket state the one that the next operation will have.
    pub seqno: Seqno,
    /// Effect on the queue.
    pub effect: Effect,
}

impl LockedState {
    #[inline]
    pub(crate) fn queue_item(&mut self, item: Item) -> Result<Queued, CheckpointError> {
        self.require_memory(&item)?;
        let seqno = self.seqno_of(&item)?;
        let refused = self.config.limits.check(&item, seqno);
        refused.map_err(|error| self.violation.map_or(error, CheckpointError::from))?;
        let effect = self.append(item, seqno);
        let effect = effect.map_err(|violation| self.refuse_writes(violation))?;
        self.wake_idle();
        Ok(Queued { seqno, effect })
    }

    /// Does everything about queueing an accepted item except waking readers.
    #[inline]
    fn append(&mut self, item: Item, seqno: Seqno) -> Result<Effect, Violation> {
        let history =
            item.history || (self.role == Role::Active && item.operation == Operation::SystemEvent);
        self.close_if_full();
        let effect = match item.operation.namespace() {
            None => Effect::New,
            Some(namespace) => self.record_operation(&item, namespace, seqno, history)?,
        };
        // An item is large: it is moved once, into its slot.
        self.open.live.add(item.payload_bytes());
        self.queue.push(Item {
            seqno,
            history,
            ..item
        })?;
        Ok(effect)
    }

    /// Refuses every later document: a key may have lost its revision, and its readers must not take
    /// what follows for the whole.
    ///
    /// The limits do it, because each write is compared with them already. Changes of the vBucket's
    /// state pass, so that the host can end it.
    #[cold]
    fn refuse_writes(&mut self, violation: Violation) -> CheckpointError {
        self.violation = Some(violation);
        self.config.limits.seqno_max = Seqno::ZERO;
        violation.into()
    }

    /// Does everything about queueing an operation except the push at the end of the queue.
    fn record_operation(
        &mut self,
        item: &Item,
        namespace: Namespace,
        seqno: Seqno,
        history: bool,
    ) -> Result<Effect, Violation> {
        let (verdict, slot) = self.deduplicate(item, namespace, history);
        let effect = match verdict {
            Verdict::Replace(old) => self.replace(old, seqno)?,
            Verdict::Append | Verdict::NewCheckpoint => Effect::New,
        };
        let is_visible = item.operation.is_visible();
        self.high = seqno;
        if is_visible {
            self.visible = seqno;
        }
        self.open.extend_to(seqno, is_visible);
        if item.operation.is_sync_write() {
            self.open.record_sync_write(item, seqno);
        }
        if let Some(slot) = slot {
            let position = self.queue.end();
            self.index.insert(slot, position);
            let is_prepare = item.operation == Operation::Prepare;
            if is_prepare || history {
                self.index
                    .restrict(namespace, &item.key, is_prepare, history);
            }
        }
        Ok(effect)
    }

    /// Returns the verdict on the item, and the slot of its key in the index of the checkpoint that
    /// it enters. A disk checkpoint has no index.
    fn deduplicate(
        &mut self,
        item: &Item,
        namespace: Namespace,
        history: bool,
    ) -> (Verdict, Option<IndexSlot>) {
        if self.open.snapshot_type().is_disk() {
            return (Verdict::Append, None);
        }
        let slot = self.look_up(item, namespace);
        let verdict = self.verdict(item, namespace, history, slot);
        if !matches!(verdict, Verdict::NewCheckpoint) {
            return (verdict, Some(slot));
        }
        self.open_next();
        (verdict, Some(self.look_up(item, namespace)))
    }

    fn look_up(&mut self, item: &Item, namespace: Namespace) -> IndexSlot {
        let outgrown = self.index.reserve(&self.queue);
        self.discard_table(outgrown);
        self.index.find(&self.queue, namespace, &item.key)
    }

    /// Returns the seqno that the item gets or came with.
    fn seqno_of(&self, item: &Item) -> Result<Seqno, CheckpointError> {
        let is_state = matches!(item.operation, Operation::SetVBucketState(_));
        if is_state || self.role == Role::Active {
            if item.seqno != Seqno::ZERO {
                return Err(CheckpointError::InvalidArgument(
                    "the item has a seqno, but the manager assigns it",
                ));
            }
            // The highest number is not a seqno: it means "no end".
            return match self.high.next() {
                Seqno::MAX if !is_state => Err(CheckpointError::SeqnosUsedUp { high: self.high }),
                next => Ok(next),
            };
        }
        if item.seqno == Seqno::ZERO {
            return Err(CheckpointError::InvalidArgument(
                "an item on a replica must have a seqno",
            ));
        }
        if item.seqno <= self.high {
            return Err(CheckpointError::OutOfOrder {
                seqno: item.seqno,
                high: self.high,
            });
        }
        let range = self.open.snapshot_range();
        if item.seqno < range.start || item.seqno > range.end {
            return Err(CheckpointError::OutOfRange {
                seqno: item.seqno,
                start: range.start,
                end: range.end,
            });
        }
        Ok(item.seqno)
    }

    #[inline]
    fn close_if_full(&mut self) {
        let by_quota = || {
            self.membership
                .as_ref()
                .map(|member| member.quota().checkpoint_bytes())
        };
        let max = self.config.max_bytes.or_else(by_quota);
        let max = max.unwrap_or(CheckpointConfig::MAX_BYTES_DEFAULT);
        if self.open.live.items > 0 && self.open.live.bytes >= max {
            self.open_next();
        }
    }

    /// Refuses a write on an active while the quota is used up. A replica must take what its active
    /// sends.
    fn require_memory(&self, item: &Item) -> Result<(), CheckpointError> {
        let is_write = self.role == Role::Active && item.operation.namespace().is_some();
        match &self.membership {
            _ if fault::is(Fault::FullQuotaIsIgnored) => Ok(()),
            Some(member) if is_write && member.quota().state() == MemoryState::Full => {
                Err(CheckpointError::NoMemory {
                    used_bytes: member.quota().used_bytes(),
                })
            }
            _ => Ok(()),
        }
    }

    fn replace(&mut self, old: Resident, by: Seqno) -> Result<Effect, Violation> {
        let (payload, retired) = self
            .queue
            .supersede(old.at, by)
            .invariant("C6", "a resident revision is live")?;
        self.discard_retired(retired);
        self.open.live.remove(payload);
        self.deduplicated += 1;
        let persisted = self.persistence.and_then(|cursor| self.cursors.get(cursor));
        Ok(match persisted {
            Some(cursor) if cursor.position > old.position => Effect::ReplacedPersisted,
            _ => Effect::Replaced,
        })
    }
}
