//! Framing extras: optional data between the header and the extras of any command.
//!
//! | bits | field |
//! |---|---|
//! | 4 | id; 15 means 15 + the following byte |
//! | 4 | length; 15 means 15 + the following byte (after the id's, if both have one) |
//! | 8 × length | content |
//!
//! The change protocol uses one of them: id 2, the stream id, a u16, encoded as `22 hh ll`.
//! Requests with any other are refused, since it changes the meaning of the command. In responses
//! they are informative and skipped.
//!
//! Source: kv_engine, `docs/BinaryProtocol.md`, "Request header with 'flexible framing extras'".

use std::fmt;

use super::error::{Part, WireError};
use super::fields::Reader;
use super::opcode::Opcode;

/// Identifier of one of several streams of a vBucket on a connection. The client chooses it. A
/// stream request must not use 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u16);

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

const STREAM_ID: u16 = 2;

impl StreamId {
    /// Size of the framing extra.
    pub(super) const FRAMING_BYTES: usize = 3;

    pub(super) const fn framing(self) -> [u8; Self::FRAMING_BYTES] {
        let [high, low] = self.0.to_be_bytes();
        [0x22, high, low]
    }

    /// Reads the stream id from a request's framing extras.
    ///
    /// # Errors
    /// If the extras are malformed, contain another extra, or contain two.
    pub(super) fn read(opcode: Opcode, framing: &[u8]) -> Result<Option<Self>, WireError> {
        let mut found = None;
        let mut reader = Reader::new(opcode, Part::Framing, framing);
        while let Some((id, content)) = next_extra(&mut reader)? {
            if id != STREAM_ID {
                return Err(WireError::BadValue {
                    opcode,
                    what: "framing extra id",
                    found: u64::from(id),
                });
            }
            let mut field = Reader::new(opcode, Part::Framing, content);
            let stream_id = Self(field.u16()?);
            field.finish()?;
            if found.replace(stream_id).is_some() {
                return Err(WireError::Unexpected {
                    opcode,
                    part: Part::Framing,
                });
            }
        }
        Ok(found)
    }
}

/// Checks that a response's framing extras are well formed, and ignores their content.
pub(super) fn check(opcode: Opcode, framing: &[u8]) -> Result<(), WireError> {
    let mut reader = Reader::new(opcode, Part::Framing, framing);
    while next_extra(&mut reader)?.is_some() {}
    Ok(())
}

fn next_extra<'a>(reader: &mut Reader<'a>) -> Result<Option<(u16, &'a [u8])>, WireError> {
    if reader.is_empty() {
        return Ok(None);
    }
    let head = u16::from(reader.u8()?);
    let id = nibble(head >> 4, reader)?;
    let len = nibble(head & 0x0f, reader)?;
    Ok(Some((id, reader.skip(usize::from(len))?)))
}

fn nibble(bits: u16, reader: &mut Reader<'_>) -> Result<u16, WireError> {
    if bits == 15 {
        Ok(15 + u16::from(reader.u8()?))
    } else {
        Ok(bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MUTATION: Opcode = Opcode::DCP_MUTATION;

    #[test]
    fn framing_with_stream_id_alone_is_read() {
        assert_eq!(StreamId::read(MUTATION, &[]), Ok(None));
        assert_eq!(
            StreamId::read(MUTATION, &[0x22, 0x12, 0x34]),
            Ok(Some(StreamId(0x1234)))
        );
        assert_eq!(StreamId(0x1234).framing(), [0x22, 0x12, 0x34]);
    }

    #[test]
    fn request_framing_with_other_content_is_refused() {
        let bad: [&[u8]; 9] = [
            &[0x22, 1],
            &[0x12, 0, 1],
            &[0x32, 0, 1],
            &[0x21, 1],
            &[0x23, 1, 2, 3],
            &[0x10],
            &[0xf0],
            &[0x22, 0, 1, 0x22, 0, 1],
            &[0x22, 0, 1, 0x22],
        ];
        for framing in bad {
            assert!(StreamId::read(MUTATION, framing).is_err(), "{framing:02x?}");
        }
    }

    #[test]
    fn response_framing_is_accepted_if_well_formed() {
        let mut long = vec![0xff, 3, 1];
        long.extend([9; 16]);
        for framing in [&[][..], &[0x02, 1, 2], &[0x00, 0x02, 1, 2], &long] {
            assert_eq!(check(MUTATION, framing), Ok(()), "{framing:02x?}");
        }
        long.pop();
        for framing in [&[0x02, 1][..], &[0x0f], &[0xff, 3], &long] {
            assert!(check(MUTATION, framing).is_err(), "{framing:02x?}");
        }
    }
}
