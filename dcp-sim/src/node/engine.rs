//! Engine calls of a node, and their order.

mod calls;
mod engine_call;

pub(super) use calls::Calls;
pub use engine_call::{Attached, EngineAnswer, EngineCall, EngineDone};
