//! Small typed values as framed bytes, for any type that serde can describe.
//!
//! ```text
//! length u32 | CRC-32C u32 of what follows | bincode, big-endian, fixed-width
//! ```
//!
//! bincode is unmaintained, and this is the only file that uses it. No wire format and no vendor
//! format is encoded here.
//!
//! # Invariants
//!
//! A frame is accepted only whole, with its checksum right, nothing behind the value in it, and
//! within the reader's size limit. No bytes make decoding take memory beyond that limit.

use crate::numbers::{to_u64, to_usize};
use bincode::Options;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The size of length and checksum.
pub(crate) const FRAME_BYTES: usize = 8;

/// The reason that bytes are not a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoRecord {
    /// They end before the record does, or the checksum is wrong: cut short, or damaged.
    Torn,
    /// The record is whole, but its value is not of the expected type.
    Unexpected,
}

fn options() -> impl Options {
    bincode::DefaultOptions::new()
        .with_big_endian()
        .with_fixint_encoding()
        .reject_trailing_bytes()
}

/// Returns a value's frame, or `None` if its bytes exceed `bytes_max`.
pub(crate) fn encode(value: &impl Serialize, bytes_max: usize) -> Option<Vec<u8>> {
    let body = options()
        .with_limit(to_u64(bytes_max))
        .serialize(value)
        .ok()?;
    let mut frame = Vec::with_capacity(FRAME_BYTES + body.len());
    frame.extend_from_slice(&u32::try_from(body.len()).ok()?.to_be_bytes());
    frame.extend_from_slice(&crc32c::crc32c(&body).to_be_bytes());
    frame.extend_from_slice(&body);
    Some(frame)
}

/// Returns the value at the start of `bytes`, and the size of its frame.
pub(crate) fn decode<T: DeserializeOwned>(
    bytes: &[u8],
    bytes_max: usize,
) -> Result<(T, usize), NoRecord> {
    let (head, rest) = bytes
        .split_first_chunk::<FRAME_BYTES>()
        .ok_or(NoRecord::Torn)?;
    let [l0, l1, l2, l3, c0, c1, c2, c3] = *head;
    let len = to_usize(u32::from_be_bytes([l0, l1, l2, l3]));
    let body = rest
        .get(..len)
        .filter(|_| len <= bytes_max)
        .ok_or(NoRecord::Torn)?;
    // An empty frame would be all zeros.
    if len == 0 || crc32c::crc32c(body) != u32::from_be_bytes([c0, c1, c2, c3]) {
        return Err(NoRecord::Torn);
    }
    let value = options()
        .with_limit(to_u64(bytes_max))
        .deserialize(body)
        .map_err(|_| NoRecord::Unexpected)?;
    Ok((value, FRAME_BYTES + len))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn record_is_decoded_and_changed_bytes_are_refused() {
        let value = (7_u32, vec!["a".to_owned(), String::new()]);
        let frame = encode(&value, 100).expect("small");
        assert_eq!(
            decode(&[&frame[..], b"more"].concat(), 100),
            Ok((value.clone(), frame.len()))
        );
        for len in 0..frame.len() {
            assert_eq!(
                decode::<(u32, Vec<String>)>(&frame[..len], 100),
                Err(NoRecord::Torn)
            );
        }
        for bit in 0..frame.len() * 8 {
            let mut damaged = frame.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(
                decode::<(u32, Vec<String>)>(&damaged, 100).is_err(),
                "bit {bit}"
            );
        }
        assert_eq!(
            decode::<u32>(&frame, 100),
            Err(NoRecord::Unexpected),
            "more than a number"
        );
    }

    #[test]
    fn records_over_the_limit_are_neither_encoded_nor_decoded() {
        let value = vec![0_u8; 50];
        assert_eq!(encode(&value, 57), None);
        let frame = encode(&value, 58).expect("8 of length and 50");
        assert_eq!(decode::<Vec<u8>>(&frame, 57), Err(NoRecord::Torn));
        // A length inside the value that exceeds the frame takes no memory.
        let lying = encode(&u64::MAX, 100).expect("small");
        assert_eq!(decode::<Vec<u8>>(&lying, 100), Err(NoRecord::Unexpected));
    }

    #[test]
    fn zeros_are_not_a_record() {
        assert_eq!(decode::<()>(&[0; 64], 100), Err(NoRecord::Torn));
    }
}
