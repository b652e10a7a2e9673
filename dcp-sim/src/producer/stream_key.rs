//! Key of a stream on its connection: the vBucket and, if the connection enabled stream ids, the
//! client's id.
//!
//! # Invariants
//!
//! - S19. Streams with different keys share nothing, so each has a cursor with a name of its own.

use lowtide_checkpoint::Vbid;

use crate::wire::StreamId;

/// Key of one stream of one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct StreamKey {
    pub(super) vb: Vbid,
    pub(super) id: Option<StreamId>,
}

impl StreamKey {
    /// Returns the name of its cursor. `connection` differs from those of the node's other
    /// connections.
    pub(super) fn cursor_name(self, connection: &str) -> String {
        match self.id {
            None => format!("{connection}:{}", self.vb),
            Some(id) => format!("{connection}:{}:{id}", self.vb),
        }
    }
}
