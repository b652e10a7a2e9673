//! What a connection has beside its streams: options, limits, flow control, no-operations.

mod control;
mod flow_control;
mod heartbeat;
mod limits;

pub(super) use control::Options;
pub use flow_control::FlowControl;
pub(super) use heartbeat::Heartbeat;
pub use limits::ProducerLimits;
