//! What streams bring to a node, one note each, for a host that checks it against what its active wrote.

use lowtide_checkpoint::{Seqno, SnapshotMarker, VbUuid, Vbid};

/// One thing that happened to a vBucket that follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Observation {
    /// A stream was opened.
    Opened {
        /// The vBucket.
        vb: Vbid,
        /// The branch its active is on.
        branch: VbUuid,
        /// The last seqno it has.
        seqno: Seqno,
    },
    /// A snapshot was announced.
    Marker {
        /// The vBucket.
        vb: Vbid,
        /// Its marker.
        marker: SnapshotMarker,
    },
    /// An item was applied.
    Item {
        /// The vBucket.
        vb: Vbid,
        /// Its seqno.
        seqno: Seqno,
        /// [`Document::digest`](super::Document::digest) of what it made of its key.
        revision: u64,
        /// [`Documents::content`](super::Documents::content) with it.
        content: u64,
    },
    /// The vBucket was rolled back.
    RolledBack {
        /// The vBucket.
        vb: Vbid,
        /// Its last seqno now.
        seqno: Seqno,
    },
}
