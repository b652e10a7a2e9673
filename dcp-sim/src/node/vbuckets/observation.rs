//! Observations of a replica's streams, for a host that checks them against the active's history.

use lowtide_checkpoint::{Seqno, SnapshotMarker, VbUuid, Vbid};

/// An event of a vBucket that follows an active.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Observation {
    /// A stream was opened.
    Opened {
        /// The vBucket.
        vb: Vbid,
        /// Branch of its active.
        branch: VbUuid,
        /// Its last seqno.
        seqno: Seqno,
    },
    /// A snapshot was announced.
    Marker {
        /// The vBucket.
        vb: Vbid,
        /// The marker.
        marker: SnapshotMarker,
    },
    /// An item was applied.
    Item {
        /// The vBucket.
        vb: Vbid,
        /// Its seqno.
        seqno: Seqno,
        /// [`Document::digest`](super::Document::digest) of the resulting document.
        revision: u64,
        /// [`Documents::content`](super::Documents::content) after the item.
        content: u64,
    },
    /// The vBucket was rolled back.
    RolledBack {
        /// The vBucket.
        vb: Vbid,
        /// Its last seqno after the rollback.
        seqno: Seqno,
    },
}
