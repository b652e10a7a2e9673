//! A request to commit: the batches of one call, and their outcome.

use super::encoded_batch::EncodedBatch;
use super::results::CommitResult;
use crate::contract::EngineError;
use crate::sync::{Mutex, ranks};

/// The batches of one call.
#[derive(Debug)]
pub(in crate::logstor) struct CommitRequest {
    pub(super) batches: Mutex<Vec<Result<EncodedBatch, EngineError>>>,
    /// `None` until the request is done.
    pub(super) outcome: Mutex<Option<CommitOutcome>>,
}

/// The outcome of a request.
#[derive(Debug)]
pub(in crate::logstor) enum CommitOutcome {
    /// The result of each batch.
    Done(Vec<CommitResult>),
    /// A vBucket was rolled back or created again meanwhile: the batches must be encoded again.
    Stale,
}

impl CommitRequest {
    pub(in crate::logstor) fn new(batches: Vec<Result<EncodedBatch, EngineError>>) -> Self {
        Self {
            batches: Mutex::new(ranks::COMMIT_BATCHES, batches),
            outcome: Mutex::new(ranks::COMMIT_OUTCOME, None),
        }
    }
}
