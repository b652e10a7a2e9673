//! Writing: the look-up of the document, the checks, the vBucket's order, and the handle to wait on.
//!
//! # Invariants
//!
//! - R10. A write is checked against the newest revision, and no other write of the vBucket comes
//!   between the check and the write: the vBucket's documents stay locked.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use lowtide_checkpoint::{
    Cas, CheckpointError, DurabilityLevel, Item, Namespace, Seqno, VBucketError, Vbid,
};

use crate::hosted::Documents;
use crate::hosted::waiting::persisted::{Awaited, WaitEnd, WaiterId};
use crate::runtime::error::StoreError;
use crate::runtime::host::seconds;
use crate::runtime::host::until;
use crate::runtime::operations::change::{Change, ChangeKind, IntoKey};
use crate::runtime::partition::Partition;
use crate::runtime::shared::Shared;
use crate::runtime::store::Store;

/// A write that was taken. It is in memory, in its place in the vBucket's order, and on its way to
/// disk.
#[derive(Clone, Debug)]
#[must_use = "a write is durable only once it was waited for"]
pub struct Write {
    partition: Arc<Partition>,
    awaited: Awaited,
    cas: Cas,
}

impl Write {
    /// Returns the vBucket.
    #[must_use]
    pub fn vb(&self) -> Vbid {
        self.partition.id()
    }

    /// Returns the place in the vBucket's order.
    #[must_use]
    pub fn seqno(&self) -> Seqno {
        self.awaited.seqno
    }

    /// Returns the CAS of the revision.
    #[must_use]
    pub fn cas(&self) -> Cas {
        self.cas
    }

    /// Waits until the write is persisted, however long the disk fails. If the vBucket's flusher
    /// sleeps, the calling thread flushes, which saves two wake-ups.
    ///
    /// # Errors
    /// [`StoreError::Closed`] if the store was closed or dropped before; [`StoreError::RolledBack`];
    /// [`StoreError::UnknownVBucket`] if the vBucket was dropped.
    pub fn wait_persisted(&self) -> Result<(), StoreError> {
        self.partition.lead(self.awaited);
        let end = self.partition.persisted.wait(self.awaited, |signal| {
            signal.wait();
            true
        });
        end.map_or(Err(StoreError::Closed), |end| self.result(end))
    }

    /// Waits until the write is persisted, for about `timeout`. Returns whether it is.
    ///
    /// # Errors
    /// Same as [`Write::wait_persisted`].
    pub fn wait_persisted_for(&self, timeout: Duration) -> Result<bool, StoreError> {
        self.partition.hurry(self.awaited);
        let end = self.partition.persisted.wait(self.awaited, until(timeout));
        end.map_or(Ok(false), |end| self.result(end).map(|()| true))
    }

    /// Returns whether the write is persisted.
    #[must_use]
    pub fn is_persisted(&self) -> bool {
        let end = self.partition.persisted.wait(self.awaited, |_| false);
        end == Some(WaitEnd::Persisted)
    }

    /// Returns a future that ends when the write is persisted. Dropping it loses nothing.
    #[must_use]
    pub fn persisted(&self) -> PersistedFuture {
        PersistedFuture {
            write: self.clone(),
            place: None,
        }
    }

    fn result(&self, end: WaitEnd) -> Result<(), StoreError> {
        let (vb, seqno) = (self.vb(), self.seqno());
        match end {
            WaitEnd::Persisted => Ok(()),
            WaitEnd::RolledBack(to) => Err(StoreError::RolledBack { vb, seqno, to }),
            WaitEnd::Dropped => Err(StoreError::UnknownVBucket { vb }),
            WaitEnd::Closed => Err(StoreError::Closed),
        }
    }
}

/// Ends when a write is persisted. Its errors are those of [`Write::wait_persisted`].
#[derive(Debug)]
pub struct PersistedFuture {
    write: Write,
    place: Option<WaiterId>,
}

impl Future for PersistedFuture {
    type Output = Result<(), StoreError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if this.place.is_none() {
            this.write.partition.hurry(this.write.awaited);
        }
        let persisted = &this.write.partition.persisted;
        persisted
            .poll(this.write.awaited, context.waker(), &mut this.place)
            .map(|end| this.write.result(end))
    }
}

impl Drop for PersistedFuture {
    fn drop(&mut self) {
        if let Some(place) = self.place.take() {
            self.write.partition.persisted.forget(place);
        }
    }
}

impl Store {
    /// Takes a write, checks it against the document, and gives it its place in the vBucket's order.
    /// It is visible to readers and followers at once, and durable once it was waited for.
    ///
    /// O(1), and a read of the disk if neither memory nor the engine's index knows the key.
    ///
    /// # Errors
    /// - [`StoreError::KeyExists`], [`StoreError::KeyNotFound`], [`StoreError::CasMismatch`],
    ///   [`StoreError::NotExpired`] or [`StoreError::WriteInProgress`] if the document is not as the
    ///   change requires.
    /// - [`StoreError::NoMemory`] if the disk or the followers are too far behind.
    /// - [`StoreError::VBucket`] if the vBucket is not active, or refuses the item.
    /// - [`StoreError::Engine`] if the document cannot be looked up.
    /// - [`StoreError::UnknownVBucket`], [`StoreError::Closed`].
    pub fn write(&self, vb: Vbid, change: Change) -> Result<Write, StoreError> {
        self.shared.write(vb, change, None)
    }

    /// Sets a document. Same as [`Store::write`] with [`Change::set`].
    ///
    /// # Errors
    /// Same as [`Store::write`].
    pub fn set(
        &self,
        vb: Vbid,
        key: impl IntoKey,
        value: impl Into<Bytes>,
    ) -> Result<Write, StoreError> {
        self.write(vb, Change::set(key, value))
    }

    /// Deletes a document. Same as [`Store::write`] with [`Change::delete`].
    ///
    /// # Errors
    /// Same as [`Store::write`].
    pub fn delete(&self, vb: Vbid, key: impl IntoKey) -> Result<Write, StoreError> {
        self.write(vb, Change::delete(key))
    }
}

impl Shared {
    /// Takes a write, or with a level the prepare of a durable write.
    pub(in crate::runtime) fn write(
        &self,
        vb: Vbid,
        change: Change,
        level: Option<DurabilityLevel>,
    ) -> Result<Write, StoreError> {
        let partition = self.partition(vb)?;
        match self.try_write(&partition, change.clone(), level) {
            Err(StoreError::VBucket(VBucketError::Checkpoint {
                source: CheckpointError::NoMemory { .. },
                ..
            })) => {
                self.recover_memory();
                self.try_write(&partition, change, level)
                    .map_err(|error| self.name_memory(error))
            }
            result => result,
        }
    }

    fn try_write(
        &self,
        partition: &Arc<Partition>,
        change: Change,
        level: Option<DurabilityLevel>,
    ) -> Result<Write, StoreError> {
        let vb = partition.id();
        let now = self.host.now_nanos();
        let (mut documents, newest) = partition.newest(&change.key, |key| {
            self.slot.get(vb, Namespace::Committed, key)
        })?;
        self.require_open()?;
        let now_seconds = seconds(now);
        check(vb, &change, newest.as_ref(), &documents, now_seconds)?;
        let revisions = newest.map_or(0, |item| item.rev_seqno);
        let item = change.into_item(revisions, now_seconds, level);
        self.queue(partition, &mut documents, item, now)
    }

    /// Gives an item its place in the order of an active vBucket.
    pub(in crate::runtime) fn queue(
        &self,
        partition: &Arc<Partition>,
        documents: &mut Documents,
        mut item: Item,
        now: u64,
    ) -> Result<Write, StoreError> {
        let written = partition.vbucket.write(item.clone(), now)?;
        item.seqno = written.queued.seqno;
        item.cas = written.cas;
        documents.put(item);
        self.changed(partition);
        Ok(Write {
            partition: Arc::clone(partition),
            awaited: partition.persisted.awaited(written.queued.seqno),
            cas: written.cas,
        })
    }

    /// Says how much memory is used, if that was the reason.
    pub(in crate::runtime) fn name_memory(&self, error: StoreError) -> StoreError {
        match error {
            StoreError::VBucket(VBucketError::Checkpoint {
                vb,
                source: CheckpointError::NoMemory { .. },
            }) => {
                let stats = self.quota.stats();
                StoreError::NoMemory {
                    vb,
                    used_bytes: stats.used_bytes,
                    limit_bytes: stats.limit_bytes,
                }
            }
            error => error,
        }
    }
}

/// Checks that the document is as the change requires.
fn check(
    vb: Vbid,
    change: &Change,
    newest: Option<&Item>,
    documents: &Documents,
    now_seconds: u32,
) -> Result<(), StoreError> {
    let key = || change.key.clone();
    if let Some(prepare) = documents.prepare_of(&change.key) {
        return Err(StoreError::WriteInProgress {
            vb,
            key: key(),
            prepare_seqno: prepare.seqno,
        });
    }
    let stored = newest.filter(|item| !item.deleted);
    let live = stored.filter(|item| !has_expired(item, now_seconds));
    match (change.kind, live) {
        (ChangeKind::Add, Some(item)) => {
            return Err(StoreError::KeyExists {
                vb,
                key: key(),
                cas: item.cas,
            });
        }
        (ChangeKind::Replace | ChangeKind::Delete, None) => {
            return Err(StoreError::KeyNotFound { vb, key: key() });
        }
        (ChangeKind::Expire, live) => {
            let Some(stored) = stored else {
                return Err(StoreError::KeyNotFound { vb, key: key() });
            };
            if live.is_some() {
                let expiry = stored.expiry;
                return Err(StoreError::NotExpired {
                    vb,
                    key: key(),
                    expiry,
                });
            }
        }
        _ => {}
    }
    let Some(expected) = change.expected else {
        return Ok(());
    };
    let seen = if change.kind == ChangeKind::Expire {
        stored
    } else {
        live
    };
    match seen.map(|item| item.cas) {
        Some(found) if found == expected => Ok(()),
        Some(found) => Err(StoreError::CasMismatch {
            vb,
            key: key(),
            expected,
            found,
        }),
        None => Err(StoreError::KeyNotFound { vb, key: key() }),
    }
}

/// Returns whether a document's expiry has passed.
pub(in crate::runtime) fn has_expired(item: &Item, now_seconds: u32) -> bool {
    item.expiry != 0 && item.expiry <= now_seconds
}

impl Shared {
    /// Returns the last write to a vBucket, to wait for.
    pub(in crate::runtime) fn last_write(&self, vb: Vbid) -> Result<Write, StoreError> {
        let partition = self.partition(vb)?;
        let documents = partition.documents();
        let awaited = partition.persisted.awaited(partition.vbucket.high_seqno());
        drop(documents);
        Ok(Write {
            partition,
            awaited,
            cas: Cas(0),
        })
    }
}
