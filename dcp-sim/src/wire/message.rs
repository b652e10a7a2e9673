//! Messages: frames of the change protocol whose every field was checked.
//!
//! In: a [`Frame`]. Out: a [`Request`] (both directions send them; stream data are requests of the producer) or a
//! [`Response`]. A response says which command it answers, so that no state is needed to decode one.
//!
//! Fields that a layout has but the protocol gives no meaning (the vBucket of a connection's own commands, the CAS of
//! what is no document) are not checked, as Couchbase does not check them, and are 0 when encoded.

use super::error::WireError;
use super::frame::{Frame, Head};
use super::request::Request;
use super::response::Response;

/// A request or a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A request.
    Request(Request),
    /// A response.
    Response(Response),
}

impl Message {
    /// Checks and names the parts of `frame`.
    ///
    /// # Errors
    /// When the frame is not laid out as its command demands, or a request's command is not of the change protocol.
    pub fn decode(frame: &Frame) -> Result<Self, WireError> {
        match frame.head {
            Head::Request(vb) => Request::read(vb, frame).map(Self::Request),
            Head::Response(status) => Response::read(status, frame).map(Self::Response),
        }
    }

    /// Appends the message's frame to `out`.
    ///
    /// # Errors
    /// When a part is too long for a frame. `out` is as it was then.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), WireError> {
        match self {
            Self::Request(request) => request.encode(out),
            Self::Response(response) => response.encode(out),
        }
    }

    /// The message's frame, which shares its key and value.
    #[must_use]
    pub fn to_frame(&self) -> Frame {
        match self {
            Self::Request(request) => request.to_frame(),
            Self::Response(response) => response.to_frame(),
        }
    }
}

impl From<Request> for Message {
    fn from(request: Request) -> Self {
        Self::Request(request)
    }
}

impl From<Response> for Message {
    fn from(response: Response) -> Self {
        Self::Response(response)
    }
}
