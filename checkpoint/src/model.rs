//! The records that all crates share: keys, items, seqnos, snapshots, states and failover logs.
//!
//! They are plain values without a lock or a handle, so that every other wing can depend on them.
//! Nothing here knows the queue, a manager or a vBucket.

mod clock;
mod failover_log;
mod ids;
mod item;
mod item_ref;
mod key;
mod snapshot;
mod state;
mod vbucket_state;

pub(crate) use clock::Hlc;
pub use failover_log::{FailoverEntry, FailoverLog, FailoverLogError};
pub use ids::{Cas, Seqno, VbUuid, Vbid};
pub use item::{Datatype, DurabilityLevel, Item, Namespace, Operation};
pub use item_ref::ItemRef;
pub use key::Key;
pub use snapshot::{SnapshotMarker, SnapshotRange, SnapshotType};
pub use state::State;
pub(crate) use vbucket_state::StateUpdate;
pub use vbucket_state::VBucketState;
