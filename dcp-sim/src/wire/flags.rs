//! `bit_set!`: one definition for all 32-bit flag sets of the protocol.

macro_rules! bit_set {
    ($(#[$doc:meta])* $name:ident { $($(#[$bit_doc:meta])* $bit:ident = $value:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        pub struct $name(pub u32);

        impl $name {
            /// The empty set.
            pub const NONE: Self = Self(0);
            $($(#[$bit_doc])* pub const $bit: Self = Self($value);)*
            /// Every bit that has a meaning.
            pub const KNOWN: Self = Self(0 $(| $value)*);

            /// Returns `true` if all bits of `other` are set.
            #[must_use]
            pub const fn contains(self, other: Self) -> bool {
                self.0 & other.0 == other.0
            }

            /// Returns the union with `other`.
            #[must_use]
            pub const fn with(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }

            /// Reads the set from its wire field. Refuses bits without a meaning.
            pub(super) fn read(opcode: $crate::wire::opcode::Opcode, bits: u32) -> Result<Self, $crate::wire::error::WireError> {
                match bits & !Self::KNOWN.0 {
                    0 => Ok(Self(bits)),
                    bits => Err($crate::wire::error::WireError::UnknownBits { opcode, what: "flags", bits }),
                }
            }
        }
    };
}

pub(super) use bit_set;
