//! Queueing one operation: its seqno, its place, and what it replaces.

use super::config::Role;
use super::dedup::Verdict;
use super::inner::Inner;
use crate::fault::{self, Fault};
use crate::index::{Place, Resident};
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
    #[inline]
    pub(super) fn queue_item(&mut self, item: Item) -> Result<Queued, CheckpointError> {
        self.require_memory(&item)?;
        let seqno = self.seqno_of(&item)?;
        self.config.limits.check(&item, seqno)?;
        let history =
            item.history || (self.role == Role::Active && item.operation == Operation::SystemEvent);
        self.close_if_full();
        let namespace = item.operation.namespace();
        let effect = namespace.map_or(Effect::New, |namespace| {
            self.make_way(&item, namespace, seqno, history)
        });
        // It is moved once, to its place in the queue: it is not small.
        self.open.live.add(item.payload_bytes());
        self.queue.push(Item {
            seqno,
            history,
            ..item
        });
        self.wake_idle();
        Ok(Queued { seqno, effect })
    }

    /// Everything about queueing an operation but putting it at the end of the queue.
    fn make_way(
        &mut self,
        item: &Item,
        namespace: Namespace,
        seqno: Seqno,
        history: bool,
    ) -> Effect {
        let (verdict, place) = self.place(item, namespace, history);
        let effect = match (verdict, place) {
            (
                Verdict::Replace,
                Some(Place {
                    resident: Some(old),
                    ..
                }),
            ) => self.replace(old, seqno),
            _ => Effect::New,
        };
        let is_visible = item.operation.is_visible();
        self.high = seqno;
        if is_visible {
            self.visible = seqno;
        }
        self.open.extend_to(seqno, is_visible);
        if item.operation.is_sync_write() {
            self.open.take_note(item, seqno);
        }
        if let Some(place) = place {
            let position = self.queue.end();
            self.index.put(place, position);
            let is_prepare = item.operation == Operation::Prepare;
            if is_prepare || history {
                self.index.forbid(namespace, &item.key, is_prepare, history);
            }
        }
        effect
    }

    /// What becomes of the item, and where its key stands in the index of the checkpoint it goes to; nowhere in a disk
    /// checkpoint.
    fn place(
        &mut self,
        item: &Item,
        namespace: Namespace,
        history: bool,
    ) -> (Verdict, Option<Place>) {
        if self.open.snapshot_type().is_disk() {
            return (Verdict::Append, None);
        }
        let place = self.look_up(item, namespace);
        let verdict = self.verdict(item, namespace, history, place);
        if verdict != Verdict::NewCheckpoint {
            return (verdict, Some(place));
        }
        self.open_next();
        (verdict, Some(self.look_up(item, namespace)))
    }

    fn look_up(&mut self, item: &Item, namespace: Namespace) -> Place {
        let outgrown = self.index.reserve(&self.queue);
        self.discard_table(outgrown);
        self.index.find(&self.queue, namespace, &item.key)
    }

    /// The seqno it gets, or came with.
    fn seqno_of(&self, item: &Item) -> Result<Seqno, CheckpointError> {
        let is_state = matches!(item.operation, Operation::SetVBucketState(_));
        if is_state || self.role == Role::Active {
            if item.seqno != Seqno::ZERO {
                return Err(CheckpointError::InvalidArgument(
                    "the seqno is assigned when the item is queued",
                ));
            }
            // The highest number is no seqno: it means "no end".
            return match self.high.next() {
                Seqno::MAX if !is_state => Err(CheckpointError::SeqnosUsedUp { high: self.high }),
                next => Ok(next),
            };
        }
        if item.seqno == Seqno::ZERO {
            return Err(CheckpointError::InvalidArgument(
                "a replica's item comes with its seqno",
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

    fn close_if_full(&mut self) {
        let by_quota = || {
            self.membership
                .as_ref()
                .map(|member| member.quota().checkpoint_bytes())
        };
        let max = self.config.max_bytes.or_else(by_quota);
        if max.is_some_and(|max| self.open.live.items > 0 && self.open.live.bytes >= max) {
            self.open_next();
        }
    }

    /// An active takes nothing more while the quota is used up; what a replica is sent it must take.
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

    fn replace(&mut self, old: Resident, by: Seqno) -> Effect {
        let Some((payload, remains)) = self.queue.supersede(old.at, by) else {
            return Effect::New;
        };
        self.discard_remains(remains);
        self.open.live.remove(payload);
        self.deduplicated += 1;
        let persisted = self.persistence.and_then(|cursor| self.cursors.get(cursor));
        match persisted {
            Some(cursor) if cursor.position > old.position => Effect::ReplacedPersisted,
            _ => Effect::Replaced,
        }
    }
}
