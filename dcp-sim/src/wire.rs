//! The Database Change Protocol's frames and messages: bytes in, checked values out, and back.
//!
//! ```text
//! bytes --Frame::decode--> Frame --Message::decode--> Request | Response --Request::to_item--> Item
//! bytes <--encode--------- Frame <--to_frame--------- Request | Response <--Request::from_item- Item
//! ```
//!
//! A [`Frame`] is what every command of the port looks like: header, framing extras, extras, key, value. A
//! [`Message`] is a frame of the change protocol whose every field was checked. Everything is big-endian.
//!
//! What always holds:
//! - no input panics or makes the decoder hold more than it announced; an oversized body is refused by its header;
//! - decoding is strict: a length, flag, code or trailing byte that the layout lacks is a [`WireError`] that names
//!   the command and the part, and says what to answer or that the connection must go;
//! - keys and values are slices of the input, never copies;
//! - a message whose fields hold what their documentation allows decodes from its own bytes to itself. Encoding
//!   checks nothing but lengths: who wants to send nonsense, to see what a peer makes of it, can.
//!
//! Keys of documents carry their collection as an unsigned LEB128 prefix, as on every connection that negotiated
//! Collections; [`KeyForm::Bare`] serves those that did not. This module knows numbers and bytes: which vBucket
//! exists, what a client may ask and when a snapshot is whole is for producers and consumers.

mod body;
mod error;
mod fields;
mod flags;
mod flow_control;
mod frame;
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
pub use framing::StreamId;
pub use item::{DeletionForm, ItemFormat, KeyForm, system_event};
pub use message::Message;
pub use opcode::Opcode;
pub use request::{Command, Request};
pub use response::{Reply, Response};
pub use status::Status;
