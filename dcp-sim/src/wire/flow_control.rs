//! Number of flow-control bytes that a frame costs.
//!
//! Producer and consumer use the same count. The producer adds a frame when it sends it, and the
//! consumer acknowledges it after processing it. Every request of a stream counts in full, header
//! included: markers, data, system events, seqno advances, vBucket states, stream ends. Responses,
//! no-operations and requests of consumers are free.
//!
//! Source: kv_engine, `docs/dcp/documentation/flow-control.md`, "What messages must be acknowledged by DCP
//! clients?".
//!
//! A prepare costs two bytes more than its size. Couchbase's producer has always added them and
//! expects its consumers to acknowledge them (MB-46634). Counting the real size would leak two
//! bytes of buffer for each prepare.

use super::frame::{Frame, Head};
use super::opcode::Opcode;

/// Bytes that a prepare costs beyond its size.
const PREPARE_SURCHARGE_BYTES: u32 = 2;

/// Returns the number of bytes that `frame` takes from the buffer, and that its acknowledgement
/// returns.
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
    // Only a frame that cannot be encoded has a size beyond the field.
    u32::try_from(frame_bytes)
        .unwrap_or(u32::MAX)
        .saturating_add(surcharge)
}
