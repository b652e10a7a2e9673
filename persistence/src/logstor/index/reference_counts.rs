//! Counting of references to records, on the segments that hold them.

use lowtide_checkpoint::internal::Invariant;

use crate::logstor::format::{Location, to_usize};
use crate::logstor::log::{Segment, SegmentUses};

/// The counts of all segments in use.
#[derive(Clone, Copy)]
pub(in crate::logstor) struct ReferenceCounts<'a>(pub(in crate::logstor) &'a SegmentUses);

impl ReferenceCounts<'_> {
    /// Returns the segment of a referenced record. Without one there is nothing to count on, and a
    /// reader of the record reports that.
    fn segment(&self, id: u32) -> Option<&Segment> {
        let segment = self.0.get(to_usize(id)).and_then(Option::as_deref);
        segment.expected("L5", "a referenced segment is in use")
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
        let at = to_usize(location.segment);
        if self.0.len() <= at {
            self.0.resize(at + 1, (0, 0));
        }
        let sums = self.0.get_mut(at);
        // A segment that counts too few may be freed early. What is then read there is verified, so
        // that is an error and no wrong answer.
        if let Some((bytes, records)) = sums.expected("L5", "a tally has every segment up to it") {
            *bytes += u64::from(location.len);
            *records += 1;
        }
    }

    /// Adds the sums to the counts.
    pub(in crate::logstor) fn count(&self, counts: ReferenceCounts<'_>) {
        let counted = (0..).zip(&self.0).filter(|(_, (_, records))| *records > 0);
        for (id, &(bytes, records)) in counted {
            if let Some(segment) = counts.segment(id) {
                segment.add_all(bytes, records);
            }
        }
    }
}
