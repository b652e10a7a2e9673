//! Frames: messages in a stream of bytes, each with its length and its vBucket.

use std::io::{self, ErrorKind, Read, Write};

use lowtide_checkpoint::{Item, Vbid};

use super::error::DeliveryError;
use super::item::encoded_bytes;
use super::message::of_items;
use crate::hosted::follower::event::{FollowerEvent, FollowerItems};

/// Bytes of length, vBucket and checksum.
const HEAD_BYTES: usize = 10;
/// Items go into a message until it has that many bytes.
const ITEMS_BYTES: usize = 1 << 20;

impl FollowerEvent {
    /// Bytes of the longest message that [`FollowerEvent::write_to`] writes for an engine of this
    /// workspace: a limit for [`FollowerEvent::read_from`].
    pub const MESSAGE_BYTES_MAX: u32 = 32 << 20;

    /// Writes the event of a vBucket to a stream of bytes. Items go in messages of about 1 MiB,
    /// which a reader gets as events of their own.
    ///
    /// # Errors
    /// Those of the stream; [`ErrorKind::InvalidInput`] for an item of more than 4 GiB.
    pub fn write_to(&self, vb: Vbid, out: &mut impl Write) -> io::Result<()> {
        match self {
            Self::Items(items) => write_items(items, vb, out),
            _ => write(&self.to_bytes(), vb, out),
        }
    }

    /// Reads the next event, and its vBucket, from a stream of bytes. Returns `None` if the stream
    /// ends before it.
    ///
    /// It uses memory in proportion to the bytes that have arrived, and `message_bytes_max` limits
    /// them.
    ///
    /// # Errors
    /// [`DeliveryError::Stream`] if the stream fails, or ends inside a frame;
    /// [`DeliveryError::FrameHead`], [`DeliveryError::TooLong`]; otherwise as
    /// [`FollowerEvent::from_bytes`]. Nothing more should be read from the stream then.
    pub fn read_from(
        input: &mut impl Read,
        message_bytes_max: u32,
    ) -> Result<Option<(Vbid, Self)>, DeliveryError> {
        let mut head = Vec::new();
        take(input, HEAD_BYTES as u64, &mut head)?;
        if head.is_empty() {
            return Ok(None);
        }
        let head: [u8; HEAD_BYTES] = head.try_into().map_err(|_| torn())?;
        let [b0, b1, b2, b3, v0, v1, c0, c1, c2, c3] = head;
        let computed = crc32c::crc32c(&[b0, b1, b2, b3, v0, v1]);
        let stated = u32::from_be_bytes([c0, c1, c2, c3]);
        if computed != stated {
            return Err(DeliveryError::FrameHead { computed, stated });
        }
        let (bytes, limit) = (u32::from_be_bytes([b0, b1, b2, b3]), message_bytes_max);
        if bytes > limit {
            return Err(DeliveryError::TooLong { bytes, limit });
        }
        let mut message = Vec::new();
        let taken = take(input, u64::from(bytes), &mut message)?;
        if taken < u64::from(bytes) {
            return Err(torn().into());
        }
        let event = Self::from_bytes(&message)?;
        Ok(Some((Vbid(u16::from_be_bytes([v0, v1])), event)))
    }
}

/// Reads up to `bytes` bytes. The buffer grows as they arrive.
fn take(input: &mut impl Read, bytes: u64, into: &mut Vec<u8>) -> io::Result<u64> {
    input.take(bytes).read_to_end(into).map(|read| read as u64)
}

fn torn() -> io::Error {
    io::Error::new(ErrorKind::UnexpectedEof, "the stream ends inside a frame")
}

fn write(message: &[u8], vb: Vbid, out: &mut impl Write) -> io::Result<()> {
    let too_long = |_| io::Error::new(ErrorKind::InvalidInput, "an item of more than 4 GiB");
    let bytes = u32::try_from(message.len()).map_err(too_long)?;
    let mut head = Vec::with_capacity(HEAD_BYTES);
    head.extend_from_slice(&bytes.to_be_bytes());
    head.extend_from_slice(&vb.0.to_be_bytes());
    let checksum = crc32c::crc32c(&head);
    head.extend_from_slice(&checksum.to_be_bytes());
    out.write_all(&head)?;
    out.write_all(message)
}

fn write_items(items: &FollowerItems, vb: Vbid, out: &mut impl Write) -> io::Result<()> {
    let are_from_disk = items.are_from_disk();
    let mut part: Vec<&Item> = Vec::new();
    let mut bytes = 0_usize;
    for item in items.iter() {
        let more = encoded_bytes(item);
        if !part.is_empty() && bytes.saturating_add(more) > ITEMS_BYTES {
            write(
                &of_items(Vec::new(), part.drain(..), are_from_disk),
                vb,
                out,
            )?;
            bytes = 0;
        }
        part.push(item);
        bytes = bytes.saturating_add(more);
    }
    if part.is_empty() {
        return Ok(());
    }
    write(
        &of_items(Vec::new(), part.into_iter(), are_from_disk),
        vb,
        out,
    )
}
