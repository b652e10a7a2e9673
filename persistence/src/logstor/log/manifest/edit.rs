//! The edits of a manifest, and the reasons to refuse one.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::lineage::EpochStart;
use crate::contract::EngineError;
use crate::logstor::format::PurgedTombstones;

/// The end of a segment's use that was cut off: what follows was never acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::logstor) struct RetiredTail {
    pub(in crate::logstor) segment: u32,
    pub(in crate::logstor) generation: u64,
    pub(in crate::logstor) bytes: u32,
}

/// A change of the catalog.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::logstor) enum ManifestEdit {
    Create {
        vb: u16,
    },
    Drop {
        vb: u16,
    },
    /// Replaces the hidden tombstones.
    Purge {
        vb: u16,
        purged: PurgedTombstones,
    },
    RollBack {
        vb: u16,
        purged: PurgedTombstones,
        start: EpochStart,
    },
    Retire(Vec<RetiredTail>),
    /// Reserves an epoch: no vBucket has it, and it is not given to another one.
    Reserve {
        epoch: u32,
    },
    /// Creates a vBucket with a reserved epoch.
    Adopt {
        vb: u16,
        epoch: u32,
        purged: PurgedTombstones,
    },
}

/// The reason to refuse an edit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::logstor) enum EditRefusal {
    /// It contradicts the catalog.
    Contradictory(&'static str),
    /// It needs an epoch, and no number is left.
    NoEpoch,
}

impl EditRefusal {
    pub(super) const fn what(self) -> &'static str {
        match self {
            Self::Contradictory(what) => what,
            Self::NoEpoch => "no epoch is left",
        }
    }

    pub(super) fn error(self, path: &Path) -> EngineError {
        match self {
            Self::Contradictory(what) => EngineError::InvalidArgument(what.to_owned()),
            Self::NoEpoch => EngineError::NumbersUsedUp {
                path: path.to_path_buf(),
                what: "epochs",
            },
        }
    }
}
