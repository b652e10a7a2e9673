//! The numbers that name things: vBuckets, sequence numbers, branches of history, revisions.
//!
//! Plain newtypes, so that a seqno can't be passed where a CAS is meant. They order and print as their number.

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
    /// A vBucket's number: one partition of the key space.
    Vbid(u16)
}

number! {
    /// A vBucket's sequence number. The first operation of a vBucket has 1; 0 means "before everything".
    Seqno(u64)
}

number! {
    /// Compare-and-swap value: the hybrid logical clock's time of a revision, rising with the seqno on an active vBucket.
    Cas(u64)
}

number! {
    /// Names one branch of a vBucket's history. Never 0 in a failover log; 48 bits wide.
    VbUuid(u64)
}

impl Seqno {
    /// Before the first operation.
    pub const ZERO: Self = Self(0);
    /// No upper end: a live stream.
    pub const MAX: Self = Self(u64::MAX);

    /// The seqno after this one (saturating: nothing follows [`Seqno::MAX`]).
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The seqno before this one (saturating at 0).
    #[must_use]
    pub const fn prev(self) -> Self {
        Self(self.0.saturating_sub(1))
    }
}
