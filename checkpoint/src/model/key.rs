//! A document key as stored and sent: the collection id as a LEB128 prefix, then the user's bytes.
//!
//! Most keys are short and are stored inside the `Key` itself. An item with such a key needs one
//! allocation less to create, visit and free.
//!
//! # Invariants
//! - A `Key` always holds a complete, minimal prefix. The user's part may be any bytes, also empty
//!   or not UTF-8.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use bytes::Bytes;

use crate::internal::invariant::Invariant;

/// Bytes that fit next to a length without making a `Key` larger than the `Bytes` of a long key.
const INLINE_BYTES_MAX: usize = 23;

/// A key with its collection prefix. Cloning copies a short key and shares a long one.
#[derive(Clone)]
pub struct Key(Repr);

#[derive(Clone)]
enum Repr {
    /// Bytes after `len` are 0.
    Inline {
        len: u8,
        bytes: [u8; INLINE_BYTES_MAX],
    },
    Shared(Bytes),
}

impl Key {
    /// Creates the key `user` in the default collection (id 0, prefix byte 0x00).
    #[must_use]
    #[inline]
    pub fn new(user: &[u8]) -> Self {
        // The prefix is one zero byte, and an inline key starts as zero bytes.
        let mut bytes = [0; INLINE_BYTES_MAX];
        let len = 1 + user.len();
        match bytes.get_mut(1..len) {
            Some(place) => {
                place.copy_from_slice(user);
                Self(Repr::Inline {
                    len: len as u8,
                    bytes,
                })
            }
            None => Self::in_collection(0, user),
        }
    }

    /// Creates the key `user` in the collection with that id.
    #[must_use]
    pub fn in_collection(collection: u32, user: &[u8]) -> Self {
        let mut prefix = [0; PREFIX_BYTES_MAX];
        let mut prefix_len = 0;
        let mut rest = collection;
        for slot in &mut prefix {
            prefix_len += 1;
            *slot = (rest & 0x7f) as u8;
            rest >>= 7;
            if rest == 0 {
                break;
            }
            *slot |= 0x80;
        }
        let prefix = prefix
            .get(..prefix_len)
            .expected("C31", "a prefix has at most 5 bytes")
            // The longest prefix of that id: the key is still one that can be decoded.
            .unwrap_or(&prefix);
        inline(prefix, user).unwrap_or_else(|| {
            let mut encoded = Vec::with_capacity(prefix.len() + user.len());
            encoded.extend_from_slice(prefix);
            encoded.extend_from_slice(user);
            Self(Repr::Shared(encoded.into()))
        })
    }

    /// Creates a key from bytes that already have their prefix.
    ///
    /// Returns `None` if the prefix is incomplete, over 32 bits, or longer than necessary. A longer
    /// prefix would make two keys of one.
    #[must_use]
    pub fn from_encoded(encoded: Bytes) -> Option<Self> {
        split(&encoded)?;
        Some(inline(&[], &encoded).unwrap_or(Self(Repr::Shared(encoded))))
    }

    /// Like [`Key::from_encoded`], but copies the bytes.
    #[must_use]
    pub fn copy_from_encoded(encoded: &[u8]) -> Option<Self> {
        split(encoded)?;
        Some(
            inline(&[], encoded)
                .unwrap_or_else(|| Self(Repr::Shared(Bytes::copy_from_slice(encoded)))),
        )
    }

    /// Returns prefix and user bytes, as stored and sent.
    #[inline]
    #[must_use]
    pub fn encoded(&self) -> &[u8] {
        match &self.0 {
            Repr::Inline { len, bytes } => bytes
                .get(..usize::from(*len))
                .expected("C31", "an inline key's length is within its bytes")
                // Longer than the key by zero bytes, and still distinct from other keys.
                .unwrap_or(bytes),
            Repr::Shared(bytes) => bytes,
        }
    }

    /// Returns the encoded key as shareable bytes. They are not copied if the key is long.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        match &self.0 {
            Repr::Inline { .. } => Bytes::copy_from_slice(self.encoded()),
            Repr::Shared(bytes) => bytes.clone(),
        }
    }

    /// Returns the bytes of memory that the key shares with its clones: 0 for a short key, which is
    /// stored inside the `Key` itself.
    #[inline]
    #[must_use]
    pub fn shared_bytes(&self) -> usize {
        match &self.0 {
            Repr::Inline { .. } => 0,
            Repr::Shared(bytes) => bytes.len(),
        }
    }

    /// Feeds the key and `salt` to a hasher. Equal keys feed it equally.
    ///
    /// An inline key is fed as words, which costs less than bytes.
    #[inline]
    pub(crate) fn hash_into(&self, hasher: &mut impl Hasher, salt: u8) {
        match &self.0 {
            Repr::Inline { len, bytes } => {
                // Three words. The last one overlaps the second by one byte.
                let words = [
                    bytes.first_chunk(),
                    bytes.get(8..).and_then(<[u8]>::first_chunk),
                    bytes.last_chunk(),
                ];
                words
                    .into_iter()
                    .flatten()
                    .for_each(|&word| hasher.write_u64(u64::from_be_bytes(word)));
                hasher.write_u64(u64::from(*len) << 8 | u64::from(salt));
            }
            Repr::Shared(bytes) => {
                hasher.write(bytes);
                hasher.write_u8(salt);
            }
        }
    }

    /// Returns collection id and user bytes of an encoded key, or `None` if its prefix is not
    /// valid.
    #[must_use]
    pub fn parts(encoded: &[u8]) -> Option<(u32, &[u8])> {
        split(encoded)
    }

    /// Returns the id of the collection; 0 is the default one.
    #[inline]
    #[must_use]
    pub fn collection(&self) -> u32 {
        split(self.encoded())
            .expected("C31", "a key begins with a valid prefix")
            // The default collection, to which a key without a prefix would belong.
            .map_or(0, |(id, _)| id)
    }

    /// Returns the key without its prefix.
    #[must_use]
    pub fn user(&self) -> &[u8] {
        split(self.encoded())
            .expected("C31", "a key begins with a valid prefix")
            // Used for display. The encoded key is what is stored and sent.
            .map_or(&[], |(_, user)| user)
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (
                Repr::Inline { len, bytes },
                Repr::Inline {
                    len: other_len,
                    bytes: other_bytes,
                },
            ) => len == other_len && bytes == other_bytes,
            (Repr::Shared(bytes), Repr::Shared(other)) => bytes == other,
            // The length alone decides between the two representations.
            _ => false,
        }
    }
}

impl Eq for Key {}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        self.encoded().cmp(other.encoded())
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.encoded().hash(state);
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Key({:#x}, \"{}\")",
            self.collection(),
            self.user().escape_ascii()
        )
    }
}

impl fmt::Display for Key {
    /// Writes the user's part. Bytes outside printable ASCII are escaped unless the whole is UTF-8.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match std::str::from_utf8(self.user()) {
            Ok(text) => f.write_str(text),
            Err(_) => write!(f, "{}", self.user().escape_ascii()),
        }
    }
}

/// 32 bits, 7 in each byte.
const PREFIX_BYTES_MAX: usize = 5;

/// Creates an inline key of both parts, if they fit.
fn inline(prefix: &[u8], user: &[u8]) -> Option<Key> {
    let mut bytes = [0; INLINE_BYTES_MAX];
    let len = prefix.len() + user.len();
    bytes.get_mut(..prefix.len())?.copy_from_slice(prefix);
    bytes.get_mut(prefix.len()..len)?.copy_from_slice(user);
    Some(Key(Repr::Inline {
        len: len as u8,
        bytes,
    }))
}

fn split(encoded: &[u8]) -> Option<(u32, &[u8])> {
    let mut id = 0u64;
    for (index, &byte) in encoded.iter().enumerate().take(PREFIX_BYTES_MAX) {
        id |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            let is_minimal = byte != 0 || index == 0;
            let user = encoded.get(index + 1..).filter(|_| is_minimal)?;
            return u32::try_from(id).ok().map(|id| (id, user));
        }
    }
    None
}

#[cfg(test)]
mod tests;
