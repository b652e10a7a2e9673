//! A write that a program asks for, and the write as the store took it.

use bytes::Bytes;
use lowtide_checkpoint::{Cas, Datatype, DurabilityLevel, Item, Key, Operation};

/// A change of one document, for [`Store::write`](crate::Store::write).
///
/// ```
/// use lowtide_persistence::Change;
///
/// let change = Change::set(b"user::7", "{}").with_expiry(1_900_000_000).with_flags(2);
/// # let _ = change;
/// ```
#[derive(Clone, Debug)]
pub struct Change {
    pub(super) kind: ChangeKind,
    pub(super) key: Key,
    pub(super) value: Option<Bytes>,
    pub(super) expected: Option<Cas>,
    pub(super) expiry: u32,
    pub(super) flags: u32,
    pub(super) datatype: Datatype,
    pub(super) history: bool,
}

/// The requirement of a change, and its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChangeKind {
    /// Nothing; a document.
    Set,
    /// No document; a document.
    Add,
    /// A document; another one.
    Replace,
    /// A document; a tombstone.
    Delete,
    /// A document past its expiry; a tombstone.
    Expire,
}

impl Change {
    fn new(kind: ChangeKind, key: Key, value: Option<Bytes>) -> Self {
        Self {
            kind,
            key,
            value,
            expected: None,
            expiry: 0,
            flags: 0,
            datatype: Datatype::RAW,
            history: false,
        }
    }

    /// Sets a document, whether or not it exists.
    #[must_use]
    pub fn set(key: impl IntoKey, value: impl Into<Bytes>) -> Self {
        Self::new(ChangeKind::Set, key.into_key(), Some(value.into()))
    }

    /// Adds a document, which must not exist.
    #[must_use]
    pub fn add(key: impl IntoKey, value: impl Into<Bytes>) -> Self {
        Self::new(ChangeKind::Add, key.into_key(), Some(value.into()))
    }

    /// Replaces a document, which must exist.
    #[must_use]
    pub fn replace(key: impl IntoKey, value: impl Into<Bytes>) -> Self {
        Self::new(ChangeKind::Replace, key.into_key(), Some(value.into()))
    }

    /// Deletes a document, which must exist.
    #[must_use]
    pub fn delete(key: impl IntoKey) -> Self {
        Self::new(ChangeKind::Delete, key.into_key(), None)
    }

    /// Removes a document whose expiry has passed. Until then reads already treat it as absent, but
    /// followers do not learn of it.
    #[must_use]
    pub fn expire(key: impl IntoKey) -> Self {
        Self::new(ChangeKind::Expire, key.into_key(), None)
    }

    /// Requires that the document has this CAS.
    #[must_use]
    pub fn if_cas(self, cas: Cas) -> Self {
        let expected = Some(cas);
        Self { expected, ..self }
    }

    /// Sets the expiry, in seconds since the epoch; 0 for never.
    #[must_use]
    pub fn with_expiry(self, expiry: u32) -> Self {
        Self { expiry, ..self }
    }

    /// Sets the client's own 32 bits.
    #[must_use]
    pub fn with_flags(self, flags: u32) -> Self {
        Self { flags, ..self }
    }

    /// Sets the format of the value.
    #[must_use]
    pub fn with_datatype(self, datatype: Datatype) -> Self {
        Self { datatype, ..self }
    }

    /// Keeps the revision for every follower, even if a newer one replaces it before they read.
    #[must_use]
    pub fn with_history(self) -> Self {
        Self {
            history: true,
            ..self
        }
    }

    /// Returns the item at `now_seconds`, as the next revision after `revisions` earlier ones. With
    /// a level it is the prepare of a durable write.
    pub(super) fn into_item(
        self,
        revisions: u64,
        now_seconds: u32,
        level: Option<DurabilityLevel>,
    ) -> Item {
        let deleted = matches!(self.kind, ChangeKind::Delete | ChangeKind::Expire);
        let operation = match self.kind {
            _ if level.is_some() => Operation::Prepare,
            ChangeKind::Delete => Operation::Deletion,
            ChangeKind::Expire => Operation::Expiration,
            ChangeKind::Set | ChangeKind::Add | ChangeKind::Replace => Operation::Mutation,
        };
        Item {
            value: self.value,
            expiry: if deleted { now_seconds } else { self.expiry },
            flags: self.flags,
            datatype: self.datatype,
            deleted,
            history: self.history,
            durability: level,
            // The vBucket refuses a revision beyond its limits.
            rev_seqno: revisions.saturating_add(1),
            ..Item::new(operation, self.key)
        }
    }
}

/// A key, or bytes that are the key of a document in the default collection.
pub trait IntoKey {
    /// Returns the key.
    fn into_key(self) -> Key;
}

impl IntoKey for Key {
    fn into_key(self) -> Key {
        self
    }
}

impl IntoKey for &Key {
    fn into_key(self) -> Key {
        self.clone()
    }
}

impl IntoKey for &[u8] {
    fn into_key(self) -> Key {
        Key::new(self)
    }
}

impl<const N: usize> IntoKey for &[u8; N] {
    fn into_key(self) -> Key {
        Key::new(self)
    }
}

impl IntoKey for &str {
    fn into_key(self) -> Key {
        Key::new(self.as_bytes())
    }
}

impl IntoKey for &String {
    fn into_key(self) -> Key {
        Key::new(self.as_bytes())
    }
}
