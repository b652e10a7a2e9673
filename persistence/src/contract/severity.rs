//! The severity of what a check of a store finds, for every engine.

/// The severity of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Severity {
    /// Something unusual or unfinished. Nothing is lost, and nothing is read wrongly.
    Note,
    /// Bytes that differ from those that were written, or parts of a store that contradict each
    /// other.
    Damage,
}

impl Severity {
    /// Returns it as one word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Damage => "damage",
        }
    }
}
