//! Shared parts of all bodies: reading a frame's parts with the checks that layouts need, and
//! building a frame from them.

use bytes::Bytes;
use lowtide_checkpoint::{Cas, Datatype, Seqno};

use crate::wire::error::{Part, WireError};
use crate::wire::fields::{Extras, Reader};
use crate::wire::frame::{Frame, FrameParts, Head};
use crate::wire::framing::StreamId;
use crate::wire::opcode::Opcode;

/// Bits that a document's datatype may have.
pub(in crate::wire) const KNOWN_DATATYPES: Datatype =
    Datatype::JSON.with(Datatype::SNAPPY).with(Datatype::XATTR);

/// Fields of a command, without header and stream id.
pub(in crate::wire) trait Body: Sized {
    /// The command.
    const OPCODE: Opcode;

    /// Reads all parts of a frame with that opcode.
    fn read(frame: &Frame) -> Result<Self, WireError>;

    /// Sets the parts that this command has.
    fn write(&self, parts: &mut Parts);
}

/// A message on its way into a frame.
pub(in crate::wire) struct Parts {
    pub head: Head,
    pub opcode: Opcode,
    pub opaque: u32,
    pub stream_id: Option<StreamId>,
    pub datatype: Datatype,
    pub cas: Cas,
    pub extras: Extras,
    pub key: Bytes,
    pub value: Bytes,
}

impl Parts {
    pub const fn new(head: Head, opcode: Opcode, opaque: u32) -> Self {
        Self {
            head,
            opcode,
            opaque,
            stream_id: None,
            datatype: Datatype::RAW,
            cas: Cas(0),
            extras: Extras::new(),
            key: Bytes::new(),
            value: Bytes::new(),
        }
    }

    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), WireError> {
        let framing = self.stream_id.map(StreamId::framing);
        FrameParts {
            head: self.head,
            opcode: self.opcode,
            datatype: self.datatype,
            opaque: self.opaque,
            cas: self.cas,
            framing: framing
                .as_ref()
                .map_or(&[], <[u8; StreamId::FRAMING_BYTES]>::as_slice),
            extras: self.extras.as_slice(),
            key: &self.key,
            value: &self.value,
        }
        .encode(out)
    }

    pub fn into_frame(self) -> Frame {
        Frame {
            head: self.head,
            opcode: self.opcode,
            datatype: self.datatype,
            opaque: self.opaque,
            cas: self.cas,
            framing: self
                .stream_id
                .map_or_else(Bytes::new, |id| Bytes::copy_from_slice(&id.framing())),
            extras: Bytes::copy_from_slice(self.extras.as_slice()),
            key: self.key,
            value: self.value,
        }
    }

    pub fn encoded_bytes(&self) -> usize {
        let framing = if self.stream_id.is_some() {
            StreamId::FRAMING_BYTES
        } else {
            0
        };
        Frame::HEADER_BYTES
            + framing
            + self.extras.as_slice().len()
            + self.key.len()
            + self.value.len()
    }
}

impl Frame {
    pub(in crate::wire) fn extras_fields(&self) -> Reader<'_> {
        Reader::new(self.opcode, Part::Extras, &self.extras)
    }

    pub(in crate::wire) fn value_fields(&self) -> Reader<'_> {
        Reader::new(self.opcode, Part::Value, &self.value)
    }

    pub(in crate::wire) fn no_extras(&self) -> Result<(), WireError> {
        self.absent(Part::Extras, &self.extras)
    }

    pub(in crate::wire) fn no_key(&self) -> Result<(), WireError> {
        self.absent(Part::Key, &self.key)
    }

    pub(in crate::wire) fn no_value(&self) -> Result<(), WireError> {
        self.absent(Part::Value, &self.value)
    }

    /// Returns the key. Fails if it is empty.
    pub(in crate::wire) fn some_key(&self) -> Result<Bytes, WireError> {
        self.present(Part::Key, &self.key)
    }

    /// Returns the value. Fails if it is empty.
    pub(in crate::wire) fn some_value(&self) -> Result<Bytes, WireError> {
        self.present(Part::Value, &self.value)
    }

    /// Checks that the datatype of a command without document is 0.
    pub(in crate::wire) fn raw(&self) -> Result<(), WireError> {
        self.datatype_within(Datatype::RAW).map(|_| ())
    }

    /// Returns the datatype of a command with a document.
    pub(in crate::wire) fn document_datatype(&self) -> Result<Datatype, WireError> {
        self.datatype_within(KNOWN_DATATYPES)
    }

    /// Checks that the CAS is 0. The CAS of a durable write is in its prepare; one in a later
    /// command would be lost.
    pub(in crate::wire) fn no_cas(&self) -> Result<(), WireError> {
        if self.cas == Cas(0) {
            Ok(())
        } else {
            Err(self.bad("CAS", self.cas.0))
        }
    }

    /// Returns the seqno of an operation, which is never 0.
    pub(in crate::wire) fn operation_seqno(&self, seqno: u64) -> Result<Seqno, WireError> {
        if seqno == 0 {
            Err(self.bad("seqno", seqno))
        } else {
            Ok(Seqno(seqno))
        }
    }

    /// Checks that an unused field is 0.
    pub(in crate::wire) fn unused(
        &self,
        what: &'static str,
        found: impl Into<u64>,
    ) -> Result<(), WireError> {
        match found.into() {
            0 => Ok(()),
            found => Err(self.bad(what, found)),
        }
    }

    pub(in crate::wire) fn bad(&self, what: &'static str, found: impl Into<u64>) -> WireError {
        WireError::BadValue {
            opcode: self.opcode,
            what,
            found: found.into(),
        }
    }

    fn datatype_within(&self, known: Datatype) -> Result<Datatype, WireError> {
        match self.datatype.without(known) {
            Datatype::RAW => Ok(self.datatype),
            Datatype(bits) => Err(WireError::UnknownBits {
                opcode: self.opcode,
                what: "datatype",
                bits: bits.into(),
            }),
        }
    }

    fn absent(&self, part: Part, bytes: &Bytes) -> Result<(), WireError> {
        if bytes.is_empty() {
            Ok(())
        } else {
            Err(WireError::Unexpected {
                opcode: self.opcode,
                part,
            })
        }
    }

    fn present(&self, part: Part, bytes: &Bytes) -> Result<Bytes, WireError> {
        if bytes.is_empty() {
            return Err(WireError::Missing {
                opcode: self.opcode,
                part,
            });
        }
        Ok(bytes.clone())
    }
}
