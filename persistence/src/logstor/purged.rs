//! What purges hide: a seqno, and what they spared below it. It goes into the manifest, and with every view.
//!
//! Always (L41): a tombstone is hidden if it lies at or below the seqno and is not among the spared ones. Spared are those that
//! had their collection's highest seqno when the others were purged. Once hidden, it stays hidden in every later view of
//! that branch: the seqno never falls, and nothing below it comes to be spared.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// Which tombstones nobody is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Purged {
    /// The highest one.
    pub(super) upto: u64,
    /// Those below that are shown all the same.
    pub(super) spared: BTreeSet<u64>,
    /// Up to there purges of version 1 went, which spared nothing: a collection's highest seqno may be among what they took.
    pub(super) unspared_upto: u64,
}

impl Purged {
    /// Everything up to a seqno, whatever it is.
    pub(super) const fn of_version_1(upto: u64) -> Self {
        Self { upto, spared: BTreeSet::new(), unspared_upto: upto }
    }

    /// Whether the tombstone that has a seqno is hidden.
    pub(super) fn hides(&self, seqno: u64) -> bool {
        seqno <= self.upto && !self.spared.contains(&seqno)
    }
}
