//! A shard: the flushes of some of a store's vBuckets, as one thread at a time has it (R13).
//!
//! Its flusher has it, or a thread that waits for a write. While the flusher sleeps it is in the inbox.

use std::sync::Arc;
use std::time::Instant;

use super::engine::slot::Generation;
use crate::contract::EngineError;
use crate::hosted::FlushShard;

#[derive(Debug)]
pub(super) struct Shard {
    pub(super) number: usize,
    pub(super) flushes: FlushShard,
    /// The engine that the shard's vBuckets are attached to.
    pub(super) generation: Generation,
    /// No flush begins before.
    pub(super) paused_until: Option<Instant>,
    /// The engine with this number has failed, and the flusher is to replace it.
    pub(super) failed_engine: Option<(Generation, EngineError)>,
    pub(super) last_failure: Option<Arc<EngineError>>,
}

impl Shard {
    pub(super) const fn new(number: usize, flushes: FlushShard) -> Self {
        Self {
            number,
            flushes,
            generation: 1,
            paused_until: None,
            failed_engine: None,
            last_failure: None,
        }
    }

    /// Returns whether there is something to do now: a flush, or attaching to a reopened engine.
    pub(super) fn is_ready(&mut self) -> bool {
        self.paused_until.take_if(|until| *until <= Instant::now());
        self.is_due() && self.paused_until.is_none()
    }

    /// Returns whether there is nothing to do, now or after a pause, until a change comes.
    pub(super) fn is_done(&self) -> bool {
        !self.is_due() && self.paused_until.is_none()
    }

    fn is_due(&self) -> bool {
        self.flushes.is_due() || self.flushes.reopen_is_due()
    }
}
