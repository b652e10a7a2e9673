//! Engine calls besides flushes: creating, dropping and rolling back vBuckets, and reopening the
//! store.

mod calls;
mod engine_call;

pub use calls::{CallNext, CallOutcome, Calls};
pub use engine_call::{Attached, EngineAnswer, EngineCall, EngineDone};
