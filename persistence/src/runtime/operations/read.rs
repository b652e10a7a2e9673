//! Reading: the newest revision on an active, whole snapshots on a replica.

use std::sync::Arc;

use bytes::Bytes;
use lowtide_checkpoint::{Cas, Datatype, Item, Namespace, Seqno, State, VBucketError, Vbid};

use super::write::has_expired;
use crate::contract::Snapshot;
use crate::runtime::error::StoreError;
use crate::runtime::host::seconds;
use crate::runtime::operations::change::IntoKey;
use crate::runtime::partition::Partition;
use crate::runtime::store::Store;

/// A document.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Document {
    /// The value.
    pub value: Bytes,
    /// The CAS of the revision.
    pub cas: Cas,
    /// The seqno of the revision.
    pub seqno: Seqno,
    /// The number of revisions, this one included.
    pub rev_seqno: u64,
    /// The client's own 32 bits.
    pub flags: u32,
    /// The expiry in seconds since the epoch; 0 for never.
    pub expiry: u32,
    /// The format of the value.
    pub datatype: Datatype,
}

impl Document {
    fn of(item: Item) -> Self {
        Self {
            value: item.value.unwrap_or_default(),
            cas: item.cas,
            seqno: item.seqno,
            rev_seqno: item.rev_seqno,
            flags: item.flags,
            expiry: item.expiry,
            datatype: item.datatype,
        }
    }
}

impl Store {
    /// Returns a document: on an active the newest revision, persisted or not; on a replica that of
    /// its last whole snapshot on disk. A document past its expiry counts as absent.
    ///
    /// O(1), and a read of the disk if memory does not hold the document.
    ///
    /// # Errors
    /// [`StoreError::VBucket`] for a dead vBucket; [`StoreError::HalfSnapshot`];
    /// [`StoreError::Engine`]; [`StoreError::UnknownVBucket`], [`StoreError::Closed`].
    pub fn get(&self, vb: Vbid, key: impl IntoKey) -> Result<Option<Document>, StoreError> {
        let key = key.into_key();
        let partition = self.shared.partition(vb)?;
        let newest = match partition.vbucket.state() {
            State::Active => {
                let fetch = |key: &_| self.shared.slot.get(vb, Namespace::Committed, key);
                let (documents, newest) = partition.newest(&key, fetch)?;
                drop(documents);
                newest
            }
            State::Replica | State::Pending => {
                let view = self.view(&partition)?;
                view.get(Namespace::Committed, &key)?
            }
            state @ State::Dead => {
                return Err(VBucketError::WrongState { vb, state }.into());
            }
        };
        let now_seconds = seconds(self.shared.host.now_nanos());
        let live = newest.filter(|item| !item.deleted && !has_expired(item, now_seconds));
        Ok(live.map(Document::of))
    }

    /// Pins what is on disk of a vBucket, for reads and scans: everything that is persisted, on a
    /// replica whole snapshots only. [`Store::flush`] makes it everything that was written.
    ///
    /// # Errors
    /// Same as [`Store::get`].
    pub fn snapshot(&self, vb: Vbid) -> Result<Arc<dyn Snapshot>, StoreError> {
        let partition = self.shared.partition(vb)?;
        self.view(&partition)
    }

    /// Waits until everything that was written to a vBucket before is persisted.
    ///
    /// # Errors
    /// Same as [`Write::wait_persisted`](super::write::Write::wait_persisted).
    pub fn flush(&self, vb: Vbid) -> Result<(), StoreError> {
        self.shared.last_write(vb)?.wait_persisted()
    }

    /// Returns the seqno of the last write to a vBucket, persisted or not.
    ///
    /// # Errors
    /// [`StoreError::UnknownVBucket`].
    pub fn high_seqno(&self, vb: Vbid) -> Result<Seqno, StoreError> {
        Ok(self.shared.partition(vb)?.vbucket.high_seqno())
    }

    /// Returns the seqno up to which everything is persisted.
    ///
    /// # Errors
    /// [`StoreError::UnknownVBucket`].
    pub fn persisted_seqno(&self, vb: Vbid) -> Result<Seqno, StoreError> {
        Ok(self.shared.partition(vb)?.persisted.reached())
    }

    fn view(&self, partition: &Partition) -> Result<Arc<dyn Snapshot>, StoreError> {
        let vb = partition.id();
        let view = self.shared.slot.view(vb, &partition.views)?;
        view.ok_or(StoreError::HalfSnapshot { vb })
    }
}
