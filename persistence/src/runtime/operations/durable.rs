//! Durable writes: prepared, and then committed or aborted.
//!
//! A prepare is replicated and persisted like any write, but no reader of documents sees it. Its
//! program counts the copies that have it, as the level demands, and then commits or aborts it.

use lowtide_checkpoint::{DurabilityLevel, Item, Operation, Seqno, Vbid};

use super::write::Write;
use crate::runtime::error::StoreError;
use crate::runtime::operations::change::{Change, IntoKey};
use crate::runtime::store::Store;

impl Store {
    /// Prepares a durable write. The key takes no other write until it is committed or aborted.
    ///
    /// # Errors
    /// Same as [`Store::write`].
    pub fn prepare(
        &self,
        vb: Vbid,
        change: Change,
        level: DurabilityLevel,
    ) -> Result<Write, StoreError> {
        self.shared.write(vb, change, Some(level))
    }

    /// Commits a durable write: its value becomes the document.
    ///
    /// # Errors
    /// [`StoreError::NoWriteInProgress`] if the key has no such prepare;
    /// [`StoreError::WriteInProgress`] if an older durable write of the vBucket has not ended, of any
    /// key; otherwise as [`Store::write`].
    pub fn commit(
        &self,
        vb: Vbid,
        key: impl IntoKey,
        prepare_seqno: Seqno,
    ) -> Result<Write, StoreError> {
        self.complete(vb, key, prepare_seqno, |prepare| Item {
            operation: Operation::Commit,
            durability: None,
            prepare_seqno,
            seqno: Seqno::ZERO,
            ..prepare.clone()
        })
    }

    /// Aborts a durable write: the document stays as it was.
    ///
    /// # Errors
    /// Same as [`Store::commit`].
    pub fn abort(
        &self,
        vb: Vbid,
        key: impl IntoKey,
        prepare_seqno: Seqno,
    ) -> Result<Write, StoreError> {
        self.complete(vb, key, prepare_seqno, |prepare| Item {
            prepare_seqno,
            deleted: true,
            rev_seqno: prepare.rev_seqno,
            ..Item::new(Operation::Abort, prepare.key.clone())
        })
    }

    fn complete(
        &self,
        vb: Vbid,
        key: impl IntoKey,
        prepare_seqno: Seqno,
        completion: impl Fn(&Item) -> Item,
    ) -> Result<Write, StoreError> {
        let key = key.into_key();
        let partition = self.shared.partition(vb)?;
        let mut documents = partition.documents();
        self.shared.require_open()?;
        let prepare = documents
            .prepare_of(&key)
            .filter(|prepare| prepare.seqno == prepare_seqno);
        let Some(prepare) = prepare else {
            return Err(StoreError::NoWriteInProgress {
                vb,
                key,
                prepare_seqno,
            });
        };
        // They end in their order, because a later end ends all earlier ones (C21).
        if let Some(oldest) = documents.oldest_prepare()
            && oldest.seqno < prepare_seqno
        {
            return Err(StoreError::WriteInProgress {
                vb,
                key: oldest.key.clone(),
                prepare_seqno: oldest.seqno,
            });
        }
        let item = completion(prepare);
        let now = self.shared.host.now_nanos();
        self.shared
            .queue(&partition, &mut documents, item, now)
            .map_err(|error| self.shared.name_memory(error))
    }
}
