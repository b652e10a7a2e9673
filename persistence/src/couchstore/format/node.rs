//! B-tree nodes: a type byte, then entries of key and value, all compressed with snappy.
//!
//! A decoded node has been walked once: every entry lies inside it and keys strictly ascend, so
//! readers need not check again. Bytewise order is the order of all three trees, because seqnos are
//! big-endian.

use crate::numbers::{part_to_usize, to_u64};
use bytes::Bytes;

use super::fields::Fields;
use super::snappy;

/// Longest key of an entry: its length has 12 bits.
pub(crate) const KEY_BYTES_MAX: usize = (1 << 12) - 1;
/// Longest value of an entry: its length has 28 bits.
pub(crate) const VALUE_BYTES_MAX: usize = (1 << 28) - 1;

const ENTRY_FIXED: usize = 5;
/// Reference counts of a node and of its bytes.
const SHARED_BYTES: usize = 5 * size_of::<usize>();

/// The meaning of a node's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NodeKind {
    /// Pointers to nodes; each key is the last one below its pointer.
    Interior,
    /// Rows.
    Leaf,
}

impl NodeKind {
    pub(crate) const fn type_byte(self) -> u8 {
        match self {
            Self::Interior => 0,
            Self::Leaf => 1,
        }
    }

    const fn of_type_byte(byte: Option<u8>) -> Result<Self, &'static str> {
        match byte {
            Some(0) => Ok(Self::Interior),
            Some(1) => Ok(Self::Leaf),
            _ => Err("node has an unknown type"),
        }
    }
}

/// A key and its value, sharing the bytes of the node they were read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) key: Bytes,
    pub(crate) value: Bytes,
}

impl Entry {
    /// Returns its size in a node before compression.
    pub(crate) fn encoded_bytes(&self) -> usize {
        ENTRY_FIXED + self.key.len() + self.value.len()
    }

    /// Appends it to a node; lengths were checked when the entry was made.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        put_lengths(out, self.key.len(), self.value.len());
        out.extend_from_slice(&self.key);
        out.extend_from_slice(&self.value);
    }
}

/// Appends the five bytes that carry a 12-bit and a 28-bit length.
pub(crate) fn put_lengths(out: &mut Vec<u8>, key: usize, value: usize) {
    let packed = (to_u64(key)) << 28 | to_u64(value);
    super::fields::put(out, packed, ENTRY_FIXED);
}

/// Takes the five bytes that carry a 12-bit and a 28-bit length.
pub(crate) fn take_lengths(fields: &mut Fields<'_>) -> Option<(usize, usize)> {
    let packed = fields.uint(ENTRY_FIXED)?;
    Some((
        part_to_usize(packed >> 28),
        part_to_usize(packed & VALUE_BYTES_MAX as u64),
    ))
}

/// A node, decoded and checked.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) kind: NodeKind,
    /// The uncompressed bytes, type byte included. An indexed node has the offset of each entry
    /// behind them.
    body: Bytes,
    /// End of the entries.
    end: usize,
}

/// Size of one offset in the index.
const PLACE_BYTES: usize = 4;

impl Node {
    /// Decodes a node's chunk.
    ///
    /// # Errors
    /// The flaw, in words.
    pub(crate) fn decode(compressed: &[u8]) -> Result<Self, &'static str> {
        Self::of_raw(snappy::decompress(compressed).ok_or("node is not a snappy block")?)
    }

    /// Checks a node that is not compressed.
    ///
    /// # Errors
    /// The flaw, in words.
    pub(crate) fn of_raw(raw: Vec<u8>) -> Result<Self, &'static str> {
        let kind = NodeKind::of_type_byte(raw.first().copied())?;
        check(&raw)?;
        let end = raw.len();
        // Without spare capacity `Bytes` takes over the allocation and copies nothing.
        Ok(Self {
            kind,
            body: Bytes::from(raw.into_boxed_slice()),
            end,
        })
    }

    /// Adds an index for frequent searches.
    pub(crate) fn indexed(self) -> Self {
        Self {
            body: with_places(self.raw()),
            ..self
        }
    }

    /// Same as [`Node::of_raw`], but copies the bytes and adds an index for frequent searches.
    ///
    /// # Errors
    /// Same as [`Node::of_raw`].
    pub(crate) fn indexed_copy(raw: &[u8]) -> Result<Self, &'static str> {
        let kind = NodeKind::of_type_byte(raw.first().copied())?;
        check(raw)?;
        Ok(Self {
            kind,
            body: with_places(raw),
            end: raw.len(),
        })
    }

    /// Returns the bytes without the index.
    fn raw(&self) -> &[u8] {
        // `end` lies inside from the node's construction on.
        self.body.get(..self.end).unwrap_or(&self.body)
    }

    /// Returns the offsets of the entries; empty if the node is not indexed.
    fn places(&self) -> &[[u8; PLACE_BYTES]] {
        self.body.get(self.end..).unwrap_or_default().as_chunks().0
    }

    /// Returns the memory it takes.
    pub(crate) fn memory_bytes(&self) -> usize {
        size_of::<Self>() + SHARED_BYTES + self.body.len()
    }

    /// Returns its size before compression, type byte included.
    pub(crate) const fn len(&self) -> usize {
        self.end
    }

    /// Returns its last key.
    pub(crate) fn last_key(&self) -> Option<&[u8]> {
        match self.places().last() {
            Some(&place) => self.entry(place).map(|(key, _)| key),
            None => self.entries().last().map(|(key, _)| key),
        }
    }

    /// Returns the first entry whose key is at or after `key`. O(log entries) in an indexed node,
    /// O(entries) in others.
    pub(crate) fn at_or_after(&self, key: &[u8]) -> Option<(&[u8], &[u8])> {
        let places = self.places();
        if places.is_empty() {
            return self.entries().find(|&(of, _)| of >= key);
        }
        self.entry(*places.get(self.count_before(key))?)
    }

    /// Returns the number of keys before `key`. The node is indexed.
    fn count_before(&self, key: &[u8]) -> usize {
        self.places()
            .partition_point(|&place| self.entry(place).is_some_and(|(of, _)| of < key))
    }

    fn entry(&self, place: [u8; PLACE_BYTES]) -> Option<(&[u8], &[u8])> {
        Entries(Fields::new(
            self.raw().get(u32::from_be_bytes(place) as usize..)?,
        ))
        .next()
    }

    /// Iterates over keys and values in order.
    pub(crate) fn entries(&self) -> Entries<'_> {
        Entries::of_raw(self.raw())
    }

    /// Iterates over entries in order; they share the node's bytes.
    pub(crate) fn shared_entries(&self) -> impl Iterator<Item = Entry> + '_ {
        self.entries().map(|(key, value)| Entry {
            key: self.body.slice_ref(key),
            value: self.body.slice_ref(value),
        })
    }

    /// Offset of the first entry.
    pub(crate) const FIRST: usize = 1;

    /// Returns the entry at an offset, and the offset of the next one. `start` is [`Node::FIRST`]
    /// or came from this function.
    pub(crate) fn entry_at(&self, start: usize) -> Option<(&[u8], &[u8], usize)> {
        let mut entries = Entries(Fields::new(self.raw().get(start..)?));
        let (key, value) = entries.next()?;
        Some((key, value, start + ENTRY_FIXED + key.len() + value.len()))
    }

    /// Returns the offset of the first entry whose key is at or after `key`, or the node's end.
    pub(crate) fn start_of(&self, key: &[u8]) -> usize {
        let places = self.places();
        if places.is_empty() {
            let before = self.entries().take_while(|&(of, _)| of < key);
            return before.fold(Self::FIRST, |at, (key, value)| {
                at + Entries::encoded_bytes(key, value)
            });
        }
        places
            .get(self.count_before(key))
            .map_or(self.end, |&place| u32::from_be_bytes(place) as usize)
    }

    /// Returns the number of entries from `start` on, which is an entry's offset.
    pub(crate) fn count_from(&self, start: usize) -> usize {
        self.run(start, self.end)
            .map_or(0, |rest| Entries::new(rest).count())
    }

    /// Returns the encoded entries from `start` to `end`, or `None` if these are no offsets of this
    /// node.
    pub(crate) fn run(&self, start: usize, end: usize) -> Option<&[u8]> {
        self.raw().get(start..end)
    }

    /// Returns a part of this node that shares its bytes.
    pub(crate) fn share(&self, part: &[u8]) -> Bytes {
        self.body.slice_ref(part)
    }
}

/// Copies a node's bytes and appends its index.
fn with_places(raw: &[u8]) -> Bytes {
    let entries = Entries::of_raw(raw).count();
    let mut body = Vec::with_capacity(raw.len() + entries * PLACE_BYTES);
    body.extend_from_slice(raw);
    let mut start = Node::FIRST;
    for (key, value) in Entries::of_raw(raw) {
        // A snappy block holds less than 4 GiB.
        body.extend_from_slice(&(start as u32).to_be_bytes());
        start += Entries::encoded_bytes(key, value);
    }
    Bytes::from(body)
}

fn check(raw: &[u8]) -> Result<(), &'static str> {
    let mut end = 1;
    let mut last: Option<&[u8]> = None;
    for (key, value) in Entries::of_raw(raw) {
        if last.is_some_and(|last| last >= key) {
            return Err("node's keys don't ascend");
        }
        last = Some(key);
        end += ENTRY_FIXED + key.len() + value.len();
    }
    match last {
        None => Err("node has no entry"),
        Some(_) if end != raw.len() => Err("node's last entry is cut short"),
        Some(_) => Ok(()),
    }
}

/// An iterator over a node's entries.
#[derive(Clone, Debug)]
pub(crate) struct Entries<'a>(Fields<'a>);

impl<'a> Entries<'a> {
    /// Iterates over a part of a node.
    pub(crate) const fn new(part: &'a [u8]) -> Self {
        Self(Fields::new(part))
    }

    /// Iterates over a node that is not compressed, type byte included.
    pub(crate) fn of_raw(raw: &'a [u8]) -> Self {
        Self::new(raw.get(1..).unwrap_or_default())
    }

    /// Returns the size of an entry.
    pub(crate) const fn encoded_bytes(key: &[u8], value: &[u8]) -> usize {
        ENTRY_FIXED + key.len() + value.len()
    }
}

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
        assert_eq!(
            take_lengths(&mut Fields::new(&out)),
            Some((KEY_BYTES_MAX, VALUE_BYTES_MAX))
        );
    }

    #[test]
    fn node_entries_round_trip_in_order() {
        let mut raw = vec![1];
        for (key, value) in [("a", "1"), ("b", ""), ("ba", "333")] {
            Entry {
                key: key.into(),
                value: value.into(),
            }
            .encode(&mut raw);
        }
        let node = node(&raw).expect("valid");
        assert_eq!(node.kind, NodeKind::Leaf);
        let entries: Vec<_> = node.entries().collect();
        assert_eq!(
            entries,
            [(&b"a"[..], &b"1"[..]), (b"b", b""), (b"ba", b"333")]
        );
    }

    #[test]
    fn malformed_node_is_refused() {
        assert!(node(&[1]).is_err(), "no entry");
        assert!(node(&[2, 0, 0x10, 0, 0, 0, b'a']).is_err(), "unknown type");
        assert!(node(&[1, 0, 0x10, 0, 0, 1, b'a']).is_err(), "cut short");
        assert!(node(&[1, 0, 0x10, 0, 0, 0, b'a', 0]).is_err(), "left over");
        assert!(
            node(&[1, 0, 0x10, 0, 0, 0, b'b', 0, 0x10, 0, 0, 0, b'a']).is_err(),
            "order"
        );
        assert!(Node::decode(b"").is_err());
    }
}
