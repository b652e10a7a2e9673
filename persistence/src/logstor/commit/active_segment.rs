//! The segment that commits are written to.

use lowtide_checkpoint::Vbid;

use crate::logstor::log::{Log, OpenSegment, Origin, Segment};

/// The vBuckets with records in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    None,
    One(Vbid),
    Many,
}

impl Owner {
    pub(super) fn with(self, vb: Vbid) -> Self {
        match self {
            Self::None => Self::One(vb),
            Self::One(only) if only == vb => self,
            Self::One(_) | Self::Many => Self::Many,
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct ActiveSegment {
    pub(super) open: OpenSegment,
    pub(super) owner: Owner,
}

impl ActiveSegment {
    /// Returns a segment without records.
    pub(super) const fn new(open: OpenSegment) -> Self {
        Self {
            open,
            owner: Owner::None,
        }
    }

    /// Returns the segment, if several vBuckets have records in it.
    pub(super) fn mixed(&self) -> Option<&Segment> {
        (self.owner == Owner::Many).then_some(&*self.open.segment)
    }

    /// Returns the segment's number, and the end of its durable frames.
    pub(super) fn end(&self) -> (u32, u32) {
        (self.open.segment.id, self.open.used)
    }

    /// Closes the segment. One with records of a single vBucket becomes that vBucket's: it needs no
    /// separation.
    pub(super) fn close(&self, log: &Log) {
        let owner = match self.owner {
            Owner::One(vb) => Some(vb),
            Owner::None | Owner::Many => None,
        };
        let adopted = &log.context.counters.segments_adopted;
        adopted.add(u64::from(owner.is_some()));
        let (id, used) = self.end();
        log.segments.close(id, used, Origin::Commits, owner);
    }
}
