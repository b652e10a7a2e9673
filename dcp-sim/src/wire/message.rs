//! Messages: frames of the change protocol with every field checked.
//!
//! A frame decodes to a [`Request`] or a [`Response`]. Both directions send requests; stream data
//! are requests of the producer. A response carries the command that it answers, so decoding one
//! needs no state.
//!
//! Fields without a meaning in the protocol are not checked, as in Couchbase, and are 0 when
//! encoded. Examples are the vBucket of a command about the connection, and the CAS of a command
//! without a document.

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
    /// Decodes `frame` and checks its parts.
    ///
    /// # Errors
    /// When the frame does not match its command's layout, or a request's command is not of the
    /// change protocol.
    pub fn decode(frame: &Frame) -> Result<Self, WireError> {
        match frame.head {
            Head::Request(vb) => Request::read(vb, frame).map(Self::Request),
            Head::Response(status) => Response::read(status, frame).map(Self::Response),
        }
    }

    /// Appends the message's frame to `out`.
    ///
    /// # Errors
    /// When a part is too long for a frame. `out` is unchanged.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), WireError> {
        match self {
            Self::Request(request) => request.encode(out),
            Self::Response(response) => response.encode(out),
        }
    }

    /// Returns the message's frame, which shares its key and value.
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
