//! Figures of one couchstore file, also as JSON.

use lowtide_checkpoint::{SnapshotType, VBucketState};
use lowtide_persistence::couchstore::{HeaderInfo, Layout, TreeLayout};
use serde::Serialize;

use crate::cli::tools::store::Target;

/// Figures of a file.
#[derive(Serialize)]
pub(super) struct Inspected {
    #[serde(flatten)]
    pub(super) target: Target,
    pub(super) file_bytes: u64,
    pub(super) live_bytes: u64,
    pub(super) dead_bytes: u64,
    /// Share of dead bytes in the file.
    pub(super) fragmentation: f64,
    pub(super) uses: Uses,
    pub(super) bodies: u64,
    pub(super) by_seqno: TreeFigures,
    pub(super) by_id: TreeFigures,
    pub(super) local: TreeFigures,
    pub(super) state: Option<StateFigures>,
    pub(super) headers: Vec<HeaderFigures>,
    pub(super) headers_left_out: u64,
    /// Unreadable parts.
    pub(super) damage: Vec<String>,
    #[serde(skip)]
    pub(super) layout: Layout,
}

/// Live bytes by use.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Uses {
    pub(super) bodies: u64,
    pub(super) by_id: u64,
    pub(super) by_seqno: u64,
    pub(super) local: u64,
    pub(super) header: u64,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct TreeFigures {
    pub(super) depth: u64,
    pub(super) interior_nodes: u64,
    pub(super) leaves: u64,
    pub(super) rows: u64,
    pub(super) disk_bytes: u64,
    pub(super) raw_bytes: u64,
    pub(super) fill: f64,
}

impl From<TreeLayout> for TreeFigures {
    fn from(tree: TreeLayout) -> Self {
        let TreeLayout {
            depth,
            interior_nodes,
            leaves,
            rows,
            disk_bytes,
            raw_bytes,
            ..
        } = tree;
        Self {
            depth,
            interior_nodes,
            leaves,
            rows,
            disk_bytes,
            raw_bytes,
            fill: tree.fill(),
        }
    }
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct StateFigures {
    pub(super) state: &'static str,
    pub(super) snapshot_start: u64,
    pub(super) snapshot_end: u64,
    pub(super) snapshot_type: &'static str,
    max_visible_seqno: u64,
    high_completed_seqno: u64,
    high_prepared_seqno: u64,
    max_cas: String,
    pub(super) failover_log: Vec<(u64, u64)>,
}

impl From<VBucketState> for StateFigures {
    fn from(state: VBucketState) -> Self {
        let branches = state.failover_log.entries().iter();
        Self {
            state: state.state.name(),
            snapshot_start: state.snapshot_start.0,
            snapshot_end: state.snapshot_end.0,
            snapshot_type: match state.snapshot_type {
                SnapshotType::Memory => "memory",
                SnapshotType::Disk => "disk",
                SnapshotType::InitialDisk => "initial disk",
            },
            max_visible_seqno: state.max_visible_seqno.0,
            high_completed_seqno: state.high_completed_seqno.0,
            high_prepared_seqno: state.high_prepared_seqno.0,
            max_cas: state.max_cas.to_string(),
            failover_log: branches
                .map(|entry| (entry.uuid.0, entry.seqno.0))
                .collect(),
        }
    }
}

#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct HeaderFigures {
    pub(super) position: u64,
    pub(super) version: u8,
    pub(super) high_seqno: u64,
    pub(super) purge_seqno: u64,
    pub(super) documents: u64,
    pub(super) tombstones: u64,
    pub(super) live_bytes: u64,
    /// Nanoseconds since 1970; 0 for a version without it.
    pub(super) timestamp: u64,
    pub(super) previous: Option<u64>,
}

impl From<HeaderInfo> for HeaderFigures {
    fn from(header: HeaderInfo) -> Self {
        Self {
            position: header.position,
            version: header.version,
            high_seqno: header.info.high.0,
            purge_seqno: header.info.purge.0,
            documents: header.info.items,
            tombstones: header.info.deleted,
            live_bytes: header.live_bytes,
            timestamp: header.timestamp,
            previous: header.previous,
        }
    }
}
