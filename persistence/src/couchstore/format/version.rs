//! The format versions that new files can have.
//!
//! *E19.* A file keeps its version for life. A compaction makes another file, of the later of the
//! old version and the configured one. What was acknowledged is as durable in each version. Before
//! version 14 a header does not name the one before, so an unactivated header cannot be
//! distinguished from garbage; commits to such files take two syncs.

/// The format version of a file, which decides the releases that can read it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum FormatVersion {
    /// From 4.5 on. Headers have neither time nor predecessor.
    V12,
    /// From 7.0 on. Headers have a time.
    V13,
    /// From 8.0 on. Headers have a time and name the one before.
    #[default]
    V14,
}

impl FormatVersion {
    /// Returns the number in headers.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::V12 => 12,
            Self::V13 => 13,
            Self::V14 => 14,
        }
    }
}
