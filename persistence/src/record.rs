//! Small typed records as bytes: anything serde can describe goes in, a frame comes out, and the other way round.
//!
//! ```text
//! length u32 | CRC-32C u32 of what follows | bincode, big-endian, fixed-width
//! ```
//!
//! Always: a frame is taken only whole, with its checksum right, nothing behind the value in it, and below the size the
//! reader allows; no bytes make it take memory beyond that. This is the one place that knows bincode, which is
//! unmaintained: nothing on the wire and nothing of the vendor's formats goes through here.

use bincode::Options;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Length and checksum.
pub(crate) const FRAME_BYTES: usize = 8;

/// Why bytes are no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoRecord {
    /// They end before the record does, or its checksum is wrong: cut short, or damaged.
    Torn,
    /// It is whole, and yet not what was expected.
    Unexpected,
}

fn options() -> impl Options {
    bincode::DefaultOptions::new()
        .with_big_endian()
        .with_fixint_encoding()
        .reject_trailing_bytes()
}

/// A value's frame, or `None` if its bytes would be more than `bytes_max`.
pub(crate) fn encode(value: &impl Serialize, bytes_max: usize) -> Option<Vec<u8>> {
    let body = options()
        .with_limit(bytes_max as u64)
        .serialize(value)
        .ok()?;
    let mut frame = Vec::with_capacity(FRAME_BYTES + body.len());
    frame.extend_from_slice(&u32::try_from(body.len()).ok()?.to_be_bytes());
    frame.extend_from_slice(&crc32c::crc32c(&body).to_be_bytes());
    frame.extend_from_slice(&body);
    Some(frame)
}

/// The value at the start of `bytes`, and how many bytes its frame has.
pub(crate) fn decode<T: DeserializeOwned>(
    bytes: &[u8],
    bytes_max: usize,
) -> Result<(T, usize), NoRecord> {
    let (head, rest) = bytes
        .split_first_chunk::<FRAME_BYTES>()
        .ok_or(NoRecord::Torn)?;
    let [l0, l1, l2, l3, c0, c1, c2, c3] = *head;
    let len = u32::from_be_bytes([l0, l1, l2, l3]) as usize;
    let body = rest
        .get(..len)
        .filter(|_| len <= bytes_max)
        .ok_or(NoRecord::Torn)?;
    // A frame of nothing is what zeros would be.
    if len == 0 || crc32c::crc32c(body) != u32::from_be_bytes([c0, c1, c2, c3]) {
        return Err(NoRecord::Torn);
    }
    let value = options()
        .with_limit(bytes_max as u64)
        .deserialize(body)
        .map_err(|_| NoRecord::Unexpected)?;
    Ok((value, FRAME_BYTES + len))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_comes_back_and_no_other_bytes_are_one() {
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
    fn sizes_are_limited_both_ways() {
        let value = vec![0_u8; 50];
        assert_eq!(encode(&value, 57), None);
        let frame = encode(&value, 58).expect("8 of length and 50");
        assert_eq!(decode::<Vec<u8>>(&frame, 57), Err(NoRecord::Torn));
        // A length inside that claims more than there is takes no memory.
        let lying = encode(&u64::MAX, 100).expect("small");
        assert_eq!(decode::<Vec<u8>>(&lying, 100), Err(NoRecord::Unexpected));
    }

    #[test]
    fn zeros_are_no_record() {
        assert_eq!(decode::<()>(&[0; 64], 100), Err(NoRecord::Torn));
    }
}
