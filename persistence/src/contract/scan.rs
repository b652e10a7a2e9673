//! The values of scans: limits, ranges and slices.

use lowtide_checkpoint::{Item, Key, Namespace, Seqno};

/// The size of a slice. A slice ends at the first limit it reaches and holds at least one item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScanLimit {
    /// The maximum number of items.
    pub items: usize,
    /// The bytes of keys and values after which no further item is read.
    pub bytes: usize,
}

impl ScanLimit {
    /// No limit.
    pub const NONE: Self = Self {
        items: usize::MAX,
        bytes: usize::MAX,
    };

    /// Returns a limit of items and of bytes.
    #[must_use]
    pub const fn new(items: usize, bytes: usize) -> Self {
        Self { items, bytes }
    }
}

/// A part of a scan.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ScanSlice {
    /// The items, ascending by seqno. Small values may share memory: one that is kept alone keeps
    /// up to 4 KiB with it.
    pub items: Vec<Item>,
    /// The start of the next slice, or `None` at the end.
    pub next: Option<Seqno>,
}

impl ScanSlice {
    /// Returns a slice, for engines.
    #[must_use]
    pub const fn new(items: Vec<Item>, next: Option<Seqno>) -> Self {
        Self { items, next }
    }
}

/// The keys of a scan by key: one name space, ascending by the keys' encoded bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyRange {
    /// The name space.
    pub namespace: Namespace,
    /// The lower bound, inclusive. It need not exist.
    pub from: Key,
    /// The upper bound, exclusive; `None` for no bound.
    pub to: Option<Key>,
}

impl KeyRange {
    /// Returns the range of all keys of a name space.
    #[must_use]
    pub fn all(namespace: Namespace) -> Self {
        // The default collection's prefix is the lowest there is.
        Self {
            namespace,
            from: Key::new(b""),
            to: None,
        }
    }

    /// Sets the lower bound, inclusive.
    #[must_use]
    pub fn with_from(self, from: Key) -> Self {
        Self { from, ..self }
    }

    /// Sets the upper bound, exclusive.
    #[must_use]
    pub fn with_to(self, to: Key) -> Self {
        Self {
            to: Some(to),
            ..self
        }
    }
}

/// A part of a scan by key.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct KeySlice {
    /// The items, ascending by key.
    pub items: Vec<Item>,
    /// The start of the next slice, or `None` at the end.
    pub next: Option<Key>,
}

impl KeySlice {
    /// Returns a slice, for engines.
    #[must_use]
    pub const fn new(items: Vec<Item>, next: Option<Key>) -> Self {
        Self { items, next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_setter_of_a_key_range_sets_its_own_bound() {
        let (from, to) = (Key::new(b"from"), Key::new(b"to"));
        assert_eq!(
            KeyRange::all(Namespace::Prepared)
                .with_from(from.clone())
                .with_to(to.clone()),
            KeyRange {
                namespace: Namespace::Prepared,
                from,
                to: Some(to),
            }
        );
    }
}
