//! One node as a state machine: its vBuckets, their flushes, and both ends of its connections. No
//! I/O, no clock.
//!
//! The host passes in events with their time ([`Node::step`]) and executes the returned actions:
//! bytes to send, batches to commit, engine calls. An engine call is an action, and its result is a
//! later event. So the host decides how long a disk takes and what happens in between.
//!
//! # Example
//!
//! A host that runs everything at once, for a node with one vBucket:
//!
//! ```
//! use std::collections::VecDeque;
//! use std::path::Path;
//! use std::sync::Arc;
//!
//! use bytes::Bytes;
//! use dcp_sim::node::{Action, Event, Node, NodeConfig, run_call};
//! use lowtide_checkpoint::{FailoverLog, Key, Seqno, State, VBucketState, VbUuid, Vbid};
//! use lowtide_persistence::Engine;
//! use lowtide_persistence::couchstore::{Couchstore, CouchstoreConfig};
//! use lowtide_persistence::disk::{Disk, MemoryDisk};
//!
//! let directory = Path::new("/store");
//! let disk = MemoryDisk::new();
//! disk.create_dir(directory)?;
//! let (engine, _) = Couchstore::open(Arc::new(disk), directory, CouchstoreConfig::default())?;
//! let vb = Vbid(0);
//! engine.create(vb)?;
//!
//! let config = NodeConfig::new().with_capabilities(&engine.capabilities());
//! let mut node = Node::new(config)?;
//! let state = VBucketState::new(State::Active, FailoverLog::new(VbUuid(7)));
//! node.add_vbucket(vb, &state);
//!
//! let write = Event::Write {
//!     vb,
//!     key: Key::new(b"key"),
//!     value: Some(Bytes::from_static(b"value")),
//! };
//! let now = 1_000_000_000;
//! let mut due = VecDeque::from(node.step(write, now)?);
//! while let Some(action) = due.pop_front() {
//!     let event = match action {
//!         Action::Fetch(write) => {
//!             let stored = write.read(&engine);
//!             Event::Fetched { write, stored }
//!         }
//!         Action::WakeFlusher { shard } => Event::FlushDue { shard },
//!         Action::Commit { shard, group } => {
//!             let group = group.commit(&engine, 1);
//!             Event::FlushDone { shard, group }
//!         }
//!         Action::Call(call) => Event::EngineDone(run_call(call, &engine)),
//!         // This host has no peers, and does not wait.
//!         _ => continue,
//!     };
//!     due.extend(node.step(event, now)?);
//! }
//! assert_eq!(node.persisted_seqno(vb), Some(Seqno(1)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Invariants
//!
//! - A node acts only inside [`Node::step`] and the methods that return actions.
//! - S8. A sender or flusher is woken once per change from idle to busy.
//! - N1. At most one engine operation of a vBucket is in progress, a flush or a call. Operations of
//!   different vBuckets are in progress at once, except a reopening of the store, which is alone.
//! - N2. An engine failure ends nothing. The operation is retried after a pause, and after
//!   reopening the store if that is poisoned.
//! - N3. Memory and disk are rolled back together. From the request of a rollback until the
//!   engine's answer the vBucket accepts nothing.
//! - N4. A write is refused for lack of memory only after all possible memory was recovered.
//! - N6. A stream request is refused for lack of memory under the same condition.
//! - N9. A write counts up from the newest revision of its key, also if only the engine has it.
//! - N7, N8. The engine calls of a vBucket keep their order, and the vBucket is settled when all
//!   are done ([`Calls`](lowtide_persistence::Calls)).

mod config;
mod dispatch;
mod engine;
mod error;
mod event;
mod pending_write;
mod shards;
mod state;
mod steps;
mod streamed;
mod vbuckets;

pub use config::{NodeConfig, NodeId};
pub use engine::{CallDone, run_call, run_call_with};
pub use error::NodeError;
pub use event::{Action, Event};
pub use pending_write::PendingWrite;
pub use state::Node;
pub use steps::{DiskReader, MemoryReader, ReadError, Reader};
pub use vbuckets::{Observation, Partition, Stored};

#[cfg(test)]
mod tests;
