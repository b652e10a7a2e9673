//! The numeric ids: vBuckets, sequence numbers, branches of history, revisions.
//!
//! They are newtypes, so that a seqno cannot be passed where a CAS is expected. They order and
//! print like their number.

use std::fmt;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl From<$inner> for $name {
            fn from(value: $inner) -> Self {
                Self(value)
            }
        }
    };
}

number! {
    /// Number of a vBucket, which is one partition of the key space.
    Vbid(u16)
}

number! {
    /// Sequence number in a vBucket. The first operation has 1; 0 means "before everything".
    Seqno(u64)
}

number! {
    /// Compare-and-swap value: a revision's time on the hybrid logical clock. It rises with the
    /// seqno on an active vBucket.
    Cas(u64)
}

number! {
    /// Name of one branch of a vBucket's history. 48 bits wide, never 0 in a failover log.
    VbUuid(u64)
}

impl Seqno {
    /// The seqno before the first operation.
    pub const ZERO: Self = Self(0);
    /// The end of a live stream, which has none.
    pub const MAX: Self = Self(u64::MAX);

    /// Returns the seqno after this one, saturating: nothing follows [`Seqno::MAX`].
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// Returns the seqno before this one, saturating at 0.
    #[must_use]
    pub const fn prev(self) -> Self {
        Self(self.0.saturating_sub(1))
    }
}
