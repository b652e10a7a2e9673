//! Parts of a running store that own no thread, read no clock and do no I/O: its host calls them and
//! executes what they return.
//!
//! The runtime is a host with threads. A host without, such as a simulator, can repeat every step.
//!
//! # Invariants
//!
//! - A part changes only inside the calls of its host.
//! - N2. A part survives a failing engine: [`Backoff`] says when to try again, and nothing is
//!   committed to a poisoned store before it is reopened.

mod backfill;
mod backoff;
mod documents;
mod flush_shard;
mod follower;
mod memory_recovery;
pub mod waiting;

pub use backfill::{BackfillOutcome, BackfillRead, BackfillScan, BackfillStep};
pub use backoff::Backoff;
pub use documents::{CacheBudget, Documents, DocumentsStats, Fetch, FetchError, Found};
pub use flush_shard::{FlushNext, FlushOutcome, FlushShard};
pub use follower::{
    DeliveryError, FollowerError, FollowerEvent, FollowerItems, FollowerMachine, FollowerTurn,
};
pub use memory_recovery::recover_memory;
