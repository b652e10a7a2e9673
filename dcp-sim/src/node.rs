//! One node: its vBuckets, their flusher, and both ends of its connections. No I/O, no clock.
//!
//! Events go in with the time they happen at, actions come out for the host to carry out: bytes to send, batches to
//! commit, engine calls. An engine call is one action, its result a later event, so that the host decides how long a disk
//! takes and what happens meanwhile. What always holds, beside what the parts say: a node acts only inside
//! [`Node::step`]; whoever must be woken is woken once per change from idle to busy (S8).
//!
//! - N1. One engine operation is in progress at most: a flush or a call.
//! - N2. An engine that fails ends nothing: what it did not do is tried again, after a pause, and on a store that was
//!   reopened if it is poisoned.
//! - N3. Memory and disk go back together: from the moment a rollback is asked for until the engine has done it, the
//!   vBucket takes nothing.
//! - N4. A write is refused for lack of memory only when nothing more could be recovered.
//! - N6. So is a stream.
//! - N7, N8. A vBucket's engine calls come in their order, and it is settled when all are done (`node/calls.rs`).

mod config;
mod dispatch;
mod engine;
mod error;
mod event;
mod state;
mod steps;
mod streamed;
mod vbuckets;

pub use config::{NodeConfig, NodeId};
pub use engine::{Attached, EngineAnswer, EngineCall, EngineDone};
pub use error::NodeError;
pub use event::{Action, Event};
pub use state::Node;
pub use steps::{DiskReader, ReadError, Reader};
pub use vbuckets::{Document, Documents, Observation, Partition, Stored};

#[cfg(test)]
mod tests;
