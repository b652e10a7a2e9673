//! A frame: the header and the four parts of its body.
//!
//! Decoding splits a connection's bytes into frames whose parts are slices of them. The stated
//! lengths of a frame are consistent, and its body is at most [`Frame::BODY_BYTES_MAX`]. The
//! content of the parts is not checked here.
//!
//! Source: kv_engine, `docs/BinaryProtocol.md`, "Packet Structure".
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 1 | magic: 0x80 request, 0x81 response; with framing extras 0x08 request, 0x18 response |
//! | 1 | 1 | opcode |
//! | 2 | 2 | key length; with framing extras: one byte their length, one byte the key's |
//! | 4 | 1 | extras length |
//! | 5 | 1 | datatype |
//! | 6 | 2 | request: vBucket; response: status |
//! | 8 | 4 | body length |
//! | 12 | 4 | opaque: chosen by the requester, returned unchanged |
//! | 16 | 8 | CAS |
//! | 24 | | framing extras, extras, key, value |

use bytes::{Bytes, BytesMut};
use lowtide_checkpoint::internal::checked_invariant;
use lowtide_checkpoint::{Cas, Datatype, Vbid};

use super::error::{Part, WireError};
use super::fields::Reader;
use super::opcode::Opcode;
use super::status::Status;

/// Meaning of the header's bytes 6 and 7.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    /// A request, and the vBucket of a command that is about one.
    Request(Vbid),
    /// A response.
    Response(Status),
}

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Request or response.
    pub head: Head,
    /// The command.
    pub opcode: Opcode,
    /// Format of the value.
    pub datatype: Datatype,
    /// The requester's number.
    pub opaque: u32,
    /// The document's revision, or 0.
    pub cas: Cas,
    /// Framing extras, as they are on the wire.
    pub framing: Bytes,
    /// The command's fields.
    pub extras: Bytes,
    /// Document key or name.
    pub key: Bytes,
    /// Document body or the command's data.
    pub value: Bytes,
}

const REQUEST: u8 = 0x80;
const RESPONSE: u8 = 0x81;
const REQUEST_WITH_FRAMING: u8 = 0x08;
const RESPONSE_WITH_FRAMING: u8 = 0x18;

impl Frame {
    /// Bytes of the header.
    pub const HEADER_BYTES: usize = 24;
    /// Largest body in bytes: the couchstore format's limit for a document, so every stored
    /// document can be sent. Couchbase's own limit is 20 MiB.
    pub const BODY_BYTES_MAX: usize = 256 << 20;

    /// Takes one frame off the front of `buffer`. Returns `None` and takes nothing if the frame is
    /// incomplete.
    ///
    /// # Errors
    /// When the header is invalid or its body too large. The check needs the header only, so a
    /// caller never buffers more than one frame of the largest size. Nothing was taken, and the
    /// connection must close.
    pub fn decode(buffer: &mut BytesMut) -> Result<Option<Self>, WireError> {
        let Some(header) = Header::read(buffer)? else {
            return Ok(None);
        };
        if buffer.len() < header.frame_bytes() {
            return Ok(None);
        }
        let frame = buffer.split_to(header.frame_bytes()).freeze();
        Ok(Some(header.with_body(&frame)))
    }

    /// Same as [`Frame::decode`], for complete bytes such as a recording.
    ///
    /// # Errors
    /// Same as [`Frame::decode`].
    pub fn decode_bytes(buffer: &mut Bytes) -> Result<Option<Self>, WireError> {
        let Some(header) = Header::read(buffer)? else {
            return Ok(None);
        };
        if buffer.len() < header.frame_bytes() {
            return Ok(None);
        }
        let frame = buffer.split_to(header.frame_bytes());
        Ok(Some(header.with_body(&frame)))
    }

    /// Appends the frame's bytes to `out`.
    ///
    /// # Errors
    /// When a part exceeds its length field, or the body exceeds [`Frame::BODY_BYTES_MAX`]. `out`
    /// is unchanged.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), WireError> {
        FrameParts {
            head: self.head,
            opcode: self.opcode,
            datatype: self.datatype,
            opaque: self.opaque,
            cas: self.cas,
            framing: &self.framing,
            extras: &self.extras,
            key: &self.key,
            value: &self.value,
        }
        .encode(out)
    }

    /// Returns the size of the frame on the wire.
    #[must_use]
    pub fn encoded_bytes(&self) -> usize {
        Self::HEADER_BYTES
            + self.framing.len()
            + self.extras.len()
            + self.key.len()
            + self.value.len()
    }
}

/// A header with consistent lengths.
struct Header {
    head: Head,
    opcode: Opcode,
    datatype: Datatype,
    opaque: u32,
    cas: Cas,
    framing_bytes: usize,
    extras_bytes: usize,
    key_bytes: usize,
    body_bytes: usize,
}

impl Header {
    fn read(buffer: &[u8]) -> Result<Option<Self>, WireError> {
        let Some(&magic) = buffer.first() else {
            return Ok(None);
        };
        let (is_request, has_framing) = match magic {
            REQUEST => (true, false),
            RESPONSE => (false, false),
            REQUEST_WITH_FRAMING => (true, true),
            RESPONSE_WITH_FRAMING => (false, true),
            magic => return Err(WireError::UnknownMagic { magic }),
        };
        if buffer.len() < Frame::HEADER_BYTES {
            return Ok(None);
        }
        let mut fields = Reader::new(Opcode(0), Part::Body, buffer);
        fields.skip(1)?;
        let opcode = Opcode(fields.u8()?);
        let (framing_bytes, key_bytes) = if has_framing {
            (usize::from(fields.u8()?), usize::from(fields.u8()?))
        } else {
            (0, usize::from(fields.u16()?))
        };
        let extras_bytes = usize::from(fields.u8()?);
        let datatype = Datatype(fields.u8()?);
        let vb_or_status = fields.u16()?;
        let head = if is_request {
            Head::Request(Vbid(vb_or_status))
        } else {
            Head::Response(Status(vb_or_status))
        };
        // The largest number is over the limit of a body, whatever `usize` can hold.
        let body_bytes = usize::try_from(fields.u32()?).unwrap_or(usize::MAX);
        let opaque = fields.u32()?;
        let cas = Cas(fields.u64()?);

        let parts = framing_bytes + extras_bytes + key_bytes;
        if parts > body_bytes {
            return Err(WireError::InconsistentLengths {
                opcode,
                parts,
                body: body_bytes,
            });
        }
        check_size::<usize>(opcode, Part::Body, body_bytes, Frame::BODY_BYTES_MAX)?;
        Ok(Some(Self {
            head,
            opcode,
            datatype,
            opaque,
            cas,
            framing_bytes,
            extras_bytes,
            key_bytes,
            body_bytes,
        }))
    }

    const fn frame_bytes(&self) -> usize {
        Frame::HEADER_BYTES + self.body_bytes
    }

    /// Completes the header with its body. `bytes` is exactly this frame.
    fn with_body(self, bytes: &Bytes) -> Frame {
        let extras = Frame::HEADER_BYTES + self.framing_bytes;
        let key = extras + self.extras_bytes;
        let value = key + self.key_bytes;
        let frame = Frame {
            head: self.head,
            opcode: self.opcode,
            datatype: self.datatype,
            opaque: self.opaque,
            cas: self.cas,
            framing: bytes.slice(Frame::HEADER_BYTES..extras),
            extras: bytes.slice(extras..key),
            key: bytes.slice(key..value),
            value: bytes.slice(value..),
        };
        checked_invariant!(
            frame.encoded_bytes() == bytes.len(),
            "S34",
            "a decoded frame has as many bytes as it took"
        );
        frame
    }
}

/// A frame to be written, with borrowed parts.
pub(super) struct FrameParts<'a> {
    pub head: Head,
    pub opcode: Opcode,
    pub datatype: Datatype,
    pub opaque: u32,
    pub cas: Cas,
    pub framing: &'a [u8],
    pub extras: &'a [u8],
    pub key: &'a [u8],
    pub value: &'a [u8],
}

impl FrameParts<'_> {
    pub const fn body_bytes(&self) -> usize {
        self.framing.len() + self.extras.len() + self.key.len() + self.value.len()
    }

    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), WireError> {
        let opcode = self.opcode;
        let body: u32 = check_size(opcode, Part::Body, self.body_bytes(), Frame::BODY_BYTES_MAX)?;
        let extras: u8 = check_size(opcode, Part::Extras, self.extras.len(), u8::MAX.into())?;
        let framed = !self.framing.is_empty();
        let lengths = if framed {
            let framing = check_size(opcode, Part::Framing, self.framing.len(), u8::MAX.into())?;
            [
                framing,
                check_size(opcode, Part::Key, self.key.len(), u8::MAX.into())?,
            ]
        } else {
            let key: u16 = check_size(opcode, Part::Key, self.key.len(), u16::MAX.into())?;
            key.to_be_bytes()
        };
        let (magic, vb_or_status) = match (self.head, framed) {
            (Head::Request(vb), false) => (REQUEST, vb.0),
            (Head::Request(vb), true) => (REQUEST_WITH_FRAMING, vb.0),
            (Head::Response(status), false) => (RESPONSE, status.0),
            (Head::Response(status), true) => (RESPONSE_WITH_FRAMING, status.0),
        };
        let before = out.len();
        out.reserve(Frame::HEADER_BYTES + self.body_bytes());
        let [[length0, length1], [head0, head1]] = [lengths, vb_or_status.to_be_bytes()];
        let head = [
            magic,
            opcode.0,
            length0,
            length1,
            extras,
            self.datatype.0,
            head0,
            head1,
        ];
        out.extend_from_slice(&head);
        out.extend_from_slice(&body.to_be_bytes());
        out.extend_from_slice(&self.opaque.to_be_bytes());
        out.extend_from_slice(&self.cas.0.to_be_bytes());
        for part in [self.framing, self.extras, self.key, self.value] {
            out.extend_from_slice(part);
        }
        checked_invariant!(
            out.len() - before == Frame::HEADER_BYTES + self.body_bytes(),
            "S34",
            "an encoded frame has as many bytes as its header says"
        );
        Ok(())
    }
}

/// Returns `size` in its field's type if it fits the field and `limit`.
fn check_size<T: TryFrom<usize>>(
    opcode: Opcode,
    part: Part,
    size: usize,
    limit: usize,
) -> Result<T, WireError> {
    let too_large = WireError::TooLarge {
        opcode,
        part,
        size,
        limit,
    };
    if size > limit {
        return Err(too_large);
    }
    T::try_from(size).map_err(|_| too_large)
}
