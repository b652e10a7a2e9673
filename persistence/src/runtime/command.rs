//! The commands to a flusher thread: its work besides flushing.

use std::sync::Arc;

use crossbeam_channel::Sender;
use lowtide_checkpoint::{Seqno, State, Vbid};

use super::error::StoreError;
use super::partition::Partition;
use crate::contract::EngineError;

/// A command to a flusher. The answer is not sent if the thread has ended.
#[derive(Debug)]
pub(in crate::runtime) enum Command {
    /// Create a vBucket, durably, and serve it.
    Create {
        vb: Vbid,
        state: State,
        done: Sender<Result<(), StoreError>>,
    },
    /// Remove a vBucket, from the engine, too.
    Drop {
        vb: Vbid,
        done: Sender<Result<(), StoreError>>,
    },
    /// Take a replica back to the newest state at or below a seqno.
    Rollback {
        partition: Arc<Partition>,
        to: Seqno,
        or_else: OrElse,
        done: Sender<Result<Seqno, StoreError>>,
    },
    /// Flush everything, then end. A flush that fails ends it early.
    Drain {
        done: Sender<Option<Arc<EngineError>>>,
    },
    /// End.
    Stop,
}

/// The fate of a replica whose disk has no state that is old enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::runtime) enum OrElse {
    /// Nothing happens to it, and the caller gets an error.
    Refuse,
    /// It begins again without data.
    Reset,
}
