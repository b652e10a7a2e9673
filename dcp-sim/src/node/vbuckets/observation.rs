//! Observations of a replica's streams, for a host that checks them against the active's history.

use lowtide_checkpoint::{Item, Seqno, SnapshotMarker, VbUuid, Vbid};

/// An event of a vBucket that follows an active.
#[derive(Clone, Debug, PartialEq, Eq)]
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
        /// The item, as it was queued.
        item: Item,
    },
    /// The vBucket was rolled back.
    RolledBack {
        /// The vBucket.
        vb: Vbid,
        /// Its last seqno after the rollback.
        seqno: Seqno,
    },
}
