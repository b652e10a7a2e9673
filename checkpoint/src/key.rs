//! A document key as it is stored and sent: the collection id as an unsigned LEB128 prefix, then the user's bytes.
//!
//! A `Key` always holds a whole, minimal prefix; the user's part may be any bytes, also none or not UTF-8.

use std::fmt;

use bytes::Bytes;

/// A key with its collection prefix. Cloning shares the bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Bytes);

impl Key {
    /// The key `user` in the default collection (id 0, prefix byte 0x00).
    #[must_use]
    pub fn new(user: &[u8]) -> Self {
        Self::in_collection(0, user)
    }

    /// The key `user` in the collection with that id.
    #[must_use]
    pub fn in_collection(collection: u32, user: &[u8]) -> Self {
        let mut encoded = Vec::with_capacity(5 + user.len());
        let mut rest = collection;
        while rest >= 0x80 {
            encoded.push((rest & 0x7f) as u8 | 0x80);
            rest >>= 7;
        }
        encoded.push(rest as u8);
        encoded.extend_from_slice(user);
        Self(Bytes::from(encoded))
    }

    /// Takes bytes that already carry their prefix; `None` if the prefix is cut short or over 32 bits.
    #[must_use]
    pub fn from_encoded(encoded: Bytes) -> Option<Self> {
        split(&encoded).map(|_| ()).map(|()| Self(encoded))
    }

    /// Prefix and user bytes, as stored and sent.
    #[must_use]
    pub fn encoded(&self) -> &Bytes {
        &self.0
    }

    /// The collection's id; 0 is the default one.
    #[must_use]
    pub fn collection(&self) -> u32 {
        split(&self.0).map_or(0, |(id, _)| id)
    }

    /// The key as its user wrote it.
    #[must_use]
    pub fn user(&self) -> &[u8] {
        split(&self.0).map_or(&[], |(_, user)| user)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({:#x}, \"{}\")", self.collection(), self.user().escape_ascii())
    }
}

impl fmt::Display for Key {
    /// The user's part; bytes outside printable ASCII are escaped unless the whole is UTF-8.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match std::str::from_utf8(self.user()) {
            Ok(text) => f.write_str(text),
            Err(_) => write!(f, "{}", self.user().escape_ascii()),
        }
    }
}

fn split(encoded: &[u8]) -> Option<(u32, &[u8])> {
    let mut id = 0u64;
    for (index, &byte) in encoded.iter().enumerate().take(5) {
        id |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            let user = encoded.get(index + 1..)?;
            return u32::try_from(id).ok().map(|id| (id, user));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefix_is_leb128() {
        assert_eq!(&Key::new(b"a").encoded()[..], b"\0a");
        assert_eq!(&Key::in_collection(0x1f4, b"a").encoded()[..], b"\xf4\x03a");
        let key = Key::from_encoded(Bytes::from_static(b"\xf4\x03a")).expect("valid");
        assert_eq!((key.collection(), key.user()), (0x1f4, &b"a"[..]));
    }

    #[test]
    fn cut_or_oversized_prefix_is_refused() {
        for bad in [&b""[..], b"\x80", b"\xff\xff\xff\xff\xff", b"\xff\xff\xff\xff\x7f"] {
            assert_eq!(Key::from_encoded(Bytes::copy_from_slice(bad)), None, "{bad:?}");
        }
    }
}
