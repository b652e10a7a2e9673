//! The keys of the indexes: an item's key with the prefix of its name space.
//!
//! A stored key begins with the collection's LEB128 prefix. Prepares and aborts have a byte 0x02
//! before it, system events a byte 0x01. So collections 1 and 2 cannot have documents, as with the
//! vendor.

use bytes::Bytes;
use lowtide_checkpoint::{Key, Namespace};

use crate::couchstore::format::node::KEY_BYTES_MAX;

pub(crate) const SYSTEM: u8 = 0x01;
pub(crate) const PREPARED: u8 = 0x02;

/// Longest stored key: a node's entry must have room for one more prefix.
pub(crate) const STORED_KEY_BYTES_MAX: usize = KEY_BYTES_MAX - 1;
/// Returns the key of an item in the indexes, or `None` if it would be read as another name
/// space's.
pub(crate) fn stored_key(namespace: Namespace, key: &Key) -> Option<Bytes> {
    let encoded = key.encoded();
    let prefix = match namespace {
        Namespace::Committed => match encoded.first() {
            Some(&SYSTEM | &PREPARED) => return None,
            _ => return Some(key.to_bytes()),
        },
        Namespace::System => SYSTEM,
        Namespace::Prepared => PREPARED,
    };
    let mut stored = Vec::with_capacity(1 + encoded.len());
    stored.push(prefix);
    stored.extend_from_slice(encoded);
    Some(Bytes::from(stored))
}

/// Returns whether a stored key is that of a prepare or abort.
pub(crate) fn is_prepared(id: &[u8]) -> bool {
    id.first() == Some(&PREPARED)
}

/// Returns the name space and the key of a stored key, or `None` if it has no collection.
pub(crate) fn split_key(id: &[u8]) -> Option<(Namespace, Key)> {
    let (namespace, encoded) = match id.split_first()? {
        (&SYSTEM, encoded) => (Namespace::System, encoded),
        (&PREPARED, encoded) => (Namespace::Prepared, encoded),
        _ => (Namespace::Committed, id),
    };
    Some((namespace, Key::copy_from_encoded(encoded)?))
}
