//! Counting of references to records, on the segments that hold them.

use crate::logstor::format::Location;
use crate::logstor::log::{Segment, SegmentUses};

/// The counts of all segments in use.
#[derive(Clone, Copy)]
pub(in crate::logstor) struct ReferenceCounts<'a>(pub(in crate::logstor) &'a SegmentUses);

impl ReferenceCounts<'_> {
    fn segment(&self, id: u32) -> Option<&Segment> {
        self.0.get(id as usize)?.as_deref()
    }

    pub(in crate::logstor) fn add(&self, location: Location) {
        if let Some(segment) = self.segment(location.segment) {
            segment.add(location);
        }
    }

    pub(in crate::logstor) fn remove(&self, location: Location) {
        if let Some(segment) = self.segment(location.segment) {
            segment.remove(location);
        }
    }
}

/// References that are summed up first: each change of a shared counter costs an atomic operation.
#[derive(Debug, Default)]
pub(in crate::logstor) struct ReferenceTally(Vec<(u64, u64)>);

impl ReferenceTally {
    pub(in crate::logstor) fn add(&mut self, location: Location) {
        let at = location.segment as usize;
        if self.0.len() <= at {
            self.0.resize(at + 1, (0, 0));
        }
        if let Some((bytes, records)) = self.0.get_mut(at) {
            *bytes += u64::from(location.len);
            *records += 1;
        }
    }

    /// Adds the sums to the counts.
    pub(in crate::logstor) fn count(&self, counts: ReferenceCounts<'_>) {
        for (id, &(bytes, records)) in (0..).zip(&self.0) {
            if let Some(segment) = counts.segment(id).filter(|_| records > 0) {
                segment.add_all(bytes, records);
            }
        }
    }
}
