//! Frames and messages of the Database Change Protocol: decoding of bytes into checked values, and
//! encoding back.
//!
//! ```text
//! bytes --Frame::decode--> Frame --Message::decode--> Request | Response --Request::to_item--> Item
//! bytes <--encode--------- Frame <--to_frame--------- Request | Response <--Request::from_item- Item
//! ```
//!
//! A [`Frame`] is the envelope of every command on the port: header, framing extras, extras, key,
//! value. A [`Message`] is a frame of the change protocol with every field checked. All numbers are
//! big-endian.
//!
//! Document keys carry their collection as an unsigned LEB128 prefix on a connection that
//! negotiated Collections. [`KeyForm::Bare`] serves the others. This wing knows numbers and bytes
//! only. Producers and consumers decide which vBucket exists, what a client may request and when a
//! snapshot is whole.
//!
//! # Invariants
//!
//! - No input panics. The decoder never buffers more than a header announced, and a header that
//!   announces an oversized body is refused.
//! - Decoding is strict. A length, flag, code or trailing byte outside the layout is a
//!   [`WireError`] that names the command and the part. The error also says which status to answer,
//!   or that the connection must close.
//! - Keys and values are slices of the input, never copies.
//! - S34. A message whose fields hold documented values decodes from its own bytes to itself.
//!   Encoding checks lengths only, so a test can send invalid messages on purpose.

mod body;
mod error;
mod fields;
mod flags;
mod flow_control;
mod frame;
mod frame_buffer;
mod framing;
mod item;
mod message;
mod opcode;
mod request;
mod response;
mod status;
#[cfg(test)]
mod tests;

pub use body::{
    Abort, Commit, Control, Deletion, Event, Expiration, Marker, MarkerFlags, MarkerForm, Mutation,
    Open, OpenFlags, Prepare, StreamEndReason, StreamRequest, StreamRequestFlags, SystemEvent,
};
pub use error::{Part, WireError};
pub use flow_control::flow_control_bytes;
pub use frame::{Frame, Head};
pub(crate) use frame_buffer::FrameBuffer;
pub use framing::StreamId;
pub use item::{DeletionForm, ItemFormat, KeyForm, system_event};
pub use message::Message;
pub use opcode::Opcode;
pub use request::{Command, Request};
pub use response::{Reply, Response};
pub use status::Status;
