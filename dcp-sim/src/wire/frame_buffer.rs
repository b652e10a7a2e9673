//! Received bytes on their way to frames.
//!
//! # Invariants
//!
//! - S7. The pieces in which bytes arrive make no difference.

use bytes::{Bytes, BytesMut};

use super::error::WireError;
use super::frame::Frame;

/// Beginning of a frame whose rest has not arrived.
#[derive(Debug, Default)]
pub(crate) struct FrameBuffer(BytesMut);

impl FrameBuffer {
    /// Returns the next frame of the connection, or `None` after keeping all of `arrived`. Frames
    /// that arrived whole share the bytes of `arrived`; only an incomplete rest is copied.
    ///
    /// # Errors
    /// Same as [`Frame::decode`].
    pub(crate) fn next_frame(&mut self, arrived: &mut Bytes) -> Result<Option<Frame>, WireError> {
        if self.0.is_empty()
            && let Some(frame) = Frame::decode_bytes(arrived)?
        {
            return Ok(Some(frame));
        }
        self.0.extend_from_slice(&std::mem::take(arrived));
        Frame::decode(&mut self.0)
    }
}
