//! The results of a group: which batches may be written, and what became of each, in its call's order.
//!
//! Always: of one vBucket's batches in one call none is admitted after one that was not (promise 10 of the engine's
//! contract); seqnos exceed what is before them in the group.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use lowtide_checkpoint::{Seqno, Vbid};

use crate::contract::{Committed, EngineError};
use crate::disk::DiskError;

use super::super::encode::Encoded;

/// What became of a batch.
pub(in crate::logstor) type CommitResult = Result<Committed, EngineError>;

/// The call, and the batch's place in it.
pub(super) type Key = (usize, usize);
pub(super) type Admitted = (Key, Encoded);

#[derive(Debug, Default)]
pub(super) struct Results {
    by_batch: BTreeMap<Key, CommitResult>,
    /// What each vBucket's high seqno will be.
    highs: BTreeMap<Vbid, u64>,
    /// Of which calls a vBucket's batch has failed.
    failed: BTreeSet<(usize, Vbid)>,
}

/// A batch's vBucket is in its error, if it was not encoded.
fn vb_of(batch: &Result<Encoded, EngineError>) -> Option<Vbid> {
    match batch {
        Ok(encoded) => Some(encoded.branch.vb),
        Err(
            EngineError::UnknownVBucket { vb }
            | EngineError::OutOfOrder { vb, .. }
            | EngineError::TooLarge { vb, .. },
        ) => Some(*vb),
        Err(_) => None,
    }
}

impl Results {
    /// Lets a batch into the group, or notes why not.
    pub(super) fn admit(
        &mut self,
        call: usize,
        place: usize,
        batch: Result<Encoded, EngineError>,
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

    fn in_order(&mut self, encoded: Encoded) -> Result<Encoded, EngineError> {
        let vb = encoded.branch.vb;
        let high = *self
            .highs
            .entry(vb)
            .or_insert_with(|| encoded.branch.high());
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

    /// Why a batch is not to be tried after all: one before it in its call has failed.
    pub(super) fn hopeless(&self, (call, _): Key, vb: Vbid) -> Option<EngineError> {
        self.failed
            .contains(&(call, vb))
            .then_some(EngineError::EarlierBatchFailed { vb })
    }

    pub(super) fn done(&mut self, key: Key, committed: Committed) {
        self.by_batch.insert(key, Ok(committed));
    }

    /// Notes that a vBucket's batch of a call has failed.
    pub(super) fn fail(&mut self, key: Key, vb: Vbid, error: EngineError) {
        self.failed.insert((key.0, vb));
        self.by_batch.insert(key, Err(error));
    }

    /// Each call's results, in order.
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

/// The same error once more: one append failed for several callers.
pub(super) fn repeat(error: &EngineError) -> EngineError {
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
        EngineError::Inconsistent { path, what } => EngineError::Inconsistent {
            path: path.clone(),
            what,
        },
        other => EngineError::InvalidArgument(other.to_string()),
    }
}
