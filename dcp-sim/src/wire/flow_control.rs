//! What a frame costs of the flow-control buffer.
//!
//! Producer and consumer count alike: the producer adds a frame when it sends it, the consumer acknowledges it when
//! it has dealt with it. Every request of a stream counts whole, header included: markers, data, system events,
//! seqno advances, vBucket states, stream ends. Responses, no-operations and what consumers send are free.
//!
//! A prepare costs two bytes more than it has. Couchbase's producer has always added them, and asks its consumers
//! to acknowledge them (MB-46634): counting what was really sent would leak two bytes of buffer a prepare.

use super::frame::{Frame, Head};
use super::opcode::Opcode;

/// Bytes a prepare costs beyond its own.
const PREPARE_SURCHARGE_BYTES: u32 = 2;

/// Bytes that `frame` takes from the buffer, and that its acknowledgement gives back.
#[must_use]
pub fn flow_control_bytes(frame: &Frame) -> u32 {
    match frame.head {
        Head::Request(_) => request_bytes(frame.opcode, frame.encoded_bytes()),
        Head::Response(_) => 0,
    }
}

pub(super) fn request_bytes(opcode: Opcode, frame_bytes: usize) -> u32 {
    if !opcode.is_stream_message() {
        return 0;
    }
    let surcharge = if opcode == Opcode::DCP_PREPARE {
        PREPARE_SURCHARGE_BYTES
    } else {
        0
    };
    u32::try_from(frame_bytes)
        .unwrap_or(u32::MAX)
        .saturating_add(surcharge)
}
