//! One shape for the protocol's sets of 32 bits.

macro_rules! bit_set {
    ($(#[$doc:meta])* $name:ident { $($(#[$bit_doc:meta])* $bit:ident = $value:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        pub struct $name(pub u32);

        impl $name {
            /// No bit.
            pub const NONE: Self = Self(0);
            $($(#[$bit_doc])* pub const $bit: Self = Self($value);)*
            /// Every bit with a meaning.
            pub const KNOWN: Self = Self(0 $(| $value)*);

            /// Whether all bits of `other` are set.
            #[must_use]
            pub const fn contains(self, other: Self) -> bool {
                self.0 & other.0 == other.0
            }

            /// These bits and those of `other`.
            #[must_use]
            pub const fn with(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }

            /// Takes a field off the wire; bits without a meaning are refused.
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
