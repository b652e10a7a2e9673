//! The place of a record in the log.

use serde::{Deserialize, Serialize};

/// A record's segment, its first byte within the segment, and its length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(in crate::logstor) struct Location {
    pub(in crate::logstor) segment: u32,
    pub(in crate::logstor) offset: u32,
    pub(in crate::logstor) len: u32,
}
