//! What a node asks of its engine, and in which order.

mod calls;
mod engine_call;

pub(super) use calls::Calls;
pub use engine_call::{Attached, EngineAnswer, EngineCall, EngineDone};
