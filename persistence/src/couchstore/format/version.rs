//! The versions of the format that new files can have.
//!
//! *E19.* A file keeps its version for life (a compaction makes another file, of the later version of the old one's and
//! the configured one), and what was acknowledged is as durable in each: before version 14 a header
//! doesn't tell which it follows, one that was not activated can't be told from garbage, so commits take two syncs.

/// Which releases can read a new file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FormatVersion {
    /// From 4.5 on. Headers have neither time nor predecessor.
    V12,
    /// From 7.0 on. Headers have a time.
    V13,
    /// From 8.0 on. Headers have a time and know the one before.
    #[default]
    V14,
}

impl FormatVersion {
    /// As headers have it.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::V12 => 12,
            Self::V13 => 13,
            Self::V14 => 14,
        }
    }
}
