//! B-tree nodes: a type byte, then entries of key and value, the whole compressed with snappy.
//!
//! A decoded node has been walked once: every entry lies inside it and keys strictly ascend, so that readers need not
//! check again. Bytewise order is the order of all three trees, seqnos being big-endian.

use bytes::Bytes;

use super::fields::Fields;
use super::snappy;

/// The longest key an entry can carry: its length has 12 bits.
pub(super) const KEY_BYTES_MAX: usize = (1 << 12) - 1;
/// The longest value an entry can carry: its length has 28 bits.
pub(super) const VALUE_BYTES_MAX: usize = (1 << 28) - 1;

const ENTRY_FIXED: usize = 5;

/// What a node's values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NodeKind {
    /// Pointers to nodes; each key is the last one below its pointer.
    Interior,
    /// Rows.
    Leaf,
}

impl NodeKind {
    pub(super) const fn type_byte(self) -> u8 {
        match self {
            Self::Interior => 0,
            Self::Leaf => 1,
        }
    }
}

/// A key and its value, sharing the bytes of the node they were read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) key: Bytes,
    pub(super) value: Bytes,
}

impl Entry {
    /// What it takes in a node before compression.
    pub(super) fn encoded_bytes(&self) -> usize {
        ENTRY_FIXED + self.key.len() + self.value.len()
    }

    /// Appends it to a node; lengths were checked when it was made.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_lengths(out, self.key.len(), self.value.len());
        out.extend_from_slice(&self.key);
        out.extend_from_slice(&self.value);
    }
}

/// Appends the five bytes that carry a 12-bit and a 28-bit length.
pub(super) fn put_lengths(out: &mut Vec<u8>, key: usize, value: usize) {
    let packed = (key as u64) << 28 | value as u64;
    super::fields::put(out, packed, ENTRY_FIXED);
}

/// Takes the five bytes that carry a 12-bit and a 28-bit length.
pub(super) fn take_lengths(fields: &mut Fields<'_>) -> Option<(usize, usize)> {
    let packed = fields.uint(ENTRY_FIXED)?;
    Some(((packed >> 28) as usize, (packed & VALUE_BYTES_MAX as u64) as usize))
}

/// A node, decoded and checked.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) kind: NodeKind,
    /// Uncompressed, type byte included.
    body: Bytes,
}

impl Node {
    /// Decodes a node's chunk.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub(super) fn decode(compressed: &[u8]) -> Result<Self, &'static str> {
        let body = Bytes::from(snappy::decompress(compressed).ok_or("node is no snappy block")?);
        let kind = match body.first() {
            Some(0) => NodeKind::Interior,
            Some(1) => NodeKind::Leaf,
            _ => return Err("node has an unknown type"),
        };
        let node = Self { kind, body };
        node.check()?;
        Ok(node)
    }

    fn check(&self) -> Result<(), &'static str> {
        let mut end = 1;
        let mut last: Option<&[u8]> = None;
        for (key, value) in self.entries() {
            if last.is_some_and(|last| last >= key) {
                return Err("node's keys don't ascend");
            }
            last = Some(key);
            end += ENTRY_FIXED + key.len() + value.len();
        }
        match last {
            None => Err("node has no entry"),
            Some(_) if end != self.body.len() => Err("node's last entry is cut short"),
            Some(_) => Ok(()),
        }
    }

    /// Bytes before compression, type byte included.
    pub(super) fn len(&self) -> usize {
        self.body.len()
    }

    /// The last of its keys.
    pub(super) fn last_key(&self) -> Option<&[u8]> {
        self.entries().last().map(|(key, _)| key)
    }

    /// Keys and values in order.
    pub(super) fn entries(&self) -> Entries<'_> {
        Entries(Fields::new(self.body.get(1..).unwrap_or_default()))
    }

    /// Entries in order, sharing the node's bytes.
    pub(super) fn shared_entries(&self) -> impl Iterator<Item = Entry> + '_ {
        self.entries()
            .map(|(key, value)| Entry { key: self.body.slice_ref(key), value: self.body.slice_ref(value) })
    }

    /// A value of this node, sharing its bytes.
    pub(super) fn share(&self, part: &[u8]) -> Bytes {
        self.body.slice_ref(part)
    }
}

/// Walks a node's entries.
#[derive(Clone, Debug)]
pub(super) struct Entries<'a>(Fields<'a>);

impl<'a> Iterator for Entries<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (key, value) = take_lengths(&mut self.0)?;
        Some((self.0.bytes(key)?, self.0.bytes(value)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(raw: &[u8]) -> Result<Node, &'static str> {
        Node::decode(&snappy::compress(raw).expect("small"))
    }

    #[test]
    fn lengths_share_five_bytes() {
        let mut out = Vec::new();
        put_lengths(&mut out, 6, 41);
        assert_eq!(out, [0x00, 0x60, 0x00, 0x00, 0x29]);
        out.clear();
        put_lengths(&mut out, KEY_BYTES_MAX, VALUE_BYTES_MAX);
        assert_eq!(out, [0xff; 5]);
        assert_eq!(take_lengths(&mut Fields::new(&out)), Some((KEY_BYTES_MAX, VALUE_BYTES_MAX)));
    }

    #[test]
    fn entries_come_back_in_order() {
        let mut raw = vec![1];
        for (key, value) in [("a", "1"), ("b", ""), ("ba", "333")] {
            Entry { key: key.into(), value: value.into() }.encode(&mut raw);
        }
        let node = node(&raw).expect("valid");
        assert_eq!(node.kind, NodeKind::Leaf);
        let entries: Vec<_> = node.entries().collect();
        assert_eq!(entries, [(&b"a"[..], &b"1"[..]), (b"b", b""), (b"ba", b"333")]);
    }

    #[test]
    fn what_is_no_node_is_refused() {
        assert!(node(&[1]).is_err(), "no entry");
        assert!(node(&[2, 0, 0x10, 0, 0, 0, b'a']).is_err(), "unknown type");
        assert!(node(&[1, 0, 0x10, 0, 0, 1, b'a']).is_err(), "cut short");
        assert!(node(&[1, 0, 0x10, 0, 0, 0, b'a', 0]).is_err(), "left over");
        assert!(node(&[1, 0, 0x10, 0, 0, 0, b'b', 0, 0x10, 0, 0, 0, b'a']).is_err(), "order");
        assert!(Node::decode(b"").is_err());
    }
}
