//! The results of a group: which batches are admitted, and the result of each, in the order of its
//! call.
//!
//! # Invariants
//!
//! After a failed batch of a vBucket no later one of the same vBucket is admitted in the same call
//! (promise 10 of the engine's contract). Seqnos of an admitted batch exceed all before them in the
//! group.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use lowtide_checkpoint::{Seqno, Vbid};

use super::encoded_batch::EncodedBatch;
use crate::contract::{Committed, EngineError};
use crate::disk::DiskError;

/// Result of a batch.
pub(in crate::logstor) type CommitResult = Result<Committed, EngineError>;

/// A call, and a batch's place in it.
pub(super) type BatchKey = (usize, usize);
pub(super) type Admitted = (BatchKey, EncodedBatch);

#[derive(Debug, Default)]
pub(super) struct Results {
    by_batch: BTreeMap<BatchKey, CommitResult>,
    /// High seqno of each vBucket after the batches admitted so far.
    highs: BTreeMap<Vbid, u64>,
    /// Calls, each with a vBucket of which a batch has failed.
    failed: BTreeSet<(usize, Vbid)>,
}

/// Returns the vBucket of a batch. If the batch was not encoded, its error has it.
fn vb_of(batch: &Result<EncodedBatch, EngineError>) -> Option<Vbid> {
    match batch {
        Ok(encoded) => Some(encoded.vbucket.vb),
        Err(
            EngineError::UnknownVBucket { vb }
            | EngineError::OutOfOrder { vb, .. }
            | EngineError::TooLarge { vb, .. },
        ) => Some(*vb),
        Err(_) => None,
    }
}

impl Results {
    /// Admits a batch to the group, or notes the error.
    pub(super) fn admit(
        &mut self,
        call: usize,
        place: usize,
        batch: Result<EncodedBatch, EngineError>,
    ) -> Option<Admitted> {
        let (key, vb) = ((call, place), vb_of(&batch));
        let result = match vb.filter(|&vb| self.failed.contains(&(call, vb))) {
            Some(vb) => Err(EngineError::EarlierBatchFailed { vb }),
            None => batch.and_then(|encoded| self.in_order(encoded)),
        };
        match result {
            Ok(encoded) => Some((key, encoded)),
            Err(error) => {
                self.failed.extend(vb.map(|vb| (call, vb)));
                self.by_batch.insert(key, Err(error));
                None
            }
        }
    }

    fn in_order(&mut self, encoded: EncodedBatch) -> Result<EncodedBatch, EngineError> {
        let vb = encoded.vbucket.vb;
        let high = *self
            .highs
            .entry(vb)
            .or_insert_with(|| encoded.vbucket.high());
        match (encoded.first, encoded.last) {
            (Some(seqno), _) if seqno.0 <= high => Err(EngineError::OutOfOrder {
                vb,
                seqno,
                previous: Seqno(high),
            }),
            (_, Some(last)) => {
                self.highs.insert(vb, last.0);
                Ok(encoded)
            }
            _ => Ok(encoded),
        }
    }

    /// Returns the error of a batch whose vBucket has an earlier failed batch in the same call.
    pub(super) fn earlier_batch_failed(
        &self,
        (call, _): BatchKey,
        vb: Vbid,
    ) -> Option<EngineError> {
        self.failed
            .contains(&(call, vb))
            .then_some(EngineError::EarlierBatchFailed { vb })
    }

    pub(super) fn done(&mut self, key: BatchKey, committed: Committed) {
        self.by_batch.insert(key, Ok(committed));
    }

    /// Notes that a batch has failed.
    pub(super) fn fail(&mut self, key: BatchKey, vb: Vbid, error: EngineError) {
        self.failed.insert((key.0, vb));
        self.by_batch.insert(key, Err(error));
    }

    /// Returns each call's results, in order.
    pub(super) fn into_lists(self, calls: usize) -> Vec<Vec<CommitResult>> {
        let mut lists: Vec<Vec<CommitResult>> =
            std::iter::repeat_with(Vec::new).take(calls).collect();
        for ((call, _), result) in self.by_batch {
            if let Some(list) = lists.get_mut(call) {
                list.push(result);
            }
        }
        lists
    }
}

/// Copies the error of one append for several callers.
pub(in crate::logstor) fn repeat(error: &EngineError) -> EngineError {
    match error {
        EngineError::Disk(error) => EngineError::Disk(DiskError {
            operation: error.operation,
            path: error.path.clone(),
            offset: error.offset,
            kind: error.kind,
            source: io::Error::new(error.source.kind(), error.source.to_string()),
        }),
        EngineError::Poisoned { path } => EngineError::Poisoned { path: path.clone() },
        EngineError::NumbersUsedUp { path, what } => EngineError::NumbersUsedUp {
            path: path.clone(),
            what,
        },
        EngineError::Internal {
            path,
            invariant,
            what,
        } => EngineError::Internal {
            path: path.clone(),
            invariant,
            what,
        },
        other => EngineError::InvalidArgument(other.to_string()),
    }
}
