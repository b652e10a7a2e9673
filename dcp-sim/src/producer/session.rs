//! State of a connection besides its streams: negotiated options, limits, flow control and
//! no-operations.

mod control;
mod flow_control;
mod heartbeat;
mod limits;

pub(super) use control::Options;
pub use flow_control::FlowControl;
pub(super) use heartbeat::Heartbeat;
pub use limits::ProducerLimits;
