//! The quarantine of segments that hold records of an unreadable vBucket.
//!
//! It is unknown which records of such a vBucket are needed, so its segments are neither rewritten
//! nor freed before it is dropped (L25). They are claimed, as segments under rewriting are.

use std::collections::BTreeSet;

use lowtide_checkpoint::Vbid;

use super::Registry;

impl Registry {
    /// Quarantines the segments of a vBucket.
    pub(in crate::logstor) fn quarantine(&self, vb: Vbid, segments: BTreeSet<u32>) {
        for &id in &segments {
            // Another vBucket may have it in quarantine. No job has claimed it: nothing is rewritten
            // before everything is loaded (L23).
            self.log.segments.try_claim(id);
        }
        self.quarantined.lock().insert(vb, segments);
    }

    /// Releases the segments of a vBucket that was dropped, except those that another vBucket has
    /// in quarantine.
    pub(super) fn release_quarantine(&self, vb: Vbid) {
        let mut quarantined = self.quarantined.lock();
        for id in quarantined.remove(&vb).unwrap_or_default() {
            if quarantined.values().all(|others| !others.contains(&id)) {
                self.log.segments.release(id);
            }
        }
    }
}
