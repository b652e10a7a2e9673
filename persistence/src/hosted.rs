//! Parts of a running store that own no thread, read no clock and do no I/O: its host calls them and
//! executes what they return.
//!
//! The runtime is a host with threads, the node of the simulator one without. So the code that decides
//! which engine operation runs next is the code that the simulator tests.
//!
//! # Invariants
//!
//! - A part changes only inside the calls of its host.
//! - N2. A part survives a failing engine: [`Backoff`] says when to try again, and nothing is
//!   committed to a poisoned store before it is reopened.

mod backfill;
mod backoff;
mod documents;
mod engine_calls;
mod flush_shard;
mod follower;
mod memory_recovery;
pub mod waiting;

pub use backfill::{BackfillOutcome, BackfillRead, BackfillScan, BackfillStep};
pub use backoff::Backoff;
pub use documents::{
    CacheBudget, Documents, DocumentsStats, Fetch, FetchError, FilterScan, FilterScanVoid, Found,
    Known,
};
pub use engine_calls::{
    Attached, CallNext, CallOutcome, Calls, EngineAnswer, EngineCall, EngineDone,
};
pub use flush_shard::{FlushNext, FlushOutcome, FlushShard};
pub use follower::{
    DeliveryError, FollowerError, FollowerEvent, FollowerItems, FollowerMachine, FollowerTurn,
};
pub use memory_recovery::recover_memory;
