//! Mapping of a key to its vBucket.
//!
//! Every client and server of the protocol must agree on it, so it never changes.

/// Returns the vBucket of a user's key (without collection prefix) among `vbuckets`; 0 without any.
///
/// It is the upper half of the key's CRC-32 (the one of zlib), without its top bit, modulo the
/// number of vBuckets.
#[must_use]
pub fn vbucket_of(key: &[u8], vbuckets: u16) -> u16 {
    // 15 bits fit, so the cast is exact.
    let hash = ((crc32fast::hash(key) >> 16) & 0x7fff) as u16;
    hash.checked_rem(vbuckets).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CRCs from zlib (`python3 -c 'import zlib; print(hex(zlib.crc32(b"foo")))'`).
    const KNOWN: [(&[u8], u32); 6] = [
        (b"", 0x0000_0000),
        (b"foo", 0x8c73_6521),
        (b"hello", 0x3610_a686),
        (b"123456789", 0xcbf4_3926),
        (b"airline_10", 0x0d69_4ea7),
        (b"\xff\x00\n", 0xa10c_04e1),
    ];

    #[test]
    fn crc_is_equal_to_zlibs() {
        for (key, crc) in KNOWN {
            assert_eq!(crc32fast::hash(key), crc, "{}", key.escape_ascii());
        }
    }

    #[test]
    fn known_keys_map_to_known_vbuckets() {
        for (key, vbucket) in [
            (&b"foo"[..], 115),
            (b"hello", 528),
            (b"123456789", 1012),
            (b"airline_10", 361),
        ] {
            assert_eq!(vbucket_of(key, 1024), vbucket, "{}", key.escape_ascii());
        }
        // For a number that is no power of two the masked top bit makes a difference.
        assert_eq!(vbucket_of(b"foo", 1000), 0x0c73 % 1000);
        assert_eq!(vbucket_of(b"", 1024), 0);
    }

    #[test]
    fn vbucket_without_vbuckets_is_zero() {
        assert_eq!(vbucket_of(b"foo", 0), 0);
        assert_eq!(vbucket_of(b"foo", 1), 0);
    }
}
