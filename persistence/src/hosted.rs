//! Parts of a running store that own no thread, read no clock and do no I/O: its host calls them and
//! executes what they return.
//!
//! A runtime with threads is one host, the node of the simulator another. So the code that decides
//! which engine operation runs next is the code that the simulator tests.
//!
//! # Invariants
//!
//! - A part changes only inside the calls of its host.
//! - N2. A part survives a failing engine: [`Backoff`] says when to try again, and nothing is
//!   committed to a poisoned store before it is reopened.

mod backoff;
mod engine_calls;
mod flush_shard;
mod memory_recovery;

pub use backoff::Backoff;
pub use engine_calls::{
    Attached, CallNext, CallOutcome, Calls, EngineAnswer, EngineCall, EngineDone,
};
pub use flush_shard::{FlushNext, FlushOutcome, FlushShard};
pub use memory_recovery::recover_memory;
